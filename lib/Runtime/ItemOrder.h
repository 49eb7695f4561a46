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

/// Whose rows an item has, of so many of which some are a tile: those of a
/// sequence, rows past its length, which are a tile of their own, or none, as
/// the last panels of a tile may.
enum class ItemRows { OfSequence, PastLength, None };
ItemRows rowsOfItem(const LaunchView &view, const KernelCode &code,
                    bool hasRuns, int64_t items, int64_t tileItems,
                    int64_t item);

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_ITEMORDER_H
