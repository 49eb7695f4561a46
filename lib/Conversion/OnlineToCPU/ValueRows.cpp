//===- ValueRows.cpp - Results accumulated in rows ------------------------===//
//
// Fast kernels keep O as it is stored: a pass multiplies weights of passRows()
// rows, each broadcast, by columns of V that fill a panel's registers. Nothing
// is to be transposed at the end, and rows at a diagonal meet few keys that
// they do not see.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <cmath>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// Regions of a normaliser that have a say in single elements of O see lanes of
/// rows, as exact kernels do. AMX has its own passes.
bool KernelEmitter::accumulatesRows() {
  bool byElement = spec.normalizer && (!spec.normalizer.getFinish().empty() ||
                                       !spec.normalizer.getSeedValue().empty());
  return !isShort() && !amx() && !spec.schedule.getExact() && !byElement;
}

/// Whether no row of a panel has met a visible key.
Value KernelEmitter::areFresh(Value rowMax) {
  Value untouched = e.fcmp(arith::CmpFPredicate::OEQ, rowMax, e.vc(-INFINITY));
  Value all = e.maskToWord(e.splat(e.cbool(true)));
  return e.icmp(P::eq, e.maskToWord(untouched), all);
}

/// O ← alpha · O + P · V over the runs of keys that rows see.
void KernelEmitter::emitValueRows(const BlockRows &values, Value panel,
                                  Value alpha) {
  if (alpha)
    e.storeRow(alpha, ofPanel(at_.rowFactors), e.c(0));
  multiplyValueRows(values, panel, bool(alpha));
}

/// The same with factors that are stored.
void KernelEmitter::multiplyValueRows(const BlockRows &values, Value panel,
                                      bool rescaled) {
  int64_t whole = valuePadded() / e.lanes * e.lanes;
  auto forGroups = [&](Value column, VectorType type) {
    e.loop(e.c(0), e.c(e.lanes / passRows()), 1, [&](Value group) {
      emitRowPass(values, panel, column, group, type, rescaled);
    });
  };
  if (whole > 0)
    e.loop(e.c(0), e.c(whole), e.lanes,
           [&](Value column) { forGroups(column, e.vf); });
  if (whole < valuePadded())
    forGroups(e.c(whole), e.nativeVec(e.f));
}

/// One group of rows and as many columns as the type holds.
void KernelEmitter::emitRowPass(const BlockRows &values, Value panel,
                                Value column, Value group, VectorType type,
                                bool rescaled) {
  bool one = type != e.vf;
  Value first = e.mul(group, e.c(passRows()));
  Value row = e.add(e.mul(panel, e.c(e.lanes)), first);
  Value output = e.gep(state.output, e.mul(row, e.c(valuePadded())), e.f);
  output = e.gep(output, column, e.f);
  Values rowAt;
  for (int64_t i = 0; i < passRows(); ++i)
    rowAt.push_back(e.gep(output, i * valuePadded() * e.scoreBytes()));
  auto splat = [&](Value x) { return one ? e.nativeSplat(x) : e.splat(x); };
  auto load = [&]() -> Values {
    Values acc;
    Value factors = e.gep(ofPanel(at_.rowFactors), first, e.f);
    for (int64_t i = 0; i < passRows(); ++i) {
      Value o = e.load(type, rowAt[i], e.registerBytes());
      if (rescaled) {
        Value factor = e.load(e.f, e.gep(factors, i * e.scoreBytes()));
        o = e.fmul(o, splat(factor));
      }
      acc.push_back(o);
    }
    return acc;
  };
  Values acc;
  if (fresh)
    acc = e.branch(
        fresh, SmallVector<Type>(passRows(), type),
        [&]() { return Values(passRows(), splat(e.cf(0.0))); }, load);
  else
    acc = load();

  LineFetch fetch = fetchOfPass();
  Value weights = e.gep(ofPanel(at_.scores[0]), first, e.f);
  Value base = e.gep(values.base, column, e.f);
  Value kind = hasHalves() ? e.add(group, e.c(RowRuns)) : Value();
  acc.push_back(e.c(0));
  acc = forKeys(acc, kind, [&](Value key, ValueRange inner) -> Values {
    Value v = e.load(type, e.gep(base, e.mul(key, values.stride), e.f),
                     e.scoreBytes());
    Value p = e.row(weights, key);
    fetchLine(fetch, inner.back());
    Values next;
    for (int64_t i = 0; i < passRows(); ++i) {
      Value weight = e.load(stepType(), e.gep(p, i * e.scoreBytes()));
      next.push_back(one       ? e.nativeStep(weight, v, inner[i])
                     : pairs() ? e.dotPairs(weight, v, inner[i])
                               : e.fma(e.splat(weight), v, inner[i]));
    }
    next.push_back(e.add(inner.back(), e.c(1)));
    return next;
  });
  endFetch(fetch, acc.back());
  for (int64_t i = 0; i < passRows(); ++i)
    e.store(acc[i], rowAt[i], e.registerBytes());
}

/// Stores the rows of a panel, each times its factor. Returns whether one of
/// them, or its sum l, is not finite.
Value KernelEmitter::finishRows(Value panel, Value taken, Value l,
                                Value factor) {
  Value output =
      e.gep(state.output, e.mul(panel, e.c(valuePadded() * e.lanes)), e.f);
  if (startsAtZero())
    e.when(areFresh(e.loadRow(state.rowMax, panel)), [&]() {
      e.loop(e.c(0), e.c(valuePadded()), 1,
             [&](Value i) { e.storeRow(e.vc(0.0), output, i); });
    });
  e.storeRow(factor, at(at_.rowFactors), e.c(0));
  Value zeroOfSum = e.fmul(l, e.vc(0.0));
  Value nan = e.fcmp(arith::CmpFPredicate::UNO, zeroOfSum, zeroOfSum);
  Value none =
      arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.word, 0));
  Value word = e.maskToWord(e.land(nan, e.lanesBelow(taken)));
  Value bad =
      arith::ExtUIOp::create(e.b, e.loc, e.i64, e.icmp(P::ne, word, none));
  if (isShort())
    return e.lor(bad, storeMergedRows(panel, taken));
  Value first =
      e.add(s->scalar(spec.outStore.getRow()), e.mul(panel, e.c(e.lanes)));
  const Buffer &out = bufferOf(spec.out);
  Value met =
      LLVM::CallOp::create(
          e.b, e.loc, TypeRange{e.i64}, name + "_unpack",
          ValueRange{output, e.c(valuePadded()), taken, e.c(spec.valueDim),
                     tensorRows(spec.out, first), out.strides[2],
                     out.strides[3], at(at_.rowFactors)})
          .getResult();
  return e.lor(bad, met);
}
