//===- LineSummary.cpp - Minima and maxima of ranges ----------------------===//
#include "fovea/Analysis/LineSummary.h"

#include <algorithm>
#include <cmath>

using namespace fovea;

template <typename BoundsT>
LineSummary<BoundsT>::LineSummary(const TensorView &tensor, int64_t offset,
                                  unsigned dim)
    : tensor(tensor), offset(offset), stride(tensor.strides[dim]),
      size(tensor.sizes[dim]) {
  for (int64_t below = size, step = leafRadix; below > step; step = radix) {
    below = (below + step - 1) / step;
    levels.emplace_back(static_cast<size_t>(below));
  }
}

template <typename T>
static Interval extremes(const void *data, int64_t offset, int64_t stride,
                         int64_t count) {
  const T *values = static_cast<const T *>(data) + offset;
  // Several of each: one would wait for itself.
  constexpr int64_t chains = 4;
  T low[chains], high[chains];
  std::fill_n(low, chains, *values);
  std::fill_n(high, chains, *values);
  auto take = [&](int64_t chain, T value) {
    low[chain] = std::min(low[chain], value);
    high[chain] = std::max(high[chain], value);
  };
  int64_t i = 0;
  for (; i + chains <= count; i += chains)
    for (int64_t chain = 0; chain < chains; ++chain)
      take(chain, values[(i + chain) * stride]);
  for (; i < count; ++i)
    take(0, values[i * stride]);
  return {static_cast<int64_t>(*std::min_element(low, low + chains)),
          static_cast<int64_t>(*std::max_element(high, high + chains))};
}

static void sumUp(const TensorView &tensor, int64_t at, int64_t stride,
                  int64_t count, IntBounds &out) {
  if (tensor.dtype == DType::I32) {
    out = extremes<int32_t>(tensor.data, at, stride, count);
    return;
  }
  if (tensor.dtype == DType::I64) {
    out = extremes<int64_t>(tensor.data, at, stride, count);
    return;
  }
  Interval bounds = Interval::of(tensor.loadInt(at));
  for (int64_t i = 1; i < count; ++i) {
    int64_t value = tensor.loadInt(at + i * stride);
    bounds.low = std::min(bounds.low, value);
    bounds.high = std::max(bounds.high, value);
  }
  out = bounds;
}

static void sumUp(const TensorView &tensor, int64_t at, int64_t stride,
                  int64_t count, FloatBounds &out) {
  FloatBounds bounds(HUGE_VAL, -HUGE_VAL);
  for (int64_t i = 0; i < count; ++i) {
    double value = tensor.loadFloat(at + i * stride);
    bounds.nan |= std::isnan(value);
    bounds.low = std::fmin(bounds.low, value);
    bounds.high = std::fmax(bounds.high, value);
  }
  // An f64 element is rounded to f32 where that is the score type.
  out = tensor.dtype == DType::F64 ? rounded(bounds) : bounds;
}

template <typename BoundsT>
BoundsT LineSummary<BoundsT>::leaves(int64_t first, int64_t last) const {
  BoundsT out;
  sumUp(tensor, offset + first * stride, stride, last - first + 1, out);
  return out;
}

template <typename BoundsT>
const BoundsT &LineSummary<BoundsT>::block(size_t level, int64_t index) {
  Block &found = levels[level][index];
  if (found.known)
    return found.bounds;
  int64_t step = level == 0 ? leafRadix : radix, first = index * step;
  if (level == 0) {
    found.bounds = leaves(first, std::min(first + step, size) - 1);
  } else {
    auto below = static_cast<int64_t>(levels[level - 1].size());
    found.bounds = block(level - 1, first);
    for (int64_t i = first + 1; i < std::min(first + step, below); ++i)
      found.bounds = join(found.bounds, block(level - 1, i));
  }
  found.known = true;
  return found.bounds;
}

template <typename BoundsT>
const BoundsT &LineSummary<BoundsT>::query(int64_t first, int64_t last) {
  auto hash = static_cast<uint64_t>(first) * 0x9e3779b97f4a7c15 ^
              static_cast<uint64_t>(last) * 0xc2b2ae3d27d4eb4f;
  Answer &answer = answers[hash >> 56];
  if (answer.first != first || answer.last != last)
    answer = {first, last, compute(first, last)};
  return answer.bounds;
}

template <typename BoundsT>
BoundsT LineSummary<BoundsT>::compute(int64_t first, int64_t last) {
  BoundsT bounds;
  bool any = false;
  auto add = [&](const BoundsT &more) {
    bounds = any ? join(bounds, more) : more;
    any = true;
  };
  for (size_t level = 0; first <= last; ++level) {
    // Whole blocks are left to the level above.
    bool top = level == levels.size();
    int64_t step = level == 0 ? leafRadix : radix;
    int64_t head = top ? last + 1 : (first + step - 1) / step * step;
    int64_t tail = top ? last + 1 : (last + 1) / step * step;
    if (head > tail)
      head = tail = last + 1;
    if (level == 0) {
      if (first < head)
        add(leaves(first, head - 1));
      if (tail <= last)
        add(leaves(tail, last));
    } else {
      for (int64_t i = first; i < head; ++i)
        add(block(level - 1, i));
      for (int64_t i = tail; i <= last; ++i)
        add(block(level - 1, i));
    }
    first = head / step;
    last = tail / step - 1;
  }
  return bounds;
}

template class fovea::LineSummary<IntBounds>;
template class fovea::LineSummary<FloatBounds>;
