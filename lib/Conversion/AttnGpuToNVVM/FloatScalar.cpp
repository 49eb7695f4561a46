//===- FloatScalar.cpp - Floats of tiles and of regions -------------------===//

#include "Scalar.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::gpu;

FailureOr<Scalar> ScalarEmitter::evaluateFloat(Operation *op,
                                               ArrayRef<Scalar> x) {
  auto give = [](Value value) -> FailureOr<Scalar> {
    return Scalar{value, {}};
  };
  return TypeSwitch<Operation *, FailureOr<Scalar>>(op)
      .Case([&](arith::AddFOp) { return give(e.fadd(x[0].value, x[1].value)); })
      .Case([&](arith::SubFOp) { return give(e.fsub(x[0].value, x[1].value)); })
      .Case([&](arith::MulFOp) { return give(e.fmul(x[0].value, x[1].value)); })
      .Case([&](arith::DivFOp) {
        if (isExact)
          return give(e.bin<LLVM::FDivOp>(x[0].value, x[1].value));
        FloatAttr constant;
        if (matchPattern(op->getOperand(1), m_Constant(&constant)))
          return give(
              e.fmul(x[0].value, e.cf(1.0 / constant.getValueAsDouble())));
        Value inverse = e.rcp(x[1].value);
        if (matchPattern(op->getOperand(0), m_OneFloat()))
          return give(inverse);
        return give(e.fmul(x[0].value, inverse));
      })
      .Case([&](arith::NegFOp) { return give(e.fneg(x[0].value)); })
      .Case([&](arith::MaximumFOp) {
        return give(e.bin<LLVM::MaximumOp>(x[0].value, x[1].value));
      })
      .Case([&](arith::MinimumFOp) {
        return give(e.bin<LLVM::MinimumOp>(x[0].value, x[1].value));
      })
      .Case([&](arith::SelectOp) {
        return give(e.select(x[0].value, x[1].value, x[2].value));
      })
      .Case([&](arith::SIToFPOp) {
        return give(LLVM::SIToFPOp::create(e.b, e.loc, e.f32, x[0].value));
      })
      .Case([&](arith::UIToFPOp) {
        return give(LLVM::UIToFPOp::create(e.b, e.loc, e.f32, x[0].value));
      })
      .Default([&](Operation *other) { return unsupported(other); });
}

/// Absolute error 1e-7, where the instruction's is 5e-4.
Value ScalarEmitter::tanh(Value x) {
  Value power = e.ex2(e.fmul(x, e.cf(2 * M_LOG2E)));
  return e.fma(e.rcp(e.fadd(power, e.cf(1))), e.cf(-2), e.cf(1));
}

/// The instruction is good within a period. What is beyond is brought there in
/// f64, twice, as a number of periods above 2^53 is not exact.
Value ScalarEmitter::sine(Value x, StringRef name) {
  constexpr double period = 2 * M_PI, rest = 2.4492935982947064e-16;
  Type f64 = e.b.getF64Type();
  auto number = [&](double value) -> Value {
    return LLVM::ConstantOp::create(e.b, e.loc, f64,
                                    e.b.getF64FloatAttr(value));
  };
  auto fma = [&](Value a, double b, Value c) -> Value {
    return LLVM::FMAOp::create(e.b, e.loc, a, number(b), c);
  };
  Value wide = LLVM::FPExtOp::create(e.b, e.loc, f64, x);
  for (int i = 0; i < 2; ++i) {
    Value periods = LLVM::FMulOp::create(e.b, e.loc, wide, number(1 / period));
    periods = e.intrinsic("llvm.rint.f64", f64, periods);
    wide = fma(periods, -rest, fma(periods, -period, wide));
  }
  Value near = LLVM::FPTruncOp::create(e.b, e.loc, e.f32, wide);
  return e.intrinsic(("llvm.nvvm." + name + ".approx.ftz.f").str(), e.f32,
                     near);
}

/// Abramowitz and Stegun, 7.1.26: absolute error 1.5e-7.
Value ScalarEmitter::erf(Value x) {
  Value size = LLVM::FAbsOp::create(e.b, e.loc, x);
  Value t = e.rcp(e.fma(size, e.cf(0.3275911), e.cf(1)));
  Value sum = e.cf(1.061405429);
  for (double factor : {-1.453152027, 1.421413741, -0.284496736, 0.254829592})
    sum = e.fma(sum, t, e.cf(factor));
  Value square = e.fmul(size, size);
  Value tail = e.ex2(e.fmul(square, e.cf(-M_LOG2E)));
  Value value = e.fma(e.fneg(e.fmul(sum, t)), tail, e.cf(1));
  return LLVM::CopySignOp::create(e.b, e.loc, value, x);
}

/// log(1 + x), corrected for what 1 + x has lost.
Value ScalarEmitter::log1p(Value x) {
  Value sum = e.fadd(x, e.cf(1)), kept = e.fsub(sum, e.cf(1));
  Value log = e.fmul(e.lg2(sum), e.cf(M_LN2));
  Value isSmall = e.fcmp(LLVM::FCmpPredicate::oeq, kept, e.cf(0));
  Value isFinite = e.fcmp(LLVM::FCmpPredicate::olt, sum, e.cf(INFINITY));
  Value corrected = e.fmul(log, e.fmul(x, e.rcp(kept)));
  return e.select(isSmall, x, e.select(isFinite, corrected, log));
}

FailureOr<Scalar> ScalarEmitter::evaluateMath(Operation *op,
                                              ArrayRef<Scalar> x) {
  auto give = [](Value value) -> FailureOr<Scalar> {
    return Scalar{value, {}};
  };
  return TypeSwitch<Operation *, FailureOr<Scalar>>(op)
      .Case([&](math::FmaOp) {
        return give(e.fma(x[0].value, x[1].value, x[2].value));
      })
      .Case([&](math::Exp2Op) { return give(e.ex2(x[0].value)); })
      .Case([&](math::ExpOp) {
        return give(e.ex2(e.fmul(x[0].value, e.cf(M_LOG2E))));
      })
      .Case([&](math::Log2Op) { return give(e.lg2(x[0].value)); })
      .Case([&](math::LogOp) {
        return give(e.fmul(e.lg2(x[0].value), e.cf(M_LN2)));
      })
      .Case([&](math::TanhOp) {
        if (isExact)
          return give(tanh(x[0].value));
        return give(e.assembly1("tanh.approx.f32 $0, $1;", "=f,f", x[0].value,
                                e.f32, /*sideEffects=*/false));
      })
      .Case([&](math::SqrtOp) {
        if (isExact)
          return give(e.intrinsic("llvm.sqrt.f32", e.f32, x[0].value));
        return give(
            e.intrinsic("llvm.nvvm.sqrt.approx.ftz.f", e.f32, x[0].value));
      })
      .Case([&](math::RsqrtOp) {
        if (isExact)
          return give(e.bin<LLVM::FDivOp>(
              e.cf(1), e.intrinsic("llvm.sqrt.f32", e.f32, x[0].value)));
        return give(
            e.intrinsic("llvm.nvvm.rsqrt.approx.ftz.f", e.f32, x[0].value));
      })
      .Case([&](math::SinOp) { return give(sine(x[0].value, "sin")); })
      .Case([&](math::CosOp) { return give(sine(x[0].value, "cos")); })
      .Case([&](math::ErfOp) { return give(erf(x[0].value)); })
      .Case([&](math::Log1pOp) { return give(log1p(x[0].value)); })
      .Case([&](math::AbsFOp) {
        return give(LLVM::FAbsOp::create(e.b, e.loc, x[0].value));
      })
      .Case([&](math::FloorOp) {
        return give(LLVM::FFloorOp::create(e.b, e.loc, x[0].value));
      })
      .Default([&](Operation *other) { return unsupported(other); });
}
