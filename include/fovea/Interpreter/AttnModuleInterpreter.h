//===- AttnModuleInterpreter.h - Functions of attn ops, in f64 --*- C++ -*-===//
#ifndef FOVEA_INTERPRETER_ATTNMODULEINTERPRETER_H
#define FOVEA_INTERPRETER_ATTNMODULEINTERPRETER_H

#include "fovea/Interpreter/ScalarRegion.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <memory>

namespace fovea {

/// A value of level 1: a tensor, a scalar, or the classes of a block mask with
/// their tile.
struct AttnValue {
  std::shared_ptr<std::vector<char>> memory; ///< null where borrowed
  std::optional<TensorView> tensor;
  ScalarValue scalar;
  int64_t queryTile = 0, keyTile = 0; ///< of a block mask
};

/// Runs a function of one block that holds attention ops, merges, block masks,
/// constants and scalars. Errors are diagnostics at the op.
llvm::LogicalResult interpretAttn(mlir::func::FuncOp function,
                                  llvm::ArrayRef<AttnValue> arguments,
                                  llvm::SmallVectorImpl<AttnValue> &results);

} // namespace fovea

#endif // FOVEA_INTERPRETER_ATTNMODULEINTERPRETER_H
