//===- OnlineDialect.cpp - Registration of online -------------------------===//

#include "fovea/Dialect/BytecodeVersion.h"
#include "fovea/Dialect/Online/IR/Online.h"

using namespace mlir;
using namespace mlir::online;

#include "fovea/Dialect/Online/IR/OnlineDialect.cpp.inc"
#include "fovea/Dialect/Online/IR/OnlineEnums.cpp.inc"

/// Raised with every change of the ops, types or attributes.
static constexpr uint64_t kBytecodeVersion = 1;

void OnlineDialect::initialize() {
  registerTypes();
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "fovea/Dialect/Online/IR/OnlineOps.cpp.inc"
      >();
  addInterface<fovea::BytecodeVersionInterface>(kBytecodeVersion);
}
