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
    double value = constant.getValueAsDouble();
    if (std::abs(value) >= kLeast && std::abs(value) <= kMost)
      return Product{kept, Value(), value};
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
  for (Operation &op : llvm::make_early_inc_range(region.front())) {
    std::optional<Product> outer = match(&op, blocks);
    Operation *before = outer ? outer->kept.getDefiningOp() : nullptr;
    if (!before || before->getParentRegion() != &region || !before->hasOneUse())
      continue;
    std::optional<Product> inner = match(before, blocks);
    if (!inner || (inner->factor && outer->factor))
      continue;
    Value factor = inner->factor ? inner->factor : outer->factor;
    OpBuilder here(&op);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(blocks);
    Value constant = this->constant(inner->constant * outer->constant);
    if (factor)
      factor = arith::MulFOp::create(b, loc, factor, constant);
    else
      factor = constant;
    op.getResult(0).replaceAllUsesWith(
        arith::MulFOp::create(here, op.getLoc(), inner->kept, factor));
    op.erase();
    before->erase();
  }
}
