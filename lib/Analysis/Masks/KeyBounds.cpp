//===- KeyBounds.cpp - Which keys rows can see, in closed form ------------===//
#include "fovea/Analysis/KeyBounds.h"
#include "KeyConditions.h"
#include "KeyParts.h"

#include "llvm/ADT/STLExtras.h"

using namespace fovea;
using E = BoundExpression;

static constexpr int64_t far = KeyPartsBuilder::far;

namespace {
class Solver {
public:
  Solver(const KeyConditions &conditions, BoundExpressions &expressions)
      : conditions(conditions), facts(conditions.getFacts()), e(expressions),
        sets(expressions), rows{e.leaf(E::FirstRow), e.leaf(E::LastRow)} {}

  /// Where the whole has no closed form, but each case of its few conditions
  /// on values of the launch has: a choice among the cases.
  KeyParts solveRoot(unsigned maxCases);

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

  KeyParts solve(int condition);
  KeyParts solveCases(llvm::ArrayRef<unsigned> atoms);
  void findAtoms(int condition, llvm::SmallVectorImpl<unsigned> &atoms);
  /// By the conditions that are taken for true or false.
  std::optional<bool> decide(int condition);
  std::optional<BoundPair> rangeOf(unsigned node);
  std::optional<BoundPair> computeRange(unsigned node);
  std::optional<BoundPair> rangeOf(const KeySum &sum, const KeyTerm *except);
  KeyParts solveGuarded(const KeyCondition &condition);
  KeyParts solveAtMostZero(const KeyCondition &condition);
  KeyParts solveAtMost(const KeySum &sum, BoundPair limit);
  KeyParts solveTerm(unsigned key, BoundPair limit, bool atLeast);
  KeyParts solveDivision(const Node &node, BoundPair limit, bool atLeast);
  KeyParts solveExtremum(const Node &node, BoundPair limit, bool atLeast);
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

  const KeyConditions &conditions;
  const RegionBounds &facts;
  BoundExpressions &e;
  KeyPartsBuilder sets;
  BoundPair rows;
  llvm::DenseMap<unsigned, std::optional<BoundPair>> ranges;
  llvm::DenseMap<unsigned, bool> taken;
};
} // namespace

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

std::optional<BoundPair> Solver::rangeOf(const KeySum &sum,
                                         const KeyTerm *except) {
  unsigned low = constant(sum.constant), high = low;
  for (const KeyTerm &term : sum.terms) {
    if (&term == except)
      continue;
    std::optional<BoundPair> range = rangeOf(term.node);
    if (!range)
      return std::nullopt;
    if (term.clamp) {
      unsigned cut = e.make(E::Min, range->first, constant(far));
      cut = e.make(E::Max, cut, constant(-far));
      range = BoundPair{cut, cut};
    }
    bool negative = term.factor < 0;
    bool same = low == high && range->first == range->second;
    unsigned least = negative ? range->second : range->first;
    unsigned greatest = negative ? range->first : range->second;
    low = addScaled(low, least, term.factor);
    high = same ? low : addScaled(high, greatest, term.factor);
  }
  return BoundPair{low, high};
}

/// The range of a value over the rows; none where it depends on more than the
/// row's position.
std::optional<BoundPair> Solver::rangeOf(unsigned node) {
  auto it = ranges.find(node);
  if (it != ranges.end())
    return it->second;
  std::optional<BoundPair> range = computeRange(node);
  ranges[node] = range;
  return range;
}

std::optional<BoundPair> Solver::computeRange(unsigned index) {
  if (facts.dependsOnKey(index))
    return std::nullopt;
  if (std::optional<int64_t> value = conditions.constantOf(index))
    return BoundPair{constant(*value), constant(*value)};
  if (facts.isUniform(index)) {
    unsigned value = e.leaf(E::Node, index);
    return BoundPair{value, value};
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
      return BoundPair{constant(0), constant(*divisor - 1)};
    std::optional<BoundPair> range = rangeOf(of.operands[0]);
    if (!range)
      return std::nullopt;
    unsigned by = constant(*divisor);
    return BoundPair{e.make(E::FloorDiv, range->first, by),
                     e.make(E::FloorDiv, range->second, by)};
  }
  if (of.kind == NodeKind::IMin || of.kind == NodeKind::IMax) {
    std::optional<BoundPair> a = rangeOf(of.operands[0]);
    std::optional<BoundPair> b = a ? rangeOf(of.operands[1]) : std::nullopt;
    if (!b)
      return std::nullopt;
    E::Kind kind = of.kind == NodeKind::IMin ? E::Min : E::Max;
    return BoundPair{e.make(kind, a->first, b->first),
                     e.make(kind, a->second, b->second)};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

KeyParts Solver::solve(int index) {
  const KeyCondition &condition = conditions[index];
  if (std::optional<bool> decided = decide(index); decided && !*decided)
    return sets.where(constant(0), constant(0));
  else if (decided)
    return sets.all();
  switch (condition.kind) {
  case KeyCondition::True:
  case KeyCondition::False:
    llvm_unreachable("decided");
  case KeyCondition::Unknown:
    return sets.unknown();
  case KeyCondition::Uniform: {
    unsigned holds = e.leaf(E::Node, condition.node);
    if (condition.negated)
      holds = e.make(E::Not, holds);
    return sets.where(holds, holds);
  }
  case KeyCondition::And:
  case KeyCondition::Or: {
    // What is decided, and not by itself the answer, leaves the other one.
    if (decide(condition.lhs))
      return solve(condition.rhs);
    if (decide(condition.rhs))
      return solve(condition.lhs);
    KeyParts a = solve(condition.lhs), b = solve(condition.rhs);
    return condition.kind == KeyCondition::And ? sets.meet(a, b)
                                               : sets.join(a, b);
  }
  case KeyCondition::AtMostZero:
    return solveGuarded(condition);
  }
  llvm_unreachable("unknown kind");
}

/// Where a guard fails anything may be visible.
KeyParts Solver::solveGuarded(const KeyCondition &condition) {
  KeyParts parts = solveAtMostZero(condition);
  if (condition.guards.empty() || !parts.isClosedForm)
    return condition.guards.empty() ? parts : sets.unknown();
  unsigned largest = constant(0);
  for (unsigned guard : condition.guards) {
    unsigned value = e.leaf(E::Node, guard);
    unsigned opposite = negate(e.make(E::Max, value, constant(-far)));
    largest = e.make(E::Max, largest, e.make(E::Max, value, opposite));
  }
  unsigned hold = e.make(E::Less, largest, constant(KeyConditions::guardLimit));
  KeyParts open = sets.unknown();
  open.isClosedForm = true;
  return sets.choose(hold, parts, open);
}

KeyParts Solver::solveAtMostZero(const KeyCondition &condition) {
  if (keyTermOf(condition.sum))
    return solveAtMost(condition.sum, {constant(0), constant(0)});
  std::optional<BoundPair> range = rangeOf(condition.sum, nullptr);
  if (!range)
    return sets.unknown();
  unsigned one = constant(1), some = e.make(E::Less, range->first, one);
  return sets.where(some, e.make(E::Less, range->second, one));
}

/// sum <= limit, for some rows and for all rows.
KeyParts Solver::solveAtMost(const KeySum &sum, BoundPair limit) {
  const KeyTerm *key = keyTermOf(sum);
  std::optional<BoundPair> rest = rangeOf(sum, key);
  if (!rest)
    return sets.unknown();
  // factor * key <= limit - rest: the least rest is the most permissive.
  BoundPair room{e.make(E::Sub, limit.first, rest->first),
                 e.make(E::Sub, limit.second, rest->second)};
  int64_t factor = key->factor;
  if (factor < -(int64_t(1) << 60) || factor > (int64_t(1) << 60))
    return sets.unknown();
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
KeyParts Solver::solveTerm(unsigned key, BoundPair limit, bool atLeast) {
  const Node &of = node(key);
  switch (of.kind) {
  case NodeKind::Arg:
    return atLeast ? sets.atLeast(limit) : sets.atMost(limit);
  case NodeKind::FloorDiv:
    return solveDivision(of, limit, atLeast);
  case NodeKind::IMin:
  case NodeKind::IMax:
  case NodeKind::IAbs:
    return solveExtremum(of, limit, atLeast);
  default:
    return sets.unknown();
  }
}

/// x // c <= y is x <= c*y + c - 1; x // c >= y is -x <= -c*y.
KeyParts Solver::solveDivision(const Node &node, BoundPair limit,
                               bool atLeast) {
  std::optional<int64_t> divisor = conditions.constantOf(node.operands[1]);
  if (!divisor || *divisor <= 0 || !conditions.isNarrow(node.operands[0]))
    return sets.unknown();
  int64_t by = *divisor;
  auto product = [&](unsigned value) {
    // Quotients lie within far / by: a limit beyond that says no more.
    value = e.make(E::Min, value, constant(far / by));
    value = e.make(E::Max, value, constant(-far / by - 1));
    return scale(value, atLeast ? -by : by);
  };
  BoundPair products{product(limit.first), product(limit.second)};
  KeySum dividend = conditions.sumOf(node.operands[0]);
  if (atLeast) {
    dividend.constant = -dividend.constant;
    for (KeyTerm &term : dividend.terms)
      term.factor = -term.factor;
  } else {
    products = {add(products.first, by - 1), add(products.second, by - 1)};
  }
  return hasOneKeyTerm(dividend) ? solveAtMost(dividend, products)
                                 : sets.unknown();
}

/// max(x, y) <= z is x <= z and y <= z; the other three likewise.
KeyParts Solver::solveExtremum(const Node &node, BoundPair limit,
                               bool atLeast) {
  auto side = [&](unsigned value, int64_t sign) -> KeyParts {
    if (!conditions.isNarrow(value))
      return sets.unknown();
    int64_t factor = atLeast ? -sign : sign;
    KeySum sum = conditions.sumOf(value);
    sum.constant *= factor;
    for (KeyTerm &term : sum.terms)
      term.factor *= factor;
    BoundPair bound =
        atLeast ? BoundPair{negate(limit.first), negate(limit.second)} : limit;
    if (hasOneKeyTerm(sum))
      return solveAtMost(sum, bound);
    std::optional<BoundPair> range =
        keyTermOf(sum) ? std::nullopt : rangeOf(sum, nullptr);
    if (!range)
      return sets.unknown();
    return sets.where(e.make(E::Less, range->first, add(bound.first, 1)),
                      e.make(E::Less, range->second, add(bound.second, 1)));
  };
  bool isAbs = node.kind == NodeKind::IAbs;
  bool isMax = isAbs || node.kind == NodeKind::IMax;
  unsigned x = node.operands[0], y = isAbs ? x : node.operands[1];
  KeyParts a = side(x, 1), b = side(y, isAbs ? -1 : 1);
  return isMax != atLeast ? sets.meet(a, b) : sets.join(a, b);
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

KeyParts Solver::solveCases(llvm::ArrayRef<unsigned> atoms) {
  if (atoms.empty() || decide(conditions.root()))
    return solve(conditions.root());
  KeyParts cases[2];
  for (bool holds : {false, true}) {
    taken[atoms.front()] = holds;
    cases[holds] = solveCases(atoms.drop_front());
    taken.erase(atoms.front());
    if (!cases[holds].isClosedForm)
      return sets.unknown();
  }
  return sets.choose(e.leaf(E::Node, atoms.front()), cases[true], cases[false]);
}

KeyParts Solver::solveRoot(unsigned maxCases) {
  KeyParts whole = solve(conditions.root());
  llvm::SmallVector<unsigned, 4> atoms;
  findAtoms(conditions.root(), atoms);
  if (whole.isClosedForm || atoms.empty() || atoms.size() > maxCases)
    return whole;
  KeyParts cases = solveCases(atoms);
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
  KeyParts parts = solver.solveRoot(maxCases);
  bounds.isClosedForm = parts.isClosedForm;
  if (!bounds.isClosedForm)
    bounds.reason = conditions.whyOpen().str();
  bounds.parts = KeyPartsBuilder(bounds.expressions).finish(parts);
  return bounds;
}
