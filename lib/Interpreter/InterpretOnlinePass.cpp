//===- InterpretOnlinePass.cpp - -interpret-online ------------------------===//

#include "fovea/Interpreter/OnlineInterpreter.h"
#include "fovea/Interpreter/Passes.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace fovea {
#define GEN_PASS_DEF_INTERPRETONLINE
#include "fovea/Interpreter/Passes.h.inc"
} // namespace fovea

using namespace fovea;
using namespace mlir;

static void printTensor(llvm::raw_ostream &os, const TensorView &tensor,
                        int64_t dim, int64_t offset) {
  if (dim == tensor.rank()) {
    if (isFloat(tensor.dtype))
      os << llvm::format("%.6g", tensor.loadFloat(offset));
    else
      os << tensor.loadInt(offset);
    return;
  }
  os << '[';
  for (int64_t i = 0; i < tensor.sizes[dim]; ++i) {
    os << (i == 0 ? "" : ", ");
    printTensor(os, tensor, dim + 1, offset + i * tensor.strides[dim]);
  }
  os << ']';
}

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
      for (auto [index, result] : llvm::enumerate(results))
        print(function, index, result);
    }
  }

  void print(func::FuncOp function, unsigned index,
             const OnlineArgument &result) {
    llvm::raw_ostream &os = llvm::outs();
    os << function.getName() << '#' << index << " = ";
    if (result.tensor)
      printTensor(os, *result.tensor, 0, 0);
    else if (isa<FloatType>(function.getResultTypes()[index]))
      os << llvm::format("%.6g", result.scalar.f);
    else
      os << result.scalar.i;
    os << '\n';
  }
};
} // namespace
