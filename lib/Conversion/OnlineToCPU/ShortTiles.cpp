//===- ShortTiles.cpp - Products of the short form by AMX tiles -----------===//
//
// A panel is the sixteen rows of a tile, and a group of keys is another tile.
// Scores lie as [key][row]. Keys and values are read where they lie: a pair of
// keys' elements is two features, a pair of values' two columns of one key. So
// weights exist twice, each beside a zero: in the first place of a pair they
// meet even columns, in the second odd ones.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/CPUModel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;
using Lanes = SmallVector<int32_t>;

static constexpr int64_t kTileBytes = 64, kTileColumns = 32;
/// Sums are the tiles before; of each operand there are two.
static constexpr int64_t kLeftTiles = 4, kRightTiles = 6;

/// The queries of the current head's rows as [pair of features][row], zeros
/// where there are none.
void KernelEmitter::packTileQueries() {
  Value panels = e.ceilDiv(rows, e.lanes);
  Type i32 = e.b.getI32Type();
  for (unsigned i = 0; i < spec.dots.size(); ++i) {
    const DotSpec &dot = spec.dots[i];
    Value queries = state.queries[i];
    int64_t pairs = wideColumns(dot.dim) / 2;
    e.loop(e.c(0), e.mul(panels, e.c(pairs)), 1,
           [&](Value pair) { e.storeRow(e.vc(0.0), queries, pair); });
    e.loop(e.c(0), rows, 1, [&](Value row) {
      Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
      Value query = e.add(firstRow, tableEntry(at_.rowQueries, row));
      Value copy = at(at_.queryRow);
      callPack(shortRow(dot.query, head, {batch, query}), bufferOf(dot.query),
               e.c(1), dot.dim, copy, 2 * pairs, e.c(1));
      Value to = e.mul(e.udiv(row, e.c(e.lanes)), e.c(pairs * e.lanes));
      to = e.gep(queries, e.add(to, e.urem(row, e.c(e.lanes))), i32);
      e.loop(e.c(0), e.c(pairs), 1, [&](Value pair) {
        Value both = e.load(i32, e.gep(copy, pair, i32));
        e.store(both, e.gep(to, e.mul(pair, e.c(e.lanes)), i32));
      });
    });
  }
}

/// Asks again for a line of each row that is read after a group: a core drops
/// what it is asked to fetch where it waits for as many lines as it can.
void KernelEmitter::fetchFollowing(const Fetch &fetch, const GroupRows &rows,
                                   Value byte) {
  if (!fetch.base)
    return;
  constexpr int64_t step = 4;
  e.when(fetch.first, [&]() {
    int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
    Value stride = e.mul(rows.nextStride, e.c(bytes));
    e.loop(e.c(0), e.c(e.group), e.c(step), {e.gep(rows.next, byte, e.i8)},
           [&](Value, ValueRange lines) -> Values {
             Value line = lines[0];
             for (int64_t i = 0; i < step; ++i) {
               e.prefetch(line);
               line = e.gep(line, stride, e.i8);
             }
             return {line};
           });
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// Sums are in two tiles where steps are even: a product has the latency of
/// three.
static int64_t chainsOf(int64_t steps) { return steps % 2 == 0 ? 2 : 1; }

/// Products of the block's keys with a panel. They are finished when all are
/// made: what tiles have just stored is slow to be loaded.
void KernelEmitter::emitShortTileGroups(Value panel) {
  for (unsigned i = 0; i < spec.dots.size(); ++i) {
    e.loop(e.c(0), count, e.group,
           [&](Value group) { emitShortTileScores(i, panel, group); });
    e.loop(e.c(0), count, e.group,
           [&](Value group) { finishTileScores(i, group); });
  }
}

/// S^T of a group of keys and a panel.
void KernelEmitter::emitShortTileScores(unsigned index, Value panel,
                                        Value group) {
  int64_t columns = wideColumns(spec.dots[index].dim);
  int64_t steps = columns / kTileColumns, chains = chainsOf(steps);
  bool toValues = index == 0 && spec.valueDim > 0;
  GroupRows rows = locateGroup(keyRows[index], e.udiv(group, e.c(e.group)));
  Fetch fetch = beginFetch(keyRows[index], toValues ? valuePadded() : columns,
                           group, steps, e.c(0), 1, panel);
  fetch.first = e.icmp(P::eq, panel, e.c(0));
  Value rowBytes = e.mul(rows.stride, e.c(2));
  Value queries = e.gep(state.queries[index],
                        e.mul(panel, e.c(columns * e.lanes)), spec.elementType);
  for (int64_t i = 0; i < chains; ++i)
    tileOp("tilezero", i, {});
  e.loop(e.c(0), e.c(steps), chains, [&](Value first) {
    for (int64_t i = 0; i < chains; ++i) {
      Value step = e.add(first, e.c(i));
      Value byte = e.mul(step, e.c(kTileBytes));
      tileOp("tileloadd64", kLeftTiles + i,
             {e.gep(rows.base, byte, e.i8), rowBytes});
      tileOp("tileloadd64", kRightTiles + i,
             {e.gep(queries, e.mul(step, e.c(kTileBytes * e.lanes)), e.i8),
              e.c(kTileBytes)});
      tileOp("tdpbf16ps", {i, kLeftTiles + i, kRightTiles + i}, {});
      fetchLines(fetch, step);
      fetchFollowing(fetch, rows, byte);
    }
  });
  for (int64_t i = 0; i < chains; ++i)
    tileOp("tilestored64", i,
           {e.row(ofPanel(i ? at_.oddWeights : at_.scores[index]), group),
            e.c(kTileBytes)});
}

/// The scores of a group from its tiles, of which the second lies where weights
/// come later, times their factor: folded into the queries it would be rounded.
void KernelEmitter::finishTileScores(unsigned index, Value group) {
  Value scores = e.row(ofPanel(at_.scores[index]), group);
  Value others = e.row(ofPanel(at_.oddWeights), group);
  Value factor = productFactor(spec.dots[index]);
  int64_t steps = wideColumns(spec.dots[index].dim) / kTileColumns;
  if (!factor && chainsOf(steps) == 1)
    return;
  constexpr int64_t some = 4;
  e.loop(e.c(0), e.c(e.group), some, [&](Value first) {
    for (int64_t i = 0; i < some; ++i) {
      Value key = e.add(first, e.c(i)), score = e.loadRow(scores, key);
      if (chainsOf(steps) == 2)
        score = e.fadd(score, e.loadRow(others, key));
      if (factor)
        score = e.fmul(score, e.splat(factor));
      e.storeRow(score, scores, key);
    }
  });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Weights of the panel's runs, [key][row], become two arrays of pairs of
/// [row][key], the first in place.
void KernelEmitter::packTileWeights() {
  e.loop(e.c(0), runCount, 1, [&](Value run) {
    std::pair<Value, Value> keys = loadRun(run);
    e.loop(keys.first, keys.second, e.group,
           [&](Value group) { packWeightsOfGroup(group); });
  });
}

void KernelEmitter::packWeightsOfGroup(Value group) {
  Value even = e.row(ofPanel(at_.scores[0]), group);
  Value odd = e.row(ofPanel(at_.oddWeights), group);
  auto pairs = VectorType::get({2 * e.lanes}, spec.elementType);
  VectorType words = e.vec(e.b.getI32Type());
  // Two keys a register, each in half of it; words of two rows.
  Values x;
  for (int64_t i = 0; i < e.group / 2; ++i) {
    int64_t key = i / 4 * 8 + i % 4;
    // The second operand fills the lower half.
    Value both =
        e.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", pairs,
                    {e.loadRow(even, e.c(key + 4)), e.loadRow(even, e.c(key))});
    x.push_back(LLVM::BitcastOp::create(e.b, e.loc, words, both));
  }
  // Words of four keys lie across within blocks after two exchanges, those of
  // sixteen after blocks have found each other.
  auto exchange = [&](Value a, Value b, ArrayRef<int32_t> block) {
    Lanes order;
    for (int32_t from = 0; from < 16; from += 4)
      for (int32_t lane : block)
        order.push_back(lane % 4 + from + (lane < 4 ? 0 : 16));
    return e.shuffle(a, b, order);
  };
  Values across;
  for (int64_t i = 0; i < 8; i += 4) {
    Value low[] = {exchange(x[i], x[i + 1], {0, 4, 1, 5}),
                   exchange(x[i + 2], x[i + 3], {0, 4, 1, 5})};
    Value high[] = {exchange(x[i], x[i + 1], {2, 6, 3, 7}),
                    exchange(x[i + 2], x[i + 3], {2, 6, 3, 7})};
    for (auto &half : {low, high})
      across.append({exchange(half[0], half[1], {0, 1, 4, 5}),
                     exchange(half[0], half[1], {2, 3, 6, 7})});
  }
  auto constant = [&](int64_t value) {
    return e.splat(arith::ConstantIntOp::create(e.b, e.loc, value, 32));
  };
  for (int64_t word = 0; word < 8; ++word) {
    Lanes order;
    for (int32_t from : {0, 8, 16, 24})
      for (int32_t i = 0; i < 4; ++i)
        order.push_back(from + word / 4 * 4 + i);
    Value both = e.shuffle(across[word % 4], across[4 + word % 4], order);
    auto store = [&](Value weights, Value to, int64_t row) {
      e.store(weights, e.row(to, e.c(row)), kTileBytes);
    };
    store(e.land(both, constant(0xffff)), even, 2 * word);
    store(arith::ShLIOp::create(e.b, e.loc, both, constant(16)), odd, 2 * word);
    store(arith::ShRUIOp::create(e.b, e.loc, both, constant(16)), even,
          2 * word + 1);
    store(e.land(both, constant(-0x10000)), odd, 2 * word + 1);
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// O ← O + P · V over the runs of live keys, two tiles of columns at once where
/// that divides them.
void KernelEmitter::emitShortTileValues(Value panel) {
  if (valuePadded() == 0)
    return;
  int64_t blocks = valuePadded() / kTileColumns % 2 == 0 ? 2 : 1;
  e.loop(e.c(0), e.c(valuePadded()), blocks * kTileColumns,
         [&](Value column) { emitShortTilePass(panel, column, blocks); });
}

/// Some columns: of each block of 32 the even ones, then the odd ones.
void KernelEmitter::emitShortTilePass(Value panel, Value column,
                                      int64_t blocks) {
  int64_t columns = valuePadded(), passColumns = blocks * kTileColumns;
  Value output = e.mul(panel, e.c(e.lanes * columns));
  output = e.gep(state.output, e.add(output, column), e.f);
  auto moveSums = [&](StringRef op) {
    for (int64_t i = 0; i < 2 * blocks; ++i)
      tileOp(op, i, {e.gep(output, i * kTileBytes), e.c(columns * 4)});
  };
  moveSums("tileloadd64");
  Value pass = e.udiv(column, e.c(passColumns));
  auto multiplyGroup = [&](Value group) {
    GroupRows rows = locateGroup(valueRows, e.udiv(group, e.c(e.group)));
    Fetch fetch = beginFetch(valueRows, wideColumns(spec.dots[0].dim), group,
                             blocks, pass, columns / passColumns, panel);
    fetch.first = e.icmp(P::eq, panel, e.c(0));
    for (int64_t odd = 0; odd < 2; ++odd) {
      Value weights = ofPanel(odd ? at_.oddWeights : at_.scores[0]);
      tileOp("tileloadd64", kLeftTiles + odd,
             {e.row(weights, group), e.c(kTileBytes)});
    }
    for (int64_t i = 0; i < blocks; ++i) {
      Value first = e.add(column, e.c(i * kTileColumns));
      tileOp("tileloadd64", kRightTiles + i,
             {e.gep(rows.base, first, spec.elementType),
              e.mul(rows.stride, e.c(2))});
      for (int64_t odd = 0; odd < 2; ++odd)
        tileOp("tdpbf16ps", {2 * i + odd, kLeftTiles + odd, kRightTiles + i},
               {});
      fetchLines(fetch, e.c(i));
      fetchFollowing(fetch, rows, e.mul(first, e.c(2)));
    }
  };
  e.loop(e.c(0), runCount, 1, [&](Value run) {
    std::pair<Value, Value> keys = loadRun(run);
    e.loop(keys.first, keys.second, e.group, multiplyGroup);
  });
  moveSums("tilestored64");
}
