//===- Scalar.h - Scalars of tiles and of regions ---------------*- C++ -*-===//
//
// Evaluates scalar ops. An index is 32 bits wide (positions lie below 2^24);
// an i64 is held in 32 bits where intervals prove that nothing is lost.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_SCALAR_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_SCALAR_H

#include "../Interval.h"
#include "Emitter.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"

namespace fovea::gpu {

/// Positions and sizes are at most this, a condition of each launch; so are
/// their floats exact.
inline constexpr int64_t kMaxPosition = (int64_t(1) << 24) - 1;

/// Index arithmetic (tile numbers, bounds) stays within this on either side, so
/// that sums of two fit 32 bits.
inline constexpr int64_t kMaxIndex = (int64_t(1) << 30) - 1;

using lowering::Interval;

/// An evaluated scalar: integers with their interval, held in i32 or i64.
struct Scalar {
  Value value;
  Interval interval;
};

/// What reading a tensor needs.
class TensorAccess {
public:
  virtual ~TensorAccess() = default;
  virtual Value getPointer(Value memref) = 0;
  virtual Value getStride(Value memref, unsigned dim) = 0;
  virtual Value getSize(Value memref, unsigned dim) = 0;
};

class ScalarEmitter {
public:
  ScalarEmitter(Emitter &e, TensorAccess &tensors) : e(e), tensors(tensors) {}

  /// Evaluates an op; fails with a diagnostic where this target has not got it.
  FailureOr<Scalar> evaluate(Operation *op, ArrayRef<Scalar> operands);
  /// A scalar of an index or i64 type that fits 32 bits.
  Scalar index(Value value, int64_t lo = -kMaxIndex, int64_t hi = kMaxIndex) {
    return {value, {lo, hi}};
  }
  Value wide(const Scalar &x);
  /// S8: floors; x // 0 = x % 0 = 0.
  Scalar divide(const Scalar &x, const Scalar &y, bool remainder);
  /// Conditions tell apart what scores do not: division and roots are rounded
  /// correctly, tanh is not the instruction.
  void setExact(bool exact) { isExact = exact; }

private:
  FailureOr<Scalar> evaluateInteger(Operation *op, ArrayRef<Scalar> x);
  FailureOr<Scalar> evaluateArithmetic(Operation *op, ArrayRef<Scalar> x);
  FailureOr<Scalar> evaluateFloat(Operation *op, ArrayRef<Scalar> x);
  FailureOr<Scalar> evaluateMath(Operation *op, ArrayRef<Scalar> x);
  FailureOr<Scalar> read(attn::ReadOp op, ArrayRef<Scalar> x);
  FailureOr<Scalar> compare(arith::CmpIOp op, ArrayRef<Scalar> x);
  FailureOr<Scalar> unsupported(Operation *op);
  Scalar shift(const Scalar &x, const Scalar &y, bool left);
  Value tanh(Value x);
  Value sine(Value x, StringRef name);
  Value erf(Value x);
  Value log1p(Value x);
  /// The operands in one width: 32 bits where both, and the result, fit.
  std::pair<Value, Value> align(const Scalar &x, const Scalar &y,
                                Interval result);
  template <typename Op>
  Scalar arithmetic(const Scalar &x, const Scalar &y, Interval result) {
    auto [a, b] = align(x, y, result);
    return {e.bin<Op>(a, b), result};
  }

  Emitter &e;
  TensorAccess &tensors;
  bool isExact = false;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_SCALAR_H
