//===- InterpretOnlinePass.cpp - -interpret-online ------------------------===//

#include "PrintValue.h"
#include "fovea/Interpreter/OnlineInterpreter.h"
#include "fovea/Interpreter/Passes.h"

namespace fovea {
#define GEN_PASS_DEF_INTERPRETONLINE
#include "fovea/Interpreter/Passes.h.inc"
} // namespace fovea

using namespace fovea;
using namespace mlir;

namespace {
struct InterpretOnline
    : public fovea::impl::InterpretOnlineBase<InterpretOnline> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || function.getNumArguments() != 0)
        continue;
      OnlineInterpreter interpreter;
      SmallVector<OnlineArgument> results;
      if (failed(interpreter.run(function, {}, results)))
        return signalPassFailure();
      printResults(llvm::outs(), function, results);
    }
  }
};
} // namespace
