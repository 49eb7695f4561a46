//===- MaskBounds.cpp - Key intervals of a mask in closed form ------------===//

#include "fovea/Analysis/MaskBounds.h"
#include "MaskFacts.h"
#include "fovea/Dialect/Attn/IR/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace fovea;
using namespace fovea::detail;

/// Bounds beyond every position; sums of two do not wrap.
static constexpr int64_t far = int64_t(1) << 61;
static constexpr unsigned maxParts = 4;

namespace {
/// Two i64 values: for a range of rows the least and the greatest value, or for
/// a bound the one that serves some row and the one that serves all rows.
struct Pair {
  Value first, second;
};

/// Keys [lo, hi), of which [fullLo, fullHi) are seen by all rows. A null end is
/// unbounded.
struct Part {
  Value lo, hi, fullLo, fullHi;
  bool hasFull = true;
};

struct Parts {
  SmallVector<Part, 2> list;
  bool isClosedForm = true;
  /// One part that holds all keys or none.
  bool isCondition = false;
};

class Emitter {
public:
  Emitter(OpBuilder &builder, Location loc, MaskFacts &facts, Pair rows)
      : builder(builder), loc(loc), facts(facts), rows(rows) {}

  Parts emit(int predicate);
  KeyInterval finish(const Part &part, Value firstKey, Value endKey);
  Part hull(ArrayRef<Part> parts);

private:
  Value constant(int64_t value);
  template <typename Op> Value make(Value lhs, Value rhs) {
    return builder.createOrFold<Op>(loc, lhs, rhs);
  }
  Value add(Value value, int64_t amount);
  Value scale(Value value, int64_t factor);
  Value addScaled(Value sum, Value value, int64_t factor);
  Value select(Value condition, Value ifTrue, Value ifFalse) {
    return builder.createOrFold<arith::SelectOp>(loc, condition, ifTrue,
                                                 ifFalse);
  }
  Value less(Value lhs, Value rhs) {
    return builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt,
                                               lhs, rhs);
  }
  Value orFar(Value value, bool high) {
    return value ? value : constant(high ? far : -far);
  }
  /// The stricter of two ends of an intersection.
  Value meetLo(Value a, Value b) {
    return a && b ? make<arith::MaxSIOp>(a, b) : (a ? a : b);
  }
  Value meetHi(Value a, Value b) {
    return a && b ? make<arith::MinSIOp>(a, b) : (a ? a : b);
  }
  Value joinLo(Value a, Value b) {
    return a && b ? make<arith::MinSIOp>(a, b) : Value();
  }
  Value joinHi(Value a, Value b) {
    return a && b ? make<arith::MaxSIOp>(a, b) : Value();
  }

  Value hoist(Value value);
  std::optional<Pair> rangeOf(Value value);
  std::optional<Pair> computeRange(Value value);
  std::optional<Pair> rangeOf(const Linear &linear, Value except);
  Parts emitCondition(Value some, Value all);
  Parts emitLessEqual(const Linear &linear);
  Parts solve(const Linear &linear, Pair limit);
  Parts solveTerm(Value key, Pair limit, bool atLeast);
  Parts solveDivision(attn::FloorDivOp op, Pair limit, bool atLeast);
  Parts solveMinMax(Operation *op, Pair limit, bool atLeast);
  Parts meet(const Parts &a, const Parts &b);
  Parts join(const Parts &a, const Parts &b);
  Part meet(const Part &a, const Part &b);
  void joinFull(const Part &a, const Part &b, Part &result);
  unsigned countKeys(const Linear &linear) {
    return llvm::count_if(linear.terms, [&](const Term &term) {
      return facts.get(term.value).onKey;
    });
  }
  Parts unknown() {
    Part part;
    part.hasFull = false;
    return {{part}, /*isClosedForm=*/false};
  }

  OpBuilder &builder;
  Location loc;
  MaskFacts &facts;
  Pair rows;
  IRMapping hoisted;
  DenseMap<Value, std::optional<Pair>> ranges;
};
} // namespace

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value Emitter::constant(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, value, 64);
}

Value Emitter::add(Value value, int64_t amount) {
  return amount == 0 ? value : make<arith::AddIOp>(value, constant(amount));
}

Value Emitter::scale(Value value, int64_t factor) {
  return factor == 1 ? value : make<arith::MulIOp>(value, constant(factor));
}

Value Emitter::addScaled(Value sum, Value value, int64_t factor) {
  if (factor == -1)
    return make<arith::SubIOp>(sum, value);
  return make<arith::AddIOp>(sum, scale(value, factor));
}

/// A copy of a value that depends on neither position, outside the region.
Value Emitter::hoist(Value value) {
  Block &block = facts.mask.front();
  if (value.getParentRegion() != &facts.mask)
    return value;
  llvm::SetVector<Operation *> slice;
  slice.insert(value.getDefiningOp());
  for (unsigned i = 0; i < slice.size(); ++i)
    for (Value operand : slice[i]->getOperands())
      if (operand.getParentRegion() == &facts.mask)
        slice.insert(operand.getDefiningOp());
  if (!hoisted.lookupOrNull(value))
    for (Operation &op : block)
      if (slice.contains(&op) && !hoisted.lookupOrNull(op.getResult(0))) {
        SmallVector<Value> folded;
        Operation *clone = builder.clone(op, hoisted);
        if (succeeded(builder.tryFold(clone, folded)) && !folded.empty())
          hoisted.map(op.getResult(0), folded[0]);
      }
  return hoisted.lookup(value);
}

std::optional<Pair> Emitter::rangeOf(const Linear &linear, Value except) {
  Value low = constant(linear.constant), high = low;
  for (const Term &term : linear.terms) {
    if (term.value == except)
      continue;
    std::optional<Pair> range = rangeOf(term.value);
    if (!range)
      return std::nullopt;
    if (term.clamp) {
      Value cut = make<arith::MinSIOp>(range->first, constant(far));
      cut = make<arith::MaxSIOp>(cut, constant(-far));
      range = Pair{cut, cut};
    }
    bool negative = term.coefficient < 0;
    bool same = low == high && range->first == range->second;
    Value least = negative ? range->second : range->first;
    Value greatest = negative ? range->first : range->second;
    low = addScaled(low, least, term.coefficient);
    high = same ? low : addScaled(high, greatest, term.coefficient);
  }
  return Pair{low, high};
}

/// The range of a value over the rows; none where it depends on more than the
/// row's position.
std::optional<Pair> Emitter::rangeOf(Value value) {
  auto it = ranges.find(value);
  if (it != ranges.end())
    return it->second;
  std::optional<Pair> range = computeRange(value);
  ranges[value] = range;
  return range;
}

std::optional<Pair> Emitter::computeRange(Value value) {
  const ValueFact &fact = facts.get(value);
  if (fact.onKey)
    return std::nullopt;
  if (!fact.onRow) {
    Value copy = hoist(value);
    return Pair{copy, copy};
  }
  if (value == facts.mask.front().getArgument(0))
    return rows;
  if (fact.linear.terms.size() != 1 || fact.linear.terms[0].value != value)
    return rangeOf(fact.linear, Value());
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (isa<attn::FloorDivOp, attn::ModOp>(op)) {
    APInt divisor;
    if (!matchPattern(op->getOperand(1), m_ConstantInt(&divisor)) ||
        !divisor.isStrictlyPositive())
      return std::nullopt;
    if (isa<attn::ModOp>(op))
      return Pair{constant(0), constant(divisor.getSExtValue() - 1)};
    std::optional<Pair> range = rangeOf(op->getOperand(0));
    if (!range)
      return std::nullopt;
    Value by = constant(divisor.getSExtValue());
    return Pair{make<attn::FloorDivOp>(range->first, by),
                make<attn::FloorDivOp>(range->second, by)};
  }
  if (isa<arith::MinSIOp, arith::MaxSIOp>(op)) {
    std::optional<Pair> a = rangeOf(op->getOperand(0));
    std::optional<Pair> b = a ? rangeOf(op->getOperand(1)) : std::nullopt;
    if (!b)
      return std::nullopt;
    if (isa<arith::MinSIOp>(op))
      return Pair{make<arith::MinSIOp>(a->first, b->first),
                  make<arith::MinSIOp>(a->second, b->second)};
    return Pair{make<arith::MaxSIOp>(a->first, b->first),
                make<arith::MaxSIOp>(a->second, b->second)};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Sets of keys
//===----------------------------------------------------------------------===//

Part Emitter::meet(const Part &a, const Part &b) {
  Part result;
  result.lo = meetLo(a.lo, b.lo);
  result.hi = meetHi(a.hi, b.hi);
  result.hasFull = a.hasFull && b.hasFull;
  if (result.hasFull) {
    result.fullLo = meetLo(a.fullLo, b.fullLo);
    result.fullHi = meetHi(a.fullHi, b.fullHi);
  }
  return result;
}

Parts Emitter::meet(const Parts &a, const Parts &b) {
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
void Emitter::joinFull(const Part &a, const Part &b, Part &result) {
  result.hasFull = a.hasFull || b.hasFull;
  if (!a.hasFull || !b.hasFull) {
    const Part &from = a.hasFull ? a : b;
    result.fullLo = from.fullLo;
    result.fullHi = from.fullHi;
    return;
  }
  if (!a.fullLo && !b.fullLo) {
    result.fullHi = joinHi(a.fullHi, b.fullHi);
    return;
  }
  if (!a.fullHi && !b.fullHi) {
    result.fullLo = joinLo(a.fullLo, b.fullLo);
    return;
  }
  Value aLo = orFar(a.fullLo, false), aHi = orFar(a.fullHi, true);
  Value bLo = orFar(b.fullLo, false), bHi = orFar(b.fullHi, true);
  Value shorter =
      less(make<arith::SubIOp>(aHi, aLo), make<arith::SubIOp>(bHi, bLo));
  result.fullLo = select(shorter, bLo, aLo);
  result.fullHi = select(shorter, bHi, aHi);
}

Part Emitter::hull(ArrayRef<Part> parts) {
  Part result = parts.front();
  for (const Part &part : parts.drop_front()) {
    Part next;
    next.lo = joinLo(result.lo, part.lo);
    next.hi = joinHi(result.hi, part.hi);
    joinFull(result, part, next);
    result = next;
  }
  return result;
}

Parts Emitter::join(const Parts &a, const Parts &b) {
  Parts result;
  Part x = hull(a.list), y = hull(b.list);
  bool single = a.list.size() == 1 && b.list.size() == 1;
  result.isClosedForm = a.isClosedForm && b.isClosedForm && single;
  if (single && !x.lo != !y.lo && !a.isCondition && !b.isCondition) {
    // [-inf, hi) and what the other adds to it.
    const Part &low = x.lo ? y : x;
    Part rest = x.lo ? x : y;
    if (low.hi) {
      rest.lo = make<arith::MaxSIOp>(rest.lo, low.hi);
      if (rest.hasFull)
        rest.fullLo = meetLo(rest.fullLo, low.hi);
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

KeyInterval Emitter::finish(const Part &part, Value firstKey, Value endKey) {
  KeyInterval result;
  result.begin = firstKey;
  if (part.lo)
    result.begin =
        make<arith::MinSIOp>(make<arith::MaxSIOp>(part.lo, firstKey), endKey);
  result.end = part.hi ? make<arith::MinSIOp>(part.hi, endKey) : endKey;
  if (part.lo || part.hi)
    result.end = make<arith::MaxSIOp>(result.end, result.begin);
  if (!part.hasFull)
    return result;
  auto cut = [&](Value value, Value low) {
    return make<arith::MaxSIOp>(make<arith::MinSIOp>(value, result.end), low);
  };
  result.fullBegin =
      part.fullLo ? cut(part.fullLo, result.begin) : result.begin;
  result.fullEnd =
      part.fullHi ? cut(part.fullHi, result.fullBegin) : result.end;
  return result;
}

//===----------------------------------------------------------------------===//
// Predicates
//===----------------------------------------------------------------------===//

/// All keys where the condition holds for some (all) rows, else none.
Parts Emitter::emitCondition(Value some, Value all) {
  Value low = constant(-far), high = constant(far);
  Part part;
  part.lo = part.fullLo = select(some, low, high);
  part.hi = part.fullHi = select(some, high, low);
  if (some != all) {
    part.fullLo = select(all, low, high);
    part.fullHi = select(all, high, low);
  }
  return {{part}, /*isClosedForm=*/true, /*isCondition=*/true};
}

Parts Emitter::emit(int index) {
  const Predicate predicate = facts.predicates[index];
  switch (predicate.kind) {
  case Predicate::True:
    return {{Part()}, /*isClosedForm=*/true, /*isCondition=*/true};
  case Predicate::False: {
    Value never = arith::ConstantIntOp::create(builder, loc, 0, 1);
    return emitCondition(never, never);
  }
  case Predicate::Unknown:
    return unknown();
  case Predicate::Uniform: {
    Value holds = hoist(predicate.value);
    if (predicate.negated)
      holds = make<arith::XOrIOp>(
          holds, arith::ConstantIntOp::create(builder, loc, 1, 1));
    return emitCondition(holds, holds);
  }
  case Predicate::And:
    return meet(emit(predicate.lhs), emit(predicate.rhs));
  case Predicate::Or:
    return join(emit(predicate.lhs), emit(predicate.rhs));
  case Predicate::LessEqual:
    return emitLessEqual(predicate.linear);
  }
  return unknown();
}

Parts Emitter::emitLessEqual(const Linear &linear) {
  for (const Term &term : linear.terms)
    if (facts.get(term.value).onKey) {
      Value zero = constant(0);
      return solve(linear, {zero, zero});
    }
  std::optional<Pair> range = rangeOf(linear, Value());
  if (!range)
    return unknown();
  Value one = constant(1);
  Value some = less(range->first, one);
  return emitCondition(
      some, range->first == range->second ? some : less(range->second, one));
}

/// linear <= limit, for some rows and for all rows.
Parts Emitter::solve(const Linear &linear, Pair limit) {
  const Term *key = llvm::find_if(linear.terms, [&](const Term &term) {
    return facts.get(term.value).onKey;
  });
  std::optional<Pair> rest = rangeOf(linear, key->value);
  if (!rest)
    return unknown();
  // coefficient * key <= limit - rest: the least rest is the most permissive.
  Pair room{make<arith::SubIOp>(limit.first, rest->first),
            make<arith::SubIOp>(limit.second, rest->second)};
  int64_t factor = key->coefficient;
  if (factor < -(int64_t(1) << 60) || factor > (int64_t(1) << 60))
    return unknown();
  auto divide = [&](Value value) {
    if (factor == 1)
      return value;
    if (factor == -1) // key >= -room
      return make<arith::SubIOp>(constant(0), value);
    if (factor > 0)
      return make<attn::FloorDivOp>(value, constant(factor));
    // key >= ceil(-room / -factor) = -floor(room / -factor)
    Value quotient = make<attn::FloorDivOp>(value, constant(-factor));
    return make<arith::SubIOp>(constant(0), quotient);
  };
  return solveTerm(key->value, {divide(room.first), divide(room.second)},
                   factor < 0);
}

/// key <= limit (or >=), where key is n or an operation on it.
Parts Emitter::solveTerm(Value key, Pair limit, bool atLeast) {
  if (key == facts.mask.front().getArgument(1)) {
    Part part;
    if (atLeast) {
      part.lo = limit.first;
      part.fullLo = limit.second;
    } else {
      part.hi = add(limit.first, 1);
      part.fullHi =
          limit.first == limit.second ? part.hi : add(limit.second, 1);
    }
    return {{part}, /*isClosedForm=*/true, /*isCondition=*/false};
  }
  Operation *op = key.getDefiningOp();
  if (auto division = dyn_cast_or_null<attn::FloorDivOp>(op))
    return solveDivision(division, limit, atLeast);
  if (isa_and_nonnull<arith::MinSIOp, arith::MaxSIOp, math::AbsIOp>(op))
    return solveMinMax(op, limit, atLeast);
  return unknown();
}

/// x // c <= y is x <= c*y + c - 1; x // c >= y is -x <= -c*y.
Parts Emitter::solveDivision(attn::FloorDivOp op, Pair limit, bool atLeast) {
  APInt divisor;
  if (!matchPattern(op.getRhs(), m_ConstantInt(&divisor)) ||
      !divisor.isStrictlyPositive() || facts.get(op.getLhs()).bits > narrowBits)
    return unknown();
  int64_t by = divisor.getSExtValue();
  auto product = [&](Value value) {
    // Quotients lie within far / by: a limit beyond that says no more.
    value = make<arith::MinSIOp>(value, constant(far / by));
    value = make<arith::MaxSIOp>(value, constant(-far / by - 1));
    return scale(value, atLeast ? -by : by);
  };
  Pair products{product(limit.first), product(limit.second)};
  Linear dividend = facts.get(op.getLhs()).linear;
  if (atLeast) {
    dividend.constant = -dividend.constant;
    for (Term &term : dividend.terms)
      term.coefficient = -term.coefficient;
  } else {
    products = {add(products.first, by - 1), add(products.second, by - 1)};
  }
  return countKeys(dividend) == 1 ? solve(dividend, products) : unknown();
}

/// max(x, y) <= z is x <= z and y <= z; the other three likewise.
Parts Emitter::solveMinMax(Operation *op, Pair limit, bool atLeast) {
  auto side = [&](Value value, int64_t sign) -> Parts {
    const ValueFact &fact = facts.get(value);
    Linear linear;
    int64_t factor = atLeast ? -sign : sign;
    linear.constant = fact.linear.constant * factor;
    for (const Term &term : fact.linear.terms)
      linear.terms.push_back(
          {term.value, term.coefficient * factor, term.clamp});
    if (fact.bits > narrowBits)
      return unknown();
    auto negate = [&](Value v) { return make<arith::SubIOp>(constant(0), v); };
    Pair bound =
        atLeast ? Pair{negate(limit.first), negate(limit.second)} : limit;
    unsigned keys = countKeys(linear);
    if (keys > 1)
      return unknown();
    if (keys == 1)
      return solve(linear, bound);
    std::optional<Pair> range = rangeOf(linear, Value());
    if (!range)
      return unknown();
    return emitCondition(less(range->first, add(bound.first, 1)),
                         less(range->second, add(bound.second, 1)));
  };
  bool isAbs = isa<math::AbsIOp>(op);
  Value x = op->getOperand(0), y = isAbs ? x : op->getOperand(1);
  bool isMax = isAbs || isa<arith::MaxSIOp>(op);
  Parts a = side(x, 1), b = side(y, isAbs ? -1 : 1);
  return isMax != atLeast ? meet(a, b) : join(a, b);
}

//===----------------------------------------------------------------------===//
// MaskBounds
//===----------------------------------------------------------------------===//

MaskBounds::MaskBounds(Region &mask, unsigned positionBits)
    : facts(std::make_unique<MaskFacts>(mask, positionBits)) {}

MaskBounds::~MaskBounds() = default;

KeyBounds MaskBounds::emit(OpBuilder &builder, Location loc, Value firstRow,
                           Value lastRow, Value firstKey, Value endKey) const {
  Emitter emitter(builder, loc, *facts, {firstRow, lastRow});
  Parts parts = emitter.emit(facts->root);
  KeyBounds bounds;
  bounds.isClosedForm = parts.isClosedForm;
  if (!bounds.isClosedForm)
    bounds.reason = facts->whyOpen();
  for (const Part &part : parts.list)
    bounds.parts.push_back(emitter.finish(part, firstKey, endKey));
  return bounds;
}
