//===- InterpretOnlinePass.cpp - -interpret-online ------------------------===//

#include "PrintValue.h"
#include "fovea/Interpreter/OnlineInterpreter.h"
#include "fovea/Interpreter/Passes.h"

#include "llvm/Support/raw_ostream.h"

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
      for (auto [index, result] : llvm::enumerate(results)) {
        llvm::outs() << function.getName() << '#' << index << " = ";
        printValue(llvm::outs(), result.tensor, result.scalar,
                   function.getResultTypes()[index]);
        llvm::outs() << '\n';
      }
    }
  }
};
} // namespace
