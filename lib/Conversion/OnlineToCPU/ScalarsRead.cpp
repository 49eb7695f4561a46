//===- ScalarsRead.cpp - Captured tensors (S7) ----------------------------===//
//
// Every index is clamped to [0, size), but for the sides on which intervals or
// its form prove that it stays inside. A capture with an empty dimension was
// pointed at zeros, with zero strides, when the arguments were loaded.
//
//===----------------------------------------------------------------------===//

#include "Scalars.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// The element type in memory: i1 takes a byte, unsigned types lose their sign;
/// bf16 is read as bits, since code generators without the type call a library
/// for vectors of it that they build element by element.
static Type storageType(Emitter &e, Type element) {
  if (element.isBF16())
    return e.b.getIntegerType(16);
  if (element.isInteger(1))
    return e.i8;
  if (isa<IntegerType>(element))
    return e.b.getIntegerType(element.getIntOrFloatBitWidth());
  return element;
}

static Interval rangeOfElement(Type element) {
  auto type = dyn_cast<IntegerType>(element);
  if (!type || type.getWidth() == 64)
    return {};
  if (type.getWidth() == 1)
    return {0, 1};
  int64_t size = int64_t(1) << type.getWidth();
  return type.isUnsigned() ? Interval{0, size - 1}
                           : Interval{-size / 2, size / 2 - 1};
}

/// i1, i64 (i32 lanes where they suffice) or the score type (S13).
static Value convertRead(Emitter &e, Value raw, Type element) {
  bool vector = isa<VectorType>(raw.getType());
  auto like = [&](Type type) { return vector ? Type(e.vec(type)) : type; };
  if (element.isInteger(1)) {
    Value zero =
        arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(raw.getType()));
    return e.icmp(P::ne, raw, zero);
  }
  if (isa<FloatType>(element)) {
    if (element.isBF16())
      raw = LLVM::BitcastOp::create(e.b, e.loc, like(element), raw);
    Value wide = e.widen(raw, e.f.isF64()       ? e.f
                              : element.isF64() ? element
                                                : e.f);
    if (wide.getType() != like(e.f))
      wide = LLVM::FPTruncOp::create(e.b, e.loc, like(e.f), wide);
    return wide;
  }
  Type target = vector && rangeOfElement(element).fits32() ? e.b.getI32Type()
                                                           : Type(e.i64);
  if (getElementTypeOrSelf(raw.getType()) == target)
    return raw;
  if (element.isUnsignedInteger())
    return arith::ExtUIOp::create(e.b, e.loc, like(target), raw);
  return arith::ExtSIOp::create(e.b, e.loc, like(target), raw);
}

static bool isExtentOf(Value value, Value source, uint64_t dim) {
  auto extent = value.getDefiningOp<attn::ExtentOp>();
  return extent && extent.getSource() == source && extent.getDim() == dim;
}

/// Whether an index is below the size of a dimension that is not empty: min(x,
/// size - 1), x % size, or the maximum of such and a constant of at most 0.
static bool staysBelow(Value index, Value source, uint64_t dim) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return !constant.isStrictlyPositive();
  Operation *op = index.getDefiningOp();
  if (!op || op->getNumOperands() != 2)
    return false;
  Value x = op->getOperand(0), y = op->getOperand(1);
  bool byConstant = matchPattern(y, m_ConstantInt(&constant));
  if (isa<arith::SubIOp>(op))
    return byConstant && constant.isStrictlyPositive() &&
           isExtentOf(x, source, dim);
  if (isa<arith::AddIOp>(op))
    return byConstant && constant.isNegative() && isExtentOf(x, source, dim);
  if (isa<attn::ModOp>(op))
    return isExtentOf(y, source, dim);
  bool first =
      isa<arith::MinSIOp, arith::MaxSIOp>(op) && staysBelow(x, source, dim);
  if (isa<arith::MinSIOp>(op))
    return first || staysBelow(y, source, dim);
  return first && isa<arith::MaxSIOp>(op) && staysBelow(y, source, dim);
}

/// Whether an index is not below 0: by its interval, or as the minimum of such
/// and size - 1 of a dimension that is not empty.
bool ScalarEmitter::staysAbove(Value index, Value source, unsigned dim) {
  if (has(index) && get(index).range.lo >= 0)
    return true;
  if (auto last = index.getDefiningOp<arith::SubIOp>())
    return matchPattern(last.getRhs(), m_One()) &&
           isExtentOf(last.getLhs(), source, dim);
  auto least = index.getDefiningOp<arith::MinSIOp>();
  return least && staysAbove(least.getLhs(), source, dim) &&
         staysAbove(least.getRhs(), source, dim);
}

Value ScalarEmitter::clampIndex(attn::ReadOp op, unsigned dim, Value index,
                                Value size) {
  Value operand = op.getIndices()[dim];
  auto like = [&](Value value) {
    return isa<VectorType>(index.getType()) ? e.splat(value) : value;
  };
  if (op.getInRange())
    return index;
  if (!staysBelow(operand, op.getSource(), dim))
    index = e.min(index, like(e.sub(size, e.c(1))));
  if (!staysAbove(operand, op.getSource(), dim))
    index = e.max(index, like(e.c(0)));
  return index;
}

static Value gather(Emitter &e, Value base, Value offsets, Type storage) {
  Type pointers = VectorType::get({e.lanes}, e.ptr);
  Value addresses = LLVM::GEPOp::create(e.b, e.loc, pointers, storage, base,
                                        ArrayRef<LLVM::GEPArg>{offsets});
  unsigned align = std::max(1u, storage.getIntOrFloatBitWidth() / 8);
  return LLVM::masked_gather::create(e.b, e.loc, e.vec(storage), addresses,
                                     e.splat(e.cbool(true)), ValueRange{},
                                     e.b.getI32IntegerAttr(align));
}

static Value reverseLanes(Emitter &e, Value v) {
  SmallVector<int32_t> order;
  for (int64_t i = e.lanes; i-- > 0;)
    order.push_back(int32_t(i));
  return LLVM::ShuffleVectorOp::create(e.b, e.loc, v, v, order);
}

LogicalResult ScalarEmitter::emitRead(attn::ReadOp op) {
  const Buffer *buffer = this->buffer(op.getSource());
  if (!buffer)
    return op.emitOpError("reads a tensor that is no argument of the function");
  Type element = cast<ShapedType>(op.getSource().getType()).getElementType();
  Type storage = storageType(e, element);

  // The scalar part of the offset, and the index that varies with the lanes.
  Value offset = e.c(0);
  SmallVector<unsigned> laneDims;
  for (auto [i, index] : llvm::enumerate(op.getIndices())) {
    Lane lane = get(index);
    if (lane.isVector()) {
      laneDims.push_back(i);
      continue;
    }
    Value clamped = clampIndex(op, i, lane.v, buffer->sizes[i]);
    offset = e.add(offset, e.mul(clamped, buffer->strides[i]));
  }
  Value base = e.gep(buffer->data, offset, storage);
  Interval range = rangeOfElement(element);
  if (laneDims.empty()) {
    Value raw = e.load(storage, base,
                       std::max(1u, storage.getIntOrFloatBitWidth() / 8));
    set(op.getResult(), Lane{convertRead(e, raw, element), range, {}, 0});
    return success();
  }

  auto gathered = [&]() -> Value {
    Value offsets;
    for (unsigned dim : laneDims) {
      Value index = toVector(get(op.getIndices()[dim]), e.i64);
      Value clamped = clampIndex(op, dim, index, buffer->sizes[dim]);
      Value part = e.mul(clamped, e.splat(buffer->strides[dim]));
      offsets = offsets ? e.add(offsets, part) : part;
    }
    return gather(e, base, offsets, storage);
  };

  // Neighbouring queries read neighbouring elements: one load, where the
  // stride is one and the whole range is inside.
  unsigned dim = laneDims.front();
  Lane lane = get(op.getIndices()[dim]);
  Value raw;
  if (laneDims.size() == 1 && lane.step != 0) {
    int64_t span = e.lanes - 1;
    Value first = lane.step > 0 ? lane.base : e.sub(lane.base, e.c(span));
    Value inside =
        e.land(e.icmp(P::sge, first, e.c(0)),
               e.icmp(P::slt, e.add(first, e.c(span)), buffer->sizes[dim]));
    Value unit = e.icmp(P::eq, buffer->strides[dim], e.c(1));
    Value together = e.land(inside, unit);
    auto loaded = [&]() -> Values {
      Value v = e.loadLanes(base, first, storage);
      return {lane.step > 0 ? v : reverseLanes(e, v)};
    };
    if (reads == Reads::Load) {
      raw = loaded()[0];
    } else if (reads == Reads::Collect) {
      neighbours = e.land(neighbours, together);
      raw = arith::ConstantOp::create(e.b, e.loc,
                                      e.b.getZeroAttr(e.vec(storage)));
    } else {
      raw = e.branch(together, e.vec(storage), loaded,
                     [&]() -> Values { return {gathered()}; })[0];
    }
  } else {
    raw = gathered();
  }
  set(op.getResult(), Lane{convertRead(e, raw, element), range, {}, 0});
  return success();
}

LogicalResult ScalarEmitter::emitDim(Operation *op, Value source, int64_t dim) {
  const Buffer *buffer = this->buffer(source);
  if (!buffer)
    return op->emitOpError(
        "reads a tensor that is no argument of the function");
  if (dim < 0 || dim >= int64_t(buffer->sizes.size()))
    return op->emitOpError("dimension is out of range");
  set(op->getResult(0), Lane{buffer->sizes[dim], {0, INT64_MAX}, {}, 0});
  return success();
}

LogicalResult ScalarEmitter::emitLoad(Operation *op) {
  auto load = cast<memref::LoadOp>(op);
  const Buffer *buffer = this->buffer(load.getMemRef());
  if (!buffer)
    return op->emitOpError(
        "reads a tensor that is no argument of the function");
  Type element = load.getMemRefType().getElementType();
  Value offset = e.c(0);
  for (auto [index, stride] : llvm::zip(load.getIndices(), buffer->strides)) {
    if (get(index).isVector())
      return op->emitOpError("must not depend on the query row");
    offset = e.add(offset, e.mul(get(index).v, stride));
  }
  Type storage = storageType(e, element);
  Value raw = e.load(storage, e.gep(buffer->data, offset, storage));
  set(op->getResult(0),
      Lane{convertRead(e, raw, element), rangeOfElement(element), {}, 0});
  return success();
}
