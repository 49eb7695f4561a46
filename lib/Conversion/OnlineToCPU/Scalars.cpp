//===- Scalars.cpp - Levels, scopes and dispatch --------------------------===//

#include "Scalars.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace fovea::cpu;

LogicalResult ScalarEmitter::run(Block &block, unsigned available) {
  for (Operation &op : block)
    if (failed(runOp(op, available)))
      return failure();
  return success();
}

LogicalResult ScalarEmitter::runOp(Operation &op, unsigned available) {
  if (op.hasTrait<OpTrait::IsTerminator>() || op.getNumRegions() != 0 ||
      op.getDialect()->getNamespace() == "online" || isa<memref::SubViewOp>(op))
    return success();
  unsigned dependence = 0;
  bool ready = true;
  for (Value operand : op.getOperands()) {
    dependence |= deps.lookup(operand);
    ready &= has(operand) || isa<ShapedType>(operand.getType());
  }
  bool done = true;
  for (Value result : op.getResults()) {
    if (!values.count(result))
      deps[result] = dependence;
    done &= values.count(result);
  }
  if (!ready || done || (dependence & ~available))
    return success();
  return emit(&op);
}

void ScalarEmitter::forward(Value result, Value yielded) {
  deps[result] = deps.lookup(yielded);
  if (has(yielded) && !values.count(result))
    set(result, getScaled(yielded));
}

const Buffer *ScalarEmitter::buffer(Value source) const {
  auto it = aliases.find(source);
  return arguments.lookup(it == aliases.end() ? source : it->second);
}

void ScalarEmitter::set(Value value, Lane lane) {
  values[value] = lane;
  if (!scopes.empty())
    scopes.back().push_back(value);
}

void ScalarEmitter::pop() {
  for (Value value : scopes.pop_back_val())
    values.erase(value);
}

Lane ScalarEmitter::get(Value value) { return settle(getScaled(value)); }

Lane ScalarEmitter::settle(Lane lane) {
  if (lane.factor)
    lane.v = e.fmul(lane.v, e.splat(lane.factor));
  lane.factor = nullptr;
  return lane;
}

Lane ScalarEmitter::getScaled(Value value) {
  if (Value scalar = arguments.lookupScalar(value))
    return Lane{scalar, {}, {}, 0};
  auto it = values.find(value);
  if (it != values.end())
    return it->second;
  if (!isBroken)
    emitError(value.getLoc(), "is not computed from the kernel's arguments by "
                              "scalar code that the CPU target evaluates");
  isBroken = true;
  Type type = getElementTypeOrSelf(value.getType());
  if (isa<FloatType>(type))
    return Lane{e.cf(0.0), {}, {}, 0};
  return Lane{type.isInteger(1) ? e.cbool(false) : e.c(0), {}, {}, 0};
}

Value ScalarEmitter::scalar(Value value) {
  Lane lane = get(value);
  if (!lane.isVector())
    return lane.v;
  if (!isBroken)
    emitError(value.getLoc(), "must not depend on the query row");
  isBroken = true;
  return e.c(0);
}

Value ScalarEmitter::vector(Value value) {
  Lane lane = get(value);
  return toVector(lane, getElementTypeOrSelf(lane.v.getType()));
}

Value ScalarEmitter::vectorTimes(Value value, double constant) {
  Lane lane = getScaled(value);
  Value factor = e.cf(constant);
  if (lane.factor)
    factor = e.fmul(lane.factor, factor);
  return e.fmul(toVector(lane, e.f), e.splat(factor));
}

Value ScalarEmitter::toVector(Lane lane, Type element) {
  Value v = lane.v;
  Type current = getElementTypeOrSelf(v.getType());
  if (current != element && isa<IntegerType>(element)) {
    Type target = lane.isVector() ? Type(e.vec(element)) : element;
    if (current.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
      v = e.b.createOrFold<arith::ExtSIOp>(e.loc, target, v);
    else
      v = e.b.createOrFold<arith::TruncIOp>(e.loc, target, v);
  }
  return lane.isVector() ? v : e.splat(v);
}

LogicalResult ScalarEmitter::emit(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (auto value = dyn_cast<FloatAttr>(constant.getValue())) {
      set(op->getResult(0),
          Lane{arith::ConstantOp::create(e.b, e.loc, value), {}, {}, 0});
      return success();
    }
    if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
      if (isa<FloatType>(splat.getElementType())) {
        auto number = splat.getSplatValue<FloatAttr>();
        set(op->getResult(0),
            Lane{arith::ConstantOp::create(e.b, e.loc, number), {}, {}, 0});
        return success();
      }
    auto value = dyn_cast<IntegerAttr>(constant.getValue());
    if (!value)
      return op->emitOpError("is not a scalar that the CPU target handles");
    if (value.getType().isInteger(1)) {
      bool flag = !value.getValue().isZero();
      set(op->getResult(0), Lane{e.cbool(flag), {0, 1}, {}, 0});
      return success();
    }
    int64_t number = value.getValue().getSExtValue();
    set(op->getResult(0), Lane{e.c(number), {number, number}, {}, 0});
    return success();
  }
  if (auto read = dyn_cast<attn::ReadOp>(op))
    return emitRead(read);
  if (auto extent = dyn_cast<attn::ExtentOp>(op))
    return emitDim(op, extent.getSource(), extent.getDim());
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    if (!index)
      return op->emitOpError("needs a constant dimension");
    return emitDim(op, dim.getSource(), *index);
  }
  if (isa<memref::LoadOp>(op))
    return emitLoad(op);
  if (emitInteger(op) || emitFloat(op))
    return success();
  return op->emitOpError("is not supported in scalar code by the CPU target");
}
