//===- Planes.cpp - Blocks in which a mask hides nothing ------------------===//
//
// A conjunction of comparisons of sums of m and n is a convex set: it holds on
// a rectangle where it holds at the corner that each comparison likes least.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::gpu;

namespace {
/// m · `m` + n · `n` + constant, which is not to be negative.
struct Plane {
  int64_t m = 0, n = 0, constant = 0;

  Plane minus(const Plane &other) const {
    return {m - other.m, n - other.n, constant - other.constant};
  }
  /// Whether 32 bits hold it for all positions.
  bool isNarrow() const {
    return std::abs(m) <= 1 && std::abs(n) <= 1 && std::abs(m + n) <= 1 &&
           std::abs(constant) < kMaxPosition;
  }
};
} // namespace

static std::optional<Plane> findSum(Value value, Block &region) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return Plane{0, 0, constant.getSExtValue()};
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() != &region)
      return std::nullopt;
    bool isRow = argument.getArgNumber() == 0;
    return Plane{isRow, !isRow, 0};
  }
  Operation *op = value.getDefiningOp();
  if (!isa<arith::AddIOp, arith::SubIOp>(op))
    return std::nullopt;
  std::optional<Plane> lhs = findSum(op->getOperand(0), region),
                       rhs = findSum(op->getOperand(1), region);
  if (!lhs || !rhs)
    return std::nullopt;
  return isa<arith::SubIOp>(op) ? lhs->minus(*rhs)
                                : lhs->minus(Plane{}.minus(*rhs));
}

/// The planes of a condition; false where it is no conjunction of them.
static bool findPlanes(Value value, Block &region,
                       SmallVectorImpl<Plane> &planes) {
  Operation *op = value.getDefiningOp();
  if (isa_and_present<arith::AndIOp>(op))
    return findPlanes(op->getOperand(0), region, planes) &&
           findPlanes(op->getOperand(1), region, planes);
  auto compare = dyn_cast_if_present<arith::CmpIOp>(op);
  if (!compare)
    return false;
  std::optional<Plane> lhs = findSum(compare.getLhs(), region),
                       rhs = findSum(compare.getRhs(), region);
  if (!lhs || !rhs)
    return false;
  using P = arith::CmpIPredicate;
  P predicate = compare.getPredicate();
  if (!llvm::is_contained({P::slt, P::sle, P::sgt, P::sge}, predicate))
    return false;
  bool isLess = predicate == P::slt || predicate == P::sle;
  Plane plane = isLess ? rhs->minus(*lhs) : lhs->minus(*rhs);
  plane.constant -= predicate == P::slt || predicate == P::sgt;
  planes.push_back(plane);
  return plane.isNarrow();
}

/// Whether the mask holds on the group's rows and all columns of a block, one
/// answer for all lanes; null where its form does not say.
Value KernelEmitter::findAllVisible(MaskOp op) {
  SmallVector<Plane> planes;
  Block &region = op.getBody().front();
  if (!findPlanes(region.getTerminator()->getOperand(0), region, planes))
    return {};
  int64_t columns = op.getType().getColumns();
  Value m0 = e.add(known[op.getM0()].value, e.mul(group, kGroupRows));
  Value n0 = known[op.getN0()].value;
  Value visible = e.icmp(LLVM::ICmpPredicate::sge, known[op.getCount()].value,
                         e.c(columns));
  for (const Plane &plane : planes) {
    Value least = e.c(plane.constant);
    auto addSide = [&](Value first, int64_t factor, int64_t length) {
      if (factor > 0)
        least = e.add(least, first);
      if (factor < 0)
        least = e.sub(least, e.add(first, length - 1));
    };
    addSide(m0, plane.m, kGroupRows);
    addSide(n0, plane.n, columns);
    visible = e.land(visible, e.icmp(LLVM::ICmpPredicate::sge, least, e.c(0)));
  }
  return visible;
}
