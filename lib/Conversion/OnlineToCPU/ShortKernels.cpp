//===- ShortKernels.cpp - Products of the short form ----------------------===//
//
// Lanes are features, and a register of a key or value is loaded for two rows
// at once. Loops over keys stay rolled and go through memory in order, each
// load with one stride, and fetch meanwhile what is multiplied next. Scores
// lie as [key][row], four rows a key, and whole registers of them are taken
// where keys need not be told apart.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cmath>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;
using Lanes = SmallVector<int32_t>;

Value KernelEmitter::wideSplat(Value scalar) {
  return vector::BroadcastOp::create(e.b, e.loc, wideVec(scalar.getType()),
                                     scalar);
}

/// x · y + z of packed registers.
Value KernelEmitter::wideMultiply(Value x, Value y, Value z) {
  if (!pairs())
    return e.fma(x, y, z);
  auto type = VectorType::get({wideElements()}, e.b.getBF16Type());
  auto asPairs = [&](Value v) -> Value {
    return LLVM::BitcastOp::create(e.b, e.loc, type, v);
  };
  return e.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", wideVec(e.f),
                     {z, asPairs(x), asPairs(y)});
}

//===----------------------------------------------------------------------===//
// Sums of many registers
//===----------------------------------------------------------------------===//

/// Adds the lanes of each block of 128 bits, for as many vectors as a block has
/// lanes: each lane becomes one of the sums of its block.
template <typename T>
static T sumBlocks(SmallVector<T> x, int64_t lanes,
                   function_ref<T(T, T, ArrayRef<int32_t>)> shuffle,
                   function_ref<T(T, T)> add) {
  int32_t block = x.size();
  while (x.size() > 1) {
    size_t half = x.size() / 2;
    Lanes low, high;
    for (int32_t i = 0; i < lanes; ++i) {
      int32_t within = i % block;
      int32_t from = (within % 2) * lanes + i / block * block + within / 2;
      low.push_back(from);
      high.push_back(from + block / 2);
    }
    for (size_t i = 0; i < half; ++i)
      x[i] = add(shuffle(x[i], x[i + half], low),
                 shuffle(x[i], x[i + half], high));
    x.resize(half);
  }
  return x[0];
}

/// The order of the blocks' sums in memory.
static Lanes orderOfSums(int64_t lanes, int64_t block) {
  SmallVector<Lanes> labels;
  for (int64_t i = 0; i < block; ++i)
    labels.push_back(Lanes(lanes, i));
  Lanes label = sumBlocks<Lanes>(
      labels, lanes,
      [](Lanes x, Lanes y, ArrayRef<int32_t> order) {
        x.append(y);
        return llvm::map_to_vector(order, [&](int32_t i) { return x[i]; });
      },
      [](Lanes x, Lanes) { return x; });
  Lanes order(lanes);
  for (int64_t i = 0; i < lanes; ++i)
    order[label[i] * (lanes / block) + i / block] = i;
  return order;
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// The largest divisor of a number that is not above a limit.
static int64_t divisorUpTo(int64_t number, int64_t limit) {
  while (number % limit != 0)
    --limit;
  return limit;
}

int64_t KernelEmitter::chunkVectors(int64_t dim) {
  return divisorUpTo(wideColumns(dim) / wideElements(),
                     wide() * e.scoreBytes() == 64 ? 8 : 4);
}

/// Products of one group of keys with two rows, not summed across lanes: key
/// after key, so that memory is read in order, each load with one stride. What
/// the rows hold of a chunk of features stays in registers.
void KernelEmitter::emitShortParts(unsigned index, const GroupRows &rows,
                                   Value queries, Value pair) {
  const DotSpec &dot = spec.dots[index];
  int64_t columns = wideColumns(dot.dim), steps = columns / wideElements();
  int64_t bytes = wide() * e.scoreBytes();
  int64_t chunk = chunkVectors(dot.dim);
  Type type = wideVec(pairs() ? Type(e.b.getI32Type()) : e.f);
  int64_t rowBytes = columns * bytes / wideElements();
  e.loop(e.c(0), e.c(steps), chunk, [&](Value step) {
    Value offset = e.mul(step, e.c(bytes));
    Value own = e.gep(queries, offset, e.i8);
    Values q;
    for (int64_t i = 0; i < kRowsAtOnce; ++i)
      for (int64_t j = 0; j < chunk; ++j)
        q.push_back(
            e.load(type, e.gep(own, i * rowBytes + j * bytes), stepAlign()));
    Value pass =
        e.add(e.mul(pair, e.c(steps / chunk)), e.udiv(step, e.c(chunk)));
    Fetch fetch = index == 0 ? beginFetch(rows, spec.value, valuePadded(), pass,
                                          keyFetch[0], e.group)
                             : beginFetch(rows, dot.key, columns, pass,
                                          keyFetch[index], e.group);
    auto add = [&](Value x, Value y) { return e.fadd(x, y); };
    e.loop(e.c(0), e.c(e.group), 1, [&](Value key) {
      Value base = e.gep(rows.base, e.mul(key, rows.stride), packedType());
      base = e.gep(base, offset, e.i8);
      fetchAhead(fetch, key);
      Value to = e.gep(shortParts, e.mul(key, e.c(e.lanes)), blockVec());
      // Two chains a row: a machine holds only so many that wait.
      Values sums(2 * kRowsAtOnce, wideSplat(e.cf(0.0)));
      for (int64_t j = 0; j < chunk; ++j) {
        Value k = e.load(type, e.gep(base, j * bytes), stepAlign());
        for (int64_t i = 0; i < kRowsAtOnce; ++i)
          sums[2 * i + j % 2] =
              wideMultiply(k, q[i * chunk + j], sums[2 * i + j % 2]);
      }
      for (int64_t i = 0; i < kRowsAtOnce; ++i) {
        Value place = e.gep(to, i * kBlockBytes);
        Value sum = chunk > 1 ? add(sums[2 * i], sums[2 * i + 1]) : sums[2 * i];
        sum = foldWide(sum, kBlockBytes / e.scoreBytes(), add);
        if (steps != chunk)
          sum = e.fadd(sum, e.load(blockVec(), place));
        e.store(sum, place);
      }
    });
  });
}

/// Pairs of rows that a panel has.
Value KernelEmitter::rowPairs(Value panel) {
  Value left = e.sub(rows, e.mul(panel, e.c(e.lanes)));
  return e.ceilDiv(e.min(left, e.c(e.lanes)), kRowsAtOnce);
}

/// Fills the score rows of one group of keys; the largest score of each row.
Value KernelEmitter::emitShortGroup(unsigned index, Value panel, Value group) {
  GroupRows rows = locateGroup(keyRows[index], group);
  int64_t keys = wide() / e.lanes, columns = wideColumns(spec.dots[index].dim);
  bool chunked = columns / wideElements() > chunkVectors(spec.dots[index].dim);
  if (chunked)
    e.loop(e.c(0), e.c(e.group * e.lanes), 1, [&](Value part) {
      Value zero = foldWide(wideSplat(e.cf(0.0)), kBlockBytes / e.scoreBytes(),
                            [](Value x, Value) { return x; });
      e.store(zero, e.gep(at(at_.parts), part, blockVec()));
    });
  e.loop(e.c(0), rowPairs(panel), 1, [&](Value pair) {
    Value row =
        e.add(e.mul(panel, e.c(e.lanes)), e.mul(pair, e.c(kRowsAtOnce)));
    shortParts =
        e.gep(at(at_.parts), e.mul(pair, e.c(kRowsAtOnce)), blockVec());
    emitShortParts(
        index, rows,
        e.gep(state.queries[index], e.mul(row, e.c(columns)), packedType()),
        e.udiv(row, e.c(kRowsAtOnce)));
  });
  Value factor = pairs() ? productFactor() : Value();
  Value lowest = wideSplat(e.cf(-INFINITY));
  int64_t block = kBlockBytes / e.scoreBytes();
  Lanes order = orderOfSums(wide(), block);
  Value largest = e.loop(
      e.c(0), e.c(e.group), e.c(keys), {lowest},
      [&](Value key, ValueRange carried) -> Values {
        Value from = e.gep(at(at_.parts), e.mul(key, e.c(e.lanes)), blockVec());
        SmallVector<Value> sums;
        for (int64_t i = 0; i < block; ++i)
          sums.push_back(
              e.load(wideVec(e.f), e.gep(from, i * wide() * e.scoreBytes())));
        Value scores = sumBlocks<Value>(
            sums, wide(),
            [&](Value x, Value y, ArrayRef<int32_t> order) {
              return e.shuffle(x, y, order);
            },
            [&](Value x, Value y) { return e.fadd(x, y); });
        scores = e.shuffle(scores, scores, order);
        if (factor)
          scores = e.fmul(scores, wideSplat(factor));
        e.store(scores, e.row(ofPanel(at_.scores[index]), e.add(group, key)),
                e.registerBytes());
        return {e.fmaxDropNaN(scores, carried[0])};
      })[0];
  return foldWide(largest, e.lanes,
                  [&](Value x, Value y) { return e.fmaxDropNaN(x, y); });
}

/// Joins halves of a register until some lanes remain.
Value KernelEmitter::foldWide(Value x, int64_t lanes,
                              function_ref<Value(Value, Value)> join) {
  for (int64_t count = wide(); count > lanes; count /= 2) {
    Lanes low, high;
    for (int64_t i = 0; i < count / 2; ++i) {
      low.push_back(i);
      high.push_back(count / 2 + i);
    }
    x = join(e.shuffle(x, x, low), e.shuffle(x, x, high));
  }
  return x;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Softmax weights in place, registers of keys at a time.
void KernelEmitter::emitShortWeights(Value t, Value &sum) {
  int64_t keys = wide() / e.lanes, step = keys * stepElements();
  Lanes repeat, interleave;
  for (int64_t i = 0; i < wide(); ++i)
    repeat.push_back(i % e.lanes);
  for (int64_t i = 0; i < wide(); ++i)
    for (int64_t half = 0; half < 2; ++half)
      interleave.push_back((2 * (i / e.lanes) + half) * e.lanes + i % e.lanes);
  Value wideT = e.shuffle(t, t, repeat);
  Value scores = ofPanel(at_.scores[0]);
  auto weigh = [&](Value key) {
    Value x = e.load(wideVec(e.f), e.row(scores, key), e.registerBytes());
    x = e.fsub(x, wideT);
    if (!log2Units())
      x = e.fmul(x, wideSplat(e.cf(1.4426950408889634)));
    return wideMath().exp2NonPositive(x);
  };
  Value total = e.loop(
      e.c(0), runCount, e.c(1), {wideSplat(e.cf(0.0))},
      [&](Value run, ValueRange outer) -> Values {
        std::pair<Value, Value> range = loadRun(run);
        // What fills the last register is invisible.
        Value end = e.mul(e.ceilDiv(range.second, step), e.c(step));
        e.loop(range.second, end, 1,
               [&](Value key) { e.storeRow(e.vc(-INFINITY), scores, key); });
        return e.loop(
            range.first, end, e.c(step), outer,
            [&](Value key, ValueRange inner) -> Values {
              Value weights = weigh(key), added = weights;
              if (pairs()) {
                Value others = weigh(e.add(key, e.c(keys)));
                added = e.fadd(weights, others);
                auto type =
                    VectorType::get({wideElements()}, e.b.getBF16Type());
                // The second operand fills the lower half.
                weights = e.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512",
                                      type, {others, weights});
                weights = e.shuffle(weights, weights, interleave);
              }
              Value row = pairs() ? e.udiv(key, e.c(2)) : key;
              e.store(weights, e.row(scores, row), e.registerBytes());
              return {e.fadd(inner[0], added)};
            });
      })[0];
  sum = e.fadd(sum, foldWide(total, e.lanes,
                             [&](Value x, Value y) { return e.fadd(x, y); }));
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Registers of columns that a pass accumulates for each of its rows.
int64_t KernelEmitter::passVectors() {
  int64_t all = valuePadded() / wide();
  int64_t limit = wide() * e.scoreBytes() == 64 ? 8 : 4;
  return pairs() ? 2 * divisorUpTo(all / 2, limit / 2)
                 : divisorUpTo(all, limit);
}

/// Adds keys [group, end) of a group to the accumulators of a pass, whose first
/// row is `row` of the panel.
Values KernelEmitter::emitShortKeys(const GroupRows &rows, Value pass,
                                    Value row, Value column, Value group,
                                    Value end, ValueRange init) {
  int64_t vectors = passVectors(), bytes = wide() * e.scoreBytes();
  Type type = wideVec(e.f);
  Value keys = e.sub(end, group);
  Value steps = pairs() ? e.ceilDiv(keys, 2) : keys;
  Value base = e.gep(rows.base, column, packedType());
  Value weights =
      e.row(ofPanel(at_.scores[0]), pairs() ? e.udiv(group, e.c(2)) : group);
  weights = e.gep(weights, row, stepType());
  Fetch fetch =
      beginFetch(rows, spec.dots[0].key, wideColumns(spec.dots[0].dim), pass,
                 valueFetch, e.group / stepElements());
  return e.loop(
      e.c(0), steps, e.c(1), init,
      [&](Value step, ValueRange carried) -> Values {
        fetchAhead(fetch, step);
        Value from =
            e.gep(base, e.mul(e.mul(step, e.c(stepElements())), rows.stride),
                  packedType());
        Values v =
            pairs() ? loadValuePairs(from, rows.stride, step, keys) : Values();
        for (int64_t i = 0; i < vectors && !pairs(); ++i)
          v.push_back(e.load(type, e.gep(from, i * bytes), stepAlign()));
        Values next;
        for (int64_t r = 0; r < kRowsAtOnce; ++r) {
          Value p = wideSplat(e.load(
              stepType(), e.gep(e.row(weights, step), r * e.scoreBytes())));
          for (int64_t i = 0; i < vectors; ++i)
            next.push_back(wideMultiply(v[i], p, carried[r * vectors + i]));
        }
        return next;
      });
}

/// Registers of pairs of two keys' values, within 128-bit blocks: columns 8 i
/// to 8 i + 3 of each 32 lie in the first of two registers, the rest in the
/// second.
Values KernelEmitter::loadValuePairs(Value row, Value stride, Value step,
                                     Value keys) {
  auto type = VectorType::get({2 * wide()}, e.b.getIntegerType(16));
  Value partner = e.add(e.mul(step, e.c(2)), e.c(1));
  // The weight of a partner that is not there is zero.
  Value has = e.icmp(P::slt, partner, keys);
  Value second = e.select(has, e.gep(row, stride, packedType()), row);
  Values result;
  for (int64_t i = 0; i < passVectors(); i += 2) {
    Value x = e.load(type, e.gep(row, i * 32), 2);
    Value y = e.load(type, e.gep(second, i * 32), 2);
    for (int32_t half = 0; half < 2; ++half) {
      Lanes order;
      for (int32_t block = 0; block < wide() * 2; block += 8)
        for (int32_t j = 0; j < 4; ++j)
          order.append({block + 4 * half + j,
                        int32_t(2 * wide()) + block + 4 * half + j});
      result.push_back(LLVM::BitcastOp::create(
          e.b, e.loc, wideVec(e.b.getI32Type()), e.shuffle(x, y, order)));
    }
  }
  return result;
}

/// O ← alpha · O + P · V over the runs of live keys.
void KernelEmitter::emitShortValues(Value panel) {
  if (valuePadded() == 0)
    return;
  int64_t vectors = passVectors(), columns = valuePadded();
  e.loop(e.c(0), e.c(columns), vectors * wide(), [&](Value column) {
    e.loop(e.c(0), rowPairs(panel), 1, [&](Value pair) {
      emitShortPass(panel, e.mul(pair, e.c(kRowsAtOnce)), column);
    });
  });
}

/// Some columns of two rows.
void KernelEmitter::emitShortPass(Value panel, Value row, Value column) {
  int64_t vectors = passVectors(), columns = valuePadded();
  Value output = e.add(e.mul(panel, e.c(e.lanes)), row);
  output = e.gep(state.output, e.add(e.mul(output, e.c(columns)), column), e.f);
  auto place = [&](int64_t r, int64_t i) {
    return e.gep(output, (r * columns + i * wide()) * e.scoreBytes());
  };
  Values acc;
  for (int64_t r = 0; r < kRowsAtOnce; ++r) {
    Value factor;
    if (spec.hasStat()) {
      Value own = e.gep(ofPanel(at_.alpha), row, e.f);
      factor = wideSplat(e.load(e.f, e.gep(own, r * e.scoreBytes())));
    }
    for (int64_t i = 0; i < vectors; ++i) {
      Value o = e.load(wideVec(e.f), place(r, i), e.scoreBytes());
      acc.push_back(factor ? e.fmul(o, factor) : o);
    }
  }
  Value pass = e.add(e.mul(panel, e.c(e.lanes)), row);
  pass = e.mul(e.udiv(pass, e.c(kRowsAtOnce)), e.c(columnPasses()));
  pass = e.add(pass, e.udiv(column, e.c(vectors * wide())));
  acc = e.loop(e.c(0), runCount, e.c(1), acc,
               [&](Value run, ValueRange outer) -> Values {
                 std::pair<Value, Value> keys = loadRun(run);
                 return e.loop(
                     keys.first, keys.second, e.c(e.group), outer,
                     [&](Value group, ValueRange inner) -> Values {
                       Value end =
                           e.min(e.add(group, e.c(e.group)), keys.second);
                       return emitShortKeys(locateGroup(valueRows, group), pass,
                                            row, column, group, end, inner);
                     });
               });
  for (int64_t r = 0; r < kRowsAtOnce; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      e.store(acc[r * vectors + i], place(r, i), e.scoreBytes());
}
