//===- Planes.cpp - Blocks in which a mask hides nothing ------------------===//

#include "Kernel.h"

using namespace fovea::gpu;

Value fovea::gpu::emitHoldsOn(Emitter &e, ArrayRef<Plane> planes, Value m0,
                              int64_t rows, Value n0, int64_t columns) {
  Value holds = e.c(1, e.i1);
  for (const Plane &plane : planes) {
    Value least = e.c(plane.constant);
    auto addSide = [&](Value first, int64_t factor, int64_t length) {
      if (factor > 0)
        least = e.add(least, first);
      if (factor < 0)
        least = e.sub(least, e.add(first, length - 1));
    };
    addSide(m0, plane.m, rows);
    addSide(n0, plane.n, columns);
    holds = e.land(holds, e.icmp(LLVM::ICmpPredicate::sge, least, e.c(0)));
  }
  return holds;
}

/// Whether the mask holds on the group's rows and all columns of a block, one
/// answer for all lanes; null where its form does not say. It may hold whatever
/// the positions, as its region says last.
Value KernelEmitter::findAllVisible(MaskOp op) {
  Block &region = op.getBody().front();
  Value condition = region.getTerminator()->getOperand(0), always;
  auto either = condition.getDefiningOp<arith::OrIOp>();
  if (either && either.getRhs().getParentBlock() != &region) {
    always = known[either.getRhs()].value;
    condition = either.getLhs();
  }
  int64_t columns = op.getType().getColumns();
  Value visible;
  if (auto planes =
          findPlanes(condition, region.getArgument(0), region.getArgument(1)))
    visible = emitHoldsOn(
        e, *planes, e.add(known[op.getM0()].value, e.mul(group, kGroupRows)),
        kGroupRows, known[op.getN0()].value, columns);
  if (always)
    visible = visible ? e.lor(visible, always) : always;
  if (!visible)
    return {};
  return e.land(visible, e.icmp(LLVM::ICmpPredicate::sge,
                                known[op.getCount()].value, e.c(columns)));
}
