//===- PlaceAwaits.cpp - -attn-gpu-place-awaits ---------------------------===//

#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DEF_ATTNGPUPLACEAWAITS
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
struct AttnGpuPlaceAwaits
    : attn_gpu::impl::AttnGpuPlaceAwaitsBase<AttnGpuPlaceAwaits> {
  void runOnOperation() override {
    WalkResult walk = getOperation().walk([&](Block *block) {
      return failed(setKeeps(*block)) ? WalkResult::interrupt()
                                      : WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return signalPassFailure();
    getOperation().walk([&](SpecializeOp specialize) {
      specialize.walk(
          [&](scf::ForOp loop) { addPins(*loop.getBody(), specialize); });
    });
  }

  LogicalResult setKeeps(Block &block);
  void addPins(Block &block, SpecializeOp specialize);
};
} // namespace

LogicalResult AttnGpuPlaceAwaits::setKeeps(Block &block) {
  SmallVector<Value> inFlight; // in the order of their starts
  for (Operation &op : block) {
    if (auto start = dyn_cast<MmaStartOp>(op)) {
      inFlight.push_back(start.getResult());
      continue;
    }
    if (op.getNumRegions() != 0 && !inFlight.empty() && !isa<MapOp, MaskOp>(op))
      return op.emitError(
          "stands between the start of a product and its await");
    auto await = dyn_cast<AwaitOp>(op);
    if (!await)
      continue;
    auto *found = llvm::find(inFlight, await.getPending());
    if (found == inFlight.end())
      return await.emitError("awaits a product of another block");
    await.setKeep(inFlight.end() - found - 1);
    inFlight.erase(inFlight.begin(), found + 1);
  }
  return success();
}

/// Round the last await of a block without masks, or that goes round them: 1
/// keeps it behind the row maxima, 4 keeps the exponentials behind it.
void AttnGpuPlaceAwaits::addPins(Block &block, SpecializeOp specialize) {
  int64_t pin = specialize.getPin();
  AwaitOp last;
  ReduceOp maximum;
  for (Operation &op : block) {
    if (isa<MaskOp>(op) && !specialize.getBranch()) // registers are short there
      return;
    if (auto await = dyn_cast<AwaitOp>(op))
      last = await;
    auto reduce = dyn_cast<ReduceOp>(op);
    if (reduce && reduce.getKind() == ReduceKind::Max)
      maximum = reduce;
  }
  if (!pin || !last || !maximum || !maximum->isBeforeInBlock(last))
    return;
  OpBuilder b(last);
  if (pin & 4) {
    // The offset of the exponents is the one map of the maxima alone.
    MapOp offset;
    for (Operation *user : maximum->getUsers())
      if (auto map = dyn_cast<MapOp>(user))
        if (map.getInputs().size() == 1 && isa<RowvecType>(map.getType()))
          offset = map;
    if (!offset)
      return;
    Operation *release = last->getNextNode();
    last->moveAfter(offset);
    if (isa_and_present<ReleaseOp>(release))
      release->moveAfter(last);
    b.setInsertionPointAfter(last);
    auto pinned = PinOp::create(b, last.getLoc(), offset.getType(), UnitAttr(),
                                offset.getResult());
    offset.getResult().replaceAllUsesExcept(pinned.getResult(), pinned);
  }
  if (pin & 1) {
    b.setInsertionPoint(last);
    PinOp::create(b, last.getLoc(), maximum.getType(), b.getUnitAttr(),
                  maximum.getResult());
  }
}
