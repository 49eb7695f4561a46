//===- MicroKernels.cpp - The two inner products --------------------------===//
//
// `group` accumulators of one vector each: one load of the packed operand and
// `group` multiply-adds with a broadcast from memory a step.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// The rows of a group of keys and their stride, in packed elements. Those of
/// the last, incomplete group are a padded copy.
std::pair<Value, Value> KernelEmitter::locateKeys(const BlockRows &keys,
                                                  Value group) {
  Value tail = e.icmp(P::sgt, e.add(group, e.c(e.group)), count);
  Value base =
      e.select(tail, keys.tailBase,
               e.gep(keys.base, e.mul(group, keys.stride), packedType()));
  return {base, e.select(tail, keys.tailStride, keys.stride)};
}

Value KernelEmitter::rowOf(const RowArray &rows, Value number) {
  if (rows.stride)
    number = e.mul(number, rows.stride);
  return e.gep(rows.base, number, rows.element);
}

/// A loop whose steps read the rows of their number. With registers of 32 bytes
/// addresses move on by an addition: computed from the number, they would be a
/// third of the instructions of a step.
Values KernelEmitter::loopOverRows(
    Value from, Value to, ArrayRef<RowArray> arrays, ValueRange init,
    llvm::function_ref<Values(Value, ValueRange, RowAddress)> body) {
  if (!isNarrow())
    return e.loop(from, to, e.c(1), init,
                  [&](Value number, ValueRange carried) -> Values {
                    return body(number, carried, [&](unsigned i) {
                      return rowOf(arrays[i], number);
                    });
                  });
  Values all(init);
  for (const RowArray &rows : arrays)
    all.push_back(rowOf(rows, from));
  Values results = e.loop(
      from, to, e.c(1), all, [&](Value number, ValueRange carried) -> Values {
        ValueRange at = carried.drop_front(init.size());
        Values next = body(number, carried.take_front(init.size()),
                           [&](unsigned i) { return at[i]; });
        for (auto [address, rows] : llvm::zip(at, arrays))
          next.push_back(rowOf({address, rows.stride, rows.element}, e.c(1)));
        return next;
      });
  results.truncate(init.size());
  return results;
}

/// Products of one group of keys from `group` on with the queries of which
/// `read` gives a step, by its address.
Values KernelEmitter::multiplyKeys(
    const DotSpec &dot, const BlockRows &keys, Value group, Value zero,
    Value queries, llvm::function_ref<Value(Value)> read,
    llvm::function_ref<Value(Value, Value, Value)> multiplyAdd, bool woven) {
  std::pair<Value, Value> rows = locateKeys(keys, group);
  Values offsets;
  for (int64_t i = 0; i < e.group; ++i) {
    Value offset = e.mul(rows.second, e.c(i));
    offsets.push_back(isNarrow() ? e.gep(rows.first, offset, packedType())
                                 : offset);
  }
  LineFetch fetch = fetchOfPass();
  SmallVector<RowArray> arrays = {{queries, {}, e.vf}};
  if (fetch.base)
    arrays.push_back({fetch.base, fetch.stride, e.i8});
  auto step = [&](Value d, ValueRange acc, RowAddress rowAt) -> Values {
    Value q = read(rowAt(0));
    if (fetch.base)
      fetchLine(rowAt(1));
    Value column = isNarrow() ? Value() : e.gep(rows.first, d, stepType());
    Values next;
    for (int64_t i = 0; i < e.group; ++i) {
      Value at = isNarrow() ? e.gep(offsets[i], d, stepType())
                            : e.gep(column, offsets[i], packedType());
      next.push_back(
          multiplyAdd(e.load(stepType(), at, stepAlign()), q, acc[i]));
    }
    return next;
  };
  Values sums(e.group, zero);
  Value end = e.c(steps(dot.dim));
  auto wovenStep = [&](Value d, ValueRange acc) {
    return step(d, acc, [&](unsigned i) { return rowOf(arrays[i], d); });
  };
  Values products = woven ? loopWithWeights(steps(dot.dim), sums, wovenStep)
                          : loopOverRows(e.c(0), end, arrays, sums, step);
  endFetch(fetch, end);
  return products;
}

/// S^T of one group of keys from `group` on: one vector a key.
Values KernelEmitter::emitScoreGroup(unsigned index, const BlockRows &keys,
                                     Value panel, Value group) {
  const DotSpec &dot = spec.dots[index];
  int64_t columns = packedSteps(dot.dim);
  Value queries =
      e.gep(state.queries[index], e.mul(panel, e.c(columns * e.lanes)), e.f);
  Values scores = multiplyKeys(
      dot, keys, group, e.vc(0.0), queries,
      [&](Value at) { return e.load(e.vf, at, e.registerBytes()); },
      [&](Value k, Value q, Value sum) {
        return pairs() ? e.dotPairs(k, q, sum) : e.fma(e.splat(k), q, sum);
      },
      weavesWeights() && index == 0);
  // Folding the factor into Q would round it.
  if (Value factor = pairs() ? productFactor(dot) : Value())
    for (Value &score : scores)
      score = e.fmul(score, e.splat(factor));
  return scores;
}

/// Which lanes see a key; in pairs the bits of a pair of keys that a lane sees.
Value KernelEmitter::visibleLanes(Value key) {
  unsigned wordBytes = e.word.getIntOrFloatBitWidth() / 8;
  auto load = [&](Value k) {
    Value address = e.gep(at(at_.visible), k, e.word);
    return e.wordToMask(e.load(e.word, address, wordBytes));
  };
  if (!pairs())
    return load(key);
  auto bits = [&](Value mask, int64_t value) {
    auto constant = [&](int64_t c) {
      return e.splat(arith::ConstantIntOp::create(e.b, e.loc, c, 32));
    };
    return e.select(mask, constant(value), constant(0));
  };
  Value first = e.mul(key, e.c(2));
  return e.lor(bits(load(first), 0xffff),
               bits(load(e.add(first, e.c(1))), -0x10000));
}

/// sum + v · weight, without v where it is not visible.
Value KernelEmitter::addValue(Value v, Value weight, Value visible, Value sum) {
  if (pairs())
    return e.dotPairs(v, weight, sum, visible);
  Value next = e.fma(e.splat(v), weight, sum);
  return visible ? e.select(visible, next, sum) : next;
}

/// O^T ← alpha · O^T + V^T · P^T over the runs of live keys.
void KernelEmitter::emitValues(const BlockRows &values, Value panel,
                               Value alpha) {
  Value weights = ofPanel(at_.scores[0]);
  Value output =
      e.gep(state.output, e.mul(panel, e.c(valuePadded() * e.lanes)), e.f);
  bool exact = spec.schedule.getExact();
  e.loop(e.c(0), e.c(valuePadded()), passColumns(), [&](Value column) {
    Values acc;
    for (int64_t i = 0; i < passColumns(); ++i) {
      Value o = e.loadRow(output, e.add(column, e.c(i)));
      acc.push_back(alpha ? e.fmul(o, alpha) : o);
    }
    Value base = e.gep(values.base, column, e.f);
    LineFetch fetch = fetchOfPass();
    if (fetch.base)
      acc.push_back(e.c(0));
    acc = forKeys(acc, Value(), [&](Value key, ValueRange inner) -> Values {
      Value p = e.loadRow(weights, key);
      if (fetch.base)
        fetchLine(rowOf({fetch.base, fetch.stride, e.i8}, inner.back()));
      Value row = e.gep(base, e.mul(key, values.stride), e.f);
      Value visible = exact ? visibleLanes(key) : Value();
      Values next;
      for (int64_t i = 0; i < passColumns(); ++i) {
        Value v = e.load(stepType(), e.gep(row, i * e.scoreBytes()));
        next.push_back(addValue(v, p, visible, inner[i]));
      }
      if (fetch.base)
        next.push_back(e.add(inner.back(), e.c(1)));
      return next;
    });
    endFetch(fetch, acc.back());
    for (int64_t i = 0; i < passColumns(); ++i)
      e.storeRow(acc[i], output, e.add(column, e.c(i)));
  });
}

/// Goes over the keys of the runs of a kind, or over their pairs.
Values KernelEmitter::forKeys(ValueRange init, Value kind,
                              function_ref<Values(Value, ValueRange)> body) {
  Value runs = kind ? runCountOf(kind) : runCount;
  return e.loop(e.c(0), runs, e.c(1), init,
                [&](Value run, ValueRange outer) -> Values {
                  auto [from, to] = loadRun(run, kind);
                  if (pairs()) {
                    from = e.udiv(from, e.c(2));
                    to = e.ceilDiv(to, 2);
                  }
                  return e.loop(from, to, e.c(1), outer, body);
                });
}
