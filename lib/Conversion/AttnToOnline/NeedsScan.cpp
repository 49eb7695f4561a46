//===- NeedsScan.cpp - Masks without a closed form ------------------------===//

#include "Lowering.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace fovea;

bool fovea::hidesByScore(attn::AttentionOp op) {
  if (op.hasMask() || !op.hasScore())
    return false;
  return llvm::any_of(op.getScore().front(), [](Operation &scalar) {
    APFloat value(0.0);
    return matchPattern(&scalar, m_ConstantFloat(&value)) &&
           value.isInfinity() && value.isNegative();
  });
}

bool fovea::needsScan(attn::AttentionOp op, const WalkRequest &request) {
  if (op.getBlockMask())
    return false;
  return op.hasMask() ? !WalkBounds(op, request).isClosedForm()
                      : hidesByScore(op);
}
