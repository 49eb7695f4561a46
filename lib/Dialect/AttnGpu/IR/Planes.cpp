//===- Planes.cpp - Masks as half-planes ----------------------------------===//
//
// A conjunction of comparisons of sums of m and n is a convex set: it holds on
// a rectangle where it holds at the corner that each comparison likes least.
//
//===----------------------------------------------------------------------===//

#include "fovea/Dialect/AttnGpu/IR/Planes.h"
#include "mlir/Analysis/FlatLinearValueConstraints.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::attn_gpu;

bool Plane::isNarrow() const {
  constexpr int64_t limit = int64_t(1) << 30;
  return std::abs(m) <= 1 && std::abs(n) <= 1 && std::abs(m + n) <= 1 &&
         constant > -limit && constant < limit;
}

bool Plane::holdsOn(int64_t m0, int64_t rows, int64_t n0,
                    int64_t columns) const {
  int64_t atRow = m < 0 ? m0 + rows - 1 : m0;
  int64_t atColumn = n < 0 ? n0 + columns - 1 : n0;
  return m * atRow + n * atColumn + constant >= 0;
}

static std::optional<Plane> findSum(Value value, Value m, Value n) {
  if (value == m || value == n)
    return Plane{value == m, value == n, 0};
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return Plane{0, 0, constant.getSExtValue()};
  Operation *op = value.getDefiningOp();
  if (!isa_and_present<arith::AddIOp, arith::SubIOp>(op))
    return std::nullopt;
  std::optional<Plane> lhs = findSum(op->getOperand(0), m, n),
                       rhs = findSum(op->getOperand(1), m, n);
  if (!lhs || !rhs)
    return std::nullopt;
  return isa<arith::SubIOp>(op) ? lhs->minus(*rhs)
                                : lhs->minus(Plane{}.minus(*rhs));
}

static bool addPlanes(Value condition, Value m, Value n,
                      SmallVectorImpl<Plane> &planes) {
  Operation *op = condition.getDefiningOp();
  if (isa_and_present<arith::AndIOp>(op))
    return addPlanes(op->getOperand(0), m, n, planes) &&
           addPlanes(op->getOperand(1), m, n, planes);
  auto compare = dyn_cast_if_present<arith::CmpIOp>(op);
  if (!compare)
    return false;
  std::optional<Plane> lhs = findSum(compare.getLhs(), m, n),
                       rhs = findSum(compare.getRhs(), m, n);
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

std::optional<SmallVector<Plane>> attn_gpu::findPlanes(Value condition, Value m,
                                                       Value n) {
  SmallVector<Plane> planes;
  if (!addPlanes(condition, m, n, planes))
    return std::nullopt;
  return planes;
}

IntegerSet attn_gpu::toSet(MLIRContext *context, ArrayRef<Plane> planes) {
  AffineExpr m = getAffineDimExpr(0, context), n = getAffineDimExpr(1, context);
  SmallVector<AffineExpr> sums =
      llvm::map_to_vector(planes, [&](const Plane &plane) -> AffineExpr {
        return m * plane.m + n * plane.n + plane.constant;
      });
  SmallVector<bool> areEqualities(planes.size(), false);
  return IntegerSet::get(2, 0, sums, areEqualities);
}

std::optional<SmallVector<Plane>> attn_gpu::toPlanes(IntegerSet set) {
  if (set.getNumDims() != 2 || set.getNumSymbols() != 0)
    return std::nullopt;
  SmallVector<Plane> planes;
  for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
    // Factors of m and n and a constant, where nothing is divided.
    SmallVector<int64_t> flat;
    if (set.isEq(i) ||
        failed(getFlattenedAffineExpr(set.getConstraint(i), 2, 0, &flat)) ||
        flat.size() != 3)
      return std::nullopt;
    planes.push_back({flat[0], flat[1], flat[2]});
    if (!planes.back().isNarrow())
      return std::nullopt;
  }
  return planes;
}
