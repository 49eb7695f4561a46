//===- OnlineToAttnGpu.cpp - -convert-online-to-attn-gpu ------------------===//

#include "Lowering.h"

namespace fovea {
#define GEN_PASS_DEF_CONVERTONLINETOATTNGPU
#include "fovea/Conversion/OnlineToAttnGpu/Passes.h.inc"
} // namespace fovea

using namespace mlir;

namespace {
struct ConvertOnlineToAttnGpu
    : fovea::impl::ConvertOnlineToAttnGpuBase<ConvertOnlineToAttnGpu> {
  void runOnOperation() override {
    SmallVector<online::GridOp> grids;
    getOperation().walk([&](online::GridOp grid) {
      if (isa_and_present<attn_gpu::ScheduleAttr>(grid.getScheduleAttr()))
        grids.push_back(grid);
    });
    for (online::GridOp grid : grids)
      if (failed(fovea::gpu::GridLowering(grid).run()))
        return signalPassFailure();
    for (auto op : llvm::make_early_inc_range(
             getOperation().getOps<attn::NormalizerOp>()))
      if (SymbolTable::symbolKnownUseEmpty(op, getOperation()))
        op.erase();
  }
};
} // namespace
