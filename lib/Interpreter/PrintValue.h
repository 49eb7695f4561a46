//===- PrintValue.h - Values of the interpreters as text --------*- C++ -*-===//
#ifndef FOVEA_LIB_INTERPRETER_PRINTVALUE_H
#define FOVEA_LIB_INTERPRETER_PRINTVALUE_H

#include "fovea/Interpreter/ScalarRegion.h"

#include "mlir/IR/Types.h"
#include "llvm/Support/raw_ostream.h"

namespace fovea {

/// A tensor as nested lists, or a scalar of the given type.
void printValue(llvm::raw_ostream &os, const std::optional<TensorView> &tensor,
                ScalarValue scalar, mlir::Type type);

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_PRINTVALUE_H
