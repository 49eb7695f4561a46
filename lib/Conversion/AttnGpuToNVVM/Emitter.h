//===- Emitter.h - Building a kernel in the LLVM dialect --------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_EMITTER_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_EMITTER_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace fovea::gpu {
using namespace mlir;

using Values = SmallVector<Value>;

/// Thin helpers over OpBuilder: scalars, blocks, inline assembly.
class Emitter {
public:
  explicit Emitter(MLIRContext *context)
      : b(context), loc(b.getUnknownLoc()), i1(b.getI1Type()),
        i32(b.getI32Type()), i64(b.getI64Type()), f32(b.getF32Type()),
        ptr(LLVM::LLVMPointerType::get(context)),
        global(LLVM::LLVMPointerType::get(context, 1)),
        shared(LLVM::LLVMPointerType::get(context, 3)) {}

  OpBuilder b;
  Location loc;
  Type i1, i32, i64, f32, ptr, global, shared;

  // Constants.
  Value c(int64_t value, Type type = {});
  Value cf(double value);

  // Integers; a plain number stands for a constant of x's type.
  template <typename Op> Value bin(Value x, Value y) {
    return Op::create(b, loc, x.getType(), x, y);
  }
  Value add(Value x, Value y) { return bin<LLVM::AddOp>(x, y); }
  Value sub(Value x, Value y) { return bin<LLVM::SubOp>(x, y); }
  Value mul(Value x, Value y) { return bin<LLVM::MulOp>(x, y); }
  Value land(Value x, Value y) { return bin<LLVM::AndOp>(x, y); }
  Value lor(Value x, Value y) { return bin<LLVM::OrOp>(x, y); }
  Value lxor(Value x, Value y) { return bin<LLVM::XOrOp>(x, y); }
  Value shl(Value x, Value y) { return bin<LLVM::ShlOp>(x, y); }
  Value lshr(Value x, Value y) { return bin<LLVM::LShrOp>(x, y); }
  Value ashr(Value x, Value y) { return bin<LLVM::AShrOp>(x, y); }
  Value udiv(Value x, Value y) { return bin<LLVM::UDivOp>(x, y); }
  Value smin(Value x, Value y) { return bin<LLVM::SMinOp>(x, y); }
  Value smax(Value x, Value y) { return bin<LLVM::SMaxOp>(x, y); }
  Value umin(Value x, Value y) { return bin<LLVM::UMinOp>(x, y); }
  Value add(Value x, int64_t y) { return y ? add(x, c(y, x.getType())) : x; }
  Value mul(Value x, int64_t y) { return mul(x, c(y, x.getType())); }
  Value land(Value x, int64_t y) { return land(x, c(y, x.getType())); }
  Value shl(Value x, int64_t y) { return shl(x, c(y, x.getType())); }
  Value lshr(Value x, int64_t y) { return lshr(x, c(y, x.getType())); }
  Value zext(Value x) { return LLVM::ZExtOp::create(b, loc, i64, x); }
  Value zextTo32(Value x) { return LLVM::ZExtOp::create(b, loc, i32, x); }
  Value sext(Value x) { return LLVM::SExtOp::create(b, loc, i64, x); }
  Value trunc(Value x) { return LLVM::TruncOp::create(b, loc, i32, x); }
  Value icmp(LLVM::ICmpPredicate predicate, Value x, Value y) {
    return LLVM::ICmpOp::create(b, loc, predicate, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return LLVM::SelectOp::create(b, loc, condition, x, y);
  }

  // Floats.
  Value fadd(Value x, Value y) { return bin<LLVM::FAddOp>(x, y); }
  Value fsub(Value x, Value y) { return bin<LLVM::FSubOp>(x, y); }
  Value fmul(Value x, Value y) { return bin<LLVM::FMulOp>(x, y); }
  Value fma(Value x, Value y, Value z) {
    return LLVM::FMAOp::create(b, loc, x, y, z);
  }
  Value fmax(Value x, Value y) { return bin<LLVM::MaxNumOp>(x, y); }
  Value fneg(Value x) { return LLVM::FNegOp::create(b, loc, x); }
  Value fcmp(LLVM::FCmpPredicate predicate, Value x, Value y) {
    return LLVM::FCmpOp::create(b, loc, predicate, x, y);
  }
  /// An intrinsic by its full name.
  Value intrinsic(StringRef name, Type type, ValueRange operands);
  Value ex2(Value x) {
    return intrinsic("llvm.nvvm.ex2.approx.ftz.f32", f32, x);
  }
  Value lg2(Value x) { return intrinsic("llvm.nvvm.lg2.approx.ftz.f", f32, x); }
  Value rcp(Value x) { return intrinsic("llvm.nvvm.rcp.approx.ftz.f", f32, x); }

  // Assembly.
  Values assembly(StringRef text, StringRef constraints, ValueRange operands,
                  TypeRange results = {}, bool sideEffects = true);
  Value assembly1(StringRef text, StringRef constraints, ValueRange operands,
                  Type result, bool sideEffects = true) {
    return assembly(text, constraints, operands, TypeRange(result),
                    sideEffects)[0];
  }

  /// For the kernel ahead on the stream. No access to memory passes it.
  void waitForGrid();

  // Blocks of the function that is being filled.
  Block *block(TypeRange arguments = {});
  void enter(Block *block) { b.setInsertionPointToEnd(block); }
  void br(Block *to, ValueRange arguments = {}) {
    LLVM::BrOp::create(b, loc, arguments, to);
  }
  void condBr(Value condition, Block *yes, ValueRange yesArguments, Block *no,
              ValueRange noArguments) {
    LLVM::CondBrOp::create(b, loc, condition, yes, yesArguments, no,
                           noArguments);
  }
  void when(Value condition, function_ref<void()> then);
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_EMITTER_H
