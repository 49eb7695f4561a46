//===- Slice.h - Scalars of a tile, computed where they are used *- C++ -*-===//
#ifndef FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_SLICE_H
#define FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_SLICE_H

#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"

namespace mlir::attn_gpu {

/// Clones what a value of a tile's body needs, at the builder's place. Values
/// from outside of the tile stand for themselves.
class Slice {
public:
  Slice() = default;
  explicit Slice(ForTilesOp tiles) : tiles(tiles) {}

  void set(Value from, Value to) { mapping.map(from, to); }
  bool knows(Value value) const { return mapping.contains(value); }
  /// The value in this slice.
  Value get(OpBuilder &b, Value value);
  /// Clones an op with all that it, and what it holds, reads.
  Operation *clone(OpBuilder &b, Operation *op);

private:
  bool isOutside(Value value);

  ForTilesOp tiles;
  IRMapping mapping;
};

/// The index values of a tile that `op`, or what it reads, needs and that are
/// not constants: what a tile's record holds.
void collectRecords(ForTilesOp tiles, Operation *op,
                    llvm::SetVector<Value> &records);

} // namespace mlir::attn_gpu

#endif // FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_SLICE_H
