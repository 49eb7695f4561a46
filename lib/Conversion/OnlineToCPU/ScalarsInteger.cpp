//===- ScalarsInteger.cpp - Total integer arithmetic on lanes (S8) --------===//

#include "Scalars.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;
using I = __int128;

static std::optional<int64_t> constantOf(const Lane &lane) {
  if (lane.range.lo == lane.range.hi)
    return lane.range.lo;
  return std::nullopt;
}

static Interval rangeOfMul(Interval x, Interval y) {
  __int128 p[] = {__int128(x.lo) * y.lo, __int128(x.lo) * y.hi,
                  __int128(x.hi) * y.lo, __int128(x.hi) * y.hi};
  return Interval::of(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
}

/// The sign of the divisor, and smaller in magnitude.
static Interval rangeOfMod(Interval x, Interval y) {
  Interval range{y.lo < 0 ? (y.lo == INT64_MIN ? INT64_MIN : y.lo + 1) : 0,
                 y.hi > 0 ? y.hi - 1 : 0};
  if (x.lo >= 0 && y.lo >= 0)
    range.hi = std::min(range.hi, x.hi);
  return range;
}

/// The smallest 2^k − 1 interval around values that bitwise ops keep inside.
static Interval rangeOfBits(Interval x, Interval y) {
  if (x.lo < 0 || y.lo < 0)
    return x.fits32() && y.fits32() ? Interval{INT32_MIN, INT32_MAX}
                                    : Interval{};
  uint64_t top = uint64_t(std::max(x.hi, y.hi));
  unsigned bits = 64 - (top ? __builtin_clzll(top) : 64);
  return {0, bits >= 63 ? INT64_MAX : (int64_t(1) << bits) - 1};
}

Lane ScalarEmitter::integer(Lane x, Lane y, Interval range,
                            function_ref<Value(Value, Value)> build) {
  Lane result{{}, range, {}, 0};
  if (!x.isVector() && !y.isVector()) {
    result.v = build(x.v, y.v);
    return result;
  }
  bool narrow = range.fits32() && x.range.fits32() && y.range.fits32();
  Type element = narrow ? Type(e.b.getI32Type()) : e.i64;
  result.v = build(toVector(x, element), toVector(y, element));
  return result;
}

Lane ScalarEmitter::compare(P predicate, Lane x, Lane y) {
  Lane result{{}, {0, 1}, {}, 0};
  Type xElement = getElementTypeOrSelf(x.v.getType());
  if (!x.isVector() && !y.isVector()) {
    result.v = e.icmp(predicate, x.v, y.v);
  } else if (xElement.isInteger(1)) {
    result.v = e.icmp(predicate, toVector(x, e.i1), toVector(y, e.i1));
  } else {
    bool narrow = x.range.fits32() && y.range.fits32();
    Type element = narrow ? Type(e.b.getI32Type()) : e.i64;
    result.v = e.icmp(predicate, toVector(x, element), toVector(y, element));
  }
  return result;
}

/// Quotient rounded towards zero for operands that do not trap. Vectors of
/// 32-bit lanes divide exactly in f64.
static Value quotient(Emitter &e, Value x, Value y, bool constantDivisor) {
  auto type = dyn_cast<VectorType>(x.getType());
  if (!type || constantDivisor || !type.getElementType().isInteger(32))
    return e.b.createOrFold<arith::DivSIOp>(e.loc, x, y);
  Type f64 = e.vec(e.b.getF64Type());
  Value fx = arith::SIToFPOp::create(e.b, e.loc, f64, x);
  Value fy = arith::SIToFPOp::create(e.b, e.loc, f64, y);
  return arith::FPToSIOp::create(e.b, e.loc, type, e.fdiv(fx, fy));
}

/// 32-bit lanes by a divisor of 64 bits, for which vectors have no division:
/// cut down to just beyond all x it gives the same quotient, 0 or -1, and a
/// remainder that lacks what was cut off wherever the quotient is -1.
std::optional<Lane> ScalarEmitter::divideByWide(Lane x, Lane y, bool wantMod) {
  bool vector = x.isVector() || y.isVector();
  bool narrow = x.range.lo > INT32_MIN + 1 && x.range.hi < INT32_MAX;
  if (!vector || !narrow || y.range.fits32())
    return std::nullopt;
  int64_t most = std::max(-x.range.lo, x.range.hi) + 1;
  Lane lowest{e.c(-most), {-most, -most}, {}, 0};
  Lane highest{e.c(most), {most, most}, {}, 0};
  Interval range{std::clamp(y.range.lo, -most, most),
                 std::clamp(y.range.hi, -most, most)};
  Lane cut = integer(y, highest, {y.range.lo, range.hi},
                     [&](Value a, Value b) { return e.min(a, b); });
  cut = integer(cut, lowest, range,
                [&](Value a, Value b) { return e.max(a, b); });
  Lane result = floorDivMod(x, cut, wantMod);
  if (!wantMod)
    return result;
  Lane rest = pick(compare(P::ne, result, x), difference(y, cut),
                   Lane{e.c(0), {0, 0}, {}, 0});
  result = sum(result, rest);
  result.range = rangeOfMod(x.range, y.range);
  return result;
}

Lane ScalarEmitter::floorDivMod(Lane x, Lane y, bool wantMod) {
  if (std::optional<Lane> lane = divideByWide(x, y, wantMod))
    return *lane;
  std::optional<int64_t> divisor = constantOf(y);
  Interval range;
  if (wantMod) {
    range = rangeOfMod(x.range, y.range);
  } else if (y.range.lo >= 1 && divisor) {
    auto floorDiv = [&](int64_t a) {
      int64_t q = a / *divisor;
      return q - (a % *divisor < 0 ? 1 : 0);
    };
    range = {floorDiv(x.range.lo), floorDiv(x.range.hi)};
  } else if (x.range.lo > INT64_MIN) {
    int64_t bound = std::max(x.range.hi < 0 ? -x.range.hi : x.range.hi,
                             x.range.lo < 0 ? -x.range.lo : x.range.lo);
    range = Interval::of(-__int128(bound), bound);
  }
  return integer(x, y, range, [&](Value a, Value b) -> Value {
    Type element = getElementTypeOrSelf(a.getType());
    auto constant = [&](int64_t value) -> Value {
      Value scalar = arith::ConstantOp::create(
          e.b, e.loc, e.b.getIntegerAttr(element, value));
      return isa<VectorType>(a.getType()) ? e.splat(scalar) : scalar;
    };
    Value zero = constant(0), one = constant(1);
    bool safe = divisor && *divisor > 0;
    Value isZero, d = b;
    if (!safe) {
      isZero = e.icmp(P::eq, b, zero);
      int64_t lowest = element.isInteger(32) ? INT32_MIN : INT64_MIN;
      Value overflow = e.land(e.icmp(P::eq, b, constant(-1)),
                              e.icmp(P::eq, a, constant(lowest)));
      d = e.select(e.lor(isZero, overflow), one, b);
    }
    if (safe && x.range.lo >= 0) {
      if (llvm::isPowerOf2_64(*divisor)) {
        if (wantMod)
          return e.land(a, constant(*divisor - 1));
        return e.b.createOrFold<arith::ShRUIOp>(
            e.loc, a, constant(llvm::Log2_64(*divisor)));
      }
      Value q = e.udiv(a, d);
      return wantMod ? e.sub(a, e.mul(q, d)) : q;
    }
    Value q = quotient(e, a, d, divisor.has_value());
    Value r = e.sub(a, e.mul(q, d));
    Value differ =
        e.icmp(P::slt, e.b.createOrFold<arith::XOrIOp>(e.loc, r, d), zero);
    Value adjust = e.land(e.icmp(P::ne, r, zero), differ);
    Value result = wantMod ? e.select(adjust, e.add(r, d), r)
                           : e.select(adjust, e.sub(q, one), q);
    return isZero ? e.select(isZero, zero, result) : result;
  });
}

Lane ScalarEmitter::shift(Lane x, Lane y, bool left) {
  std::optional<int64_t> count = constantOf(y);
  bool inside = count && *count >= 0 && *count <= 63;
  Interval range;
  if (inside && left)
    range = Interval::of(__int128(x.range.lo) << *count, __int128(x.range.hi)
                                                             << *count);
  else if (inside)
    range = {x.range.lo >> *count, x.range.hi >> *count};
  // A count above 31 does not fit 32-bit lanes.
  Lane amount = y;
  if (!(inside && *count <= 31))
    amount.range = {};
  return integer(x, amount, range, [&](Value a, Value b) -> Value {
    Type element = getElementTypeOrSelf(a.getType());
    auto constant = [&](int64_t value) -> Value {
      Value scalar = arith::ConstantOp::create(
          e.b, e.loc, e.b.getIntegerAttr(element, value));
      return isa<VectorType>(a.getType()) ? e.splat(scalar) : scalar;
    };
    auto build = [&](Value by) -> Value {
      return left ? e.b.createOrFold<arith::ShLIOp>(e.loc, a, by)
                  : e.b.createOrFold<arith::ShRSIOp>(e.loc, a, by);
    };
    if (inside)
      return build(b);
    Value ok = e.icmp(P::ult, b, constant(64));
    if (left)
      return e.select(ok, build(e.select(ok, b, constant(0))), constant(0));
    return build(e.select(ok, b, constant(63)));
  });
}

Lane ScalarEmitter::absolute(Lane x) {
  Lane zero{e.c(0), {0, 0}, {}, 0};
  Interval range;
  if (x.range.lo > INT64_MIN)
    range = {0, std::max(x.range.hi < 0 ? -x.range.hi : x.range.hi,
                         x.range.lo < 0 ? -x.range.lo : x.range.lo)};
  return integer(x, zero, range, [&](Value a, Value z) {
    return e.select(e.icmp(P::slt, a, z), e.sub(z, a), a);
  });
}

Lane ScalarEmitter::pick(Lane cond, Lane x, Lane y) {
  Interval range = Interval::join(x.range, y.range);
  if (!cond.isVector() && !x.isVector() && !y.isVector())
    return Lane{e.select(cond.v, x.v, y.v), range, {}, 0};
  Type element = getElementTypeOrSelf(x.v.getType());
  if (!element.isInteger(1))
    element = range.fits32() ? Type(e.b.getI32Type()) : e.i64;
  Value v = e.select(cond.v, toVector(x, element), toVector(y, element));
  return Lane{v, range, {}, 0};
}

/// and, or, xor of truth values.
std::optional<Lane> ScalarEmitter::logical(Operation *op, Lane x, Lane y) {
  bool vector = x.isVector() || y.isVector();
  Value a = vector ? toVector(x, e.i1) : x.v;
  Value b = vector ? toVector(y, e.i1) : y.v;
  Value v;
  if (isa<arith::AndIOp>(op))
    v = e.land(a, b);
  else if (isa<arith::OrIOp>(op))
    v = e.lor(a, b);
  else if (isa<arith::XOrIOp>(op))
    v = e.b.createOrFold<arith::XOrIOp>(e.loc, a, b);
  else
    return std::nullopt;
  return Lane{v, {0, 1}, {}, 0};
}

/// Sums keep what is known of neighbouring lanes.
Lane ScalarEmitter::sum(Lane x, Lane y) {
  Interval a = x.range, b = y.range;
  Lane lane = integer(x, y, Interval::of(I(a.lo) + b.lo, I(a.hi) + b.hi),
                      [&](Value u, Value v) { return e.add(u, v); });
  const Lane &stepped = x.step ? x : y, &other = x.step ? y : x;
  if (stepped.step && !other.isVector()) {
    lane.base = e.add(stepped.base, other.v);
    lane.step = stepped.step;
  }
  return lane;
}

Lane ScalarEmitter::difference(Lane x, Lane y) {
  Interval a = x.range, b = y.range;
  Lane lane = integer(x, y, Interval::of(I(a.lo) - b.hi, I(a.hi) - b.lo),
                      [&](Value u, Value v) { return e.sub(u, v); });
  if (x.step && !y.isVector()) {
    lane.base = e.sub(x.base, y.v);
    lane.step = x.step;
  } else if (y.step && !x.isVector()) {
    lane.base = e.sub(x.v, y.base);
    lane.step = -y.step;
  }
  return lane;
}

/// Products, extrema and bitwise operations.
std::optional<Lane> ScalarEmitter::lanewise(Operation *op, Lane x, Lane y) {
  Interval a = x.range, b = y.range;
  auto make = [&](Interval range, function_ref<Value(Value, Value)> build) {
    return integer(x, y, range, build);
  };
  if (isa<arith::MulIOp>(op))
    return make(rangeOfMul(a, b),
                [&](Value u, Value v) { return e.mul(u, v); });
  if (isa<arith::MinSIOp>(op))
    return make({std::min(a.lo, b.lo), std::min(a.hi, b.hi)},
                [&](Value u, Value v) { return e.min(u, v); });
  if (isa<arith::MaxSIOp>(op))
    return make({std::max(a.lo, b.lo), std::max(a.hi, b.hi)},
                [&](Value u, Value v) { return e.max(u, v); });
  if (isa<arith::AndIOp>(op))
    return make(a.lo >= 0 && b.lo >= 0 ? Interval{0, std::min(a.hi, b.hi)}
                                       : rangeOfBits(a, b),
                [&](Value u, Value v) { return e.land(u, v); });
  if (isa<arith::OrIOp>(op))
    return make(rangeOfBits(a, b),
                [&](Value u, Value v) { return e.lor(u, v); });
  if (isa<arith::XOrIOp>(op))
    return make(rangeOfBits(a, b), [&](Value u, Value v) {
      return e.b.createOrFold<arith::XOrIOp>(e.loc, u, v);
    });
  return std::nullopt;
}

/// Divisions: the total ones of regions, and those of the compiler's own index
/// code, whose divisors are sizes of tiles.
std::optional<Lane> ScalarEmitter::division(Operation *op, Lane x, Lane y) {
  if (isa<attn::FloorDivOp, arith::FloorDivSIOp>(op))
    return floorDivMod(x, y, /*wantMod=*/false);
  if (isa<attn::ModOp>(op))
    return floorDivMod(x, y, /*wantMod=*/true);
  if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op)) {
    // ceil(x / y) = −floor(−x / y).
    Lane zero{e.c(0), {0, 0}, {}, 0};
    return difference(zero, floorDivMod(difference(zero, x), y, false));
  }
  if (x.isVector() || y.isVector())
    return std::nullopt;
  Interval range = x.range.lo >= 0 ? Interval{0, x.range.hi} : Interval{};
  Value v;
  if (isa<arith::DivSIOp>(op))
    v = e.b.createOrFold<arith::DivSIOp>(e.loc, x.v, y.v);
  else if (isa<arith::RemSIOp>(op))
    v = e.b.createOrFold<arith::RemSIOp>(e.loc, x.v, y.v);
  else if (isa<arith::DivUIOp>(op))
    v = e.udiv(x.v, y.v);
  else if (isa<arith::RemUIOp>(op))
    v = e.urem(x.v, y.v);
  else
    return std::nullopt;
  return Lane{v, range, {}, 0};
}

std::optional<Lane> ScalarEmitter::binary(Operation *op, Lane x, Lane y) {
  if (getElementTypeOrSelf(x.v.getType()).isInteger(1))
    return logical(op, x, y);
  if (isa<arith::AddIOp>(op))
    return sum(x, y);
  if (isa<arith::SubIOp>(op))
    return difference(x, y);
  if (isa<attn::ShlOp>(op))
    return shift(x, y, /*left=*/true);
  if (isa<attn::ShrOp>(op))
    return shift(x, y, /*left=*/false);
  if (std::optional<Lane> lane = lanewise(op, x, y))
    return lane;
  return division(op, x, y);
}

bool ScalarEmitter::emitInteger(Operation *op) {
  Value result = op->getNumResults() == 1 ? op->getResult(0) : Value();
  if (!result || !isa<IntegerType, IndexType>(result.getType()))
    return false;
  std::optional<Lane> lane;
  auto operand = [&](unsigned i) { return get(op->getOperand(i)); };
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op)) {
    lane = operand(0);
  } else if (auto cmp = dyn_cast<arith::CmpIOp>(op)) {
    lane = compare(cmp.getPredicate(), operand(0), operand(1));
  } else if (isa<attn::ToIntOp>(op)) {
    lane = toInt(operand(0));
  } else if (isa<math::AbsIOp>(op)) {
    lane = absolute(operand(0));
  } else if (isa<arith::SelectOp>(op)) {
    lane = pick(operand(0), operand(1), operand(2));
  } else if (isa<arith::ExtUIOp>(op)) {
    Lane x = operand(0);
    if (getElementTypeOrSelf(x.v.getType()).isInteger(1)) {
      Type target = x.isVector() ? Type(e.vec(e.b.getI32Type())) : e.i64;
      Value v = e.b.createOrFold<arith::ExtUIOp>(e.loc, target, x.v);
      lane = Lane{v, {0, 1}, {}, 0};
    }
  } else if (op->getNumOperands() == 2 &&
             isa<IntegerType, IndexType>(op->getOperand(0).getType())) {
    lane = binary(op, operand(0), operand(1));
  }
  if (lane)
    set(result, *lane);
  return lane.has_value();
}
