//===- ShortTiles.cpp - Products of the short form by AMX tiles -----------===//
//
// A panel is eight rows, and a group of keys is a tile. Scores lie as
// [key][row]. Keys and values are read where they lie: a pair of keys' elements
// is two features, a pair of values' two columns of one key. So weights exist
// twice, each beside a zero: in the first place of a pair they meet even
// columns, in the second odd ones, and both are rows of one tile.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/CPUModel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;
using Lanes = SmallVector<int32_t>;

static constexpr int64_t kTileBytes = 64, kTileColumns = 32;
/// Tiles of eight columns: two of scores, one of queries. Whole ones: two of
/// keys or values. Those with two rows for each of a panel: weights, and two of
/// results.
static constexpr int64_t kQueryTile = 2, kRowTiles = 3, kWeightTile = 5,
                         kSumTiles = 6;
/// Lines that a core can ask for before it drops some.
static constexpr int64_t kLinesAhead = 64;

/// A product takes as many clocks as its left tile has rows: weights have no
/// more than a call has.
void KernelEmitter::configureShortTiles() {
  Value most = e.mul(bufferOf(spec.out).sizes[2], shape.group);
  most = e.max(e.min(most, e.c(e.lanes)), e.c(1));
  Value taken = e.mul(most, e.c(2 * 0x0101010000000000));
  // The palette; bytes a row of each tile; rows of each tile.
  loadTileConfig({e.c(1), e.c(0), e.c(0x0040002000200020),
                  e.c(0x0040004000400040), e.c(0), e.c(0),
                  e.lor(e.c(0x0000001010101010), taken), e.c(0)});
}

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
  int64_t laneBytes = e.lanes * e.scoreBytes();
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
      tileOp("tileloadd64", kRowTiles + i,
             {e.gep(rows.base, byte, e.i8), rowBytes});
      tileOp("tileloadd64", kQueryTile,
             {e.gep(queries, e.mul(step, e.c(kTileRows * laneBytes)), e.i8),
              e.c(laneBytes)});
      tileOp("tdpbf16ps", {i, kRowTiles + i, kQueryTile}, {});
      fetchLines(fetch, step);
      if (blockKeys() * columns * 2 > kLinesAhead * 64)
        fetchFollowing(fetch, rows, byte);
    }
  });
  for (int64_t i = 0; i < chains; ++i)
    tileOp("tilestored64", i,
           {e.row(ofPanel(i ? at_.tileWeights : at_.scores[index]), group),
            e.c(laneBytes)});
}

/// The scores of a group from its tiles, of which the second lies where weights
/// come later, times their factor: folded into the queries it would be rounded.
void KernelEmitter::finishTileScores(unsigned index, Value group) {
  Value scores = e.row(ofPanel(at_.scores[index]), group);
  Value others = e.row(ofPanel(at_.tileWeights), group);
  Value factor = productFactor(spec.dots[index]);
  int64_t steps = wideColumns(spec.dots[index].dim) / kTileColumns;
  if (!factor && chainsOf(steps) == 1)
    return;
  int64_t keys = wide() / e.lanes;
  constexpr int64_t some = 4;
  e.loop(e.c(0), e.c(e.group), some * keys, [&](Value first) {
    for (int64_t i = 0; i < some; ++i) {
      Value key = e.add(first, e.c(i * keys)), score = loadWide(scores, key);
      if (chainsOf(steps) == 2)
        score = e.fadd(score, loadWide(others, key));
      if (factor)
        score = e.fmul(score, wideSplat(factor));
      e.store(score, e.row(scores, key), e.registerBytes());
    }
  });
}

/// A register of rows of a few keys.
Value KernelEmitter::loadWide(Value rows, Value key) {
  return e.load(wideVec(e.f), e.row(rows, key), e.registerBytes());
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Weights of the panel's runs, [key][row], become pairs: [row][place][key].
void KernelEmitter::packTileWeights() {
  e.loop(e.c(0), runCount, 1, [&](Value run) {
    std::pair<Value, Value> keys = loadRun(run);
    e.loop(keys.first, keys.second, e.group,
           [&](Value group) { packWeightsOfGroup(group); });
  });
}

void KernelEmitter::packWeightsOfGroup(Value group) {
  Value scores = e.row(ofPanel(at_.scores[0]), group);
  Value weights =
      e.gep(ofPanel(at_.tileWeights), e.mul(group, e.c(kTileBytes)), e.i8);
  auto pairs = VectorType::get({wideElements()}, spec.elementType);
  VectorType words = wideVec(e.b.getI32Type());
  // Four keys a register, each in a block of it; words of two rows.
  Values x;
  for (int64_t i = 0; i < e.group; i += 4) {
    // The second operand fills the lower half.
    Value all = e.intrinsic(
        "llvm.x86.avx512bf16.cvtne2ps2bf16.512", pairs,
        {loadWide(scores, e.c(i / 2 + 8)), loadWide(scores, e.c(i / 2))});
    x.push_back(LLVM::BitcastOp::create(e.b, e.loc, words, all));
  }
  // Words of four keys lie across within blocks after two exchanges.
  auto exchange = [&](Value a, Value b, ArrayRef<int32_t> block) {
    Lanes order;
    for (int32_t from = 0; from < 16; from += 4)
      for (int32_t lane : block)
        order.push_back(lane % 4 + from + (lane < 4 ? 0 : 16));
    return e.shuffle(a, b, order);
  };
  Value low[] = {exchange(x[0], x[1], {0, 4, 1, 5}),
                 exchange(x[2], x[3], {0, 4, 1, 5})};
  Value high[] = {exchange(x[0], x[1], {2, 6, 3, 7}),
                  exchange(x[2], x[3], {2, 6, 3, 7})};
  Values across;
  for (auto &half : {low, high})
    across.append({exchange(half[0], half[1], {0, 1, 4, 5}),
                   exchange(half[0], half[1], {2, 3, 6, 7})});
  Lanes inOrder;
  for (int32_t key = 0; key < 16; ++key)
    inOrder.push_back(key / 8 * 8 + key % 2 * 4 + key % 8 / 2);
  auto constant = [&](int64_t value) {
    return wideSplat(arith::ConstantIntOp::create(e.b, e.loc, value, 32));
  };
  for (auto [word, both] : llvm::enumerate(across)) {
    both = e.shuffle(both, both, inOrder);
    Value places[] = {
        e.land(both, constant(0xffff)),
        arith::ShLIOp::create(e.b, e.loc, both, constant(16)),
        arith::ShRUIOp::create(e.b, e.loc, both, constant(16)),
        e.land(both, constant(-0x10000)),
    };
    for (auto [i, place] : llvm::enumerate(places))
      e.store(place, e.gep(weights, int64_t(4 * word + i) * kTileBytes),
              kTileBytes);
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

/// Where the sums of 32 columns of a panel are: of each row the even ones, then
/// the odd ones.
Value KernelEmitter::tileOutput(Value panel, Value column) {
  Value first = e.add(e.mul(panel, e.c(valuePadded())), column);
  return e.gep(state.output, e.mul(first, e.c(e.lanes)), e.f);
}

void KernelEmitter::emitShortTilePass(Value panel, Value column,
                                      int64_t blocks) {
  int64_t columns = valuePadded(), passColumns = blocks * kTileColumns;
  Value output = tileOutput(panel, column);
  int64_t outputBytes = kTileColumns * e.lanes * e.scoreBytes();
  auto moveSums = [&](StringRef op) {
    for (int64_t i = 0; i < blocks; ++i)
      tileOp(op, kSumTiles + i,
             {e.gep(output, i * outputBytes), e.c(kTileBytes)});
  };
  moveSums("tileloadd64");
  Value pass = e.udiv(column, e.c(passColumns));
  auto multiplyGroup = [&](Value group) {
    GroupRows rows = locateGroup(valueRows, e.udiv(group, e.c(e.group)));
    Fetch fetch = beginFetch(valueRows, wideColumns(spec.dots[0].dim), group,
                             blocks, pass, columns / passColumns, panel);
    fetch.first = e.icmp(P::eq, panel, e.c(0));
    tileOp(
        "tileloadd64", kWeightTile,
        {e.gep(ofPanel(at_.tileWeights), e.mul(group, e.c(kTileBytes)), e.i8),
         e.c(kTileBytes)});
    for (int64_t i = 0; i < blocks; ++i) {
      Value first = e.add(column, e.c(i * kTileColumns));
      tileOp("tileloadd64", kRowTiles + i,
             {e.gep(rows.base, first, spec.elementType),
              e.mul(rows.stride, e.c(2))});
      tileOp("tdpbf16ps", {kSumTiles + i, kWeightTile, kRowTiles + i}, {});
      fetchLines(fetch, e.c(i));
      if (blockKeys() * columns * 2 > kLinesAhead * 64)
        fetchFollowing(fetch, rows, e.mul(first, e.c(2)));
    }
  };
  e.loop(e.c(0), runCount, 1, [&](Value run) {
    std::pair<Value, Value> keys = loadRun(run);
    e.loop(keys.first, keys.second, e.group, multiplyGroup);
  });
  moveSums("tilestored64");
}

/// Multiplies the sums of a panel's rows by their factors.
void KernelEmitter::rescaleTiles(Value panel, Value alpha) {
  e.storeRow(alpha, at(at_.alpha), e.c(0));
  Value first = e.mul(panel, e.c(e.lanes));
  forRows(e.min(e.sub(rows, first), e.c(e.lanes)), [&](Value lane) {
    Value factor = wideSplat(e.load(e.f, e.gep(at(at_.alpha), lane, e.f)));
    e.loop(e.c(0), e.c(valuePadded()), kTileColumns, [&](Value column) {
      Value both =
          e.gep(tileOutput(panel, column), e.mul(lane, e.c(kTileColumns)), e.f);
      for (int64_t odd = 0; odd < 2; ++odd) {
        Value address = e.gep(both, odd * kTileBytes);
        Value o = e.load(wideVec(e.f), address, kTileBytes);
        e.store(e.fmul(o, factor), address, kTileBytes);
      }
    });
  });
}

/// Copies sums row by row, their columns in order. Returns the bytes of all.
Value KernelEmitter::leaveTiles(Value slot) {
  int64_t columns = valuePadded();
  Value panels = shape.panels;
  e.loop(e.c(0), panels, 1, [&](Value panel) {
    e.loop(e.c(0), e.c(columns), kTileColumns, [&](Value column) {
      Value from = tileOutput(panel, column);
      Value to = e.add(e.mul(panel, e.c(e.lanes * columns)), column);
      to = e.gep(slot, to, e.f);
      e.loop(e.c(0), e.c(e.lanes), 1, [&](Value row) {
        Value both = e.gep(from, e.mul(row, e.c(kTileColumns)), e.f);
        Value even = e.load(wideVec(e.f), both, kTileBytes);
        Value odd = e.load(wideVec(e.f), e.gep(both, kTileBytes), kTileBytes);
        auto [low, high] = joinLanes(even, odd);
        Value address = e.gep(to, e.mul(row, e.c(columns)), e.f);
        e.store(low, address, kTileBytes);
        e.store(high, e.gep(address, kTileBytes), kTileBytes);
      });
    });
  });
  return e.mul(panels, e.c(e.lanes * columns * e.scoreBytes()));
}
