//===- Places.h - The order in which a tile visits its blocks ---*- C++ -*-===//
#ifndef FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_PLACES_H
#define FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_PLACES_H

#include "Slice.h"

namespace mlir::attn_gpu {

/// Blocks by number: whole ones of full segments, from the last one down, then
/// others. Place 0 is the last number, place t > 0 the number t − 1. So a tile
/// under a causal mask goes from its diagonal down, and tiles of neighbouring
/// queries, which run side by side, meet in the caches.
///
/// Where there is at most one other, which place 0 then is, no block behind it
/// needs a mask.
///
/// The elements of a block mask's list lie in memory: the loading role reads
/// where one begins, and hands it on beside the keys.
class Places {
public:
  /// What is known of a loop's segments at compile time.
  struct Facts {
    /// Of full ones, in their order: whether a part of a block may be left.
    SmallVector<bool> hasTail;
    /// Whether there is at most one block that is not whole.
    bool hasOneOther = false;

    static Facts of(ForBlocksOp loop);
  };
  /// Computes the order of a loop from its segments or its list.
  static Places compute(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                        Slice &slice);
  /// Whether blocks begin where a list says.
  bool isListed() const { return bool(list); }

  /// All that the order is made of, to travel as records.
  SmallVector<Value *> values();
  /// The order again from these values, which have travelled. Constants among
  /// them stay constants.
  static Places restore(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                        Slice slice, ValueRange travelled);

  /// How many places there are: at least one.
  Value total;
  /// Places below it, but for 0, are full.
  Value fullEnd;

  /// The block of a place: its first key and how many keys belong to it.
  struct Block {
    Value n0, count, full;
  };
  /// `listed`: where the block begins, for who has been told.
  Block first(OpBuilder &b, Value listed = Value());
  Block at(OpBuilder &b, Value place, Value listed = Value());
  /// Where an element of a list begins; that of place t is t − 1.
  Value element(OpBuilder &b, Value number);

private:
  struct Group {
    Value base, end, start;
  };
  void computeList(OpBuilder &b, ForBlocksOp loop, Slice &slice);
  Block find(OpBuilder &b, Value element, Value full, Value listed);
  Value select(OpBuilder &b, ArrayRef<Group> groups, Value element,
               function_ref<Value(const Group &)> value);

  /// A whole group's base is that of its last block.
  SmallVector<Group> whole, others;
  Value wholeTotal;
  int64_t step = 0;
  bool hasOneOther = false;
  /// Of a list: its operands.
  Value list, keyTile, length;
  bool unmasked = false;
  SmallVector<Value, 3> row;
};

} // namespace mlir::attn_gpu

#endif // FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_PLACES_H
