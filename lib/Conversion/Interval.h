//===- Interval.h - What an integer of a kernel lies within -----*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_INTERVAL_H
#define FOVEA_LIB_CONVERSION_INTERVAL_H

#include <algorithm>
#include <cstdint>

namespace fovea::lowering {

/// A closed interval of i64; everything where a bound would overflow.
struct Interval {
  int64_t lo = INT64_MIN, hi = INT64_MAX;
  static Interval of(__int128 lo, __int128 hi) {
    if (lo < INT64_MIN || hi > INT64_MAX)
      return {};
    return {int64_t(lo), int64_t(hi)};
  }
  static Interval join(Interval a, Interval b) {
    return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
  }
  bool fits32() const { return lo >= INT32_MIN && hi <= INT32_MAX; }
};

} // namespace fovea::lowering

#endif // FOVEA_LIB_CONVERSION_INTERVAL_H
