//===- Factors.cpp - Chains of factors in a map ---------------------------===//

#include "Lowering.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::gpu;
using namespace mlir::attn_gpu;

namespace {
/// What an op multiplies one value by: a constant, and a value of the tile or
/// null.
struct Product {
  Value kept, factor;
  double constant = 1;
};
} // namespace

/// A product that moves between f32 factors: with more than one value of the
/// tile, or a constant near the ends of f32, an inner result may leave f32.
static constexpr double kLeast = 0x1p-20, kMost = 0x1p20;

static bool isCommon(double constant) {
  return std::abs(constant) >= kLeast && std::abs(constant) <= kMost;
}

static std::optional<Product> match(Operation *op, ForBlocksOp blocks) {
  if (auto negation = dyn_cast<arith::NegFOp>(op))
    return Product{negation.getOperand(), Value(), -1};
  auto product = dyn_cast<arith::MulFOp>(op);
  if (!product)
    return std::nullopt;
  for (auto [kept, factor] : {std::pair(product.getLhs(), product.getRhs()),
                              std::pair(product.getRhs(), product.getLhs())}) {
    FloatAttr constant;
    if (!matchPattern(factor, m_Constant(&constant))) {
      if (factor.getParentRegion()->isProperAncestor(&blocks.getBody()))
        return Product{kept, factor, 1};
      continue;
    }
    if (isCommon(constant.getValueAsDouble()))
      return Product{kept, Value(), constant.getValueAsDouble()};
  }
  return std::nullopt;
}

/// exp is exp2 of a product, here and not in each element.
static void takeExponentials(Region &region) {
  for (auto op : llvm::make_early_inc_range(region.getOps<math::ExpOp>())) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Value factor =
        arith::ConstantOp::create(b, loc, b.getF32FloatAttr(M_LOG2E));
    Value exponent = arith::MulFOp::create(b, loc, op.getOperand(), factor);
    op.replaceAllUsesWith(math::Exp2Op::create(b, loc, exponent).getResult());
    op.erase();
  }
}

/// One product in place of each chain of them: of a score, the launch's scale
/// and the constants around it.
void GridLowering::foldFactors(Region &region) {
  takeExponentials(region);
  // The constants in the factors made so far.
  DenseMap<Value, double> within;
  for (Operation &op : llvm::make_early_inc_range(region.front())) {
    std::optional<Product> outer = match(&op, blocks);
    Operation *before = outer ? outer->kept.getDefiningOp() : nullptr;
    if (!before || before->getParentRegion() != &region || !before->hasOneUse())
      continue;
    std::optional<Product> inner = match(before, blocks);
    if (!inner || (inner->factor && outer->factor))
      continue;
    Value factor = inner->factor ? inner->factor : outer->factor;
    double product = inner->constant * outer->constant;
    auto made = within.find(factor);
    double all = product * (made == within.end() ? 1 : made->second);
    if (!isCommon(all))
      continue;
    OpBuilder here(&op);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(blocks);
    Value constant = this->constant(product);
    if (factor)
      factor = arith::MulFOp::create(b, loc, factor, constant);
    else
      factor = constant;
    within[factor] = all;
    op.getResult(0).replaceAllUsesWith(
        arith::MulFOp::create(here, op.getLoc(), inner->kept, factor));
    op.erase();
    before->erase();
  }
}
