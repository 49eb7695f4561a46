//===- VerifyLowered.cpp - -attn-verify-lowered ---------------------------===//

#include "fovea/Dialect/Attn/Transforms/Passes.h"

namespace mlir::attn {
#define GEN_PASS_DEF_ATTNVERIFYLOWERED
#include "fovea/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;

/// Level 2 shares the scalar ops and the normalisers.
static bool isOfLevelOne(Operation *op) {
  if (!isa_and_nonnull<attn::AttnDialect>(op->getDialect()))
    return false;
  return !attn::isAllowedInRegion(op) || isa<attn::SizeOp, attn::ParamOp>(op);
}

namespace {
struct VerifyLowered : attn::impl::AttnVerifyLoweredBase<VerifyLowered> {
  void runOnOperation() override {
    WalkResult walk = getOperation().walk([&](Operation *op) {
      if (isOfLevelOne(op) && !isa<attn::NormalizerOp, attn::YieldOp>(op)) {
        bool nested = op->getParentOfType<ModuleOp>() != getOperation();
        op->emitError("is left after the lowering to level 2")
            << (nested ? ", which takes the functions of the outermost module"
                       : "");
        return WalkResult::interrupt();
      }
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            if (isa<attn::BlockMaskType>(argument.getType())) {
              op->emitError()
                  << "has an argument of type " << argument.getType()
                  << " after the lowering to level 2";
              return WalkResult::interrupt();
            }
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
