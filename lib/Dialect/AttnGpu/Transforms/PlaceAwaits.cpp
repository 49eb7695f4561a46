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
      signalPassFailure();
  }

  LogicalResult setKeeps(Block &block);
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
