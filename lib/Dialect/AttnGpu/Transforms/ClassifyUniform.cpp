//===- ClassifyUniform.cpp - -attn-gpu-classify-uniform -------------------===//

#include "Scalars.h"
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DEF_ATTNGPUCLASSIFYUNIFORM
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
struct AttnGpuClassifyUniform
    : attn_gpu::impl::AttnGpuClassifyUniformBase<AttnGpuClassifyUniform> {
  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](SpecializeOp specialize) {
      if (!specialize.getBranch())
        specialize.walk([&](scf::ForOp loop) { loops.push_back(loop); });
    });
    for (scf::ForOp loop : loops)
      if (arith::CmpIOp condition = findClass(loop))
        split(loop, condition);
  }

  arith::CmpIOp findClass(scf::ForOp loop);
  void split(scf::ForOp loop, arith::CmpIOp condition);
};
} // namespace

/// The comparison of the induction variable that decides the loop's masks.
arith::CmpIOp AttnGpuClassifyUniform::findClass(scf::ForOp loop) {
  for (Operation &op : *loop.getBody()) {
    auto mask = dyn_cast<MaskOp>(op);
    if (!mask)
      continue;
    auto compare = mask.getFull().getDefiningOp<arith::CmpIOp>();
    if (compare && compare.getPredicate() == arith::CmpIPredicate::slt &&
        compare.getLhs() == loop.getInductionVar() &&
        loop.isDefinedOutsideOfLoop(compare.getRhs()))
      return compare;
  }
  return {};
}

void AttnGpuClassifyUniform::split(scf::ForOp loop, arith::CmpIOp condition) {
  OpBuilder b(loop);
  // Within the loop's bounds, as the order of the blocks is made. A minimum
  // here would leave the uniform registers.
  Value middle = condition.getRhs();
  auto copy = [&](bool full, Value from, Value to, ValueRange inits) {
    IRMapping mapping;
    auto clone = cast<scf::ForOp>(b.clone(*loop, mapping));
    clone.setLowerBound(from);
    clone.setUpperBound(to);
    clone.getInitArgsMutable().assign(inits);
    Operation *compare = mapping.lookup(condition.getResult()).getDefiningOp();
    OpBuilder inner(compare);
    compare->replaceAllUsesWith(
        ValueRange{Scalars(inner, compare->getLoc()).boolean(full)});
    compare->erase();
    return clone;
  };
  scf::ForOp whole =
      copy(true, loop.getLowerBound(), middle, loop.getInitArgs());
  scf::ForOp others =
      copy(false, middle, loop.getUpperBound(), whole.getResults());
  loop.replaceAllUsesWith(others.getResults());
  loop.erase();
}
