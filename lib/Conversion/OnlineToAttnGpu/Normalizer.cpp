//===- Normalizer.cpp - Which normalisers this target has -----------------===//

#include "Lowering.h"
#include "fovea/Analysis/BlockFacts.h"

#include <cmath>

using namespace fovea::gpu;
using namespace mlir::attn_gpu;

static Operation *yieldedBy(Region &region) {
  return region.front().getTerminator()->getOperand(0).getDefiningOp();
}

/// exp(s − t), s and t the region's first arguments.
static bool isExpOfDifference(Region &region) {
  auto exp = dyn_cast_if_present<math::ExpOp>(yieldedBy(region));
  auto difference =
      exp ? exp.getOperand().getDefiningOp<arith::SubFOp>() : arith::SubFOp();
  Block &block = region.front();
  return difference && difference.getLhs() == block.getArgument(0) &&
         difference.getRhs() == block.getArgument(1);
}

/// o / l, o and l the region's first arguments.
static bool isQuotient(Region &region) {
  auto quotient = dyn_cast_if_present<arith::DivFOp>(yieldedBy(region));
  Block &block = region.front();
  return quotient && quotient.getLhs() == block.getArgument(0) &&
         quotient.getRhs() == block.getArgument(1);
}

static bool yieldsFirst(Region &region) {
  Block &block = region.front();
  return block.getTerminator()->getOperand(0) == block.getArgument(0);
}

/// Softmax with any seed of the row, and weights that stand for themselves.
LogicalResult GridLowering::checkNormalizer(Operation *op, Attribute symbol) {
  if (isa<attn::SoftmaxAttr>(symbol))
    return success();
  normalizer = SymbolTable::lookupNearestSymbolFrom<attn::NormalizerOp>(
      op, cast<FlatSymbolRefAttr>(symbol));
  Region &finish = normalizer.getFinish();
  bool isSoftmax = normalizer.hasStat() && normalizer.hasDenom() &&
                   yieldsFirst(normalizer.getStat()) &&
                   isExpOfDifference(normalizer.getWeight()) &&
                   isExpOfDifference(normalizer.getDenom()) &&
                   (finish.empty() || isQuotient(finish));
  bool isFree = !normalizer.hasStat() && !normalizer.hasDenom() &&
                normalizer.getSeed().empty() &&
                (finish.empty() || yieldsFirst(finish));
  weightVanishes = isFree && vanishesWhereHidden(normalizer.getWeight().front(),
                                                 /*seeded=*/false);
  if (!normalizer.getSeedValue().empty() || (!isSoftmax && !isFree))
    return unsupported(op, "normalisers other than softmax with a seed for the "
                           "row, and weights without statistics");
  return success();
}

/// Clones a region of the normaliser, its captures bound to memrefs.
void GridLowering::inlineRegion(OpBuilder &b, Region &region,
                                ValueRange arguments, ValueRange captures,
                                SmallVectorImpl<Value> &results) {
  IRMapping inner;
  Block &block = region.front();
  for (auto [index, argument] : llvm::enumerate(block.getArguments()))
    inner.map(argument, index < arguments.size()
                            ? arguments[index]
                            : mapping.lookupOrDefault(
                                  captures[index - arguments.size()]));
  for (Operation &op : block.without_terminator())
    b.clone(op, inner);
  for (Value result : block.getTerminator()->getOperands())
    results.push_back(inner.lookupOrDefault(result));
}

/// The seed as the state before the first key: t0 in units of scores at rest,
/// l0 in four equal parts, one for each lane of a quad.
void GridLowering::seed() {
  if (!normalizer || normalizer.getSeed().empty())
    return;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(blocks);
  auto build = [&](unsigned which, Type type) -> Value {
    auto seeds = MapOp::create(b, loc, type, ValueRange(),
                               mapping.lookupOrDefault(init.getM0()));
    OpBuilder::InsertionGuard inner(b);
    Block *block = b.createBlock(&seeds.getBody());
    Value m = block->addArgument(b.getI64Type(), loc);
    SmallVector<Value> results;
    inlineRegion(b, normalizer.getSeed(),
                 {mapping.lookupOrDefault(init.getB()),
                  mapping.lookupOrDefault(init.getH()), m},
                 init.getCaptures(), results);
    Value value = results[which];
    if (which == 0) {
      if (toNatural)
        value = arith::DivFOp::create(b, loc, value, toNatural);
      value = arith::MaximumFOp::create(b, loc, value, constant(kFloor));
      value = arith::MinimumFOp::create(b, loc, value, constant(-kFloor));
    } else {
      value = arith::MulFOp::create(b, loc, value, constant(0.25));
    }
    YieldOp::create(b, loc, value);
    return seeds;
  };
  blocks.getInitsMutable()[0].assign(build(0, rows()));
  blocks.getInitsMutable()[1].assign(build(1, rows(/*partial=*/true)));
}

/// The lse of a row whose maximum is a seed that stands for an infinity.
Value GridLowering::infiniteWhereSeedIs(Value max, Value lse) {
  for (double sign : {1.0, -1.0}) {
    Value bound = constant(sign * -kFloor);
    Value same =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, max, bound);
    lse = arith::SelectOp::create(b, loc, same, constant(sign * INFINITY), lse);
  }
  return lse;
}
