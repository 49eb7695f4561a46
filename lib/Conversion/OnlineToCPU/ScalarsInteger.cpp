//===- ScalarsInteger.cpp - Total integer arithmetic on lanes (S8) --------===//

#include "Scalars.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

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

/// The smallest 2^k − 1 interval around values that bitwise ops keep inside.
static Interval rangeOfBits(Interval x, Interval y) {
  if (x.lo < 0 || y.lo < 0)
    return x.fits32() && y.fits32() ? Interval{INT32_MIN, INT32_MAX}
                                    : Interval{};
  uint64_t top = uint64_t(std::max(x.hi, y.hi));
  unsigned bits = 64 - (top ? __builtin_clzll(top) : 64);
  return {0, bits >= 63 ? INT64_MAX : (int64_t(1) << bits) - 1};
}

Lane ScalarEmitter::wide(Lane lane) {
  if (lane.isVector())
    lane.v = toVector(lane, e.i64);
  return lane;
}

Lane ScalarEmitter::integer(Operation *op, Lane x, Lane y, Interval range,
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

Lane ScalarEmitter::floorDivMod(Operation *op, Lane x, Lane y, bool wantMod) {
  std::optional<int64_t> divisor = constantOf(y);
  Interval range;
  if (wantMod) {
    // The sign of the divisor, and smaller in magnitude.
    range = {y.range.lo < 0
                 ? (y.range.lo == INT64_MIN ? INT64_MIN : y.range.lo + 1)
                 : 0,
             y.range.hi > 0 ? y.range.hi - 1 : 0};
    if (x.range.lo >= 0 && y.range.lo >= 0)
      range.hi = std::min(range.hi, x.range.hi);
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
  return integer(op, x, y, range, [&](Value a, Value b) -> Value {
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

Lane ScalarEmitter::shift(Operation *op, Lane x, Lane y, bool left) {
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
  return integer(op, x, amount, range, [&](Value a, Value b) -> Value {
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

bool ScalarEmitter::emitInteger(Operation *op) {
  Value result = op->getNumResults() == 1 ? op->getResult(0) : Value();
  if (!result || !isa<IntegerType, IndexType>(result.getType()))
    return false;
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op)) {
    set(result, get(op->getOperand(0)));
    return true;
  }
  if (auto cmp = dyn_cast<arith::CmpIOp>(op)) {
    set(result,
        compare(cmp.getPredicate(), get(cmp.getLhs()), get(cmp.getRhs())));
    return true;
  }
  if (auto toInt = dyn_cast<attn::ToIntOp>(op)) {
    set(result, this->toInt(get(toInt.getSource())));
    return true;
  }
  if (auto ext = dyn_cast<arith::ExtUIOp>(op)) {
    Lane x = get(ext.getIn());
    if (!getElementTypeOrSelf(x.v.getType()).isInteger(1))
      return false;
    Type target = x.isVector() ? Type(e.vec(e.b.getI32Type())) : e.i64;
    set(result, Lane{e.b.createOrFold<arith::ExtUIOp>(e.loc, target, x.v),
                     {0, 1},
                     {},
                     0});
    return true;
  }
  if (auto abs = dyn_cast<math::AbsIOp>(op)) {
    Lane x = get(abs.getOperand());
    Lane zero{e.c(0), {0, 0}, {}, 0};
    Interval range;
    if (x.range.lo > INT64_MIN)
      range = {0, std::max(x.range.hi < 0 ? -x.range.hi : x.range.hi,
                           x.range.lo < 0 ? -x.range.lo : x.range.lo)};
    set(result, integer(op, x, zero, range, [&](Value a, Value z) {
          return e.select(e.icmp(P::slt, a, z), e.sub(z, a), a);
        }));
    return true;
  }
  if (isa<arith::SelectOp>(op)) {
    Lane cond = get(op->getOperand(0)), x = get(op->getOperand(1)),
         y = get(op->getOperand(2));
    Interval range = Interval::join(x.range, y.range);
    if (!cond.isVector() && !x.isVector() && !y.isVector()) {
      set(result, Lane{e.select(cond.v, x.v, y.v), range, {}, 0});
      return true;
    }
    Type element = getElementTypeOrSelf(x.v.getType());
    if (!element.isInteger(1))
      element = range.fits32() ? Type(e.b.getI32Type()) : e.i64;
    set(result,
        Lane{e.select(cond.v, toVector(x, element), toVector(y, element)),
             range,
             {},
             0});
    return true;
  }
  if (op->getNumOperands() != 2)
    return false;
  Lane x = get(op->getOperand(0)), y = get(op->getOperand(1));
  if (getElementTypeOrSelf(x.v.getType()).isInteger(1)) {
    auto build = [&](Value a, Value b) -> Value {
      if (isa<arith::AndIOp>(op))
        return e.land(a, b);
      if (isa<arith::OrIOp>(op))
        return e.lor(a, b);
      return e.b.createOrFold<arith::XOrIOp>(e.loc, a, b);
    };
    if (!isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op))
      return false;
    bool vector = x.isVector() || y.isVector();
    set(result, Lane{vector ? build(toVector(x, e.i1), toVector(y, e.i1))
                            : build(x.v, y.v),
                     {0, 1},
                     {},
                     0});
    return true;
  }
  Interval a = x.range, b = y.range;
  using I = __int128;
  Lane lane;
  if (isa<arith::AddIOp>(op)) {
    lane = integer(op, x, y, Interval::of(I(a.lo) + b.lo, I(a.hi) + b.hi),
                   [&](Value u, Value v) { return e.add(u, v); });
    const Lane &stepped = x.step ? x : y, &other = x.step ? y : x;
    if (stepped.step && !other.isVector()) {
      lane.base = e.add(stepped.base, other.v);
      lane.step = stepped.step;
    }
  } else if (isa<arith::SubIOp>(op)) {
    lane = integer(op, x, y, Interval::of(I(a.lo) - b.hi, I(a.hi) - b.lo),
                   [&](Value u, Value v) { return e.sub(u, v); });
    if (x.step && !y.isVector()) {
      lane.base = e.sub(x.base, y.v);
      lane.step = x.step;
    } else if (y.step && !x.isVector()) {
      lane.base = e.sub(x.v, y.base);
      lane.step = -y.step;
    }
  } else if (isa<arith::MulIOp>(op)) {
    lane = integer(op, x, y, rangeOfMul(a, b),
                   [&](Value u, Value v) { return e.mul(u, v); });
  } else if (isa<arith::MinSIOp>(op)) {
    lane = integer(op, x, y, {std::min(a.lo, b.lo), std::min(a.hi, b.hi)},
                   [&](Value u, Value v) { return e.min(u, v); });
  } else if (isa<arith::MaxSIOp>(op)) {
    lane = integer(op, x, y, {std::max(a.lo, b.lo), std::max(a.hi, b.hi)},
                   [&](Value u, Value v) { return e.max(u, v); });
  } else if (isa<arith::AndIOp>(op)) {
    Interval r = a.lo >= 0 && b.lo >= 0 ? Interval{0, std::min(a.hi, b.hi)}
                                        : rangeOfBits(a, b);
    lane = integer(op, x, y, r, [&](Value u, Value v) { return e.land(u, v); });
  } else if (isa<arith::OrIOp>(op)) {
    lane = integer(op, x, y, rangeOfBits(a, b),
                   [&](Value u, Value v) { return e.lor(u, v); });
  } else if (isa<arith::XOrIOp>(op)) {
    lane = integer(op, x, y, rangeOfBits(a, b), [&](Value u, Value v) {
      return e.b.createOrFold<arith::XOrIOp>(e.loc, u, v);
    });
  } else if (isa<attn::FloorDivOp, arith::FloorDivSIOp>(op)) {
    lane = floorDivMod(op, x, y, /*wantMod=*/false);
  } else if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op)) {
    // ceil(x / y) = −floor(−x / y).
    Lane zero{e.c(0), {0, 0}, {}, 0};
    auto negate = [&](Lane l) {
      return integer(op, zero, l, Interval::of(-I(l.range.hi), -I(l.range.lo)),
                     [&](Value u, Value v) { return e.sub(u, v); });
    };
    lane = negate(floorDivMod(op, negate(x), y, /*wantMod=*/false));
  } else if (isa<attn::ModOp>(op)) {
    lane = floorDivMod(op, x, y, /*wantMod=*/true);
  } else if (isa<attn::ShlOp>(op)) {
    lane = shift(op, x, y, /*left=*/true);
  } else if (isa<attn::ShrOp>(op)) {
    lane = shift(op, x, y, /*left=*/false);
  } else if (isa<arith::DivSIOp, arith::RemSIOp, arith::DivUIOp,
                 arith::RemUIOp>(op) &&
             !x.isVector() && !y.isVector()) {
    // Index code of the compiler's own, whose divisors are sizes of tiles.
    Interval r = a.lo >= 0 ? Interval{0, a.hi} : Interval{};
    lane = integer(op, x, y, r, [&](Value u, Value v) -> Value {
      if (isa<arith::DivSIOp>(op))
        return e.b.createOrFold<arith::DivSIOp>(e.loc, u, v);
      if (isa<arith::RemSIOp>(op))
        return e.b.createOrFold<arith::RemSIOp>(e.loc, u, v);
      return isa<arith::DivUIOp>(op) ? e.udiv(u, v) : e.urem(u, v);
    });
  } else {
    return false;
  }
  set(result, lane);
  return true;
}
