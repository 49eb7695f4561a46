//===- Mods.cpp - From products to scores ---------------------------------===//
//
// What a mod does with the products of a group of keys is a loop over them of
// its own. With registers of 32 bytes a short mod is evaluated while they are
// still in registers, without a store, a load and a chain to wait for.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace fovea::cpu;

static constexpr double kLog2E = 1.4426950408889634;
/// Operations on lanes of a mod that is short.
static constexpr unsigned kShortMod = 6;
static constexpr unsigned kAll = OnBlock | OnRow | OnKey | OnScore;

/// A product as the mod's first op that is not folded into it sees it.
Lane KernelEmitter::productLane(const DotSpec &dot, Value product) {
  Lane lane{product, {}, {}, 0};
  if (foldsFactors(dot) && endsInTanh(dot))
    lane.factor = e.cf(1.0 / VectorMath::tanhUnit);
  return lane;
}

/// The score of a key, which is bound, from its products.
LogicalResult KernelEmitter::emitScore(ArrayRef<Value> products, Value &score) {
  for (auto [dot, product] : llvm::zip(spec.dots, products))
    s->bind(foldsFactors(dot) ? dot.scaled : dot.op.getResult(),
            productLane(dot, product), OnRow | OnKey | OnScore);
  Value scores = spec.step.getScores();
  if (failed(runTiles(kAll)) || !s->has(scores))
    return spec.step.emitOpError(
        "scores must be computed from the dots of the sweep by online.map and "
        "elementwise arith");
  score = log2Units() && !plainScores() ? s->vectorTimes(scores, kLog2E)
                                        : s->vector(scores);
  if (plainScores())
    return success();
  if (Value scale = spec.step.getScale())
    score = e.fmul(score, s->vector(scale));
  if (Value row = spec.step.getRow())
    score = e.fadd(score, s->vector(row));
  if (Value col = spec.step.getCol())
    score = e.fadd(score, s->vector(col));
  return success();
}

/// Score mods of one group: reads the products, writes the scores.
LogicalResult KernelEmitter::emitScoreLoop(Value from, Value to,
                                           Value &rowMax) {
  LogicalResult status = success();
  Values result = e.loop(
      from, to, e.c(1), {rowMax}, [&](Value key, ValueRange carried) -> Values {
        s->push();
        bindKey(key);
        Values products;
        for (int64_t scores : at_.scores)
          products.push_back(e.loadRow(ofPanel(scores), key));
        Value maximum = carried[0], score;
        if (failed(emitScore(products, score))) {
          status = failure();
        } else {
          if (!plainScores())
            e.storeRow(score, ofPanel(at_.scores[0]), key);
          if (failed(takeStat(score, maximum)))
            status = failure();
        }
        s->pop();
        return {maximum};
      });
  rowMax = result[0];
  return status;
}

//===----------------------------------------------------------------------===//
// Mods of products in registers
//===----------------------------------------------------------------------===//

/// By how much an index grows from a key to the next, if that is constant.
std::optional<int> KernelEmitter::stepOfKey(Value index) {
  if (!(s->dependence(index) & OnKey))
    return 0;
  Operation *op = index.getDefiningOp();
  if (!op)
    return 1;
  if (isa<arith::IndexCastOp>(op))
    return stepOfKey(op->getOperand(0));
  if (!isa<arith::AddIOp, arith::SubIOp>(op))
    return std::nullopt;
  std::optional<int> x = stepOfKey(op->getOperand(0));
  std::optional<int> y = stepOfKey(op->getOperand(1));
  if (!x || !y)
    return std::nullopt;
  return isa<arith::AddIOp>(op) ? *x + *y : *x - *y;
}

/// Whether an op of a mod may be repeated for every key of a group. Counts what
/// has lanes of its own for each key.
bool KernelEmitter::isShortMod(Operation &op, unsigned &laneOps) {
  unsigned dependence = s->dependence(op.getResult(0));
  if (!(dependence & OnKey) || !(dependence & OnRow))
    return true;
  ++laneOps;
  if (auto read = dyn_cast<attn::ReadOp>(op)) {
    // One load, if neighbours read neighbours.
    for (Value index : read.getIndices().drop_back())
      if (s->dependence(index) & OnRow)
        return false;
    return stepOfKey(read.getIndices().back()).has_value();
  }
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp,
             arith::AddIOp, arith::SubIOp, arith::SIToFPOp, arith::CmpIOp,
             arith::CmpFOp, arith::SelectOp, arith::MaxSIOp, arith::MinSIOp,
             arith::MaximumFOp, arith::MinimumFOp, math::AbsFOp>(op);
}

/// Whether the mod is evaluated while the products are in registers.
bool KernelEmitter::hasEarlyMods() {
  if (!isNarrow() || isShort() || !softmax() || plainScores() ||
      spec.dots.size() != 1 || spec.schedule.getIndexBits() != 32)
    return false;
  unsigned laneOps = 0;
  for (auto map : spec.sweep.getBody().front().getOps<online::MapOp>())
    for (Operation &op : map.getBody().front().without_terminator())
      if (!isShortMod(op, laneOps))
        return false;
  return laneOps <= kShortMod;
}

/// Whether all reads of a group's keys by lanes are one load each; null where
/// the mod cannot be emitted. Their indices are largest and smallest at the
/// first and the last key.
Value KernelEmitter::readsNeighbours(Value group) {
  LogicalResult status = success();
  s->neighbours = e.cbool(true);
  s->reads = ScalarEmitter::Reads::Collect;
  for (int64_t key : {int64_t(0), e.group - 1}) {
    s->push();
    bindKey(e.add(group, e.c(key)));
    Value score;
    if (succeeded(status))
      status = emitScore({e.vc(0.0)}, score);
    s->pop();
  }
  s->reads = ScalarEmitter::Reads::Ask;
  return succeeded(status) ? s->neighbours : Value();
}

/// Scores of a group of keys from products in registers, and the maximum.
LogicalResult KernelEmitter::emitEarlyMods(Value group,
                                           ArrayRef<Value> products,
                                           Value &rowMax) {
  Value together = readsNeighbours(group);
  if (!together)
    return failure();
  LogicalResult status = success();
  Value before = rowMax, scores = ofPanel(at_.scores[0]);
  auto inRegisters = [&]() -> Values {
    Value largest = before;
    s->reads = ScalarEmitter::Reads::Load;
    for (auto [i, product] : llvm::enumerate(products)) {
      s->push();
      Value key = e.add(group, e.c(i)), score = product;
      bindKey(key);
      if (failed(emitScore({product}, score)))
        status = failure();
      e.storeRow(score, scores, key);
      largest = e.fmaxDropNaN(score, largest);
      s->pop();
    }
    s->reads = ScalarEmitter::Reads::Ask;
    return {largest};
  };
  auto inLoop = [&]() -> Values {
    for (auto [i, product] : llvm::enumerate(products))
      e.storeRow(product, scores, e.add(group, e.c(i)));
    Value largest = before;
    Value end = e.min(e.add(group, e.c(e.group)), count);
    if (failed(emitScoreLoop(group, end, largest)))
      status = failure();
    return {largest};
  };
  rowMax = e.branch(together, {e.vf}, inRegisters, inLoop)[0];
  return status;
}
