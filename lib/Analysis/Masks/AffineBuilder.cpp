//===- AffineBuilder.cpp - Sums, unions and conditions --------------------===//
#include "AffineBuilder.h"
#include "ConditionLogic.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/SaveAndRestore.h"

#include <cmath>

using namespace fovea;

bool AffineMask::Sum::operator==(const Sum &other) const {
  return q == other.q && kv == other.kv && constant == other.constant &&
         divisions == other.divisions;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

constexpr double positionLimit = 0x1p40, valueLimit = 0x1p61;

double AffineBuilder::largest(const Sum &sum) const {
  double total =
      (std::fabs(double(sum.q)) + std::fabs(double(sum.kv))) * positionLimit +
      std::fabs(double(sum.constant));
  for (size_t i = 0; i < sum.divisions.size(); ++i)
    total += std::fabs(double(sum.divisions[i])) * divisionLargest[i];
  return total;
}

/// No value of the sum wraps, whatever the positions.
bool AffineBuilder::isExact(const Sum &sum) const {
  return largest(sum) < valueLimit;
}

std::optional<AffineMask::Sum> AffineBuilder::add(const Sum &a, const Sum &b,
                                                  int64_t factor) const {
  Sum out = a;
  out.divisions.resize(std::max(a.divisions.size(), b.divisions.size()));
  bool overflow = false;
  auto fold = [&](int64_t &to, int64_t more) {
    int64_t product;
    overflow |= __builtin_mul_overflow(more, factor, &product) ||
                __builtin_add_overflow(to, product, &to);
  };
  fold(out.q, b.q);
  fold(out.kv, b.kv);
  fold(out.constant, b.constant);
  for (size_t i = 0; i < b.divisions.size(); ++i)
    fold(out.divisions[i], b.divisions[i]);
  while (!out.divisions.empty() && out.divisions.back() == 0)
    out.divisions.pop_back();
  if (overflow || !isExact(out))
    return std::nullopt;
  return out;
}

static bool isConstantSum(int64_t q, int64_t kv, bool divided) {
  return q == 0 && kv == 0 && !divided;
}

bool AffineBuilder::addRow(Polyhedron &to, const Sum &sum) {
  steps += to.size() + 1;
  if (isConstantSum(sum.q, sum.kv, !sum.divisions.empty()))
    return sum.constant >= 0;
  for (Sum &row : to) {
    Sum same = sum;
    same.constant = row.constant;
    if (row == same) { // the tighter one
      row.constant = std::min(row.constant, sum.constant);
      return true;
    }
    // sum = -row + c: both hold only if the constants leave room.
    Sum opposite = row;
    opposite.q = -opposite.q;
    opposite.kv = -opposite.kv;
    for (int64_t &factor : opposite.divisions)
      factor = -factor;
    opposite.constant = sum.constant;
    if (sum == opposite && sum.constant + row.constant < 0)
      return false;
  }
  to.push_back(sum);
  return true;
}

bool AffineBuilder::addAll(Polyhedron &to, const Polyhedron &from) {
  steps += to.size(); // copied by the caller
  return llvm::all_of(from, [&](const Sum &sum) { return addRow(to, sum); });
}

//===----------------------------------------------------------------------===//
// Unions
//===----------------------------------------------------------------------===//

bool AffineBuilder::fits(const Union &set) const {
  size_t rows = 0;
  for (const Polyhedron &polyhedron : set)
    rows += polyhedron.size();
  return set.size() <= limits.conjunctions && rows <= limits.inequalities &&
         !isTooLong();
}

std::optional<AffineBuilder::Union> AffineBuilder::meet(const Union &a,
                                                        const Union &b) {
  Union out;
  for (const Polyhedron &x : a)
    for (const Polyhedron &y : b) {
      Polyhedron both = x;
      if (!addAll(both, y))
        continue;
      out.push_back(std::move(both));
      if (out.size() > limits.conjunctions)
        return std::nullopt;
    }
  if (!fits(out))
    return std::nullopt;
  return out;
}

std::optional<AffineBuilder::Union> AffineBuilder::unite(Union a,
                                                         const Union &b) {
  // A polyhedron without rows is everything.
  for (const Union *set : {static_cast<const Union *>(&a), &b})
    for (const Polyhedron &polyhedron : *set)
      if (polyhedron.empty())
        return Union{Polyhedron()};
  for (const Polyhedron &polyhedron : b)
    if (!llvm::is_contained(a, polyhedron))
      a.push_back(polyhedron);
  if (!fits(a))
    return std::nullopt;
  return a;
}

/// c and x, or not c and y.
std::optional<AffineBuilder::Union> AffineBuilder::either(
    const std::optional<Union> &c, const std::optional<Union> &notC,
    const std::optional<Union> &x, const std::optional<Union> &y) {
  if (!c || !notC || !x || !y)
    return std::nullopt;
  auto first = meet(*c, *x), second = meet(*notC, *y);
  if (!first || !second)
    return std::nullopt;
  return unite(std::move(*first), *second);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

std::optional<AffineBuilder::Union> AffineBuilder::condition(unsigned index,
                                                             bool negated) {
  auto it = conditions.find(2 * index + negated);
  if (it != conditions.end())
    return it->second;
  std::optional<Union> made;
  if (bounds.isUniform(index)) {
    const IntBounds &value = bounds.ints(index);
    if (value.isPoint())
      made = (value.low != 0) != negated ? Union{Polyhedron()} : Union();
  } else if (depth < maxDepth) {
    llvm::SaveAndRestore deeper(depth, depth + 1);
    made = makeCondition(region.nodes[index], negated);
  }
  return conditions[2 * index + negated] = std::move(made);
}

std::optional<AffineBuilder::Union>
AffineBuilder::makeCondition(const Node &node, bool negated) {
  if (isIntegerComparison(node.kind))
    return compare(node, negated);
  if (!isLogic(node.kind))
    return std::nullopt;
  using Set = std::optional<Union>;
  return readLogic(
      node, negated,
      [&](unsigned i, bool flip) { return condition(node.operands[i], flip); },
      [&](const Set &x, const Set &y) { return x && y ? meet(*x, *y) : Set(); },
      [&](const Set &x, const Set &y) {
        return x && y ? unite(*x, *y) : Set();
      });
}

std::optional<AffineBuilder::Union> AffineBuilder::compare(const Node &node,
                                                           bool negated) {
  auto a = integer(node.operands[0]);
  auto b = a ? integer(node.operands[1]) : std::nullopt;
  if (!a || !b)
    return std::nullopt;
  // a - b (or b - a) + slack >= 0.
  Comparison comparison = readComparison(node.kind, negated);
  bool conjunction = comparison.kind == Comparison::Equal;
  llvm::SmallVector<std::pair<int, int64_t>, 2> rows; // sign, slack
  if (comparison.kind == Comparison::LessEqual)
    rows = {{comparison.swapped ? 1 : -1, comparison.strict ? -1 : 0}};
  else
    rows = {{1, conjunction ? 0 : -1}, {-1, conjunction ? 0 : -1}};
  Union out;
  for (const Piece &x : *a)
    for (const Piece &y : *b) {
      Polyhedron where = x.where;
      if (!addAll(where, y.where))
        continue;
      auto difference = add(x.value, y.value, -1);
      if (!difference)
        return std::nullopt;
      Polyhedron all = where;
      bool any = true;
      for (auto [sign, slack] : rows) {
        auto row = add(Sum{0, 0, slack, {}}, *difference, sign);
        if (!row)
          return std::nullopt;
        if (conjunction) {
          any = any && addRow(all, *row);
          continue;
        }
        Polyhedron one = where;
        if (addRow(one, *row))
          out.push_back(std::move(one));
      }
      if (conjunction && any)
        out.push_back(std::move(all));
      if (out.size() > limits.conjunctions)
        return std::nullopt;
    }
  return unite(std::move(out), {});
}

/// The score, the constant -inf, moderate constants, and what selects and adds
/// them: a sum is -inf exactly where a part is.
void AffineBuilder::findSimpleScores() {
  simple.resize(region.nodes.size());
  for (unsigned index = 0; index < region.nodes.size(); ++index) {
    const Node &node = region.nodes[index];
    auto operand = [&](unsigned i) { return simple[node.operands[i]]; };
    if (node.kind == NodeKind::Arg)
      simple[index] = node.symbol == "s";
    else if (node.kind == NodeKind::Const)
      simple[index] = node.real == -HUGE_VAL || std::fabs(node.real) < 1e30;
    else if (node.kind == NodeKind::Select)
      simple[index] = operand(1) && operand(2);
    else if (node.kind == NodeKind::FAdd)
      simple[index] = operand(0) && operand(1);
  }
}

/// Where a float is not -inf, or with `negated` where it is.
std::optional<AffineBuilder::Union> AffineBuilder::score(unsigned index,
                                                         bool negated) {
  auto it = conditions.find(2 * index + negated);
  if (it != conditions.end())
    return it->second;
  const Node &node = region.nodes[index];
  Union all{Polyhedron()}, none;
  std::optional<Union> made;
  if (depth >= maxDepth)
    return std::nullopt;
  llvm::SaveAndRestore deeper(depth, depth + 1);
  if (node.kind == NodeKind::Select) {
    made = either(
        condition(node.operands[0], false), condition(node.operands[0], true),
        score(node.operands[1], negated), score(node.operands[2], negated));
  } else if (node.kind == NodeKind::FAdd && simple[index]) {
    auto a = score(node.operands[0], negated);
    auto b = score(node.operands[1], negated);
    if (a && b)
      made = negated ? unite(*a, *b) : meet(*a, *b);
  } else if (bounds.isUniform(index)) {
    const FloatBounds &value = bounds.floats(index);
    if (value.low > -HUGE_VAL)
      made = negated ? none : all;
    else if (value.high == -HUGE_VAL && !value.nan)
      made = negated ? all : none;
  }
  return conditions[2 * index + negated] = std::move(made);
}

std::optional<AffineMask> AffineMask::build(const RegionBounds &bounds,
                                            bool isScore,
                                            const AffineLimits &limits) {
  std::optional<AffineMask> out = AffineBuilder(bounds, limits).run(isScore);
  if (!out)
    return std::nullopt;
  out->intervals = llvm::all_of(out->visible, [&](const Polyhedron &rows) {
    return llvm::all_of(rows,
                        [&](const Sum &row) { return out->canSolve(row); });
  });
  return out;
}
