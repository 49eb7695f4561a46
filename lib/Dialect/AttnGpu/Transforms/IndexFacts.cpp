//===- IndexFacts.cpp - What is known of index arithmetic -----------------===//

#include "IndexFacts.h"
#include "mlir/Analysis/Presburger/IntegerRelation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using presburger::IntegerPolyhedron;
using presburger::PresburgerSpace;

static std::optional<int64_t> getConstant(Value value) {
  APInt constant;
  if (!matchPattern(value, m_ConstantInt(&constant)))
    return std::nullopt;
  return constant.getSExtValue();
}

bool attn_gpu::isMultipleOf(Value value, int64_t factor) {
  if (std::optional<int64_t> constant = getConstant(value))
    return *constant % factor == 0;
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  auto operand = [&](unsigned i) {
    return isMultipleOf(op->getOperand(i), factor);
  };
  if (isa<arith::MulIOp>(op))
    return operand(0) || operand(1);
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return operand(0) && operand(1);
  return isa<arith::IndexCastOp>(op) && operand(0);
}

namespace {
/// Linear constraints on integer unknowns, and alternatives that minima and
/// maxima leave: each case takes one of two.
class System {
public:
  /// A sum of unknowns, by number, and a constant.
  struct Sum {
    SmallVector<std::pair<unsigned, int64_t>> terms;
    int64_t constant = 0;
  };
  Sum get(Value value);
  void addAtLeastZero(Sum sum) { constraints.push_back(std::move(sum)); }
  /// Whether no case has a solution; false where there are too many cases.
  bool isEmpty() const;

  static Sum combine(const Sum &x, int64_t factor, const Sum &y) {
    Sum sum = x;
    for (auto [unknown, scale] : y.terms)
      sum.terms.push_back({unknown, scale * factor});
    sum.constant += y.constant * factor;
    return sum;
  }

private:
  static constexpr size_t kMaxCases = 10;

  Sum compute(Value value);
  Sum unknown() { return {{{unknowns++, 1}}, 0}; }
  SmallVector<int64_t> toRow(const Sum &sum) const;
  bool isEmpty(const IntegerPolyhedron &set, size_t next) const;

  unsigned unknowns = 0;
  SmallVector<Sum> constraints;
  SmallVector<std::pair<Sum, Sum>> alternatives;
  DenseMap<Value, Sum> known;
};
} // namespace

System::Sum System::get(Value value) {
  auto it = known.find(value);
  if (it != known.end())
    return it->second;
  Sum sum = compute(value);
  known[value] = sum;
  return sum;
}

System::Sum System::compute(Value value) {
  if (std::optional<int64_t> constant = getConstant(value))
    return {{}, *constant};
  Operation *op = value.getDefiningOp();
  if (!op)
    return unknown();
  const Sum zero;
  return TypeSwitch<Operation *, Sum>(op)
      .Case([&](arith::IndexCastOp) { return get(op->getOperand(0)); })
      .Case([&](arith::AddIOp add) {
        return combine(get(add.getLhs()), 1, get(add.getRhs()));
      })
      .Case([&](arith::SubIOp sub) {
        return combine(get(sub.getLhs()), -1, get(sub.getRhs()));
      })
      .Case([&](arith::MulIOp mul) {
        std::optional<int64_t> factor = getConstant(mul.getRhs());
        return factor ? combine(zero, *factor, get(mul.getLhs())) : unknown();
      })
      .Case([&](arith::DivUIOp div) {
        // Of what is not negative: positions and sizes.
        std::optional<int64_t> divisor = getConstant(div.getRhs());
        Sum quotient = unknown();
        if (!divisor || *divisor <= 0)
          return quotient;
        Sum rest = combine(get(div.getLhs()), -*divisor, quotient);
        addAtLeastZero(rest);
        addAtLeastZero(combine({{}, *divisor - 1}, -1, rest));
        return quotient;
      })
      .Case<arith::MinSIOp, arith::MaxSIOp>([&](auto) {
        Sum result = unknown();
        int64_t sign = isa<arith::MinSIOp>(op) ? 1 : -1;
        SmallVector<Sum, 2> distances;
        for (Value operand : op->getOperands()) {
          Sum distance = combine(get(operand), -1, result);
          distances.push_back(combine(zero, sign, distance));
          addAtLeastZero(distances.back());
        }
        alternatives.push_back(
            {combine(zero, -1, distances[0]), combine(zero, -1, distances[1])});
        return result;
      })
      .Default([&](Operation *) { return unknown(); });
}

SmallVector<int64_t> System::toRow(const Sum &sum) const {
  SmallVector<int64_t> row(unknowns + 1, 0);
  for (auto [unknown, scale] : sum.terms)
    row[unknown] += scale;
  row.back() = sum.constant;
  return row;
}

bool System::isEmpty(const IntegerPolyhedron &set, size_t next) const {
  if (set.isIntegerEmpty())
    return true;
  if (next == alternatives.size())
    return false;
  auto [first, second] = alternatives[next];
  for (const Sum &sum : {first, second}) {
    IntegerPolyhedron branch = set;
    branch.addInequality(toRow(sum));
    if (!isEmpty(branch, next + 1))
      return false;
  }
  return true;
}

bool System::isEmpty() const {
  if (alternatives.size() > kMaxCases)
    return false;
  IntegerPolyhedron set(PresburgerSpace::getSetSpace(unknowns));
  for (const Sum &sum : constraints)
    set.addInequality(toRow(sum));
  return isEmpty(set, 0);
}

bool attn_gpu::isDifferenceAtMost(Value x, Value y, int64_t limit) {
  System system;
  System::Sum difference = System::combine(system.get(x), -1, system.get(y));
  difference.constant -= limit + 1;
  system.addAtLeastZero(difference);
  return system.isEmpty();
}
