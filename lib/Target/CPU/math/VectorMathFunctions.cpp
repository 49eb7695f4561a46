//===- VectorMathFunctions.cpp - The less common functions, for f32 -------===//
//
// Kernels on f64 call libm for these.
//
//===----------------------------------------------------------------------===//

#include "VectorMathImpl.h"

#include <limits>

using namespace mlir;
using namespace fovea::cpu;
using PF = arith::CmpFPredicate;

namespace {
/// Expressions without the noise of create calls.
struct Ops {
  OpBuilder &b;
  Location loc;
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value neg(Value x) { return arith::NegFOp::create(b, loc, x); }
  Value abs(Value x) { return LLVM::FAbsOp::create(b, loc, x); }
  Value floor(Value x) { return LLVM::FFloorOp::create(b, loc, x); }
  Value fma(Value x, Value y, Value z) {
    return LLVM::FMAOp::create(b, loc, x.getType(), x, y, z);
  }
  Value copySign(Value magnitude, Value sign) {
    return LLVM::CopySignOp::create(b, loc, magnitude, sign);
  }
  Value cmp(PF predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, loc, predicate, x, y);
  }
  Value land(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
  Value lor(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value select(Value cond, Value x, Value y) {
    return arith::SelectOp::create(b, loc, cond, x, y);
  }
};
} // namespace

static Type withF64(Type type) {
  return VectorType::get(cast<VectorType>(type).getShape(),
                         Float64Type::get(type.getContext()));
}

/// log(1 + x): with u = 1 + x rounded, log u + (x − (u − 1)) / u.
Value VectorMath::log1p(Value x) {
  Ops o{b, loc};
  Value one = constant(x.getType(), 1.0);
  Value u = o.add(one, x);
  Value lost = o.sub(x, o.sub(u, one));
  Value logU = log(u);
  Value corrected = o.add(logU, o.div(lost, u));
  // At u = 0 and u = inf the correction is not a number.
  Value inf = constant(x.getType(), std::numeric_limits<double>::infinity());
  Value plain = o.lor(o.cmp(PF::OEQ, u, constant(x.getType(), 0.0)),
                      o.cmp(PF::OEQ, u, inf));
  Value result = o.select(plain, logU, corrected);
  // Keeps the sign of zero, and subnormal x.
  Value tiny = o.cmp(PF::OLT, o.abs(x), constant(x.getType(), 1e-12));
  return o.select(tiny, x, result);
}

/// With y = 2x/ln 2 = n + r: tanh x = (A + t) / (1 + A t), A = (2^n − 1) /
/// (2^n + 1) and t = tanh(r ln2/2), an odd polynomial: no cancellation
/// anywhere, and half of the operations are sums, which do not compete with
/// products.
Value VectorMath::tanh(Value x, Value factor) {
  Ops o{b, loc};
  Type type = x.getType();
  Value unit = constant(type, tanhUnit);
  Value y = o.mul(x, factor ? o.mul(factor, unit) : unit);
  // Beyond 9.01 the result rounds to 1. NaN stays.
  y = clampKeepNaN(b, loc, y, constant(type, -26.0), constant(type, 26.0));
  Value n = LLVM::RoundEvenOp::create(b, loc, y);
  Value r = o.sub(y, n);
  // Minimax in the relative error of t: 4.5e-8.
  Value t = o.mul(
      r, polynomial(o.mul(r, r), {0.3465735747554252, -0.013874907973494357,
                                  0.0006546898650420835}));
  Value one = constant(type, 1.0), power = powerOfTwo(n);
  Value less = o.sub(power, one), more = o.add(power, one);
  return o.div(o.fma(t, more, less), o.fma(t, less, more));
}

/// Integers of f32 beyond 2⁴⁰ become far smaller ones that have the same sine:
/// x = X · 2^k ≡ X · c with c = 2^k mod 2π, which is given in two parts.
static Value reduceHuge(Ops &o, Value x, Value &rest,
                        llvm::function_ref<Value(double)> constant) {
  struct Range {
    double from, power, high, low;
  };
  static constexpr Range ranges[] = {
      {0x1p40, 0x1p-17, -1.5286930733534951, -2.971472691495685e-18},
      {0x1p62, 0x1p-39, -1.361921305460894, -9.562441152470052e-18},
      {0x1p84, 0x1p-61, 1.9605453209001322, 6.705864990293432e-17},
      {0x1p106, 0x1p-83, -1.972323882500676, 5.904410301773294e-17}};
  Value magnitude = o.abs(x), high = constant(1.0), power = high;
  Value low = constant(0.0);
  for (const Range &range : ranges) {
    Value inside = o.cmp(PF::OGE, magnitude, constant(range.from));
    power = o.select(inside, constant(range.power), power);
    high = o.select(inside, constant(range.high), high);
    low = o.select(inside, constant(range.low), low);
  }
  Value factor = o.mul(x, power);
  Value product = o.mul(factor, high);
  rest = o.fma(factor, low, o.fma(factor, high, o.neg(product)));
  return product;
}

/// sin(x + turns · π/2): the argument is reduced in f64.
Value VectorMath::reduceAndEvaluate(Value x, unsigned quarterTurns) {
  Ops o{b, loc};
  Type type = x.getType(), f64 = withF64(type);
  Value rest;
  Value wide = reduceHuge(o, LLVM::FPExtOp::create(b, loc, f64, x), rest,
                          [&](double c) { return constant(f64, c); });
  Value n = LLVM::RoundEvenOp::create(
      b, loc, o.mul(wide, constant(f64, 0.63661977236758134308)));
  Value minusN = o.neg(n);
  Value r = o.fma(minusN, constant(f64, 1.57079632679489655800), wide);
  r = o.add(o.fma(minusN, constant(f64, 6.12323399573676603587e-17), r), rest);
  Value turned = o.add(n, constant(f64, double(quarterTurns)));
  Value turns = o.floor(o.mul(turned, constant(f64, 0.25)));
  Value quadrant = o.fma(turns, constant(f64, -4.0), turned);
  r = LLVM::FPTruncOp::create(b, loc, type, r);
  quadrant = LLVM::FPTruncOp::create(b, loc, type, quadrant);

  Value z = o.mul(r, r);
  Value sine = polynomial(z, {-1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880});
  sine = o.fma(o.mul(r, z), sine, r);
  Value cosine = polynomial(
      z, {1.0, -0.5, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800});
  Value one = constant(type, 1.0);
  Value odd = o.lor(o.cmp(PF::OEQ, quadrant, one),
                    o.cmp(PF::OEQ, quadrant, constant(type, 3.0)));
  Value result = o.select(odd, cosine, sine);
  Value negative = o.cmp(PF::OGE, quadrant, constant(type, 2.0));
  return o.select(negative, o.neg(result), result);
}

Value VectorMath::sin(Value x) { return reduceAndEvaluate(x, 0); }
Value VectorMath::cos(Value x) { return reduceAndEvaluate(x, 1); }

/// The Taylor series below 1; above, 1 − 2^p(|x|) with p fitted to log2 erfc.
Value VectorMath::erf(Value x) {
  Ops o{b, loc};
  Type type = x.getType();
  Value a = o.abs(x), z = o.mul(x, x);
  SmallVector<double> series;
  double factorial = 1.0;
  for (int n = 0; n < 12; ++n) {
    factorial *= n ? n : 1;
    double term = 1.1283791670955126 / (factorial * (2 * n + 1));
    series.push_back(n % 2 ? -term : term);
  }
  Value small = o.mul(x, polynomial(z, series));
  Value four = constant(type, 4.0);
  Value clamped = o.select(o.cmp(PF::OGT, a, four), four, a);
  Value p = polynomial(clamped, {0.00043744390158195756, -1.6304858583387112,
                                 -0.9116925108583142, -0.1586650691468202,
                                 0.03803624715421784, -0.006838695319029173,
                                 0.0008551856837013336, -6.577336618167012e-05,
                                 2.328598732465056e-06});
  Value large = o.sub(constant(type, 1.0), exp2NonPositive(p));
  large = o.copySign(large, x);
  return o.select(o.cmp(PF::OGE, a, constant(type, 1.0)), large, small);
}

/// |x|^y = 2^(y · log2 |x|) in f64, then the signs and IEEE's special cases.
Value VectorMath::pow(Value x, Value y) {
  Ops o{b, loc};
  Type type = x.getType(), f64 = withF64(type);
  double infinity = std::numeric_limits<double>::infinity();
  VectorMath wide(b, loc, /*registerBytes=*/16);
  Value magnitude = LLVM::FPExtOp::create(b, loc, f64, o.abs(x));
  Value exponent = LLVM::FPExtOp::create(b, loc, f64, y);
  Value power = wide.exp2(o.mul(exponent, wide.log2(magnitude)));
  Value result = LLVM::FPTruncOp::create(b, loc, type, power);

  Value zero = constant(type, 0.0), one = constant(type, 1.0);
  Value half = o.mul(y, constant(type, 0.5));
  Value integral = o.cmp(PF::OEQ, o.floor(y), y);
  Value odd = o.land(integral, o.cmp(PF::ONE, o.floor(half), half));
  Value signedResult = o.copySign(result, x);
  result = o.select(odd, signedResult, result);
  // A finite negative base has no power with a fractional exponent.
  Value base = o.land(o.cmp(PF::OLT, x, zero),
                      o.cmp(PF::OGT, x, constant(type, -infinity)));
  Value fractional = o.cmp(PF::ONE, o.floor(y), y);
  Value nan = constant(type, std::numeric_limits<double>::quiet_NaN());
  result = o.select(o.land(base, fractional), nan, result);
  Value unit = o.land(o.cmp(PF::OEQ, o.abs(x), one),
                      o.cmp(PF::OEQ, o.abs(y), constant(type, infinity)));
  Value always = o.lor(o.cmp(PF::OEQ, y, zero), o.cmp(PF::OEQ, x, one));
  return o.select(o.lor(always, unit), one, result);
}
