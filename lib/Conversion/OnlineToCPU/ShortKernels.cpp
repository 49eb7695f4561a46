//===- ShortKernels.cpp - Products of the short form ----------------------===//
//
// Lanes are features, and the rows of a panel share what is loaded of a key or
// value. Meanwhile what is multiplied next is fetched, evenly. Scores lie as
// [key][row], four rows a key, and whole registers of them are taken where keys
// need not be told apart.
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
  return e.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", wideVec(e.f),
                     {z, x, y});
}

/// What multiplies rows of keys or values.
VectorType KernelEmitter::wideOperand() {
  return VectorType::get({wideElements()}, packedType());
}

/// A register of rows of keys or values, widened where they are. Of bf16 even
/// elements come first: two operations a register in place of two shuffles.
Values KernelEmitter::loadOperand(Value address) {
  if (!widens())
    return {e.load(wideOperand(), address, stepAlign())};
  Type i16 = e.b.getIntegerType(16), i32 = e.b.getI32Type();
  Values parts;
  if (!splitsLanes()) {
    for (int64_t i = 0; i < operandParts(); ++i) {
      Value bits = e.load(wideVec(i16), e.gep(address, i * 2 * wide()), 2);
      bits =
          LLVM::BitcastOp::create(e.b, e.loc, wideVec(spec.elementType), bits);
      parts.push_back(e.widen(bits, e.f));
    }
    return parts;
  }
  Value bits = e.load(wideVec(i32), address, 2);
  auto splat = [&](int64_t x) {
    return wideSplat(arith::ConstantIntOp::create(e.b, e.loc, x, 32));
  };
  Value even = arith::ShLIOp::create(e.b, e.loc, bits, splat(16));
  Value odd = e.land(bits, splat(-0x10000));
  for (Value part : {even, odd})
    parts.push_back(LLVM::BitcastOp::create(e.b, e.loc, wideVec(e.f), part));
  return parts;
}

/// A register of packed queries.
Value KernelEmitter::loadQuery(Value address) {
  if (!widens())
    return e.load(wideOperand(), address, stepAlign());
  return e.load(wideVec(e.f), address, e.scoreBytes());
}

/// Registers of sums that a loop over products keeps: they cover the latency of
/// two units, and leave registers for operands.
int64_t KernelEmitter::tileSums() {
  return wide() * e.scoreBytes() == 32 ? 8 : 16;
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// Halves a number of registers until one has a sum in each part of its
/// segments of `span` lanes; parts are `unit` lanes.
void KernelEmitter::joinSums(Values &x, int64_t span, int64_t unit) {
  for (int64_t parts = span / unit; parts > 1; parts /= 2) {
    Lanes low, high;
    for (int64_t i = 0; i < wide(); ++i) {
      int64_t half = span / unit / 2, piece = i % span / unit;
      int64_t number = piece % half;
      int64_t from = number / (parts / 2) * parts + number % (parts / 2);
      int64_t lane = i / span * span + from * unit + i % unit +
                     (piece < half ? 0 : wide());
      low.push_back(lane);
      high.push_back(lane + parts / 2 * unit);
    }
    for (size_t i = 0; i < x.size() / 2; ++i)
      x[i] = e.fadd(e.shuffle(x[2 * i], x[2 * i + 1], low),
                    e.shuffle(x[2 * i], x[2 * i + 1], high));
    x.resize(x.size() / 2);
  }
}

/// Within blocks of 128 bits, which machines have more units for.
void KernelEmitter::sumWithinBlocks(Values &x) {
  joinSums(x, kBlockBytes / e.scoreBytes(), 1);
}

/// Sums the lanes of each register; the sums of as many registers as one has
/// lanes are one register, in order.
void KernelEmitter::sumLanes(Values &x) {
  sumWithinBlocks(x);
  joinSums(x, wide(), kBlockBytes / e.scoreBytes());
}

/// Products of the block's keys with the rows of a panel.
void KernelEmitter::emitShortGroups(Value panel) {
  if (shortTiles())
    return emitShortTileGroups(panel);
  e.loop(e.c(0), count, e.group, [&](Value group) {
    for (unsigned i = 0; i < spec.dots.size(); ++i)
      emitShortTiles(i, panel, group);
  });
}

/// Adds products of a register of some keys with one of each row; rows of
/// queries take so many bytes.
void KernelEmitter::multiplyTile(ArrayRef<Value> keys, Value queries,
                                 Value number, int64_t queryBytes,
                                 Values &sums) {
  int64_t bytes = wide() * e.scoreBytes(), parts = operandParts();
  Value offset = e.mul(number, e.c(bytes));
  SmallVector<Values> k;
  for (Value at : keys)
    k.push_back(loadOperand(e.gep(at, offset, e.i8)));
  if (parts > 1)
    offset = e.mul(offset, e.c(parts));
  Value own = e.gep(queries, offset, e.i8);
  for (int64_t part = 0; part < parts; ++part) {
    Values q;
    for (int64_t r = 0; r < e.lanes; ++r)
      q.push_back(loadQuery(e.gep(own, r * queryBytes + part * bytes)));
    for (int64_t i = 0; i < tileSums(); ++i)
      sums[i] = wideMultiply(k[i / e.lanes][part], q[i % e.lanes], sums[i]);
  }
}

/// Registers of a row that a step of a loop over columns multiplies.
int64_t KernelEmitter::stepRegisters(int64_t registers) {
  int64_t most = wide() * e.scoreBytes() == 32 ? 4 : operandParts();
  while (registers % most != 0)
    most /= 2;
  return most;
}

/// Some keys at once meet the rows of a panel, register by register.
void KernelEmitter::emitShortTiles(unsigned index, Value panel, Value group) {
  int64_t columns = wideColumns(spec.dots[index].dim);
  int64_t bytes = wide() * e.scoreBytes(), keys = tileSums() / e.lanes;
  int64_t rowBytes = columns * bytes / wideElements();
  Value queries = e.gep(state.queries[index],
                        e.mul(panel, e.c(e.lanes * columns)), queryType());
  int64_t parts = operandParts(), registers = rowBytes / bytes;
  int64_t perStep = stepRegisters(registers * parts) / parts;
  int64_t steps = registers / perStep;
  bool toValues = index == 0 && spec.valueDim > 0;
  GroupRows rows = locateGroup(keyRows[index], e.udiv(group, e.c(e.group)));
  Fetch fetch = beginFetch(
      keyRows[index], toValues ? valuePadded() : columns, group,
      e.group / keys * (fetchesAtOnce() ? 1 : steps), e.c(0), 1, panel);
  fetch.first = e.icmp(P::eq, panel, e.c(0));
  Value factor = pairs() ? productFactor(spec.dots[index]) : Value();
  e.loop(e.c(0), e.c(e.group), keys, [&](Value key) {
    Values base{e.gep(rows.base, e.mul(key, rows.stride), packedType())};
    while (int64_t(base.size()) < keys)
      base.push_back(e.gep(base.back(), rows.stride, packedType()));
    Value tile = e.udiv(key, e.c(keys)), before = e.mul(tile, e.c(steps));
    bool again = fetch.base && asksAgain();
    Fetch second = again ? beginAgain(rows, rowBytes, key) : Fetch();
    int64_t linesAgain = (keys * second.rowLines + steps - 1) / steps;
    if (fetchesAtOnce())
      fetchLines(fetch, tile);
    Values zeros(tileSums(), wideSplat(e.cf(0.0)));
    Values sums =
        e.loop(e.c(0), e.c(steps), e.c(1), zeros,
               [&](Value step, ValueRange sum) -> Values {
                 if (!fetchesAtOnce())
                   fetchAhead(fetch, e.add(before, step));
                 if (again)
                   e.when(fetch.first, [&]() {
                     Value line = e.mul(step, e.c(linesAgain));
                     fetchAgain(second, line, linesAgain);
                   });
                 Values next = llvm::to_vector(sum);
                 for (int64_t i = 0; i < perStep; ++i)
                   multiplyTile(base, queries,
                                e.add(e.mul(step, e.c(perStep)), e.c(i)),
                                rowBytes * parts, next);
                 return next;
               });
    sumLanes(sums);
    for (auto [i, scores] : llvm::enumerate(sums)) {
      if (factor)
        scores = e.fmul(scores, wideSplat(factor));
      Value at = e.row(ofPanel(at_.scores[index]), e.add(group, key));
      e.store(scores, e.gep(at, i * bytes), e.registerBytes());
    }
  });
}

/// The largest product of each row with a group of keys, and what it was.
Value KernelEmitter::largestOfGroup(Value group, Value before) {
  int64_t keys = wide() / e.lanes;
  auto larger = [&](Value x, Value y) { return e.fmaxDropNaN(x, y); };
  Value scores = e.row(ofPanel(at_.scores[0]), group), largest;
  for (int64_t key = 0; key < e.group; key += keys) {
    Value x = e.load(wideVec(e.f), e.row(scores, e.c(key)), e.registerBytes());
    largest = largest ? larger(x, largest) : x;
  }
  return larger(foldWide(largest, e.lanes, larger), before);
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
    return wideMath().exp2Flushed(x);
  };
  Value total = e.loop(
      e.c(0), runCount, e.c(1), {wideSplat(e.cf(0.0))},
      [&](Value run, ValueRange outer) -> Values {
        std::pair<Value, Value> range = loadRun(run);
        // What fills the last register is invisible.
        Value end = shortTiles()
                        ? padRun(range.second)
                        : e.mul(e.ceilDiv(range.second, step), e.c(step));
        if (step > 1 && !shortTiles())
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
int64_t KernelEmitter::passVectors(int64_t rows) {
  auto divisorUpTo = [](int64_t number, int64_t limit) {
    while (number % limit != 0)
      --limit;
    return limit;
  };
  int64_t all = valuePadded() / wide(), limit = tileSums() / rows;
  return vectorUnit() * divisorUpTo(all / vectorUnit(), limit / vectorUnit());
}

/// Adds keys [group, end) of a group to the accumulators of a pass, whose first
/// row is `row` of the panel.
Values KernelEmitter::emitShortKeys(const Fetch &fetch, Value row, Value column,
                                    Value group, Value end, ValueRange init) {
  GroupRows rows = locateGroup(valueRows, e.udiv(group, e.c(e.group)));
  int64_t vectors = passVectors(rowsAtOnce()), rowBytes = pieceBytes(vectors);
  Value keys = e.sub(end, group);
  Value steps = pairs() ? e.ceilDiv(keys, 2) : keys;
  Value base = e.gep(rows.base, column, packedType());
  Value first = pairs() ? e.udiv(group, e.c(2)) : group;
  Value weights = e.gep(e.row(ofPanel(at_.scores[0]), first), row, stepType());
  if (fetchesAtOnce())
    fetchLines(fetch, e.c(0));
  return e.loop(
      e.c(0), steps, e.c(1), init,
      [&](Value step, ValueRange carried) -> Values {
        if (!fetchesAtOnce())
          fetchAhead(fetch, step);
        Value key = e.mul(step, e.c(stepElements()));
        if (fetch.base && asksAgain())
          e.when(fetch.first, [&]() {
            Fetch again = beginAgain(rows, rowBytes, key);
            again.base = e.gep(again.base, column, packedType());
            for (int64_t i = 0; i < stepElements(); ++i)
              fetchAgain(again, e.c(i * again.rowLines), again.rowLines);
          });
        Value from = e.gep(base, e.mul(key, rows.stride), packedType());
        return multiplyValues(from, rows.stride, e.sub(keys, key),
                              e.row(weights, step), rowsAtOnce(), vectors,
                              carried);
      });
}

/// Adds a value, or a pair of values of which the second may not be there,
/// times the weights of some rows.
Values KernelEmitter::multiplyValues(Value from, Value stride, Value left,
                                     Value weights, int64_t passRows,
                                     int64_t vectors, ValueRange sums) {
  Values v = pairs() ? loadValuePairs(from, stride, left, vectors) : Values();
  for (int64_t i = 0; i < vectors && !pairs(); i += operandParts())
    llvm::append_range(v, loadOperand(e.gep(from, pieceBytes(i))));
  Values next;
  for (int64_t r = 0; r < passRows; ++r) {
    Value p = wideSplat(e.load(stepType(), e.gep(weights, r * e.scoreBytes())));
    if (pairs())
      p = LLVM::BitcastOp::create(e.b, e.loc, wideOperand(), p);
    for (int64_t i = 0; i < vectors; ++i)
      next.push_back(wideMultiply(v[i], p, sums[r * vectors + i]));
  }
  return next;
}

/// Registers of pairs of two keys' values, within 128-bit blocks: columns 8 i
/// to 8 i + 3 of each 32 lie in the first of two registers, the rest in the
/// second.
Values KernelEmitter::loadValuePairs(Value row, Value stride, Value left,
                                     int64_t vectors) {
  // The weight of a partner that is not there is zero.
  Value has = e.icmp(P::sgt, left, e.c(1));
  Value second = e.select(has, e.gep(row, stride, packedType()), row);
  Values result;
  for (int64_t i = 0; i < vectors; i += 2) {
    Value x = e.load(wideOperand(), e.gep(row, i * 32), stepAlign());
    Value y = e.load(wideOperand(), e.gep(second, i * 32), stepAlign());
    for (int32_t half = 0; half < 2; ++half) {
      Lanes order;
      for (int32_t block = 0; block < wide() * 2; block += 8)
        for (int32_t j = 0; j < 4; ++j)
          order.append({block + 4 * half + j,
                        int32_t(2 * wide()) + block + 4 * half + j});
      result.push_back(e.shuffle(x, y, order));
    }
  }
  return result;
}

/// O ← O + P · V over the runs of live keys, some columns at once.
void KernelEmitter::emitShortValues(Value panel) {
  if (valuePadded() > 0)
    e.loop(e.c(0), e.c(valuePadded()), passVectors(rowsAtOnce()) * wide(),
           [&](Value column) {
             e.loop(e.c(0), e.c(e.lanes), rowsAtOnce(),
                    [&](Value row) { emitShortPass(panel, row, column); });
           });
}

/// Some columns of some rows.
void KernelEmitter::emitShortPass(Value panel, Value row, Value column) {
  int64_t vectors = passVectors(rowsAtOnce()), columns = valuePadded();
  int64_t rowPasses = e.lanes / rowsAtOnce();
  Value pass = e.mul(e.udiv(column, e.c(vectors * wide())), e.c(rowPasses));
  pass = e.add(pass, e.udiv(row, e.c(rowsAtOnce())));
  int64_t passes = columns / wide() / vectors * rowPasses;
  Value output = e.add(e.mul(panel, e.c(e.lanes)), row);
  output = e.gep(state.output, e.add(e.mul(output, e.c(columns)), column), e.f);
  overOutput(output, rowsAtOnce(), vectors, [&](ValueRange acc) {
    return e.loop(
        e.c(0), runCount, e.c(1), acc,
        [&](Value run, ValueRange outer) -> Values {
          std::pair<Value, Value> keys = loadRun(run);
          return e.loop(
              keys.first, keys.second, e.c(e.group), outer,
              [&](Value group, ValueRange inner) -> Values {
                Value end = e.min(e.add(group, e.c(e.group)), keys.second);
                Fetch fetch =
                    beginFetch(valueRows, wideColumns(spec.dots[0].dim), group,
                               fetchesAtOnce() ? 1 : e.group / stepElements(),
                               pass, passes, panel);
                fetch.first = e.land(e.icmp(P::eq, row, e.c(0)),
                                     e.icmp(P::eq, panel, e.c(0)));
                return emitShortKeys(fetch, row, column, group, end, inner);
              });
        });
  });
}

/// Holds some columns of some rows of the output in registers meanwhile.
void KernelEmitter::overOutput(Value output, int64_t passRows, int64_t vectors,
                               function_ref<Values(ValueRange)> body) {
  Values acc;
  auto place = [&](int64_t r, int64_t i) {
    return e.gep(output, (r * valuePadded() + i * wide()) * e.scoreBytes());
  };
  for (int64_t r = 0; r < passRows; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      acc.push_back(e.load(wideVec(e.f), place(r, i), e.scoreBytes()));
  acc = body(acc);
  for (int64_t r = 0; r < passRows; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      e.store(acc[r * vectors + i], place(r, i), e.scoreBytes());
}

/// Multiplies what the values of a panel's rows are so far by their factors.
void KernelEmitter::rescaleRows(Value panel, Value alpha) {
  e.storeRow(alpha, at(at_.alpha), e.c(0));
  Value first = e.mul(panel, e.c(e.lanes));
  forRows(e.min(e.sub(rows, first), e.c(e.lanes)), [&](Value lane) {
    Value factor = e.load(e.f, e.gep(at(at_.alpha), lane, e.f));
    factor = wideSplat(factor);
    Value from = e.mul(e.add(first, lane), e.c(valuePadded()));
    e.loop(from, e.add(from, e.c(valuePadded())), wide(), [&](Value i) {
      Value address = e.gep(state.output, i, e.f);
      Value o = e.load(wideVec(e.f), address, e.scoreBytes());
      e.store(e.fmul(o, factor), address, e.scoreBytes());
    });
  });
}
