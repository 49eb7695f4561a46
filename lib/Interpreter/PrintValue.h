//===- PrintValue.h - Values of the interpreters as text --------*- C++ -*-===//
#ifndef FOVEA_LIB_INTERPRETER_PRINTVALUE_H
#define FOVEA_LIB_INTERPRETER_PRINTVALUE_H

#include "fovea/Interpreter/ScalarRegion.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Types.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace fovea {

/// A tensor as nested lists, or a scalar of the given type.
void printValue(llvm::raw_ostream &os, const std::optional<TensorView> &tensor,
                ScalarValue scalar, mlir::Type type);

/// `name#0 = …`, and so on: what a function gave, each with members `tensor`
/// and `scalar`.
template <typename Results>
void printResults(llvm::raw_ostream &os, mlir::func::FuncOp function,
                  const Results &results) {
  for (auto [index, result] : llvm::enumerate(results)) {
    os << function.getName() << '#' << index << " = ";
    printValue(os, result.tensor, result.scalar,
               function.getResultTypes()[index]);
    os << '\n';
  }
}

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_PRINTVALUE_H
