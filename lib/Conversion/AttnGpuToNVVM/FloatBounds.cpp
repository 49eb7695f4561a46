//===- FloatBounds.cpp - Bounds of floats and of reads --------------------===//

#include "Bounds.h"

using namespace fovea::gpu;
using P = LLVM::FCmpPredicate;

/// As lib/Analysis/Masks does.
Bound BoundEmitter::widen(Value low, Value high) {
  auto room = [&](Value value) {
    Value size = LLVM::FAbsOp::create(e.b, e.loc, value);
    return e.fma(size, e.cf(0x1p-18), e.cf(1e-37));
  };
  low = e.fsub(low, room(low));
  high = e.fadd(high, room(high));
  Value isFinite = e.land(e.fcmp(P::ogt, low, e.cf(-INFINITY)),
                          e.fcmp(P::olt, high, e.cf(INFINITY)));
  Bound none = nothing();
  return {e.select(isFinite, low, none.low),
          e.select(isFinite, high, none.high),
          {}};
}

/// `inverse`: divided by y, which keeps away from zero.
Bound BoundEmitter::multiplyFloats(const Bound &x, const Bound &y,
                                   bool inverse) {
  auto apply = [&](Value a, Value b) {
    return inverse ? e.bin<LLVM::FDivOp>(a, b) : e.fmul(a, b);
  };
  Value low = apply(x.low, y.low), high = low;
  for (Value corner :
       {apply(x.low, y.high), apply(x.high, y.low), apply(x.high, y.high)}) {
    low = least(low, corner);
    high = greatest(high, corner);
  }
  if (!inverse)
    return widen(low, high);
  constexpr double small = 1e-30; // its inverse is a normal number
  Value isAway = e.lor(e.fcmp(P::ogt, y.low, e.cf(small)),
                       e.fcmp(P::olt, y.high, e.cf(-small)));
  Bound quotient = widen(low, high), none = nothing();
  return {e.select(isAway, quotient.low, none.low),
          e.select(isAway, quotient.high, none.high),
          {}};
}

/// A function that rises where it is defined.
Bound BoundEmitter::rising(Operation *op, const Bound &x) {
  FailureOr<Scalar> low = scalars.evaluate(op, Scalar{x.low, {}});
  FailureOr<Scalar> high = scalars.evaluate(op, Scalar{x.high, {}});
  if (failed(low) || failed(high))
    return nothing();
  return widen(low->value, high->value);
}

Bound BoundEmitter::evaluateFloat(Operation *op, ArrayRef<Bound> x) {
  return TypeSwitch<Operation *, Bound>(op)
      .Case([&](arith::AddFOp) {
        return widen(e.fadd(x[0].low, x[1].low), e.fadd(x[0].high, x[1].high));
      })
      .Case([&](arith::SubFOp) {
        return widen(e.fsub(x[0].low, x[1].high), e.fsub(x[0].high, x[1].low));
      })
      .Case([&](arith::MulFOp) { return multiplyFloats(x[0], x[1], false); })
      .Case([&](arith::DivFOp) { return multiplyFloats(x[0], x[1], true); })
      .Case([&](arith::NegFOp) {
        return Bound{e.fneg(x[0].high), e.fneg(x[0].low), {}};
      })
      .Case([&](arith::MinimumFOp) {
        return Bound{
            least(x[0].low, x[1].low), least(x[0].high, x[1].high), {}};
      })
      .Case([&](arith::MaximumFOp) {
        return Bound{
            greatest(x[0].low, x[1].low), greatest(x[0].high, x[1].high), {}};
      })
      .Case([&](math::AbsFOp) {
        Value low = greatest(x[0].low, e.fneg(x[0].high));
        return Bound{
            greatest(low, e.cf(0)), greatest(e.fneg(x[0].low), x[0].high), {}};
      })
      .Case<arith::SIToFPOp, arith::UIToFPOp>([&](Operation *same) {
        auto convert = [&](Value value) -> Value {
          if (value.getType() == e.i1)
            return LLVM::UIToFPOp::create(e.b, e.loc, e.f32, value);
          return LLVM::SIToFPOp::create(e.b, e.loc, e.f32, value);
        };
        return Bound{convert(x[0].low), convert(x[0].high), {}};
      })
      .Case<math::SinOp, math::CosOp, math::ErfOp>([&](Operation *same) {
        // Of what is finite.
        Bound finite = widen(x[0].low, x[0].high);
        auto keep = [&](Value bound, double value) {
          return e.select(isOrdered(bound, bound), e.cf(value), bound);
        };
        return Bound{keep(finite.low, -1.0001), keep(finite.high, 1.0001), {}};
      })
      .Case<math::ExpOp, math::Exp2Op, math::LogOp, math::Log2Op, math::SqrtOp,
            math::TanhOp, math::FloorOp>(
          [&](Operation *same) { return rising(same, x[0]); })
      .Default([&](Operation *) { return nothing(); });
}

Bound BoundEmitter::compareFloats(arith::CmpFOp op, const Bound &x,
                                  const Bound &y) {
  // A NaN answers every ordered question by no.
  auto below = [&](bool orEqual, const Bound &a, const Bound &b) -> Bound {
    Value never = e.fcmp(orEqual ? P::ogt : P::oge, a.low, b.high);
    return {e.fcmp(orEqual ? P::ole : P::olt, a.high, b.low),
            e.lxor(never, yes()),
            {}};
  };
  auto equal = [&]() -> Bound {
    Value apart =
        e.lor(e.fcmp(P::olt, x.high, y.low), e.fcmp(P::olt, y.high, x.low));
    Value one =
        e.land(e.fcmp(P::oeq, x.low, x.high), e.fcmp(P::oeq, y.low, y.high));
    return {
        e.land(one, e.fcmp(P::oeq, x.low, y.low)), e.lxor(apart, yes()), {}};
  };
  switch (op.getPredicate()) {
  case arith::CmpFPredicate::OEQ:
    return equal();
  case arith::CmpFPredicate::UNE:
    return negate(equal());
  case arith::CmpFPredicate::OLT:
    return below(false, x, y);
  case arith::CmpFPredicate::OLE:
    return below(true, x, y);
  case arith::CmpFPredicate::OGT:
    return below(false, y, x);
  case arith::CmpFPredicate::OGE:
    return below(true, y, x);
  default:
    return {no(), yes(), {}};
  }
}

//===----------------------------------------------------------------------===//
// Reads
//===----------------------------------------------------------------------===//

/// The elements of a rectangle of indices, where these are few.
static constexpr int64_t kMostReads = 512;

/// What an element of a capture's type can be.
Bound BoundEmitter::anyElement(Type type, bool isUnsigned) {
  if (isa<FloatType>(type))
    return nothing();
  unsigned width = type.getIntOrFloatBitWidth();
  if (width == 1)
    return {no(), yes(), {}};
  if (width == 64)
    return anything();
  Interval interval = isUnsigned ? Interval{0, (int64_t(1) << width) - 1}
                                 : Interval{-(int64_t(1) << (width - 1)),
                                            (int64_t(1) << (width - 1)) - 1};
  return {e.c(interval.lo, e.i64), e.c(interval.hi, e.i64), interval};
}

Bound BoundEmitter::read(attn::ReadOp op, ArrayRef<Bound> x) {
  auto type = cast<MemRefType>(op->getOperand(0).getType());
  SmallVector<Value> firsts, counts;
  Value number = e.c(1, e.i64);
  for (unsigned dim = 0; dim < type.getRank(); ++dim) {
    Value size = e.sext(tensors.getSize(op->getOperand(0), dim));
    Value last = e.add(size, -1), zero = e.c(0, e.i64);
    auto clamp = [&](Value index) { return e.smax(e.smin(index, last), zero); };
    firsts.push_back(clamp(x[1 + dim].low));
    counts.push_back(e.add(e.sub(clamp(x[1 + dim].high), firsts.back()), 1));
    // Sizes fit 32 bits, so that this product of two does not wrap.
    number = e.smin(e.mul(number, counts.back()), e.c(kMostReads + 1, e.i64));
  }
  return readAll(op, firsts, counts, number);
}

Bound BoundEmitter::readAll(attn::ReadOp op, ArrayRef<Value> firsts,
                            ArrayRef<Value> counts, Value number) {
  Type element = cast<MemRefType>(op->getOperand(0).getType()).getElementType();
  Bound any = anyElement(element, element.isUnsignedInteger());
  Type type = any.low.getType();
  Block *enter = e.block(), *head = e.block({e.i64, type, type}),
        *body = e.block(), *exit = e.block({type, type});
  auto isFew = e.icmp(LLVM::ICmpPredicate::sle, number, e.c(kMostReads, e.i64));
  e.condBr(isFew, enter, {}, exit, {any.low, any.high});
  e.enter(enter);
  auto readAt = [&](Value place) -> Bound {
    SmallVector<Scalar> indices(1);
    for (auto [first, count] : llvm::zip(firsts, counts)) {
      Value rest = e.udiv(place, count);
      indices.push_back({e.add(first, e.sub(place, e.mul(rest, count))), {}});
      place = rest;
    }
    FailureOr<Scalar> value = scalars.evaluate(op, indices);
    return failed(value) ? any : of(*value);
  };
  Bound first = readAt(e.c(0, e.i64));
  e.br(head, {e.c(1, e.i64), first.low, first.high});
  e.enter(head);
  Value place = head->getArgument(0);
  Bound known{head->getArgument(1), head->getArgument(2), any.interval};
  e.condBr(e.icmp(LLVM::ICmpPredicate::slt, place, number), body, {}, exit,
           {known.low, known.high});
  e.enter(body);
  Bound more = join(known, readAt(place));
  e.br(head, {e.add(place, 1), more.low, more.high});
  e.enter(exit);
  return {exit->getArgument(0), exit->getArgument(1), any.interval};
}
