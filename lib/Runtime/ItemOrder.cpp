//===- ItemOrder.cpp - Sparse calls, the dearest items first --------------===//
#include "ItemOrder.h"
#include "fovea/Runtime/ThreadPool.h"

#include "llvm/ADT/bit.h"

#include <algorithm>

using namespace fovea;

/// Quarters of full tiles of keys; a partial tile asks the mask besides.
static int64_t costOf(llvm::ArrayRef<int32_t> runs) {
  int64_t cost = 0, begin = 0;
  for (int32_t run : runs) {
    int64_t end = TileRuns::endOf(run);
    int kind = TileRuns::classOf(run);
    cost += (end - begin) * (kind == 2 ? 4 : kind == 1 ? 5 : 0);
    begin = end;
  }
  return cost;
}

/// Costs that are alike to a fifth share a bucket; dearer ones come first.
static constexpr size_t numBuckets = 256;
static size_t bucketOf(int64_t cost) {
  auto value = static_cast<uint64_t>(cost) << 2;
  if (value == 0)
    return numBuckets - 1;
  auto log = static_cast<size_t>(llvm::bit_width(value) - 1);
  return numBuckets - 2 - (log << 2 | (value >> (log - 2) & 3));
}

/// A thread's share of the work over what the dearest item may take.
static constexpr double tolerable = 32;

double fovea::orderItems(const LaunchView &view, const TileRuns &runs,
                         int64_t itemRows, int64_t items,
                         std::vector<int64_t> &order) {
  if (itemRows < 1)
    return estimateWork(view);
  struct RowCost {
    int64_t cost;
    size_t bucket;
  };
  std::vector<RowCost> costs(static_cast<size_t>(runs.numRows()));
  for (size_t row = 0; row < costs.size(); ++row) {
    int64_t cost = costOf(runs.ofRow(static_cast<int64_t>(row)));
    costs[row] = {cost, bucketOf(cost)};
  }
  const RowCost nothing = {0, bucketOf(0)};
  int64_t planes = view.batch * view.queryHeads, tiles = items / planes;
  int64_t perTile = (view.blockQ + itemRows - 1) / itemRows;
  // All threads wait for this: nothing is divided for each item.
  auto forItems = [&](auto visit) {
    int64_t item = 0;
    for (int64_t plane = 0; plane < planes; ++plane) {
      int64_t b = plane / view.queryHeads, h = plane % view.queryHeads;
      int64_t length = view.qLengths[static_cast<size_t>(b)];
      int64_t end = item + tiles, row = runs.row(b, h, 0);
      for (int64_t begin = 0; item < end; begin += view.blockQ, ++row) {
        // Past a length there may be no row of tiles.
        RowCost found =
            begin < length ? costs[static_cast<size_t>(row)] : nothing;
        for (int64_t endOfTile = std::min(item + perTile, end);
             item < endOfTile; ++item)
          visit(item, found);
      }
    }
  };
  std::vector<int64_t> starts(numBuckets + 1);
  double total = 0;
  int64_t dearest = 0;
  forItems([&](int64_t, RowCost found) {
    total += static_cast<double>(found.cost);
    dearest = std::max(dearest, found.cost);
    ++starts[found.bucket + 1];
  });
  // Neighbours find each other's keys in the caches: they stay together where
  // waiting for the last one takes little.
  auto used = [](int64_t count) { return count != 0; };
  if (std::count_if(starts.begin() + 1, starts.end(), used) > 2 &&
      static_cast<double>(dearest) * tolerable * ThreadPool::numThreads() >
          total) {
    for (size_t bucket = 0; bucket < numBuckets; ++bucket)
      starts[bucket + 1] += starts[bucket];
    order.resize(static_cast<size_t>(items));
    forItems([&](int64_t item, RowCost found) {
      order[static_cast<size_t>(starts[found.bucket]++)] = item;
    });
  }
  double pairs = static_cast<double>(view.queryLength) *
                 static_cast<double>(view.kvLength) *
                 static_cast<double>(planes);
  double rows = static_cast<double>(std::min(itemRows, view.blockQ));
  return estimateWork(view) / std::max(pairs, 1.0) * total / 4 * rows *
         static_cast<double>(view.blockKV);
}

ItemRows fovea::rowsOfItem(const LaunchView &view, const KernelCode &code,
                           bool hasRuns, int64_t items, int64_t tileItems,
                           int64_t item) {
  int64_t inPlane = items / (view.batch * view.queryHeads);
  if (code.itemRows < 1 || code.otherItems || inPlane < 1)
    return ItemRows::OfSequence;
  int64_t length =
      view.qLengths[static_cast<size_t>(item / inPlane / view.queryHeads)];
  item %= inPlane;
  if (!hasRuns && !code.scansKeys) // these run backwards
    item = inPlane - 1 - item;
  int64_t tile = item / tileItems;
  int64_t row = item % tileItems * (code.itemRows / tileItems);
  auto divided = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
  int64_t perTile = hasRuns ? divided(view.blockQ, code.itemRows) : 1;
  int64_t tileRows = hasRuns ? view.blockQ : code.itemRows;
  int64_t past = tile - divided(length, tileRows) * perTile;
  if (past >= 0)
    return past * code.itemRows + row < view.queryLength - length
               ? ItemRows::PastLength
               : ItemRows::None;
  row += tile / perTile * tileRows + tile % perTile * code.itemRows;
  return row < length ? ItemRows::OfSequence : ItemRows::None;
}
