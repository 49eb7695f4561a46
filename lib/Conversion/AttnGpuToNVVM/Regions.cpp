//===- Regions.cpp - Scalar regions on fragments --------------------------===//

#include "Regions.h"

#include "Kernel.h"

using namespace fovea::gpu;

static Dependence join(Dependence a, Dependence b) {
  if (a == Dependence::Uniform || a == b)
    return b;
  return b == Dependence::Uniform ? a : Dependence::Element;
}

void RegionEvaluator::classify() {
  for (Operation &op : block.without_terminator()) {
    Dependence dependence = Dependence::Uniform;
    Shape shape = Shape::None;
    for (Value operand : op.getOperands())
      dependence = join(dependence, dependenceOf(operand));
    if (isa<arith::AddIOp, arith::SubIOp, arith::CmpIOp>(op)) {
      Value x = op.getOperand(0), y = op.getOperand(1);
      Shape a = shapes.lookup(x), b = shapes.lookup(y);
      bool uniformX = dependenceOf(x) == Dependence::Uniform;
      bool uniformY = dependenceOf(y) == Dependence::Uniform;
      if (isa<arith::AddIOp>(op) && uniformX)
        shape = b;
      else if (!isa<arith::CmpIOp>(op) && uniformY)
        shape = a;
      bool difference =
          (a == Shape::M && b == Shape::N) || (a == Shape::N && b == Shape::M);
      if (difference && !isa<arith::AddIOp>(op)) {
        dependence = Dependence::Diagonal;
        if (isa<arith::SubIOp>(op))
          shape = a == Shape::M ? Shape::MinusN : Shape::MinusM;
      }
    }
    dependences[op.getResult(0)] = dependence;
    shapes[op.getResult(0)] = shape;
  }
}

FailureOr<Scalar> RegionEvaluator::get(Value value, size_t i) {
  if (value.getParentBlock() != &block)
    return outside(value);
  Key key = Position::of(i).key(dependenceOf(value));
  auto known = computed.find({value.getAsOpaquePointer(), key});
  if (known != computed.end())
    return known->second;
  FailureOr<Scalar> result = compute(value, i);
  if (succeeded(result))
    computed[{value.getAsOpaquePointer(), key}] = *result;
  return result;
}

FailureOr<Scalar> RegionEvaluator::compute(Value value, size_t i) {
  if (isa<BlockArgument>(value))
    return input(value, Position::of(i));
  Operation *op = value.getDefiningOp();
  if (auto product = dyn_cast<arith::MulFOp>(op))
    return computeScaled(product, i);
  if (auto convert = dyn_cast<arith::SIToFPOp>(op))
    if (shapes.lookup(convert.getIn()) != Shape::None)
      return computePosition(convert.getIn(), Value(), i);
  SmallVector<Scalar> operands;
  for (Value operand : op->getOperands()) {
    if (isa<MemRefType>(operand.getType())) {
      operands.push_back({});
      continue;
    }
    FailureOr<Scalar> scalar = get(operand, i);
    if (failed(scalar))
      return failure();
    operands.push_back(*scalar);
  }
  return scalars.evaluate(op, operands);
}

/// Positions lie below 2^24 (a condition of the launch), so that their floats
/// are exact: one conversion serves all registers. With a uniform factor u the
/// product is one fused multiply-add of u and the register's constant.
FailureOr<Scalar> RegionEvaluator::computePosition(Value position, Value factor,
                                                   size_t i) {
  FailureOr<Scalar> first = get(position, 0);
  if (failed(first))
    return failure();
  auto base = bases.find(position.getAsOpaquePointer());
  if (base == bases.end())
    base =
        bases
            .insert({position.getAsOpaquePointer(),
                     LLVM::SIToFPOp::create(e.b, e.loc, e.f32, first->value)})
            .first;
  Value step = e.cf(stepOf(shapes.lookup(position), Position::of(i)));
  if (!factor)
    return Scalar{e.fadd(base->second, step), {}};
  FailureOr<Scalar> u = get(factor, i);
  if (failed(u))
    return failure();
  Value &scaled =
      scaledBases[{position.getAsOpaquePointer(), factor.getAsOpaquePointer()}];
  if (!scaled)
    scaled = e.fmul(base->second, u->value);
  return Scalar{e.fma(u->value, step, scaled), {}};
}

/// The value without the uniform factors that it was multiplied by.
Value RegionEvaluator::splitFactors(Value value,
                                    SmallVectorImpl<Value> &factors) {
  while (auto product = value.getDefiningOp<arith::MulFOp>()) {
    if (product->getBlock() != &block)
      break;
    Value x = product.getLhs(), y = product.getRhs();
    if (dependenceOf(y) != Dependence::Uniform)
      std::swap(x, y);
    if (dependenceOf(y) != Dependence::Uniform ||
        dependenceOf(x) == Dependence::Uniform)
      break;
    factors.push_back(y);
    value = x;
  }
  return value;
}

/// Uniform factors are multiplied first, once for all registers.
FailureOr<Scalar> RegionEvaluator::computeScaled(arith::MulFOp op, size_t i) {
  SmallVector<Value> factors;
  Value root = splitFactors(op.getResult(), factors);
  if (factors.size() == 1)
    if (auto convert = root.getDefiningOp<arith::SIToFPOp>())
      if (shapes.lookup(convert.getIn()) != Shape::None)
        return computePosition(convert.getIn(), factors.front(), i);
  if (factors.size() < 2) {
    FailureOr<Scalar> x = get(op.getLhs(), i), y = get(op.getRhs(), i);
    if (failed(x) || failed(y))
      return failure();
    return Scalar{e.fmul(x->value, y->value), {}};
  }
  Value &product = products[op.getResult().getAsOpaquePointer()];
  if (!product)
    for (Value factor : factors) {
      FailureOr<Scalar> u = get(factor, i);
      if (failed(u))
        return failure();
      product = product ? e.fmul(product, u->value) : u->value;
    }
  FailureOr<Scalar> x = get(root, i);
  if (failed(x))
    return failure();
  return Scalar{e.fmul(x->value, product), {}};
}

//===----------------------------------------------------------------------===//
// map
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitMap(MapOp op) {
  Block &block = op.getBody().front();
  bool isFrag = isa<FragType>(op.getType());
  unsigned positions = op.getOrigins().size();
  Interval promised = promisedPositions();
  // The lane's first row and column, as global positions.
  Value firstRow, firstColumn;
  if (positions > 0)
    firstRow = e.add(known[op.getOrigins()[0]].value, row);
  if (positions > 1)
    firstColumn = e.add(known[op.getOrigins()[1]].value, column);
  RegionEvaluator evaluator(
      e, scalars, block, [&](Value value) { return scalarOf(value); },
      [&](Value argument, Position position) -> Scalar {
        unsigned index = cast<BlockArgument>(argument).getArgNumber();
        if (index < positions)
          return {index == 0 ? e.add(firstRow, 8 * position.row)
                             : e.add(firstColumn, position.column()),
                  promised};
        Value input = op.getInputs()[index - positions];
        Values &list = registers[input];
        if (isa<DiagvecType>(input.getType()))
          return {list[2 * (1 - position.row + position.box) + position.pair],
                  {}};
        bool byRow = isa<RowvecType>(input.getType());
        return {
            list[byRow ? position.row
                       : 4 * position.box + 2 * position.row + position.pair],
            {}};
      });
  for (unsigned i = 0; i < block.getNumArguments(); ++i) {
    if (i < positions) {
      evaluator.setArgument(i, i == 0 ? Dependence::Row : Dependence::Column,
                            i == 0 ? Shape::M : Shape::N);
      continue;
    }
    Type type = op.getInputs()[i - positions].getType();
    Dependence dependence = isa<RowvecType>(type)    ? Dependence::Row
                            : isa<DiagvecType>(type) ? Dependence::Diagonal
                                                     : Dependence::Element;
    evaluator.setArgument(i, dependence, Shape::None);
  }
  evaluator.classify();
  Value yielded = block.getTerminator()->getOperand(0);
  size_t count = registerTypes(op.getType()).size();
  Values results;
  for (size_t i = 0; i < count; ++i) {
    FailureOr<Scalar> scalar = evaluator.get(yielded, isFrag ? i : 2 * i);
    if (failed(scalar))
      return failure();
    results.push_back(scalar->value);
  }
  registers[op] = results;
  return success();
}
