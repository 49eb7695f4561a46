//===- Emitter.h - Building loops over raw memory ---------------*- C++ -*-===//
//
// Thin helpers over OpBuilder: 64-bit scalars, lane vectors of the score type,
// pointers. Everything stays in arith, scf, vector and the memory ops of llvm.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOCPU_EMITTER_H
#define FOVEA_LIB_CONVERSION_ONLINETOCPU_EMITTER_H

#include "fovea/Target/CPU/VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace fovea::cpu {
using namespace mlir;

using Values = SmallVector<Value>;

class Emitter {
public:
  /// `native` lanes fill a vector register; a panel has `vectors` of them.
  /// `group` 0: as many as accumulators of that size suit.
  Emitter(MLIRContext *context, Location loc, Type scoreType, int64_t native,
          int64_t vectors, int64_t group = 0);

  OpBuilder b;
  Location loc;
  Type f, i1, i8, i64, ptr;
  /// Lanes of a register and of a panel; keys in a group, so that a group of
  /// panel vectors is what a micro-kernel accumulates.
  int64_t native, lanes, group;
  VectorType vf, vmask;
  /// The integer that holds one bit per lane.
  Type word;
  bool avx512;

  int64_t scoreBytes() const { return f.getIntOrFloatBitWidth() / 8; }
  int64_t registerBytes() const { return native * scoreBytes(); }
  VectorMath math() { return VectorMath(b, loc, registerBytes()); }
  VectorType nativeVec(Type element) const {
    return VectorType::get({native}, element);
  }
  VectorType vec(Type element) const {
    return VectorType::get({lanes}, element);
  }

  /// Keeps LLVM from turning loops into calls of the C library.
  void keepSelfContained(LLVM::LLVMFuncOp function);

  // Scalars and vectors.
  Value c(int64_t value);
  Value cf(double value);
  Value vc(double value);
  Value cbool(bool value);
  Value splat(Value scalar);
  Value nativeSplat(Value scalar);
  Value iota(Type element);
  Value add(Value x, Value y) { return make<arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return make<arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) { return make<arith::MulIOp>(x, y); }
  Value min(Value x, Value y) { return make<arith::MinSIOp>(x, y); }
  Value max(Value x, Value y) { return make<arith::MaxSIOp>(x, y); }
  Value udiv(Value x, Value y) { return make<arith::DivUIOp>(x, y); }
  Value urem(Value x, Value y) { return make<arith::RemUIOp>(x, y); }
  Value land(Value x, Value y) { return make<arith::AndIOp>(x, y); }
  Value lor(Value x, Value y) { return make<arith::OrIOp>(x, y); }
  Value lnot(Value x);
  Value fadd(Value x, Value y) { return make<arith::AddFOp>(x, y); }
  Value fsub(Value x, Value y) { return make<arith::SubFOp>(x, y); }
  Value fmul(Value x, Value y) { return make<arith::MulFOp>(x, y); }
  Value fdiv(Value x, Value y) { return make<arith::DivFOp>(x, y); }
  /// x·y + z, rounded once.
  Value fma(Value x, Value y, Value z);
  /// z + x · y over pairs of bf16 (AVX512-BF16): one pair in an i32 with the
  /// pairs of every lane, which travel as bits of a score vector. `kept` has
  /// the bits of x that a lane sees; null: all.
  Value dotPairs(Value pair, Value lanePairs, Value z, Value kept = {});
  /// z + x · y for one register y: a scalar of the score type, or a pair with
  /// pairs.
  Value nativeStep(Value x, Value y, Value z);
  /// Rounds x and y to bf16: the pair (x, y) of every lane.
  Value makePairs(Value x, Value y);
  /// The same by integers, in registers of 64 bytes, of numbers that no
  /// rounding makes infinite. Halves are rounded up.
  Value makePairsByIntegers(Value x, Value y);
  /// The larger; y where x is NaN: one vmaxps.
  Value fmaxDropNaN(Value x, Value y);
  Value select(Value cond, Value x, Value y) {
    return make<arith::SelectOp>(cond, x, y);
  }
  Value icmp(arith::CmpIPredicate pred, Value x, Value y) {
    return b.createOrFold<arith::CmpIOp>(loc, pred, x, y);
  }
  Value fcmp(arith::CmpFPredicate pred, Value x, Value y) {
    return b.createOrFold<arith::CmpFOp>(loc, pred, x, y);
  }
  /// ceil(x / y) for x ≥ 0 and y > 0.
  Value ceilDiv(Value x, Value y);
  Value ceilDiv(Value x, int64_t y) { return ceilDiv(x, c(y)); }
  /// Lanes below `count`, which may lie outside 0…lanes.
  Value lanesBelow(Value count);
  /// Bits of a mask as an integer of at least 8 bits, and back.
  Value maskToWord(Value mask);
  Value wordToMask(Value word);

  // Memory.
  Value gep(Value base, Value index, Type element);
  Value gep(Value base, int64_t bytes);
  Value load(Type type, Value address, unsigned align = 0);
  void store(Value value, Value address, unsigned align = 0);
  /// Into the L2 cache.
  void prefetch(Value address);
  Value loadLanes(Value base, Value index, Type element);
  /// A row of a lane-major scratch array: base + row · lanes.
  Value row(Value base, Value index) { return gep(base, index, vf); }
  Value loadRow(Value base, Value index);
  /// A row that is stored again after a choice of lanes. AVX2's stores of
  /// chosen lanes, which LLVM makes of the two, take dozens of steps.
  Value loadChosenRow(Value base, Value index);
  void storeRow(Value value, Value base, Value index);
  /// One element widened to the score type.
  Value widen(Value value, Type target);
  /// The score type narrowed with round-to-nearest-even.
  Value narrow(Value value, Type element);

  // Control flow. Loops are neither unrolled nor vectorised by LLVM.
  Values loop(Value from, Value to, Value step, ValueRange init,
              function_ref<Values(Value, ValueRange)> body);
  void loop(Value from, Value to, int64_t step, function_ref<void(Value)> body);
  Values branch(Value cond, TypeRange types, function_ref<Values()> then,
                function_ref<Values()> otherwise);
  void when(Value cond, function_ref<void()> then);

  Value intrinsic(StringRef name, Type type, ValueRange operands);
  /// Lanes of x, then of y, by number.
  Value shuffle(Value x, Value y, ArrayRef<int32_t> lanes) {
    return LLVM::ShuffleVectorOp::create(b, loc, x, y, lanes);
  }

private:
  /// A native part of a lane vector, and the vector of such parts.
  Value part(Value x, int64_t index);
  Value join(ArrayRef<Value> parts);
  template <typename OpTy> Value make(Value x, Value y) {
    return b.createOrFold<OpTy>(loc, x, y);
  }
  template <typename OpTy> Value make(Value x, Value y, Value z) {
    return b.createOrFold<OpTy>(loc, x, y, z);
  }
};

} // namespace fovea::cpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOCPU_EMITTER_H
