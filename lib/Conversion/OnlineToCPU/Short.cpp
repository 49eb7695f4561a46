//===- Short.cpp - Few queries, many keys ---------------------------------===//
//
// The short form of a kernel (a schedule with `split`). Row r of an item is the
// query r / G of head r % G, of the G heads of a key head; lanes are rows. The
// keys are cut into parts of `split`, each an item of a key head; the last part
// of a (batch, key head, tile) to be ready merges them all, in order. Where a
// token's or a page's heads lie together in memory the items of all key heads
// are neighbours, best computed at once: of a block first the keys of all, then
// the values, so that memory is read in order. Who computes which heads changes
// no result.
//
// Workspace: a counter for each merge, then a row state for each part.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/KernelABI.h"

#include <cstddef>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// What a panel of a head has of its own while a block is computed was reserved
/// from `firstOfPanel` on. Scratch goes on with that of every head, its queries
/// included; the tables of a block's groups; copies of rows for every head.
void KernelEmitter::layOutShort(int64_t firstOfPanel) {
  int64_t panels = maxPanels();
  int64_t vector = e.lanes * e.scoreBytes();
  int64_t rowBytes = valuePadded() * e.scoreBytes();
  at_.runCount = layout.reserve(8);
  if (shortTiles())
    at_.tileWeights = layout.reserve(blockKeys() * 2 * vector);
  at_.firstOfPanel = firstOfPanel;
  at_.panelBytes = layout.bytes() - firstOfPanel;
  at_.live = layout.reserve(8);
  at_.alpha = layout.reserve(vector);
  if (shortTiles()) {
    int64_t longest = 0;
    for (const DotSpec &dot : spec.dots)
      longest = std::max(longest, wideColumns(dot.dim));
    at_.queryRow = layout.reserve(longest * 2);
  }
  at_.partSegments = layout.reserve(64 * 24);
  if (spec.isOneRow()) {
    at_.sums = layout.reserve(e.group * wide() * e.scoreBytes());
  } else {
    at_.rowHeads = layout.reserve(panels * e.lanes * 8);
    at_.rowQueries = layout.reserve(panels * e.lanes * 8);
  }
  at_.factors = layout.reserve(2 * vector);
  at_.merged = layout.reserve(panels * panelRows() * rowBytes);
  at_.mergedMax = layout.reserve(panels * vector);
  at_.mergedSum = layout.reserve(panels * vector);
  if (joinsSeed())
    at_.joined = layout.reserve(e.lanes * rowBytes);
  int64_t packed = blockKeys() * packedType().getIntOrFloatBitWidth() / 8;
  for (const DotSpec &dot : spec.dots) {
    at_.packedKeys.push_back(at_.packedBytes);
    at_.packedBytes += padded(packed * wideColumns(dot.dim), 64);
  }
  at_.packedValues = at_.packedBytes;
  at_.packedBytes += padded(packed * valuePadded(), 64);
}

/// Sizes that follow from those of the arguments, alike in both functions.
void KernelEmitter::readShortShape(ArrayRef<Value> bounds) {
  const Buffer &keys = bufferOf(spec.dots[0].key);
  int64_t vector = e.lanes * e.scoreBytes();
  shape.group = spec.isOneRow() ? e.c(1) : e.max(s->scalar(spec.group), e.c(1));
  shape.keyHeads = e.udiv(bounds[1], shape.group);
  // The tile more than rows need is for rows past a length beside others.
  Value queries = bufferOf(spec.out).sizes[2];
  shape.tiles = e.min(bounds[2], queries);
  shape.keys = arguments->loadLongest();
  shape.parts = e.max(e.ceilDiv(shape.keys, spec.schedule.getSplit()), e.c(1));
  // Heads nearer to each other than tokens: read a token's heads together.
  auto magnitude = [&](Value x) { return e.max(x, e.sub(e.c(0), x)); };
  Value head = magnitude(keys.strides[1]), token = magnitude(keys.strides[2]);
  Value together =
      e.land(e.icmp(P::ne, head, e.c(0)), e.icmp(P::slt, head, token));
  // Pages hold all heads.
  Value all = spec.pageTable ? e.cbool(true) : together;
  shape.heads = e.select(all, e.max(shape.keyHeads, e.c(1)), e.c(1));
  shape.panels = e.c(1);
  if (!spec.isOneRow()) {
    Value rows = e.min(queries, e.c(spec.schedule.getM()));
    shape.panels =
        e.min(e.ceilDiv(e.mul(rows, shape.group), e.lanes), e.c(maxPanels()));
  }
  int64_t panelBytes =
      panelRows() * valuePadded() * e.scoreBytes() + 2 * vector;
  shape.slotBytes = e.mul(shape.panels, e.c(panelBytes));
  shape.slotBytes = e.mul(e.ceilDiv(shape.slotBytes, 64), e.c(64));
  shape.headBytes =
      e.add(shape.slotBytes, e.mul(shape.panels, e.c(at_.panelBytes)));
  for (const DotSpec &dot : spec.dots)
    shape.headBytes = e.add(shape.headBytes, shortQueryBytes(dot));
  int64_t groups = blockKeys() / e.group;
  shape.tableBytes = e.mul(e.add(shape.heads, e.c(1)), e.c(groups));
  shape.tableBytes = e.mul(e.ceilDiv(shape.tableBytes, 4), e.c(64));
  Value counters = e.mul(e.mul(bounds[0], shape.keyHeads), shape.tiles);
  shape.counterBytes = e.mul(e.ceilDiv(counters, 8), e.c(64));
}

/// Bytes of the packed queries of a head.
Value KernelEmitter::shortQueryBytes(const DotSpec &dot) {
  int64_t bytes = queryType().getIntOrFloatBitWidth() / 8;
  return e.mul(shape.panels, e.c(panelRows() * wideColumns(dot.dim) * bytes));
}

LogicalResult KernelEmitter::emitShortPlan(Value report,
                                           ArrayRef<Value> bounds) {
  readShortShape(bounds);
  int64_t tables = spec.dots.size() + 1;
  Value ofHeads = e.add(shape.headBytes, e.c(at_.packedBytes));
  Value scratchBytes = e.add(e.c(layout.bytes()), e.mul(shape.heads, ofHeads));
  scratchBytes = e.add(scratchBytes, e.mul(shape.tableBytes, e.c(tables)));
  e.store(scratchBytes, report);
  Value merges = e.mul(bounds[0], e.mul(shape.keyHeads, shape.tiles));
  Value states = e.mul(e.mul(merges, shape.parts), shape.slotBytes);
  e.store(e.add(shape.counterBytes, states),
          e.gep(report, offsetof(fovea_cpu_plan, workspace_bytes)));
  e.store(shape.counterBytes,
          e.gep(report, offsetof(fovea_cpu_plan, cleared_bytes)));
  e.store(shape.heads, e.gep(report, offsetof(fovea_cpu_plan, tile_items)));
  LLVM::ReturnOp::create(e.b, e.loc, e.mul(merges, shape.parts));
  return failure(s->broken());
}

/// origin + an entry of a row table, for every lane of a panel. One row is the
/// first of its head.
Lane KernelEmitter::tableLane(int64_t table, Value origin, Value panel) {
  if (spec.isOneRow())
    return Lane{origin, s->positions(), {}, 0};
  Value entries = e.loadLanes(at(table), e.mul(panel, e.c(e.lanes)), e.i64);
  Value rows = e.add(entries, e.splat(origin));
  if (spec.schedule.getIndexBits() != 32)
    return Lane{rows, {}, {}, 0};
  Type narrow = e.vec(e.b.getI32Type());
  rows = arith::TruncIOp::create(e.b, e.loc, narrow, rows);
  return Lane{rows, {0, (int64_t(1) << 30) + e.lanes}, {}, 0};
}

Value KernelEmitter::tableEntry(int64_t table, Value row) {
  if (spec.isOneRow())
    return e.c(0);
  return e.load(e.i64, e.gep(at(table), row, e.i64));
}

/// Head and query of each row; lanes past the last row repeat it.
void KernelEmitter::fillRowTable() {
  Value last = e.sub(rows, e.c(1));
  e.loop(e.c(0), e.mul(e.ceilDiv(rows, e.lanes), e.c(e.lanes)), 1,
         [&](Value lane) {
           Value row = e.min(lane, last);
           e.store(e.urem(row, shape.group),
                   e.gep(at(at_.rowHeads), lane, e.i64));
           e.store(e.udiv(row, shape.group),
                   e.gep(at(at_.rowQueries), lane, e.i64));
         });
}

/// Makes the `number`-th key head of the item the current one. Its state is in
/// scratch: what several threads write often must not be neighbours.
void KernelEmitter::enterHead(Value number) {
  keyHead = e.add(firstKeyHead, number);
  firstHead = e.mul(keyHead, shape.group);
  headScratch = e.gep(at(layout.bytes()), e.mul(number, shape.headBytes), e.i8);
  useState(headScratch);
  Value queries = e.gep(
      headScratch,
      e.add(shape.slotBytes, e.mul(shape.panels, e.c(at_.panelBytes))), e.i8);
  state.queries.clear();
  for (const DotSpec &dot : spec.dots) {
    state.queries.push_back(queries);
    queries = e.gep(queries, shortQueryBytes(dot), e.i8);
  }
}

/// Makes a state in memory the current one: output, maxima, sums.
void KernelEmitter::useState(Value address) {
  int64_t vector = e.lanes * e.scoreBytes();
  state.output = address;
  int64_t output = panelRows() * valuePadded() * e.scoreBytes();
  state.rowMax = e.gep(address, e.mul(shape.panels, e.c(output)), e.i8);
  state.rowSum = e.gep(state.rowMax, e.mul(shape.panels, e.c(vector)), e.i8);
}

/// Where the current head's state of a part waits for the merge.
Value KernelEmitter::slotOf(Value ofPart) {
  Value merge = e.add(e.mul(batch, shape.keyHeads), keyHead);
  merge = e.add(e.mul(merge, shape.tiles), tile);
  Value slot = e.add(e.mul(merge, shape.parts), ofPart);
  return e.gep(e.gep(shape.workspace, shape.counterBytes, e.i8),
               e.mul(slot, shape.slotBytes), e.i8);
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

/// Which heads of neighbours are among the items [first, last).
void KernelEmitter::chooseHeads(Value first, Value last, Value neighbours) {
  Value begin = e.mul(neighbours, shape.heads);
  firstKeyHead = e.max(e.sub(first, begin), e.c(0));
  Value end = e.min(e.sub(last, begin), shape.heads);
  itemHeads = e.sub(end, firstKeyHead);
}

/// Neighbours, of which some heads are chosen.
LogicalResult KernelEmitter::emitShortItem(Value neighbours, Value &nonFinite) {
  Block &body = spec.grid.getBody().front();
  part = e.urem(neighbours, shape.parts);
  Value rest = e.udiv(neighbours, shape.parts);
  tile = e.urem(rest, shape.tiles);
  rest = e.udiv(rest, shape.tiles);
  // Of heads that are computed one by one, or of all.
  Value blocks = e.udiv(shape.keyHeads, shape.heads);
  firstKeyHead = e.add(firstKeyHead, e.urem(rest, blocks));
  batch = e.udiv(rest, blocks);
  declareTiles();
  s->bindScalar(body.getArgument(0), batch, OnItem, s->positions());
  s->declare(body.getArgument(1), OnRow);
  s->bindScalar(body.getArgument(2), tile, OnItem, s->positions());
  if (failed(runTiles(OnItem)))
    return failure();

  firstRow = s->scalar(spec.dots[0].queryLoad.getRow());
  Value limit = bufferOf(spec.out).sizes[2];
  if (Value length = spec.out.getLength())
    limit = e.min(limit, s->scalar(length));
  Value queries = e.max(e.sub(limit, firstRow), e.c(0));
  rows = e.min(e.mul(queries, shape.group), e.c(spec.schedule.getM()));
  // Parts beyond a sequence's length do not exist.
  liveKeys = shape.keys;
  if (Value length = spec.dots[0].key.getLength())
    liveKeys = e.min(liveKeys, s->scalar(length));
  liveParts = e.max(e.ceilDiv(liveKeys, spec.schedule.getSplit()), e.c(1));
  Value panels = e.ceilDiv(rows, e.lanes);
  Value some = e.icmp(P::sgt, rows, e.c(0));
  if (spec.isOneRow())
    rows = e.c(1);
  fetchShift = e.add(e.select(e.icmp(P::sgt, panels, e.c(1)), e.c(1), e.c(0)),
                     e.select(e.icmp(P::sgt, panels, e.c(3)), e.c(1), e.c(0)));
  Value live = e.land(some, e.icmp(P::slt, part, liveParts));
  LogicalResult status = success();
  nonFinite = e.branch(
      live, {e.i64},
      [&]() -> Values {
        Value bad = e.c(0);
        s->push();
        if (failed(emitShortPart(bad)))
          status = failure();
        s->pop();
        return {bad};
      },
      [&]() -> Values { return {e.c(0)}; })[0];
  return status;
}

/// One part: its states for every head of the item; the last one merges.
LogicalResult KernelEmitter::emitShortPart(Value &nonFinite) {
  if (!spec.isOneRow())
    fillRowTable();
  e.loop(e.c(0), itemHeads, 1, [&](Value number) {
    enterHead(number);
    packShortQueries();
    clearState();
  });
  if (failed(emitShortWalk()))
    return failure();
  LogicalResult status = success();
  nonFinite = e.loop(e.c(0), itemHeads, e.c(1), {e.c(0)},
                     [&](Value number, ValueRange carried) -> Values {
                       Value bad = e.c(0);
                       enterHead(number);
                       leaveState(slotOf(part));
                       if (failed(emitMerge(number, bad)))
                         status = failure();
                       return {e.lor(carried[0], bad)};
                     })[0];
  return status;
}

/// Two registers of columns from one of even ones and one of odd ones.
std::pair<Value, Value> KernelEmitter::joinLanes(Value even, Value odd) {
  SmallVector<int32_t> low, high;
  for (int64_t i = 0; i < wide(); ++i) {
    low.push_back(i / 2 + i % 2 * wide());
    high.push_back(low.back() + wide() / 2);
  }
  return {e.shuffle(even, odd, low), e.shuffle(even, odd, high)};
}

/// Copies the current head's state to where it waits for the merge; columns
/// that widening took apart are in order from here on.
void KernelEmitter::leaveState(Value slot) {
  int64_t bytes = wide() * e.scoreBytes();
  auto load = [&](Value i) {
    return e.load(wideVec(e.f), e.gep(headScratch, i, e.i8), bytes);
  };
  auto store = [&](Value x, Value i) {
    e.store(x, e.gep(slot, i, e.i8), bytes);
  };
  Value from = e.c(0);
  if (shortTiles()) {
    from = leaveTiles(slot);
  } else if (splitsLanes()) {
    from =
        e.mul(shape.panels, e.c(panelRows() * valuePadded() * e.scoreBytes()));
    e.loop(e.c(0), from, 2 * bytes, [&](Value i) {
      Value second = e.add(i, e.c(bytes));
      std::pair<Value, Value> joined = joinLanes(load(i), load(second));
      store(joined.first, i);
      store(joined.second, second);
    });
  }
  e.loop(from, shape.slotBytes, bytes, [&](Value i) { store(load(i), i); });
}

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

/// Whether a value is computed from another within a block.
static bool dependsOn(Value value, Value source,
                      llvm::SmallPtrSetImpl<Operation *> &seen) {
  if (value == source)
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != source.getParentBlock() ||
      !seen.insert(op).second)
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return dependsOn(operand, source, seen);
  });
}

/// The least begin and the greatest end over the intervals of all heads.
LogicalResult KernelEmitter::joinHeadBounds(ArrayRef<Value> begins,
                                            ArrayRef<Value> ends, Value &begin,
                                            Value &end) {
  Value head = spec.grid.getBody().front().getArgument(1);
  LogicalResult status = success();
  Value first = e.mul(firstKeyHead, shape.group);
  Values joined = e.loop(
      first, e.add(first, e.mul(itemHeads, shape.group)), e.c(1),
      {e.c(INT64_MAX), e.c(0)}, [&](Value h, ValueRange carried) -> Values {
        Value low = carried[0], high = carried[1];
        s->push();
        s->bindScalar(head, h, OnItem, s->positions());
        if (failed(runTiles(OnItem)))
          status = failure();
        for (auto [from, to] : llvm::zip(begins, ends)) {
          Value some = e.icmp(P::slt, s->scalar(from), s->scalar(to));
          low = e.select(some, e.min(low, s->scalar(from)), low);
          high = e.select(some, e.max(high, s->scalar(to)), high);
        }
        s->pop();
        return {low, high};
      });
  s->declare(head, OnRow);
  begin = joined[0];
  end = joined[1];
  // What depended on the head is to be computed for each lane again.
  return failed(status) ? failure() : runTiles(OnItem);
}

/// Runs the block body over what of the walk lies in the part.
LogicalResult KernelEmitter::emitShortWalk() {
  Values begins, ends;
  SmallVector<bool> full;
  if (auto scan = dyn_cast<online::WalkScanOp>(spec.walk)) {
    begins = {scan.getBegin()};
    ends = {scan.getEnd()};
    full = {false};
  } else if (auto segments = dyn_cast<online::WalkSegmentsOp>(spec.walk)) {
    begins = llvm::to_vector(segments.getBegins());
    ends = llvm::to_vector(segments.getEnds());
    for (unsigned i = 0; i < begins.size(); ++i)
      full.push_back(segments.getSegmentClass(i) == online::ClassKind::Full);
  } else {
    return spec.sweep.emitOpError("walk is not lowered by the CPU target");
  }
  if (failed(checkSegments(begins.size())))
    return failure();
  Values all = begins;
  all.append(ends);
  Value head = spec.grid.getBody().front().getArgument(1);
  llvm::SmallPtrSet<Operation *, 16> seen;
  if (llvm::any_of(all, [&](Value v) { return dependsOn(v, head, seen); })) {
    // Rows of several heads share the element: the mask tells them apart.
    Value begin, end;
    if (failed(joinHeadBounds(begins, ends, begin, end)))
      return failure();
    // Blocks begin where they do for any choice of heads.
    begins = {e.sub(begin, e.urem(begin, e.c(blockKeys())))};
    ends = {end};
    full = {false};
  } else {
    for (Value &value : llvm::concat<Value>(begins, ends))
      value = s->scalar(value);
  }
  Value partBegin = e.mul(part, e.c(spec.schedule.getSplit()));
  partEnd = e.add(partBegin, e.c(spec.schedule.getSplit()));
  LogicalResult status = success();
  auto emitBlocks = [&](Value begin, Value end, Value isFull) {
    int64_t keys = blockKeys();
    e.loop(begin, end, keys, [&](Value n0) {
      Value taken = e.min(e.sub(end, n0), e.c(keys));
      if (failed(emitShortBlock(n0, taken, isFull)))
        status = failure();
    });
  };
  for (auto [begin, end] : llvm::zip(begins, ends)) {
    begin = e.max(begin, partBegin);
    end = e.min(end, partEnd);
  }
  if (begins.size() == 1) {
    emitBlocks(begins[0], ends[0], e.cbool(full[0]));
    return status;
  }
  Value table = at(at_.partSegments);
  for (unsigned i = 0; i < begins.size(); ++i) {
    e.store(begins[i], e.gep(table, 24 * i));
    e.store(ends[i], e.gep(table, 24 * i + 8));
    e.store(e.c(full[i]), e.gep(table, 24 * i + 16));
  }
  e.loop(e.c(0), e.c(begins.size()), 1, [&](Value i) {
    Value entry = e.gep(table, e.mul(i, e.c(24)), e.i8);
    Value isFull = e.icmp(P::ne, e.load(e.i64, e.gep(entry, 16)), e.c(0));
    emitBlocks(e.load(e.i64, entry), e.load(e.i64, e.gep(entry, 8)), isFull);
  });
  return status;
}

/// Runs a body for the rows of a panel that are there.
void KernelEmitter::forRows(Value taken, function_ref<void(Value)> body) {
  if (spec.isOneRow())
    return body(e.c(0));
  e.loop(e.c(0), taken, 1, body);
}

/// Runs a body for each panel of the current head.
void KernelEmitter::forPanels(function_ref<void(Value)> body) {
  auto enter = [&](Value panel) {
    Value offset =
        e.sub(e.mul(panel, e.c(at_.panelBytes)), e.c(at_.firstOfPanel));
    offset = e.add(offset, shape.slotBytes);
    panelScratch = e.gep(headScratch, offset, e.i8);
    body(panel);
  };
  if (spec.isOneRow())
    enter(e.c(0));
  else
    e.loop(e.c(0), e.ceilDiv(rows, e.lanes), 1, enter);
  panelScratch = scratch;
}

/// The same for those that see a key of the block.
void KernelEmitter::forLivePanels(function_ref<void(Value)> body) {
  forPanels([&](Value panel) {
    runCount = e.load(e.i64, ofPanel(at_.runCount));
    e.when(e.icmp(P::ne, runCount, e.c(0)), [&]() { body(panel); });
  });
}

/// Enters the heads that are computed at once, one after the other.
void KernelEmitter::forHeadsAtOnce(function_ref<void(Value)> body) {
  auto enter = [&](Value head) {
    enterHead(head);
    body(head);
  };
  if (spec.isOneRow())
    e.loop(e.c(0), headsAtOnce, 1, enter);
  else
    enter(firstAtOnce);
}

/// Runs a body for each group of keys of the block and each head that is
/// computed at once, with the group's number in a table.
void KernelEmitter::forGroupsOfHeads(
    function_ref<void(Value, Value, Value)> body) {
  e.loop(e.c(0), e.ceilDiv(count, e.group), 1, [&](Value group) {
    forHeadsAtOnce([&](Value head) {
      Value number = e.add(e.mul(group, headsAtOnce), e.sub(head, firstAtOnce));
      body(e.mul(group, e.c(e.group)), head, number);
    });
  });
}

/// The keys of several heads, their weights, their values. One row takes all
/// heads at once: where a page or a token holds all heads, memory is read in
/// order. More rows take one head after the other, and fetch meanwhile.
LogicalResult KernelEmitter::emitShortBlock(Value n0, Value taken, Value full) {
  LogicalResult status = enterBlock(n0, taken);
  auto emit = [&](Value first, Value heads) {
    firstAtOnce = first;
    headsAtOnce = heads;
    if (failed(emitShortHeads(full)))
      status = failure();
  };
  if (spec.isOneRow())
    emit(e.c(0), itemHeads);
  else
    e.loop(e.c(0), itemHeads, 1, [&](Value head) { emit(head, e.c(1)); });
  s->pop();
  return status;
}

LogicalResult KernelEmitter::emitShortHeads(Value full) {
  LogicalResult status = success();
  auto withRows = [&](Value panel, function_ref<LogicalResult(Value)> emit) {
    s->push();
    bindRows(panel);
    if (failed(status) || failed(runTiles(OnBlock | OnRow)) ||
        failed(emit(panel)))
      status = failure();
    s->pop();
  };
  e.store(e.c(0), at(at_.live));
  forHeadsAtOnce([&](Value) {
    forPanels([&](Value panel) {
      withRows(panel, [&](Value own) { return emitShortRuns(own, full); });
    });
  });
  e.when(e.icmp(P::ne, e.load(e.i64, at(at_.live)), e.c(0)), [&]() {
    prepareShortBlock();
    forProducts(
        [&](Value panel) { emitShortGroups(panel); },
        [&](Value group, Value number) { emitOneRowScores(group, number); });
    forHeadsAtOnce([&](Value) {
      forLivePanels([&](Value panel) {
        withRows(panel, [&](Value own) { return emitShortScores(own); });
      });
    });
    forProducts(
        [&](Value panel) {
          shortTiles() ? emitShortTileValues(panel) : emitShortValues(panel);
        },
        [&](Value group, Value number) { emitOneRowValues(group, number); });
  });
  return status;
}

/// Runs the products of the block: of several rows panel by panel, of one row
/// group by group and head by head.
void KernelEmitter::forProducts(function_ref<void(Value)> ofPanel,
                                function_ref<void(Value, Value)> ofGroup) {
  if (!spec.isOneRow())
    return forHeadsAtOnce([&](Value) { forLivePanels(ofPanel); });
  forGroupsOfHeads([&](Value group, Value, Value number) {
    forLivePanels([&](Value) { ofGroup(group, number); });
  });
}

/// Which keys of the block a panel sees.
LogicalResult KernelEmitter::emitShortRuns(Value panel, Value full) {
  LogicalResult status = success();
  Value runs = e.branch(
      full, {e.i64},
      [&]() -> Values {
        emitFullRuns();
        return {e.c(1)};
      },
      [&]() -> Values {
        Value masked = e.c(1);
        if (failed(emitMaskedRuns(panel, e.c(0), masked)))
          status = failure();
        return {masked};
      })[0];
  e.store(runs, ofPanel(at_.runCount));
  Value live = at(at_.live);
  e.store(e.lor(e.load(e.i64, live), runs), live);
  return status;
}

/// Weights of a panel's keys; what its values are so far takes its factor.
LogicalResult KernelEmitter::emitShortScores(Value panel) {
  Value rowMax, alpha;
  if (failed(emitScores(panel, rowMax)) ||
      failed(emitWeights(panel, rowMax, alpha)))
    return failure();
  if (shortTiles())
    packTileWeights();
  if (!alpha || valuePadded() == 0)
    return success();
  if (!shortTiles()) {
    rescaleRows(panel, alpha);
    return success();
  }
  // Tiles would wait for what is stored. Most maxima stay.
  Value changes = e.fcmp(arith::CmpFPredicate::UNE, alpha, e.vc(1.0));
  Value none =
      arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.word, 0));
  e.when(e.icmp(P::ne, e.maskToWord(changes), none),
         [&]() { rescaleTiles(panel, alpha); });
  return success();
}
