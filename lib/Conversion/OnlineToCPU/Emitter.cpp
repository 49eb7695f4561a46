//===- Emitter.cpp --------------------------------------------------------===//

#include "Emitter.h"
#include "fovea/Target/CPU/CPUModel.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::cpu;

Emitter::Emitter(MLIRContext *context, Location loc, Type scoreType,
                 int64_t native, int64_t vectors, int64_t keys)
    : b(context), loc(loc), f(scoreType), i1(b.getI1Type()),
      i8(b.getIntegerType(8)), i64(b.getI64Type()),
      ptr(LLVM::LLVMPointerType::get(context)), native(native),
      lanes(native * vectors), vf(VectorType::get({native * vectors}, f)),
      vmask(VectorType::get({native * vectors}, i1)) {
  avx512 = registerBytes() == 64;
  group = keys ? keys : fovea::keyGroup(registerBytes()) / vectors;
  word = b.getIntegerType(std::max<int64_t>(lanes, 8));
}

void Emitter::keepSelfContained(LLVM::LLVMFuncOp function) {
  function.setPassthroughAttr(b.getArrayAttr({b.getStringAttr("no-builtins")}));
}

Value Emitter::c(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 64);
}
Value Emitter::cf(double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(f, value));
}
Value Emitter::vc(double value) {
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(vf, b.getFloatAttr(f, value).getValue()));
}
Value Emitter::cbool(bool value) {
  return arith::ConstantIntOp::create(b, loc, value, 1);
}

Value Emitter::splat(Value scalar) {
  Attribute constant;
  VectorType type = vec(scalar.getType());
  if (matchPattern(scalar, m_Constant(&constant)))
    return arith::ConstantOp::create(b, loc,
                                     DenseElementsAttr::get(type, constant));
  return vector::BroadcastOp::create(b, loc, type, scalar);
}

Value Emitter::nativeSplat(Value scalar) {
  return vector::BroadcastOp::create(b, loc, nativeVec(scalar.getType()),
                                     scalar);
}

Value Emitter::iota(Type element) {
  SmallVector<Attribute> values;
  for (int64_t i = 0; i < lanes; ++i)
    values.push_back(b.getIntegerAttr(element, i));
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(vec(element), values));
}

Value Emitter::lnot(Value x) {
  Type type = x.getType();
  Value ones = isa<VectorType>(type) ? splat(cbool(true)) : cbool(true);
  return make<arith::XOrIOp>(x, ones);
}

Value Emitter::fma(Value x, Value y, Value z) {
  return LLVM::FMAOp::create(b, loc, x.getType(), x, y, z);
}

Value Emitter::part(Value x, int64_t index) {
  if (lanes == native)
    return x;
  SmallVector<int32_t> mask;
  for (int64_t i = 0; i < native; ++i)
    mask.push_back(index * native + i);
  return LLVM::ShuffleVectorOp::create(b, loc, x, x, mask);
}

Value Emitter::join(ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts[0];
  assert(parts.size() == 2 && "a panel has one or two registers");
  SmallVector<int32_t> mask;
  for (int64_t i = 0; i < lanes; ++i)
    mask.push_back(i);
  return LLVM::ShuffleVectorOp::create(b, loc, parts[0], parts[1], mask);
}

Value Emitter::intrinsic(StringRef name, Type type, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name),
                                       operands)
      .getResult(0);
}

Value Emitter::dotPairs(Value pair, Value lanePairs, Value z, Value kept) {
  auto pairs = VectorType::get({2 * native}, b.getBF16Type());
  Value all = nativeSplat(pair);
  Values parts;
  for (int64_t i = 0; i < lanes / native; ++i) {
    Value x = kept ? land(all, part(kept, i)) : all;
    x = LLVM::BitcastOp::create(b, loc, pairs, x);
    Value own = LLVM::BitcastOp::create(b, loc, pairs, part(lanePairs, i));
    parts.push_back(intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", nativeVec(f),
                              {part(z, i), x, own}));
  }
  return join(parts);
}

Value Emitter::nativeStep(Value x, Value y, Value z) {
  if (x.getType() == f)
    return fma(nativeSplat(x), y, z);
  auto pairs = VectorType::get({2 * native}, b.getBF16Type());
  x = LLVM::BitcastOp::create(b, loc, pairs, nativeSplat(x));
  y = LLVM::BitcastOp::create(b, loc, pairs, y);
  return intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", z.getType(), {z, x, y});
}

Value Emitter::makePairs(Value x, Value y) {
  auto pairs = VectorType::get({2 * native}, b.getBF16Type());
  SmallVector<int32_t> mask;
  for (int64_t i = 0; i < native; ++i)
    mask.append({int32_t(i), int32_t(native + i)});
  Values parts;
  for (int64_t i = 0; i < lanes / native; ++i) {
    // The second operand fills the lower half.
    Value both =
        intrinsic(native == 16 ? "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
                               : "llvm.x86.avx512bf16.cvtne2ps2bf16.128",
                  pairs, {part(y, i), part(x, i)});
    both = LLVM::ShuffleVectorOp::create(b, loc, both, both, mask);
    parts.push_back(LLVM::BitcastOp::create(b, loc, nativeVec(f), both));
  }
  return join(parts);
}

Value Emitter::makePairsByIntegers(Value x, Value y) {
  auto ints = VectorType::get({native}, b.getI32Type());
  auto constant = [&](int64_t c) -> Value {
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(ints, llvm::APInt(32, c, true)));
  };
  auto rounded = [&](Value v) -> Value {
    Value bits = LLVM::BitcastOp::create(b, loc, ints, v);
    return arith::AddIOp::create(b, loc, bits, constant(0x8000));
  };
  // Of a shift and an or LLVM makes a shuffle of two registers.
  constexpr int64_t orOfAnd = 0xf8;
  Values parts;
  for (int64_t i = 0; i < lanes / native; ++i) {
    Value low =
        arith::ShRUIOp::create(b, loc, rounded(part(x, i)), constant(16));
    Value both = intrinsic("llvm.x86.avx512.pternlog.d.512", ints,
                           {low, rounded(part(y, i)), constant(-0x10000),
                            arith::ConstantIntOp::create(b, loc, orOfAnd, 32)});
    parts.push_back(LLVM::BitcastOp::create(b, loc, nativeVec(f), both));
  }
  return join(parts);
}

Value Emitter::fmaxDropNaN(Value x, Value y) {
  return select(fcmp(arith::CmpFPredicate::OGT, x, y), x, y);
}

Value Emitter::ceilDiv(Value x, Value y) {
  return udiv(add(x, sub(y, c(1))), y);
}

Value Emitter::lanesBelow(Value count) {
  Type i32 = b.getI32Type();
  Value clamped = min(max(count, c(0)), c(lanes));
  Value narrow = b.createOrFold<arith::TruncIOp>(loc, i32, clamped);
  return icmp(arith::CmpIPredicate::slt, iota(i32), splat(narrow));
}

Value Emitter::maskToWord(Value mask) {
  Type bits = b.getIntegerType(lanes);
  Value value = LLVM::BitcastOp::create(b, loc, bits, mask);
  if (bits != word)
    value = arith::ExtUIOp::create(b, loc, word, value);
  return value;
}

Value Emitter::wordToMask(Value value) {
  Type bits = b.getIntegerType(lanes);
  if (bits != word)
    value = arith::TruncIOp::create(b, loc, bits, value);
  return LLVM::BitcastOp::create(b, loc, vmask, value);
}

/// An index that counts pieces of some elements needs no product.
Value Emitter::gep(Value base, Value index, Type element) {
  if (matchPattern(index, m_Zero()))
    return base;
  APInt count;
  if (auto product = index.getDefiningOp<arith::MulIOp>())
    if (matchPattern(product.getRhs(), m_ConstantInt(&count)) &&
        count.isStrictlyPositive()) {
      index = product.getLhs();
      element = LLVM::LLVMArrayType::get(element, count.getZExtValue());
    }
  return LLVM::GEPOp::create(b, loc, ptr, element, base,
                             ArrayRef<LLVM::GEPArg>{index});
}
Value Emitter::gep(Value base, int64_t bytes) {
  if (bytes == 0)
    return base;
  return LLVM::GEPOp::create(
      b, loc, ptr, i8, base,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}
Value Emitter::load(Type type, Value address, unsigned align) {
  return LLVM::LoadOp::create(b, loc, type, address, align);
}
void Emitter::store(Value value, Value address, unsigned align) {
  LLVM::StoreOp::create(b, loc, value, address, align);
}
void Emitter::prefetch(Value address) {
  // Not the hint that passes L2 by: of Intel's processors it halves the rate.
  constexpr uint32_t read = 0, toL1 = 3, data = 1;
  LLVM::Prefetch::create(b, loc, address, read, toL1, data);
}
Value Emitter::loadLanes(Value base, Value index, Type element) {
  return load(vec(element), gep(base, index, element),
              element.getIntOrFloatBitWidth() / 8);
}
Value Emitter::loadRow(Value base, Value index) {
  return load(vf, row(base, index), registerBytes());
}
Value Emitter::loadChosenRow(Value base, Value index) {
  return LLVM::LoadOp::create(b, loc, vf, row(base, index), registerBytes(),
                              /*isVolatile=*/registerBytes() == 32);
}
void Emitter::storeRow(Value value, Value base, Value index) {
  store(value, row(base, index), registerBytes());
}

static Type withElement(Type like, Type element) {
  if (auto type = dyn_cast<VectorType>(like))
    return VectorType::get(type.getShape(), element);
  return element;
}

Value Emitter::widen(Value value, Type target) {
  Type element = getElementTypeOrSelf(value.getType());
  if (element == target)
    return value;
  Type result = withElement(value.getType(), target);
  if (!element.isBF16())
    return LLVM::FPExtOp::create(b, loc, result, value);
  // bf16 is the upper half of an f32.
  Type i16 = withElement(value.getType(), b.getIntegerType(16));
  Type i32 = withElement(value.getType(), b.getI32Type());
  Value bits = LLVM::BitcastOp::create(b, loc, i16, value);
  bits = arith::ExtUIOp::create(b, loc, i32, bits);
  Value sixteen = arith::ConstantIntOp::create(b, loc, 16, 32);
  if (isa<VectorType>(i32))
    sixteen = vector::BroadcastOp::create(b, loc, i32, sixteen);
  bits = arith::ShLIOp::create(b, loc, bits, sixteen);
  Value wide = LLVM::BitcastOp::create(
      b, loc, withElement(value.getType(), b.getF32Type()), bits);
  if (target.isF64())
    wide = LLVM::FPExtOp::create(b, loc, result, wide);
  return wide;
}

/// The upper half of the bits of an f32, rounded to nearest even; NaN stays.
static Value roundToBF16(Emitter &e, Value x) {
  Type i32 = withElement(x.getType(), e.b.getI32Type());
  Type i16 = withElement(x.getType(), e.b.getIntegerType(16));
  auto constant = [&](int64_t value) -> Value {
    Value scalar = arith::ConstantIntOp::create(e.b, e.loc, value, 32);
    if (auto type = dyn_cast<VectorType>(i32))
      return vector::BroadcastOp::create(e.b, e.loc, type, scalar);
    return scalar;
  };
  Value bits = LLVM::BitcastOp::create(e.b, e.loc, i32, x);
  Value sixteen = constant(16);
  Value upper = arith::ShRUIOp::create(e.b, e.loc, bits, sixteen);
  Value odd = e.land(upper, constant(1));
  Value rounded = e.add(bits, e.add(odd, constant(0x7fff)));
  rounded = arith::ShRUIOp::create(e.b, e.loc, rounded, sixteen);
  Value nan = e.fcmp(arith::CmpFPredicate::UNO, x, x);
  Value result = e.select(nan, e.lor(upper, constant(0x40)), rounded);
  result = arith::TruncIOp::create(e.b, e.loc, i16, result);
  return LLVM::BitcastOp::create(
      e.b, e.loc, withElement(x.getType(), e.b.getBF16Type()), result);
}

Value Emitter::narrow(Value value, Type element) {
  if (getElementTypeOrSelf(value.getType()) == element)
    return value;
  if (element.isBF16())
    return roundToBF16(*this, value);
  return LLVM::FPTruncOp::create(b, loc, withElement(value.getType(), element),
                                 value);
}

static LLVM::LoopAnnotationAttr keepRolled(OpBuilder &b) {
  MLIRContext *context = b.getContext();
  BoolAttr yes = b.getBoolAttr(true);
  auto vectorize =
      LLVM::LoopVectorizeAttr::get(context, yes, {}, {}, {}, {}, {}, {});
  auto unroll = LLVM::LoopUnrollAttr::get(context, yes, {}, {}, {}, {}, {}, {});
  return LLVM::LoopAnnotationAttr::get(context, {}, vectorize, {}, unroll, {},
                                       {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
}

Values Emitter::loop(Value from, Value to, Value step, ValueRange init,
                     function_ref<Values(Value, ValueRange)> body) {
  auto forOp = scf::ForOp::create(
      b, loc, from, to, step, init,
      [&](OpBuilder &, Location, Value iv, ValueRange carried) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(iv.getParentBlock());
        Values results = body(iv, carried);
        b.setInsertionPointToEnd(iv.getParentBlock());
        scf::YieldOp::create(b, loc, results);
      });
  forOp->setAttr("llvm.loop_annotation", keepRolled(b));
  return Values(forOp.getResults());
}

void Emitter::loop(Value from, Value to, int64_t step,
                   function_ref<void(Value)> body) {
  loop(from, to, c(step), {}, [&](Value iv, ValueRange) -> Values {
    body(iv);
    return {};
  });
}

Values Emitter::branch(Value cond, TypeRange types, function_ref<Values()> then,
                       function_ref<Values()> otherwise) {
  if (matchPattern(cond, m_One()))
    return then();
  if (matchPattern(cond, m_Zero()))
    return otherwise();
  auto ifOp = scf::IfOp::create(b, loc, types, cond, /*withElseRegion=*/true);
  auto fill = [&](Region &region, function_ref<Values()> body) {
    OpBuilder::InsertionGuard guard(b);
    Block &block = region.front();
    if (!block.empty() && block.back().hasTrait<OpTrait::IsTerminator>())
      block.back().erase();
    b.setInsertionPointToEnd(&block);
    Values results = body();
    scf::YieldOp::create(b, loc, results);
  };
  fill(ifOp.getThenRegion(), then);
  fill(ifOp.getElseRegion(), otherwise);
  return Values(ifOp.getResults());
}

void Emitter::when(Value cond, function_ref<void()> then) {
  auto ifOp = scf::IfOp::create(b, loc, cond, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  then();
}
