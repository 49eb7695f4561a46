//===- Bounds.cpp - Bounds of integers and conditions ---------------------===//

#include "Bounds.h"

using namespace fovea::gpu;
using P = LLVM::ICmpPredicate;

Bound BoundEmitter::of(const Scalar &scalar) {
  Value value = scalar.value;
  Type type = value.getType();
  if (type != e.i1 && type != e.f32)
    value = scalars.wide(scalar);
  return {value, value, scalar.interval};
}

Bound BoundEmitter::evaluate(Operation *op, ArrayRef<Bound> x) {
  e.loc = op->getLoc();
  if (auto readOp = dyn_cast<attn::ReadOp>(op))
    return read(readOp, x);
  if (isa<arith::SelectOp>(op))
    return select(x[0], x[1], x[2]);
  Type type = op->getResult(0).getType();
  if (type.isInteger(1))
    return evaluateBit(op, x);
  return type.isF32() ? evaluateFloat(op, x) : evaluateInteger(op, x);
}

Bound BoundEmitter::guard(Value condition, Value low, Value high) {
  Bound any = anything();
  return {e.select(condition, low, any.low),
          e.select(condition, high, any.high),
          {}};
}

Value BoundEmitter::isNear(const Bound &x, unsigned bits) {
  Value limit = e.c(int64_t(1) << bits, e.i64);
  Value lowest = e.c(-(int64_t(1) << bits), e.i64);
  return e.land(e.icmp(P::sge, x.low, lowest), e.icmp(P::sle, x.high, limit));
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

static bool isKnown(Interval interval) {
  return interval.lo != INT64_MIN || interval.hi != INT64_MAX;
}

Bound BoundEmitter::addOrSubtract(const Bound &x, const Bound &y, int sign) {
  Interval a = x.interval, b = y.interval;
  Interval known =
      sign > 0 ? Interval::of((__int128)a.lo + b.lo, (__int128)a.hi + b.hi)
               : Interval::of((__int128)a.lo - b.hi, (__int128)a.hi - b.lo);
  Value low = sign > 0 ? e.add(x.low, y.low) : e.sub(x.low, y.high);
  Value high = sign > 0 ? e.add(x.high, y.high) : e.sub(x.high, y.low);
  if (isKnown(known))
    return {low, high, known};
  return guard(e.land(isNear(x, 61), isNear(y, 61)), low, high);
}

Bound BoundEmitter::multiply(const Bound &x, const Bound &y) {
  Interval a = x.interval, b = y.interval;
  __int128 known[] = {(__int128)a.lo * b.lo, (__int128)a.lo * b.hi,
                      (__int128)a.hi * b.lo, (__int128)a.hi * b.hi};
  Interval interval = isKnown(a) && isKnown(b)
                          ? Interval::of(*std::min_element(known, known + 4),
                                         *std::max_element(known, known + 4))
                          : Interval{};
  Value corners[] = {e.mul(x.low, y.low), e.mul(x.low, y.high),
                     e.mul(x.high, y.low), e.mul(x.high, y.high)};
  Value low = corners[0], high = corners[0];
  for (Value corner : ArrayRef<Value>(corners).drop_front()) {
    low = e.smin(low, corner);
    high = e.smax(high, corner);
  }
  if (isKnown(interval))
    return {low, high, interval};
  return guard(e.land(isNear(x, 31), isNear(y, 31)), low, high);
}

Bound BoundEmitter::extremum(const Bound &x, const Bound &y, bool least) {
  Interval a = x.interval, b = y.interval;
  if (least)
    return {e.smin(x.low, y.low),
            e.smin(x.high, y.high),
            {std::min(a.lo, b.lo), std::min(a.hi, b.hi)}};
  return {e.smax(x.low, y.low),
          e.smax(x.high, y.high),
          {std::max(a.lo, b.lo), std::max(a.hi, b.hi)}};
}

Bound BoundEmitter::absolute(const Bound &x) {
  Value zero = e.c(0, e.i64), opposite = e.sub(zero, x.low);
  Value low = e.smax(e.smax(x.low, e.sub(zero, x.high)), zero);
  Value high = e.smax(opposite, x.high);
  // The opposite of the least integer is itself.
  Bound any = anything();
  Value isLeast = e.icmp(P::eq, x.low, any.low);
  return {
      e.select(isLeast, any.low, low), e.select(isLeast, any.high, high), {}};
}

Value BoundEmitter::floorDiv(Value x, Value y) {
  return scalars.divide({x, {}}, {y, {}}, /*remainder=*/false).value;
}

/// By what is positive.
Bound BoundEmitter::divide(const Bound &x, const Bound &y) {
  Value zero = e.c(0, e.i64);
  auto quotient = [&](Value value, Value ifNegative, Value otherwise) {
    Value isNegative = e.icmp(P::slt, value, zero);
    return floorDiv(value, e.select(isNegative, ifNegative, otherwise));
  };
  return guard(e.icmp(P::sgt, y.low, zero), quotient(x.low, y.low, y.high),
               quotient(x.high, y.high, y.low));
}

/// By what is positive: exact where the divisor is one value and the dividend
/// passes no multiple of it.
Bound BoundEmitter::remainder(const Bound &x, const Bound &y) {
  Value zero = e.c(0, e.i64);
  auto rest = [&](Value value) {
    return scalars.divide({value, {}}, {y.high, {}}, /*remainder=*/true).value;
  };
  Value isOne = e.icmp(P::eq, y.low, y.high);
  Value sameQuotient =
      e.icmp(P::eq, floorDiv(x.low, y.high), floorDiv(x.high, y.high));
  Value isExact = e.land(isOne, sameQuotient);
  Value low = e.select(isExact, rest(x.low), zero);
  Value high = e.select(isExact, rest(x.high), e.add(y.high, -1));
  return guard(e.icmp(P::sgt, y.low, zero), low, high);
}

/// Bits above the highest one that an operand can change are known.
Bound BoundEmitter::bits(Operation *op, const Bound &x, const Bound &y) {
  auto apply = [&](Value a, Value b) {
    return isa<arith::AndIOp>(op)  ? e.land(a, b)
           : isa<arith::OrIOp>(op) ? e.lor(a, b)
                                   : e.lxor(a, b);
  };
  Value change = e.lor(e.lxor(x.low, x.high), e.lxor(y.low, y.high));
  Value zeros = LLVM::CountLeadingZerosOp::create(e.b, e.loc, e.i64, change,
                                                  /*is_zero_poison=*/false);
  Value zero = e.c(0, e.i64), ones = e.c(-1, e.i64);
  Value shifted = e.lshr(ones, e.umin(zeros, e.c(63, e.i64)));
  Value free = e.select(e.icmp(P::eq, change, zero), zero, shifted);
  Value low = e.land(apply(x.low, y.low), e.lxor(free, ones));
  Value sameSign = e.icmp(P::sge, change, zero);
  return guard(sameSign, low, e.lor(low, free));
}

/// By what is one value from 0 to 62.
Bound BoundEmitter::shift(const Bound &x, const Bound &y, bool left) {
  Value inside = e.land(e.land(e.icmp(P::eq, y.low, y.high),
                               e.icmp(P::sge, y.low, e.c(0, e.i64))),
                        e.icmp(P::sle, y.low, e.c(62, e.i64)));
  Value count = e.select(inside, y.low, e.c(0, e.i64));
  Value low = left ? e.shl(x.low, count) : e.ashr(x.low, count);
  Value high = left ? e.shl(x.high, count) : e.ashr(x.high, count);
  if (left) {
    Value back = e.land(e.icmp(P::eq, e.ashr(low, count), x.low),
                        e.icmp(P::eq, e.ashr(high, count), x.high));
    inside = e.land(inside, back);
  }
  return guard(inside, low, high);
}

Bound BoundEmitter::toInt(const Bound &x) {
  auto convert = [&](Value value) {
    return e.intrinsic("llvm.fptosi.sat.i64.f32", e.i64, value);
  };
  return guard(isOrdered(x.low, x.high), convert(x.low), convert(x.high));
}

Bound BoundEmitter::evaluateInteger(Operation *op, ArrayRef<Bound> x) {
  return TypeSwitch<Operation *, Bound>(op)
      .Case([&](arith::AddIOp) { return addOrSubtract(x[0], x[1], 1); })
      .Case([&](arith::SubIOp) { return addOrSubtract(x[0], x[1], -1); })
      .Case([&](arith::MulIOp) { return multiply(x[0], x[1]); })
      .Case([&](arith::MinSIOp) { return extremum(x[0], x[1], true); })
      .Case([&](arith::MaxSIOp) { return extremum(x[0], x[1], false); })
      .Case([&](math::AbsIOp) { return absolute(x[0]); })
      .Case([&](attn::FloorDivOp) { return divide(x[0], x[1]); })
      .Case([&](attn::ModOp) { return remainder(x[0], x[1]); })
      .Case<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(
          [&](Operation *same) { return bits(same, x[0], x[1]); })
      .Case([&](attn::ShlOp) { return shift(x[0], x[1], true); })
      .Case([&](attn::ShrOp) { return shift(x[0], x[1], false); })
      .Case([&](attn::ToIntOp) { return toInt(x[0]); })
      .Case([&](arith::ExtUIOp) {
        return Bound{e.zext(x[0].low), e.zext(x[0].high), {0, 1}};
      })
      .Default([&](Operation *) { return anything(); });
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

Bound BoundEmitter::evaluateBit(Operation *op, ArrayRef<Bound> x) {
  return TypeSwitch<Operation *, Bound>(op)
      .Case([&](arith::AndIOp) { return both(x[0], x[1]); })
      .Case([&](arith::OrIOp) { return either(x[0], x[1]); })
      .Case([&](arith::XOrIOp) {
        return either(both(x[0], negate(x[1])), both(negate(x[0]), x[1]));
      })
      .Case([&](arith::CmpIOp cmp) { return compareIntegers(cmp, x[0], x[1]); })
      .Case([&](arith::CmpFOp cmp) { return compareFloats(cmp, x[0], x[1]); })
      .Default([&](Operation *) { return Bound{no(), yes(), {}}; });
}

Bound BoundEmitter::compareIntegers(arith::CmpIOp op, const Bound &x,
                                    const Bound &y) {
  auto below = [&](P predicate, const Bound &a, const Bound &b) -> Bound {
    return {
        e.icmp(predicate, a.high, b.low), e.icmp(predicate, a.low, b.high), {}};
  };
  auto equal = [&]() -> Bound {
    Value apart =
        e.lor(e.icmp(P::slt, x.high, y.low), e.icmp(P::slt, y.high, x.low));
    Value one =
        e.land(e.icmp(P::eq, x.low, x.high), e.icmp(P::eq, y.low, y.high));
    return {e.land(one, e.icmp(P::eq, x.low, y.low)), e.lxor(apart, yes()), {}};
  };
  if (op.getLhs().getType().isInteger(1))
    return {no(), yes(), {}};
  switch (op.getPredicate()) {
  case arith::CmpIPredicate::eq:
    return equal();
  case arith::CmpIPredicate::ne:
    return negate(equal());
  case arith::CmpIPredicate::slt:
    return below(P::slt, x, y);
  case arith::CmpIPredicate::sle:
    return below(P::sle, x, y);
  case arith::CmpIPredicate::sgt:
    return below(P::slt, y, x);
  case arith::CmpIPredicate::sge:
    return below(P::sle, y, x);
  default:
    return {no(), yes(), {}};
  }
}

Bound BoundEmitter::select(const Bound &condition, const Bound &x,
                           const Bound &y) {
  Bound either = join(x, y);
  auto choose = [&](Value yes, Value no, Value open) {
    return e.select(condition.low, yes, e.select(condition.high, open, no));
  };
  return {choose(x.low, y.low, either.low), choose(x.high, y.high, either.high),
          either.interval};
}

Bound BoundEmitter::join(const Bound &x, const Bound &y) {
  Type type = x.low.getType();
  if (type == e.i1)
    return {e.land(x.low, y.low), e.lor(x.high, y.high), {}};
  if (type == e.f32)
    return {least(x.low, y.low), greatest(x.high, y.high), {}};
  return {e.smin(x.low, y.low),
          e.smax(x.high, y.high),
          {std::min(x.interval.lo, y.interval.lo),
           std::max(x.interval.hi, y.interval.hi)}};
}
