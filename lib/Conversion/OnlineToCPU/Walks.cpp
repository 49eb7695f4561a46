//===- Walks.cpp - Which keys an item visits ------------------------------===//
//
// Segments, the tiles of a block mask and scans are cut into blocks here: one
// loop, with one copy of the block body, whatever the walk. A scan visits the
// tiles that the call's analysis of the mask leaves, or all where it has none;
// the mask is evaluated per panel in what is not full.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/KernelABI.h"

#include <cstddef>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// A segment in scratch: begin, end, whether it is full.
static constexpr int64_t segmentBytes = 24, maxSegments = 64;
/// Wider than any sequence, and no multiple up to one overflows.
static constexpr int64_t wholeSequence = int64_t(1) << 62;

namespace {
/// The runs of a call without any: one, partial, over all keys.
struct EverythingOpen {
  fovea_cpu_tile_runs header;
  int64_t offsets[2];
  int64_t run;
};
} // namespace

int64_t KernelEmitter::walkBytes() {
  if (auto segments = dyn_cast<online::WalkSegmentsOp>(spec.walk))
    return segmentBytes * (1 + int64_t(segments.getBegins().size()));
  return sizeof(EverythingOpen);
}

LogicalResult KernelEmitter::checkSegments(int64_t number) {
  if (number <= maxSegments)
    return success();
  return spec.walk->emitOpError("has more than ")
         << maxSegments << " segments, got " << number;
}

/// Finds the runs that walks read. Block masks always come with runs.
void KernelEmitter::bindTileRuns() {
  tileRuns = arguments->getTileRuns();
  if (!isa<online::WalkScanOp>(spec.walk))
    return;
  Value open = at(at_.walk);
  auto field = [&](size_t offset) {
    return e.gep(open, static_cast<int64_t>(offset));
  };
  auto set = [&](Value value, size_t offset) { e.store(value, field(offset)); };
  set(field(offsetof(EverythingOpen, offsets)),
      offsetof(fovea_cpu_tile_runs, offsets));
  set(field(offsetof(EverythingOpen, run)),
      offsetof(fovea_cpu_tile_runs, runs));
  for (size_t dim = 0; dim < 2; ++dim)
    set(e.c(0), offsetof(fovea_cpu_tile_runs, strides) + 8 * dim);
  set(e.c(wholeSequence), offsetof(fovea_cpu_tile_runs, query_tile));
  set(e.c(wholeSequence), offsetof(fovea_cpu_tile_runs, key_tile));
  set(e.c(0), offsetof(EverythingOpen, offsets));
  set(e.c(1), offsetof(EverythingOpen, offsets) + 8);
  set(e.c(4 * 1 + 1), offsetof(EverythingOpen, run));
  Value none = LLVM::ZeroOp::create(e.b, e.loc, e.ptr);
  Value given =
      LLVM::ICmpOp::create(e.b, e.loc, LLVM::ICmpPredicate::ne, tileRuns, none);
  tileRuns = LLVM::SelectOp::create(e.b, e.loc, given, tileRuns, open);
}

/// Runs the block body over [begin, end) of a walk that ends at lastKey. Keys
/// before `known` are visible to all rows: whole groups of them or all, unless
/// groups cross tiles. A cancelled call is left after so many keys.
void KernelEmitter::emitBlocks(Value begin, Value known, Value end,
                               Value lastKey) {
  int64_t keys = blockKeys(), some = llvm::alignTo(int64_t(1) << 15, keys);
  e.loop(begin, end, some, [&](Value first) {
    Value last = e.min(e.add(first, e.c(some)), end);
    last = e.select(isCancelled(), first, last);
    e.loop(first, last, keys, [&](Value n0) {
      Value taken = e.min(e.sub(end, n0), e.c(keys));
      Value next = e.add(n0, taken);
      Value visible = e.max(e.sub(known, n0), e.c(0));
      if (failed(emitBlock(n0, taken, visible, e.sub(end, next),
                           e.sub(lastKey, next))))
        walked = failure();
    });
  });
}

/// Other threads write it meanwhile.
Value KernelEmitter::isCancelled() {
  auto word = LLVM::LoadOp::create(e.b, e.loc, e.b.getI32Type(), cancelled,
                                   /*alignment=*/4);
  word.setOrdering(LLVM::AtomicOrdering::monotonic);
  Value zero = arith::ConstantIntOp::create(e.b, e.loc, 0, 32);
  return e.icmp(P::ne, word, zero);
}

/// Whether full keys [begin, end) may share blocks with partial ones that begin
/// at `next`.
Value KernelEmitter::mayShareBlocks(Value begin, Value end, Value next) {
  Value follows = e.land(e.icmp(P::slt, begin, end), e.icmp(P::eq, end, next));
  if (groupsCrossTiles())
    return follows;
  Value part = e.urem(e.sub(end, begin), e.c(e.group));
  return e.land(follows, e.icmp(P::eq, part, e.c(0)));
}

LogicalResult KernelEmitter::emitWalk() {
  walked = success();
  if (readsTileRuns()) {
    Value b, h, tile, begin, end;
    locateTileRuns(b, h, tile, begin, end);
    emitTileRuns(b, h, tile, begin, end);
  } else if (auto segments = dyn_cast<online::WalkSegmentsOp>(spec.walk)) {
    if (failed(checkSegments(segments.getBegins().size())))
      return failure();
    emitSegments(segments);
  } else {
    return spec.sweep.emitOpError("walk is not lowered by the CPU target");
  }
  return walked;
}

void KernelEmitter::emitSegments(online::WalkSegmentsOp segments) {
  unsigned number = segments.getBegins().size();
  auto isFull = [&](unsigned i) {
    return segments.getSegmentClass(i) == online::ClassKind::Full;
  };
  if (number == 1) {
    Value begin = s->scalar(segments.getBegins()[0]);
    Value end = s->scalar(segments.getEnds()[0]);
    emitBlocks(begin, isFull(0) ? end : begin, end, end);
    return;
  }
  Value table = at(at_.walk), lastKey = e.c(0);
  for (unsigned i = 0; i < number; ++i) {
    int64_t entry = segmentBytes * i;
    Value begin = s->scalar(segments.getBegins()[i]);
    Value end = s->scalar(segments.getEnds()[i]);
    e.store(begin, e.gep(table, entry));
    e.store(end, e.gep(table, entry + 8));
    lastKey = e.select(e.icmp(P::slt, begin, end), end, lastKey);
    e.store(e.c(isFull(i)), e.gep(table, entry + 16));
  }
  // One more that is empty.
  for (int64_t field = 0; field < segmentBytes; field += 8)
    e.store(e.c(0), e.gep(table, segmentBytes * number + field));
  e.loop(e.c(0), e.c(number), e.c(1), {e.cbool(false)},
         [&](Value i, ValueRange taken) -> Values {
           Value entry = e.gep(table, e.mul(i, e.c(segmentBytes)), e.i8);
           auto field = [&](int64_t offset) {
             return e.load(e.i64, e.gep(entry, offset));
           };
           Value begin = field(0), end = field(8);
           Value full = e.icmp(P::ne, field(16), e.c(0));
           Value known = e.select(full, end, begin);
           Value next = field(segmentBytes);
           Value both = e.land(full, e.lnot(taken[0]));
           both = e.land(both, e.icmp(P::eq, field(segmentBytes + 16), e.c(0)));
           both = e.land(both, mayShareBlocks(begin, end, next));
           end = e.select(both, e.max(end, field(segmentBytes + 8)), end);
           begin = e.select(taken[0], end, begin);
           emitBlocks(begin, known, end, lastKey);
           return {both};
         });
}

/// Which runs the bound item has, and the keys that they are cut to.
void KernelEmitter::locateTileRuns(Value &b, Value &h, Value &tile,
                                   Value &begin, Value &end) {
  if (auto list = dyn_cast<online::WalkListOp>(spec.walk)) {
    ValueRange row = list.getIndices();
    b = s->scalar(row[0]);
    h = s->scalar(row[1]);
    tile = s->scalar(row[2]);
    begin = e.c(0);
    end = s->scalar(list.getLength());
    return;
  }
  auto scan = cast<online::WalkScanOp>(spec.walk);
  ValueRange item = spec.dots[0].query.getIndices();
  b = s->scalar(item[0]);
  h = s->scalar(item[1]);
  tile = e.udiv(s->scalar(spec.dots[0].queryLoad.getRow()),
                tileRunField(e.i64, offsetof(fovea_cpu_tile_runs, query_tile)));
  begin = s->scalar(scan.getBegin());
  end = s->scalar(scan.getEnd());
}

Value KernelEmitter::tileRunField(Type type, size_t offset) {
  return e.load(type, e.gep(tileRuns, static_cast<int64_t>(offset)));
}

/// The numbers of the runs of a query tile: the first, and one past the last.
std::pair<Value, Value> KernelEmitter::tileRunsOf(Value b, Value h,
                                                  Value tile) {
  size_t strides = offsetof(fovea_cpu_tile_runs, strides);
  Value row = e.add(e.mul(b, tileRunField(e.i64, strides)),
                    e.mul(h, tileRunField(e.i64, strides + 8)));
  Value offsets = tileRunField(e.ptr, offsetof(fovea_cpu_tile_runs, offsets));
  offsets = e.gep(offsets, e.add(row, tile), e.i64);
  return {e.load(e.i64, offsets), e.load(e.i64, e.gep(offsets, 8))};
}

Value KernelEmitter::loadTileRun(Value i) {
  Type i32 = e.b.getI32Type();
  Value runs = tileRunField(e.ptr, offsetof(fovea_cpu_tile_runs, runs));
  return arith::ExtUIOp::create(e.b, e.loc, e.i64,
                                e.load(i32, e.gep(runs, i, i32), 4));
}

/// The last of some runs that holds keys: one of empty tiles may follow it.
Value KernelEmitter::lastTileRun(std::pair<Value, Value> runs) {
  Value last = e.sub(runs.second, e.c(1));
  Value empty = e.icmp(P::eq, e.land(loadTileRun(last), e.c(3)), e.c(0));
  Value before = e.max(e.sub(last, e.c(1)), runs.first);
  return e.select(empty, before, last);
}

Value KernelEmitter::endOfTileRun(Value run) {
  Value width = tileRunField(e.i64, offsetof(fovea_cpu_tile_runs, key_tile));
  return e.mul(e.udiv(run, e.c(4)), width);
}

/// The runs of one query tile, cut to [begin, end). Nothing is looked up for an
/// item that sees no key: its tile may not exist.
void KernelEmitter::emitTileRuns(Value b, Value h, Value tile, Value begin,
                                 Value end) {
  e.when(e.icmp(P::slt, begin, end), [&]() {
    std::pair<Value, Value> runs = tileRunsOf(b, h, tile);
    auto classOf = [&](Value run) { return e.land(run, e.c(3)); };
    auto isFull = [&](Value run) {
      return e.icmp(P::eq, classOf(run), e.c(2));
    };
    e.loop(runs.first, runs.second, e.c(1), {e.c(0)},
           [&](Value i, ValueRange carried) -> Values {
             Value run = loadTileRun(i), done = endOfTileRun(run);
             Value from = e.max(carried[0], begin), to = e.min(done, end);
             to = e.select(e.icmp(P::eq, classOf(run), e.c(0)), from, to);
             Value known = e.select(isFull(run), to, from);
             // The partial run that follows, as far as it goes.
             Value more = e.add(i, e.c(1)), last = e.sub(runs.second, e.c(1));
             Value next = loadTileRun(e.min(more, last));
             Value both = e.land(isFull(run), mayShareBlocks(from, to, done));
             both = e.land(both, e.icmp(P::eq, classOf(next), e.c(1)));
             done = e.select(both, endOfTileRun(next), done);
             to = e.select(both, e.min(done, end), to);
             Value lastKey = endOfTileRun(loadTileRun(lastTileRun(runs)));
             emitBlocks(from, known, to, e.min(lastKey, end));
             return {done};
           });
  });
}
