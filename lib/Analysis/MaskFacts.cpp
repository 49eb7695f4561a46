//===- MaskFacts.cpp - What a mask region's values are --------------------===//

#include "MaskFacts.h"
#include "fovea/Dialect/Attn/IR/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace fovea::detail;

/// Larger predicates are not worth their arithmetic on every tile.
static constexpr unsigned maxPredicateSize = 64;
static constexpr unsigned maxTerms = 8;
static constexpr unsigned maxDepth = 8;

static std::optional<int64_t> constantOf(Value value) {
  APInt result;
  if (matchPattern(value, m_ConstantInt(&result)) && result.getBitWidth() <= 64)
    return result.getSExtValue();
  return std::nullopt;
}

static unsigned bitsOf(int64_t value) {
  uint64_t magnitude =
      value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  return 64 - llvm::countl_zero(magnitude);
}

static unsigned bitsOfElement(Type source) {
  auto type = dyn_cast<IntegerType>(cast<ShapedType>(source).getElementType());
  return type && type.getWidth() < 64 ? type.getWidth() : anyBits;
}

static void addTerm(Linear &linear, const Term &term, int64_t factor) {
  int64_t coefficient = term.coefficient * factor;
  for (Term *it = linear.terms.begin(); it != linear.terms.end(); ++it) {
    if (it->value != term.value || it->clamp != term.clamp)
      continue;
    it->coefficient += coefficient;
    if (it->coefficient == 0)
      linear.terms.erase(it);
    return;
  }
  linear.terms.push_back({term.value, coefficient, term.clamp});
}

static void addTo(Linear &sum, const Linear &other, int64_t factor) {
  sum.constant += other.constant * factor;
  for (const Term &term : other.terms)
    addTerm(sum, term, factor);
}

MaskFacts::MaskFacts(Region &mask, unsigned positionBits)
    : mask(mask), positionBits(std::min(positionBits, narrowBits)) {
  knownTrue = add({Predicate::True});
  knownFalse = add({Predicate::False});
  unknown = add({Predicate::Unknown});
  root = knownTrue;
  if (mask.empty())
    return;
  Block &block = mask.front();
  for (auto [index, argument] : llvm::enumerate(block.getArguments())) {
    ValueFact &fact = facts[argument];
    fact.onRow = index != 1;
    fact.onKey = index != 0;
    fact.bits = index < 2 ? this->positionBits : anyBits;
    fact.linear.terms.push_back({argument, 1});
  }
  for (Operation &op : block.without_terminator())
    visit(op);
  root = get(block.getTerminator()->getOperand(0)).predicate[0];
}

/// Facts of values from above are made when they are first asked for.
const ValueFact &MaskFacts::get(Value value) {
  auto it = facts.find(value);
  if (it != facts.end())
    return it->second;
  ValueFact fact;
  std::optional<int64_t> constant = constantOf(value);
  fact.bits = constant ? bitsOf(*constant) : bitsFromAbove(value);
  if (constant)
    fact.linear.constant = *constant;
  else
    fact.linear.terms.push_back({value, 1});
  if (value.getType().isInteger(1)) {
    fact.predicate[0] = constant ? (*constant ? knownTrue : knownFalse)
                                 : add({Predicate::Uniform, value, false});
    fact.predicate[1] = constant ? (*constant ? knownFalse : knownTrue)
                                 : add({Predicate::Uniform, value, true});
  }
  return facts[value] = fact;
}

llvm::StringRef MaskFacts::whyOpen() {
  bool readsKeys = false, readsRows = false, divides = false;
  for (Operation &op : mask.front().without_terminator()) {
    ValueFact all;
    for (Value operand : op.getOperands()) {
      all.onRow |= get(operand).onRow;
      all.onKey |= get(operand).onKey;
    }
    if (isa<attn::ReadOp>(op)) {
      if (all.onRow && all.onKey)
        return "the mask reads a capture at (query, key) positions";
      readsKeys |= all.onKey;
      readsRows |= all.onRow;
    }
    divides |= isa<attn::ModOp, attn::FloorDivOp>(op) && all.onKey;
  }
  if (readsKeys)
    return "the mask reads a capture at key positions";
  if (readsRows)
    return "the mask reads a capture at query positions";
  return divides ? "the mask divides key positions"
                 : "the mask has no closed form of few intervals a row";
}

unsigned MaskFacts::bitsFromAbove(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return anyBits;
  return TypeSwitch<Operation *, unsigned>(op)
      .Case<arith::IndexCastOp, attn::ExtentOp, attn::SizeOp>(
          [&](auto) { return positionBits; })
      .Case([&](attn::ReadOp read) {
        return bitsOfElement(read.getSource().getType());
      })
      .Default([](Operation *) { return anyBits; });
}

void MaskFacts::visit(Operation &op) {
  if (op.getNumResults() != 1)
    return;
  Value result = op.getResult(0);
  ValueFact fact;
  for (Value operand : op.getOperands()) {
    const ValueFact &in = get(operand);
    fact.onRow |= in.onRow;
    fact.onKey |= in.onKey;
    fact.depth = std::max(fact.depth, in.depth + 1);
  }
  if (std::optional<int64_t> constant = constantOf(result)) {
    get(result);
    return;
  }
  fact.bits = anyBits;
  if (result.getType().isInteger(64))
    visitInteger(op, fact);
  else if (result.getType().isInteger(1))
    visitBool(op, fact);
  facts[result] = fact;
}

void MaskFacts::visitInteger(Operation &op, ValueFact &fact) {
  auto bits = [&](unsigned operand) {
    return get(op.getOperand(operand)).bits;
  };
  auto linear = [&](unsigned operand) -> const Linear & {
    return get(op.getOperand(operand)).linear;
  };
  auto widest = [&](unsigned first) {
    unsigned result = 0;
    for (unsigned i = first; i < op.getNumOperands(); ++i)
      result = std::max(result, bits(i));
    return result;
  };
  fact.bits = TypeSwitch<Operation *, unsigned>(&op)
                  .Case<arith::AddIOp, arith::SubIOp>(
                      [&](auto) { return widest(0) + 1; })
                  .Case([&](arith::MulIOp) { return bits(0) + bits(1); })
                  .Case<arith::MinSIOp, arith::MaxSIOp, math::AbsIOp>(
                      [&](auto) { return widest(0); })
                  .Case([&](arith::SelectOp) { return widest(1); })
                  .Case([&](attn::FloorDivOp) { return bits(0) + 1; })
                  .Case([&](attn::ModOp) { return bits(1); })
                  .Case([&](attn::ShrOp) { return bits(0); })
                  .Case<attn::ExtentOp, attn::SizeOp, arith::IndexCastOp>(
                      [&](auto) { return positionBits; })
                  .Case([&](attn::ReadOp read) {
                    return bitsOfElement(read.getSource().getType());
                  })
                  .Case([](arith::ExtUIOp) { return 1u; })
                  .Default([](Operation *) { return anyBits; });
  fact.bits = std::min(fact.bits, anyBits);
  if (fact.bits <= narrowBits && isa<arith::AddIOp, arith::SubIOp>(op)) {
    fact.linear = linear(0);
    addTo(fact.linear, linear(1), isa<arith::SubIOp>(op) ? -1 : 1);
  } else if (fact.bits <= narrowBits && isa<arith::MulIOp>(op) &&
             (linear(0).terms.empty() || linear(1).terms.empty())) {
    unsigned constant = linear(0).terms.empty() ? 0 : 1;
    if (linear(constant).constant != 0)
      addTo(fact.linear, linear(1 - constant), linear(constant).constant);
  } else {
    fact.linear.terms.push_back({op.getResult(0), 1});
    return;
  }
  fact.depth =
      std::max(get(op.getOperand(0)).depth, get(op.getOperand(1)).depth);
  if (fact.linear.terms.size() > maxTerms) {
    fact.linear = Linear();
    fact.linear.terms.push_back({op.getResult(0), 1});
    ++fact.depth;
  }
}

//===----------------------------------------------------------------------===//
// Predicates
//===----------------------------------------------------------------------===//

int MaskFacts::add(Predicate predicate) {
  predicates.push_back(std::move(predicate));
  return static_cast<int>(predicates.size()) - 1;
}

int MaskFacts::combine(Predicate::Kind kind, int lhs, int rhs) {
  int neutral = kind == Predicate::And ? knownTrue : knownFalse;
  int absorbing = kind == Predicate::And ? knownFalse : knownTrue;
  if (lhs == neutral || lhs == rhs)
    return rhs;
  if (rhs == neutral)
    return lhs;
  if (lhs == absorbing || rhs == absorbing)
    return absorbing;
  if (kind == Predicate::Or && (lhs == unknown || rhs == unknown))
    return unknown;
  unsigned size = 1 + predicates[lhs].size + predicates[rhs].size;
  if (size > maxPredicateSize) {
    // One operand still bounds a conjunction; one that is at the limit holds an
    // unknown already.
    if (kind == Predicate::Or)
      return unknown;
    if (predicates[lhs].size == maxPredicateSize)
      return lhs;
    rhs = unknown;
    size = maxPredicateSize;
  }
  Predicate predicate{kind};
  predicate.lhs = lhs;
  predicate.rhs = rhs;
  predicate.size = size;
  return add(std::move(predicate));
}

void MaskFacts::visitBool(Operation &op, ValueFact &fact) {
  Value result = op.getResult(0);
  fact.predicate[0] = fact.predicate[1] = unknown;
  if (!fact.onRow && !fact.onKey) {
    fact.predicate[0] = add({Predicate::Uniform, result, false});
    fact.predicate[1] = add({Predicate::Uniform, result, true});
    return;
  }
  auto operand = [&](unsigned index, bool negated) {
    return get(op.getOperand(index)).predicate[negated];
  };
  auto both = [&](auto make) {
    fact.predicate[0] = make(false);
    fact.predicate[1] = make(true);
  };
  if (isa<arith::AndIOp, arith::OrIOp>(op)) {
    both([&](bool negated) {
      bool conjunction = isa<arith::AndIOp>(op) != negated;
      return combine(conjunction ? Predicate::And : Predicate::Or,
                     operand(0, negated), operand(1, negated));
    });
  } else if (isa<arith::XOrIOp>(op)) {
    for (unsigned index : {0u, 1u})
      if (std::optional<int64_t> constant = constantOf(op.getOperand(index)))
        both([&](bool negated) {
          return operand(1 - index, negated != (*constant != 0));
        });
  } else if (isa<arith::SelectOp>(op)) {
    both([&](bool negated) {
      return combine(
          Predicate::Or,
          combine(Predicate::And, operand(0, false), operand(1, negated)),
          combine(Predicate::And, operand(0, true), operand(2, negated)));
    });
  } else if (isa<arith::CmpIOp>(op)) {
    visitCompare(op, fact);
  }
}

/// lhs - rhs + slack <= 0.
int MaskFacts::addLessEqual(Linear lhs, const Linear &rhs, int64_t slack) {
  addTo(lhs, rhs, -1);
  lhs.constant += slack;
  unsigned keyTerms = 0;
  for (const Term &term : lhs.terms) {
    const ValueFact &fact = get(term.value);
    keyTerms += fact.onKey;
    if (fact.depth > maxDepth)
      return unknown;
  }
  if (keyTerms > 1)
    return unknown;
  Predicate predicate{Predicate::LessEqual};
  predicate.linear = std::move(lhs);
  return add(std::move(predicate));
}

/// The sum that stands for one side of a comparison, if it is exact.
bool MaskFacts::makeNarrow(Value value, Value other, Linear &linear) {
  const ValueFact &fact = get(value);
  linear = fact.linear;
  if (fact.bits <= narrowBits)
    return true;
  if (fact.onRow || fact.onKey || get(other).bits > narrowBits)
    return false;
  linear = Linear();
  linear.terms.push_back({value, 1, /*clamp=*/true});
  return true;
}

void MaskFacts::visitCompare(Operation &op, ValueFact &fact) {
  auto compare = cast<arith::CmpIOp>(op);
  Linear lhs, rhs;
  if (!compare.getLhs().getType().isInteger(64) ||
      !makeNarrow(compare.getLhs(), compare.getRhs(), lhs) ||
      !makeNarrow(compare.getRhs(), compare.getLhs(), rhs))
    return;
  auto less = [&](bool swap, int64_t slack) {
    return swap ? addLessEqual(rhs, lhs, slack) : addLessEqual(lhs, rhs, slack);
  };
  using P = arith::CmpIPredicate;
  switch (compare.getPredicate()) {
  case P::slt:
  case P::sle:
  case P::sgt:
  case P::sge: {
    P predicate = compare.getPredicate();
    bool swap = predicate == P::sgt || predicate == P::sge;
    bool strict = predicate == P::slt || predicate == P::sgt;
    fact.predicate[0] = less(swap, strict);
    fact.predicate[1] = less(!swap, !strict);
    return;
  }
  case P::eq:
  case P::ne: {
    int equal = combine(Predicate::And, less(false, 0), less(true, 0));
    int differ = combine(Predicate::Or, less(false, 1), less(true, 1));
    bool isEqual = compare.getPredicate() == P::eq;
    fact.predicate[0] = isEqual ? equal : differ;
    fact.predicate[1] = isEqual ? differ : equal;
    return;
  }
  default:
    return;
  }
}
