//===- AffineBuilder.cpp - From regions to integer polyhedra --------------===//
#include "fovea/Analysis/AffineMask.h"
#include "fovea/Support/TotalArithmetic.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/SaveAndRestore.h"

#include <chrono>
#include <cmath>

using namespace fovea;

namespace fovea {
/// Conditions become unions of polyhedra (twice: they and their negations),
/// integers pieces: sums, each with the polyhedron where it holds.
class AffineBuilder {
public:
  AffineBuilder(const RegionBounds &bounds, const AffineLimits &limits)
      : bounds(bounds), region(bounds.getRegion()), limits(limits),
        start(std::chrono::steady_clock::now()) {}

  std::optional<AffineMask> run(bool isScore) {
    unsigned root = region.results.front();
    AffineMask out;
    out.limits = limits;
    if (isScore)
      findSimpleScores();
    auto visible = isScore ? score(root, false) : condition(root, false);
    auto hidden = isScore ? score(root, true) : condition(root, true);
    if (!visible || !hidden)
      return std::nullopt;
    out.visible = std::move(*visible);
    out.hidden = std::move(*hidden);
    out.divisions = std::move(divisions);
    return out;
  }

private:
  using Sum = AffineMask::Sum;
  using Polyhedron = AffineMask::Polyhedron;
  using Union = std::vector<Polyhedron>;
  struct Piece {
    Polyhedron where;
    Sum value;
  };
  using Pieces = std::vector<Piece>;

  std::optional<Union> condition(unsigned index, bool negated);
  std::optional<Union> makeCondition(const Node &node, bool negated);
  std::optional<Union> compare(const Node &node, bool negated);
  std::optional<Union> score(unsigned index, bool negated);
  void findSimpleScores();
  std::optional<Pieces> integer(unsigned index);
  std::optional<Pieces> makeInteger(unsigned index);
  std::optional<Pieces> extremum(const Node &node, bool least);
  std::optional<Pieces> absolute(const Node &node);
  std::optional<Pieces> select(const Node &node);
  std::optional<Pieces> divide(const Pieces &of, int64_t by, bool remainder);
  template <typename F>
  std::optional<Pieces> combine(unsigned a, unsigned b, F f);

  std::optional<Union> meet(const Union &a, const Union &b);
  std::optional<Union> unite(Union a, const Union &b);
  std::optional<Union> either(const std::optional<Union> &c,
                              const std::optional<Union> &notC,
                              const std::optional<Union> &x,
                              const std::optional<Union> &y);
  /// Joins where both hold; false: nowhere.
  bool addAll(Polyhedron &to, const Polyhedron &from) const;
  bool addRow(Polyhedron &to, const Sum &sum) const;
  bool fits(const Union &set) const;
  bool isLate() const {
    std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    return spent.count() > limits.milliseconds;
  }

  std::optional<int64_t> constantOf(unsigned index) const;
  std::optional<Sum> add(const Sum &a, const Sum &b, int64_t factor) const;
  bool isExact(const Sum &sum) const;
  double largest(const Sum &sum) const;

  const RegionBounds &bounds;
  const Region &region;
  AffineLimits limits;
  std::chrono::steady_clock::time_point start;
  std::vector<AffineMask::Division> divisions;
  std::vector<double> divisionLargest;
  std::vector<bool> simple;
  /// Walks stop where they would take much stack.
  static constexpr unsigned maxDepth = 400;
  unsigned depth = 0;
  /// By node and, in the lowest bit, negation.
  llvm::DenseMap<unsigned, std::optional<Union>> conditions;
  llvm::DenseMap<unsigned, std::optional<Pieces>> integers;
};
} // namespace fovea

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

bool AffineBuilder::addRow(Polyhedron &to, const Sum &sum) const {
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

bool AffineBuilder::addAll(Polyhedron &to, const Polyhedron &from) const {
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
         !isLate();
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
  auto operand = [&](unsigned i, bool flip) {
    return condition(node.operands[i], flip);
  };
  switch (node.kind) {
  case NodeKind::BAnd:
  case NodeKind::BOr: {
    auto a = operand(0, negated);
    auto b = a ? operand(1, negated) : std::nullopt;
    if (!a || !b)
      return std::nullopt;
    return (node.kind == NodeKind::BAnd) != negated ? meet(*a, *b)
                                                    : unite(*a, *b);
  }
  case NodeKind::BNot:
    return operand(0, !negated);
  case NodeKind::BXor:
    return either(operand(0, false), operand(0, true), operand(1, !negated),
                  operand(1, negated));
  case NodeKind::Select:
    return either(operand(0, false), operand(0, true), operand(1, negated),
                  operand(2, negated));
  case NodeKind::IEq:
  case NodeKind::INe:
  case NodeKind::ILt:
  case NodeKind::ILe:
  case NodeKind::IGt:
  case NodeKind::IGe:
    return compare(node, negated);
  default:
    return std::nullopt;
  }
}

std::optional<AffineBuilder::Union> AffineBuilder::compare(const Node &node,
                                                           bool negated) {
  auto a = integer(node.operands[0]);
  auto b = a ? integer(node.operands[1]) : std::nullopt;
  if (!a || !b)
    return std::nullopt;
  // a - b (or b - a) + slack >= 0.
  llvm::SmallVector<std::pair<int, int64_t>, 2> rows; // sign, slack
  bool conjunction = false;
  switch (node.kind) {
  case NodeKind::IGe:
    rows = {negated ? std::pair(-1, int64_t(-1)) : std::pair(1, int64_t(0))};
    break;
  case NodeKind::IGt:
    rows = {negated ? std::pair(-1, int64_t(0)) : std::pair(1, int64_t(-1))};
    break;
  case NodeKind::ILe:
    rows = {negated ? std::pair(1, int64_t(-1)) : std::pair(-1, int64_t(0))};
    break;
  case NodeKind::ILt:
    rows = {negated ? std::pair(1, int64_t(0)) : std::pair(-1, int64_t(-1))};
    break;
  default:
    conjunction = (node.kind == NodeKind::IEq) != negated;
    rows = {{1, conjunction ? 0 : -1}, {-1, conjunction ? 0 : -1}};
  }
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

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

std::optional<int64_t> AffineBuilder::constantOf(unsigned index) const {
  if (!bounds.isUniform(index) || !bounds.ints(index).isPoint())
    return std::nullopt;
  return bounds.ints(index).low;
}

std::optional<AffineBuilder::Pieces> AffineBuilder::integer(unsigned index) {
  auto it = integers.find(index);
  if (it != integers.end())
    return it->second;
  std::optional<Pieces> made;
  if (depth < maxDepth) {
    llvm::SaveAndRestore deeper(depth, depth + 1);
    made = makeInteger(index);
  }
  if (made && (made->size() > limits.conjunctions || isLate()))
    made = std::nullopt;
  return integers[index] = std::move(made);
}

template <typename F>
std::optional<AffineBuilder::Pieces> AffineBuilder::combine(unsigned a,
                                                            unsigned b, F f) {
  auto xs = integer(a);
  auto ys = xs ? integer(b) : std::nullopt;
  if (!xs || !ys || xs->size() * ys->size() > limits.conjunctions)
    return std::nullopt;
  Pieces out;
  for (const Piece &x : *xs)
    for (const Piece &y : *ys) {
      Polyhedron where = x.where;
      if (addAll(where, y.where) && !f(where, x.value, y.value, out))
        return std::nullopt;
    }
  return out;
}

std::optional<AffineBuilder::Pieces> AffineBuilder::extremum(const Node &node,
                                                             bool least) {
  return combine(
      node.operands[0], node.operands[1],
      [&](const Polyhedron &where, const Sum &x, const Sum &y, Pieces &out) {
        auto upper = add(y, x, -1); // y - x >= 0: x is the lesser
        auto lower = add(x, y, -1);
        if (!upper || !lower)
          return false;
        lower->constant -= 1;
        Polyhedron first = where, second = where;
        if (addRow(first, *upper))
          out.push_back({std::move(first), least ? x : y});
        if (addRow(second, *lower))
          out.push_back({std::move(second), least ? y : x});
        return true;
      });
}

std::optional<AffineBuilder::Pieces> AffineBuilder::absolute(const Node &node) {
  auto of = integer(node.operands[0]);
  if (!of)
    return std::nullopt;
  Pieces out;
  for (const Piece &piece : *of) {
    auto opposite = add(Sum(), piece.value, -1);
    if (!opposite)
      return std::nullopt;
    Polyhedron positive = piece.where, negative = piece.where;
    if (addRow(positive, piece.value))
      out.push_back({std::move(positive), piece.value});
    Sum below = *opposite;
    below.constant -= 1;
    if (addRow(negative, below))
      out.push_back({std::move(negative), *opposite});
  }
  return out;
}

std::optional<AffineBuilder::Pieces> AffineBuilder::select(const Node &node) {
  auto c = condition(node.operands[0], false);
  auto notC = condition(node.operands[0], true);
  auto x = integer(node.operands[1]), y = integer(node.operands[2]);
  if (!c || !notC || !x || !y)
    return std::nullopt;
  Pieces out;
  for (auto [where, pieces] : {std::pair(&*c, &*x), std::pair(&*notC, &*y)})
    for (const Polyhedron &polyhedron : *where)
      for (const Piece &piece : *pieces) {
        Polyhedron both = polyhedron;
        if (addAll(both, piece.where))
          out.push_back({std::move(both), piece.value});
        if (out.size() > limits.conjunctions)
          return std::nullopt;
      }
  return out;
}

/// of // by or of % by, by > 0.
std::optional<AffineBuilder::Pieces>
AffineBuilder::divide(const Pieces &of, int64_t by, bool remainder) {
  Pieces out;
  for (const Piece &piece : of) {
    AffineMask::Division division{piece.value, by, piece.value.kv != 0};
    for (size_t i = 0; i < piece.value.divisions.size(); ++i)
      division.onKey |= piece.value.divisions[i] != 0 && divisions[i].onKey;
    size_t index = 0;
    while (index < divisions.size() &&
           !(divisions[index].by == by && divisions[index].of == division.of))
      ++index;
    if (index == divisions.size()) {
      if (divisions.size() == limits.divisions)
        return std::nullopt;
      divisionLargest.push_back(largest(division.of) / double(by) + 1);
      divisions.push_back(division);
    }
    Sum quotient;
    quotient.divisions.resize(index + 1);
    quotient.divisions[index] = 1;
    if (remainder) {
      auto rest = add(piece.value, quotient, -by);
      if (!rest)
        return std::nullopt;
      quotient = std::move(*rest);
    }
    out.push_back({piece.where, std::move(quotient)});
  }
  return out;
}

std::optional<AffineBuilder::Pieces>
AffineBuilder::makeInteger(unsigned index) {
  constexpr int64_t largestConstant = int64_t(1) << 60;
  const Node &node = region.nodes[index];
  if (bounds.isUniform(index)) {
    auto constant = constantOf(index);
    if (!constant || *constant >= largestConstant ||
        *constant <= -largestConstant)
      return std::nullopt;
    return Pieces{{{}, Sum{0, 0, *constant, {}}}};
  }
  if (node.kind == NodeKind::Arg)
    return Pieces{
        {{}, node.symbol == "q" ? Sum{1, 0, 0, {}} : Sum{0, 1, 0, {}}}};
  auto linear = [&](unsigned a, unsigned b, int64_t factor) {
    return combine(
        a, b,
        [&](const Polyhedron &where, const Sum &x, const Sum &y, Pieces &out) {
          auto sum = add(x, y, factor);
          if (sum)
            out.push_back({where, *sum});
          return sum.has_value();
        });
  };
  auto scaled = [&](unsigned a, int64_t factor) -> std::optional<Pieces> {
    auto pieces = integer(a);
    if (!pieces)
      return std::nullopt;
    for (Piece &piece : *pieces) {
      auto sum = add(Sum(), piece.value, factor);
      if (!sum)
        return std::nullopt;
      piece.value = *sum;
    }
    return pieces;
  };
  std::optional<int64_t> last =
      node.operands.empty() ? std::nullopt : constantOf(node.operands.back());
  switch (node.kind) {
  case NodeKind::IAdd:
    return linear(node.operands[0], node.operands[1], 1);
  case NodeKind::ISub:
    return linear(node.operands[0], node.operands[1], -1);
  case NodeKind::INeg:
    return scaled(node.operands[0], -1);
  case NodeKind::IMul:
    for (unsigned k : {0u, 1u})
      if (auto factor = constantOf(node.operands[k]))
        return scaled(node.operands[1 - k], *factor);
    return std::nullopt;
  case NodeKind::IMin:
  case NodeKind::IMax:
    return extremum(node, node.kind == NodeKind::IMin);
  case NodeKind::IAbs:
    return absolute(node);
  case NodeKind::Select:
    return select(node);
  case NodeKind::I1ToI64: {
    auto on = condition(node.operands[0], false);
    auto off = condition(node.operands[0], true);
    if (!on || !off)
      return std::nullopt;
    Pieces out;
    for (const Polyhedron &where : *on)
      out.push_back({where, Sum{0, 0, 1, {}}});
    for (const Polyhedron &where : *off)
      out.push_back({where, Sum()});
    return out;
  }
  case NodeKind::FloorDiv:
  case NodeKind::Mod:
    if (auto of = integer(node.operands[0]);
        of && last && *last > 0 && *last < largestConstant)
      return divide(*of, *last, node.kind == NodeKind::Mod);
    return std::nullopt;
  case NodeKind::Shl:
    return last && *last >= 0 && *last < 40
               ? scaled(node.operands[0], int64_t(1) << *last)
               : std::nullopt;
  case NodeKind::Shr:
    if (auto of = integer(node.operands[0]);
        of && last && *last >= 0 && *last < 60)
      return divide(*of, int64_t(1) << *last, /*remainder=*/false);
    return std::nullopt;
  case NodeKind::IAnd: // x & (2^k - 1)
    if (auto of = integer(node.operands[0]); of && last && *last >= 0 &&
                                             *last < largestConstant &&
                                             (*last & (*last + 1)) == 0)
      return divide(*of, *last + 1, /*remainder=*/true);
    return std::nullopt;
  default:
    return std::nullopt;
  }
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
