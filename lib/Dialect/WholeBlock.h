//===- WholeBlock.h - Blocks that a verifier may look into ------*- C++ -*-===//
//
// An op is verified before those in its regions, which an operand or the
// terminator may be taken from: a reducer erases ops and then verifies. What
// is missing is said where MLIR verifies them.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_DIALECT_WHOLEBLOCK_H
#define FOVEA_LIB_DIALECT_WHOLEBLOCK_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/STLExtras.h"

namespace fovea {

/// Whether no op of the block lacks an operand.
inline bool hasAllOperands(mlir::Block &block) {
  return llvm::all_of(block, [](mlir::Operation &op) {
    return llvm::all_of(op.getOperands(), [](mlir::Value value) {
      return static_cast<bool>(value);
    });
  });
}

} // namespace fovea

#endif // FOVEA_LIB_DIALECT_WHOLEBLOCK_H
