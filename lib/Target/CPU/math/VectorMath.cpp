//===- VectorMath.cpp - Exponentials and logarithms -----------------------===//

#include "VectorMathImpl.h"

#include "llvm/ADT/bit.h"

#include <array>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace fovea::cpu;

namespace {
/// The layout of a binary format.
struct Format {
  unsigned bits, mantissa;
  int64_t bias;
  /// 1.5 · 2^mantissa: adding it leaves the rounded integer in the low bits.
  double magic;
};

/// What scalef makes of results that are subnormal or too small even for that.
/// Intel's processors take hundreds of clocks for them, and none for lanes that
/// the instruction leaves out.
enum class TooSmall { Rounded, Zero };
} // namespace

static Format formatOf(Type type) {
  if (getElementTypeOrSelf(type).isF64())
    return {64, 52, 1023, 6755399441055744.0};
  return {32, 23, 127, 12582912.0};
}

Type fovea::cpu::integersLike(Type type) {
  unsigned bits = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  Type element = IntegerType::get(type.getContext(), bits);
  return VectorType::get(cast<VectorType>(type).getShape(), element);
}

Value VectorMath::constant(Type like, double value) {
  auto type = cast<VectorType>(like);
  Attribute element = b.getFloatAttr(type.getElementType(), value);
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, element));
}

Value VectorMath::integer(Type like, int64_t value) {
  auto type = cast<VectorType>(integersLike(like));
  Attribute element = b.getIntegerAttr(type.getElementType(), value);
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, element));
}

Value VectorMath::polynomial(Value x, ArrayRef<double> coefficients) {
  Value result = constant(x.getType(), coefficients.back());
  for (double c : llvm::reverse(coefficients.drop_back()))
    result = LLVM::FMAOp::create(b, loc, x.getType(), result, x,
                                 constant(x.getType(), c));
  return result;
}

/// (2^r − 1) / r on [−1/2, 1/2].
Value VectorMath::exp2MinusOneOverX(Value r) {
  if (formatOf(r.getType()).bits == 32)
    // Minimax in the relative error of 2^r: 6.5e-8 after rounding.
    return polynomial(r, {0.693147182, 0.240226477, 0.0555035993, 0.00961850584,
                          0.00133908063, 0.000153264627});
  // The Taylor series: its next term is below 1e-17.
  SmallVector<double> coefficients;
  double term = 1.0;
  for (int i = 1; i <= 13; ++i)
    coefficients.push_back(term *= 0.69314718055994530942 / i);
  return polynomial(r, coefficients);
}

/// 2^r on [−1/2, 1/2].
Value VectorMath::exp2Polynomial(Value r) {
  return LLVM::FMAOp::create(b, loc, r.getType(), exp2MinusOneOverX(r), r,
                             constant(r.getType(), 1.0));
}

/// Lanes [first, first + count) of a vector.
static Value slice(OpBuilder &b, Location loc, Value x, int64_t first,
                   int64_t count) {
  SmallVector<int32_t> order;
  for (int64_t i = 0; i < count; ++i)
    order.push_back(int32_t(first + i));
  return LLVM::ShuffleVectorOp::create(b, loc, x, x, order);
}

/// Applies a function of registers of f32 or f64 to halves of vectors until
/// they are registers of so many bytes.
static Value
byRegister(OpBuilder &b, Location loc, int64_t bytes, ValueRange operands,
           llvm::function_ref<Value(VectorType, ValueRange)> apply) {
  auto type = cast<VectorType>(operands.front().getType());
  int64_t lanes = type.getNumElements();
  if (lanes * type.getElementType().getIntOrFloatBitWidth() <= 8 * bytes)
    return apply(type, operands);
  auto half = [&](int64_t first) {
    SmallVector<Value> parts;
    for (Value operand : operands)
      parts.push_back(slice(b, loc, operand, first, lanes / 2));
    return byRegister(b, loc, bytes, parts, apply);
  };
  Value low = half(0), high = half(lanes / 2);
  SmallVector<int32_t> all;
  for (int64_t i = 0; i < lanes; ++i)
    all.push_back(int32_t(i));
  return LLVM::ShuffleVectorOp::create(b, loc, low, high, all);
}

/// x · 2^floor(n) by the instruction.
static Value scalef(OpBuilder &b, Location loc, Value x, Value n,
                    TooSmall tooSmall = TooSmall::Rounded) {
  auto apply = [&](VectorType type, ValueRange parts) -> Value {
    bool single = type.getElementType().isF32();
    StringRef name = single ? "llvm.x86.avx512.mask.scalef.ps.512"
                            : "llvm.x86.avx512.mask.scalef.pd.512";
    Value lanes = arith::ConstantIntOp::create(b, loc, -1, single ? 16 : 8);
    Value others = parts[0];
    if (tooSmall == TooSmall::Zero) {
      others = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
      double least = 1 - formatOf(type).bias;
      Attribute element = b.getFloatAttr(type.getElementType(), least);
      Value bound = arith::ConstantOp::create(
          b, loc, DenseElementsAttr::get(type, element));
      // NaN is not below.
      Value normal = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGE,
                                           parts[1], bound);
      lanes = LLVM::BitcastOp::create(b, loc, lanes.getType(), normal);
    }
    Value rounding = arith::ConstantIntOp::create(b, loc, 4, 32);
    return LLVM::CallIntrinsicOp::create(
               b, loc, type, b.getStringAttr(name),
               ValueRange{parts[0], parts[1], others, lanes, rounding})
        .getResult(0);
  };
  return byRegister(b, loc, 64, {x, n}, apply);
}

/// Entries of a table by the low bits of each index: sixteen of them in a
/// register of 64 bytes, four in one of 32.
static Value lookUp(OpBuilder &b, Location loc, ArrayRef<float> table,
                    Value index) {
  bool wide = table.size() == 16;
  auto apply = [&](VectorType, ValueRange parts) -> Value {
    SmallVector<float> lanes(table);
    if (!wide) // each half has its own
      lanes.append(table.begin(), table.end());
    auto type = VectorType::get({int64_t(lanes.size())}, b.getF32Type());
    Value entries = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, ArrayRef<float>(lanes)));
    StringRef name = wide ? "llvm.x86.avx512.permvar.sf.512"
                          : "llvm.x86.avx.vpermilvar.ps.256";
    return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name),
                                         ValueRange{entries, parts[0]})
        .getResult(0);
  };
  return byRegister(b, loc, wide ? 64 : 32, index, apply);
}

/// x · 2^n for an integral n within ±2 · bias.
Value VectorMath::scaleByPowerOfTwo(Value x, Value n) {
  if (avx512)
    return scalef(b, loc, x, n);
  // Two factors, so that neither over- nor underflows by itself.
  Format format = formatOf(x.getType());
  Type ints = integersLike(x.getType());
  Value shifted =
      arith::AddFOp::create(b, loc, n, constant(n.getType(), format.magic));
  Value number = LLVM::BitcastOp::create(b, loc, ints, shifted);
  Value origin = LLVM::BitcastOp::create(b, loc, ints,
                                         constant(n.getType(), format.magic));
  number = arith::SubIOp::create(b, loc, number, origin);
  Value one = integer(x.getType(), 1);
  Value half = arith::ShRSIOp::create(b, loc, number, one);
  Value rest = arith::SubIOp::create(b, loc, number, half);
  for (Value part : {half, rest}) {
    Value biased =
        arith::AddIOp::create(b, loc, part, integer(x.getType(), format.bias));
    Value bits = arith::ShLIOp::create(b, loc, biased,
                                       integer(x.getType(), format.mantissa));
    Value factor = LLVM::BitcastOp::create(b, loc, x.getType(), bits);
    x = arith::MulFOp::create(b, loc, x, factor);
  }
  return x;
}

Value VectorMath::powerOfTwo(Value n) {
  if (avx512)
    return scalef(b, loc, constant(n.getType(), 1.0), n);
  // n + bias lands in the exponent field.
  Format format = formatOf(n.getType());
  Value magic = constant(n.getType(), format.magic + double(format.bias));
  Value shifted = arith::AddFOp::create(b, loc, n, magic);
  Value bits =
      LLVM::BitcastOp::create(b, loc, integersLike(n.getType()), shifted);
  bits = arith::ShLIOp::create(b, loc, bits,
                               integer(n.getType(), format.mantissa));
  return LLVM::BitcastOp::create(b, loc, n.getType(), bits);
}

Value fovea::cpu::clampKeepNaN(OpBuilder &b, Location loc, Value x, Value lo,
                               Value hi) {
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, lo);
  x = arith::SelectOp::create(b, loc, below, lo, x);
  Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, hi);
  return arith::SelectOp::create(b, loc, above, hi, x);
}

Value VectorMath::exp2(Value x) {
  if (!avx512) {
    double limit = formatOf(x.getType()).bits == 32 ? 160 : 1100;
    x = clampKeepNaN(b, loc, x, constant(x.getType(), -limit),
                     constant(x.getType(), limit));
  }
  Value n = LLVM::RoundEvenOp::create(b, loc, x);
  Value r = arith::SubFOp::create(b, loc, x, n);
  return scaleByPowerOfTwo(exp2Polynomial(r), n);
}

Value VectorMath::exp2Flushed(Value x) {
  if (!avx512)
    return exp2NonPositive(x);
  Value n = LLVM::RoundEvenOp::create(b, loc, x);
  Value r = arith::SubFOp::create(b, loc, x, n);
  return scalef(b, loc, exp2Polynomial(r), n, TooSmall::Zero);
}

Value VectorMath::exp2NonPositive(Value x) {
  if (avx512)
    return exp2(x);
  // n + bias lands in the exponent field; below the smallest normal it is 0.
  Format format = formatOf(x.getType());
  Value lo = constant(x.getType(), -double(format.bias));
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, lo);
  x = arith::SelectOp::create(b, loc, below, lo, x);
  Value magic = constant(x.getType(), format.magic + double(format.bias));
  Value shifted = arith::AddFOp::create(b, loc, x, magic);
  Value n = arith::SubFOp::create(b, loc, shifted, magic);
  Value r = arith::SubFOp::create(b, loc, x, n);
  Value bits =
      LLVM::BitcastOp::create(b, loc, integersLike(x.getType()), shifted);
  bits = arith::ShLIOp::create(b, loc, bits,
                               integer(x.getType(), format.mantissa));
  Value factor = LLVM::BitcastOp::create(b, loc, x.getType(), bits);
  return arith::MulFOp::create(b, loc, exp2Polynomial(r), factor);
}

/// 2^x = 2^k · 2^(i/16) · 2^r: a table has the second, three terms the rest of
/// the third. Below −2^18 the index means nothing, and the result is 0.
Value VectorMath::exp2ByTable(Value x) {
  Format format = formatOf(x.getType());
  if (format.bits == 32 && registerBytes == 32)
    return exp2ByFour(x);
  if (!avx512 || format.bits != 32)
    return exp2Flushed(x);
  std::array<float, 16> powers;
  for (size_t i = 0; i < powers.size(); ++i)
    powers[i] = float(std::exp2(double(i) / powers.size()));
  Value magic = constant(x.getType(), format.magic / powers.size());
  Value shifted = arith::AddFOp::create(b, loc, x, magic);
  Value n = arith::SubFOp::create(b, loc, shifted, magic);
  Value r = arith::SubFOp::create(b, loc, x, n);
  Value index =
      LLVM::BitcastOp::create(b, loc, integersLike(x.getType()), shifted);
  Value power = lookUp(b, loc, powers, index);
  // Minimax on [−1/32, 1/32]: 1.3e-9.
  Value p = polynomial(r, {0.693147182, 0.240233555, 0.0555041097});
  Value scaled = arith::MulFOp::create(b, loc, r, power);
  p = LLVM::FMAOp::create(b, loc, x.getType(), scaled, p, power);
  return scalef(b, loc, p, n, TooSmall::Zero);
}

/// 2^x = 2^floor(x) · 2^r, where the scaling takes floor(x) by itself.
Value VectorMath::exp2ForPairs(Value x) {
  if (!avx512 || formatOf(x.getType()).bits != 32)
    return exp2ByTable(x);
  auto fraction = [&](VectorType type, ValueRange parts) -> Value {
    constexpr int64_t down = 1; // of the places behind the point none
    SmallVector<Value> operands = {
        parts[0], arith::ConstantIntOp::create(b, loc, down, 32), parts[0],
        arith::ConstantIntOp::create(b, loc, -1, 16),
        arith::ConstantIntOp::create(b, loc, 4, 32)};
    return LLVM::CallIntrinsicOp::create(
               b, loc, type,
               b.getStringAttr("llvm.x86.avx512.mask.reduce.ps.512"), operands)
        .getResult(0);
  };
  Value r = byRegister(b, loc, 64, x, fraction);
  // Minimax in the relative error on [0, 1], 1 at 0.
  Value p = polynomial(r, {1.0, 0.695116631, 0.227644978, 0.0770672403});
  return scalef(b, loc, p, x, TooSmall::Zero);
}

/// The same by a table of four, the most that a shuffle within halves finds,
/// and four terms. Shifted into place the index is in the exponent and in the
/// mantissa: the table has the bits of 2^(i/4) without i there, and a sum of
/// integers is the power of two.
Value VectorMath::exp2ByFour(Value x) {
  constexpr unsigned fractionBits = 2, shift = 23 - fractionBits;
  constexpr unsigned entries = 1 << fractionBits;
  std::array<float, entries> powers;
  for (unsigned i = 0; i < entries; ++i)
    powers[i] = llvm::bit_cast<float>(
        llvm::bit_cast<uint32_t>(float(std::exp2(double(i) / entries))) -
        (i << shift));
  Type type = x.getType(), ints = integersLike(type);
  // At the bound the power is zero.
  Value lo = constant(type, -127.0);
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, lo);
  x = arith::SelectOp::create(b, loc, below, lo, x);
  Value magic = constant(type, formatOf(type).magic / entries);
  Value shifted = arith::AddFOp::create(b, loc, x, magic);
  // −n, which needs no constant of its own.
  Value minusN = arith::SubFOp::create(b, loc, magic, shifted);
  Value r = arith::AddFOp::create(b, loc, x, minusN);
  Value index = LLVM::BitcastOp::create(b, loc, ints, shifted);
  Value fraction =
      LLVM::BitcastOp::create(b, loc, ints, lookUp(b, loc, powers, index));
  Value placed = arith::ShLIOp::create(b, loc, index, integer(type, shift));
  Value power = arith::AddIOp::create(b, loc, placed, fraction);
  power = LLVM::BitcastOp::create(b, loc, type, power);
  // Minimax on [−1/8, 1/8], in two halves side by side, 0.99 units in all. The
  // smallest powers times r would be subnormal and lose bits: p times r comes
  // first.
  Value low = polynomial(r, {0.693147182, 0.240226626});
  Value high = polynomial(r, {0.05552103, 0.0096365381});
  Value square = arith::MulFOp::create(b, loc, r, r);
  Value p = LLVM::FMAOp::create(b, loc, type, high, square, low);
  p = arith::MulFOp::create(b, loc, p, r);
  return LLVM::FMAOp::create(b, loc, type, p, power, power);
}

Value VectorMath::exp(Value x) {
  // Inside these limits nothing below overflows; beyond, the result has.
  bool single = formatOf(x.getType()).bits == 32;
  double limit = single ? 110 : 760;
  x = clampKeepNaN(b, loc, x, constant(x.getType(), -limit),
                   constant(x.getType(), limit));
  Type type = x.getType();
  Value log2e = constant(type, 1.4426950408889634);
  Value n = LLVM::RoundEvenOp::create(b, loc,
                                      arith::MulFOp::create(b, loc, x, log2e));
  // x − n ln 2 with ln 2 in two parts, the first short enough for n · hi.
  double hi = single ? 0.693145751953125 : 0.69314718036912381649;
  double lo = single ? 1.42860682030941723212e-6 : 1.9082149292705877e-10;
  Value minusN = arith::NegFOp::create(b, loc, n);
  Value r = LLVM::FMAOp::create(b, loc, type, minusN, constant(type, hi), x);
  r = LLVM::FMAOp::create(b, loc, type, minusN, constant(type, lo), r);
  Value p = exp2Polynomial(arith::MulFOp::create(b, loc, r, log2e));
  return scaleByPowerOfTwo(p, n);
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

/// x = 2^e · m with m in [√½, √2): returns e and ln m = 2 atanh((m−1)/(m+1)).
std::pair<Value, Value> VectorMath::splitLog(Value x) {
  Format format = formatOf(x.getType());
  Type type = x.getType(), ints = integersLike(type);
  // Subnormal numbers are scaled up first.
  double up = std::ldexp(1.0, format.mantissa + 1);
  double smallest = std::ldexp(1.0, int(1 - format.bias));
  Value tiny = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x,
                                     constant(type, smallest));
  Value scaled = arith::MulFOp::create(b, loc, x, constant(type, up));
  x = arith::SelectOp::create(b, loc, tiny, scaled, x);
  Value bits = LLVM::BitcastOp::create(b, loc, ints, x);
  Value root = LLVM::BitcastOp::create(b, loc, ints,
                                       constant(type, 0.70710678118654752));
  Value mantissaBits = integer(type, format.mantissa);
  Value exponent = arith::ShRSIOp::create(
      b, loc, arith::SubIOp::create(b, loc, bits, root), mantissaBits);
  Value m = arith::SubIOp::create(
      b, loc, bits, arith::ShLIOp::create(b, loc, exponent, mantissaBits));
  m = LLVM::BitcastOp::create(b, loc, type, m);
  Value e = arith::SIToFPOp::create(b, loc, type, exponent);
  Value corrected = arith::SubFOp::create(
      b, loc, e, constant(type, double(format.mantissa + 1)));
  e = arith::SelectOp::create(b, loc, tiny, corrected, e);

  Value one = constant(type, 1.0);
  Value t = arith::DivFOp::create(b, loc, arith::SubFOp::create(b, loc, m, one),
                                  arith::AddFOp::create(b, loc, m, one));
  Value u = arith::MulFOp::create(b, loc, t, t);
  SmallVector<double> series;
  for (int i = 1, last = format.bits == 32 ? 9 : 21; i <= last; i += 2)
    series.push_back(2.0 / i);
  return {e, arith::MulFOp::create(b, loc, t, polynomial(u, series))};
}

/// log(0) = −inf, log(x < 0) = NaN, log(inf) = inf, log(NaN) = NaN.
Value VectorMath::logSpecialCases(Value x, Value result) {
  Type type = x.getType();
  double inf = std::numeric_limits<double>::infinity();
  auto when = [&](arith::CmpFPredicate predicate, double bound, Value value) {
    Value cond =
        arith::CmpFOp::create(b, loc, predicate, x, constant(type, bound));
    result = arith::SelectOp::create(b, loc, cond, value, result);
  };
  when(arith::CmpFPredicate::UEQ, inf, x);
  when(arith::CmpFPredicate::OEQ, 0.0, constant(type, -inf));
  when(arith::CmpFPredicate::OLT, 0.0,
       constant(type, std::numeric_limits<double>::quiet_NaN()));
  return result;
}

Value VectorMath::log2(Value x) {
  auto [e, ln] = splitLog(x);
  Value log2e = constant(x.getType(), 1.4426950408889634);
  Value result = LLVM::FMAOp::create(b, loc, x.getType(), ln, log2e, e);
  return logSpecialCases(x, result);
}

Value VectorMath::log(Value x) {
  auto [e, ln] = splitLog(x);
  Value ln2 = constant(x.getType(), 0.6931471805599453);
  Value result = LLVM::FMAOp::create(b, loc, x.getType(), e, ln2, ln);
  return logSpecialCases(x, result);
}
