//===- Normalizer.cpp - The regions of attn.normalizer, and seeds ---------===//

#include "Kernel.h"

#include <cmath>

using namespace fovea::cpu;

/// The global rows of a panel: origin + panel · lanes + lane.
Lane KernelEmitter::rowLane(Value origin, Value panel) {
  if (isShort())
    return tableLane(at_.rowQueries, s->scalar(origin), panel);
  Value base = e.add(s->scalar(origin), e.mul(panel, e.c(e.lanes)));
  bool narrow = spec.schedule.getIndexBits() == 32;
  if (!narrow)
    return Lane{e.add(e.splat(base), e.iota(e.i64)), {}, base, 1};
  Type i32 = e.b.getI32Type();
  Value first = arith::TruncIOp::create(e.b, e.loc, i32, base);
  // Lanes past the last row may pass the promised limit a little.
  Interval range{0, (int64_t(1) << 30) + e.lanes};
  return Lane{e.add(e.splat(first), e.iota(i32)), range, base, 1};
}

/// Binds what a region knows before its innermost loop and evaluates what
/// depends on no more. Arguments: `floats` values of the state or score, then
/// (b, h, m) and one more position (n or e) with `positions`, then captures.
LogicalResult KernelEmitter::prepareRegion(Region &region, unsigned floats,
                                           bool positions, Value panel) {
  Block &block = region.front();
  unsigned next = 0;
  while (next < floats)
    s->declare(block.getArgument(next++), OnRow | OnKey | OnScore);
  if (positions) {
    s->bindScalar(block.getArgument(next++), s->scalar(spec.step.getB()),
                  OnItem, s->positions());
    if (isShort())
      s->bind(block.getArgument(next++),
              tableLane(at_.rowHeads, firstHead, panel), OnRow);
    else
      s->bindScalar(block.getArgument(next++), s->scalar(spec.step.getH()),
                    OnItem, s->positions());
    s->bind(block.getArgument(next++), rowLane(spec.step.getM0(), panel),
            OnRow);
    unsigned captures = spec.step.getCaptures().size();
    if (next + captures < block.getNumArguments())
      s->declare(block.getArgument(next++), OnKey);
  }
  for (Value capture : spec.step.getCaptures())
    s->alias(block.getArgument(next++), capture);
  return s->run(block, OnItem | OnBlock | OnRow);
}

/// Evaluates a prepared region; results are lanes.
LogicalResult KernelEmitter::callRegion(Region &region, ArrayRef<Value> floats,
                                        bool positions, Value last,
                                        Values &results) {
  Block &block = region.front();
  for (auto [argument, value] : llvm::zip(block.getArguments(), floats))
    s->bind(argument, Lane{value, {}, {}, 0}, OnRow | OnKey | OnScore);
  if (last)
    s->bindScalar(block.getArgument(floats.size() + 3), last, OnKey,
                  s->positions());
  if (failed(s->run(block, OnBlock | OnRow | OnKey | OnScore)))
    return failure();
  results.clear();
  for (Value yielded : block.getTerminator()->getOperands())
    results.push_back(s->vector(yielded));
  return success();
}

/// The state before any key: the seed, or (−inf, 0, 0).
LogicalResult KernelEmitter::emitInit() {
  LogicalResult status = success();
  forPanelsOfTile([&](Value panel) {
    s->push();
    if (failed(initPanel(panel)))
      status = failure();
    s->pop();
  });
  return status;
}

LogicalResult KernelEmitter::initPanel(Value panel) {
  bool seeded = spec.normalizer && !spec.init.getUnseeded();
  Value t = e.vc(-INFINITY), l = e.vc(0.0);
  if (seeded && !spec.normalizer.getSeed().empty()) {
    Region &seed = spec.normalizer.getSeed();
    Values results;
    if (failed(prepareRegion(seed, 0, true, panel)) ||
        failed(callRegion(seed, {}, true, Value(), results)))
      return failure();
    t = results[0];
    l = results[1];
  }
  e.storeRow(t, state.rowMax, panel);
  e.storeRow(l, state.rowSum, panel);

  Value output =
      e.gep(state.output, e.mul(panel, e.c(valuePadded() * e.lanes)), e.f);
  LogicalResult status = success();
  bool seededValue = seeded && !spec.normalizer.getSeedValue().empty();
  if (seededValue &&
      failed(prepareRegion(spec.normalizer.getSeedValue(), 0, true, panel)))
    return failure();
  if (startsAtZero())
    return success();
  Value from = seededValue ? e.c(spec.valueDim) : e.c(0);
  e.loop(from, e.c(valuePadded()), 1,
         [&](Value d) { e.storeRow(e.vc(0.0), output, d); });
  if (!seededValue)
    return success();
  Value factor = hasTwoPasses() ? e.loadRow(at(at_.factor), panel) : Value();
  e.loop(e.c(0), e.c(spec.valueDim), 1, [&](Value d) {
    Values results;
    s->push();
    if (failed(
            callRegion(spec.normalizer.getSeedValue(), {}, true, d, results)))
      status = failure();
    else
      e.storeRow(factor ? e.fmul(results[0], factor) : results[0], output, d);
    s->pop();
  });
  return status;
}

/// Whether finish(c · o) = c · finish(o) whatever c, by the form of the region.
bool KernelEmitter::finishIsLinear() {
  Block &block = spec.normalizer.getFinish().front();
  llvm::SmallDenseSet<Value, 8> linear{block.getArgument(0)};
  for (Operation &op : block.without_terminator()) {
    unsigned scaled = llvm::count_if(
        op.getOperands(), [&](Value v) { return linear.contains(v); });
    if (scaled == 0)
      continue;
    bool good = isa<arith::NegFOp>(op) ||
                (isa<arith::AddFOp, arith::SubFOp>(op) && scaled == 2) ||
                (isa<arith::MulFOp>(op) && scaled == 1) ||
                (isa<arith::DivFOp>(op) && scaled == 1 &&
                 linear.contains(op.getOperand(0))) ||
                (isa<arith::SelectOp>(op) && scaled == 2 &&
                 !linear.contains(op.getOperand(0)));
    if (!good)
      return false;
    linear.insert(op.getResult(0));
  }
  return linear.contains(block.getTerminator()->getOperand(0));
}
