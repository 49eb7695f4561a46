//===- ShortMerge.cpp - Parts of the keys joined --------------------------===//
//
// online.merge on row states in memory. Parts start without the seed and are
// joined in order; the seed's state takes their sum (S9, S10).
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <cmath>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// The current state becomes that of no keys and no seed.
void KernelEmitter::clearState() {
  Value panels = e.ceilDiv(rows, e.lanes);
  e.loop(e.c(0), panels, 1, [&](Value panel) {
    e.storeRow(e.vc(-INFINITY), state.rowMax, panel);
    e.storeRow(e.vc(0.0), state.rowSum, panel);
  });
  int64_t vectors = valuePadded() * panelRows() / e.lanes;
  e.loop(e.c(0), e.mul(panels, e.c(vectors)), 1,
         [&](Value row) { e.storeRow(e.vc(0.0), state.output, row); });
}

void KernelEmitter::useMerged() {
  state.output = at(at_.merged);
  state.rowMax = at(at_.mergedMax);
  state.rowSum = at(at_.mergedSum);
}

/// What two states with maxima `own` and `other` are multiplied by, and the new
/// maximum. The one that has it stays what it is, the own one at an infinity or
/// NaN of its seed included; a state of no keys changes nothing.
std::pair<Value, Value> KernelEmitter::mergeFactors(Value own, Value other,
                                                    Value &t) {
  t = e.fmaxDropNaN(other, own);
  Value stays = e.fcmp(arith::CmpFPredicate::UEQ, own, t);
  Value none = e.fcmp(arith::CmpFPredicate::OEQ, other, e.vc(-INFINITY));
  Value difference = e.fsub(e.select(stays, other, own), t);
  if (!log2Units())
    difference = e.fmul(difference, e.vc(1.4426950408889634));
  Value factor = e.math().exp2NonPositive(difference), one = e.vc(1.0);
  return {e.select(stays, one, factor),
          e.select(none, e.vc(0.0), e.select(stays, factor, one))};
}

/// Takes a part of a head into the merged state; both have a row of features
/// after the other.
void KernelEmitter::mergePart(Value head, Value ofPart) {
  enterHead(head);
  useState(slotOf(ofPart));
  auto from = state;
  useMerged();
  int64_t columns = valuePadded();
  auto scaled = [&](Value x, Value factor) {
    return factor ? e.fmul(x, factor) : x;
  };
  e.loop(e.c(0), e.ceilDiv(rows, e.lanes), 1, [&](Value panel) {
    std::pair<Value, Value> factors;
    if (spec.hasStat()) {
      Value t;
      factors = mergeFactors(e.loadRow(state.rowMax, panel),
                             e.loadRow(from.rowMax, panel), t);
      e.storeRow(t, state.rowMax, panel);
      e.storeRow(factors.first, at(at_.factors), e.c(0));
      e.storeRow(factors.second, at(at_.factors), e.c(1));
    }
    Value sum = e.fadd(scaled(e.loadRow(state.rowSum, panel), factors.first),
                       scaled(e.loadRow(from.rowSum, panel), factors.second));
    e.storeRow(sum, state.rowSum, panel);
    Value taken = e.c(e.lanes);
    if (shortTiles())
      taken = e.min(e.sub(rows, e.mul(panel, taken)), taken);
    forRows(taken, [&](Value lane) {
      Value row = e.add(e.mul(panel, e.c(panelRows())), lane), own, other;
      if (spec.hasStat()) {
        Value address = e.gep(at(at_.factors), lane, e.f);
        own = wideSplat(e.load(e.f, address));
        other =
            wideSplat(e.load(e.f, e.gep(address, e.lanes * e.scoreBytes())));
      }
      Value first = e.mul(row, e.c(columns));
      e.loop(first, e.add(first, e.c(columns)), wide(), [&](Value i) {
        auto load = [&](Value base) {
          return e.load(wideVec(e.f), e.gep(base, i, e.f), e.scoreBytes());
        };
        Value joined = e.fadd(scaled(load(state.output), own),
                              scaled(load(from.output), other));
        e.store(joined, e.gep(state.output, i, e.f), e.scoreBytes());
      });
    });
  });
}

/// The merged rows of a panel as columns of its rows.
void KernelEmitter::rowsToColumns(Value panel, Value to) {
  int64_t columns = valuePadded();
  Value source =
      e.gep(at(at_.merged), e.mul(panel, e.c(columns * panelRows())), e.f);
  e.loop(e.c(0), e.c(columns / e.lanes), 1, [&](Value square) {
    Value place = placeOfSquare(square);
    callHelper("_transpose",
               {e.gep(source, e.mul(place, e.c(e.lanes)), e.f),
                e.c(spec.isOneRow() ? 0 : columns), e.c(0),
                e.gep(to, e.mul(square, e.c(e.lanes * e.lanes)), e.f),
                e.c(e.lanes), e.c(0), e.c(1), e.cf(1.0)});
  });
}

/// Makes the merged state the one in scratch, a column of rows after the other;
/// that takes it up where a seed's is there.
void KernelEmitter::joinSeed() {
  useScratchState();
  int64_t columns = valuePadded();
  e.loop(e.c(0), e.ceilDiv(rows, e.lanes), 1, [&](Value panel) {
    Value output =
        e.gep(state.output, e.mul(panel, e.c(columns * e.lanes)), e.f);
    Value joined = joinsSeed() ? at(at_.joined) : output;
    rowsToColumns(panel, joined);
    Value sum = e.loadRow(at(at_.mergedSum), panel);
    Value maximum = e.loadRow(at(at_.mergedMax), panel);
    if (!joinsSeed()) {
      e.storeRow(maximum, state.rowMax, panel);
      e.storeRow(sum, state.rowSum, panel);
      return;
    }
    std::pair<Value, Value> factors;
    if (spec.hasStat()) {
      Value t;
      factors = mergeFactors(e.loadRow(state.rowMax, panel), maximum, t);
      e.storeRow(t, state.rowMax, panel);
    }
    auto join = [&](Value own, Value other) {
      if (factors.first) {
        own = e.fmul(own, factors.first);
        other = e.fmul(other, factors.second);
      }
      return e.fadd(own, other);
    };
    e.storeRow(join(e.loadRow(state.rowSum, panel), sum), state.rowSum, panel);
    e.loop(e.c(0), e.c(columns), 1, [&](Value d) {
      e.storeRow(join(e.loadRow(output, d), e.loadRow(joined, d)), output, d);
    });
  });
}

/// The part that is ready last joins all of the current head and stores the
/// results.
LogicalResult KernelEmitter::emitMerge(Value head, Value &nonFinite) {
  Value number = e.add(e.mul(batch, shape.keyHeads), keyHead);
  number = e.add(e.mul(number, shape.tiles), tile);
  Value counter = e.gep(shape.workspace, number, e.i64);
  Value before =
      LLVM::AtomicRMWOp::create(e.b, e.loc, LLVM::AtomicBinOp::add, counter,
                                e.c(1), LLVM::AtomicOrdering::acq_rel);
  Value isLast = e.icmp(P::eq, e.add(before, e.c(1)), liveParts);
  LogicalResult status = success();
  nonFinite = e.branch(
      isLast, {e.i64},
      [&]() -> Values {
        Value bad = e.c(0);
        firstPanel = e.c(0);
        endPanel = e.ceilDiv(rows, e.lanes);
        useMerged();
        clearState();
        e.loop(e.c(0), liveParts, 1,
               [&](Value ofPart) { mergePart(head, ofPart); });
        enterHead(head);
        if (finishesRows()) {
          useMerged();
        } else {
          useScratchState();
          if (joinsSeed() && failed(emitInit()))
            status = failure();
          joinSeed();
        }
        if (failed(emitFinish(bad)))
          status = failure();
        return {bad};
      },
      [&]() -> Values { return {e.c(0)}; })[0];
  return status;
}
