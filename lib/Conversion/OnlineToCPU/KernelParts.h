//===- KernelParts.h - What the parts of a kernel hand on -------*- C++ -*-===//
//
// Values and layouts that functions of KernelEmitter give each other.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNELPARTS_H
#define FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNELPARTS_H

#include "KernelSpec.h"

namespace fovea::cpu {

/// Scratch of one running item: name by name, offsets known at compile time.
class ScratchLayout {
public:
  int64_t reserve(int64_t bytes) {
    int64_t offset = size;
    size += (bytes + 63) / 64 * 64;
    return offset;
  }
  int64_t bytes() const { return size; }

private:
  int64_t size = 0;
};

/// Rows of a tensor as the micro-kernels read them: element (r, d) of the block
/// at base[r · stride + d], of the packed type. Values in pairs: the pair (r,
/// d) of rows 2 r and 2 r + 1, of 32 bits.
struct BlockRows {
  Value base, stride;
  /// Where the last, incomplete group of rows is padded with zeros.
  Value tailBase, tailStride;
  /// Of the short form: a GroupRows for each group, in memory.
  Value groups = {};
  /// They may lie in place, so that loops over them fetch ahead.
  bool mayStay = false;
};

/// Rows of one group of keys: the address of the first, the stride in elements.
struct GroupRows {
  Value base, stride;
  /// The same of what is read after the group, where it is fetched.
  Value next, nextStride;
};

/// Rows that a loop reads in turn, `stride` elements apart; null: one.
struct RowArray {
  Value base, stride;
  Type element;
};

/// A pass over the values: some rows of a panel, from the first on, by some
/// columns of O, whose vectors follow each other at each row's address.
struct RowPass {
  Value first, column;
  SmallVector<VectorType> columns;
  Values output;
};

/// Of the short form: keys or values, and the table of a block's groups.
struct ShortRows {
  online::ViewOp view;
  int64_t dim, packed; ///< the offset of copies
  bool isKeys;
  BlockRows table;
};

/// Of the short form: a group of keys of a head of the item.
struct ShortGroup {
  Value start; ///< in the block
  Value head, key, taken;
  std::pair<Value, Value> place;
};

/// What a loop fetches of rows: `lines` lines a step, which panels share.
struct Fetch {
  Value base, stride;
  int64_t rowLines = 0, lines = 0;
  /// Whether the pass is the first that reads its rows.
  Value first = {};
};

/// Runs of keys: those that some lane of a panel sees; then, by number, those
/// that some row of a group of rows sees.
enum RunKind : int64_t { LiveRuns, RowRuns };

/// What a panel notes whose weights are yet to be computed: how many runs it
/// has; whether no block has met it before; keys that are woven, from, to.
enum PendingField : int64_t { PendingRuns, PendingFresh, WovenFrom, WovenTo };

/// Lines that a loop fetches: one a step, so many bytes apart. It begins at a
/// line of a column of the array in an entry; a cursor says which.
struct LineFetch {
  Value base, stride, line, entry, cursor;
};

/// Keys that an item sees, and the rows of their tensor.
struct KeySpan {
  Value begin, end, rows;
};

/// What is fetched: the next block, the next item, nothing.
enum FetchCursor : int64_t { OfBlock, OfItem, OfNothing };

} // namespace fovea::cpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNELPARTS_H
