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
/// Where products are narrowed at edges (`edges`) other blocks, too, are
/// numbered from a segment's last one down: place 0 is the diagonal's first, of
/// which every warpgroup sees something, and its last comes last.
///
/// Where there is at most one other, which place 0 then is, no block behind it
/// needs a mask.
///
/// The elements of a block mask's list lie in memory: the loading role reads
/// where one begins, and hands it on beside the keys.
///
/// Those of a joint list have an order of their own, and places are a
/// warpgroup's: it is told its first element and with each how far the next is.
class Places {
public:
  /// What is known of a loop's segments at compile time.
  struct Facts {
    /// Of full ones, in their order: whether a part of a block may be left.
    SmallVector<bool> hasTail;
    /// Whether there is at most one block that is not whole.
    bool hasOneOther = false;
    /// Whether others are numbered from the last one down.
    bool endsAtEdge = false;
    /// Of a joint list: whether rows are shared out by their lengths.
    bool isSorted = false;

    static Facts of(ForBlocksOp loop);
  };
  /// Computes the order of a loop from its segments or its list.
  static Places compute(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                        Slice &slice);
  /// Whether blocks begin where a list says.
  bool isListed() const { return bool(list); }
  bool isJoint() const { return bool(queryTile); }

  /// All that the order is made of, to travel as records.
  SmallVector<Value *> values();
  /// Of a joint list, kOwn records for each warpgroup: the last one is its
  /// first query.
  SmallVector<Value, 8> own;
  static constexpr int64_t kOwn = 4;
  /// The order again from these values, which have travelled, the warpgroup's
  /// own behind the others. Constants among them stay constants.
  static Places restore(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                        Slice slice, ValueRange travelled);

  /// How many places there are: at least one.
  Value total;
  /// Places below it, but for 0, are full.
  Value fullEnd;
  /// Of a joint list: how many elements it has, which is first the warpgroup's,
  /// and where the tile would begin that has its queries.
  Value uses, start, origin;

  /// What is known of a block of a list beside its keys.
  struct Listed {
    Value n0, link;
  };
  /// The block of a place: its first key and how many keys belong to it, or
  /// which one is the first that does (`cut_front`); whether all are visible,
  /// by its place; and whether those that belong are.
  struct Block {
    Value n0, count, full, isVisible;
  };
  /// `listed`: for who has been told.
  Block first(OpBuilder &b, Listed listed = {});
  Block at(OpBuilder &b, Value place, Listed listed = {});
  /// An element of a list: where it begins, and of a joint one the links. That
  /// of place t is t − 1, of a joint list t.
  SmallVector<Value> element(OpBuilder &b, Value number);
  /// How far behind an element the warpgroup's next one is.
  static Value distance(OpBuilder &b, Value link);

private:
  /// `base` is where the first block of a group begins, `end` the group's end;
  /// where others are numbered down, where the last one begins; where they are
  /// cut in front, `end` is the begin.
  struct Group {
    Value base, end, start;
  };
  void computeList(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                   Slice &slice);
  void setJoint(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                Slice &slice);
  void computeJoint(OpBuilder &b);
  Block find(OpBuilder &b, Value element, Value full, Listed listed);
  Block findJoint(OpBuilder &b, Value full, Listed listed);
  Value select(OpBuilder &b, ArrayRef<Group> groups, Value element,
               function_ref<Value(const Group &)> value);

  /// A whole group's base is that of its last block.
  SmallVector<Group> whole, others;
  Value wholeTotal;
  int64_t step = 0;
  bool hasOneOther = false, cutsFront = false, endsAtEdge = false;
  /// Of a list: its operands.
  Value list, queryTile, keyTile, length, tiles;
  /// Not 0 where the last element, which place 0 is, is of a full tile.
  Value isLastFull;
  bool unmasked = false;
  IntegerSetAttr visible;
  int64_t reach = 0, groups = 0;
  SmallVector<Value, 3> row;
};

} // namespace mlir::attn_gpu

#endif // FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_PLACES_H
