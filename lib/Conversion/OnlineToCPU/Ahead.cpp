//===- Ahead.cpp - What comes next is fetched while products run ----------===//
//
// In the last blocks of an item the steps of both products ask for one line
// each: of the rows that the item is about to store, then of the queries and
// the new keys and values of the item that comes next. A pass takes one column
// of lines, so that a step does no more than move a pointer.
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

/// Where the number of the next pass lies, behind the arrays and nothing.
int64_t KernelEmitter::passNumber() {
  return (fetchedArrays() + 1) * entryBytes;
}

int64_t KernelEmitter::aheadBytes() { return passNumber() + 8; }

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
  if (!fetchesAhead())
    return;
  aim(0, spec.out, firstRow);
  e.store(e.c(0), at(at_.ahead + passNumber()));
}

/// Every how many passes one fetches: as few as an item of few rows needs, so
/// that memory is asked evenly.
int64_t KernelEmitter::passesAFetch(int64_t columns, int64_t rowsAPass) {
  constexpr int64_t most = 4, fewRows = 64;
  int64_t m = std::min(spec.schedule.getM(), fewRows);
  int64_t groups = (std::min(m, blockKeys()) + valuePadded()) / e.group;
  int64_t passes = (m + e.lanes - 1) / e.lanes * groups;
  int64_t wanted = columns * ((m + rowsAPass - 1) / rowsAPass);
  return std::clamp<int64_t>(passes / wanted, 1, most);
}

/// What the next pass fetches, over a group of keys or over the keys for some
/// columns of the values: a column of lines.
LineFetch KernelEmitter::fetchOfPass() {
  int64_t longest = spec.valueDim;
  for (const DotSpec &dot : spec.dots)
    longest = std::max(longest, dot.dim);
  int64_t bytes = longest * spec.elementType.getIntOrFloatBitWidth() / 8;
  int64_t lines = std::max<int64_t>(1, (bytes + lineBytes - 1) / lineBytes);
  int64_t columns = fetchedArrays() * lines;
  int64_t rowsAPass = steps(spec.dots.front().dim);
  Value every = e.c(passesAFetch(columns, rowsAPass));

  Value counter = at(at_.ahead + passNumber());
  Value pass = e.load(e.i64, counter);
  e.store(e.select(nearEnd, e.add(pass, e.c(1)), e.c(0)), counter);
  Value fetches = e.land(nearEnd, e.icmp(P::eq, e.urem(pass, every), e.c(0)));
  pass = e.udiv(pass, every);
  Value row = e.mul(e.udiv(pass, e.c(columns)), e.c(rowsAPass));
  fetches = e.land(fetches, e.icmp(P::slt, row, rows));
  Value entry = e.udiv(e.urem(pass, e.c(columns)), e.c(lines));
  entry = e.select(fetches, entry, e.c(fetchedArrays()));
  Value from = e.gep(at(at_.ahead), e.mul(entry, e.c(entryBytes)), e.i8);
  Value stride = e.load(e.i64, e.gep(from, 8));
  Value base = e.gep(e.load(e.ptr, from), e.mul(row, stride), e.i8);
  Value line = e.mul(e.urem(pass, e.c(lines)), e.c(lineBytes));
  return {e.gep(base, line, e.i8), stride};
}

void KernelEmitter::fetchLine(const LineFetch &fetch, Value step) {
  constexpr uint32_t read = 0, toL2 = 2, data = 1;
  LLVM::Prefetch::create(e.b, e.loc,
                         e.gep(fetch.base, e.mul(step, fetch.stride), e.i8),
                         read, toL2, data);
}
