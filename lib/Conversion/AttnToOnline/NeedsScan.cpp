//===- NeedsScan.cpp - Masks without a closed form ------------------------===//

#include "Lowering.h"
#include "fovea/Analysis/MaskBounds.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace fovea;

/// Asks for the bounds of a tile of rows in a block that is thrown away.
static bool hasClosedForm(attn::AttentionOp op, unsigned indexBits) {
  Block &source = op.getMask().front();
  Location loc = op.getLoc();
  OpBuilder builder(op.getContext());
  Type i64 = builder.getI64Type();
  Block outside;
  Region mask;
  IRMapping mapping;
  Block *inside = builder.createBlock(&mask, {}, {i64, i64}, {loc, loc});
  for (auto [index, argument] : llvm::enumerate(source.getArguments())) {
    bool isPosition = index == 2 || index == 3;
    mapping.map(argument, isPosition
                              ? inside->getArgument(index - 2)
                              : outside.addArgument(argument.getType(), loc));
  }
  for (Operation &scalar : source)
    builder.clone(scalar, mapping);
  SmallVector<Value, 4> range; // first and last row, first and last key
  for (unsigned i = 0; i < 4; ++i)
    range.push_back(outside.addArgument(i64, loc));
  builder.setInsertionPointToEnd(&outside);
  KeyBounds bounds =
      MaskBounds(mask, getPositionBits(indexBits))
          .emit(builder, loc, range[0], range[1], range[2], range[3]);
  return bounds.isClosedForm;
}

bool fovea::hidesByScore(attn::AttentionOp op) {
  if (op.hasMask() || !op.hasScore())
    return false;
  return llvm::any_of(op.getScore().front(), [](Operation &scalar) {
    APFloat value(0.0);
    return matchPattern(&scalar, m_ConstantFloat(&value)) &&
           value.isInfinity() && value.isNegative();
  });
}

bool fovea::needsScan(attn::AttentionOp op, unsigned indexBits) {
  if (op.getBlockMask())
    return false;
  return op.hasMask() ? !hasClosedForm(op, indexBits) : hidesByScore(op);
}
