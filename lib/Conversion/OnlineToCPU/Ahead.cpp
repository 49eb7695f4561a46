//===- Ahead.cpp - What comes next is fetched while products run ----------===//
//
// The steps of both products, with tiles those of weights, ask for lines: of
// the keys and values of the next block; in the last blocks of an item also of
// the rows that it is about to store, then of the queries and the new keys and
// values of the item that comes next. A pass goes on where the one before
// ended, so that a step does no more than move a pointer.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/KernelABI.h"

#include <cstddef>
#include <limits>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

static constexpr int64_t lineBytes = 64;
/// An array to fetch, column by column of lines: where the column begins, bytes
/// from line to line, lines of a column, columns left.
static constexpr int64_t entryBytes = 32;
/// Which array is being fetched, and how many lines of the column are.
static constexpr int64_t cursorBytes = 16;

/// Exact kernels run where speed does not matter.
bool KernelEmitter::fetchesAhead() {
  return !isShort() && !spec.schedule.getExact();
}

/// Lines that a pair of weights asks for, so that the panels of an item, if
/// they are not few, have asked for a block.
int64_t KernelEmitter::linesOfWeights() {
  int64_t elements = stepElements() * spec.valueDim;
  for (const DotSpec &dot : spec.dots)
    elements += stepElements() * dot.dim;
  int64_t bytes = elements * spec.elementType.getIntOrFloatBitWidth() / 8;
  int64_t unit = lineBytes * maxPanels();
  return std::min<int64_t>((bytes + unit - 1) / unit, 4);
}

/// Arrays of the next block: keys of each product, values.
int64_t KernelEmitter::blockArrays() {
  return 1 + static_cast<int64_t>(spec.dots.size());
}

/// The output, then the next item's values, queries and keys of each product.
int64_t KernelEmitter::itemArrays() { return 2 * blockArrays(); }

/// Behind the arrays and one that is nothing: a cursor into each of the three.
int64_t KernelEmitter::fetchCursors() {
  return (blockArrays() + itemArrays() + 1) * entryBytes;
}

Value KernelEmitter::fetchEntry(int64_t number) {
  return at(at_.ahead + number * entryBytes);
}

int64_t KernelEmitter::aheadBytes() { return fetchCursors() + 3 * cursorBytes; }

/// Notes so many rows as an array to fetch. Rows that follow each other without
/// a gap are one column.
void KernelEmitter::aim(int64_t entry, online::ViewOp view, int64_t dim,
                        Value row, Value number) {
  int64_t bytes = spec.elementType.getIntOrFloatBitWidth() / 8;
  Value lines = e.c((dim * bytes + lineBytes - 1) / lineBytes);
  Value stride = e.mul(bufferOf(view).strides[2], e.c(bytes));
  Value dense = e.icmp(P::eq, stride, e.c(dim * bytes));
  Value to = fetchEntry(entry);
  e.store(tensorRows(view, row), to);
  e.store(e.select(dense, e.c(lineBytes), stride), e.gep(to, 8));
  e.store(e.select(dense, e.mul(number, lines), number), e.gep(to, 16));
  e.store(e.select(dense, e.c(1), lines), e.gep(to, 24));
}

/// The keys from the first to the last that the bound item sees, as its tiles
/// tell.
KeySpan KernelEmitter::keysOfItem() {
  Value b, h, tile, begin, end;
  locateTileRuns(b, h, tile, begin, end);
  auto none = [&]() -> Values { return {e.c(0), e.c(0)}; };
  Values span = e.branch(
      e.icmp(P::slt, begin, end), {e.i64, e.i64},
      [&]() -> Values {
        std::pair<Value, Value> runs = tileRunsOf(b, h, tile);
        return e.branch(
            e.icmp(P::slt, runs.first, runs.second), {e.i64, e.i64},
            [&]() -> Values {
              Value run = loadTileRun(runs.first);
              Value empty = e.icmp(P::eq, e.land(run, e.c(3)), e.c(0));
              Value first = e.select(empty, endOfTileRun(run), e.c(0));
              Value last = endOfTileRun(loadTileRun(lastTileRun(runs)));
              return {e.max(first, begin), e.min(last, end)};
            },
            none);
      },
      none);
  return {span[0], span[1], tensorRows(spec.dots[0].key, e.c(0))};
}

/// Of what an item sees the part that the one before it does not, a block at
/// most: more would take the place of what that one still reads.
std::pair<Value, Value> KernelEmitter::newKeys(const KeySpan &item,
                                               const KeySpan &before) {
  Value follows = e.land(e.icmp(P::sle, before.begin, item.begin),
                         e.icmp(P::slt, item.begin, before.end));
  Value same = LLVM::ICmpOp::create(e.b, e.loc, LLVM::ICmpPredicate::eq,
                                    item.rows, before.rows);
  Value begin = e.select(e.land(follows, same), before.end, item.begin);
  return {begin, e.min(e.sub(item.end, begin), e.c(blockKeys()))};
}

/// Notes what the bound item reads first: its queries, so many keys.
void KernelEmitter::aimItem(Value key, Value number) {
  int64_t entry = blockArrays() + 1;
  for (DotSpec &dot : spec.dots) {
    aim(entry++, dot.query, dot.dim, s->scalar(dot.queryLoad.getRow()),
        e.c(spec.schedule.getM()));
    aim(entry++, dot.key, dot.dim, key, number);
  }
  aim(entry++, spec.value, spec.valueDim, key, number);
  Value nothing = fetchEntry(entry);
  e.store(nothing, nothing);
  e.store(e.c(0), e.gep(nothing, 8));
  e.store(e.c(std::numeric_limits<int64_t>::max()), e.gep(nothing, 16));
}

/// Notes what the next item reads that this one does not. Items with segments
/// run backwards: what is new comes first.
LogicalResult KernelEmitter::aimAhead(Value item, Value next,
                                      ArrayRef<Value> bounds) {
  if (!fetchesAhead())
    return success();
  LogicalResult status = success();
  if (!readsTileRuns()) {
    s->push();
    status = bindItem(next, bounds);
    auto segments = dyn_cast<online::WalkSegmentsOp>(spec.walk);
    if (succeeded(status))
      aimItem(segments && !segments.getBegins().empty()
                  ? s->scalar(segments.getBegins()[0])
                  : e.c(0),
              e.c(blockKeys()));
    s->pop();
    return status;
  }
  Value none = LLVM::ZeroOp::create(e.b, e.loc, e.ptr);
  e.loop(e.c(0), e.c(2), e.c(1), {e.c(0), e.c(0), none},
         [&](Value i, ValueRange before) -> Values {
           s->push();
           status =
               bindItem(e.select(e.icmp(P::eq, i, e.c(0)), item, next), bounds);
           KeySpan span = {before[0], before[1], before[2]};
           if (succeeded(status)) {
             KeySpan own = keysOfItem();
             std::pair<Value, Value> keys = newKeys(own, span);
             aimItem(keys.first, keys.second);
             span = own;
           }
           s->pop();
           return {span.begin, span.end, span.rows};
         });
  return status;
}

void KernelEmitter::beginFetching(int64_t cursor, Value entry) {
  Value to = at(at_.ahead + fetchCursors() + cursor * cursorBytes);
  e.store(entry, to);
  e.store(e.c(0), e.gep(to, 8));
}

/// Notes where the item that runs stores its rows.
void KernelEmitter::aimOutput() {
  if (!fetchesAhead())
    return;
  Value first = e.mul(firstPanel, e.c(e.lanes));
  Value number = e.mul(e.sub(endPanel, firstPanel), e.c(e.lanes));
  aim(blockArrays(), spec.out, spec.valueDim, e.add(firstRow, first), number);
  beginFetching(OfItem, fetchEntry(blockArrays()));
  beginFetching(OfNothing, fetchEntry(blockArrays() + itemArrays()));
}

/// Notes where the keys and values of the next block lie, so many as follow.
void KernelEmitter::aimNextBlock(Value following) {
  if (!fetchesAhead())
    return;
  Value number = e.min(following, e.c(blockKeys()));
  Value key = e.add(blockStart, count);
  int64_t entry = 0;
  for (DotSpec &dot : spec.dots)
    aim(entry++, dot.key, dot.dim, key, number);
  aim(entry++, spec.value, spec.valueDim, key, number);
  Value none = e.icmp(P::sle, following, e.c(0));
  Value first = LLVM::SelectOp::create(
      e.b, e.loc, none, fetchEntry(blockArrays()), fetchEntry(0));
  beginFetching(OfBlock, first);
}

/// What the next pass fetches, over a group of keys or over the keys for some
/// columns of the values.
LineFetch KernelEmitter::fetchOfPass() {
  if (!fetchesAhead())
    return {};
  Value cursors = at(at_.ahead + fetchCursors());
  Value ofBlock =
      LLVM::ICmpOp::create(e.b, e.loc, LLVM::ICmpPredicate::ne,
                           e.load(e.ptr, cursors), fetchEntry(blockArrays()));
  Value which = e.select(nearEnd, e.c(OfItem), e.c(OfNothing));
  which = e.select(ofBlock, e.c(OfBlock), which);
  LineFetch fetch;
  fetch.cursor = e.gep(cursors, e.mul(which, e.c(cursorBytes)), e.i8);
  fetch.entry = e.load(e.ptr, fetch.cursor);
  fetch.line = e.load(e.i64, e.gep(fetch.cursor, 8));
  fetch.stride = e.load(e.i64, e.gep(fetch.entry, 8));
  fetch.base =
      e.gep(e.load(e.ptr, fetch.entry), e.mul(fetch.line, fetch.stride), e.i8);
  return fetch;
}

void KernelEmitter::fetchLine(Value address) {
  constexpr uint32_t read = 0, toL2 = 2, data = 1;
  LLVM::Prefetch::create(e.b, e.loc, address, read, toL2, data);
}

/// Notes how far a pass of so many steps came. What it fetched beyond the end
/// of a column is lost.
void KernelEmitter::endFetch(const LineFetch &fetch, Value steps) {
  if (!fetch.base)
    return;
  Value line = e.add(fetch.line, steps);
  Value done = e.icmp(P::sge, line, e.load(e.i64, e.gep(fetch.entry, 16)));
  e.store(e.select(done, e.c(0), line), e.gep(fetch.cursor, 8));
  e.when(done, [&]() {
    Value left = e.sub(e.load(e.i64, e.gep(fetch.entry, 24)), e.c(1));
    e.store(left, e.gep(fetch.entry, 24));
    e.store(e.gep(e.load(e.ptr, fetch.entry), lineBytes), fetch.entry);
    Value last = e.icmp(P::eq, left, e.c(0));
    Value by = e.select(last, e.c(entryBytes), e.c(0));
    e.store(e.gep(fetch.entry, by, e.i8), fetch.cursor);
  });
}
