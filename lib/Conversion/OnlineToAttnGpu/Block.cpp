//===- Block.cpp - One key tile -------------------------------------------===//

#include "Lowering.h"
#include "mlir/IR/Matchers.h"

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
  takeFactor(mapped);
  foldFactors(mapped.getBody());
  takeDiagonal(mapped);
  mapping.map(op.getResult(0), mapped.getResult());
  return success();
}

/// A division by a constant is a product, here and not in each element.
static void multiplyByInverses(Region &region) {
  for (auto division :
       llvm::make_early_inc_range(region.front().getOps<arith::DivFOp>())) {
    FloatAttr divisor;
    if (!matchPattern(division.getRhs(), m_Constant(&divisor)))
      continue;
    OpBuilder b(division);
    double inverse = 1.0 / divisor.getValueAsDouble();
    Value factor = arith::ConstantOp::create(b, division.getLoc(),
                                             b.getF32FloatAttr(inverse));
    Value product =
        arith::MulFOp::create(b, division.getLoc(), division.getLhs(), factor);
    division.replaceAllUsesWith(product);
    division.erase();
  }
}

/// A last product with a positive constant keeps the order of scores: they stay
/// without it, and it rides in the factor to log2 units.
void GridLowering::takeFactor(MapOp map) {
  multiplyByInverses(map.getBody());
  Operation *yield = map.getBody().front().getTerminator();
  auto product = yield->getOperand(0).getDefiningOp<arith::MulFOp>();
  if (!product)
    return;
  Value kept = product.getLhs(), taken = product.getRhs();
  FloatAttr factor;
  if (!matchPattern(taken, m_Constant(&factor)))
    std::swap(kept, taken);
  if (!matchPattern(taken, m_Constant(&factor)))
    return;
  double value = factor.getValueAsDouble();
  if (!(value > 0x1p-20 && value < 0x1p20))
    return;
  scoreFactor = value;
  yield->setOperand(0, kept);
  if (product->use_empty())
    product->erase();
}

Value GridLowering::lowerMask(online::StepOp step, Value scores) {
  online::MaskOp mask = masks.lookup(step.getVisible());
  // A listed full tile may be cut: then all that belongs is visible, not all.
  Value all = full;
  if (blocks.getList())
    all = arith::ConstantIntOp::create(b, loc, 0, 1);
  Value belong = blocks.getCutFront() ? index(blocks.getStep()) : count;
  auto masked =
      MaskOp::create(b, loc, scores, mapping.lookupOrDefault(mask.getM0()),
                     mapping.lookupOrDefault(mask.getN0()), belong, all);
  if (mask.getBody().empty()) {
    if (blocks.getCutFront())
      addCut(masked);
    return masked;
  }
  IRMapping inner = mapping;
  mask.getBody().cloneInto(&masked.getBody(), inner);
  auto yield = cast<online::YieldOp>(masked.getBody().front().getTerminator());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(yield);
  Value keep = yield.getOperand(0);
  if (blocks.getList()) // a listed full tile is one whatever the mask says
    keep = arith::OrIOp::create(b, loc, keep, full);
  YieldOp::create(b, loc, keep);
  yield.erase();
  if (blocks.getCutFront())
    addCut(masked);
  hoistUniform(masked.getBody());
  return masked;
}

/// Keys before the first one that belongs are hidden, whatever the region says.
void GridLowering::addCut(MaskOp masked) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(masked);
  // As a global position.
  Value shift = arith::SubIOp::create(b, loc, masked.getN0(),
                                      blocks.getBody().getArgument(0));
  Value from = arith::AddIOp::create(b, loc, count, shift);
  Type i64 = b.getI64Type();
  from = arith::IndexCastOp::create(b, loc, i64, from);
  Value keep;
  if (masked.getBody().empty()) {
    b.createBlock(&masked.getBody(), {}, {i64, i64}, {loc, loc});
  } else {
    Operation *yield = masked.getBody().front().getTerminator();
    b.setInsertionPoint(yield);
    keep = yield->getOperand(0);
    yield->erase();
    b.setInsertionPointToEnd(&masked.getBody().front());
  }
  Value belongs = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge,
                                        masked.getBody().getArgument(1), from);
  if (keep)
    belongs = arith::AndIOp::create(b, loc, belongs, keep);
  YieldOp::create(b, loc, belongs);
}

/// Scores stay as the product or the score region gave them; the factor to log2
/// units rides in the exponent.
LogicalResult GridLowering::lowerStep(online::StepOp op) {
  if (failed(checkNormalizer(op, op.getNormalizer())))
    return failure();
  if (op.getRow() || op.getCol())
    return unsupported(op, "affine biases in a step");
  if (!op.getVisible() || !masks.count(op.getVisible()))
    return unsupported(op, "steps without a mask");
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(blocks);
    toLog2 = constant(M_LOG2E * scoreFactor);
    if (scoreFactor != 1)
      toNatural = constant(scoreFactor);
    if (op.getScale()) {
      // The maximum of scores at rest is that of scaled ones where it is, and
      // -inf stays what it is.
      if (op.getState().getType().getHasT() || weightVanishes)
        tiles->getParentOfType<func::FuncOp>()->setAttr(
            "attn_gpu.positive_scale", b.getUnitAttr());
      toNatural = mapping.lookupOrDefault(op.getScale());
      toLog2 = arith::MulFOp::create(b, loc, toNatural, toLog2);
    }
  }
  State state = states.lookup(op.getState());
  Value scores = lowerMask(op, mapping.lookupOrDefault(op.getScores()));
  Value values = mapping.lookupOrDefault(op.getValues());
  states[op.getResult()] = state.max ? stepSoftmax(state, scores, values)
                                     : stepFree(op, state, scores, values);
  return success();
}

Value GridLowering::addOutputs(Value out, Value weights, Value values) {
  auto tile = cast<TileType>(values.getType());
  auto operand = FragType::get(b.getContext(), kGroupRows, tile.getRows(),
                               tile.getElementType(), Layout::QuadA);
  Value packed = ConvertOp::create(b, loc, operand, weights);
  return MmaOp::create(b, loc, out.getType(), packed, values, out, UnitAttr());
}

/// Online softmax on fragments.
State GridLowering::stepSoftmax(const State &state, Value scores,
                                Value values) {
  Value c = toLog2;
  State next;
  next.max =
      ReduceOp::create(b, loc, rows(), ReduceKind::Max, scores, state.max);
  Value offset = map(rows(), next.max, [&](OpBuilder &b, ValueRange x) {
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
  next.sum = RescaleOp::create(b, loc, partial, state.sum, alpha, sum);
  Value out =
      RescaleOp::create(b, loc, state.out.getType(), state.out, alpha, Value());
  next.out = addOutputs(out, weights, values);
  return next;
}

/// Weights that need neither a maximum nor a sum.
State GridLowering::stepFree(online::StepOp op, const State &state,
                             Value scores, Value values) {
  auto weights = MapOp::create(b, loc, scores.getType(), scores,
                               ValueRange{mapping.lookupOrDefault(op.getM0()),
                                          mapping.lookupOrDefault(op.getN0())});
  {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&weights.getBody());
    Value m = block->addArgument(b.getI64Type(), loc);
    Value n = block->addArgument(b.getI64Type(), loc);
    Value x = block->addArgument(b.getF32Type(), loc);
    Value natural = x;
    if (toNatural)
      natural = arith::MulFOp::create(b, loc, x, toNatural);
    SmallVector<Value> results;
    inlineRegion(b, normalizer.getWeight(),
                 {natural, constant(0), mapping.lookupOrDefault(op.getB()),
                  mapping.lookupOrDefault(op.getH()), m, n},
                 op.getCaptures(), results);
    // S9: an invisible key has no weight, whatever the function.
    Value weight = results[0];
    if (!weightVanishes) {
      Value hidden = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x,
                                           constant(-INFINITY));
      weight = arith::SelectOp::create(b, loc, hidden, constant(0), weight);
    }
    YieldOp::create(b, loc, weight);
  }
  hoistUniform(weights.getBody());
  foldFactors(weights.getBody());
  State next;
  next.out = addOutputs(state.out, weights, values);
  return next;
}
