//===- KeyParts.cpp - Sets of keys between expressions --------------------===//
#include "KeyParts.h"

using namespace fovea;
using E = BoundExpression;

static constexpr unsigned maxParts = 4;

KeyParts KeyPartsBuilder::all() const {
  return {{KeyPart()}, /*isClosedForm=*/true, /*isCondition=*/true};
}

KeyParts KeyPartsBuilder::unknown() const {
  KeyPart part;
  part.hasFull = false;
  return {{part}, /*isClosedForm=*/false};
}

KeyParts KeyPartsBuilder::atLeast(BoundPair limit) const {
  KeyPart part;
  part.lo = limit.first;
  part.fullLo = limit.second;
  return {{part}, /*isClosedForm=*/true, /*isCondition=*/false};
}

KeyParts KeyPartsBuilder::atMost(BoundPair limit) {
  KeyPart part;
  part.hi = e.make(E::Add, limit.first, constant(1));
  part.fullHi = e.make(E::Add, limit.second, constant(1));
  return {{part}, /*isClosedForm=*/true, /*isCondition=*/false};
}

KeyParts KeyPartsBuilder::where(unsigned some, unsigned all) {
  unsigned low = constant(-far), high = constant(far);
  KeyPart part;
  part.lo = part.fullLo = e.make(E::Select, some, low, high);
  part.hi = part.fullHi = e.make(E::Select, some, high, low);
  if (some != all) {
    part.fullLo = e.make(E::Select, all, low, high);
    part.fullHi = e.make(E::Select, all, high, low);
  }
  return {{part}, /*isClosedForm=*/true, /*isCondition=*/true};
}

KeyPart::End KeyPartsBuilder::meet(E::Kind stricter, End a, End b) {
  return a && b ? e.make(stricter, *a, *b) : (a ? a : b);
}

KeyPart::End KeyPartsBuilder::join(E::Kind laxer, End a, End b) {
  return a && b ? End(e.make(laxer, *a, *b)) : End();
}

KeyPart KeyPartsBuilder::meet(const KeyPart &a, const KeyPart &b) {
  KeyPart result;
  result.lo = meet(E::Max, a.lo, b.lo);
  result.hi = meet(E::Min, a.hi, b.hi);
  result.hasFull = a.hasFull && b.hasFull;
  if (result.hasFull) {
    result.fullLo = meet(E::Max, a.fullLo, b.fullLo);
    result.fullHi = meet(E::Min, a.fullHi, b.fullHi);
  }
  return result;
}

KeyParts KeyPartsBuilder::meet(const KeyParts &a, const KeyParts &b) {
  KeyParts result;
  result.isClosedForm = a.isClosedForm && b.isClosedForm;
  result.isCondition = a.isCondition && b.isCondition;
  if (a.list.size() * b.list.size() > maxParts) {
    result.isClosedForm = false;
    result.list.push_back(meet(hull(a.list), hull(b.list)));
    return result;
  }
  for (const KeyPart &x : a.list)
    for (const KeyPart &y : b.list)
      result.list.push_back(meet(x, y));
  return result;
}

/// A full interval of a union: both where that is one interval for sure, else
/// the longer of the two.
void KeyPartsBuilder::joinFull(const KeyPart &a, const KeyPart &b,
                               KeyPart &result) {
  result.hasFull = a.hasFull || b.hasFull;
  if (!a.hasFull || !b.hasFull) {
    const KeyPart &from = a.hasFull ? a : b;
    result.fullLo = from.fullLo;
    result.fullHi = from.fullHi;
    return;
  }
  if (!a.fullLo && !b.fullLo) {
    result.fullHi = join(E::Max, a.fullHi, b.fullHi);
    return;
  }
  if (!a.fullHi && !b.fullHi) {
    result.fullLo = join(E::Min, a.fullLo, b.fullLo);
    return;
  }
  unsigned aLo = a.fullLo.value_or(constant(-far));
  unsigned aHi = a.fullHi.value_or(constant(far));
  unsigned bLo = b.fullLo.value_or(constant(-far));
  unsigned bHi = b.fullHi.value_or(constant(far));
  unsigned shorter =
      e.make(E::Less, e.make(E::Sub, aHi, aLo), e.make(E::Sub, bHi, bLo));
  result.fullLo = e.make(E::Select, shorter, bLo, aLo);
  result.fullHi = e.make(E::Select, shorter, bHi, aHi);
}

KeyPart KeyPartsBuilder::hull(llvm::ArrayRef<KeyPart> parts) {
  KeyPart result = parts.front();
  for (const KeyPart &part : parts.drop_front()) {
    KeyPart next;
    next.lo = join(E::Min, result.lo, part.lo);
    next.hi = join(E::Max, result.hi, part.hi);
    joinFull(result, part, next);
    result = next;
  }
  return result;
}

KeyParts KeyPartsBuilder::join(const KeyParts &a, const KeyParts &b) {
  KeyParts result;
  KeyPart x = hull(a.list), y = hull(b.list);
  bool single = a.list.size() == 1 && b.list.size() == 1;
  result.isClosedForm = a.isClosedForm && b.isClosedForm && single;
  if (single && x.lo.has_value() != y.lo.has_value() && !a.isCondition &&
      !b.isCondition) {
    // [-inf, hi) and what the other adds to it.
    const KeyPart &low = x.lo ? y : x;
    KeyPart rest = x.lo ? x : y;
    if (low.hi) {
      rest.lo = e.make(E::Max, *rest.lo, *low.hi);
      if (rest.hasFull)
        rest.fullLo = meet(E::Max, rest.fullLo, low.hi);
      result.list = {low, rest};
      return result;
    }
  }
  result.isClosedForm &=
      (!x.lo && !y.lo) || (!x.hi && !y.hi) || a.isCondition || b.isCondition;
  result.isCondition = a.isCondition && b.isCondition;
  result.list.push_back(hull({x, y}));
  return result;
}

KeyParts KeyPartsBuilder::choose(unsigned condition, const KeyParts &a,
                                 const KeyParts &b) {
  KeyParts result;
  result.isClosedForm = a.isClosedForm && b.isClosedForm;
  unsigned low = constant(-far), high = constant(far);
  KeyPart none;
  none.lo = none.fullLo = high;
  none.hi = none.fullHi = low;
  auto pick = [&](End x, End y, unsigned unbounded) -> End {
    if (!x && !y)
      return End();
    return e.make(E::Select, condition, x.value_or(unbounded),
                  y.value_or(unbounded));
  };
  for (size_t i = 0; i < std::max(a.list.size(), b.list.size()); ++i) {
    KeyPart x = i < a.list.size() ? a.list[i] : none;
    KeyPart y = i < b.list.size() ? b.list[i] : none;
    for (KeyPart *part : {&x, &y})
      if (!part->hasFull) {
        part->fullLo = high;
        part->fullHi = low;
      }
    KeyPart &both = result.list.emplace_back();
    both.lo = pick(x.lo, y.lo, low);
    both.hi = pick(x.hi, y.hi, high);
    both.hasFull = x.hasFull || y.hasFull;
    both.fullLo = pick(x.fullLo, y.fullLo, low);
    both.fullHi = pick(x.fullHi, y.fullHi, high);
  }
  return result;
}

/// Cuts a part to the keys of the launch. One that is empty begins and ends
/// after the part before, whatever its ends say.
KeyInterval KeyPartsBuilder::finish(const KeyPart &part,
                                    const KeyInterval *before) {
  unsigned first = e.leaf(E::FirstKey), end = e.leaf(E::EndKey);
  KeyInterval result;
  result.begin = first;
  result.end =
      part.hi ? e.make(E::Max, e.make(E::Min, *part.hi, end), first) : end;
  if (part.lo)
    result.begin = e.make(E::Min, e.make(E::Max, *part.lo, first), result.end);
  if (before) {
    result.begin = e.make(E::Max, result.begin, before->end);
    result.end = e.make(E::Max, result.end, before->end);
  }
  if (!part.hasFull)
    return result;
  auto cut = [&](unsigned value, unsigned low) {
    return e.make(E::Max, e.make(E::Min, value, result.end), low);
  };
  KeyInterval::Full &full = result.full.emplace();
  full.begin = part.fullLo ? cut(*part.fullLo, result.begin) : result.begin;
  full.end = part.fullHi ? cut(*part.fullHi, full.begin) : result.end;
  return result;
}

llvm::SmallVector<KeyInterval, 2>
KeyPartsBuilder::finish(const KeyParts &parts) {
  // Without a closed form one interval holds them all.
  llvm::SmallVector<KeyPart, 2> list = parts.list;
  if (!parts.isClosedForm)
    list = {hull(list)};
  llvm::SmallVector<KeyInterval, 2> intervals;
  for (const KeyPart &part : list)
    intervals.push_back(
        finish(part, intervals.empty() ? nullptr : &intervals.back()));
  return intervals;
}
