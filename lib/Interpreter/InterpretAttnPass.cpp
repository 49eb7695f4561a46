//===- InterpretAttnPass.cpp - -interpret-attn ----------------------------===//

#include "PrintValue.h"
#include "fovea/Interpreter/AttnModuleInterpreter.h"
#include "fovea/Interpreter/Passes.h"

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
      printResults(llvm::outs(), function, results);
    }
  }
};
} // namespace
