//===- Scalar.cpp - Scalars of tiles and of regions -----------------------===//

#include "Scalar.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::gpu;

Value ScalarEmitter::wide(const Scalar &x) {
  return x.value.getType() == e.i64 ? x.value : e.sext(x.value);
}

FailureOr<Scalar> ScalarEmitter::unsupported(Operation *op) {
  return op->emitError() << "sm_90a kernels do not have '" << op->getName()
                         << "' on " << op->getOperandTypes();
}

std::pair<Value, Value> ScalarEmitter::align(const Scalar &x, const Scalar &y,
                                             Interval result) {
  bool narrow = x.value.getType() == e.i32 && y.value.getType() == e.i32;
  if (narrow && result.fits32())
    return {x.value, y.value};
  return {wide(x), wide(y)};
}

FailureOr<Scalar> ScalarEmitter::evaluate(Operation *op, ArrayRef<Scalar> x) {
  e.loc = op->getLoc();
  if (isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsIOp>(op))
    return evaluateMath(op, x);
  if (auto readOp = dyn_cast<attn::ReadOp>(op))
    return read(readOp, x);
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (auto value = dyn_cast<FloatAttr>(constant.getValue()))
      return Scalar{e.cf(value.getValueAsDouble()), {}};
    int64_t value = cast<IntegerAttr>(constant.getValue()).getInt();
    if (constant.getType().isInteger(1))
      return Scalar{e.c(value & 1, e.i1), {}};
    Interval interval{value, value};
    return Scalar{e.c(value, interval.fits32() ? e.i32 : e.i64), interval};
  }
  Type type = op->getResult(0).getType();
  if (type.isF32())
    return evaluateFloat(op, x);
  return evaluateInteger(op, x);
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

static Interval product(Interval x, Interval y) {
  __int128 corners[] = {(__int128)x.lo * y.lo, (__int128)x.lo * y.hi,
                        (__int128)x.hi * y.lo, (__int128)x.hi * y.hi};
  return Interval::of(*std::min_element(corners, corners + 4),
                      *std::max_element(corners, corners + 4));
}

Scalar ScalarEmitter::divide(const Scalar &x, const Scalar &y, bool remainder) {
  bool positive = x.interval.lo >= 0 && y.interval.lo > 0;
  Interval result = remainder
                        ? Interval{0, std::max<int64_t>(y.interval.hi, 1) - 1}
                        : x.interval;
  if (!positive)
    result = {};
  auto [a, b] = align(x, y, positive ? result : Interval{});
  if (positive) {
    Value value = remainder ? e.bin<LLVM::URemOp>(a, b) : e.udiv(a, b);
    return {value, result};
  }
  Value zero = e.c(0, e.i64), one = e.c(1, e.i64);
  Value isZero = e.icmp(LLVM::ICmpPredicate::eq, b, zero);
  // −1 is apart as the quotient by it may not be representable.
  Value isMinus = e.icmp(LLVM::ICmpPredicate::eq, b, e.c(-1, e.i64));
  Value divisor = e.select(e.lor(isZero, isMinus), one, b);
  Value quotient = e.bin<LLVM::SDivOp>(a, divisor);
  Value rest = e.sub(a, e.mul(quotient, divisor));
  Value adjust =
      e.land(e.icmp(LLVM::ICmpPredicate::ne, rest, zero),
             e.icmp(LLVM::ICmpPredicate::slt, e.lxor(rest, divisor), zero));
  Value value = remainder ? e.select(adjust, e.add(rest, divisor), rest)
                          : e.select(adjust, e.add(quotient, -1), quotient);
  if (!remainder)
    value = e.select(isMinus, e.sub(zero, a), value);
  return {e.select(isZero, zero, value), {}};
}

/// S8: a count outside of 0…63 leaves nothing but the sign.
Scalar ScalarEmitter::shift(const Scalar &x, const Scalar &y, bool left) {
  Value value = wide(x), count = wide(y), most = e.c(63, e.i64);
  Value isInside = e.icmp(LLVM::ICmpPredicate::ule, count, most);
  Value cut = e.umin(count, most);
  if (!left) // by 63 leaves the sign too
    return {e.ashr(value, cut), {}};
  return {e.select(isInside, e.shl(value, cut), e.c(0, e.i64)), {}};
}

FailureOr<Scalar> ScalarEmitter::compare(arith::CmpIOp op, ArrayRef<Scalar> x) {
  auto predicate =
      static_cast<LLVM::ICmpPredicate>(static_cast<int64_t>(op.getPredicate()));
  auto [a, b] = align(x[0], x[1], Interval{0, 0});
  return Scalar{e.icmp(predicate, a, b), {}};
}

static Interval sum(Interval x, Interval y) {
  return Interval::of((__int128)x.lo + y.lo, (__int128)x.hi + y.hi);
}
static Interval difference(Interval x, Interval y) {
  return Interval::of((__int128)x.lo - y.hi, (__int128)x.hi - y.lo);
}

/// Ops of two numbers whose result's interval follows from theirs.
FailureOr<Scalar> ScalarEmitter::evaluateArithmetic(Operation *op,
                                                    ArrayRef<Scalar> x) {
  Interval a = x[0].interval, b = x[1].interval;
  // Positions and sizes are promised to fit, index arithmetic on them too.
  auto clip = [&](Interval interval) {
    if (!op->getResult(0).getType().isIndex())
      return interval;
    return Interval{std::max(interval.lo, -kMaxIndex),
                    std::min(interval.hi, kMaxIndex)};
  };
  return TypeSwitch<Operation *, FailureOr<Scalar>>(op)
      .Case([&](arith::AddIOp) {
        return arithmetic<LLVM::AddOp>(x[0], x[1], clip(sum(a, b)));
      })
      .Case([&](arith::SubIOp) {
        return arithmetic<LLVM::SubOp>(x[0], x[1], clip(difference(a, b)));
      })
      .Case([&](arith::MulIOp) {
        return arithmetic<LLVM::MulOp>(x[0], x[1], clip(product(a, b)));
      })
      .Case([&](arith::MinSIOp) {
        return arithmetic<LLVM::SMinOp>(
            x[0], x[1], {std::min(a.lo, b.lo), std::min(a.hi, b.hi)});
      })
      .Case([&](arith::MaxSIOp) {
        return arithmetic<LLVM::SMaxOp>(
            x[0], x[1], {std::max(a.lo, b.lo), std::max(a.hi, b.hi)});
      })
      .Case([&](arith::DivUIOp) {
        return arithmetic<LLVM::UDivOp>(x[0], x[1],
                                        clip({0, std::max<int64_t>(a.hi, 0)}));
      })
      .Case([&](arith::RemUIOp) {
        return arithmetic<LLVM::URemOp>(
            x[0], x[1], clip({0, std::max<int64_t>(b.hi - 1, 0)}));
      });
}

FailureOr<Scalar> ScalarEmitter::evaluateInteger(Operation *op,
                                                 ArrayRef<Scalar> x) {
  bool isBit = op->getResult(0).getType().isInteger(1);
  auto bits = [&](auto tag) -> Scalar {
    using Op = decltype(tag);
    if (isBit)
      return {e.bin<Op>(x[0].value, x[1].value), {}};
    return arithmetic<Op>(x[0], x[1], Interval{INT32_MIN, INT32_MAX});
  };
  return TypeSwitch<Operation *, FailureOr<Scalar>>(op)
      .Case<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::MinSIOp,
            arith::MaxSIOp, arith::DivUIOp, arith::RemUIOp>(
          [&](Operation *same) { return evaluateArithmetic(same, x); })
      .Case([&](attn::FloorDivOp) { return divide(x[0], x[1], false); })
      .Case([&](attn::ModOp) { return divide(x[0], x[1], true); })
      .Case([&](arith::CmpIOp cmp) { return compare(cmp, x); })
      .Case([&](arith::CmpFOp cmp) -> FailureOr<Scalar> {
        auto predicate = static_cast<LLVM::FCmpPredicate>(
            static_cast<int64_t>(cmp.getPredicate()));
        return Scalar{e.fcmp(predicate, x[0].value, x[1].value), {}};
      })
      .Case([&](arith::AndIOp) { return bits(LLVM::AndOp()); })
      .Case([&](arith::OrIOp) { return bits(LLVM::OrOp()); })
      .Case([&](arith::XOrIOp) { return bits(LLVM::XOrOp()); })
      .Case([&](arith::SelectOp) -> FailureOr<Scalar> {
        if (isBit)
          return Scalar{e.select(x[0].value, x[1].value, x[2].value), {}};
        Interval a = x[1].interval, b = x[2].interval;
        Interval result{std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
        auto [yes, no] = align(x[1], x[2], result);
        return Scalar{e.select(x[0].value, yes, no), result};
      })
      .Case([&](arith::ExtUIOp) -> FailureOr<Scalar> {
        return Scalar{LLVM::ZExtOp::create(e.b, e.loc, e.i32, x[0].value),
                      {0, 1}};
      })
      .Case([&](arith::IndexCastOp cast) -> FailureOr<Scalar> {
        if (cast.getType().isIndex() && x[0].value.getType() == e.i64)
          return index(e.trunc(x[0].value));
        return x[0];
      })
      .Case([&](math::AbsIOp) -> FailureOr<Scalar> {
        Value wideX = wide(x[0]);
        return Scalar{e.smax(wideX, e.sub(e.c(0, e.i64), wideX)), {}};
      })
      .Case<attn::ShlOp, attn::ShrOp>([&](Operation *same) {
        return shift(x[0], x[1], isa<attn::ShlOp>(same));
      })
      .Case([&](attn::ExtentOp extent) -> FailureOr<Scalar> {
        Value size = tensors.getSize(extent->getOperand(0), extent.getDim());
        return Scalar{size, {0, INT32_MAX}};
      })
      .Case([&](attn::ToIntOp) -> FailureOr<Scalar> {
        // S8: truncates, saturates, NaN gives 0.
        return Scalar{e.intrinsic("llvm.fptosi.sat.i64.f32", e.i64, x[0].value),
                      {}};
      })
      .Default([&](Operation *other) { return unsupported(other); });
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// S7: an index outside of the tensor reads its nearest element.
FailureOr<Scalar> ScalarEmitter::read(attn::ReadOp op, ArrayRef<Scalar> x) {
  Value memref = op->getOperand(0);
  auto type = cast<MemRefType>(memref.getType());
  Value offset = e.c(0, e.i64);
  for (unsigned dim = 0; dim < type.getRank(); ++dim) {
    Value last = e.add(tensors.getSize(memref, dim), -1);
    const Scalar &index = x[1 + dim];
    Value clamped;
    if (index.value.getType() == e.i32)
      clamped = e.sext(e.smax(e.smin(index.value, last), e.c(0)));
    else
      clamped = e.smax(e.smin(index.value, e.sext(last)), e.c(0, e.i64));
    offset = e.add(offset, e.mul(clamped, tensors.getStride(memref, dim)));
  }
  Type element = type.getElementType();
  Type stored = element;
  if (isa<IntegerType>(element))
    stored = e.b.getIntegerType(
        std::max<unsigned>(8, element.getIntOrFloatBitWidth()));
  Value address = LLVM::GEPOp::create(e.b, e.loc, e.global, stored,
                                      tensors.getPointer(memref),
                                      ArrayRef<LLVM::GEPArg>{offset});
  auto load = LLVM::LoadOp::create(e.b, e.loc, stored, address,
                                   stored.getIntOrFloatBitWidth() / 8);
  load.setInvariant(true);
  Value value = load;
  if (element.isF32())
    return Scalar{value, {}};
  if (isa<FloatType>(element) && element.getIntOrFloatBitWidth() == 16)
    return Scalar{LLVM::FPExtOp::create(e.b, e.loc, e.f32, value), {}};
  if (element.isInteger(1))
    return Scalar{
        e.icmp(LLVM::ICmpPredicate::ne, value, e.c(0, e.b.getI8Type())), {}};
  unsigned width = element.getIntOrFloatBitWidth();
  if (!isa<IntegerType>(element))
    return unsupported(op);
  bool isUnsigned = element.isUnsignedInteger();
  if (width == 64 || (width == 32 && isUnsigned))
    return Scalar{width == 64 ? value : e.zext(value), {}};
  if (width < 32)
    value = isUnsigned
                ? LLVM::ZExtOp::create(e.b, e.loc, e.i32, value).getResult()
                : LLVM::SExtOp::create(e.b, e.loc, e.i32, value).getResult();
  return Scalar{value, {INT32_MIN, INT32_MAX}};
}
