//===- Bounds.h - Bounds of a mask's values, as code ------------*- C++ -*-===//
//
// What the ops of a mask can give where their operands lie within bounds: the
// interval arithmetic of lib/Analysis/Masks, emitted. Sound as that is: what a
// pair of the rectangle gives lies within. A float bound that is NaN says
// nothing.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_BOUNDS_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_BOUNDS_H

#include "Scalar.h"

namespace fovea::gpu {

/// i64 for integers, f32, or i1: then low is "always", high is "for some".
struct Bound {
  Value low, high;
  /// Of integers, what is known while compiling.
  Interval interval;
};

class BoundEmitter {
public:
  BoundEmitter(Emitter &e, ScalarEmitter &scalars, TensorAccess &tensors)
      : e(e), scalars(scalars), tensors(tensors) {}

  /// Of an op whose operands (but memrefs) have the bounds.
  Bound evaluate(Operation *op, ArrayRef<Bound> operands);
  /// Of one value.
  Bound of(const Scalar &scalar);
  /// Positions from the first up to the last, which are wide.
  Bound positions(Value first, Value last) {
    return {first, last, {0, kMaxPosition}};
  }

private:
  Bound evaluateInteger(Operation *op, ArrayRef<Bound> x);
  Bound evaluateBit(Operation *op, ArrayRef<Bound> x);
  Bound evaluateFloat(Operation *op, ArrayRef<Bound> x);

  // Integers.
  Bound addOrSubtract(const Bound &x, const Bound &y, int sign);
  Bound multiply(const Bound &x, const Bound &y);
  Bound extremum(const Bound &x, const Bound &y, bool least);
  Bound absolute(const Bound &x);
  Bound divide(const Bound &x, const Bound &y);
  Bound remainder(const Bound &x, const Bound &y);
  Bound bits(Operation *op, const Bound &x, const Bound &y);
  Bound shift(const Bound &x, const Bound &y, bool left);
  Bound toInt(const Bound &x);
  Value floorDiv(Value x, Value y);
  /// Within 2^bits of zero.
  Value isNear(const Bound &x, unsigned bits);
  Bound anything() {
    return {e.c(INT64_MIN, e.i64), e.c(INT64_MAX, e.i64), {}};
  }
  /// The bounds where the condition holds, else anything.
  Bound guard(Value condition, Value low, Value high);

  // Bits.
  Bound compareIntegers(arith::CmpIOp op, const Bound &x, const Bound &y);
  Bound compareFloats(arith::CmpFOp op, const Bound &x, const Bound &y);
  Bound both(const Bound &x, const Bound &y) {
    return {e.land(x.low, y.low), e.land(x.high, y.high), {}};
  }
  Bound either(const Bound &x, const Bound &y) {
    return {e.lor(x.low, y.low), e.lor(x.high, y.high), {}};
  }
  Bound negate(const Bound &x) {
    return {e.lxor(x.high, yes()), e.lxor(x.low, yes()), {}};
  }
  Value yes() { return e.c(1, e.i1); }
  Value no() { return e.c(0, e.i1); }

  // Floats.
  /// With room for what rounds and is approximated; NaN where not finite.
  Bound widen(Value low, Value high);
  Bound nothing() { return {e.cf(NAN), e.cf(NAN), {}}; }
  Bound multiplyFloats(const Bound &x, const Bound &y, bool inverse);
  Bound rising(Operation *op, const Bound &x);
  Value least(Value x, Value y) { return e.bin<LLVM::MinimumOp>(x, y); }
  Value greatest(Value x, Value y) { return e.bin<LLVM::MaximumOp>(x, y); }
  Value isOrdered(Value x, Value y) {
    return e.fcmp(LLVM::FCmpPredicate::ord, x, y);
  }

  Bound select(const Bound &condition, const Bound &x, const Bound &y);
  Bound join(const Bound &x, const Bound &y);
  Bound read(attn::ReadOp op, ArrayRef<Bound> x);
  Bound readAll(attn::ReadOp op, ArrayRef<Value> firsts, ArrayRef<Value> counts,
                Value number);
  Bound anyElement(Type type, bool isUnsigned);

  Emitter &e;
  ScalarEmitter &scalars;
  TensorAccess &tensors;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_BOUNDS_H
