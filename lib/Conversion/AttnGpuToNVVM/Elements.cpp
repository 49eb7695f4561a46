//===- Elements.cpp - Elements of a mask, found on the device -------------===//
//
// A block finds the elements of one row of tiles: bounds decide spans of 32
// tiles, then the tiles of those that they leave open, then some pairs and
// where these agree all pairs of a tile. What it found is a list, or, beyond a
// list's end, a range.
//
//===----------------------------------------------------------------------===//

#include "VisibleKernel.h"

using namespace fovea::gpu;
namespace json = llvm::json;
using P = LLVM::ICmpPredicate;

namespace {
class ElementKernel : public VisibleKernel {
public:
  ElementKernel(const MaskParts &parts, int64_t tileRows, int64_t tileKeys,
                const ListSizes &lists, const HullSizes &sizes,
                json::Value offset)
      : VisibleKernel(parts, tileRows, tileKeys, lists, sizes),
        bounds(e, scalars, *this), offset(std::move(offset)) {
    threads = kWarps * 32;
    grid = this->lists.lists;
  }

private:
  static constexpr int64_t kWarps = 16;
  /// Words of shared memory: of 32 spans, what is seen, what is whole and what
  /// is open of each, and which are open; two lists.
  enum : int64_t {
    kSeen = 0,
    kWhole = 32,
    kOpen = 64,
    kOpenSpans = 96,
    kWholeList = 128,
    kOtherList = kWholeList + kMostListed,
    kWords = kOtherList + kMostListed
  };
  /// What is known of the row so far: its counts, and as a lane has seen them
  /// its ends.
  enum { WholeCount, OtherCount, FirstSeen, LastSeen, FirstWhole, LastWhole };

  void addArguments() override;
  void emitBody() override;
  void enterRow();
  Bound boundsOf(Value firstKey, Value lastKey, Value hullBase, Value index);
  void findSpans(Value chunk);
  void findTiles(Value span, Value place);
  void decideTiles(Value chunk);
  void decideTile(Value span, Value place, Value bit);
  std::pair<Value, Value> look(Value firstKey, Value keyCount);
  std::pair<Value, Value> scan(Value firstKey, Value endKey, Value seen,
                               Value hidden);
  std::pair<Value, Value> scanColumn(Value key, Value endKey);
  Value evaluatePair();
  Values append(Value chunk, ValueRange before);
  void listBits(Value word, Value first, Value place, int64_t list);
  void writeRow(ValueRange found);
  void writeHead(ArrayRef<Value> words);

  Value sharedAt(Value word) {
    return LLVM::GEPOp::create(e.b, e.loc, e.shared, e.i32, shared,
                               ArrayRef<LLVM::GEPArg>{word});
  }
  Value loadShared(Value word) {
    return LLVM::LoadOp::create(e.b, e.loc, e.i32, sharedAt(word), 4);
  }
  void storeShared(Value value, Value word) {
    LLVM::StoreOp::create(e.b, e.loc, value, sharedAt(word), 4);
  }
  void storeList(Value value, Value word) {
    LLVM::StoreOp::create(e.b, e.loc, value, gep(e.i32, target, e.sext(word)),
                          4);
  }
  Value ballot(Value condition) {
    return e.intrinsic("llvm.nvvm.vote.ballot.sync", e.i32,
                       {e.c(-1), condition});
  }
  Value isAny(Value condition) {
    return e.icmp(P::ne, ballot(condition), e.c(0));
  }
  Value invert(Value condition) { return e.lxor(condition, e.c(1, e.i1)); }
  Value isZero(Value value) { return e.icmp(P::eq, value, e.c(0)); }
  Value lowestBit(Value word) {
    return LLVM::CountTrailingZerosOp::create(e.b, e.loc, e.i32, word,
                                              /*is_zero_poison=*/false);
  }
  Value countBits(Value word) {
    return e.intrinsic("llvm.ctpop.i32", e.i32, word);
  }
  /// The lowest bits, 0 … 32 of them (more or less are cut).
  Value lowBits(Value count) {
    Value cut = e.smax(e.smin(count, e.c(32)), e.c(0));
    Value wide = e.add(e.shl(e.c(1, e.i64), e.zext(cut)), -1);
    return e.trunc(wide);
  }

  BoundEmitter bounds;
  json::Value offset;
  Value listBase, pitch, target, shared;
  Value thread, lane, warp, plane, row, firstRow, endRow;
  /// Tiles that the keys' end does not cut.
  Value uncut;
};
} // namespace

void ElementKernel::addArguments() {
  addMaskArguments();
  addArgument(e.global, json::Object{{"scratch", offset}}, listBase);
  addArgument(e.i64, json::Object{{"i64", lists.pitch}}, pitch);
}

void ElementKernel::enterRow() {
  Value number = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  thread = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  lane = e.land(thread, 31);
  warp = e.lshr(thread, 5);
  plane = e.udiv(number, rows);
  row = e.sub(number, e.mul(plane, rows));
  firstRow = e.mul(row, tileRows);
  endRow = e.smin(e.add(firstRow, tileRows), queries);
  uncut = e.udiv(keys, e.c(tileKeys));
  target = gep(e.i32, listBase, e.mul(e.sext(number), pitch));
  enterPlane(plane);
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

/// Of the mask, for the row's queries and these keys, whose hulls are those of
/// an index.
Bound ElementKernel::boundsOf(Value firstKey, Value lastKey, Value hullBase,
                              Value index) {
  DenseMap<Value, Bound> found;
  found[parts.row()] =
      bounds.positions(e.sext(firstRow), e.sext(e.add(endRow, -1)));
  found[parts.key()] = bounds.positions(e.sext(firstKey), e.sext(lastKey));
  auto load = [&](OnPosition on, Value base, Value at) {
    ArrayRef<Value> all = parts.getHulls(on);
    for (auto [i, value] : llvm::enumerate(all))
      found[value] =
          loadHull(value.getType(), hullAddress(base, at, all.size(), i));
  };
  load(OnRow, rowTiles, e.add(e.mul(plane, rows), row));
  load(OnKey, hullBase, index);
  auto get = [&](Value value) {
    auto it = found.find(value);
    if (it != found.end())
      return it->second;
    return isa<MemRefType>(value.getType()) ? Bound()
                                            : bounds.of(known.lookup(value));
  };
  for (Operation &op : parts.block().without_terminator()) {
    if (!parts.isBounded(&op))
      continue;
    SmallVector<Bound> operands = llvm::map_to_vector(op.getOperands(), get);
    found[op.getResult(0)] = bounds.evaluate(&op, operands);
  }
  return get(parts.result());
}

/// A lane's span of the chunk.
void ElementKernel::findSpans(Value chunk) {
  Value span = e.add(e.mul(chunk, kSpanTiles), lane);
  Value exists = e.icmp(P::slt, span, spans);
  Value own = e.smin(span, e.add(spans, -1));
  Value firstTile = e.mul(own, kSpanTiles),
        firstKey = e.mul(firstTile, tileKeys);
  Value endKey = e.smin(e.add(firstKey, kSpanTiles * tileKeys), keys);
  Bound visible = boundsOf(firstKey, e.add(endKey, -1), keySpans,
                           e.add(e.mul(plane, spans), own));
  Value some = e.land(exists, visible.high), all = e.land(some, visible.low);
  auto bits = [&](Value condition, Value end) {
    return e.select(condition, lowBits(e.sub(end, firstTile)), e.c(0));
  };
  storeShared(bits(some, elements), e.add(lane, kSeen));
  storeShared(bits(all, uncut), e.add(lane, kWhole));
  storeShared(e.c(0), e.add(lane, kOpen));
  Value open = ballot(e.land(some, invert(visible.low)));
  e.when(isZero(lane), [&] { storeShared(open, e.c(kOpenSpans)); });
}

/// A lane's tile of a span, which has this place in the chunk.
void ElementKernel::findTiles(Value span, Value place) {
  Value tile = e.add(e.mul(span, kSpanTiles), lane);
  Value exists = e.icmp(P::slt, tile, elements);
  Value own = e.smin(tile, e.add(elements, -1));
  Value firstKey = e.mul(own, tileKeys);
  Value endKey = e.smin(e.add(firstKey, tileKeys), keys);
  Bound visible = boundsOf(firstKey, e.add(endKey, -1), keyTiles,
                           e.add(e.mul(plane, elements), own));
  Value some = e.land(exists, visible.high), all = e.land(some, visible.low);
  Value seen = ballot(some);
  Value whole = ballot(e.land(all, e.icmp(P::slt, tile, uncut)));
  Value open = ballot(e.land(some, invert(visible.low)));
  e.when(isZero(lane), [&] {
    storeShared(seen, e.add(place, kSeen));
    storeShared(whole, e.add(place, kWhole));
    storeShared(open, e.add(place, kOpen));
  });
}

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

Value ElementKernel::evaluatePair() {
  evaluate({OnRow, OnBoth});
  return isBroken ? e.c(0, e.i1) : known.lookup(parts.result()).value;
}

/// 32 pairs, on the diagonals of the tile: whether one is visible, and whether
/// one is hidden.
std::pair<Value, Value> ElementKernel::look(Value firstKey, Value keyCount) {
  Value step = e.land(lane, 15);
  auto along = [&](Value count) {
    return e.udiv(e.mul(e.add(count, -1), step), e.c(15));
  };
  Value key = along(keyCount);
  Value isOther = e.icmp(P::ne, e.land(lane, 16), e.c(0));
  key = e.select(isOther, e.sub(e.add(keyCount, -1), key), key);
  setPosition(parts.key(), e.add(firstKey, key));
  setPosition(parts.row(), e.add(firstRow, along(e.sub(endRow, firstRow))));
  evaluate({OnKey});
  Value visible = evaluatePair();
  return {isAny(visible), isAny(invert(visible))};
}

/// All rows of a lane's key.
std::pair<Value, Value> ElementKernel::scanColumn(Value key, Value endKey) {
  setPosition(parts.key(), key);
  evaluate({OnKey});
  Value no = e.c(0, e.i1);
  Values found = loop(firstRow, endRow, 1, {no, no},
                      [&](Value position, ValueRange before) -> Values {
                        setPosition(parts.row(), position);
                        Value visible = evaluatePair();
                        return {e.lor(before[0], visible),
                                e.lor(before[1], invert(visible))};
                      });
  Value exists = e.icmp(P::slt, key, endKey);
  return {e.land(found[0], exists), e.land(found[1], exists)};
}

/// 32 keys at a time, until both kinds have been seen.
std::pair<Value, Value> ElementKernel::scan(Value firstKey, Value endKey,
                                            Value seen, Value hidden) {
  Block *head = e.block({e.i32, e.i1, e.i1}), *body = e.block(),
        *exit = e.block();
  e.br(head, {firstKey, seen, hidden});
  e.enter(head);
  Value first = head->getArgument(0), some = head->getArgument(1),
        other = head->getArgument(2);
  Value more = e.icmp(P::slt, first, endKey);
  e.condBr(e.land(more, invert(e.land(some, other))), body, {}, exit, {});
  e.enter(body);
  auto [visible, invisible] = scanColumn(e.add(first, lane), endKey);
  e.br(head, {e.add(first, 32), e.lor(some, isAny(visible)),
              e.lor(other, isAny(invisible))});
  e.enter(exit);
  return {some, other};
}

void ElementKernel::decideTile(Value span, Value place, Value bit) {
  Value tile = e.add(e.mul(span, kSpanTiles), bit);
  Value firstKey = e.mul(tile, tileKeys);
  Value endKey = e.smin(e.add(firstKey, tileKeys), keys);
  auto [seen, hidden] = look(firstKey, e.sub(endKey, firstKey));
  std::tie(seen, hidden) = scan(firstKey, endKey, seen, hidden);
  Value mark = e.shl(e.c(1), bit);
  Value isFull = e.land(invert(hidden), e.icmp(P::slt, tile, uncut));
  auto change = [&](Value condition, LLVM::AtomicBinOp kind, int64_t words,
                    Value value) {
    e.when(e.land(condition, isZero(lane)), [&] {
      LLVM::AtomicRMWOp::create(e.b, e.loc, kind, sharedAt(e.add(place, words)),
                                value, LLVM::AtomicOrdering::monotonic);
    });
  };
  change(invert(seen), LLVM::AtomicBinOp::_and, kSeen, e.lxor(mark, e.c(-1)));
  change(isFull, LLVM::AtomicBinOp::_or, kWhole, mark);
}

/// The open tiles of the chunk, in turn by the warps.
void ElementKernel::decideTiles(Value chunk) {
  auto bitsOf = [&](Value word, Value before,
                    function_ref<Value(Value, Value)> take) {
    Block *head = e.block({e.i32, e.i32}), *body = e.block(), *exit = e.block();
    e.br(head, {word, before});
    e.enter(head);
    Value rest = head->getArgument(0), count = head->getArgument(1);
    e.condBr(isZero(rest), exit, {}, body, {});
    e.enter(body);
    Value next = take(lowestBit(rest), count);
    e.br(head, {e.land(rest, e.add(rest, -1)), next});
    e.enter(exit);
    return count;
  };
  bitsOf(loadShared(e.c(kOpenSpans)), e.c(0), [&](Value place, Value before) {
    Value span = e.add(e.mul(chunk, 32), place);
    Value open = loadShared(e.add(place, kOpen));
    return bitsOf(open, before, [&](Value bit, Value count) {
      Value isOwn = e.icmp(P::eq, e.land(count, kWarps - 1), warp);
      e.when(isOwn, [&] { decideTile(span, place, bit); });
      return e.add(count, 1);
    });
  });
}

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

/// The tiles of a lane's word, from a place of a list on.
void ElementKernel::listBits(Value word, Value first, Value place,
                             int64_t list) {
  Block *head = e.block({e.i32, e.i32}), *body = e.block(), *exit = e.block();
  e.br(head, {word, place});
  e.enter(head);
  Value rest = head->getArgument(0), at = head->getArgument(1);
  Value fits = e.icmp(P::slt, at, e.c(kMostListed));
  e.condBr(e.land(fits, invert(isZero(rest))), body, {}, exit, {});
  e.enter(body);
  storeShared(e.add(first, lowestBit(rest)), e.add(at, list));
  e.br(head, {e.land(rest, e.add(rest, -1)), e.add(at, 1)});
  e.enter(exit);
}

/// What the chunk adds to the row. All warps count, one writes.
Values ElementKernel::append(Value chunk, ValueRange before) {
  Value seen = loadShared(e.add(lane, kSeen));
  Value whole = loadShared(e.add(lane, kWhole));
  Value other = e.land(seen, e.lxor(whole, e.c(-1)));
  Value own = e.lor(e.shl(countBits(whole), 16), countBits(other));
  Value sum = own;
  auto shuffle = [&](StringRef kind, Value value, Value lanes, int64_t clamp) {
    return e.intrinsic(("llvm.nvvm.shfl.sync." + kind + ".i32").str(), e.i32,
                       {e.c(-1), value, lanes, e.c(clamp)});
  };
  for (int64_t step = 1; step < 32; step *= 2) {
    Value below = shuffle("up", sum, e.c(step), 0);
    Value exists = e.icmp(P::sge, lane, e.c(step));
    sum = e.add(sum, e.select(exists, below, e.c(0)));
  }
  Value total = shuffle("idx", sum, e.c(31), 31), behind = e.sub(sum, own);
  auto high = [&](Value word) { return e.lshr(word, 16); };
  auto low = [&](Value word) { return e.land(word, 0xffff); };
  Value first = e.mul(e.add(e.mul(chunk, 32), lane), kSpanTiles);
  e.when(isZero(warp), [&] {
    listBits(whole, first, e.add(before[WholeCount], high(behind)), kWholeList);
    listBits(other, first, e.add(before[OtherCount], low(behind)), kOtherList);
  });
  auto earliest = [&](Value old, Value word) {
    Value bit = e.smin(old, e.add(first, lowestBit(word)));
    return e.select(isZero(word), old, bit);
  };
  auto latest = [&](Value old, Value word) {
    Value zeros = LLVM::CountLeadingZerosOp::create(e.b, e.loc, e.i32, word,
                                                    /*is_zero_poison=*/false);
    Value bit = e.sub(e.add(first, 31), zeros);
    return e.select(isZero(word), old, bit);
  };
  return {e.add(before[WholeCount], high(total)),
          e.add(before[OtherCount], low(total)),
          earliest(before[FirstSeen], seen),
          latest(before[LastSeen], seen),
          earliest(before[FirstWhole], whole),
          latest(before[LastWhole], whole)};
}

void ElementKernel::writeHead(ArrayRef<Value> words) {
  for (auto [i, word] : llvm::enumerate(words))
    storeList(word, e.c(i));
}

void ElementKernel::writeRow(ValueRange found) {
  auto ofAll = [&](StringRef kind, Value value) {
    return e.intrinsic(("llvm.nvvm.redux.sync." + kind).str(), e.i32,
                       {value, e.c(-1)});
  };
  Value firstSeen = ofAll("min", found[FirstSeen]);
  Value lastSeen = ofAll("max", found[LastSeen]);
  Value firstWhole = ofAll("min", found[FirstWhole]);
  Value lastWhole = ofAll("max", found[LastWhole]);
  Value whole = found[WholeCount];
  Value total = e.add(whole, found[OtherCount]);
  constexpr int64_t inFront = kHeadWords + kRangeWords;
  Value isListed = e.icmp(P::sle, total, e.c(kMostListed));
  Value leads = isZero(thread);
  e.when(e.land(leads, isListed), [&] {
    writeHead({whole, total, e.c(-1), e.c(0)});
    storeList(keys, e.add(total, inFront));
  });
  e.when(e.land(leads, invert(isListed)), [&] {
    // Whole elements that others part are walked as others are.
    Value run = e.add(e.sub(lastWhole, firstWhole), 1);
    Value isRun = e.icmp(P::eq, run, whole);
    writeHead({e.select(isRun, whole, e.c(0)),
               e.add(e.sub(lastSeen, firstSeen), 1), e.mul(firstSeen, tileKeys),
               e.select(isRun, e.mul(firstWhole, tileKeys), e.c(INT32_MAX))});
  });
  e.when(e.land(isListed, e.icmp(P::slt, thread, total)), [&] {
    Value isWhole = e.icmp(P::slt, thread, whole);
    Value place = e.select(isWhole, e.add(thread, kWholeList),
                           e.add(e.sub(thread, whole), kOtherList));
    storeList(e.mul(loadShared(place), tileKeys), e.add(thread, inFront));
  });
}

void ElementKernel::emitBody() {
  static_assert(kMostListed <= kWarps * 32, "a thread an element");
  shared = allocateShared(kWords);
  enterRow();
  Value chunks = e.lshr(e.add(spans, 31), 5);
  Value most = e.c(INT32_MAX), none = e.c(-1), zero = e.c(0);
  Values found =
      loop(zero, chunks, 1, {zero, zero, most, none, most, none},
           [&](Value chunk, ValueRange before) {
             e.when(isZero(warp), [&] { findSpans(chunk); });
             syncBlock();
             Value open = loadShared(e.c(kOpenSpans));
             loop(warp, e.c(32), kWarps, {}, [&](Value place, ValueRange) {
               Value bit = e.land(e.lshr(open, place), 1);
               e.when(invert(isZero(bit)), [&] {
                 findTiles(e.add(e.mul(chunk, 32), place), place);
               });
               return Values();
             });
             syncBlock();
             decideTiles(chunk);
             syncBlock();
             Values after = append(chunk, before);
             syncBlock();
             return after;
           });
  writeRow(found);
}

std::unique_ptr<PrologueKernel>
fovea::gpu::makeElementKernel(const MaskParts &parts, int64_t tileRows,
                              int64_t tileKeys, const ListSizes &lists,
                              const HullSizes &hulls, json::Value offset) {
  return std::make_unique<ElementKernel>(parts, tileRows, tileKeys, lists,
                                         hulls, std::move(offset));
}
