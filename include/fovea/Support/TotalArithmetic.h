//===- TotalArithmetic.h - Arithmetic without undefined cases ---*- C++ -*-===//
//
// Rules S8 and S13: the same results on every engine. Folders, interpreters and
// the tests of generated code all take these definitions.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_SUPPORT_TOTALARITHMETIC_H
#define FOVEA_SUPPORT_TOTALARITHMETIC_H

#include <cmath>
#include <cstdint>
#include <limits>

namespace fovea {

inline int64_t wrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}
inline int64_t wrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) -
                              static_cast<uint64_t>(b));
}
inline int64_t wrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) *
                              static_cast<uint64_t>(b));
}

/// Rounds towards minus infinity; x // 0 = 0; -2^63 // -1 wraps.
inline int64_t floorDiv(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  if (b == -1)
    return wrapSub(0, a);
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/// Has the sign of the divisor; x % 0 = 0.
inline int64_t floorMod(int64_t a, int64_t b) {
  if (b == 0 || b == -1)
    return 0;
  int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b
                                                      : remainder;
}

/// A count outside 0...63 gives 0.
inline int64_t shiftLeft(int64_t a, int64_t count) {
  return count < 0 || count > 63
             ? 0
             : static_cast<int64_t>(static_cast<uint64_t>(a) << count);
}

/// Arithmetic; a count outside 0...63 gives 0, or -1 for a negative value.
inline int64_t shiftRight(int64_t a, int64_t count) {
  return count < 0 || count > 63 ? (a < 0 ? -1 : 0) : a >> count;
}

/// Truncates and saturates; NaN gives 0.
inline int64_t toInt(double x) {
  if (x != x)
    return 0;
  if (x >= 9223372036854775808.0)
    return std::numeric_limits<int64_t>::max();
  if (x < -9223372036854775808.0)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(x);
}

/// IEEE 754's minimum and maximum: NaN wins, -0 lies below +0.
inline double minimum(double a, double b) {
  if (a != a || b != b)
    return a + b;
  return a < b || (a == b && std::signbit(a)) ? a : b;
}
inline double maximum(double a, double b) {
  if (a != a || b != b)
    return a + b;
  return a > b || (a == b && !std::signbit(a)) ? a : b;
}

} // namespace fovea

#endif // FOVEA_SUPPORT_TOTALARITHMETIC_H
