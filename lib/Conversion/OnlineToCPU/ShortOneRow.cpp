//===- ShortOneRow.cpp - Products of one row ------------------------------===//
//
// Of the form for one row: its queries stay in registers, and of keys and
// values there is hardly more than their lines to be read, so that many are
// asked for at once.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;
using Lanes = SmallVector<int32_t>;

/// Registers of the query that stay in registers, half of all; the rest is
/// read again for each key.
int64_t KernelEmitter::heldRegisters() {
  return wide() * e.scoreBytes() == 32 ? 8 : 16;
}

/// Scores of one group of keys for a lone row. Sums are kept, then added up.
void KernelEmitter::emitOneRowScores(Value group, Value number) {
  int64_t bytes = wide() * e.scoreBytes();
  for (auto [index, dot] : llvm::enumerate(spec.dots)) {
    int64_t steps = wideColumns(dot.dim) / wideElements();
    int64_t parts = operandParts();
    Value queries = state.queries[index];
    auto query = [&](int64_t i) {
      return loadQuery(e.gep(queries, i * bytes));
    };
    Values q;
    for (int64_t i = 0; i < std::min(steps * parts, heldRegisters()); ++i)
      q.push_back(query(i));
    forRowsAhead(locateGroup(keyRows[index], number), steps * bytes,
                 e.c(e.group), 1, {},
                 [&](Value key, Value row, ValueRange) -> Values {
                   Values sums(2, wideSplat(e.cf(0.0)));
                   for (int64_t i = 0; i < steps; ++i) {
                     Values k = loadOperand(e.gep(row, i * bytes));
                     for (int64_t part = 0; part < parts; ++part) {
                       int64_t at = i * parts + part;
                       Value own = at < int64_t(q.size()) ? q[at] : query(at);
                       sums[at % 2] = wideMultiply(k[part], own, sums[at % 2]);
                     }
                   }
                   e.store(e.fadd(sums[0], sums[1]),
                           e.gep(at(at_.sums), e.mul(key, e.c(bytes)), e.i8),
                           e.registerBytes());
                   return {};
                 });
    addOneRowSums(index, group);
  }
}

/// Values of one group for a lone row.
void KernelEmitter::emitOneRowValues(Value group, Value number) {
  if (valuePadded() == 0)
    return;
  int64_t vectors = passVectors(1);
  e.loop(e.c(0), e.c(valuePadded()), vectors * wide(), [&](Value column) {
    GroupRows rows = locateGroup(valueRows, number);
    rows.base = e.gep(rows.base, column, packedType());
    if (rows.next)
      rows.next = e.gep(rows.next, column, packedType());
    auto groupOfRun = [&](Value run, ValueRange sums) -> Values {
      // A group is in one run or in none.
      std::pair<Value, Value> range = loadRun(run);
      Value keys = e.max(e.sub(range.second, group), e.c(0));
      keys = e.select(e.icmp(P::sle, range.first, group),
                      e.min(keys, e.c(e.group)), e.c(0));
      return forRowsAhead(
          rows, pieceBytes(vectors), keys, stepElements(), sums,
          [&](Value key, Value row, ValueRange inner) -> Values {
            Value own = e.add(group, key);
            own = pairs() ? e.udiv(own, e.c(2)) : own;
            return multiplyValues(row, rows.stride, e.sub(keys, key),
                                  e.row(ofPanel(at_.scores[0]), own), 1,
                                  vectors, inner);
          });
    };
    overOutput(e.gep(state.output, column, e.f), 1, vectors,
               [&](ValueRange acc) {
                 return e.loop(e.c(0), runCount, e.c(1), acc, groupOfRun);
               });
  });
}

/// Sums of all lanes of a register a key, four keys at once; all rows of the
/// panel are the lone one.
void KernelEmitter::addOneRowSums(unsigned index, Value group) {
  int64_t bytes = wide() * e.scoreBytes(), keys = kBlockBytes / e.scoreBytes();
  Value factor = pairs() ? productFactor(spec.dots[index]) : Value();
  e.loop(e.c(0), e.c(e.group), keys, [&](Value key) {
    Value from = e.gep(at(at_.sums), e.mul(key, e.c(bytes)), e.i8);
    Values x;
    for (int64_t i = 0; i < keys; ++i)
      x.push_back(
          e.load(wideVec(e.f), e.gep(from, i * bytes), e.registerBytes()));
    sumWithinBlocks(x);
    // Each block has sums of its own of all four keys.
    for (int64_t span = wide() / 2; span >= keys; span /= 2) {
      Lanes other;
      for (int64_t i = 0; i < wide(); ++i)
        other.push_back(i ^ span);
      x[0] = e.fadd(x[0], e.shuffle(x[0], x[0], other));
    }
    for (int64_t first = 0; first < keys * e.lanes; first += wide()) {
      Lanes spread;
      for (int64_t i = 0; i < wide(); ++i)
        spread.push_back((first + i) / e.lanes);
      Value scores = e.shuffle(x[0], x[0], spread);
      if (factor)
        scores = e.fmul(scores, wideSplat(factor));
      Value to = e.row(ofPanel(at_.scores[index]), e.add(group, key));
      e.store(scores, first ? e.gep(to, first * e.scoreBytes()) : to,
              e.registerBytes());
    }
  });
}
