//===- KeyConditions.cpp - What a mask asks of a key ----------------------===//
#include "KeyConditions.h"
#include "ConditionLogic.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace fovea;

/// Larger conditions are not worth their arithmetic on every tile.
static constexpr unsigned maxConditionSize = 64;
static constexpr unsigned maxTerms = 8;
static constexpr unsigned maxDepth = 8;
/// Sums of values below this do not wrap where bounds are made of them.
static constexpr double narrowLimit = 0x1p60;

static void addTo(KeySum &sum, const KeySum &other, int64_t factor) {
  sum.constant += other.constant * factor;
  for (const KeyTerm &term : other.terms) {
    auto *it = llvm::find_if(sum.terms, [&](const KeyTerm &known) {
      return known.node == term.node && known.clamp == term.clamp;
    });
    if (it == sum.terms.end()) {
      sum.terms.push_back({term.node, term.factor * factor, term.clamp});
      continue;
    }
    it->factor += term.factor * factor;
    if (it->factor == 0)
      sum.terms.erase(it);
  }
}

KeyConditions::KeyConditions(const RegionBounds &facts)
    : facts(facts), region(facts.getRegion()), values(region.nodes.size()) {
  knownTrue = add({KeyCondition::True});
  knownFalse = add({KeyCondition::False});
  unknown = add({KeyCondition::Unknown});
  for (unsigned index = 0; index < region.nodes.size(); ++index) {
    Value &value = values[index];
    for (unsigned operand : region.nodes[index].operands)
      value.depth = std::max(value.depth, values[operand].depth + 1);
    if (region.nodes[index].type == ValueType::I64)
      visitInteger(index);
    else if (region.nodes[index].type == ValueType::I1)
      visitCondition(index);
  }
  rootCondition = values[region.results.front()].condition[0];
}

std::optional<int64_t> KeyConditions::constantOf(unsigned node) const {
  if (!facts.ints(node).isPoint())
    return std::nullopt;
  return facts.ints(node).low;
}

llvm::StringRef KeyConditions::whyOpen() const {
  bool readsKeys = false, readsRows = false, divides = false;
  for (unsigned index = 0; index < region.nodes.size(); ++index) {
    NodeKind kind = region.nodes[index].kind;
    bool onKey = facts.dependsOnKey(index), onRow = facts.dependsOnQuery(index);
    if (kind == NodeKind::Read) {
      if (onKey && onRow)
        return "the mask reads a capture at (query, key) positions";
      readsKeys |= onKey;
      readsRows |= onRow;
    }
    divides |= (kind == NodeKind::Mod || kind == NodeKind::FloorDiv) && onKey;
  }
  if (readsKeys)
    return "the mask reads a capture at key positions";
  if (readsRows)
    return "the mask reads a capture at query positions";
  return divides ? "the mask divides key positions"
                 : "the mask has no closed form of few intervals a row";
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

double KeyConditions::magnitude(unsigned node) const {
  const IntBounds &range = facts.ints(node);
  return std::max(std::fabs(double(range.low)), std::fabs(double(range.high)));
}

double KeyConditions::magnitude(const Value &value) const {
  double total = std::fabs(double(value.sum.constant));
  for (const KeyTerm &term : value.sum.terms)
    total +=
        std::fabs(double(term.factor)) *
        (llvm::is_contained(value.guards, term.node) ? double(guardLimit)
                                                     : magnitude(term.node));
  return total;
}

/// The sum that a node makes of its operands, where that is exact: for values
/// of the launch that may be large, where they are not.
bool KeyConditions::readSum(unsigned index, Value &value) const {
  const Node &node = region.nodes[index];
  if (node.kind != NodeKind::IAdd && node.kind != NodeKind::ISub &&
      node.kind != NodeKind::INeg && node.kind != NodeKind::IMul)
    return false;
  bool mayGuard = !facts.isUniform(index);
  value.guards.clear();
  for (unsigned operand : node.operands) {
    const Value &of = values[operand];
    bool guarded = !of.narrow && facts.isUniform(operand);
    if (!of.narrow && !guarded)
      return false;
    for (unsigned guard : guarded ? llvm::ArrayRef(operand) : of.guards)
      if (!llvm::is_contained(value.guards, guard))
        value.guards.push_back(guard);
  }
  if (!value.guards.empty() && !mayGuard)
    return false;
  const KeySum &first = values[node.operands.front()].sum;
  const KeySum &second = values[node.operands.back()].sum;
  if (node.kind == NodeKind::INeg) {
    addTo(value.sum, first, -1);
  } else if (node.kind != NodeKind::IMul) {
    value.sum = first;
    addTo(value.sum, second, node.kind == NodeKind::IAdd ? 1 : -1);
  } else {
    const KeySum &constant = first.terms.empty() ? first : second;
    const KeySum &other = first.terms.empty() ? second : first;
    if (!constant.terms.empty())
      return false;
    Value product;
    product.guards = value.guards;
    product.sum = other;
    double factor = std::fabs(double(constant.constant));
    if (factor * magnitude(product) >= narrowLimit)
      return false;
    if (factor != 0)
      addTo(value.sum, other, constant.constant);
  }
  return value.sum.terms.size() <= maxTerms &&
         value.guards.size() <= maxTerms && magnitude(value) < narrowLimit;
}

void KeyConditions::visitInteger(unsigned index) {
  Value &value = values[index];
  const Node &node = region.nodes[index];
  if (std::optional<int64_t> constant = constantOf(index)) {
    value.narrow = std::fabs(double(*constant)) < narrowLimit;
    value.sum.constant = *constant;
    value.depth = 0;
    return;
  }
  if (readSum(index, value)) {
    value.narrow = true;
    value.depth = 0;
    for (unsigned operand : node.operands)
      value.depth = std::max(value.depth, values[operand].depth);
    return;
  }
  value.sum = KeySum();
  value.guards.clear();
  value.sum.terms.push_back({index, 1, false});
  value.narrow = magnitude(index) < narrowLimit;
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

int KeyConditions::add(KeyCondition condition) {
  conditions.push_back(std::move(condition));
  return static_cast<int>(conditions.size()) - 1;
}

int KeyConditions::combine(KeyCondition::Kind kind, int lhs, int rhs) {
  bool conjunction = kind == KeyCondition::And;
  int neutral = conjunction ? knownTrue : knownFalse;
  int absorbing = conjunction ? knownFalse : knownTrue;
  if (lhs == neutral || lhs == rhs)
    return rhs;
  if (rhs == neutral)
    return lhs;
  if (lhs == absorbing || rhs == absorbing)
    return absorbing;
  if (!conjunction && (lhs == unknown || rhs == unknown))
    return unknown;
  unsigned size = 1 + conditions[lhs].size + conditions[rhs].size;
  if (size > maxConditionSize) {
    // One operand still bounds a conjunction; one that is at the limit holds an
    // unknown already.
    if (!conjunction)
      return unknown;
    if (conditions[lhs].size == maxConditionSize)
      return lhs;
    rhs = unknown;
    size = maxConditionSize;
  }
  KeyCondition condition{kind};
  condition.lhs = lhs;
  condition.rhs = rhs;
  condition.size = size;
  return add(std::move(condition));
}

void KeyConditions::visitCondition(unsigned index) {
  const Node &node = region.nodes[index];
  std::optional<int64_t> constant = constantOf(index);
  for (bool negated : {false, true}) {
    int &condition = values[index].condition[negated];
    if (constant)
      condition = (*constant != 0) != negated ? knownTrue : knownFalse;
    else if (facts.isUniform(index))
      condition = add({KeyCondition::Uniform, index, negated});
    else if (isLogic(node.kind))
      condition = readLogic(
          node, negated,
          [&](unsigned operand, bool flip) {
            return values[node.operands[operand]].condition[flip];
          },
          [&](int a, int b) { return combine(KeyCondition::And, a, b); },
          [&](int a, int b) { return combine(KeyCondition::Or, a, b); });
    else if (isIntegerComparison(node.kind))
      condition = compare(node, negated);
    else
      condition = unknown;
  }
}

/// lhs - rhs + slack <= 0.
int KeyConditions::addAtMost(const Value &lhs, const Value &rhs,
                             int64_t slack) {
  KeyCondition condition{KeyCondition::AtMostZero};
  KeySum &sum = condition.sum;
  sum = lhs.sum;
  addTo(sum, rhs.sum, -1);
  sum.constant += slack;
  unsigned keyTerms = 0;
  for (const KeyTerm &term : sum.terms) {
    keyTerms += facts.dependsOnKey(term.node);
    if (values[term.node].depth > maxDepth)
      return unknown;
  }
  if (keyTerms > 1)
    return unknown;
  for (const Value *side : {&lhs, &rhs})
    for (unsigned guard : side->guards)
      if (!llvm::is_contained(condition.guards, guard))
        condition.guards.push_back(guard);
  return add(std::move(condition));
}

/// The sum that stands for one side of a comparison, if it is exact.
bool KeyConditions::readSide(unsigned node, unsigned other, Value &side) const {
  side = values[node];
  if (side.narrow)
    return true;
  if (!facts.isUniform(node) || !values[other].narrow)
    return false;
  side = Value();
  side.sum.terms.push_back({node, 1, /*clamp=*/true});
  return true;
}

/// first <= second, strictly if so; extrema of values that sums cannot hold are
/// compared part by part.
int KeyConditions::atMost(unsigned first, unsigned second, bool strict,
                          unsigned depth) {
  Value lhs, rhs;
  if (readSide(first, second, lhs) && readSide(second, first, rhs))
    return addAtMost(lhs, rhs, strict);
  if (depth == maxDepth)
    return unknown;
  auto isExtremum = [&](unsigned node) {
    NodeKind kind = region.nodes[node].kind;
    return kind == NodeKind::IMin || kind == NodeKind::IMax;
  };
  bool ofFirst = isExtremum(first);
  if (!ofFirst && !isExtremum(second))
    return unknown;
  const Node &node = region.nodes[ofFirst ? first : second];
  auto part = [&](unsigned operand) {
    return ofFirst ? atMost(operand, second, strict, depth + 1)
                   : atMost(first, operand, strict, depth + 1);
  };
  bool both = (node.kind == NodeKind::IMax) == ofFirst;
  return combine(both ? KeyCondition::And : KeyCondition::Or,
                 part(node.operands[0]), part(node.operands[1]));
}

int KeyConditions::compare(const Node &node, bool negated) {
  Comparison comparison = readComparison(node.kind, negated);
  unsigned first = node.operands[comparison.swapped ? 1 : 0];
  unsigned second = node.operands[comparison.swapped ? 0 : 1];
  if (comparison.kind == Comparison::LessEqual)
    return atMost(first, second, comparison.strict, 0);
  bool equal = comparison.kind == Comparison::Equal;
  return combine(equal ? KeyCondition::And : KeyCondition::Or,
                 atMost(first, second, !equal, 0),
                 atMost(second, first, !equal, 0));
}
