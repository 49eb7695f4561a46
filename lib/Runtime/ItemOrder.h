//===- ItemOrder.h - Sparse calls, the dearest items first ------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_ITEMORDER_H
#define FOVEA_LIB_RUNTIME_ITEMORDER_H

#include "fovea/Runtime/Driver.h"

#include <vector>

namespace fovea {

/// Counts the tiles of every item; itemRows is 0 where it is not known. Fills
/// `order` where they differ by so much that threads would wait for the last
/// ones, and returns the multiply-adds of the call.
double orderItems(const LaunchView &view, const TileRuns &runs,
                  int64_t itemRows, int64_t items, std::vector<int64_t> &order);

/// Whether an item has rows within its sequence: those of the tile that follows
/// them are none but where a sequence is shorter than others.
bool hasRows(const LaunchView &view, const KernelCode &code, bool hasRuns,
             int64_t items, int64_t item);

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_ITEMORDER_H
