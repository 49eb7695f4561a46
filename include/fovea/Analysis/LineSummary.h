//===- LineSummary.h - Minima and maxima of ranges ---------------*- C++-*-===//
#ifndef FOVEA_ANALYSIS_LINESUMMARY_H
#define FOVEA_ANALYSIS_LINESUMMARY_H

#include "fovea/Analysis/Bounds.h"
#include "fovea/Runtime/TensorView.h"

#include <array>
#include <vector>

namespace fovea {

/// Minima and maxima of ranges of one line of a tensor. Blocks are summed up
/// when a range that holds them is asked for the first time, never before; one
/// thread's object.
template <typename BoundsT> class LineSummary {
public:
  LineSummary(const TensorView &tensor, int64_t offset, unsigned dim);
  /// Of the elements first … last, which are in range; kept until the next.
  const BoundsT &query(int64_t first, int64_t last);

private:
  /// Elements of a block of level 0, blocks of one of the next level.
  static constexpr int64_t leafRadix = 64, radix = 8;
  struct Block {
    BoundsT bounds;
    bool known = false;
  };
  BoundsT leaves(int64_t first, int64_t last) const;
  const BoundsT &block(size_t level, int64_t index);

  TensorView tensor;
  int64_t offset, stride, size;
  std::vector<std::vector<Block>> levels; // blocks of blocks
  /// Halving rectangles asks for the same ranges again and again.
  struct Answer {
    int64_t first = -1, last = -1;
    BoundsT bounds;
  };
  std::array<Answer, 256> answers;
  BoundsT compute(int64_t first, int64_t last);
};

extern template class LineSummary<IntBounds>;
extern template class LineSummary<FloatBounds>;

} // namespace fovea

#endif // FOVEA_ANALYSIS_LINESUMMARY_H
