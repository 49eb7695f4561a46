//===- AffineIntegers.cpp - Integers as pieces of sums --------------------===//
#include "AffineBuilder.h"
#include "fovea/Support/TotalArithmetic.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace fovea;

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
  if (made && (made->size() > limits.conjunctions || isTooLong()))
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

/// The first operand and `factor` times the second.
std::optional<AffineBuilder::Pieces> AffineBuilder::linear(const Node &node,
                                                           int64_t factor) {
  return combine(
      node.operands[0], node.operands[1],
      [&](const Polyhedron &where, const Sum &x, const Sum &y, Pieces &out) {
        auto sum = add(x, y, factor);
        if (sum)
          out.push_back({where, *sum});
        return sum.has_value();
      });
}

std::optional<AffineBuilder::Pieces> AffineBuilder::scaled(unsigned index,
                                                           int64_t factor) {
  auto pieces = integer(index);
  if (!pieces)
    return std::nullopt;
  for (Piece &piece : *pieces) {
    auto sum = add(Sum(), piece.value, factor);
    if (!sum)
      return std::nullopt;
    piece.value = *sum;
  }
  return pieces;
}

/// 1 where a condition holds, else 0.
std::optional<AffineBuilder::Pieces> AffineBuilder::indicator(unsigned index) {
  auto on = condition(index, false), off = condition(index, true);
  if (!on || !off)
    return std::nullopt;
  Pieces out;
  for (const Polyhedron &where : *on)
    out.push_back({where, Sum{0, 0, 1, {}}});
  for (const Polyhedron &where : *off)
    out.push_back({where, Sum()});
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
  std::optional<int64_t> last =
      node.operands.empty() ? std::nullopt : constantOf(node.operands.back());
  switch (node.kind) {
  case NodeKind::IAdd:
    return linear(node, 1);
  case NodeKind::ISub:
    return linear(node, -1);
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
  case NodeKind::I1ToI64:
    return indicator(node.operands[0]);
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
