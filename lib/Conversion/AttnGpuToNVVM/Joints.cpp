//===- Joints.cpp - Rows of a block mask as one list ----------------------===//
//
// A kernel of one warp a query tile runs before and writes the joint list of
// the rows of its warpgroups, in the order of `joint.count`. The warps of a
// block first count what rows have, and share them out by that. Classes are
// then read twice: to count each kind, which gives every element's place by
// arithmetic, and to write. Who reads an element, and where each row's next one
// is, follows from the last place to the first.
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
/// A warp's work on one query tile, of a block of kJointWindow. A kind of
/// elements is who has it, a bit a group, and whether it is whole for all of
/// them.
class JointKernel : public ClassKernel {
public:
  JointKernel(MLIRContext *context, const ListInfo &list, json::Value offset)
      : ClassKernel(context, list, std::move(offset)), groups(list.groups),
        all((1 << list.groups) - 1), turns(getJointTurns(list.groups)) {
    threads = 32 * kJointWindow;
    grid =
        json::Array{"mul", sizes.batches, sizes.heads,
                    json::Array{"ceildiv", sizes.rows, int64_t(kJointWindow)}};
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
  /// What is known of a group from the places behind a chunk.
  struct Behind {
    Value next, reads, whole, start, startIsWhole;
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
  Counts countKinds(function_ref<void(const Chunk &, const Counts &)> visit);
  void measure(Counts counts);
  void write(const Chunk &chunk, const Counts &ranks);
  SmallVector<Behind, 3> linkAll();
  Value link(int64_t group, Value flags, Value place, Value first,
             Behind &behind);
  void writeHead(ArrayRef<Behind> found);

  Value wordOf(Value place) {
    return e.add(e.mul(place, kJointWords), jointHeadWords(groups));
  }
  void store(Value condition, Value word, ArrayRef<Value> values);
  Value sharedWord(Value place) {
    return LLVM::GEPOp::create(e.b, e.loc, e.shared, e.i32, shared,
                               ArrayRef<LLVM::GEPArg>{place});
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

  int64_t groups, all;
  ArrayRef<int64_t> turns;
  /// Of a block: how many rows its tiles have.
  int64_t width() const { return groups * kJointWindow; }

  Value queryTile, maskRows, shared, warp, isTile;
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

/// Warps without a tile do what the last one does, but for stores.
void JointKernel::findTile() {
  Value thread = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  Value number = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  lane = e.land(thread, 31);
  warp = e.lshr(thread, 5);
  Value windows =
      e.udiv(e.add(rows, kJointWindow - 1), e.c(int64_t(kJointWindow)));
  Value plane = e.udiv(number, windows);
  Value window = e.sub(number, e.mul(plane, windows));
  Value own = e.add(e.mul(window, kJointWindow), warp);
  isTile = less(own, rows);
  enterPlane(plane);
  setTile(plane, e.smin(own, e.add(rows, -1)));
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
  Values inits = loadKinds(e.c(0));
  inits.append(groups, e.c(0));
  Values counted =
      loop(e.c(0), elements, 32, inits, [&](Value begin, ValueRange carried) {
        Values next = loadKinds(e.add(begin, 32));
        Value element = e.add(begin, lane);
        for (int64_t g = 0; g < groups; ++g) {
          Value seen = decode(carried[g], element).isSeen;
          next.push_back(e.add(carried[groups + g], ones(ballot(seen))));
        }
        return next;
      });
  for (int64_t g = 0; g < groups; ++g) {
    Value length = e.select(exists[g], counted[groups + g], e.c(-1));
    Value isOfTile = less(numbers[g], e.mul(rows, groups));
    length = e.select(isOfTile, length, e.c(INT32_MAX));
    LLVM::StoreOp::create(e.b, e.loc, length,
                          sharedWord(e.add(e.mul(warp, groups), g)), 4);
  }
}

/// The groups' rows: the fewest elements first, equal ones as they are
/// numbered. A lane a row.
void JointKernel::shareOut(Value first) {
  auto lengthOf = [&](Value place) -> Value {
    return LLVM::LoadOp::create(e.b, e.loc, e.i32, sharedWord(place), 4);
  };
  Value own = lengthOf(e.smin(lane, e.c(width() - 1)));
  Value place =
      loop(e.c(0), e.c(width()), 1, e.c(0), [&](Value other, ValueRange ahead) {
        Value length = lengthOf(other);
        Value isAhead = both(equal(length, own), less(other, lane));
        isAhead = either(less(length, own), isAhead);
        return Values{e.add(ahead[0], number(isAhead))};
      })[0];
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

/// Runs over all elements; `visit` is given a chunk and each kind's rank of the
/// lane. Returns how many there are of each kind.
JointKernel::Counts JointKernel::countKinds(
    function_ref<void(const Chunk &, const Counts &)> visit) {
  auto split = [&](ValueRange flat) {
    return Counts{Values(flat.take_front(all)), Values(flat.drop_front(all))};
  };
  Values inits = loadKinds(e.c(0));
  inits.append(2 * all, e.c(0));
  Values counted =
      loop(e.c(0), elements, 32, inits, [&](Value first, ValueRange carried) {
        Values next = loadKinds(e.add(first, 32)), ranks;
        Chunk chunk = readChunk(first, carried.take_front(groups));
        ValueRange before = carried.drop_front(groups);
        for (auto [index, count] : llvm::enumerate(before)) {
          Value isOf = equal(chunk.owners, int64_t(index) % all + 1);
          isOf = both(isOf,
                      int64_t(index) < all ? chunk.isWhole : no(chunk.isWhole));
          auto [below, sum] = this->count(isOf);
          ranks.push_back(e.add(count, below));
          next.push_back(e.add(count, sum));
        }
        visit(chunk, split(ranks));
        return next;
      });
  return split(ValueRange(counted).drop_front(groups));
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
  e.when(both(condition, isTile), [&] {
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
  behind.start = e.select(hasRead, e.add(first, at), behind.start);
  behind.startIsWhole = e.select(
      hasRead, e.land(e.lshr(whole, e.land(at, 31)), 1), behind.startIsWhole);
  return e.select(reads, value, e.c(0));
}

/// Chunks of places from the last one down; the next one's elements are read
/// ahead.
SmallVector<JointKernel::Behind, 3> JointKernel::linkAll() {
  auto split = [&](ValueRange flat) {
    SmallVector<Behind, 3> all;
    for (int64_t g = 0; g < groups; ++g) {
      ValueRange x = flat.slice(5 * g, 5);
      all.push_back({x[0], x[1], x[2], x[3], x[4]});
    }
    return all;
  };
  Value chunks = e.lshr(e.add(uses, 31), 5);
  auto placeIn = [&](Value number) {
    Value chunk = e.sub(e.add(chunks, -1), number);
    return e.add(e.shl(chunk, 5), lane);
  };
  // First key and flags of an element.
  auto load = [&](Value place) {
    Value inside = e.smax(e.smin(place, e.add(uses, -1)), e.c(0));
    Value element =
        LLVM::LoadOp::create(e.b, e.loc, VectorType::get(2, e.i32),
                             gep(e.i32, target, e.sext(wordOf(inside))), 8);
    Values words;
    for (int64_t i : {0, 1})
      words.push_back(
          LLVM::ExtractElementOp::create(e.b, e.loc, element, e.c(i)));
    return words;
  };
  Values inits = load(placeIn(e.c(0)));
  for (int64_t g = 0; g < groups; ++g)
    inits.append({e.add(uses, int64_t(turns.size()) - 1), e.c(0), e.c(0),
                  e.c(0), e.c(0)});
  Values found =
      loop(e.c(0), chunks, 1, inits, [&](Value number, ValueRange carried) {
        Values next = load(placeIn(e.add(number, 1)));
        Value place = placeIn(number), first = e.sub(place, lane);
        Value inside = less(place, uses);
        Value flags = e.select(inside, carried[1], e.c(0));
        Values words{carried[0]};
        for (auto [group, behind] :
             llvm::enumerate(split(carried.drop_front(2)))) {
          words.push_back(link(int64_t(group), flags, place, first, behind));
          next.append({behind.next, behind.reads, behind.whole, behind.start,
                       behind.startIsWhole});
        }
        store(inside, wordOf(place), words);
        return next;
      });
  return split(ValueRange(found).drop_front(2));
}

/// Where there is nothing all read an element without keys.
void JointKernel::writeHead(ArrayRef<Behind> found) {
  Value leads = equal(lane, 0);
  Values words{e.smax(uses, e.c(1))};
  for (auto [number, group] : llvm::zip_equal(numbers, found))
    words.append({group.start, e.sub(group.whole, group.startIsWhole),
                  e.smax(group.reads, e.c(1)), e.mul(number, kGroupRows)});
  for (size_t i = 0; i < words.size(); i += kJointWords)
    store(leads, e.c(int64_t(i)),
          ArrayRef(words).slice(
              i, std::min<size_t>(kJointWords, words.size() - i)));
  Values none{length};
  none.append(groups, e.c(5));
  store(both(leads, isNone), e.c(jointHeadWords(groups)), none);
}

void JointKernel::emitBody() {
  shared = allocateShared(width());
  findTile();
  measure(countKinds([](const Chunk &, const Counts &) {}));
  countKinds(
      [&](const Chunk &chunk, const Counts &ranks) { write(chunk, ranks); });
  // What other lanes have written is read.
  syncBlock();
  writeHead(linkAll());
}

std::unique_ptr<PrologueKernel>
fovea::gpu::makeJointKernel(MLIRContext *context, const ListInfo &list,
                            json::Value offset) {
  return std::make_unique<JointKernel>(context, list, std::move(offset));
}
