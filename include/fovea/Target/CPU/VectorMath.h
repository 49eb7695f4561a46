//===- VectorMath.h - Elementary functions on vectors -----------*- C++ -*-===//
//
// Polynomials emitted as arith and vector ops, so that kernels call no libm.
// Errors are the largest found against libm over all f32 arguments of the
// stated range (test/unit/CPU/VectorMathTest.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TARGET_CPU_VECTORMATH_H
#define FOVEA_TARGET_CPU_VECTORMATH_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace fovea::cpu {

/// Emits functions of vectors of f32 or f64 for registers of so many bytes: 64
/// are AVX-512, with scalef, which is exact at infinities, NaN and for
/// subnormal results; 32 are AVX2; 16 are those of any target.
class VectorMath {
public:
  VectorMath(mlir::OpBuilder &builder, mlir::Location loc,
             int64_t registerBytes)
      : b(builder), loc(loc), registerBytes(registerBytes),
        avx512(registerBytes == 64) {}

  /// 2^x for all x: 0.8 ulp in f32, 1e-15 relative in f64.
  mlir::Value exp2(mlir::Value x);
  /// 2^x for x ≤ 0, flushing results below 2^-126.5 (2^-1022.5) to zero where
  /// the machine has no scalef; 0 at −inf.
  mlir::Value exp2NonPositive(mlir::Value x);
  /// The same, flushing them on every machine.
  mlir::Value exp2Flushed(mlir::Value x);
  /// The same with as few products as can be, for chains that other products
  /// wait for: 1 ulp in f32 where registers have 64 or 32 bytes, otherwise
  /// exp2Flushed. With 32 bytes results below 2^-126 become others there;
  /// those below 2^-127 are zero.
  mlir::Value exp2ByTable(mlir::Value x);
  /// The same for a result that becomes bf16: 8.7e-5 relative in f32 where
  /// registers have 64 bytes, otherwise exp2ByTable. 1 at 0.
  mlir::Value exp2ForPairs(mlir::Value x);
  mlir::Value exp(mlir::Value x);
  mlir::Value log2(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value log1p(mlir::Value x);
  /// tanh(factor · x), or tanh(x) without a factor: 3.5 ulp; of −0: +0. The
  /// first it does is multiply by tanhUnit, 2 / ln 2.
  mlir::Value tanh(mlir::Value x, mlir::Value factor = {});
  static constexpr double tanhUnit = 2.8853900817779268;
  mlir::Value sin(mlir::Value x);
  mlir::Value cos(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  mlir::Value pow(mlir::Value x, mlir::Value y);

private:
  mlir::Value constant(mlir::Type like, double value);
  mlir::Value integer(mlir::Type like, int64_t value);
  mlir::Value polynomial(mlir::Value x, mlir::ArrayRef<double> coefficients);
  mlir::Value exp2MinusOneOverX(mlir::Value r);
  mlir::Value exp2Polynomial(mlir::Value r);
  mlir::Value exp2ByFour(mlir::Value x);
  mlir::Value scaleByPowerOfTwo(mlir::Value x, mlir::Value n);
  /// 2^n for an integral n that gives a normal number.
  mlir::Value powerOfTwo(mlir::Value n);
  mlir::Value reduceAndEvaluate(mlir::Value x, unsigned quarterTurns);
  /// log2(x) = exponent + series in f; returns (exponent, 2·atanh(f)).
  std::pair<mlir::Value, mlir::Value> splitLog(mlir::Value x);
  mlir::Value logSpecialCases(mlir::Value x, mlir::Value result);

  mlir::OpBuilder &b;
  mlir::Location loc;
  int64_t registerBytes;
  bool avx512;
};

} // namespace fovea::cpu

#endif // FOVEA_TARGET_CPU_VECTORMATH_H
