//===- ShortRows.cpp - Rows of the short form in memory -------------------===//
//
// Groups of keys are read in place where their rows lie well, else copied to
// scratch. Where those of a block's groups lie is written into tables.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// Where a key is: its batch or page, and the row in it.
std::pair<Value, Value> KernelEmitter::placeOfKey(Value key) {
  if (!spec.pageTable)
    return {batch, key};
  const Buffer *table = arguments->lookup(spec.pageTable);
  Value length = bufferOf(spec.value).sizes[2];
  Value entry = e.add(e.mul(batch, table->strides[0]), e.udiv(key, length));
  return {e.load(e.i64, e.gep(table->data, entry, e.i64)), e.urem(key, length)};
}

/// The address of a row of a head.
Value KernelEmitter::shortRow(online::ViewOp view, Value head,
                              std::pair<Value, Value> place) {
  const Buffer &buffer = bufferOf(view);
  Value offset = e.add(e.mul(place.first, buffer.strides[0]),
                       e.mul(head, buffer.strides[1]));
  offset = e.add(offset, e.mul(place.second, buffer.strides[2]));
  Type element = cast<MemRefType>(view.getSource().getType()).getElementType();
  return e.gep(buffer.data, offset, element);
}

/// Rows that its page has from a place on.
Value KernelEmitter::rowsLeftInPage(std::pair<Value, Value> place) {
  return e.sub(bufferOf(spec.value).sizes[2], place.second);
}

/// Copies rows from a key on, page by page.
void KernelEmitter::callPackPages(online::ViewOp view, Value head, Value key,
                                  Value taken, int64_t dim, Value to,
                                  int64_t stride, Value paddedRows) {
  const Buffer &buffer = bufferOf(view);
  if (!spec.pageTable)
    return callPack(shortRow(view, head, {batch, key}), buffer, taken, dim, to,
                    stride, paddedRows);
  const Buffer *table = arguments->lookup(spec.pageTable);
  Value pages = e.gep(table->data, e.mul(batch, table->strides[0]), e.i64);
  Value data =
      e.gep(buffer.data, e.mul(head, buffer.strides[1]), spec.elementType);
  callHelper("_pack_pages", {data, buffer.strides[0], buffer.strides[2],
                             buffer.strides[3], pages, buffer.sizes[2], key,
                             taken, e.c(dim), to, e.c(stride), paddedRows});
}

/// The queries of the current head's rows, row after row, padded with zeros;
/// the factor of all products is folded in, where that does not round.
void KernelEmitter::packShortQueries() {
  if (shortTiles())
    return packTileQueries();
  for (unsigned i = 0; i < spec.dots.size(); ++i) {
    DotSpec &dot = spec.dots[i];
    int64_t columns = wideColumns(dot.dim);
    int64_t halfBytes = columns * 2;
    Value factor = pairs() ? Value() : productFactor(dot);
    Value padded = e.mul(e.ceilDiv(rows, panelRows()), e.c(panelRows()));
    e.loop(e.c(0), padded, 1, [&](Value row) {
      Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
      Value query = e.add(firstRow, tableEntry(at_.rowQueries, row));
      Value to = e.gep(state.queries[i], e.mul(row, e.c(columns)), queryType());
      // What is widened fills the second half of its row before.
      Value packed = widens() ? e.gep(to, halfBytes) : to;
      callPack(shortRow(dot.query, head, {batch, query}), bufferOf(dot.query),
               e.c(1), dot.dim, packed, columns, e.c(1));
      if (!factor && !widens())
        return;
      e.loop(e.c(0), e.c(columns), wide() * operandParts(), [&](Value d) {
        Values parts = loadOperand(e.gep(packed, d, packedType()));
        Value address = e.gep(to, d, e.f);
        for (auto [part, q] : llvm::enumerate(parts)) {
          if (factor)
            q = e.fmul(q, wideSplat(factor));
          e.store(q, part ? e.gep(address, wide() * e.scoreBytes()) : address,
                  e.scoreBytes());
        }
      });
    });
  }
}

/// The rows of a head from a key on, to be fetched; others, which are on their
/// way anyhow, where they are not in one piece or belong to another part.
Value KernelEmitter::rowsAhead(online::ViewOp view, Value head, Value key,
                               Value others) {
  Value inside = e.icmp(P::slt, key, partEnd);
  if (!spec.pageTable)
    return e.select(inside, shortRow(view, head, {batch, key}), others);
  // The table may end where the keys do.
  auto place = placeOfKey(e.min(key, e.sub(liveKeys, e.c(1))));
  Value whole = e.icmp(P::sge, rowsLeftInPage(place), e.c(e.group));
  return e.select(e.land(inside, whole), shortRow(view, head, place), others);
}

/// An entry of a table.
void KernelEmitter::enterRows(const BlockRows &rows, Value number, Value base,
                              Value stride) {
  Value entry = e.gep(rows.groups, e.mul(number, e.c(kGroupBytes)), e.i8);
  e.store(base, entry);
  e.store(stride, e.gep(entry, 8));
}

/// The rows of a group. They stay in place where they have the packed type,
/// whole registers and unit columns; a group of keys that is not whole is
/// padded with zeros, since its products take all of it. So is one of values
/// where tiles multiply.
Values KernelEmitter::locateRows(const ShortRows &rows, const ShortGroup &group,
                                 Value source) {
  const Buffer &buffer = bufferOf(rows.view);
  int64_t stride = wideColumns(rows.dim);
  bool takesAll = rows.isKeys || shortTiles();
  auto pack = [&]() -> Values {
    Value to = e.gep(packedRows, e.mul(group.head, e.c(at_.packedBytes)), e.i8);
    to = e.gep(e.gep(to, rows.packed), e.mul(group.start, e.c(stride)),
               packedType());
    callPackPages(rows.view, e.add(firstKeyHead, group.head), group.key,
                  group.taken, rows.dim, to, stride,
                  takesAll ? e.c(e.group) : group.taken);
    return {to, e.c(stride)};
  };
  if (!rows.table.mayStay)
    return pack();
  Value stays = e.icmp(P::eq, buffer.strides[3], e.c(1));
  if (takesAll)
    stays = e.land(stays, e.icmp(P::eq, group.taken, e.c(e.group)));
  if (spec.pageTable)
    stays =
        e.land(stays, e.icmp(P::sge, rowsLeftInPage(group.place), group.taken));
  return e.branch(
      stays, {e.ptr, e.i64},
      [&]() -> Values { return {source, buffer.strides[2]}; }, pack);
}

/// Makes the tables of a block's groups, all heads of a group after each other.
/// What is read after them follows: as many groups, or one of one row.
void KernelEmitter::prepareShortBlock() {
  SmallVector<ShortRows, 2> all = layOutTables();
  auto sourcesAt = [&](Value head, std::pair<Value, Value> place) {
    Values sources;
    for (const ShortRows &rows : all)
      sources.push_back(shortRow(rows.view, head, place));
    return sources;
  };
  forGroupsOfHeads([&](Value start, Value head, Value number) {
    ShortGroup group{start,
                     head,
                     e.add(blockStart, start),
                     e.min(e.sub(count, start), e.c(e.group)),
                     {}};
    group.place = placeOfKey(group.key);
    Values sources = sourcesAt(e.add(firstKeyHead, head), group.place);
    for (auto [rows, source] : llvm::zip(all, sources)) {
      Values found = locateRows(rows, group, source);
      enterRows(rows.table, number, found[0], found[1]);
    }
    if (!spec.isOneRow())
      enterRowsAhead(all, sources, start, number);
  });
  if (spec.isOneRow())
    enterRowsAhead(all, sourcesAt(firstKeyHead, placeOfKey(blockStart)), e.c(0),
                   e.c(0));
}

/// The entry of a group that is read after those of the block: values after the
/// first keys, else the keys of the next heads or block.
void KernelEmitter::enterRowsAhead(ArrayRef<ShortRows> all,
                                   ArrayRef<Value> sources, Value start,
                                   Value number) {
  Value head = firstKeyHead, block = e.add(blockStart, e.c(blockKeys()));
  if (!spec.isOneRow()) {
    Value next = e.add(firstAtOnce, e.c(1));
    Value last = e.icmp(P::eq, next, itemHeads);
    head = e.add(head, e.select(last, e.c(0), next));
    block = e.select(last, block, blockStart);
  }
  number = e.add(number, e.mul(e.ceilDiv(count, e.group), headsAtOnce));
  for (auto [i, rows] : llvm::enumerate(all)) {
    if (!rows.table.mayStay)
      continue;
    bool toValues = i == 0 && spec.valueDim > 0;
    const ShortRows &next = toValues      ? all.back()
                            : rows.isKeys ? rows
                                          : all.front();
    Value ahead = sources.back();
    if (!toValues)
      ahead = rowsAhead(next.view, head, e.add(block, start), sources[i]);
    enterRows(rows.table, number, ahead, bufferOf(next.view).strides[2]);
  }
}

/// The tables of keys and values, which follow the scratch of heads, and where
/// rows are copied to.
SmallVector<ShortRows, 2> KernelEmitter::layOutTables() {
  Value table =
      e.gep(at(layout.bytes()), e.mul(shape.heads, shape.headBytes), e.i8);
  SmallVector<ShortRows, 2> all;
  auto add = [&](online::ViewOp view, int64_t dim, int64_t packed,
                 bool isKeys) {
    bool mayStay = spec.elementType == packedType() && dim == wideColumns(dim);
    all.push_back(
        {view, dim, packed, isKeys, BlockRows{{}, {}, {}, {}, table, mayStay}});
    table = e.gep(table, shape.tableBytes, e.i8);
    return all.back().table;
  };
  keyRows.clear();
  for (auto [dot, packed] : llvm::zip(spec.dots, at_.packedKeys))
    keyRows.push_back(add(dot.key, dot.dim, packed, /*isKeys=*/true));
  valueRows =
      add(spec.value, spec.valueDim, at_.packedValues, /*isKeys=*/false);
  packedRows = table;
  return all;
}

/// A group by its number in the table, and what follows it.
GroupRows KernelEmitter::locateGroup(const BlockRows &rows, Value number) {
  Value entry = e.gep(rows.groups, e.mul(number, e.c(kGroupBytes)), e.i8);
  GroupRows found{e.load(e.ptr, entry), e.load(e.i64, e.gep(entry, 8)), {}, {}};
  if (rows.mayStay) {
    found.next = e.load(e.ptr, e.gep(entry, kGroupBytes));
    found.nextStride = e.load(e.i64, e.gep(entry, kGroupBytes + 8));
  }
  return found;
}

/// What a pass over a group fetches. The passes of all panels over a block
/// share what follows it, in the order of memory and evenly over their steps: a
/// machine does not read ahead of jumps, and memory that is asked for in bursts
/// rests between them.
Fetch KernelEmitter::beginFetch(const BlockRows &rows, int64_t columns,
                                Value group, int64_t groupSteps, Value pass,
                                int64_t passes, Value panel) {
  if (!rows.mayStay)
    return {};
  int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
  Fetch fetch;
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
  Value entry = e.mul(e.add(groups, e.udiv(line, e.c(all))), e.c(kGroupBytes));
  entry = e.gep(rows.groups, entry, e.i8);
  fetch.base = e.load(e.ptr, entry);
  fetch.stride = e.mul(e.load(e.i64, e.gep(entry, 8)), e.c(bytes));
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

/// The lines of a pass whose steps are too short to fetch some each: what that
/// takes is as much as two registers of 32 bytes.
void KernelEmitter::fetchLines(const Fetch &fetch, Value number) {
  if (!fetch.base)
    return;
  auto start = [&](Value of) {
    return LLVM::LShrOp::create(e.b, e.loc, e.mul(of, e.c(fetch.lines)),
                                fetchShift);
  };
  int64_t most = 4;
  while (fetch.rowLines % most != 0)
    most /= 2;
  e.loop(start(number), start(e.add(number, e.c(1))), most, [&](Value line) {
    Value address = lineOfRows(fetch, line);
    for (int64_t i = 0; i < most; ++i)
      e.prefetch(e.gep(address, 64 * i));
  });
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

/// Runs a body for rows of a group, some a step; meanwhile those a lead later
/// are fetched. The fewer instructions a line takes, the more lines a core asks
/// for at once: with registers of 32 bytes a load and a fetch of each line ask
/// for fewer than the loads alone, unless elements are widened.
Values KernelEmitter::forRowsAhead(const GroupRows &rows, int64_t rowBytes,
                                   Value keys, int64_t step, ValueRange init,
                                   RowBody body) {
  int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
  bool fetches = rows.next && (wide() * e.scoreBytes() > 32 || widens());
  int64_t lead = fetches ? llvm::bit_floor(uint64_t(keysOfLead(rowBytes)))
                         : int64_t(e.group);
  Value stride = e.mul(rows.stride, e.c(bytes)), nextStride = stride;
  if (fetches)
    nextStride = e.mul(rows.nextStride, e.c(bytes));
  return e.loop(e.c(0), keys, e.c(lead), init,
                [&](Value start, ValueRange outer) -> Values {
                  Value after = e.add(start, e.c(lead));
                  Value own = e.icmp(P::slt, after, e.c(e.group));
                  auto rowAt = [&](Value row) {
                    return e.gep(rows.base, e.mul(row, stride), e.i8);
                  };
                  Value again = rowAt(after), againStride = stride;
                  if (fetches) {
                    again = e.select(own, again, rows.next);
                    againStride = e.select(own, stride, nextStride);
                  }
                  Values carried = llvm::to_vector(outer);
                  carried.append({rowAt(start), again});
                  carried =
                      e.loop(start, e.min(after, keys), e.c(step), carried,
                             [&](Value key, ValueRange inner) -> Values {
                               Value row = inner[inner.size() - 2],
                                     ahead = inner.back();
                               for (int64_t i = 0; i < step; ++i) {
                                 for (int64_t line = 0;
                                      fetches && line < rowBytes; line += 64)
                                   e.prefetch(e.gep(ahead, line));
                                 ahead = e.gep(ahead, againStride, e.i8);
                               }
                               Values next = body(key, row, inner.drop_back(2));
                               row = e.gep(row, e.mul(stride, e.c(step)), e.i8);
                               next.append({row, ahead});
                               return next;
                             });
                  carried.pop_back_n(2);
                  return carried;
                });
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// The address of a row of the output and its column stride.
std::pair<Value, Value> KernelEmitter::outputOfRow(Value panel, Value lane) {
  Value row = e.add(e.mul(panel, e.c(e.lanes)), lane);
  Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
  Value query =
      e.add(s->scalar(spec.outStore.getRow()), tableEntry(at_.rowQueries, row));
  return {shortRow(spec.out, head, {batch, query}),
          bufferOf(spec.out).strides[3]};
}

/// Where a square of columns lies in a row of values: in pairs those of 32
/// columns lie as unpacking left them.
Value KernelEmitter::placeOfSquare(Value square) {
  if (!pairs())
    return square;
  Value chunk = e.mul(e.udiv(square, e.c(8)), e.c(8));
  Value odd = e.mul(e.urem(square, e.c(2)), e.c(4));
  Value even = e.udiv(e.urem(square, e.c(8)), e.c(2));
  return e.add(chunk, e.add(odd, even));
}

/// Stores the merged rows of a panel, each times its factor. Returns whether
/// one of them is not finite.
Value KernelEmitter::storeMergedRows(Value panel, Value taken) {
  int64_t columns = valuePadded();
  auto storeRow = [&](Value lane, ValueRange met) -> Values {
    Value row = e.add(e.mul(panel, e.c(panelRows())), lane);
    Value from = e.gep(state.output, e.mul(row, e.c(columns)), e.f);
    if (pairs()) {
      Value buffer = at(at_.rowBuffer);
      e.loop(e.c(0), e.c(columns / e.lanes), 1, [&](Value square) {
        e.storeRow(e.loadRow(from, placeOfSquare(square)), buffer, square);
      });
      from = buffer;
    }
    auto [to, stride] = outputOfRow(panel, lane);
    Values operands = {
        from, e.c(columns), e.c(1), e.c(spec.valueDim),
        to,   e.c(0),       stride, e.gep(at(at_.rowFactors), lane, e.f)};
    auto call = LLVM::CallOp::create(e.b, e.loc, TypeRange{e.i64},
                                     name + "_unpack", operands);
    return {e.lor(met[0], call.getResult())};
  };
  return e.loop(e.c(0), taken, e.c(1), {e.c(0)}, storeRow)[0];
}

/// Stores the rows of a panel, which lie in the row buffer.
void KernelEmitter::storeShortPanel(Value panel, Value taken) {
  int64_t stride = valuePadded();
  forRows(taken, [&](Value lane) {
    auto [to, columnStride] = outputOfRow(panel, lane);
    callHelper("_unpack",
               {e.gep(at(at_.rowBuffer), e.mul(lane, e.c(stride)), e.f),
                e.c(stride), e.c(1), e.c(spec.valueDim), to, e.c(0),
                columnStride});
  });
}

void KernelEmitter::storeShortLse(Value panel, Value taken) {
  Value origin = s->scalar(spec.lseStore.getRow());
  forRows(taken, [&](Value lane) {
    Value row = e.add(e.mul(panel, e.c(e.lanes)), lane);
    Value head = e.add(firstHead, tableEntry(at_.rowHeads, row));
    Value query = e.add(origin, tableEntry(at_.rowQueries, row));
    Value x = e.load(e.f, e.gep(at(at_.rowBuffer), lane, e.f));
    e.store(x, shortRow(spec.lse, head, {batch, query}));
  });
}
