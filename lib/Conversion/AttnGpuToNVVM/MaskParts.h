//===- MaskParts.h - What a mask's values depend on -------------*- C++ -*-===//
//
// A mask as a function of (b, h, m, n, B, H, Hk, M, N, captures). Values of
// bounds are those that depend on both positions and those that the latter are
// made of; of these, what depends on one position and is more than a sum of it
// is a hull: its minimum and maximum a tile are computed ahead.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_MASKPARTS_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_MASKPARTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace fovea::gpu {
using namespace mlir;

/// Which positions a value depends on: a set.
enum OnPosition : uint8_t { OnNothing, OnRow, OnKey, OnBoth };

class MaskParts {
public:
  explicit MaskParts(func::FuncOp visible);

  OnPosition dependenceOf(Value value) const {
    return static_cast<OnPosition>(dependences.lookup(value));
  }
  /// Of one position, in the order of the function.
  ArrayRef<Value> getHulls(OnPosition on) const {
    return on == OnRow ? rowHulls : keyHulls;
  }
  bool isHull(Value value) const { return hulls.contains(value); }
  /// Whether bounds of the op's result are computed from its operands'.
  bool isBounded(Operation *op) const { return bounded.contains(op); }

  BlockArgument batch() const { return argument(0); }
  BlockArgument head() const { return argument(1); }
  BlockArgument row() const { return argument(2); }
  BlockArgument key() const { return argument(3); }
  /// B, H, Hk, M, N.
  ArrayRef<BlockArgument> sizes() const {
    return block().getArguments().slice(kPositions, kSizes);
  }
  ArrayRef<BlockArgument> captures() const {
    return block().getArguments().drop_front(kPositions + kSizes);
  }
  std::string nameOf(BlockArgument capture) const;
  Block &block() const { return body; }
  Value result() const { return body.getTerminator()->getOperand(0); }

private:
  static constexpr unsigned kPositions = 4, kSizes = 5;
  BlockArgument argument(unsigned number) const {
    return body.getArgument(number);
  }
  bool isSum(Operation *op) const;
  void findBounds();

  func::FuncOp visible;
  Block &body;
  DenseMap<Value, uint8_t> dependences;
  llvm::SmallPtrSet<Operation *, 16> sums, bounded;
  llvm::SmallPtrSet<Value, 8> hulls;
  SmallVector<Value> rowHulls, keyHulls;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_MASKPARTS_H
