//===- VisibleKernel.cpp - Kernels that ask a mask ------------------------===//

#include "VisibleKernel.h"

using namespace fovea::gpu;
namespace json = llvm::json;

HullSizes::HullSizes(const MaskParts &parts, const ListSizes &lists,
                     json::Value offset)
    : keyHulls(parts.getHulls(OnKey).size()),
      rowHulls(parts.getHulls(OnRow).size()),
      spans(json::Array{"ceildiv", lists.elements, kSpanTiles}),
      keyTiles(json::Array{"mul", 16, json::Array{"ceildiv", offset, 16}}),
      keySpans(nullptr), rowTiles(nullptr), end(nullptr) {
  auto behind = [&](const json::Value &start, const json::Value &tiles,
                    int64_t count) -> json::Value {
    return json::Array{
        "add", start,
        json::Array{"mul", 16 * count, lists.batches, lists.heads, tiles}};
  };
  keySpans = behind(keyTiles, lists.elements, keyHulls);
  rowTiles = behind(keySpans, spans, keyHulls);
  end = behind(rowTiles, lists.rows, rowHulls);
}

void VisibleKernel::addMaskArguments() {
  constexpr StringLiteral sizeNames[] = {"B", "H", "Hk", "M", "N"};
  for (auto [name, slot] : llvm::zip_equal(sizeNames, launchSizes))
    addArgument(e.i32, json::Object{{"i32", name}}, slot);
  for (auto [value, slot] : {std::pair(lists.rows, &rows),
                             {lists.elements, &elements},
                             {hulls.spans, &spans},
                             {lists.heads, &heads}})
    addArgument(e.i32, json::Object{{"i32", value}}, *slot);
  for (auto [value, slot] : {std::pair(hulls.keyTiles, &keyTiles),
                             {hulls.keySpans, &keySpans},
                             {hulls.rowTiles, &rowTiles}})
    addArgument(e.global, json::Object{{"scratch", value}}, *slot);
  for (BlockArgument capture : parts.captures()) {
    if (capture.use_empty())
      continue;
    auto type = cast<MemRefType>(capture.getType());
    std::string name = parts.nameOf(capture);
    Tensor &tensor = *(tensors[capture] = std::make_unique<Tensor>());
    tensor.strides.resize(type.getRank());
    tensor.sizes.resize(type.getRank());
    addArgument(e.global, json::Object{{"pointer", name}}, tensor.pointer);
    for (unsigned dim = 0; dim < type.getRank(); ++dim) {
      std::string number = std::to_string(dim);
      addArgument(e.i64, json::Object{{"i64", name + ".s" + number}},
                  tensor.strides[dim]);
      addArgument(e.i32, json::Object{{"i32", name + ".n" + number}},
                  tensor.sizes[dim]);
    }
  }
}

void VisibleKernel::enterPlane(Value plane) {
  Value batch = e.udiv(plane, heads);
  setPosition(parts.batch(), batch);
  setPosition(parts.head(), e.sub(plane, e.mul(batch, heads)));
  for (auto [argument, size] : llvm::zip(parts.sizes(), launchSizes))
    setPosition(argument, size);
  evaluate({OnNothing});
}

FailureOr<Scalar> VisibleKernel::evaluate(Operation *op) {
  SmallVector<Scalar> operands;
  for (Value operand : op->getOperands())
    operands.push_back(known.lookup(operand));
  return scalars.evaluate(op, operands);
}

void VisibleKernel::evaluate(std::initializer_list<OnPosition> which) {
  for (Operation &op : parts.block().without_terminator()) {
    Value value = op.getResult(0);
    if (isBroken || !llvm::is_contained(which, parts.dependenceOf(value)))
      continue;
    FailureOr<Scalar> result = evaluate(&op);
    isBroken = failed(result);
    if (!isBroken)
      known[value] = *result;
  }
}

Value VisibleKernel::hullAddress(Value base, Value index, int64_t count,
                                 size_t number) {
  Value slot = e.add(e.mul(e.sext(index), count), int64_t(number));
  return gep(e.b.getI8Type(), base, e.mul(slot, 16));
}

Bound VisibleKernel::loadHull(Type type, Value address) {
  Type stored = type.isF32() ? type : e.i64;
  auto load = [&](int64_t offset) -> Value {
    Value at = gep(e.b.getI8Type(), address, e.c(offset, e.i64));
    Value value = LLVM::LoadOp::create(e.b, e.loc, stored, at, 8);
    if (type.isInteger(1))
      return e.icmp(LLVM::ICmpPredicate::ne, value, e.c(0, e.i64));
    return value;
  };
  Value low = load(0);
  return {low, load(8), {}};
}
