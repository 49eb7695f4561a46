//===- ShortRows.cpp - Rows of the short form in memory -------------------===//
//
// Groups of keys are read in place where their rows lie well, else copied to
// scratch. What a group needs is written into a table once a block and head.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// The address of a row of one (batch, head).
Value KernelEmitter::shortRow(online::ViewOp view, Value head, Value row) {
  const Buffer &buffer = bufferOf(view);
  Value first = batch;
  if (view.getPageTable()) {
    const Buffer *table = arguments->lookup(spec.pageTable);
    Value place =
        e.add(e.mul(batch, table->strides[0]), e.udiv(row, buffer.sizes[2]));
    first = e.load(e.i64, e.gep(table->data, place, e.i64));
    row = e.urem(row, buffer.sizes[2]);
  }
  Value offset =
      e.add(e.mul(first, buffer.strides[0]), e.mul(head, buffer.strides[1]));
  offset = e.add(offset, e.mul(row, buffer.strides[2]));
  Type element = cast<MemRefType>(view.getSource().getType()).getElementType();
  return e.gep(buffer.data, offset, element);
}

/// Rows from `key` on that lie in its page.
Value KernelEmitter::rowsLeftInPage(online::ViewOp view, Value key) {
  Value length = bufferOf(view).sizes[2];
  return e.sub(length, e.urem(key, length));
}

/// Copies keys from `key` on, page by page.
void KernelEmitter::callPackPages(online::ViewOp view, Value key, Value taken,
                                  int64_t dim, Value to, int64_t stride,
                                  Value paddedRows) {
  const Buffer &buffer = bufferOf(view);
  if (!view.getPageTable())
    return callPack(shortRow(view, keyHead, key), buffer, taken, dim, to,
                    stride, paddedRows);
  scf::WhileOp::create(
      e.b, e.loc, TypeRange{e.i64}, ValueRange{e.c(0)},
      [&](OpBuilder &, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToEnd(carried[0].getParentBlock());
        scf::ConditionOp::create(e.b, e.loc, e.icmp(P::slt, carried[0], taken),
                                 carried);
      },
      [&](OpBuilder &, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToEnd(carried[0].getParentBlock());
        Value done = carried[0], at = e.add(key, done);
        Value rows = e.min(rowsLeftInPage(view, at), e.sub(taken, done));
        Value next = e.add(done, rows);
        // The last piece brings the padding.
        Value padded =
            e.select(e.icmp(P::eq, next, taken), e.sub(paddedRows, done), rows);
        callPack(shortRow(view, keyHead, at), buffer, rows, dim,
                 e.gep(to, e.mul(done, e.c(stride)), packedType()), stride,
                 padded);
        scf::YieldOp::create(e.b, e.loc, next);
      });
}

/// The queries of the current head's rows, row after row, padded with zeros;
/// the factor of all products is folded in, where that does not round.
void KernelEmitter::packShortQueries() {
  for (unsigned i = 0; i < spec.dots.size(); ++i) {
    DotSpec &dot = spec.dots[i];
    int64_t columns = wideColumns(dot.dim);
    Value factor = pairs() ? Value() : productFactor();
    Value panels = e.ceilDiv(rows, e.lanes);
    e.loop(e.c(0), e.mul(panels, e.c(e.lanes)), 1, [&](Value row) {
      Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
      Value query = e.add(firstRow, tableEntry(at_.rowQueries, row));
      Value to =
          e.gep(state.queries[i], e.mul(row, e.c(columns)), packedType());
      callPack(shortRow(dot.query, head, query), bufferOf(dot.query), e.c(1),
               dot.dim, to, columns, e.c(1));
      if (!factor)
        return;
      e.loop(e.c(0), e.c(columns), wide(), [&](Value d) {
        Value address = e.gep(to, d, e.f);
        Value q = e.load(wideVec(e.f), address, e.scoreBytes());
        e.store(e.fmul(q, wideSplat(factor)), address, e.scoreBytes());
      });
    });
  }
}

/// The rows that a group fetches, from a key on; where they are not in one
/// piece or belong to another part its own, which are on their way anyhow.
Value KernelEmitter::rowsAhead(online::ViewOp view, Value head, Value key,
                               Value own) {
  Value inside = e.icmp(P::slt, key, partEnd);
  if (view.getPageTable()) { // the table may end where the keys do
    key = e.min(key, e.sub(liveKeys, e.c(1)));
    inside =
        e.land(inside, e.icmp(P::sge, rowsLeftInPage(view, key), e.c(e.group)));
  }
  return e.select(inside, shortRow(view, head, key), own);
}

/// The tables of a block and head.
void KernelEmitter::prepareShortBlock() {
  keyRows.clear();
  for (auto [i, dot] : llvm::enumerate(spec.dots))
    keyRows.push_back(prepareShortRows(dot.key, dot.dim, /*padRows=*/true,
                                       at_.packedKeys[i], at_.keyGroups[i]));
  valueRows = prepareShortRows(spec.value, spec.valueDim, /*padRows=*/false,
                               at_.packedValues, at_.valueGroups);
}

/// Makes the table of a block's groups. Rows stay in place where they have the
/// packed type, whole registers and unit columns; a group of keys that is not
/// whole is padded with zeros, since its products take all of it.
BlockRows KernelEmitter::prepareShortRows(online::ViewOp view, int64_t dim,
                                          bool padRows, int64_t packed,
                                          int64_t table) {
  const Buffer &buffer = bufferOf(view);
  int64_t stride = wideColumns(dim);
  bool mayStay = spec.elementType == packedType() && dim == stride;
  // The first keys fetch the block's values, these the keys that come next, of
  // the next head or block.
  bool toValues = view == spec.dots[0].key && spec.valueDim > 0;
  online::ViewOp next = view;
  if (toValues)
    next = spec.value;
  else if (view == spec.value)
    next = spec.dots[0].key;
  Value unit = e.icmp(P::eq, buffer.strides[3], e.c(1));
  e.loop(e.c(0), e.ceilDiv(count, e.group), 1, [&](Value number) {
    Value start = e.mul(number, e.c(e.group));
    Value key = e.add(blockStart, start);
    Value taken = e.min(e.sub(count, start), e.c(e.group));
    Value source = shortRow(view, keyHead, key);
    Value head = keyHead, wanted = key;
    if (!toValues) {
      Value last = e.icmp(P::eq, e.add(headNumber, e.c(1)), shape.heads);
      head = e.select(last, firstKeyHead, e.add(keyHead, e.c(1)));
      wanted = e.select(last, e.add(key, e.c(blockKeys())), key);
    }
    Value ahead = rowsAhead(next, head, wanted, source);
    auto pack = [&]() -> Values {
      Value to = e.gep(at(packed), e.mul(start, e.c(stride)), packedType());
      callPackPages(view, key, taken, dim, to, stride,
                    padRows ? e.c(e.group) : taken);
      return {to, e.c(stride)};
    };
    Values rows;
    if (mayStay) {
      Value stays = unit;
      if (padRows)
        stays = e.land(stays, e.icmp(P::eq, taken, e.c(e.group)));
      if (view.getPageTable())
        stays = e.land(stays, e.icmp(P::sge, rowsLeftInPage(view, key), taken));
      rows = e.branch(
          stays, {e.ptr, e.i64},
          [&]() -> Values { return {source, buffer.strides[2]}; }, pack);
    } else {
      rows = pack();
    }
    Value entry = e.gep(at(table), e.mul(number, e.c(24)), e.i8);
    rows.push_back(ahead);
    for (auto [i, value] : llvm::enumerate(rows))
      e.store(value, e.gep(entry, 8 * i));
  });
  return BlockRows{{}, {}, {}, {}, at(table), mayStay};
}

/// The last group is followed by what the first one fetches: keys by values,
/// values by the keys that come next.
GroupRows KernelEmitter::locateGroup(const BlockRows &rows,
                                     online::ViewOp ahead, Value group) {
  Value number = e.udiv(group, e.c(e.group)), after = e.add(number, e.c(1));
  Value entry = e.gep(rows.groups, e.mul(number, e.c(24)), e.i8);
  Value stride = e.load(e.i64, e.gep(entry, 8));
  Value last = e.icmp(P::eq, after, e.ceilDiv(count, e.group));
  Value next = e.select(last, e.c(16), e.mul(after, e.c(24)));
  return {e.load(e.ptr, entry), stride,
          e.load(e.ptr, e.gep(rows.groups, next, e.i8)),
          e.select(last, bufferOf(ahead).strides[2], stride)};
}

/// What a pass over a group fetches. The passes of all panels over a block
/// share what the block fetches, in the order of memory and evenly over their
/// steps: a machine does not read ahead of jumps, and memory that is asked for
/// in bursts rests between them.
Fetch KernelEmitter::beginFetch(const BlockRows &rows, online::ViewOp ahead,
                                int64_t columns, Value group,
                                int64_t groupSteps, Value pass, int64_t passes,
                                Value panel) {
  if (!rows.mayStay)
    return {};
  int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
  Fetch fetch;
  fetch.stride = e.mul(bufferOf(ahead).strides[2], e.c(bytes));
  fetch.rowLines = (columns * bytes + 63) / 64;
  int64_t all = e.group * fetch.rowLines, part = all / passes;
  fetch.lines = (part + groupSteps - 1) / groupSteps;
  Value number =
      e.mul(e.add(e.mul(panel, e.c(passes)), pass), e.c(blockKeys() / e.group));
  number = e.add(number, e.udiv(group, e.c(e.group)));
  Value line =
      LLVM::LShrOp::create(e.b, e.loc, e.mul(number, e.c(part)), fetchShift);
  Value groups = e.ceilDiv(count, e.group);
  line = e.min(line, e.sub(e.mul(groups, e.c(all)), e.c(part)));
  Value entry =
      e.gep(rows.groups, e.mul(e.udiv(line, e.c(all)), e.c(24)), e.i8);
  fetch.base = e.load(e.ptr, e.gep(entry, 16));
  fetch.base = lineOfRows(fetch, e.urem(line, e.c(all)));
  return fetch;
}

Value KernelEmitter::lineOfRows(const Fetch &fetch, Value line) {
  Value row = e.udiv(line, e.c(fetch.rowLines));
  Value within = e.mul(e.urem(line, e.c(fetch.rowLines)), e.c(64));
  return e.gep(e.gep(fetch.base, e.mul(row, fetch.stride), e.i8), within, e.i8);
}

/// Where panels share, neighbouring steps fetch a line twice: that costs less
/// than a branch.
void KernelEmitter::fetchAhead(const Fetch &fetch, Value step) {
  if (!fetch.base)
    return;
  Value line = e.mul(step, e.c(fetch.lines));
  line = LLVM::LShrOp::create(e.b, e.loc, line, fetchShift);
  Value address = lineOfRows(fetch, line);
  for (int64_t i = 0; i < fetch.lines; ++i)
    e.prefetch(e.gep(address, 64 * i));
}

/// How many keys before it is read a line is asked for again: enough for it to
/// arrive, and few enough for all such lines to be on their way at once. A core
/// that waits for as many as it can (124) drops what it is asked to fetch.
int64_t KernelEmitter::keysOfLead(int64_t rowBytes) {
  constexpr int64_t lines = 64, tile = 4;
  int64_t keys = lines * 64 / rowBytes / tile * tile;
  return std::clamp<int64_t>(keys, tile, e.group);
}

/// The rows that are read a lead after a key of a group.
Fetch KernelEmitter::beginAgain(const GroupRows &rows, int64_t rowBytes,
                                Value key) {
  int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
  key = e.add(key, e.c(keysOfLead(rowBytes)));
  Value own = e.icmp(P::slt, key, e.c(e.group));
  Fetch again;
  again.rowLines = (rowBytes + 63) / 64;
  again.stride = e.mul(e.select(own, rows.stride, rows.nextStride), e.c(bytes));
  Value row = e.select(own, key, e.sub(key, e.c(e.group)));
  again.base = e.gep(e.select(own, rows.base, rows.next),
                     e.mul(row, again.stride), e.i8);
  return again;
}

void KernelEmitter::fetchAgain(const Fetch &again, Value line, int64_t lines) {
  Value address = lineOfRows(again, line);
  for (int64_t i = 0; i < lines; ++i)
    e.prefetch(e.gep(address, 64 * i));
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// Stores the rows of a panel, which lie in the row buffer.
void KernelEmitter::storeShortPanel(Value panel, Value taken) {
  int64_t stride = valuePadded();
  const Buffer &out = bufferOf(spec.out);
  Value origin = s->scalar(spec.outStore.getRow());
  e.loop(e.c(0), taken, 1, [&](Value lane) {
    Value row = e.add(e.mul(panel, e.c(e.lanes)), lane);
    Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
    Value query = e.add(origin, tableEntry(at_.rowQueries, row));
    callHelper("_unpack",
               {e.gep(at(at_.rowBuffer), e.mul(lane, e.c(stride)), e.f),
                e.c(stride), e.c(1), e.c(spec.valueDim),
                shortRow(spec.out, head, query), out.strides[2],
                out.strides[3]});
  });
}

void KernelEmitter::storeShortLse(Value panel, Value taken) {
  Value origin = s->scalar(spec.lseStore.getRow());
  e.loop(e.c(0), taken, 1, [&](Value lane) {
    Value row = e.add(e.mul(panel, e.c(e.lanes)), lane);
    Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
    Value query = e.add(origin, tableEntry(at_.rowQueries, row));
    Value x = e.load(e.f, e.gep(at(at_.rowBuffer), lane, e.f));
    e.store(x, shortRow(spec.lse, head, query));
  });
}
