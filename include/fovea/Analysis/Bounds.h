//===- Bounds.h - Sets of numbers, from above --------------------*- C++-*-===//
//
// Intervals with congruences for integers, intervals with a NaN mark for
// floats. Every operation contains all results of the members of its operands,
// with the total arithmetic of S8 and S13.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_BOUNDS_H
#define FOVEA_ANALYSIS_BOUNDS_H

#include "fovea/Frontend/Program.h"

#include <cstdint>

namespace fovea {

/// All integers from low to high.
struct Interval {
  int64_t low = INT64_MIN, high = INT64_MAX;
  static Interval of(int64_t value) { return {value, value}; }
  bool isPoint() const { return low == high; }
  bool contains(int64_t value) const { return low <= value && value <= high; }
};

/// The members of an interval that are residue modulo modulus (1 or more).
struct IntBounds {
  int64_t low = INT64_MIN, high = INT64_MAX;
  int64_t modulus = 1, residue = 0;

  IntBounds() = default;
  IntBounds(int64_t low, int64_t high) : low(low), high(high) {}
  IntBounds(Interval interval) : low(interval.low), high(interval.high) {}
  static IntBounds of(int64_t value) { return {value, value}; }
  bool isPoint() const { return low == high; }
  bool contains(int64_t value) const;
  Interval interval() const { return {low, high}; }
};

/// All floats from low to high, and NaN if `nan`. The ends of what rounds lie
/// so far out that arithmetic in f32 and in f64 stays within.
struct FloatBounds {
  double low, high;
  bool nan = false;
  FloatBounds(); // everything
  FloatBounds(double low, double high, bool nan = false)
      : low(low), high(high), nan(nan) {}
  static FloatBounds of(double value);
  bool isPoint() const { return low == high && !nan; }
  /// Neither NaN nor -inf nor +inf is in it.
  bool isFinite() const;
  bool contains(double value) const;
};

IntBounds join(const IntBounds &a, const IntBounds &b);
FloatBounds join(const FloatBounds &a, const FloatBounds &b);
/// With the ends moved to members of the residue class.
IntBounds withCongruence(Interval interval, __int128 modulus, __int128 residue);

/// A binary or unary operation (unary: `b` is not looked at) with an i64
/// result.
IntBounds evaluateInteger(NodeKind kind, const IntBounds &a,
                          const IntBounds &b);
/// Comparisons of integers and operations on i1, as bounds of 0 and 1.
IntBounds evaluateCondition(NodeKind kind, const IntBounds &a,
                            const IntBounds &b);
FloatBounds evaluateFloat(NodeKind kind, const FloatBounds &a,
                          const FloatBounds &b);
/// Comparisons of floats.
IntBounds compareFloats(NodeKind kind, const FloatBounds &a,
                        const FloatBounds &b);
/// With room for a rounding to f32.
FloatBounds rounded(const FloatBounds &a);
FloatBounds convertToFloat(const IntBounds &a);
IntBounds convertToInt(const FloatBounds &a);

} // namespace fovea

#endif // FOVEA_ANALYSIS_BOUNDS_H
