//===- Tiles.cpp - The two inner products by AMX tiles --------------------===//
//
// A step multiplies two tiles of 16 rows (keys or features) with two tiles of
// 16 lanes: four products of 16 x 16 over 32 elements, summed in four tiles.
// Tiles go by number: no register allocation, and nothing to spill.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/CPUModel.h"

#include <cmath>

using namespace fovea::cpu;

static constexpr int64_t kTileBytes = 64;
/// The sums of rows i and lanes j are tile 2 i + j.
static constexpr int64_t kRowTiles = 4, kLaneTiles = 6;

void KernelEmitter::tileOp(StringRef op, ArrayRef<int64_t> tiles,
                           ValueRange operands) {
  Values all;
  for (int64_t tile : tiles)
    all.push_back(arith::ConstantIntOp::create(e.b, e.loc, tile, 8));
  llvm::append_range(all, operands);
  LLVM::CallIntrinsicOp::create(e.b, e.loc,
                                e.b.getStringAttr("llvm.x86." + op.str()), all);
}

/// Eight tiles of 16 rows of 64 bytes, until `releaseTiles`.
void KernelEmitter::configureTiles() {
  // The palette; bytes a row of each tile; rows of each tile.
  constexpr int64_t words[] = {1, 0, 0x0040004000400040, 0x0040004000400040,
                               0, 0, 0x1010101010101010, 0};
  Values values;
  for (int64_t word : words)
    values.push_back(e.c(word));
  loadTileConfig(values);
}

void KernelEmitter::loadTileConfig(ArrayRef<Value> words) {
  Value config = at(at_.tileConfig);
  for (auto [i, word] : llvm::enumerate(words))
    e.store(word, e.gep(config, 8 * int64_t(i)));
  tileOp("ldtilecfg", {}, config);
}

void KernelEmitter::releaseTiles() { tileOp("tilerelease", {}, {}); }

/// Loads or stores the sums, whose rows lie in scratch as lane vectors do.
void KernelEmitter::moveTiles(StringRef op, Value base) {
  int64_t rowBytes = e.lanes * e.scoreBytes();
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      tileOp(op, {2 * i + j},
             {e.gep(base, i * kTileRows * rowBytes + j * kTileBytes),
              e.c(rowBytes)});
}

/// sums += 32 x 32 rows of pairs · 32 pairs of lane vectors.
void KernelEmitter::multiplyTiles(Value rows, Value rowBytes, Value lanes) {
  Value lower = e.gep(rows, e.mul(rowBytes, e.c(kTileRows)), e.i8);
  Value laneBytes = e.c(e.lanes * e.scoreBytes());
  tileOp("tileloadd64", {kRowTiles}, {rows, rowBytes});
  tileOp("tileloadd64", {kLaneTiles}, {lanes, laneBytes});
  tileOp("tdpbf16ps", {0, kRowTiles, kLaneTiles}, {});
  tileOp("tileloadd64", {kLaneTiles + 1},
         {e.gep(lanes, kTileBytes), laneBytes});
  tileOp("tdpbf16ps", {1, kRowTiles, kLaneTiles + 1}, {});
  tileOp("tileloadd64", {kRowTiles + 1}, {lower, rowBytes});
  tileOp("tdpbf16ps", {2, kRowTiles + 1, kLaneTiles}, {});
  tileOp("tdpbf16ps", {3, kRowTiles + 1, kLaneTiles + 1}, {});
}

/// S^T of one group of keys from `group` on, to the score rows.
void KernelEmitter::emitTileScores(unsigned index, const BlockRows &keys,
                                   Value panel, Value group) {
  int64_t columns = packedSteps(spec.dots[index].dim);
  Value queries =
      e.gep(state.queries[index], e.mul(panel, e.c(columns * e.lanes)), e.f);
  std::pair<Value, Value> rows = locateKeys(keys, group);
  Value rowBytes = e.mul(rows.second, e.c(2));
  for (int64_t tile = 0; tile < kRowTiles; ++tile)
    tileOp("tilezero", tile, {});
  e.loop(e.c(0), e.c(columns), kTileRows, [&](Value d) {
    multiplyTiles(e.gep(rows.first, d, stepType()), rowBytes,
                  e.row(queries, d));
  });
  moveTiles("tilestored64", e.row(at(at_.scores[index]), group));
}

/// What rows of scores are multiplied by where they are read, so that they need
/// not be stored again. Only a positive factor leaves −inf what it is: with
/// another one scores are multiplied when they are made.
void KernelEmitter::chooseScoreFactor() {
  scoreFactor = Value();
  if (!amx() || !plainScores() || !softmax())
    return;
  Value factor = productFactor(spec.dots[0]);
  isScoreFactor = e.fcmp(arith::CmpFPredicate::OGT, factor, e.cf(0.0));
  scoreFactor = e.splat(e.select(isScoreFactor, factor, e.cf(1.0)));
}

Value KernelEmitter::scaledScore(Value score) {
  return scoreFactor ? e.fmul(score, scoreFactor) : score;
}

/// Multiplies plain scores by their factor; the maximum with them.
Value KernelEmitter::scaleTileScores(unsigned index, Value group,
                                     Value largest) {
  if (!plainScores())
    return largest;
  Value scores = e.row(at(at_.scores[index]), group);
  auto multiply = [&]() -> Values {
    Value factor = e.splat(productFactor(spec.dots[index]));
    return e.loop(e.c(0), e.c(kTileGroup), e.c(1), {largest},
                  [&](Value key, ValueRange carried) -> Values {
                    Value score = e.fmul(e.loadRow(scores, key), factor);
                    e.storeRow(score, scores, key);
                    return {softmax() ? e.fmaxDropNaN(score, carried[0])
                                      : carried[0]};
                  });
  };
  if (!scoreFactor)
    return multiply()[0];
  // A chain of maxima has a step for so many keys.
  constexpr int64_t keys = 4;
  auto findLargest = [&]() -> Values {
    return e.loop(e.c(0), e.c(kTileGroup), e.c(keys), {largest},
                  [&](Value key, ValueRange carried) -> Values {
                    Values found;
                    for (int64_t i = 0; i < keys; ++i)
                      found.push_back(
                          scaledScore(e.loadRow(scores, e.add(key, e.c(i)))));
                    for (; found.size() > 1; found.erase(found.begin()))
                      found[1] = e.fmaxDropNaN(found[0], found[1]);
                    return {e.fmaxDropNaN(found[0], carried[0])};
                  });
  };
  return e.branch(isScoreFactor, {e.vf}, findLargest, multiply)[0];
}

/// The end of a run as tiles see it: keys from `end` on become invisible.
Value KernelEmitter::padRun(Value end) {
  Value padded = e.mul(e.ceilDiv(end, e.group), e.c(e.group));
  e.loop(end, padded, 1, [&](Value key) {
    e.storeRow(e.vc(-INFINITY), ofPanel(at_.scores[0]), key);
  });
  return padded;
}

/// V^T of a block in bands of 32 keys: [band][feature][32 keys], zeros where
/// keys and features are none.
void KernelEmitter::transposeValues(Value source, const Buffer &buffer) {
  int64_t columns = valuePadded();
  unsigned bytes = spec.elementType.getIntOrFloatBitWidth() / 8;
  Value packed = at(at_.packedValues), unit = e.cbool(false);
  if (spec.valueDim == columns)
    unit = e.icmp(arith::CmpIPredicate::eq, buffer.strides[3], e.c(1));
  e.loop(e.c(0), count, kTileGroup, [&](Value key) {
    Value taken = e.min(e.sub(count, key), e.c(kTileGroup));
    Value first =
        e.gep(source, e.mul(key, buffer.strides[2]), spec.elementType);
    Value whole = e.icmp(arith::CmpIPredicate::eq, taken, e.c(kTileGroup));
    Values rows = e.branch(
        e.land(unit, whole), {e.ptr, e.i64},
        [&]() -> Values { return {first, buffer.strides[2]}; },
        [&]() -> Values {
          Value copy = at(at_.rowBuffer);
          callPack(first, buffer, taken, spec.valueDim, copy, columns,
                   e.c(kTileGroup));
          return {copy, e.c(columns)};
        });
    callHelper("_band",
               {rows[0], e.mul(rows[1], e.c(bytes)),
                e.gep(packed, e.mul(key, e.c(columns)), spec.elementType),
                e.c(columns)});
  });
}

/// O^T ← alpha · O^T + V^T · P^T over the runs of live keys.
void KernelEmitter::emitTileValues(const BlockRows &values, Value panel,
                                   Value alpha) {
  Value output =
      e.gep(state.output, e.mul(panel, e.c(valuePadded() * e.lanes)), e.f);
  if (alpha)
    e.loop(e.c(0), e.c(valuePadded()), 1, [&](Value row) {
      e.storeRow(e.fmul(e.loadRow(output, row), alpha), output, row);
    });
  e.loop(e.c(0), e.c(valuePadded()), kTileGroup, [&](Value column) {
    Value sums = e.row(output, column);
    moveTiles("tileloadd64", sums);
    // A row of a band has 32 elements.
    Value base =
        e.gep(values.base, e.mul(column, e.c(kTileGroup)), spec.elementType);
    e.loop(e.c(0), runCount, 1, [&](Value run) {
      std::pair<Value, Value> keys = loadRun(run);
      e.loop(keys.first, keys.second, kTileGroup, [&](Value key) {
        Value rows = e.gep(base, e.mul(key, values.stride), spec.elementType);
        multiplyTiles(rows, e.c(kTileBytes),
                      e.row(at(at_.scores[0]), e.udiv(key, e.c(2))));
      });
    });
    moveTiles("tilestored64", sums);
  });
}
