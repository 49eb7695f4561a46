//===- BoundExpressions.cpp - Arithmetic of bounds ------------------------===//
#include "fovea/Analysis/KeyBounds.h"
#include "fovea/Support/TotalArithmetic.h"

#include <algorithm>

using namespace fovea;
using E = BoundExpression;

unsigned BoundExpressions::add(const BoundExpression &expression) {
  auto [it, isNew] = known.try_emplace(
      expression.key(), static_cast<unsigned>(expressions.size()));
  if (isNew)
    expressions.push_back(expression);
  return it->second;
}

unsigned BoundExpressions::constant(int64_t value) {
  return add({E::Constant, value, {}});
}

unsigned BoundExpressions::leaf(E::Kind kind, unsigned node) {
  return add({kind, node, {}});
}

std::optional<int64_t> BoundExpressions::constantOf(unsigned expression) const {
  const E &value = expressions[expression];
  if (value.kind != E::Constant)
    return std::nullopt;
  return value.integer;
}

static int64_t apply(E::Kind kind, int64_t a, int64_t b, int64_t c) {
  switch (kind) {
  case E::Add:
    return wrapAdd(a, b);
  case E::Sub:
    return wrapSub(a, b);
  case E::Mul:
    return wrapMul(a, b);
  case E::FloorDiv:
    return floorDiv(a, b);
  case E::Min:
    return std::min(a, b);
  case E::Max:
    return std::max(a, b);
  case E::Less:
    return a < b;
  case E::Not:
    return !a;
  case E::Select:
    return a ? b : c;
  default:
    llvm_unreachable("a leaf");
  }
}

std::optional<unsigned> BoundExpressions::fold(E::Kind kind, unsigned a,
                                               unsigned b, unsigned c) {
  std::optional<int64_t> x = constantOf(a), y = constantOf(b);
  switch (kind) {
  case E::Select:
    if (b == c)
      return b;
    return x ? std::optional(*x ? b : c) : std::nullopt;
  case E::Not:
    return x ? std::optional(constant(!*x)) : std::nullopt;
  case E::Add:
    if (x && *x == 0)
      return b;
    [[fallthrough]];
  case E::Sub:
    if (y && *y == 0)
      return a;
    if (kind == E::Sub && a == b)
      return constant(0);
    break;
  case E::Mul:
  case E::FloorDiv:
    if (y && *y == 1)
      return a;
    break;
  case E::Min:
  case E::Max:
    if (a == b)
      return a;
    break;
  case E::Less:
    if (a == b)
      return constant(0);
    break;
  default:
    break;
  }
  if (x && y)
    return constant(apply(kind, *x, *y, 0));
  return std::nullopt;
}

unsigned BoundExpressions::make(E::Kind kind, unsigned a, unsigned b,
                                unsigned c) {
  if (std::optional<unsigned> folded = fold(kind, a, b, c))
    return *folded;
  return add({kind, 0, {a, b, c}});
}

std::vector<int64_t>
fovea::evaluate(const BoundExpressions &expressions,
                llvm::function_ref<int64_t(const E &)> leaf) {
  std::vector<int64_t> values;
  for (const E &expression : expressions.list()) {
    auto operand = [&](unsigned i) { return values[expression.operands[i]]; };
    if (expression.kind == E::Constant)
      values.push_back(expression.integer);
    else if (expression.numOperands() == 0)
      values.push_back(leaf(expression));
    else
      values.push_back(
          apply(expression.kind, operand(0), operand(1), operand(2)));
  }
  return values;
}
