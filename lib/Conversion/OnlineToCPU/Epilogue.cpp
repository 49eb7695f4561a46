//===- Epilogue.cpp - From states to results ------------------------------===//

#include "Kernel.h"

#include <cmath>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

static constexpr double kLn2 = 0.6931471805599453;

LogicalResult KernelEmitter::emitFinish(Value &nonFinite) {
  LogicalResult status = success();
  nonFinite = e.loop(firstPanel, endPanel, e.c(1), {e.c(0)},
                     [&](Value panel, ValueRange carried) -> Values {
                       Value bad = e.c(0);
                       Value first = e.mul(panel, e.c(e.lanes));
                       Value taken = e.min(e.sub(rows, first), e.c(e.lanes));
                       s->push();
                       if (failed(finishPanel(panel, taken, bad)))
                         status = failure();
                       s->pop();
                       return {e.lor(carried[0], bad)};
                     })[0];
  return status;
}

/// The lanes that the second pass finishes: o overflowed, or met what is not
/// finite, and the second sum is a number.
Value KernelEmitter::secondIsBetter(Value first, Value second) {
  Value zero = e.vc(0.0);
  Value product = e.fmul(first, zero);
  Value overflowed = e.fcmp(arith::CmpFPredicate::UNO, product, product);
  Value number = e.fcmp(arith::CmpFPredicate::ORD, second, second);
  return e.land(e.land(overflowed, number), e.splat(inSecondPass));
}

/// 2 · half. What lies beyond the largest number by no more than the rounding
/// of sums over the keys may give counts as that number.
Value KernelEmitter::twice(Value half) {
  using C = arith::CmpFPredicate;
  const llvm::fltSemantics &type = cast<FloatType>(e.f).getFloatSemantics();
  double limit = llvm::APFloat::getLargest(type).convertToDouble() / 2;
  double unit = std::ldexp(1.0, -int(llvm::APFloat::semanticsPrecision(type)));
  Value keys =
      arith::SIToFPOp::create(e.b, e.loc, e.f, bufferOf(spec.value).sizes[2]);
  Value slack = e.splat(e.fadd(e.fmul(keys, e.cf(2 * unit * limit)),
                               e.cf(limit * (1 + 8 * unit))));
  auto bound = [&](C beyond, C near, double sign) {
    Value bounded = e.fmul(slack, e.vc(sign));
    Value inside = e.land(e.fcmp(beyond, half, e.vc(sign * limit)),
                          e.fcmp(near, half, bounded));
    half = e.select(inside, e.vc(sign * limit), half);
  };
  bound(C::OGT, C::OLE, 1);
  bound(C::OLT, C::OGE, -1);
  return e.fmul(half, e.vc(2.0));
}

/// o / l, or o where there is no denominator.
Value KernelEmitter::finishPlain(Value o, Value inverse, Value again,
                                 Value half) {
  Value result = inverse ? e.fmul(o, inverse) : o;
  return again ? e.select(again, twice(half), result) : result;
}

/// The region of the normaliser. Where it is linear in o the factor of a second
/// pass is taken out of its result; else it gets o as the score type holds it.
LogicalResult KernelEmitter::finishCustom(Value o, Value l, Value t, Value d,
                                          Value again, Value half,
                                          Value &result) {
  bool linear = again && finishIsLinear();
  if (again)
    o = e.select(again, linear ? half : twice(e.fmul(half, l)), o);
  Values results;
  s->push();
  LogicalResult status =
      callRegion(spec.normalizer.getFinish(), {o, l, t}, true, d, results);
  s->pop();
  if (failed(status))
    return failure();
  result = results[0];
  if (linear)
    result = e.select(again, twice(e.fmul(result, l)), result);
  return success();
}

LogicalResult KernelEmitter::finishPanel(Value panel, Value taken, Value &bad) {
  Value zero = e.vc(0.0);
  Value t = spec.hasStat() ? e.loadRow(state.rowMax, panel) : zero;
  if (log2Units())
    t = e.fmul(t, e.vc(kLn2));
  Value l = spec.hasDenom() ? e.loadRow(state.rowSum, panel) : zero;
  if (hasTwoPasses()) {
    l = e.select(inSecondPass, e.loadRow(at(at_.firstSum), panel), l);
    e.storeRow(l, at(at_.firstSum), panel);
    e.storeRow(e.loadRow(state.rowMax, panel), at(at_.firstMax), panel);
    e.storeRow(e.fdiv(e.vc(0.5), l), at(at_.factor), panel);
  }
  bool custom = spec.normalizer && !spec.normalizer.getFinish().empty();
  if (custom &&
      failed(prepareRegion(spec.normalizer.getFinish(), 3, true, panel)))
    return failure();
  Value empty, inverse;
  if (spec.hasDenom()) {
    empty = e.fcmp(arith::CmpFPredicate::OEQ, l, zero);
    inverse = e.fdiv(e.vc(1.0), l);
  }
  if (finishesRows()) {
    Value factor = e.vc(1.0);
    if (inverse)
      factor = e.select(empty, zero, inverse);
    bad = finishRows(panel, taken, l, factor);
    if (spec.lseStore)
      storeLse(panel, taken, l, t);
    return success();
  }
  Value place = e.mul(panel, e.c(valuePadded() * e.lanes));
  Value output = e.gep(state.output, place, e.f);
  LogicalResult status = success();
  auto finishElement = [&](Value d, Value finite) -> Value {
    Value o = e.loadRow(output, d), again, half, result;
    if (hasTwoPasses()) {
      Value first = e.gep(at(at_.firstOutput), place, e.f);
      half = o;
      o = e.select(inSecondPass, e.loadRow(first, d), o);
      e.storeRow(o, first, d);
      again = secondIsBetter(o, half);
    }
    if (custom) {
      if (failed(finishCustom(o, l, t, d, again, half, result)))
        status = failure();
    } else {
      result = finishPlain(o, inverse, again, half);
    }
    if (failed(status))
      return finite;
    if (empty)
      result = e.select(empty, zero, result);
    e.storeRow(result, output, d);
    // x · 0 is 0 for finite x alone.
    return e.fma(o, zero, finite);
  };
  Value finite = e.loop(e.c(0), e.c(spec.valueDim), e.c(1), {e.fmul(l, zero)},
                        [&](Value d, ValueRange carried) -> Values {
                          return {finishElement(d, carried[0])};
                        })[0];
  if (!spec.schedule.getExact() || hasTwoPasses()) {
    Value nan = e.fcmp(arith::CmpFPredicate::UNO, finite, finite);
    Value word = e.maskToWord(e.land(nan, e.lanesBelow(taken)));
    Value none =
        arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.word, 0));
    bad = arith::ExtUIOp::create(e.b, e.loc, e.i64, e.icmp(P::ne, word, none));
  }
  storePanel(panel, taken);
  if (spec.lseStore)
    storeLse(panel, taken, l, t);
  return status;
}

/// Transposes a panel's output back to rows and stores those that exist.
void KernelEmitter::storePanel(Value panel, Value taken) {
  int64_t stride = valuePadded();
  Value buffer = at(at_.rowBuffer);
  Value output = e.gep(state.output, e.mul(panel, e.c(stride * e.lanes)), e.f);
  for (int64_t lane = 0; lane < e.lanes; lane += e.native)
    callHelper("_transpose",
               {e.gep(output, lane * e.scoreBytes()), e.c(e.lanes),
                e.c(e.native * e.lanes),
                e.gep(buffer, lane * stride * e.scoreBytes()), e.c(stride),
                e.c(e.native), e.c(stride / e.native), e.cf(1.0)});
  if (isShort())
    return storeShortPanel(panel, taken);
  Value first =
      e.add(s->scalar(spec.outStore.getRow()), e.mul(panel, e.c(e.lanes)));
  const Buffer &out = bufferOf(spec.out);
  callHelper("_unpack",
             {buffer, e.c(stride), taken, e.c(spec.valueDim),
              tensorRows(spec.out, first), out.strides[2], out.strides[3]});
}

/// lse = t + log l, where the caller wants it.
void KernelEmitter::storeLse(Value panel, Value taken, Value l, Value t) {
  const Buffer &lse = bufferOf(spec.lse);
  Value null = LLVM::ZeroOp::create(e.b, e.loc, e.ptr);
  Value wanted =
      LLVM::ICmpOp::create(e.b, e.loc, LLVM::ICmpPredicate::ne, lse.data, null);
  e.when(wanted, [&]() {
    Value buffer = at(at_.rowBuffer);
    Value sum = e.fadd(t, e.math().log(l));
    if (isSeeded()) { // t may be +inf or NaN beside it
      Value empty = e.fcmp(arith::CmpFPredicate::OEQ, l, e.vc(0.0));
      sum = e.select(empty, e.vc(-INFINITY), sum);
    }
    e.storeRow(sum, buffer, e.c(0));
    if (isShort())
      return storeShortLse(panel, taken);
    Value first =
        e.add(s->scalar(spec.lseStore.getRow()), e.mul(panel, e.c(e.lanes)));
    Value to = tensorRows(spec.lse, first);
    e.loop(e.c(0), taken, 1, [&](Value r) {
      Value x = e.load(e.f, e.gep(buffer, r, e.f));
      e.store(x, e.gep(to, e.mul(r, lse.strides[2]), e.f));
    });
  });
}
