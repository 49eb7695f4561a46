//===- Joints.cpp - Rows of a block mask as one list ----------------------===//
//
// A kernel of one block a query tile runs before and writes the joint list of
// the rows of its warpgroups, in the order of `joint.count`. Its warps first
// count what the rows of the tile's window have, by which these are shared out.
// Then each has a part of the elements, whose classes are read twice: to count
// each kind, which gives every element's place by arithmetic, and to write; and
// a part of the places. Who reads an element, and where each row's next one is,
// follows from the last place to the first.
//
//===----------------------------------------------------------------------===//

#include "ClassKernel.h"

using namespace fovea::gpu;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

void KernelEmitter::emitJointCount(JointCountOp op) {
  Value offset = listRow(op.getRow());
  for (auto [index, result] : llvm::enumerate(op.getResults()))
    known[result] =
        scalars.index(loadListWord(e.add(offset, index)), 0, kMaxPosition);
}

/// One load of 16 bytes.
void KernelEmitter::emitJointElement(JointElementOp op) {
  Value words = e.add(e.mul(e.sext(known[op.getElement()].value), kJointWords),
                      jointHeadWords(op.getLinks().size()));
  Value address = LLVM::GEPOp::create(
      e.b, e.loc, e.global, e.i32, listBase,
      ArrayRef<LLVM::GEPArg>{e.add(listRow(op.getRow()), words)});
  Type type = VectorType::get(kJointWords, e.i32);
  auto load = LLVM::LoadOp::create(e.b, e.loc, type, address, 16);
  load.setInvariant(true);
  for (auto [index, result] : llvm::enumerate(op.getResults())) {
    Value word = LLVM::ExtractElementOp::create(e.b, e.loc, load, e.c(index));
    known[result] = scalars.index(word, 0, kMaxIndex);
  }
}

//===----------------------------------------------------------------------===//
// The kernel that writes the lists
//===----------------------------------------------------------------------===//

namespace {
/// A block's work on one query tile. A kind of elements is who has it, a bit a
/// group, and whether it is whole for all of them.
class JointKernel : public ClassKernel {
public:
  JointKernel(MLIRContext *context, const ListInfo &list, json::Value offset)
      : ClassKernel(context, list, std::move(offset)), groups(list.groups),
        all((1 << list.groups) - 1), turns(getJointTurns(list.groups)) {
    threads = 32 * kWarps;
  }

private:
  /// 32 elements: the lane's one, as what each group has of it.
  struct Chunk {
    Value n0, owners, isWhole, has[kMostJointGroups], full[kMostJointGroups];
  };
  /// Of each kind: numbers of whole ones and of others, by who has them.
  struct Counts {
    Values whole, others;
  };
  /// What is known of a group from the places behind a chunk; `start` is the
  /// place it reads first, twice, plus whether that is whole.
  struct Behind {
    Value next, reads, whole, start;
  };
  /// A warp's chunks of 32.
  struct Part {
    Value begin, end;
  };

  void addArguments() override;
  void emitBody() override;
  void findTile();
  Value maskRow(Value number);
  void findLengths(Value first);
  void shareOut(Value first);
  void findRows();
  Values loadKinds(Value first);
  Chunk readChunk(Value first, ValueRange kinds);
  Element readOf(int64_t group, Value kind, Value element, Value n0);
  Values countKinds(ValueRange before,
                    function_ref<void(const Chunk &, const Counts &)> visit);
  std::pair<Values, Values> addUp(ValueRange own);
  void measure(Counts counts);
  void write(const Chunk &chunk, const Counts &ranks);
  std::pair<Value, Value> loadElement(Value place);
  Values findBehind(Part part);
  SmallVector<Behind, 3> linkPart(Part part, ValueRange next);
  Value link(int64_t group, Value flags, Value place, Value first,
             Behind &behind);
  void writeHead(ArrayRef<Behind> found);

  Counts split(ValueRange flat) {
    return {Values(flat.take_front(all)), Values(flat.drop_front(all))};
  }
  /// Of as many chunks as there are things.
  Part partOf(Value things) {
    Value chunks = e.lshr(e.add(things, 31), 5);
    Value each = e.udiv(e.add(chunks, kWarps - 1), e.c(kWarps));
    Value begin = e.smin(e.mul(warp, each), chunks);
    return {begin, e.smin(e.add(begin, each), chunks)};
  }

  Value wordOf(Value place) {
    return e.add(e.mul(place, kJointWords), jointHeadWords(groups));
  }
  void store(Value condition, Value word, ArrayRef<Value> values);
  Value sharedWord(Value place) {
    return LLVM::GEPOp::create(e.b, e.loc, e.shared, e.i32, shared,
                               ArrayRef<LLVM::GEPArg>{place});
  }
  Value loadShared(Value place) {
    return LLVM::LoadOp::create(e.b, e.loc, e.i32, sharedWord(place), 4);
  }
  /// A warp's words, at places from `area` on.
  void storeShared(int64_t area, ValueRange words) {
    Value first = e.add(e.mul(warp, int64_t(words.size())), area);
    for (auto [i, word] : llvm::enumerate(words))
      LLVM::StoreOp::create(e.b, e.loc, word,
                            sharedWord(e.add(first, int64_t(i))), 4);
  }
  Value bit(Value word, int64_t place) {
    return e.icmp(P::ne, e.land(word, int64_t(1) << place), e.c(0));
  }
  Value ballot(Value condition) {
    return e.intrinsic("llvm.nvvm.vote.ballot.sync", e.i32,
                       {e.c(-1), condition});
  }
  Value ones(Value word) { return e.intrinsic("llvm.ctpop.i32", e.i32, word); }
  /// Of a word that is not zero.
  Value lowest(Value word) {
    return LLVM::CountTrailingZerosOp::create(e.b, e.loc, e.i32, word, false);
  }
  Value mod(Value x, int64_t y) {
    return e.sub(x, e.mul(e.udiv(x, e.c(y)), y));
  }

  /// Bits of an element's flags, ahead of its links: who has it, of a full
  /// tile, and whether it is whole for all of them.
  static constexpr int64_t kFullBit = 4, kWholeBit = 8;
  /// A warp counts the rows of one tile of a window.
  static constexpr int64_t kWarps = kJointWindow;
  /// Chunks of classes that are read at once where only their number counts.
  static constexpr int64_t kAtOnce = 8;
  /// Words about a group's part of the places.
  static constexpr int64_t kFoundWords = 3;
  static constexpr int32_t kNowhere = INT32_MAX;

  int64_t groups, all;
  ArrayRef<int64_t> turns;
  /// Of a window: how many rows its tiles have.
  int64_t width() const { return groups * kJointWindow; }
  /// Areas of shared memory: lengths of rows, numbers of kinds, first places,
  /// and what is found of groups.
  int64_t kindsArea() const { return width(); }
  int64_t placesArea() const { return kindsArea() + kWarps * 2 * all; }
  int64_t foundArea() const { return placesArea() + kWarps * groups; }
  int64_t sharedWords() const {
    return foundArea() + kWarps * groups * kFoundWords;
  }

  Value queryTile, maskRows, shared, warp;
  /// Of the groups: numbers of their rows of 64 queries, and their classes.
  Values numbers, sources, exists;

  // Without what comes first.
  Counts counts;
  Value firstIsWhole, firstIsOther, wholeBegin, othersBegin, uses, isNone;
};
} // namespace

void JointKernel::addArguments() {
  ClassKernel::addArguments();
  addArgument(e.i32, json::Object{{"i32", "BQ"}}, queryTile);
  addArgument(e.i32, json::Object{{"i32", json::Array{"ceildiv", "M", "BQ"}}},
              maskRows);
}

void JointKernel::findTile() {
  Value thread = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  Value number = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  lane = e.land(thread, 31);
  warp = e.lshr(thread, 5);
  Value plane = e.udiv(number, rows);
  enterPlane(plane);
  setTile(plane, e.sub(number, e.mul(plane, rows)));
  Value window = e.udiv(tile, e.c(int64_t(kJointWindow)));
  Value first = e.mul(window, width());
  findLengths(first);
  syncBlock();
  shareOut(first);
}

/// The row of the mask that a row of 64 queries lies in.
Value JointKernel::maskRow(Value number) {
  return e.udiv(e.mul(number, kGroupRows), queryTile);
}

/// How many elements rows have, a warp as many rows as there are groups: -1
/// behind the last query, more than any behind the last tile.
void JointKernel::findLengths(Value first) {
  Value mine = e.add(first, e.mul(warp, groups));
  numbers.clear();
  for (int64_t g = 0; g < groups; ++g)
    numbers.push_back(e.add(mine, g));
  findRows();
  Values counted =
      loop(e.c(0), elements, 32 * kAtOnce, Values(groups, e.c(0)),
           [&](Value begin, ValueRange carried) {
             SmallVector<Values> kinds;
             for (int64_t i = 0; i < kAtOnce; ++i)
               kinds.push_back(loadKinds(e.add(begin, 32 * i)));
             Values next(carried);
             for (auto [i, chunk] : llvm::enumerate(kinds)) {
               Value element = e.add(e.add(begin, int64_t(32 * i)), lane);
               for (int64_t g = 0; g < groups; ++g)
                 next[g] = e.add(
                     next[g], ones(ballot(decode(chunk[g], element).isSeen)));
             }
             return next;
           });
  Values lengths;
  for (int64_t g = 0; g < groups; ++g) {
    Value length = e.select(exists[g], counted[g], e.c(-1));
    Value isOfTile = less(numbers[g], e.mul(rows, groups));
    lengths.push_back(e.select(isOfTile, length, e.c(INT32_MAX)));
  }
  storeShared(0, lengths);
}

/// The groups' rows: the fewest elements first, equal ones as they are
/// numbered. A lane a row.
void JointKernel::shareOut(Value first) {
  Value own = loadShared(e.smin(lane, e.c(width() - 1))), place = e.c(0);
  for (int64_t other = 0; other < width(); ++other) {
    Value length = loadShared(e.c(other));
    Value isAhead = both(equal(length, own), less(e.c(other), lane));
    place = e.add(place, number(either(less(length, own), isAhead)));
  }
  Value isRow = less(lane, e.c(width()));
  Value begin =
      e.mul(e.sub(tile, e.mul(e.udiv(tile, e.c(kJointWindow)), kJointWindow)),
            groups);
  numbers.clear();
  for (int64_t g = 0; g < groups; ++g) {
    Value isOwn = both(isRow, equal(place, e.add(begin, g)));
    numbers.push_back(e.add(first, lowest(ballot(isOwn))));
  }
  findRows();
}

void JointKernel::findRows() {
  sources.clear();
  exists.clear();
  for (Value number : numbers) {
    Value row = maskRow(number);
    exists.push_back(less(row, maskRows));
    sources.push_back(findRow(e.select(exists.back(), row, e.c(0))));
  }
}

/// Where the mask holds on all of a group's rows, an element is as of a full
/// tile.
ClassKernel::Element JointKernel::readOf(int64_t group, Value kind,
                                         Value element, Value n0) {
  Element found = decode(kind, element);
  if (list.visible.empty())
    return found;
  Value m0 = e.mul(numbers[group], kGroupRows);
  Value isVisible = both(found.isSeen, emitHoldsOn(e, list.visible, m0,
                                                   kGroupRows, n0, list.step));
  found.isFull = either(found.isFull, isVisible);
  found.isWhole = both(found.isFull, found.isUncut);
  return found;
}

/// The classes of 32 elements, the lane's one of each group; a round ahead, as
/// nothing should wait for them.
Values JointKernel::loadKinds(Value first) {
  Values kinds;
  for (Value source : sources)
    kinds.push_back(load(source, e.add(first, lane)));
  return kinds;
}

JointKernel::Chunk JointKernel::readChunk(Value first, ValueRange kinds) {
  Chunk chunk;
  Value element = e.add(first, lane);
  chunk.n0 = e.mul(element, list.step);
  chunk.owners = e.c(0);
  chunk.isWhole = e.c(1, e.i1);
  for (int64_t g = 0; g < groups; ++g) {
    Element found = readOf(g, kinds[g], element, chunk.n0);
    chunk.has[g] = both(found.isSeen, exists[g]);
    chunk.full[g] = both(found.isFull, exists[g]);
    chunk.isWhole =
        both(chunk.isWhole, either(no(chunk.has[g]), found.isWhole));
    chunk.owners = e.lor(chunk.owners, e.shl(number(chunk.has[g]), g));
  }
  return chunk;
}

/// Runs over the warp's elements; `visit` is given a chunk and each kind's rank
/// of the lane. Returns how many there are of each kind, and `before` more.
Values JointKernel::countKinds(
    ValueRange before,
    function_ref<void(const Chunk &, const Counts &)> visit) {
  Part part = partOf(elements);
  Value begin = e.shl(part.begin, 5);
  Values inits = loadKinds(begin);
  llvm::append_range(inits, before);
  Values counted =
      loop(begin, e.shl(part.end, 5), 32, inits,
           [&](Value first, ValueRange carried) {
             Values next = loadKinds(e.add(first, 32)), ranks;
             Chunk chunk = readChunk(first, carried.take_front(groups));
             ValueRange before = carried.drop_front(groups);
             for (auto [index, count] : llvm::enumerate(before)) {
               Value isOf = equal(chunk.owners, int64_t(index) % all + 1);
               isOf = both(isOf, int64_t(index) < all ? chunk.isWhole
                                                      : no(chunk.isWhole));
               auto [below, sum] = this->count(isOf);
               ranks.push_back(e.add(count, below));
               next.push_back(e.add(count, sum));
             }
             visit(chunk, split(ranks));
             return next;
           });
  counted.erase(counted.begin(), counted.begin() + groups);
  return counted;
}

/// How many there are of each kind in all parts, and in those ahead of the
/// warp's own. A lane a kind.
std::pair<Values, Values> JointKernel::addUp(ValueRange own) {
  auto kinds = int64_t(own.size());
  storeShared(kindsArea(), own);
  syncBlock();
  Value kind = e.smin(lane, e.c(kinds - 1)), sum = e.c(0), ahead = e.c(0);
  for (int64_t other = 0; other < kWarps; ++other) {
    Value count = loadShared(e.add(kind, kindsArea() + other * kinds));
    sum = e.add(sum, count);
    ahead = e.add(ahead, e.select(less(e.c(other), warp), count, e.c(0)));
  }
  auto spread = [&](Value value) {
    Values words;
    for (int64_t i = 0; i < kinds; ++i)
      words.push_back(e.intrinsic("llvm.nvvm.shfl.sync.idx.i32", e.i32,
                                  {e.c(-1), value, e.c(i), e.c(31)}));
    return words;
  };
  Values sums = spread(sum);
  return {sums, spread(ahead)};
}

/// All that places are made of, from how many elements of each kind there are.
void JointKernel::measure(Counts found) {
  Value &whole = found.whole.back(), &others = found.others.back();
  firstIsOther = isSome(others);
  firstIsWhole = both(no(firstIsOther), isSome(whole));
  whole = e.sub(whole, number(firstIsWhole));
  others = e.sub(others, number(firstIsOther));
  counts = found;
  wholeBegin = number(either(firstIsWhole, firstIsOther));
  othersBegin = wholeBegin;
  for (Value count : counts.whole)
    othersBegin = e.add(othersBegin, count);
  uses = othersBegin;
  for (Value count : counts.others)
    uses = e.add(uses, count);
  isNone = equal(uses, 0);
}

void JointKernel::store(Value condition, Value word, ArrayRef<Value> values) {
  e.when(condition, [&] {
    Type type = VectorType::get(kJointWords, e.i32);
    Value all = LLVM::PoisonOp::create(e.b, e.loc, type);
    for (int64_t i = 0; i < kJointWords; ++i)
      all = LLVM::InsertElementOp::create(
          e.b, e.loc, all, i < int64_t(values.size()) ? values[i] : e.c(0),
          e.c(i));
    Value address = gep(e.i32, target, e.sext(word));
    LLVM::StoreOp::create(e.b, e.loc, all, address, 4 * kJointWords);
  });
}

/// Each element to its place: those that all have side by side, of the other
/// kinds one each in turns.
void JointKernel::write(const Chunk &chunk, const Counts &ranks) {
  auto choose = [&](Value whole, Value others) {
    return e.select(chunk.isWhole, whole, others);
  };
  Value rank = e.c(0), turn = e.c(0), inTurns = e.c(0);
  for (int64_t owners = 1; owners <= all; ++owners)
    rank = e.select(equal(chunk.owners, owners),
                    choose(ranks.whole[owners - 1], ranks.others[owners - 1]),
                    rank);
  for (auto [index, owners] : llvm::enumerate(turns))
    turn = e.select(equal(chunk.owners, owners), e.c(index), turn);
  for (auto [index, owners] : llvm::enumerate(turns)) {
    Value isBefore = less(e.c(index), turn);
    Value count = choose(counts.whole[owners - 1], counts.others[owners - 1]);
    inTurns = e.add(inTurns, e.smin(count, e.add(rank, number(isBefore))));
  }
  Value joint = choose(counts.whole.back(), counts.others.back());
  Value isJoint = equal(chunk.owners, all);
  Value place = e.add(choose(wholeBegin, othersBegin),
                      e.select(isJoint, rank, e.add(joint, inTurns)));
  Value isFirst = both(both(isJoint, choose(firstIsWhole, firstIsOther)),
                       equal(rank, joint));
  Value flags = e.add(chunk.owners, e.shl(number(chunk.isWhole), kWholeBit));
  for (int64_t g = 0; g < groups; ++g)
    flags = e.add(flags, e.shl(number(chunk.full[g]), kFullBit + g));
  store(isSome(chunk.owners), wordOf(e.select(isFirst, e.c(0), place)),
        {chunk.n0, flags});
}

/// A group's link of the lane's element, as `joint.element` says it.
Value JointKernel::link(int64_t group, Value flags, Value place, Value first,
                        Behind &behind) {
  int64_t reach = list.reach, slack = turns.size() - 1;
  Value has = bit(flags, group), owned = ballot(has);
  Value above = e.lshr(e.lshr(owned, lane), 1);
  Value next = e.select(isSome(above), e.add(e.add(place, lowest(above)), 1),
                        behind.next);
  Value distance = e.sub(next, place);
  // In vain: every reach-th before one of its own, or before the end; the
  // tile's first, where its own first one is far.
  Value isTurn = equal(mod(distance, reach), 0);
  Value isFar = both(equal(place, 0), less(e.c(slack), distance));
  Value isInside = less(place, uses);
  Value reads = both(isInside, either(has, either(isTurn, isFar)));
  Value isLast =
      both(e.icmp(P::sge, next, uses), e.icmp(P::sle, distance, e.c(reach)));
  Value far = e.add(mod(e.add(distance, -1), reach), 1);
  Value value = e.add(e.shl(e.select(isLast, e.c(0), far), 3), 1);
  value = e.add(value, e.shl(number(bit(flags, kFullBit + group)), 1));
  value = e.add(value, e.shl(number(no(has)), 2));

  Value read = ballot(reads), hasRead = e.icmp(P::ne, read, e.c(0));
  Value whole = ballot(both(has, bit(flags, kWholeBit)));
  Value at = lowest(read);
  behind.next = e.select(e.icmp(P::ne, owned, e.c(0)),
                         e.add(first, lowest(owned)), behind.next);
  behind.reads = e.add(behind.reads, ones(read));
  behind.whole = e.add(behind.whole, ones(whole));
  Value isWhole = e.land(e.lshr(whole, e.land(at, 31)), 1);
  behind.start = e.select(hasRead, e.add(e.shl(e.add(first, at), 1), isWhole),
                          behind.start);
  return e.select(reads, value, e.c(0));
}

/// First key and flags of what is at a place, 0 behind the last one.
std::pair<Value, Value> JointKernel::loadElement(Value place) {
  Value inside = e.smax(e.smin(place, e.add(uses, -1)), e.c(0));
  Value words =
      LLVM::LoadOp::create(e.b, e.loc, VectorType::get(2, e.i32),
                           gep(e.i32, target, e.sext(wordOf(inside))), 8);
  auto word = [&](int64_t i) -> Value {
    return LLVM::ExtractElementOp::create(e.b, e.loc, words, e.c(i));
  };
  return {word(0), e.select(less(place, uses), word(1), e.c(0))};
}

/// The first place behind the warp's part that a group has.
Values JointKernel::findBehind(Part part) {
  Values firsts = loop(part.begin, part.end, 1, Values(groups, e.c(kNowhere)),
                       [&](Value chunk, ValueRange carried) {
                         Value first = e.shl(chunk, 5);
                         Value flags = loadElement(e.add(first, lane)).second;
                         Values next;
                         for (int64_t g = 0; g < groups; ++g) {
                           Value owned = ballot(bit(flags, g));
                           Value found = e.select(e.icmp(P::ne, owned, e.c(0)),
                                                  e.add(first, lowest(owned)),
                                                  e.c(kNowhere));
                           next.push_back(e.smin(carried[g], found));
                         }
                         return next;
                       });
  storeShared(placesArea(), firsts);
  syncBlock();
  Values behind(groups, e.add(uses, int64_t(turns.size()) - 1));
  for (int64_t other = 1; other < kWarps; ++other)
    for (int64_t g = 0; g < groups; ++g) {
      Value first = loadShared(e.c(placesArea() + other * groups + g));
      Value isBehind = less(warp, e.c(other));
      behind[g] = e.smin(behind[g], e.select(isBehind, first, e.c(kNowhere)));
    }
  return behind;
}

/// The part's chunks from the last one down; the next one's elements are read
/// ahead. `next`: the first places behind it.
SmallVector<JointKernel::Behind, 3> JointKernel::linkPart(Part part,
                                                          ValueRange next) {
  auto split = [&](ValueRange flat) {
    SmallVector<Behind, 3> all;
    for (int64_t g = 0; g < groups; ++g) {
      ValueRange x = flat.slice(4 * g, 4);
      all.push_back({x[0], x[1], x[2], x[3]});
    }
    return all;
  };
  auto placeIn = [&](Value number) {
    Value chunk = e.sub(e.add(part.end, -1), number);
    return e.add(e.shl(chunk, 5), lane);
  };
  auto last = loadElement(placeIn(e.c(0)));
  Values inits{last.first, last.second};
  for (Value place : next)
    inits.append({place, e.c(0), e.c(0), e.c(kNowhere)});
  Values found = loop(
      e.c(0), e.sub(part.end, part.begin), 1, inits,
      [&](Value number, ValueRange carried) {
        auto [n0, flags] = loadElement(placeIn(e.add(number, 1)));
        Values next{n0, flags}, words{carried[0]};
        Value place = placeIn(number), first = e.sub(place, lane);
        for (auto [group, behind] :
             llvm::enumerate(split(carried.drop_front(2)))) {
          words.push_back(
              link(int64_t(group), carried[1], place, first, behind));
          next.append({behind.next, behind.reads, behind.whole, behind.start});
        }
        store(less(place, uses), wordOf(place), words);
        return next;
      });
  return split(ValueRange(found).drop_front(2));
}

/// Of what the parts have found. A lane a group. Where there is nothing all
/// read an element without keys.
void JointKernel::writeHead(ArrayRef<Behind> found) {
  Values own;
  for (const Behind &group : found)
    own.append({group.reads, group.whole, group.start});
  storeShared(foundArea(), own);
  syncBlock();
  Value isFirst = equal(warp, 0);
  e.when(both(isFirst, less(lane, e.c(groups))), [&] {
    Value reads = e.c(0), whole = e.c(0), start = e.c(kNowhere);
    Value group = e.mul(lane, kFoundWords), row = numbers[0];
    for (int64_t other = 0; other < kWarps; ++other) {
      Value first = e.add(group, foundArea() + other * int64_t(own.size()));
      reads = e.add(reads, loadShared(first));
      whole = e.add(whole, loadShared(e.add(first, 1)));
      start = e.smin(start, loadShared(e.add(first, 2)));
    }
    for (int64_t g = 1; g < groups; ++g)
      row = e.select(equal(lane, g), numbers[g], row);
    start = e.select(equal(start, kNowhere), e.c(0), start);
    Values words{e.lshr(start, 1), e.sub(whole, e.land(start, 1)),
                 e.smax(reads, e.c(1)), e.mul(row, kGroupRows)};
    Value place = e.add(e.shl(lane, 2), 1);
    for (auto [i, word] : llvm::enumerate(words))
      LLVM::StoreOp::create(
          e.b, e.loc, word,
          gep(e.i32, target, e.sext(e.add(place, int64_t(i)))), 4);
  });
  Value leads = both(isFirst, equal(lane, 0));
  e.when(leads, [&] {
    LLVM::StoreOp::create(e.b, e.loc, e.smax(uses, e.c(1)), target, 4);
  });
  Values none{length};
  none.append(groups, e.c(5));
  store(both(leads, isNone), e.c(jointHeadWords(groups)), none);
}

void JointKernel::emitBody() {
  shared = allocateShared(sharedWords());
  findTile();
  Values zeros(2 * all, e.c(0));
  auto [sums, ahead] =
      addUp(countKinds(zeros, [](const Chunk &, const Counts &) {}));
  measure(split(sums));
  countKinds(ahead, [&](const Chunk &chunk, const Counts &ranks) {
    write(chunk, ranks);
  });
  // What other warps have written is read.
  syncBlock();
  Part part = partOf(uses);
  writeHead(linkPart(part, findBehind(part)));
}

std::unique_ptr<PrologueKernel>
fovea::gpu::makeJointKernel(MLIRContext *context, const ListInfo &list,
                            json::Value offset) {
  return std::make_unique<JointKernel>(context, list, std::move(offset));
}
