//===- Woven.cpp - Weights between the products of the next panel ---------===//
//
// Weights alone are bound by the latency of their chains, products by the
// multiply-add units. So the weights of a panel are computed a step at a time
// between the products of keys with the queries of the next one. What is then
// left of them, all of the last panel or of one with several runs, comes
// before the panel's products of values. Scores and what goes with them exist
// twice, for panels of even and of odd numbers.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// Of wider heads the weights are too small a part of the time to pay for two
/// arrays of scores.
static constexpr int64_t widestWoven = 64;

/// With registers of 32 bytes none is left for a chain between products.
bool KernelEmitter::weavesWeights() {
  return accumulatesRows() && softmax() && e.registerBytes() == 64 &&
         maxPanels() > 1 && spec.dots[0].dim <= widestWoven;
}

/// Behind the arrays of a panel: what its weights need, then all for another.
void KernelEmitter::layOutWoven(int64_t firstOfPanel) {
  at_.rowFactors = layout.reserve(e.lanes * e.scoreBytes());
  at_.pending = layout.reserve(64);
  at_.panelBytes = layout.bytes() - firstOfPanel;
  layout.reserve(at_.panelBytes);
}

Value KernelEmitter::pendingField(PendingField field) {
  return ofPanel(at_.pending + 8 * field);
}

/// Scores of each panel, then values of the one before.
LogicalResult KernelEmitter::emitWovenPanels(Value full, Value known) {
  LogicalResult status = success();
  auto scratchOf = [&](Value panel) {
    Value odd = e.land(panel, e.c(1));
    return e.gep(scratch, e.mul(odd, e.c(at_.panelBytes)), e.i8);
  };
  e.loop(e.c(0), e.c(2), 1, [&](Value panel) {
    panelScratch = scratchOf(panel);
    for (PendingField field : {PendingRuns, WovenFrom, WovenTo})
      e.store(e.c(0), pendingField(field));
    e.when(full, [&]() { emitFullRuns(); });
  });
  e.loop(firstPanel, e.add(endPanel, e.c(1)), 1, [&](Value panel) {
    Value own = scratchOf(panel);
    pendingPanel = e.max(e.sub(panel, e.c(1)), e.c(0));
    pendingScratch = scratchOf(e.add(panel, e.c(1)));
    e.when(e.icmp(P::slt, panel, endPanel), [&]() {
      s->push();
      panelScratch = own;
      if (failed(status) || failed(emitWovenScores(panel, full, known)))
        status = failure();
      s->pop();
    });
    panelScratch = pendingScratch;
    runCount = e.load(e.i64, pendingField(PendingRuns));
    e.when(e.icmp(P::ne, runCount, e.c(0)), [&]() {
      if (failed(status) || failed(finishPending(pendingPanel)))
        status = failure();
      for (PendingField field : {PendingRuns, WovenTo})
        e.store(e.c(0), pendingField(field));
    });
  });
  panelScratch = scratch;
  return status;
}

/// The scores of a panel, with weights of the one before, and what its own
/// weights will need.
LogicalResult KernelEmitter::emitWovenScores(Value panel, Value full,
                                             Value known) {
  LogicalResult status = emitPanelRuns(panel, full, known);
  e.when(e.icmp(P::ne, runCount, e.c(0)), [&]() {
    Value rowMax;
    if (failed(status) || failed(emitScores(panel, rowMax))) {
      status = failure();
      return;
    }
    Value alpha = rescaleState(panel, rowMax, finiteMaximum(rowMax));
    e.storeRow(alpha, ofPanel(at_.rowFactors), e.c(0));
    e.storeRow(e.fmul(e.loadRow(state.rowSum, panel), alpha), state.rowSum,
               panel);
    e.store(runCount, pendingField(PendingRuns));
    e.store(arith::ExtUIOp::create(e.b, e.loc, e.i64, fresh),
            pendingField(PendingFresh));
    // One run is woven, without the odd key of pairs.
    auto [from, to] = loadRun(e.c(0));
    to = e.sub(to, e.urem(to, e.c(stepElements())));
    to = e.select(e.icmp(P::eq, runCount, e.c(1)), to, from);
    e.store(from, pendingField(WovenFrom));
    e.store(to, pendingField(WovenTo));
  });
  return status;
}

/// The weights that were not woven, and the values.
LogicalResult KernelEmitter::finishPending(Value panel) {
  Value t = finiteMaximum(e.loadRow(state.rowMax, panel));
  Values sum = {e.loadRow(state.rowSum, panel)};
  Value from = e.load(e.i64, pendingField(WovenFrom));
  if (failed(weighRuns(t, from, Value(), sum)))
    return failure();
  e.storeRow(sum[0], state.rowSum, panel);
  fresh = e.icmp(P::ne, e.load(e.i64, pendingField(PendingFresh)), e.c(0));
  multiplyValueRows(valueRows, panel, /*rescaled=*/true);
  return success();
}

/// The loop of a group's products, with a step of weights of the panel before
/// between as many pieces as a group has.
Values KernelEmitter::loopWithWeights(
    int64_t steps, ValueRange sums,
    llvm::function_ref<Values(Value, ValueRange)> body) {
  int64_t pieces = e.group / stepElements();
  int64_t piece = (steps + pieces - 1) / pieces;
  Value own = panelScratch;
  panelScratch = pendingScratch;
  Value t = finiteMaximum(e.loadRow(state.rowMax, pendingPanel));
  Value to = e.load(e.i64, pendingField(WovenTo));
  Values carried(sums);
  carried.push_back(e.loadRow(state.rowSum, pendingPanel));
  carried.push_back(e.load(e.i64, pendingField(WovenFrom)));
  Values result =
      e.loop(e.c(0), e.c(steps), e.c(piece), carried,
             [&](Value first, ValueRange before) -> Values {
               Value end = e.add(first, e.c(piece));
               if (steps % piece != 0)
                 end = e.min(end, e.c(steps));
               Values next =
                   e.loop(first, end, e.c(1), before.drop_back(2), body);
               Value sum = before[sums.size()], key = before.back();
               sum = e.branch(
                   e.icmp(P::slt, key, to), {e.vf},
                   [&]() -> Values {
                     Values taken = {sum};
                     if (failed(weighStep(key, t, Value(), taken)))
                       walked = failure();
                     return taken;
                   },
                   [&]() -> Values { return {sum}; })[0];
               next.push_back(sum);
               next.push_back(e.min(e.add(key, e.c(stepElements())), to));
               return next;
             });
  e.store(result.pop_back_val(), pendingField(WovenFrom));
  e.storeRow(result.pop_back_val(), state.rowSum, pendingPanel);
  panelScratch = own;
  return result;
}
