//===- Slice.cpp - Scalars of a tile, computed where they are used --------===//

#include "Slice.h"

using namespace mlir;
using namespace mlir::attn_gpu;

bool Slice::isOutside(Value value) {
  return !tiles->isAncestor(value.getParentRegion()->getParentOp());
}

Value Slice::get(OpBuilder &b, Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  if (isOutside(value))
    return value;
  Operation *op = value.getDefiningOp();
  assert(op && "an argument of the tile must have been set");
  clone(b, op);
  return mapping.lookup(value);
}

Operation *Slice::clone(OpBuilder &b, Operation *op) {
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      Operation *owner = operand.getParentRegion()->getParentOp();
      if (!op->isAncestor(owner))
        mapping.map(operand, get(b, operand));
    }
  });
  return b.clone(*op, mapping);
}

void mlir::attn_gpu::collectRecords(ForTilesOp tiles, Operation *op,
                                    llvm::SetVector<Value> &records) {
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      Region *region = operand.getParentRegion();
      if (region != &tiles.getBody())
        continue;
      Operation *owner = operand.getDefiningOp();
      if (operand.getType().isIndex()) {
        if (!owner || !isa<arith::ConstantOp>(owner))
          records.insert(operand);
        continue;
      }
      if (owner && !isa<WaitOp, ForBlocksOp>(owner))
        collectRecords(tiles, owner, records);
    }
  });
}
