//===- ShortRows.cpp - Rows of the short form in memory -------------------===//
//
// Groups of keys are read in place where their rows lie well, else copied to
// scratch. Where those of a block's groups lie is written into tables.
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
void KernelEmitter::callPackPages(online::ViewOp view, Value head, Value key,
                                  Value taken, int64_t dim, Value to,
                                  int64_t stride, Value paddedRows) {
  const Buffer &buffer = bufferOf(view);
  if (!view.getPageTable())
    return callPack(shortRow(view, head, key), buffer, taken, dim, to, stride,
                    paddedRows);
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
        callPack(shortRow(view, head, at), buffer, rows, dim,
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

/// The rows of a head from a key on, to be fetched; others, which are on their
/// way anyhow, where they are not in one piece or belong to another part.
Value KernelEmitter::rowsAhead(online::ViewOp view, Value head, Value key,
                               Value others) {
  Value inside = e.icmp(P::slt, key, partEnd);
  if (view.getPageTable()) { // the table may end where the keys do
    key = e.min(key, e.sub(liveKeys, e.c(1)));
    inside =
        e.land(inside, e.icmp(P::sge, rowsLeftInPage(view, key), e.c(e.group)));
  }
  return e.select(inside, shortRow(view, head, key), others);
}

/// The tables of a block.
void KernelEmitter::prepareShortBlock() {
  Value table =
      e.gep(at(layout.bytes()), e.mul(shape.heads, shape.headBytes), e.i8);
  Value packed =
      e.gep(table, e.mul(shape.tableBytes, e.c(spec.dots.size() + 1)), e.i8);
  keyRows.clear();
  for (auto [i, dot] : llvm::enumerate(spec.dots)) {
    keyRows.push_back(prepareShortRows(dot.key, dot.dim, /*padRows=*/true,
                                       e.gep(packed, at_.packedKeys[i]),
                                       table));
    table = e.gep(table, shape.tableBytes, e.i8);
  }
  valueRows = prepareShortRows(spec.value, spec.valueDim, /*padRows=*/false,
                               e.gep(packed, at_.packedValues), table);
}

/// Makes the table of a block's groups, all heads of a group after each other.
/// Rows stay in place where they have the packed type, whole registers and unit
/// columns; a group of keys that is not whole is padded with zeros, since its
/// products take all of it.
BlockRows KernelEmitter::prepareShortRows(online::ViewOp view, int64_t dim,
                                          bool padRows, Value packed,
                                          Value table) {
  const Buffer &buffer = bufferOf(view);
  int64_t stride = wideColumns(dim);
  bool mayStay = spec.elementType == packedType() && dim == stride;
  Value unit = e.icmp(P::eq, buffer.strides[3], e.c(1));
  auto entry = [&](Value number) {
    return e.gep(table, e.mul(number, e.c(kGroupBytes)), e.i8);
  };
  auto keyOf = [&](Value number) {
    return e.mul(e.udiv(number, headsAtOnce), e.c(e.group));
  };
  auto headOf = [&](Value number, Value first) {
    return e.add(first, e.urem(number, headsAtOnce));
  };
  auto enter = [&](Value number, Value base, Value rowStride) {
    e.store(base, entry(number));
    e.store(rowStride, e.gep(entry(number), 8));
  };
  Value ahead = e.ceilDiv(count, e.group), groups = e.mul(ahead, headsAtOnce);
  e.loop(e.c(0), groups, 1, [&](Value number) {
    Value start = keyOf(number), own = headOf(number, firstAtOnce);
    Value head = e.add(firstKeyHead, own);
    Value key = e.add(blockStart, start);
    Value taken = e.min(e.sub(count, start), e.c(e.group));
    Value source = shortRow(view, head, key);
    auto pack = [&]() -> Values {
      Value to = e.gep(packed, e.mul(own, e.c(at_.packedBytes)), e.i8);
      to = e.gep(to, e.mul(start, e.c(stride)), packedType());
      callPackPages(view, head, key, taken, dim, to, stride,
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
    enter(number, rows[0], rows[1]);
  });
  if (!mayStay)
    return BlockRows{{}, {}, {}, {}, table, mayStay};
  // What is read after them, as many groups: values after the first keys, else
  // the keys of the next heads or block.
  bool toValues = view == spec.dots[0].key && spec.valueDim > 0;
  online::ViewOp next = toValues             ? spec.value
                        : view == spec.value ? spec.dots[0].key
                                             : view;
  Value first = firstAtOnce, start = blockStart;
  if (!toValues) {
    first = e.add(first, headsAtOnce);
    Value last = e.icmp(P::eq, first, shape.heads);
    first = e.select(last, e.c(0), first);
    start = e.select(last, e.add(start, e.c(blockKeys())), start);
  }
  first = e.add(firstKeyHead, first);
  Value others = e.load(e.ptr, table);
  e.loop(e.c(0), ahead, 1, [&](Value number) {
    Value key = e.add(start, keyOf(number));
    enter(e.add(groups, number),
          rowsAhead(next, headOf(number, first), key, others),
          bufferOf(next).strides[2]);
  });
  return BlockRows{{}, {}, {}, {}, table, mayStay};
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
/// for at once.
Values KernelEmitter::forRowsAhead(const GroupRows &rows, int64_t rowBytes,
                                   Value keys, int64_t step, ValueRange init,
                                   RowBody body) {
  int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
  int64_t lead = llvm::bit_floor(uint64_t(keysOfLead(rowBytes)));
  Value stride = e.mul(rows.stride, e.c(bytes)), nextStride = stride;
  if (rows.next)
    nextStride = e.mul(rows.nextStride, e.c(bytes));
  return e.loop(e.c(0), keys, e.c(lead), init,
                [&](Value start, ValueRange outer) -> Values {
                  Value after = e.add(start, e.c(lead));
                  Value own = e.icmp(P::slt, after, e.c(e.group));
                  auto rowAt = [&](Value row) {
                    return e.gep(rows.base, e.mul(row, stride), e.i8);
                  };
                  Value again = rowAt(after), againStride = stride;
                  if (rows.next) {
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
                                      rows.next && line < rowBytes; line += 64)
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
