//===- Joints.cpp - Two rows of a block mask as one list ------------------===//
//
// A kernel of one warp a query tile runs before and writes the joint list of
// the rows of its two warpgroups, in the order of `joint.count`. Classes are
// read twice: to count each kind, which gives every element's place and that of
// the next one by arithmetic, and to write.
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
                      kJointHeadWords);
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
/// What an element is: of both rows, whole in both or not; of one, whole or
/// not.
enum Kind { BothWhole, BothOther, Whole0, Other0, Whole1, Other1, kKinds };

/// One warp's work on one query tile.
class JointKernel : public ClassKernel {
public:
  using ClassKernel::ClassKernel;

private:
  /// 32 elements: which kind the lane's is, and what each row has of it.
  struct Chunk {
    Value n0, kinds[kKinds], has[2], full[2], whole[2];
  };
  using Counts = std::array<Value, kKinds>;

  void addArguments() override;
  void emitBody() override;
  void findRows();
  Chunk readChunk(Value first);
  Counts countKinds(function_ref<void(const Chunk &, const Counts &)> visit);
  void measure(const Counts &counts);
  Value placeOf(int64_t group, Value own);
  Value link(int64_t group, Value reads, Value own, Value place,
             const Chunk &chunk);
  void write(const Chunk &chunk, const Counts &ranks);
  void writeHead();
  void store(Value condition, Value word, ArrayRef<Value> values);

  Value mod(Value x, int64_t y) {
    return e.sub(x, e.mul(e.udiv(x, e.c(y)), y));
  }

  Value queryTile, maskRows;
  Value sources[2], exists[2];

  // Of the list, without what comes first.
  Value whole, others, alone[2], aloneWhole[2];
  /// What comes first: one that both have, or of a row; one of each row.
  Value firstIsWhole, firstIsOther, firstIsAlone[2], isPair, isNone;
  /// Elements of both rows in turns; what is left, of the first or second row.
  Value pairs, left, longer[2];
  /// What the shorter one lets pass before the rest, what it reads of that, and
  /// whether its last element besides.
  Value passed, vain[2], readsEnd;
  Value begin, afterWhole, afterPairs, afterAlone, uses, total[2];
};
} // namespace

void JointKernel::addArguments() {
  ClassKernel::addArguments();
  addArgument(e.i32, json::Object{{"i32", "BQ"}}, queryTile);
  addArgument(e.i32, json::Object{{"i32", json::Array{"ceildiv", "M", "BQ"}}},
              maskRows);
}

void JointKernel::findRows() {
  for (int64_t g = 0; g < kJointGroups; ++g) {
    Value query = e.add(e.mul(tile, kJointGroups * kGroupRows), kGroupRows * g);
    Value row = e.udiv(query, queryTile);
    exists[g] = less(row, maskRows);
    sources[g] = findRow(e.select(exists[g], row, e.c(0)));
  }
}

JointKernel::Chunk JointKernel::readChunk(Value first) {
  Chunk chunk;
  Value element = e.add(first, lane);
  chunk.n0 = e.mul(element, list.step);
  for (int64_t g = 0; g < kJointGroups; ++g) {
    Element found = read(sources[g], element);
    chunk.has[g] = both(found.isSeen, exists[g]);
    chunk.full[g] = both(found.isFull, exists[g]);
    chunk.whole[g] = both(found.isWhole, exists[g]);
  }
  Value joint = both(chunk.has[0], chunk.has[1]);
  Value isWhole = both(chunk.whole[0], chunk.whole[1]);
  chunk.kinds[BothWhole] = isWhole;
  chunk.kinds[BothOther] = both(joint, no(isWhole));
  for (int64_t g = 0; g < kJointGroups; ++g) {
    Value own = both(chunk.has[g], no(joint));
    chunk.kinds[Whole0 + 2 * g] = both(own, chunk.whole[g]);
    chunk.kinds[Other0 + 2 * g] = both(own, no(chunk.whole[g]));
  }
  return chunk;
}

/// Runs over all elements; `visit` is given a chunk and each kind's rank of the
/// lane. Returns how many there are of each kind.
JointKernel::Counts JointKernel::countKinds(
    function_ref<void(const Chunk &, const Counts &)> visit) {
  SmallVector<Type> types(1 + kKinds, e.i32);
  Block *head = e.block(types), *body = e.block(), *exit = e.block();
  e.br(head, Values(1 + kKinds, e.c(0)));
  e.enter(head);
  Value first = head->getArgument(0);
  e.condBr(less(first, elements), body, {}, exit, {});
  e.enter(body);
  Chunk chunk = readChunk(first);
  Values next{e.add(first, 32)};
  Counts ranks;
  for (int kind = 0; kind < kKinds; ++kind) {
    auto [below, all] = count(chunk.kinds[kind]);
    Value before = head->getArgument(1 + kind);
    ranks[kind] = e.add(before, below);
    next.push_back(e.add(before, all));
  }
  visit(chunk, ranks);
  e.br(head, next);
  e.enter(exit);
  Counts counts;
  for (int kind = 0; kind < kKinds; ++kind)
    counts[kind] = head->getArgument(1 + kind);
  return counts;
}

/// All that places are made of, from how many elements of each kind there are.
void JointKernel::measure(const Counts &counts) {
  firstIsOther = isSome(counts[BothOther]);
  firstIsWhole = both(no(firstIsOther), isSome(counts[BothWhole]));
  Value hasNoJoint = no(either(firstIsOther, firstIsWhole));
  Value hasAlone[2];
  for (int64_t g = 0; g < kJointGroups; ++g) {
    Value wholes = counts[Whole0 + 2 * g], rest = counts[Other0 + 2 * g];
    alone[g] = e.add(wholes, rest);
    hasAlone[g] = isSome(alone[g]);
    firstIsAlone[g] = both(hasNoJoint, hasAlone[g]);
    alone[g] = e.sub(alone[g], number(firstIsAlone[g]));
    aloneWhole[g] =
        e.sub(wholes, number(both(firstIsAlone[g], no(isSome(rest)))));
  }
  isPair = both(firstIsAlone[0], firstIsAlone[1]);
  isNone = both(hasNoJoint, no(either(hasAlone[0], hasAlone[1])));
  whole = e.sub(counts[BothWhole], number(firstIsWhole));
  others = e.sub(counts[BothOther], number(firstIsOther));
  pairs = e.smin(alone[0], alone[1]);
  left = e.sub(e.smax(alone[0], alone[1]), pairs);
  longer[1] = less(pairs, alone[1]);
  longer[0] = no(longer[1]);
  Value startsWithPair = both(isPair, no(isSome(whole)));
  passed = number(both(longer[1], either(isSome(pairs), startsWithPair)));
  // Every reach-th, and the last one where the next tile's may be too far.
  Value reached = e.add(passed, left);
  Value isClose =
      equal(mod(e.add(reached, list.reach - 1), list.reach), list.reach - 2);
  readsEnd = both(both(isSome(left), no(isSome(others))), isClose);
  Value read = e.add(e.udiv(reached, e.c(list.reach)), number(readsEnd));
  begin = e.add(number(isPair), 1);
  afterWhole = e.add(begin, whole);
  afterPairs = e.add(afterWhole, e.shl(pairs, 1));
  afterAlone = e.add(afterPairs, left);
  uses = e.add(afterAlone, others);
  for (int64_t g = 0; g < kJointGroups; ++g) {
    vain[g] = e.select(longer[g], e.c(0), read);
    total[g] = e.add(e.add(e.add(whole, alone[g]), e.add(vain[g], others)), 1);
  }
}

/// Where the own-th element behind the first one of a group lies.
Value JointKernel::placeOf(int64_t group, Value own) {
  Value ofAlone = e.sub(own, whole);
  Value paired = e.add(e.add(afterWhole, e.shl(ofAlone, 1)), group);
  Value single = e.add(afterPairs, e.sub(ofAlone, pairs));
  Value ofVain = e.sub(ofAlone, alone[group]);
  Value nth = e.sub(e.add(e.mul(ofVain, list.reach), list.reach - 1), passed);
  Value inVain = e.add(afterPairs, e.smin(nth, e.add(left, -1)));
  Value other = e.add(afterAlone, e.sub(ofVain, vain[group]));
  Value result = e.select(less(ofVain, vain[group]), inVain, other);
  result = e.select(less(ofAlone, alone[group]),
                    e.select(less(ofAlone, pairs), paired, single), result);
  return e.select(less(own, whole), e.add(begin, own), result);
}

/// As `joint.element` says it; `own` is -1 for the first one.
Value JointKernel::link(int64_t group, Value reads, Value own, Value place,
                        const Chunk &chunk) {
  Value next = e.add(own, 1);
  Value distance = e.sub(placeOf(group, next), place);
  Value hasNext = less(e.add(next, 1), total[group]);
  Value value = e.add(e.shl(e.select(hasNext, distance, e.c(0)), 3), 1);
  value = e.add(value, e.shl(number(chunk.full[group]), 1));
  value = e.add(value, e.shl(number(no(chunk.has[group])), 2));
  return e.select(reads, value, e.c(0));
}

void JointKernel::store(Value condition, Value word, ArrayRef<Value> values) {
  e.when(condition, [&] {
    Type type = VectorType::get(kJointWords, e.i32);
    Value all = LLVM::PoisonOp::create(e.b, e.loc, type);
    for (auto [index, value] : llvm::enumerate(values))
      all = LLVM::InsertElementOp::create(e.b, e.loc, all, value, e.c(index));
    Value address = gep(e.i32, target, e.sext(word));
    LLVM::StoreOp::create(e.b, e.loc, all, address, 4 * kJointWords);
  });
}

void JointKernel::write(const Chunk &chunk, const Counts &ranks) {
  Value first = e.c(-1), none = e.c(0);
  // Whole in both.
  Value isBoth = either(chunk.kinds[BothWhole], chunk.kinds[BothOther]);
  Value isWhole = chunk.kinds[BothWhole];
  Value rank = e.select(isWhole, ranks[BothWhole], ranks[BothOther]);
  Value isFirst = e.select(isWhole, both(firstIsWhole, equal(rank, whole)),
                           both(firstIsOther, equal(rank, others)));
  Value place = e.add(rank, e.select(isWhole, begin, afterAlone));
  place = e.select(isFirst, none, place);
  Value links[2];
  for (int64_t g = 0; g < kJointGroups; ++g) {
    Value behind = e.add(e.add(whole, alone[g]), vain[g]);
    Value own = e.add(rank, e.select(isWhole, none, behind));
    links[g] = link(g, isBoth, e.select(isFirst, first, own), place, chunk);
  }
  // Of one row alone: the other one may read it in vain.
  for (int64_t g = 0; g < kJointGroups; ++g) {
    int64_t other = 1 - g;
    Value isOwn = both(chunk.has[g], no(chunk.has[other]));
    Value rank = e.select(chunk.whole[g], ranks[Whole0 + 2 * g],
                          e.add(ranks[Other0 + 2 * g], aloneWhole[g]));
    Value isFirst = both(firstIsAlone[g], equal(rank, alone[g]));
    Value isPaired = less(rank, pairs);
    Value ofLeft = e.sub(rank, pairs);
    Value own = e.select(isPaired, e.add(e.add(afterWhole, e.shl(rank, 1)), g),
                         e.add(afterPairs, ofLeft));
    own = e.select(isFirst, e.select(isPair, e.c(g), none), own);
    Value reached = e.add(passed, ofLeft);
    Value isTurn = equal(mod(reached, list.reach), list.reach - 1);
    Value isEnd = both(readsEnd, equal(ofLeft, e.add(left, -1)));
    Value reads = e.select(isFirst, no(isPair),
                           both(no(isPaired), either(isTurn, isEnd)));
    Value nth =
        e.add(e.add(whole, alone[other]), e.udiv(reached, e.c(list.reach)));
    Value mine = link(g, isOwn, e.select(isFirst, first, e.add(whole, rank)),
                      own, chunk);
    Value theirs = link(other, both(isOwn, reads),
                        e.select(isFirst, first, nth), own, chunk);
    place = e.select(isOwn, own, place);
    links[g] = e.select(isOwn, mine, links[g]);
    links[other] = e.select(isOwn, theirs, links[other]);
  }
  store(either(chunk.has[0], chunk.has[1]),
        e.add(e.mul(place, kJointWords), kJointHeadWords),
        {chunk.n0, links[0], links[1], none});
}

void JointKernel::writeHead() {
  Value leads = equal(lane, 0);
  Values words{uses};
  for (int64_t g = 0; g < kJointGroups; ++g) {
    words.push_back(e.select(isPair, e.c(g), e.c(0)));
    words.push_back(e.add(whole, aloneWhole[g]));
    words.push_back(total[g]);
  }
  words.push_back(e.c(0));
  store(leads, e.c(0), ArrayRef(words).take_front(4));
  store(leads, e.c(4), ArrayRef(words).drop_front(4));
  // Where there is nothing both read an element without keys.
  store(both(leads, isNone), e.c(kJointHeadWords),
        {length, e.c(5), e.c(5), e.c(0)});
}

void JointKernel::emitBody() {
  findList();
  findRows();
  measure(countKinds([](const Chunk &, const Counts &) {}));
  countKinds(
      [&](const Chunk &chunk, const Counts &ranks) { write(chunk, ranks); });
  writeHead();
}

std::unique_ptr<PrologueKernel>
fovea::gpu::makeJointKernel(MLIRContext *context, const ListInfo &list,
                            json::Value offset) {
  return std::make_unique<JointKernel>(context, list, std::move(offset));
}
