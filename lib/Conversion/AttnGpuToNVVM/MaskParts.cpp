//===- MaskParts.cpp ------------------------------------------------------===//

#include "MaskParts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace fovea::gpu;

MaskParts::MaskParts(func::FuncOp visible)
    : visible(visible), body(visible.front()) {
  dependences[row()] = OnRow;
  dependences[key()] = OnKey;
  for (Operation &op : body.without_terminator()) {
    uint8_t dependence = OnNothing;
    for (Value operand : op.getOperands())
      dependence |= dependences.lookup(operand);
    dependences[op.getResult(0)] = dependence;
    if (isSum(&op))
      sums.insert(&op);
  }
  findBounds();
}

/// Bounds of its operands give the op's own exactly enough: sums of the
/// position, their comparisons, and what is made of these.
bool MaskParts::isSum(Operation *op) const {
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::CmpIOp,
           arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op))
    return false;
  bool isBit = op->getOperand(0).getType().isInteger(1);
  if (isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op) != isBit)
    return false;
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    return isa<BlockArgument>(operand) || dependenceOf(operand) == OnNothing ||
           sums.contains(operand.getDefiningOp());
  });
}

void MaskParts::findBounds() {
  llvm::SmallPtrSet<Value, 16> wanted;
  wanted.insert(result());
  for (Operation &op : llvm::reverse(body.without_terminator())) {
    Value value = op.getResult(0);
    OnPosition on = dependenceOf(value);
    if (!wanted.contains(value) || on == OnNothing)
      continue;
    if (on != OnBoth && !sums.contains(&op)) {
      hulls.insert(value);
      (on == OnRow ? rowHulls : keyHulls).push_back(value);
      continue;
    }
    bounded.insert(&op);
    wanted.insert(op.operand_begin(), op.operand_end());
  }
  std::reverse(rowHulls.begin(), rowHulls.end());
  std::reverse(keyHulls.begin(), keyHulls.end());
}

std::string MaskParts::nameOf(BlockArgument capture) const {
  func::FuncOp func = visible;
  auto name =
      func.getArgAttrOfType<StringAttr>(capture.getArgNumber(), "attn.name");
  return "@" + name.str();
}
