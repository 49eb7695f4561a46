//===- NeedsScan.cpp - Masks without a closed form ------------------------===//

#include "Lowering.h"
#include "fovea/Analysis/BlockFacts.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace fovea;

bool fovea::hidesByScore(attn::AttentionOp op) {
  if (op.hasMask() || !op.hasScore())
    return false;
  Block &score = op.getScore().front();
  bool hasConstant = llvm::any_of(score, [](Operation &scalar) {
    APFloat value(0.0);
    return matchPattern(&scalar, m_ConstantFloat(&value)) &&
           value.isInfinity() && value.isNegative();
  });
  return hasConstant && !isAboveMinusInfinity(score);
}

bool fovea::needsScan(attn::AttentionOp op, const WalkRequest &request) {
  if (op.getBlockMask())
    return false;
  return op.hasMask() ? !WalkBounds(op, request).isClosedForm()
                      : hidesByScore(op);
}
