//===- Block.cpp - One key tile -------------------------------------------===//

#include "Lowering.h"

using namespace fovea::gpu;
using namespace mlir::attn_gpu;

LogicalResult GridLowering::lowerInBlock(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](online::LoadOp load) { return lowerLoad(load); })
      .Case([&](online::DotOp dot) { return lowerDot(dot); })
      .Case([&](online::MapOp mapOp) { return lowerMap(mapOp); })
      .Case([&](online::StepOp step) { return lowerStep(step); })
      .Case([&](online::MaskOp mask) {
        masks[mask.getVisible()] = mask;
        return success();
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (isa<online::OnlineDialect>(other->getDialect()))
          return unsupported(other, "'" + other->getName().getStringRef() +
                                        "' in a sweep");
        b.clone(*other, mapping);
        return success();
      });
}

LogicalResult GridLowering::lowerDot(online::DotOp op) {
  if (op.getContract() != ArrayRef<int64_t>{1, 1})
    return unsupported(op, "products other than q times k transposed");
  Value result = MmaOp::create(
      b, loc, frag(cast<ShapedType>(op.getType()).getDimSize(1)),
      mapping.lookupOrDefault(op.getLhs()),
      mapping.lookupOrDefault(op.getRhs()), /*acc=*/Value(), b.getUnitAttr());
  mapping.map(op.getResult(), result);
  return success();
}

/// What depends on neither the position nor a score is computed once a tile.
void GridLowering::hoistUniform(Region &region) {
  for (Operation &op :
       llvm::make_early_inc_range(region.front().without_terminator())) {
    bool uniform = llvm::all_of(op.getOperands(), [&](Value operand) {
      Operation *owner = operand.getParentRegion()->getParentOp();
      return owner->isProperAncestor(blocks);
    });
    if (uniform && isPure(&op))
      op.moveBefore(blocks);
  }
}

LogicalResult GridLowering::lowerMap(online::MapOp op) {
  if (op.getKind() != online::MapKind::Tile || op.getNumResults() != 1)
    return unsupported(op, "maps of other than one tile");
  SmallVector<Value> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(mapping.lookupOrDefault(input));
  SmallVector<Value> origins;
  for (Value origin : op.getOrigins())
    origins.push_back(mapping.lookupOrDefault(origin));
  auto mapped =
      MapOp::create(b, loc, inputs.front().getType(), inputs, origins);
  IRMapping inner = mapping;
  op.getBody().cloneInto(&mapped.getBody(), inner);
  auto yield = cast<online::YieldOp>(mapped.getBody().front().getTerminator());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(yield);
  YieldOp::create(b, loc, yield.getOperands());
  yield.erase();
  hoistUniform(mapped.getBody());
  mapping.map(op.getResult(0), mapped.getResult());
  return success();
}

Value GridLowering::lowerMask(online::StepOp step, Value scores) {
  online::MaskOp mask = masks.lookup(step.getVisible());
  auto masked =
      MaskOp::create(b, loc, scores, mapping.lookupOrDefault(mask.getM0()),
                     mapping.lookupOrDefault(mask.getN0()), count, full);
  if (mask.getBody().empty())
    return masked;
  IRMapping inner = mapping;
  mask.getBody().cloneInto(&masked.getBody(), inner);
  auto yield = cast<online::YieldOp>(masked.getBody().front().getTerminator());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(yield);
  YieldOp::create(b, loc, yield.getOperands());
  yield.erase();
  hoistUniform(masked.getBody());
  return masked;
}

/// Online softmax on fragments. Scores stay as the product or the score region
/// gave them; the factor to log2 units rides in the exponent.
LogicalResult GridLowering::lowerStep(online::StepOp op) {
  if (!isa<attn::SoftmaxAttr>(op.getNormalizer()))
    return unsupported(op, "normalisers other than softmax");
  if (op.getRow() || op.getCol())
    return unsupported(op, "affine biases in a step");
  if (!op.getVisible() || !masks.count(op.getVisible()))
    return unsupported(op, "steps without a mask");
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(blocks);
    toLog2 = constant(M_LOG2E);
    if (op.getScale()) {
      toNatural = mapping.lookupOrDefault(op.getScale());
      toLog2 = arith::MulFOp::create(b, loc, toNatural, toLog2);
    }
  }
  State state = states.lookup(op.getState());
  Value scores = lowerMask(op, mapping.lookupOrDefault(op.getScores()));
  Value c = toLog2;
  Value max =
      ReduceOp::create(b, loc, rows(), ReduceKind::Max, scores, state.max);
  Value offset = map(rows(), max, [&](OpBuilder &b, ValueRange x) {
    Value scaled = arith::MulFOp::create(b, loc, x[0], c);
    return arith::NegFOp::create(b, loc, scaled).getResult();
  });
  auto exponential = [&](OpBuilder &b, ValueRange x) -> Value {
    Value exponent = math::FmaOp::create(b, loc, x[0], c, x[1]);
    return math::Exp2Op::create(b, loc, exponent);
  };
  Value alpha = map(rows(), {state.max, offset}, exponential);
  Value weights = map(scores.getType(), {scores, offset}, exponential);
  Type partial = rows(/*partial=*/true);
  Value sum =
      ReduceOp::create(b, loc, partial, ReduceKind::Sum, weights, Value());
  State next;
  next.max = max;
  next.sum = RescaleOp::create(b, loc, partial, state.sum, alpha, sum);
  Value out =
      RescaleOp::create(b, loc, state.out.getType(), state.out, alpha, Value());
  auto values =
      cast<TileType>(mapping.lookupOrDefault(op.getValues()).getType());
  auto operand = FragType::get(b.getContext(), kGroupRows, values.getRows(),
                               values.getElementType(), Layout::QuadA);
  Value packed = ConvertOp::create(b, loc, operand, weights);
  next.out =
      MmaOp::create(b, loc, out.getType(), packed,
                    mapping.lookupOrDefault(op.getValues()), out, UnitAttr());
  states[op.getResult()] = next;
  return success();
}
