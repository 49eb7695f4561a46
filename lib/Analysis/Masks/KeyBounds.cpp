//===- KeyBounds.cpp - Which keys rows can see, in closed form ------------===//
#include "fovea/Analysis/KeyBounds.h"
#include "KeyConditions.h"

#include "llvm/ADT/STLExtras.h"

using namespace fovea;
using E = BoundExpression;

/// Bounds beyond every position; sums of two do not wrap.
static constexpr int64_t far = int64_t(1) << 61;
static constexpr unsigned maxParts = 4;

namespace {
/// Expressions: for a range of rows the least and the greatest value, or for a
/// bound the one that serves some row and the one that serves all rows.
struct Pair {
  unsigned first, second;
};

using End = std::optional<unsigned>; // absent: unbounded

/// Keys [lo, hi), of which [fullLo, fullHi) are seen by all rows.
struct Part {
  End lo, hi, fullLo, fullHi;
  bool hasFull = true;
};

struct Parts {
  llvm::SmallVector<Part, 2> list;
  bool isClosedForm = true;
  /// One part that holds all keys or none.
  bool isCondition = false;
};

class Solver {
public:
  Solver(const KeyConditions &conditions, BoundExpressions &expressions)
      : conditions(conditions), facts(conditions.getFacts()), e(expressions),
        rows{e.leaf(E::FirstRow), e.leaf(E::LastRow)} {}

  /// Where the whole has no closed form, but each case of its few conditions
  /// on values of the launch has: a choice among the cases.
  Parts solveRoot(unsigned maxCases);
  KeyInterval finish(const Part &part, const KeyInterval *before);
  Part hull(llvm::ArrayRef<Part> parts);

private:
  unsigned constant(int64_t value) { return e.constant(value); }
  unsigned add(unsigned value, int64_t amount) {
    return e.make(E::Add, value, constant(amount));
  }
  unsigned negate(unsigned value) { return e.make(E::Sub, constant(0), value); }
  unsigned scale(unsigned value, int64_t factor) {
    return e.make(E::Mul, value, constant(factor));
  }
  unsigned addScaled(unsigned sum, unsigned value, int64_t factor) {
    return factor == -1 ? e.make(E::Sub, sum, value)
                        : e.make(E::Add, sum, scale(value, factor));
  }
  /// The stricter of two ends of an intersection, or the laxer of a union.
  End meet(E::Kind stricter, End a, End b) {
    return a && b ? e.make(stricter, *a, *b) : (a ? a : b);
  }
  End join(E::Kind laxer, End a, End b) {
    return a && b ? End(e.make(laxer, *a, *b)) : End();
  }

  Parts solve(int condition);
  Parts solveCases(llvm::ArrayRef<unsigned> atoms);
  Parts choose(unsigned condition, const Parts &a, const Parts &b);
  void findAtoms(int condition, llvm::SmallVectorImpl<unsigned> &atoms);
  /// By the conditions that are taken for true or false.
  std::optional<bool> decide(int condition);
  std::optional<Pair> rangeOf(unsigned node);
  std::optional<Pair> computeRange(unsigned node);
  std::optional<Pair> rangeOf(const KeySum &sum, const KeyTerm *except);
  Parts solveUniform(unsigned some, unsigned all);
  Parts solveGuarded(const KeyCondition &condition);
  Parts solveAtMostZero(const KeyCondition &condition);
  Parts solveAtMost(const KeySum &sum, Pair limit);
  Parts solveTerm(unsigned key, Pair limit, bool atLeast);
  Parts solveDivision(const Node &node, Pair limit, bool atLeast);
  Parts solveExtremum(const Node &node, Pair limit, bool atLeast);
  Parts meet(const Parts &a, const Parts &b);
  Parts join(const Parts &a, const Parts &b);
  Part meet(const Part &a, const Part &b);
  void joinFull(const Part &a, const Part &b, Part &result);
  const Node &node(unsigned index) { return facts.getRegion().nodes[index]; }
  const KeyTerm *keyTermOf(const KeySum &sum) {
    auto *it = llvm::find_if(sum.terms, [&](const KeyTerm &term) {
      return facts.dependsOnKey(term.node);
    });
    return it == sum.terms.end() ? nullptr : it;
  }
  bool hasOneKeyTerm(const KeySum &sum) {
    return llvm::count_if(sum.terms, [&](const KeyTerm &term) {
             return facts.dependsOnKey(term.node);
           }) == 1;
  }
  Parts unknown() {
    Part part;
    part.hasFull = false;
    return {{part}, /*isClosedForm=*/false};
  }

  const KeyConditions &conditions;
  const RegionBounds &facts;
  BoundExpressions &e;
  Pair rows;
  llvm::DenseMap<unsigned, std::optional<Pair>> ranges;
  llvm::DenseMap<unsigned, bool> taken;
};
} // namespace

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

std::optional<Pair> Solver::rangeOf(const KeySum &sum, const KeyTerm *except) {
  unsigned low = constant(sum.constant), high = low;
  for (const KeyTerm &term : sum.terms) {
    if (&term == except)
      continue;
    std::optional<Pair> range = rangeOf(term.node);
    if (!range)
      return std::nullopt;
    if (term.clamp) {
      unsigned cut = e.make(E::Min, range->first, constant(far));
      cut = e.make(E::Max, cut, constant(-far));
      range = Pair{cut, cut};
    }
    bool negative = term.factor < 0;
    bool same = low == high && range->first == range->second;
    unsigned least = negative ? range->second : range->first;
    unsigned greatest = negative ? range->first : range->second;
    low = addScaled(low, least, term.factor);
    high = same ? low : addScaled(high, greatest, term.factor);
  }
  return Pair{low, high};
}

/// The range of a value over the rows; none where it depends on more than the
/// row's position.
std::optional<Pair> Solver::rangeOf(unsigned node) {
  auto it = ranges.find(node);
  if (it != ranges.end())
    return it->second;
  std::optional<Pair> range = computeRange(node);
  ranges[node] = range;
  return range;
}

std::optional<Pair> Solver::computeRange(unsigned index) {
  if (facts.dependsOnKey(index))
    return std::nullopt;
  if (std::optional<int64_t> value = conditions.constantOf(index))
    return Pair{constant(*value), constant(*value)};
  if (facts.isUniform(index)) {
    unsigned value = e.leaf(E::Node, index);
    return Pair{value, value};
  }
  const Node &of = node(index);
  if (of.kind == NodeKind::Arg)
    return rows;
  const KeySum &sum = conditions.sumOf(index);
  if (sum.terms.size() != 1 || sum.terms[0].node != index)
    return rangeOf(sum, nullptr);
  if (of.kind == NodeKind::FloorDiv || of.kind == NodeKind::Mod) {
    std::optional<int64_t> divisor = conditions.constantOf(of.operands[1]);
    if (!divisor || *divisor <= 0)
      return std::nullopt;
    if (of.kind == NodeKind::Mod)
      return Pair{constant(0), constant(*divisor - 1)};
    std::optional<Pair> range = rangeOf(of.operands[0]);
    if (!range)
      return std::nullopt;
    unsigned by = constant(*divisor);
    return Pair{e.make(E::FloorDiv, range->first, by),
                e.make(E::FloorDiv, range->second, by)};
  }
  if (of.kind == NodeKind::IMin || of.kind == NodeKind::IMax) {
    std::optional<Pair> a = rangeOf(of.operands[0]);
    std::optional<Pair> b = a ? rangeOf(of.operands[1]) : std::nullopt;
    if (!b)
      return std::nullopt;
    E::Kind kind = of.kind == NodeKind::IMin ? E::Min : E::Max;
    return Pair{e.make(kind, a->first, b->first),
                e.make(kind, a->second, b->second)};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Sets of keys
//===----------------------------------------------------------------------===//

Part Solver::meet(const Part &a, const Part &b) {
  Part result;
  result.lo = meet(E::Max, a.lo, b.lo);
  result.hi = meet(E::Min, a.hi, b.hi);
  result.hasFull = a.hasFull && b.hasFull;
  if (result.hasFull) {
    result.fullLo = meet(E::Max, a.fullLo, b.fullLo);
    result.fullHi = meet(E::Min, a.fullHi, b.fullHi);
  }
  return result;
}

Parts Solver::meet(const Parts &a, const Parts &b) {
  Parts result;
  result.isClosedForm = a.isClosedForm && b.isClosedForm;
  result.isCondition = a.isCondition && b.isCondition;
  if (a.list.size() * b.list.size() > maxParts) {
    result.isClosedForm = false;
    result.list.push_back(meet(hull(a.list), hull(b.list)));
    return result;
  }
  for (const Part &x : a.list)
    for (const Part &y : b.list)
      result.list.push_back(meet(x, y));
  return result;
}

/// A full interval of a union: both where that is one interval for sure, else
/// the longer of the two.
void Solver::joinFull(const Part &a, const Part &b, Part &result) {
  result.hasFull = a.hasFull || b.hasFull;
  if (!a.hasFull || !b.hasFull) {
    const Part &from = a.hasFull ? a : b;
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

Part Solver::hull(llvm::ArrayRef<Part> parts) {
  Part result = parts.front();
  for (const Part &part : parts.drop_front()) {
    Part next;
    next.lo = join(E::Min, result.lo, part.lo);
    next.hi = join(E::Max, result.hi, part.hi);
    joinFull(result, part, next);
    result = next;
  }
  return result;
}

Parts Solver::join(const Parts &a, const Parts &b) {
  Parts result;
  Part x = hull(a.list), y = hull(b.list);
  bool single = a.list.size() == 1 && b.list.size() == 1;
  result.isClosedForm = a.isClosedForm && b.isClosedForm && single;
  if (single && x.lo.has_value() != y.lo.has_value() && !a.isCondition &&
      !b.isCondition) {
    // [-inf, hi) and what the other adds to it.
    const Part &low = x.lo ? y : x;
    Part rest = x.lo ? x : y;
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

/// Cuts a part to the keys of the launch. One that is empty begins and ends
/// after the part before, whatever its ends say.
KeyInterval Solver::finish(const Part &part, const KeyInterval *before) {
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

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

/// All keys where the condition holds for some (all) rows, else none.
Parts Solver::solveUniform(unsigned some, unsigned all) {
  unsigned low = constant(-far), high = constant(far);
  Part part;
  part.lo = part.fullLo = e.make(E::Select, some, low, high);
  part.hi = part.fullHi = e.make(E::Select, some, high, low);
  if (some != all) {
    part.fullLo = e.make(E::Select, all, low, high);
    part.fullHi = e.make(E::Select, all, high, low);
  }
  return {{part}, /*isClosedForm=*/true, /*isCondition=*/true};
}

Parts Solver::solve(int index) {
  const KeyCondition &condition = conditions[index];
  if (std::optional<bool> decided = decide(index); decided && !*decided)
    return solveUniform(constant(0), constant(0));
  else if (decided)
    return {{Part()}, /*isClosedForm=*/true, /*isCondition=*/true};
  switch (condition.kind) {
  case KeyCondition::True:
  case KeyCondition::False:
    llvm_unreachable("decided");
  case KeyCondition::Unknown:
    return unknown();
  case KeyCondition::Uniform: {
    unsigned holds = e.leaf(E::Node, condition.node);
    if (condition.negated)
      holds = e.make(E::Not, holds);
    return solveUniform(holds, holds);
  }
  case KeyCondition::And:
  case KeyCondition::Or: {
    // What is decided, and not by itself the answer, leaves the other one.
    if (decide(condition.lhs))
      return solve(condition.rhs);
    if (decide(condition.rhs))
      return solve(condition.lhs);
    Parts a = solve(condition.lhs), b = solve(condition.rhs);
    return condition.kind == KeyCondition::And ? meet(a, b) : join(a, b);
  }
  case KeyCondition::AtMostZero:
    return solveGuarded(condition);
  }
  llvm_unreachable("unknown kind");
}

/// Where a guard fails anything may be visible.
Parts Solver::solveGuarded(const KeyCondition &condition) {
  Parts parts = solveAtMostZero(condition);
  if (condition.guards.empty() || !parts.isClosedForm)
    return condition.guards.empty() ? parts : unknown();
  unsigned largest = constant(0);
  for (unsigned guard : condition.guards) {
    unsigned value = e.leaf(E::Node, guard);
    unsigned opposite = negate(e.make(E::Max, value, constant(-far)));
    largest = e.make(E::Max, largest, e.make(E::Max, value, opposite));
  }
  unsigned hold = e.make(E::Less, largest, constant(KeyConditions::guardLimit));
  Parts open = unknown();
  open.isClosedForm = true;
  return choose(hold, parts, open);
}

Parts Solver::solveAtMostZero(const KeyCondition &condition) {
  if (keyTermOf(condition.sum))
    return solveAtMost(condition.sum, {constant(0), constant(0)});
  std::optional<Pair> range = rangeOf(condition.sum, nullptr);
  if (!range)
    return unknown();
  unsigned one = constant(1), some = e.make(E::Less, range->first, one);
  return solveUniform(some, e.make(E::Less, range->second, one));
}

/// sum <= limit, for some rows and for all rows.
Parts Solver::solveAtMost(const KeySum &sum, Pair limit) {
  const KeyTerm *key = keyTermOf(sum);
  std::optional<Pair> rest = rangeOf(sum, key);
  if (!rest)
    return unknown();
  // factor * key <= limit - rest: the least rest is the most permissive.
  Pair room{e.make(E::Sub, limit.first, rest->first),
            e.make(E::Sub, limit.second, rest->second)};
  int64_t factor = key->factor;
  if (factor < -(int64_t(1) << 60) || factor > (int64_t(1) << 60))
    return unknown();
  auto divide = [&](unsigned value) {
    if (factor > 0)
      return e.make(E::FloorDiv, value, constant(factor));
    // key >= ceil(-room / -factor) = -floor(room / -factor)
    return negate(e.make(E::FloorDiv, value, constant(-factor)));
  };
  return solveTerm(key->node, {divide(room.first), divide(room.second)},
                   factor < 0);
}

/// key <= limit (or >=), where key is the position or an operation on it.
Parts Solver::solveTerm(unsigned key, Pair limit, bool atLeast) {
  const Node &of = node(key);
  switch (of.kind) {
  case NodeKind::Arg: {
    Part part;
    if (atLeast) {
      part.lo = limit.first;
      part.fullLo = limit.second;
    } else {
      part.hi = add(limit.first, 1);
      part.fullHi = add(limit.second, 1);
    }
    return {{part}, /*isClosedForm=*/true, /*isCondition=*/false};
  }
  case NodeKind::FloorDiv:
    return solveDivision(of, limit, atLeast);
  case NodeKind::IMin:
  case NodeKind::IMax:
  case NodeKind::IAbs:
    return solveExtremum(of, limit, atLeast);
  default:
    return unknown();
  }
}

/// x // c <= y is x <= c*y + c - 1; x // c >= y is -x <= -c*y.
Parts Solver::solveDivision(const Node &node, Pair limit, bool atLeast) {
  std::optional<int64_t> divisor = conditions.constantOf(node.operands[1]);
  if (!divisor || *divisor <= 0 || !conditions.isNarrow(node.operands[0]))
    return unknown();
  int64_t by = *divisor;
  auto product = [&](unsigned value) {
    // Quotients lie within far / by: a limit beyond that says no more.
    value = e.make(E::Min, value, constant(far / by));
    value = e.make(E::Max, value, constant(-far / by - 1));
    return scale(value, atLeast ? -by : by);
  };
  Pair products{product(limit.first), product(limit.second)};
  KeySum dividend = conditions.sumOf(node.operands[0]);
  if (atLeast) {
    dividend.constant = -dividend.constant;
    for (KeyTerm &term : dividend.terms)
      term.factor = -term.factor;
  } else {
    products = {add(products.first, by - 1), add(products.second, by - 1)};
  }
  return hasOneKeyTerm(dividend) ? solveAtMost(dividend, products) : unknown();
}

/// max(x, y) <= z is x <= z and y <= z; the other three likewise.
Parts Solver::solveExtremum(const Node &node, Pair limit, bool atLeast) {
  auto side = [&](unsigned value, int64_t sign) -> Parts {
    if (!conditions.isNarrow(value))
      return unknown();
    int64_t factor = atLeast ? -sign : sign;
    KeySum sum = conditions.sumOf(value);
    sum.constant *= factor;
    for (KeyTerm &term : sum.terms)
      term.factor *= factor;
    Pair bound =
        atLeast ? Pair{negate(limit.first), negate(limit.second)} : limit;
    if (hasOneKeyTerm(sum))
      return solveAtMost(sum, bound);
    std::optional<Pair> range =
        keyTermOf(sum) ? std::nullopt : rangeOf(sum, nullptr);
    if (!range)
      return unknown();
    return solveUniform(e.make(E::Less, range->first, add(bound.first, 1)),
                        e.make(E::Less, range->second, add(bound.second, 1)));
  };
  bool isAbs = node.kind == NodeKind::IAbs;
  bool isMax = isAbs || node.kind == NodeKind::IMax;
  unsigned x = node.operands[0], y = isAbs ? x : node.operands[1];
  Parts a = side(x, 1), b = side(y, isAbs ? -1 : 1);
  return isMax != atLeast ? meet(a, b) : join(a, b);
}

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

std::optional<bool> Solver::decide(int index) {
  const KeyCondition &condition = conditions[index];
  switch (condition.kind) {
  case KeyCondition::True:
    return true;
  case KeyCondition::False:
    return false;
  case KeyCondition::Uniform: {
    auto it = taken.find(condition.node);
    if (it == taken.end())
      return std::nullopt;
    return it->second != condition.negated;
  }
  case KeyCondition::And:
  case KeyCondition::Or: {
    std::optional<bool> a = decide(condition.lhs), b = decide(condition.rhs);
    bool absorbing = condition.kind == KeyCondition::Or;
    if (a == absorbing || b == absorbing)
      return absorbing;
    return a && b ? std::optional(!absorbing) : std::nullopt;
  }
  default:
    return std::nullopt;
  }
}

void Solver::findAtoms(int index, llvm::SmallVectorImpl<unsigned> &atoms) {
  const KeyCondition &condition = conditions[index];
  if (condition.kind == KeyCondition::Uniform &&
      !llvm::is_contained(atoms, condition.node))
    atoms.push_back(condition.node);
  if (condition.kind != KeyCondition::And && condition.kind != KeyCondition::Or)
    return;
  findAtoms(condition.lhs, atoms);
  findAtoms(condition.rhs, atoms);
}

/// a where the condition holds, else b, part by part.
Parts Solver::choose(unsigned condition, const Parts &a, const Parts &b) {
  Parts result;
  result.isClosedForm = a.isClosedForm && b.isClosedForm;
  unsigned low = constant(-far), high = constant(far);
  Part none;
  none.lo = none.fullLo = high;
  none.hi = none.fullHi = low;
  auto pick = [&](End x, End y, unsigned unbounded) -> End {
    if (!x && !y)
      return End();
    return e.make(E::Select, condition, x.value_or(unbounded),
                  y.value_or(unbounded));
  };
  for (size_t i = 0; i < std::max(a.list.size(), b.list.size()); ++i) {
    Part x = i < a.list.size() ? a.list[i] : none;
    Part y = i < b.list.size() ? b.list[i] : none;
    for (Part *part : {&x, &y})
      if (!part->hasFull) {
        part->fullLo = high;
        part->fullHi = low;
      }
    Part &both = result.list.emplace_back();
    both.lo = pick(x.lo, y.lo, low);
    both.hi = pick(x.hi, y.hi, high);
    both.hasFull = x.hasFull || y.hasFull;
    both.fullLo = pick(x.fullLo, y.fullLo, low);
    both.fullHi = pick(x.fullHi, y.fullHi, high);
  }
  return result;
}

Parts Solver::solveCases(llvm::ArrayRef<unsigned> atoms) {
  if (atoms.empty() || decide(conditions.root()))
    return solve(conditions.root());
  Parts cases[2];
  for (bool holds : {false, true}) {
    taken[atoms.front()] = holds;
    cases[holds] = solveCases(atoms.drop_front());
    taken.erase(atoms.front());
    if (!cases[holds].isClosedForm)
      return unknown();
  }
  return choose(e.leaf(E::Node, atoms.front()), cases[true], cases[false]);
}

Parts Solver::solveRoot(unsigned maxCases) {
  Parts whole = solve(conditions.root());
  llvm::SmallVector<unsigned, 4> atoms;
  findAtoms(conditions.root(), atoms);
  if (whole.isClosedForm || atoms.empty() || atoms.size() > maxCases)
    return whole;
  Parts cases = solveCases(atoms);
  return cases.isClosedForm ? cases : whole;
}

//===----------------------------------------------------------------------===//
// Bounds of a mask
//===----------------------------------------------------------------------===//

KeyDomain KeyDomain::of(bool narrow) {
  constexpr int64_t close = int64_t(1) << 30, most = int64_t(1) << 57;
  Interval index{0, (narrow ? close : most) - 1};
  return {narrow ? index : Interval{-most, most}, index};
}

KeyBounds fovea::findKeyBounds(const Program &program, const Region &mask,
                               const KeyDomain &domain, unsigned maxCases) {
  RegionBounds facts(program, mask, RegionEnvironment());
  facts.enter(IntBounds(domain.index), IntBounds(domain.index));
  facts.evaluate(domain.position, domain.position, /*all=*/true);
  KeyConditions conditions(facts);
  KeyBounds bounds;
  Solver solver(conditions, bounds.expressions);
  Parts parts = solver.solveRoot(maxCases);
  bounds.isClosedForm = parts.isClosedForm;
  if (!bounds.isClosedForm) {
    bounds.reason = conditions.whyOpen().str();
    parts.list = {solver.hull(parts.list)};
  }
  for (const Part &part : parts.list)
    bounds.parts.push_back(solver.finish(
        part, bounds.parts.empty() ? nullptr : &bounds.parts.back()));
  return bounds;
}
