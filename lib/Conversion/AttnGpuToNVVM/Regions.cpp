//===- Regions.cpp - Scalar regions on fragments --------------------------===//

#include "Kernel.h"

using namespace fovea::gpu;

namespace {
/// What a value of a region depends on.
enum class Dependence { Uniform, Row, Column, Diagonal, Element };

/// Registers of a thread that share a value, by its dependence.
struct Key {
  int a = 0, b = 0;
  bool operator<(const Key &other) const {
    return std::tie(a, b) < std::tie(other.a, other.b);
  }
};

/// The thread's registers: register i is row (i / 2) % 2 of two that are 8
/// apart, column 8 · (i / 4) + i % 2 from the lane's first.
struct Position {
  int row, box, pair;
  static Position of(size_t i) {
    return {int(i / 2 % 2), int(i / 4), int(i % 2)};
  }
  int column() const { return 8 * box + pair; }
  Key key(Dependence dependence) const {
    switch (dependence) {
    case Dependence::Uniform:
      return {};
    case Dependence::Row:
      return {row, 0};
    case Dependence::Column:
      return {box, pair};
    case Dependence::Diagonal: // m − n: rows and boxes are both 8 apart
      return {row - box, pair};
    case Dependence::Element:
      return {row, column()};
    }
    llvm_unreachable("unknown dependence");
  }
};

/// How a region's integers are made of m and n: `m + c`, `n + c`, `m − n + c`,
/// `n − m + c` with c uniform.
enum class Shape { None, M, N, MinusN, MinusM };

/// What such a value is at a register beyond what it is at the first one.
int64_t stepOf(Shape shape, Position position) {
  int64_t rows = 8 * position.row, columns = position.column();
  switch (shape) {
  case Shape::None:
    return 0;
  case Shape::M:
    return rows;
  case Shape::N:
    return columns;
  case Shape::MinusN:
    return rows - columns;
  case Shape::MinusM:
    return columns - rows;
  }
  llvm_unreachable("unknown shape");
}

/// Evaluates one region on all registers, each value once for all registers
/// that share it.
class RegionEvaluator {
public:
  using Input = std::function<Scalar(Value argument, Position)>;
  RegionEvaluator(Emitter &e, ScalarEmitter &scalars, Block &block,
                  std::function<FailureOr<Scalar>(Value)> outside, Input input)
      : e(e), scalars(scalars), block(block), outside(outside), input(input) {}

  void setArgument(unsigned index, Dependence dependence, Shape shape) {
    dependences[block.getArgument(index)] = dependence;
    shapes[block.getArgument(index)] = shape;
  }
  void classify();
  FailureOr<Scalar> get(Value value, size_t i);

  DenseMap<Value, Dependence> dependences;
  DenseMap<Value, Shape> shapes;

private:
  Dependence dependenceOf(Value value) {
    auto it = dependences.find(value);
    return it == dependences.end() ? Dependence::Uniform : it->second;
  }
  FailureOr<Scalar> compute(Value value, size_t i);
  FailureOr<Scalar> computeScaled(arith::MulFOp op, size_t i);
  FailureOr<Scalar> computePosition(Value position, Value factor, size_t i);
  Value splitFactors(Value value, SmallVectorImpl<Value> &factors);

  Emitter &e;
  ScalarEmitter &scalars;
  Block &block;
  std::function<FailureOr<Scalar>(Value)> outside;
  Input input;
  std::map<std::pair<void *, Key>, Scalar> computed;
  std::map<void *, Value> bases, products;
  std::map<std::pair<void *, void *>, Value> scaledBases;
};
} // namespace

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
  Interval promised{0, kMaxPosition};
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
        bool byRow = isa<RowvecType>(input.getType());
        return {
            list[byRow ? position.row
                       : 4 * position.box + 2 * position.row + position.pair],
            {}};
      });
  for (unsigned i = 0; i < block.getNumArguments(); ++i) {
    if (i < positions)
      evaluator.setArgument(i, i == 0 ? Dependence::Row : Dependence::Column,
                            i == 0 ? Shape::M : Shape::N);
    else
      evaluator.setArgument(
          i,
          isa<RowvecType>(op.getInputs()[i - positions].getType())
              ? Dependence::Row
              : Dependence::Element,
          Shape::None);
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

//===----------------------------------------------------------------------===//
// mask
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitMask(MaskOp op) {
  Values scores = registers[op.getScores()];
  Value infinity = e.cf(-INFINITY);
  // The lane's columns below the end of the element.
  Value end = e.sub(known[op.getCount()].value, column);
  std::optional<RegionEvaluator> evaluator;
  Value firstRow = e.add(known[op.getM0()].value, row);
  Value firstColumn = e.add(known[op.getN0()].value, column);
  Interval promised{0, kMaxPosition};
  if (!op.getBody().empty()) {
    evaluator.emplace(
        e, scalars, op.getBody().front(),
        [&](Value value) { return scalarOf(value); },
        [&](Value argument, Position position) -> Scalar {
          bool isRow = cast<BlockArgument>(argument).getArgNumber() == 0;
          return {isRow ? e.add(firstRow, 8 * position.row)
                        : e.add(firstColumn, position.column()),
                  promised};
        });
    evaluator->setArgument(0, Dependence::Row, Shape::M);
    evaluator->setArgument(1, Dependence::Column, Shape::N);
    evaluator->classify();
  }
  std::map<int, Value> belongs;
  Values results;
  for (size_t i = 0; i < scores.size(); ++i) {
    int columns = Position::of(i).column();
    Value &keep = belongs[columns];
    if (!keep)
      keep = e.icmp(LLVM::ICmpPredicate::slt, e.c(columns), end);
    Value visible = keep;
    if (evaluator) {
      Value yielded = op.getBody().front().getTerminator()->getOperand(0);
      FailureOr<Scalar> scalar = evaluator->get(yielded, i);
      if (failed(scalar))
        return failure();
      visible = e.land(keep, scalar->value);
    }
    results.push_back(e.select(visible, scores[i], infinity));
  }
  registers[op] = results;
  return success();
}
