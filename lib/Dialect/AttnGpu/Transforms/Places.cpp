//===- Places.cpp - The order in which a tile visits its blocks -----------===//

#include "Places.h"
#include "IndexFacts.h"
#include "Scalars.h"

using namespace mlir;
using namespace mlir::attn_gpu;

/// How far apart two elements of a warpgroup may lie. While it waits for the
/// keys of the second it holds the first's values: the other one can go on
/// until the rings of values and keys are full, and where there is one slot of
/// queries has to come to the tile's end.
static int64_t reachOf(ForBlocksOp loop) {
  ScheduleAttr schedule = loop->getParentOfType<ForTilesOp>().getSchedule();
  int64_t values = schedule.getValueStages();
  int64_t behind = schedule.getQStages() == 1 ? 2 : schedule.getStages();
  return values + std::min<int64_t>(behind, schedule.getStages());
}

static int64_t groupsOf(ForBlocksOp loop) {
  return loop->getParentOfType<ForTilesOp>().getSchedule().getGroups();
}

/// What a joint list's ops say beside the list.
void Places::setJoint(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                      Slice &slice) {
  queryTile = slice.get(b, loop.getQueryTile());
  reach = reachOf(loop);
  groups = groupsOf(loop);
  if (facts.isSorted)
    tiles = loop->getParentOfType<ForTilesOp>().getBounds()[2];
}

void Places::computeList(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                         Slice &slice) {
  Scalars s(b, loop.getLoc());
  list = slice.get(b, loop.getList());
  for (Value index : loop.getRow())
    row.push_back(slice.get(b, index));
  keyTile = slice.get(b, loop.getKeyTile());
  length = slice.get(b, loop.getLength());
  unmasked = loop.getUnmasked();
  visible = loop.getVisibleAttr();
  if (loop.getQueryTile()) {
    setJoint(b, loop, facts, slice);
    return computeJoint(b);
  }
  auto count = ListCountOp::create(b, loop.getLoc(), list, row, keyTile, length,
                                   uint64_t(step), unmasked);
  Value one = s.index(1);
  total = s.max(count.getTotal(), one);
  fullEnd = s.min(s.add(count.getWhole(), one), total);
  Value isLastWhole = s.slt(s.sub(total, one), count.getWhole());
  isLastFull = s.select(isLastWhole, one, count.getCut());
}

void Places::computeJoint(OpBuilder &b) {
  SmallVector<Type> types(groups * kOwn, b.getIndexType());
  auto count = JointCountOp::create(
      b, list.getLoc(), b.getIndexType(), types, list, row, queryTile, keyTile,
      length, tiles, uint64_t(step), uint64_t(reach), unmasked, visible);
  uses = count.getUses();
  own.assign(count.getGroups().begin(), count.getGroups().end());
}

static bool isFull(int32_t kind) {
  return kind == int32_t(online::ClassKind::Full);
}

Places::Facts Places::Facts::of(ForBlocksOp loop) {
  Facts facts;
  int64_t step = loop.getStep(), others = 0;
  bool isBounded = !loop.getList();
  for (auto [begin, end, kind] :
       llvm::zip_equal(loop.getBegins(), loop.getEnds(), loop.getClasses())) {
    if (!isFull(kind)) {
      isBounded = isBounded && isDifferenceAtMost(end, begin, step);
      ++others;
      continue;
    }
    facts.hasTail.push_back(!isMultipleOf(begin, step) ||
                            !isMultipleOf(end, step));
    others += facts.hasTail.back();
  }
  facts.hasOneOther = isBounded && others <= 1;
  facts.endsAtEdge =
      loop->getParentOfType<ForTilesOp>().getSchedule().getEdges() &&
      !facts.hasOneOther && !loop.getCutFront();
  return facts;
}

Places Places::compute(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                       Slice &slice) {
  Scalars s(b, loop.getLoc());
  Places places;
  places.step = loop.getStep();
  places.cutsFront = loop.getCutFront();
  places.hasOneOther = facts.hasOneOther;
  places.endsAtEdge = facts.endsAtEdge;
  if (loop.getList()) {
    places.computeList(b, loop, facts, slice);
    return places;
  }
  Value step = s.index(places.step), zero = s.index(0), next = zero;
  SmallVector<Group> tails;
  SmallVector<Value> tailCounts;
  auto add = [&](SmallVectorImpl<Group> &list, Value base, Value end,
                 Value count) {
    list.push_back({base, end, next});
    next = s.add(next, count);
  };
  auto lastOf = [&](Value begin, Value count) {
    Value before = s.max(s.sub(count, s.index(1)), zero);
    return s.add(begin, s.mul(before, step));
  };
  auto addOthers = [&](Value begin, Value end, Value count) {
    if (places.cutsFront)
      add(places.others, s.sub(end, step), begin, count);
    else if (places.endsAtEdge)
      add(places.others, lastOf(begin, count), end, count);
    else
      add(places.others, begin, end, count);
  };
  auto segments = llvm::to_vector(
      llvm::zip_equal(loop.getBegins(), loop.getEnds(), loop.getClasses()));
  const bool *hasTail = facts.hasTail.end();
  for (auto [begin, end, kind] : llvm::reverse(segments)) {
    if (!isFull(kind))
      continue;
    Value base = slice.get(b, begin), stop = slice.get(b, end);
    Value keys = s.max(s.sub(stop, base), zero);
    Value count = s.div(keys, step);
    Value covered = s.mul(count, step);
    Value tail = s.add(base, covered);
    add(places.whole, s.sub(tail, step), stop, count);
    if (!*--hasTail)
      continue;
    tails.push_back({tail, stop, Value()});
    tailCounts.push_back(s.select(s.slt(covered, keys), s.index(1), zero));
  }
  places.wholeTotal = next;
  for (auto [tail, count] : llvm::reverse(llvm::zip(tails, tailCounts)))
    addOthers(tail.base, tail.end, count);
  for (auto [begin, end, kind] : segments) {
    if (isFull(kind))
      continue;
    Value base = slice.get(b, begin), stop = slice.get(b, end);
    Value keys = s.max(s.sub(stop, base), zero);
    addOthers(base, stop, s.div(s.add(keys, s.index(places.step - 1)), step));
  }
  places.total = s.max(next, s.index(1));
  places.fullEnd = s.min(s.add(places.wholeTotal, s.index(1)), places.total);
  return places;
}

SmallVector<Value *> Places::values() {
  if (isJoint())
    return {&uses, &length};
  if (list)
    return {&total, &fullEnd, &isLastFull, &length};
  SmallVector<Value *> values{&total, &fullEnd, &wholeTotal};
  for (SmallVector<Group> *groups : {&whole, &others})
    for (Group &group : *groups)
      values.append({&group.base, &group.end, &group.start});
  return values;
}

Places Places::restore(OpBuilder &b, ForBlocksOp loop, const Facts &facts,
                       Slice slice, ValueRange travelled) {
  Places places;
  places.step = loop.getStep();
  if (loop.getList()) {
    places.list = slice.get(b, loop.getList());
    places.unmasked = loop.getUnmasked();
    places.visible = loop.getVisibleAttr();
    // Who reads elements knows where they lie.
    if (llvm::all_of(loop.getRow(), [&](Value v) { return slice.knows(v); })) {
      for (Value index : loop.getRow())
        places.row.push_back(slice.get(b, index));
      places.keyTile = slice.get(b, loop.getKeyTile());
    }
    if (loop.getQueryTile())
      places.setJoint(b, loop, facts, slice);
  } else {
    // The structure is that of the segments. Indices that have not travelled
    // are any values that nothing is folded with.
    auto tiles = loop->getParentOfType<ForTilesOp>();
    unsigned next = 0;
    for (BlockArgument argument : tiles.getBody().getArguments())
      if (!slice.knows(argument))
        slice.set(argument, travelled[next++]);
    places = compute(b, loop, facts, slice);
  }
  SmallVector<Value *> values = places.values();
  for (auto [value, arrived] : llvm::zip(values, travelled))
    if (!*value || !value->getDefiningOp<arith::ConstantOp>())
      *value = arrived;
  ValueRange own = travelled.drop_front(values.size());
  if (!own.empty()) {
    places.start = own[0];
    Scalars s(b, loop.getLoc());
    places.fullEnd = s.add(own[1], s.index(1));
    places.total = own[2];
    places.origin = own[3];
  }
  return places;
}

Value Places::select(OpBuilder &b, ArrayRef<Group> groups, Value element,
                     function_ref<Value(const Group &)> value) {
  Scalars s(b, element.getLoc());
  Value result = value(groups.front());
  for (const Group &group : groups.drop_front())
    result = s.select(s.slt(element, group.start), result, value(group));
  return result;
}

static Value isSet(OpBuilder &b, Value number) {
  Scalars s(b, number.getLoc());
  return s.cmp(arith::CmpIPredicate::ne, number, s.index(0));
}

/// A bit of a link.
static Value testLink(OpBuilder &b, Value link, int64_t bit) {
  Scalars s(b, link.getLoc());
  return isSet(
      b, b.createOrFold<arith::AndIOp>(link.getLoc(), link, s.index(bit)));
}

Value Places::distance(OpBuilder &b, Value link) {
  Scalars s(b, link.getLoc());
  return s.div(link, s.index(8));
}

/// Full by its place, an element is whole and the warpgroup's.
Places::Block Places::findJoint(OpBuilder &b, Value full, Listed listed) {
  Scalars s(b, listed.n0.getLoc());
  Value width = s.index(step);
  Value left = s.min(s.sub(length, listed.n0), width);
  Value count = s.select(testLink(b, listed.link, 4), s.index(0), left);
  return {listed.n0, s.select(full, width, count), full,
          unmasked ? full : testLink(b, listed.link, 2)};
}

Places::Block Places::find(OpBuilder &b, Value element, Value full,
                           Listed listed) {
  Scalars s(b, element.getLoc());
  Value width = s.index(step);
  if (list) {
    Value n0 = listed.n0 ? listed.n0 : this->element(b, element).front();
    Value left = s.min(s.sub(length, n0), width);
    return {n0, s.select(full, width, left), full, full};
  }
  auto offset = [&](const Group &group) {
    return s.mul(s.sub(element, group.start), width);
  };
  auto origin = [&](const Group &group) {
    return s.add(group.base, offset(group));
  };
  auto originDown = [&](const Group &group) {
    return s.sub(group.base, offset(group));
  };
  Value n0, count = width;
  if (!others.empty()) {
    n0 = cutsFront || endsAtEdge ? select(b, others, element, originDown)
                                 : select(b, others, element, origin);
    Value end = select(b, others, element,
                       [](const Group &group) { return group.end; });
    count = cutsFront ? end : s.min(s.sub(end, n0), width);
  }
  if (!whole.empty()) {
    Value inside = select(b, whole, element, originDown);
    n0 = n0 ? s.select(full, inside, n0) : inside;
    if (cutsFront)
      count =
          s.select(full, inside, others.empty() ? s.add(inside, width) : count);
    else
      count = s.select(full, width, count);
  }
  return {n0, count, full, full};
}

SmallVector<Value> Places::element(OpBuilder &b, Value number) {
  Location loc = number.getLoc();
  if (!isJoint())
    return {ListElementOp::create(b, loc, list, row, keyTile, length,
                                  uint64_t(step), unmasked, number)};
  SmallVector<Type> links(groups, b.getIndexType());
  auto element = JointElementOp::create(
      b, loc, b.getIndexType(), links, list, row, queryTile, keyTile, length,
      tiles, uint64_t(step), uint64_t(reach), unmasked, visible, number);
  return SmallVector<Value>(element->getResults());
}

/// A segment's block asks the mask, which says the same of whole ones. Of a
/// listed full tile it is not asked, also where the end of the keys cuts it,
/// which it does in the last element alone.
Places::Block Places::first(OpBuilder &b, Listed listed) {
  Location loc = isJoint() ? listed.n0.getLoc() : total.getLoc();
  Scalars s(b, loc);
  Value no = s.boolean(false);
  if (!list) {
    Value element = s.sub(total, s.index(1));
    Block block = find(b, element, s.slt(element, wholeTotal), listed);
    block.full = block.isVisible = no;
    return block;
  }
  Block block = isJoint() ? findJoint(b, no, listed)
                          : find(b, s.sub(total, s.index(1)), no, listed);
  if (!isJoint())
    block.isVisible = unmasked ? no : isSet(b, isLastFull);
  Value isWhole = s.cmp(arith::CmpIPredicate::sge, block.count, s.index(step));
  block.full = b.createOrFold<arith::AndIOp>(loc, block.isVisible, isWhole);
  return block;
}

Places::Block Places::at(OpBuilder &b, Value place, Listed listed) {
  Scalars s(b, place.getLoc());
  if (isJoint())
    return findJoint(b, s.slt(place, fullEnd), listed);
  Value full = hasOneOther ? s.boolean(true) : s.slt(place, fullEnd);
  return find(b, s.sub(place, s.index(1)), full, listed);
}
