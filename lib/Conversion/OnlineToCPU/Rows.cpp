//===- Rows.cpp - From products to weights --------------------------------===//
//
// All lane-wise: no shuffle and no horizontal reduction.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <cmath>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

static constexpr double kLog2E = 1.4426950408889634;

static Value isNegInf(Emitter &e, Value x) {
  return e.fcmp(arith::CmpFPredicate::OEQ, x, e.vc(-INFINITY));
}

/// Fills the score rows of the panel's runs, invisible keys at −inf, and
/// returns the running maximum with these keys.
LogicalResult KernelEmitter::emitScores(Value panel, Value &rowMax) {
  LogicalResult status = success();
  Value before = e.loadRow(state.rowMax, panel);
  // A second pass knows the row's maximum: no weight is larger than at the end.
  if (hasTwoPasses() && spec.hasStat())
    before = e.fmaxDropNaN(e.loadRow(at(at_.firstMax), panel), before);
  bool plain = plainScores() && softmax(), early = hasEarlyMods();
  auto emitProducts = [&](Value g, Value maximum) -> Value {
    Value plainMax = maximum;
    if (isShort())
      return plain ? largestOfGroup(g, maximum) : maximum;
    for (auto [i, dot] : llvm::enumerate(spec.dots)) {
      if (amx()) {
        emitTileScores(i, keyRows[i], panel, g);
        plainMax = scaleTileScores(i, g, plainMax);
        continue;
      }
      Values scores = emitScoreGroup(i, keyRows[i], panel, g);
      if (early) {
        if (failed(emitEarlyMods(g, scores, plainMax)))
          status = failure();
        continue;
      }
      for (auto [j, score] : llvm::enumerate(scores)) {
        e.storeRow(score, ofPanel(at_.scores[i]), e.add(g, e.c(j)));
        if (plain)
          plainMax = e.fmaxDropNaN(score, plainMax);
      }
    }
    return plainMax;
  };
  auto emitGroup = [&](Value g, Value maximum) -> Value {
    auto products = [&]() -> Values { return {emitProducts(g, maximum)}; };
    Value plainMax;
    if (hasHalves()) {
      Value half = halfOfGroup(g);
      plainMax = e.branch(
          e.icmp(P::sge, half, e.c(0)), {e.vf},
          [&]() -> Values {
            for (unsigned i = 0; i < spec.dots.size(); ++i)
              emitHalfScores(i, keyRows[i], panel, g, half);
            return {maximum};
          },
          products)[0];
    } else {
      plainMax = products()[0];
    }
    Value end = e.min(e.add(g, e.c(e.group)), count);
    if (!plain && !early && failed(emitScoreLoop(g, end, plainMax)))
      status = failure();
    return e.branch(
        isWholeGroup(g), {e.vf}, [&]() -> Values { return {plainMax}; },
        [&]() -> Values {
          Value masked = maximum;
          if (failed(emitMaskLoop(g, end, masked)))
            status = failure();
          return {masked};
        })[0];
  };
  s->push();
  if (!softmax() && spec.hasStat() &&
      failed(prepareRegion(spec.normalizer.getStat(), 1, false, panel)))
    status = failure();
  Values result =
      e.loop(e.c(0), runCount, e.c(1), {before},
             [&](Value run, ValueRange outer) -> Values {
               std::pair<Value, Value> keys = loadRun(run);
               return e.loop(keys.first, keys.second, e.c(e.group), outer,
                             [&](Value g, ValueRange inner) -> Values {
                               return {emitGroup(g, inner[0])};
                             });
             });
  s->pop();
  rowMax = result[0];
  return status;
}

/// −inf where a lane does not see the key; the maximum over what is left.
LogicalResult KernelEmitter::emitMaskLoop(Value from, Value to, Value &rowMax) {
  LogicalResult status = success();
  Value invisible = e.vc(-INFINITY);
  Values result = e.loop(
      from, to, e.c(1), {rowMax}, [&](Value key, ValueRange carried) -> Values {
        Value word = loadWord(at_.words, key);
        Value score = e.loadChosenRow(ofPanel(at_.scores[0]), key);
        score = e.select(e.wordToMask(word), score, invisible);
        e.storeRow(score, ofPanel(at_.scores[0]), key);
        Value maximum = carried[0];
        if (failed(takeStat(scaledScore(score), maximum)))
          status = failure();
        return {maximum};
      });
  rowMax = result[0];
  return status;
}

/// rowMax ← max(rowMax, stat(score)); invisible keys touch nothing.
LogicalResult KernelEmitter::takeStat(Value score, Value &rowMax) {
  if (!spec.hasStat())
    return success();
  Value stat = score;
  if (!softmax()) {
    Values results;
    s->push();
    LogicalResult status =
        callRegion(spec.normalizer.getStat(), {score}, false, Value(), results);
    s->pop();
    if (failed(status))
      return failure();
    stat = spec.statStays ? results[0]
                          : e.select(isNegInf(e, score), score, results[0]);
  }
  rowMax = e.fmaxDropNaN(stat, rowMax);
  return success();
}

/// Before any visible key the maximum is −inf; any finite t serves.
Value KernelEmitter::finiteMaximum(Value rowMax) {
  return e.select(isNegInf(e, rowMax), e.vc(0.0), rowMax);
}

/// Stores a panel's new maximum. Returns alpha, which rescales what was
/// accumulated before.
Value KernelEmitter::rescaleState(Value panel, Value rowMax, Value t) {
  Value before = e.loadRow(state.rowMax, panel);
  fresh = startsAtZero() ? areFresh(before) : Value();
  Value difference = e.fsub(before, t);
  if (!log2Units())
    difference = e.fmul(difference, e.vc(kLog2E));
  Value alpha = e.math().exp2NonPositive(difference);
  // A seed at an infinity stays what it is until a key takes its place.
  if (isSeeded())
    alpha = e.select(e.fcmp(arith::CmpFPredicate::UEQ, before, rowMax),
                     e.vc(1.0), alpha);
  e.storeRow(rowMax, state.rowMax, panel);
  return alpha;
}

/// Scores become weights in place; l takes the denominators. alpha rescales
/// what was accumulated before, and is null where there is no maximum.
LogicalResult KernelEmitter::emitWeights(Value panel, Value rowMax,
                                         Value &alpha) {
  Value t = e.vc(0.0), sum;
  if (spec.hasStat()) {
    t = finiteMaximum(rowMax);
    alpha = rescaleState(panel, rowMax, t);
  }
  if (spec.hasDenom()) {
    sum = e.loadRow(state.rowSum, panel);
    if (alpha)
      sum = e.fmul(sum, alpha);
  }
  if (isShort() && softmax()) {
    emitShortWeights(t, sum);
    e.storeRow(sum, state.rowSum, panel);
    return success();
  }
  s->push();
  LogicalResult status = success();
  if (!softmax()) {
    if (failed(prepareRegion(spec.normalizer.getWeight(), 2, true, panel)) ||
        (spec.hasDenom() &&
         failed(prepareRegion(spec.normalizer.getDenom(), 2, true, panel))))
      status = failure();
  }
  Values sums;
  if (sum)
    sums.push_back(sum);
  Value factor = hasTwoPasses() ? e.loadRow(at(at_.factor), panel) : Value();
  if (failed(weighRuns(t, Value(), factor, sums)))
    status = failure();
  s->pop();
  if (sum)
    e.storeRow(sums[0], state.rowSum, panel);
  return status;
}

/// The weights of the panel's runs, or of what they have from a key on.
LogicalResult KernelEmitter::weighRuns(Value t, Value firstKey, Value factor,
                                       Values &sum) {
  LogicalResult status = success();
  // Products by tiles leave no place for what comes next.
  LineFetch fetch = amx() ? fetchOfPass() : LineFetch();
  Values init = sum;
  if (fetch.base)
    init.append({fetch.base, e.c(0)});
  auto step = [&](Value key, ValueRange carried) -> Values {
    Values taken(carried.take_front(sum.size()));
    if (failed(weighStep(key, t, factor, taken)))
      status = failure();
    if (fetch.base) {
      Value line = carried[sum.size()];
      for (int64_t i = 0; i < linesOfWeights(); ++i) {
        fetchLine(line);
        line = e.gep(line, fetch.stride, e.i8);
      }
      taken.append({line, e.add(carried.back(), e.c(linesOfWeights()))});
    }
    return status.succeeded() ? taken : llvm::to_vector(carried);
  };
  Values results = e.loop(
      e.c(0), runCount, e.c(1), init,
      [&](Value run, ValueRange outer) -> Values {
        std::pair<Value, Value> keys = loadRun(run);
        // The partner of the last key of an odd run is invisible.
        if (amx())
          keys.second = padRun(keys.second);
        else if (pairs())
          e.when(e.icmp(P::ne, e.urem(keys.second, e.c(2)), e.c(0)), [&]() {
            e.storeRow(e.vc(-INFINITY), ofPanel(at_.scores[0]), keys.second);
          });
        if (firstKey)
          keys.first = e.max(keys.first, firstKey);
        return e.loop(keys.first, keys.second, e.c(stepElements()), outer,
                      step);
      });
  if (fetch.base)
    endFetch(fetch, results.back());
  sum.assign(results.begin(), results.begin() + sum.size());
  return status;
}

/// The weight of a key, or of a pair of keys, takes the place of its scores.
LogicalResult KernelEmitter::weighStep(Value key, Value t, Value factor,
                                       Values &sum) {
  Value row = key, weight, partner;
  if (failed(takeWeight(key, t, weight, sum)) ||
      (pairs() && failed(takeWeight(e.add(key, e.c(1)), t, partner, sum))))
    return failure();
  if (factor) {
    weight = e.fmul(weight, factor);
    if (pairs())
      partner = e.fmul(partner, factor);
  }
  if (pairs()) {
    row = e.udiv(key, e.c(2));
    weight = amx() && softmax() ? e.makePairsByIntegers(weight, partner)
                                : e.makePairs(weight, partner);
  }
  e.storeRow(weight, ofPanel(at_.scores[0]), row);
  return success();
}

/// The weight of one key; its denominator joins the sum, where there is one.
LogicalResult KernelEmitter::takeWeight(Value key, Value t, Value &weight,
                                        Values &sum) {
  Value score = scaledScore(e.loadRow(ofPanel(at_.scores[0]), key)), denom;
  if (failed(emitWeight(key, score, t, weight, denom)))
    return failure();
  if (spec.schedule.getExact())
    e.store(e.maskToWord(e.lnot(isNegInf(e, score))),
            wordAddress(at_.visible, key), wordBytes());
  if (!sum.empty())
    sum[0] = e.fadd(sum[0], denom);
  return success();
}

LogicalResult KernelEmitter::emitWeight(Value key, Value score, Value t,
                                        Value &weight, Value &denom) {
  if (softmax()) {
    // The difference first: it is exact near the maximum, where an FMA with a
    // rounded t · log2(e) would not give a lone key the weight 1.
    Value exponent = e.fsub(score, t);
    if (!log2Units())
      exponent = e.fmul(exponent, e.vc(kLog2E));
    weight = denom = amx() ? e.math().exp2ForPairs(exponent)
                           : e.math().exp2ByTable(exponent);
    return success();
  }
  Value position = e.add(s->scalar(spec.step.getN0()), key);
  Value invisible;
  if (!spec.weightVanishes || (spec.hasDenom() && !spec.denomVanishes))
    invisible = isNegInf(e, score);
  auto unlessHidden = [&](Value value, bool vanishes) {
    return vanishes ? value : e.select(invisible, e.vc(0.0), value);
  };
  Values results;
  s->push();
  LogicalResult status = callRegion(spec.normalizer.getWeight(), {score, t},
                                    true, position, results);
  if (succeeded(status))
    weight = unlessHidden(results[0], spec.weightVanishes);
  if (succeeded(status) && spec.hasDenom()) {
    status = callRegion(spec.normalizer.getDenom(), {score, t}, true, position,
                        results);
    if (succeeded(status))
      denom = unlessHidden(results[0], spec.denomVanishes);
  }
  s->pop();
  return status;
}
