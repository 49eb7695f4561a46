//===- RegionReader.h - Scalar ops to nodes --------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_REGIONREADER_H
#define FOVEA_LIB_FRONTEND_REGIONREADER_H

#include "fovea/Frontend/Program.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

#include <optional>
#include <vector>

namespace fovea {

/// Reads the ops of a region. `captures` says which captures of the program
/// its trailing arguments are; parameters that it reads are declared. `values`
/// gets of each node a value that it is.
llvm::Expected<Region> readRegion(Program &program, RegionKind kind,
                                  mlir::Region &source,
                                  llvm::ArrayRef<unsigned> captures,
                                  std::vector<mlir::Value> *values = nullptr);

/// The element type of a capture, if a program can have it.
std::optional<DType> readDType(mlir::Type type);

/// Constants of single precision read as the shortest decimal that gives them.
double readFloat(mlir::FloatAttr attr);

/// "file:line:col: error: message", and the same about an op.
llvm::Error failExport(mlir::Location loc, const llvm::Twine &message);
llvm::Error failExportOp(mlir::Operation *op, const llvm::Twine &message);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_REGIONREADER_H
