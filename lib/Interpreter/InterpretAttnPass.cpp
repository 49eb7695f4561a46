//===- InterpretAttnPass.cpp - -interpret-attn ----------------------------===//

#include "PrintValue.h"
#include "fovea/Interpreter/AttnModuleInterpreter.h"
#include "fovea/Interpreter/Passes.h"

#include "llvm/Support/Format.h"

namespace fovea {
#define GEN_PASS_DEF_INTERPRETATTN
#include "fovea/Interpreter/Passes.h.inc"
} // namespace fovea

using namespace fovea;
using namespace mlir;

namespace {
struct InterpretAttn : public fovea::impl::InterpretAttnBase<InterpretAttn> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || function.getNumArguments() != 0)
        continue;
      SmallVector<AttnValue> results;
      if (failed(interpretAttn(function, {}, results)))
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
