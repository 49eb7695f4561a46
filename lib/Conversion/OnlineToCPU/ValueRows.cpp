//===- ValueRows.cpp - Results accumulated in rows ------------------------===//
//
// Fast kernels keep O as it is stored: a pass multiplies weights of passRows()
// rows, each broadcast, by columns of V that fill as many registers as a panel,
// of 32 bytes three. Nothing is to be transposed at the end, and rows at a
// diagonal meet few keys that they do not see.
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
  int64_t registers = valuePadded() / e.native;
  int64_t wide = passRegisters(), rest = registers % wide;
  // No lone register where two passes of two hold it.
  if (isNarrow() && rest == 1 && registers > wide)
    rest += wide;
  int64_t whole = (registers - rest) * e.native, step = wide * e.native;
  if (whole > 0)
    e.loop(e.c(0), e.c(whole), step, [&](Value column) {
      emitRowPasses(values, panel, column, wide, rescaled);
    });
  if (rest > wide)
    e.loop(e.c(whole), e.c(valuePadded()), 2 * e.native, [&](Value column) {
      emitRowPasses(values, panel, column, 2, rescaled);
    });
  else if (rest > 0)
    emitRowPasses(values, panel, e.c(whole), rest, rescaled);
}

/// So many registers of columns, as vectors of a panel where they fill one.
SmallVector<VectorType> KernelEmitter::columnVectors(int64_t registers) {
  int64_t ofPanel = e.lanes / e.native;
  SmallVector<VectorType> vectors(registers / ofPanel, e.vf);
  vectors.append(registers % ofPanel, e.nativeVec(e.f));
  return vectors;
}

/// The passes of all rows of a panel over so many registers of columns.
void KernelEmitter::emitRowPasses(const BlockRows &values, Value panel,
                                  Value column, int64_t registers,
                                  bool rescaled) {
  e.loop(e.c(0), e.c(e.lanes / passRows()), 1, [&](Value group) {
    RowPass pass{e.mul(group, e.c(passRows())), column, {}, {}};
    pass.columns = columnVectors(registers);
    Value row = e.add(e.mul(panel, e.c(e.lanes)), pass.first);
    Value output = e.gep(state.output, e.mul(row, e.c(valuePadded())), e.f);
    output = e.gep(output, column, e.f);
    for (int64_t i = 0; i < passRows(); ++i)
      pass.output.push_back(e.gep(output, i * valuePadded() * e.scoreBytes()));
    Value kind = hasHalves() ? e.add(group, e.c(RowRuns)) : Value();
    emitRowPass(values, pass, kind, rescaled);
  });
}

/// Calls a body with the type of each vector of columns and its offset.
static void forColumns(ArrayRef<VectorType> columns,
                       function_ref<void(VectorType, int64_t)> body) {
  int64_t offset = 0;
  for (VectorType type : columns) {
    body(type, offset);
    offset += type.getNumElements() * type.getElementTypeBitWidth() / 8;
  }
}

Value KernelEmitter::columnSplat(Value x, Type type) {
  return type == e.vf ? e.splat(x) : e.nativeSplat(x);
}

/// sum + weight · v for one row.
Value KernelEmitter::addRow(Value weight, Value v, Value sum) {
  if (v.getType() != e.vf)
    return e.nativeStep(weight, v, sum);
  return pairs() ? e.dotPairs(weight, v, sum) : e.fma(e.splat(weight), v, sum);
}

/// What a pass accumulates on: O, times its factors.
Values KernelEmitter::loadRowSums(const RowPass &pass, bool rescaled) {
  Values sums;
  Value factors = e.gep(ofPanel(at_.rowFactors), pass.first, e.f);
  for (int64_t i = 0; i < passRows(); ++i) {
    Value factor;
    forColumns(pass.columns, [&](VectorType type, int64_t offset) {
      Value o = e.load(type, e.gep(pass.output[i], offset), e.registerBytes());
      if (rescaled) {
        if (!factor)
          factor = e.load(e.f, e.gep(factors, i * e.scoreBytes()));
        o = e.fmul(o, columnSplat(factor, type));
      }
      sums.push_back(o);
    });
  }
  return sums;
}

/// sums + P · V over the runs of a kind, of values, weights and the lines that
/// are fetched meanwhile; behind the sums how many keys they were.
Values KernelEmitter::multiplyRowSums(const RowPass &pass,
                                      ArrayRef<RowArray> arrays, Value kind,
                                      ValueRange sums) {
  auto step = [&](ValueRange inner, RowAddress rowAt) -> Values {
    Values columns, next;
    Value row = rowAt(0);
    forColumns(pass.columns, [&](VectorType type, int64_t offset) {
      columns.push_back(e.load(type, e.gep(row, offset), e.scoreBytes()));
    });
    Value p = rowAt(1);
    fetchLine(rowAt(2));
    for (int64_t i = 0; i < passRows(); ++i) {
      Value weight = e.load(stepType(), e.gep(p, i * e.scoreBytes()));
      for (Value v : columns)
        next.push_back(addRow(weight, v, inner[next.size()]));
    }
    return next;
  };
  Values init(sums);
  init.push_back(e.c(0));
  if (!isNarrow())
    return forKeys(init, kind, [&](Value key, ValueRange inner) -> Values {
      Values next = step(inner, [&](unsigned i) {
        return rowOf(arrays[i], i == 2 ? inner.back() : key);
      });
      next.push_back(e.add(inner.back(), e.c(1)));
      return next;
    });
  Value runs = kind ? runCountOf(kind) : runCount;
  return e.loop(
      e.c(0), runs, e.c(1), init, [&](Value run, ValueRange outer) -> Values {
        auto keys = loadRun(run, kind);
        Value done = outer.back();
        // The line of the first key is the one after those of runs before.
        RowArray lines = arrays[2];
        lines.base = rowOf(lines, e.sub(done, keys.first));
        Values next = loopOverRows(
            keys.first, keys.second, {arrays[0], arrays[1], lines},
            outer.drop_back(), [&](Value, ValueRange inner, RowAddress rowAt) {
              return step(inner, rowAt);
            });
        next.push_back(e.add(done, e.sub(keys.second, keys.first)));
        return next;
      });
}

void KernelEmitter::emitRowPass(const BlockRows &values, const RowPass &pass,
                                Value kind, bool rescaled) {
  SmallVector<Type> types;
  for (int64_t i = 0; i < passRows(); ++i)
    llvm::append_range(types, pass.columns);
  auto zeros = [&]() {
    return llvm::map_to_vector<6>(
        types, [&](Type type) { return columnSplat(e.cf(0.0), type); });
  };
  auto load = [&]() { return loadRowSums(pass, rescaled); };
  Values sums = fresh ? e.branch(fresh, types, zeros, load) : load();
  LineFetch fetch = fetchOfPass();
  Value weights = e.gep(ofPanel(at_.scores[0]), pass.first, e.f);
  Value base = e.gep(values.base, pass.column, e.f);
  sums = multiplyRowSums(pass,
                         {{base, values.stride, e.f},
                          {weights, {}, e.vf},
                          {fetch.base, fetch.stride, e.i8}},
                         kind, sums);
  endFetch(fetch, sums.back());
  const Value *sum = sums.begin();
  for (Value row : pass.output)
    forColumns(pass.columns, [&](VectorType, int64_t offset) {
      e.store(*sum++, e.gep(row, offset), e.registerBytes());
    });
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
