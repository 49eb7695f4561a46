//===- Ahead.cpp - What comes next is fetched while products run ----------===//
//
// In the last blocks of an item each step of the values asks for one line: of
// the rows that the item is about to store, then of the queries and the new
// keys and values of the item that comes next. A pass over the keys takes one
// column of lines, so that a step does no more than move a pointer.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/KernelABI.h"

#include <cstddef>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// An array to fetch: address, bytes from row to row. The one after the last
/// stays where it is.
static constexpr int64_t lineBytes = 64, entryBytes = 16;

/// Exact kernels run where speed does not matter; AMX has no such passes.
bool KernelEmitter::fetchesAhead() {
  return !isShort() && !amx() && !spec.schedule.getExact();
}

/// The output, values, queries and keys of each product.
int64_t KernelEmitter::fetchedArrays() {
  return 2 + 2 * static_cast<int64_t>(spec.dots.size());
}

int64_t KernelEmitter::aheadBytes() {
  return (fetchedArrays() + 1) * entryBytes;
}

void KernelEmitter::aim(int64_t entry, online::ViewOp view, Value row) {
  int64_t bytes = spec.elementType.getIntOrFloatBitWidth() / 8;
  Value to = at(at_.ahead + entry * entryBytes);
  e.store(tensorRows(view, row), to);
  e.store(e.mul(bufferOf(view).strides[2], e.c(bytes)), e.gep(to, 8));
}

/// Where the keys begin that the bound item reads for the first time. Items
/// with segments run backwards, others forwards.
Value KernelEmitter::firstNewKey() {
  if (!readsTileRuns()) {
    auto segments = dyn_cast<online::WalkSegmentsOp>(spec.walk);
    return segments && !segments.getBegins().empty()
               ? s->scalar(segments.getBegins()[0])
               : e.c(0);
  }
  Value b, h, tile, begin, end;
  locateTileRuns(b, h, tile, begin, end);
  auto none = [&]() -> Values { return {e.c(0)}; };
  Value last = e.branch(
      e.icmp(P::slt, begin, end), {e.i64},
      [&]() -> Values {
        std::pair<Value, Value> runs = tileRunsOf(b, h, tile);
        return e.branch(
            e.icmp(P::slt, runs.first, runs.second), {e.i64},
            [&]() -> Values {
              return {endOfTileRun(loadTileRun(lastTileRun(runs)))};
            },
            none);
      },
      none)[0];
  Value keys =
      e.min(e.c(spec.schedule.getM()),
            tileRunField(e.i64, offsetof(fovea_cpu_tile_runs, query_tile)));
  return e.max(e.sub(e.min(last, end), keys), e.c(0));
}

/// Notes what an item reads first.
LogicalResult KernelEmitter::aimAhead(Value item, ArrayRef<Value> bounds) {
  if (!fetchesAhead())
    return success();
  s->push();
  LogicalResult status = bindItem(item, bounds);
  if (succeeded(status)) {
    int64_t entry = 1;
    Value key = firstNewKey();
    for (DotSpec &dot : spec.dots) {
      aim(entry++, dot.query, s->scalar(dot.queryLoad.getRow()));
      aim(entry++, dot.key, key);
    }
    aim(entry++, spec.value, key);
    Value nothing = at(at_.ahead + entry * entryBytes);
    e.store(nothing, nothing);
    e.store(e.c(0), e.gep(nothing, 8));
  }
  s->pop();
  return status;
}

/// Notes where the item that runs stores its rows.
void KernelEmitter::aimOutput() {
  if (fetchesAhead())
    aim(0, spec.out, firstRow);
}

/// What a pass of a panel over the keys of a block fetches.
LineFetch KernelEmitter::fetchOfPass(Value panel, Value column) {
  int64_t longest = spec.valueDim;
  for (const DotSpec &dot : spec.dots)
    longest = std::max(longest, dot.dim);
  int64_t bytes = longest * spec.elementType.getIntOrFloatBitWidth() / 8;
  Value lines = e.c(std::max<int64_t>(1, (bytes + lineBytes - 1) / lineBytes));
  Value pass = e.add(e.mul(panel, e.c(valuePadded() / e.group)),
                     e.udiv(column, e.c(e.group)));
  Value entry = e.udiv(pass, lines), nothing = e.c(fetchedArrays());
  Value line = e.sub(pass, e.mul(entry, lines));
  entry = e.select(nearEnd, e.min(entry, nothing), nothing);
  Value from = e.gep(at(at_.ahead), e.mul(entry, e.c(entryBytes)), e.i8);
  Value base = e.gep(e.load(e.ptr, from), e.mul(line, e.c(lineBytes)), e.i8);
  return {base, e.load(e.i64, e.gep(from, 8))};
}

void KernelEmitter::fetchLine(const LineFetch &fetch, Value step) {
  constexpr uint32_t read = 0, toL2 = 2, data = 1;
  LLVM::Prefetch::create(e.b, e.loc,
                         e.gep(fetch.base, e.mul(step, fetch.stride), e.i8),
                         read, toL2, data);
}
