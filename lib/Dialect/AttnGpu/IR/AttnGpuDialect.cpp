//===- AttnGpuDialect.cpp - Registration of attn_gpu ----------------------===//

#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "fovea/Dialect/BytecodeVersion.h"

using namespace mlir;
using namespace mlir::attn_gpu;

#include "fovea/Dialect/AttnGpu/IR/AttnGpuDialect.cpp.inc"
#include "fovea/Dialect/AttnGpu/IR/AttnGpuEnums.cpp.inc"

/// Raised with every change of the ops, types or attributes.
static constexpr uint64_t kBytecodeVersion = 1;

void AttnGpuDialect::initialize() {
  registerTypes();
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "fovea/Dialect/AttnGpu/IR/AttnGpuOps.cpp.inc"
      >();
  addInterface<fovea::BytecodeVersionInterface>(kBytecodeVersion);
}
