//===- PrintNames.h - What custom forms have in common ----------*- C++ -*-===//
#ifndef FOVEA_LIB_DIALECT_PRINTNAMES_H
#define FOVEA_LIB_DIALECT_PRINTNAMES_H

#include "mlir/IR/OpImplementation.h"

namespace fovea {

/// Prints `(%a, %b)` without types.
inline void printNames(mlir::OpAsmPrinter &printer, mlir::ValueRange values) {
  printer << '(';
  printer.printOperands(values);
  printer << ')';
}

/// Prints ` iter(%argument = %init, …) -> types`, nothing without any.
inline void printIter(mlir::OpAsmPrinter &printer, mlir::ValueRange arguments,
                      mlir::ValueRange inits, mlir::TypeRange types) {
  if (inits.empty())
    return;
  printer << " iter(";
  llvm::interleaveComma(
      llvm::zip_equal(arguments, inits), printer, [&](auto pair) {
        printer << std::get<0>(pair) << " = " << std::get<1>(pair);
      });
  printer << ')';
  printer.printArrowTypeList(types);
}

} // namespace fovea

#endif // FOVEA_LIB_DIALECT_PRINTNAMES_H
