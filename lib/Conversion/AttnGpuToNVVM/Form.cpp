//===- Form.cpp - What the lowering takes for granted ---------------------===//

#include "Kernel.h"

using namespace fovea::gpu;

static Value viewOf(Operation *op) {
  if (auto fill = dyn_cast<FillOp>(op))
    return fill.getView();
  if (auto store = dyn_cast<StoreTileOp>(op))
    return store.getView();
  if (auto store = dyn_cast<StoreRowsOp>(op))
    return store.getView();
  return {};
}

static Value tensorOf(Operation *op) {
  if (auto view = dyn_cast<online::ViewOp>(op))
    return view.getSource();
  if (auto dim = dyn_cast<memref::DimOp>(op))
    return dim.getSource();
  if (isa<attn::ExtentOp, attn::ReadOp, memref::LoadOp>(op))
    return op->getOperand(0);
  return {};
}

/// Passes come in any order, and kernels from any hand: what is relied on
/// beyond the verifiers' rules is asked here, once.
LogicalResult KernelEmitter::checkForm() {
  auto hasBudget = [&] {
    return llvm::all_of(ArrayRef<StringRef>{"attn_gpu.shared_memory",
                                            "attn_gpu.barriers",
                                            "attn_gpu.threads",
                                            "attn_gpu.blocks"},
                        [&](StringRef name) {
                          return func->getAttrOfType<IntegerAttr>(name);
                        }) &&
           (loadWarps == 1 ||
            func->getAttrOfType<IntegerAttr>("attn_gpu.told")) &&
           (cluster == 1 ||
            func->getAttrOfType<IntegerAttr>("attn_gpu.shared_tiles"));
  };
  if (!hasBudget())
    return func.emitError("has no budget: run -attn-gpu-budget");
  if (func.getNumArguments() < 4)
    return func.emitError("a kernel takes q, k, v and out, got ")
           << func.getNumArguments() << " arguments";
  for (BlockArgument argument : func.getArguments()) {
    unsigned number = argument.getArgNumber();
    if (argument.getType().isIndex() && !argument.use_empty() &&
        !func.getArgAttrOfType<StringAttr>(number, "attn.name"))
      return func.emitError("argument #")
             << number << " needs a name: attn.name";
  }
  WalkResult walked = func.walk([&](Operation *op) -> WalkResult {
    if (Value view = viewOf(op))
      if (!view.getDefiningOp<online::ViewOp>())
        return op->emitError("needs a view that 'online.view' gives");
    if (Value tensor = tensorOf(op))
      if (!isa<BlockArgument>(tensor) ||
          cast<BlockArgument>(tensor).getOwner() != &func.front() ||
          !isa<MemRefType>(tensor.getType()))
        return op->emitError("needs a memref that is an argument");
    if (auto load = dyn_cast<memref::LoadOp>(op))
      if (!isPerBatch(load.getMemRef()))
        return op->emitError("reads another memory than offsets and lengths");
    if (auto dim = dyn_cast<memref::DimOp>(op))
      if (!dim.getConstantIndex())
        return op->emitError("needs a constant dimension");
    if (auto fetch = dyn_cast<TileFetchOp>(op);
        fetch && int64_t(fetch.getCluster()) != cluster)
      return op->emitError()
             << "takes tiles for clusters of " << fetch.getCluster()
             << ", channels are of " << cluster;
    if (auto fetch = dyn_cast<TileFetchOp>(op))
      if (loadWarps > 1 && !fetch.getNumber())
        return op->emitError("needs a number, as several warps load");
    if (auto channel = dyn_cast<ChannelOp>(op))
      if (!channel.getOffset() || op->getBlock() != &func.front())
        return op->emitError("has no place: run -attn-gpu-budget");
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

/// Of the channels: whose queries, whose keys.
LogicalResult KernelEmitter::checkChannels() {
  for (bool isLhs : {true, false})
    if (llvm::none_of(channels, [&](const auto &entry) {
          return entry.second.isLhs == isLhs;
        }))
      return specialize.emitError("has no channel of ")
             << (isLhs ? "queries" : "keys")
             << " whose products are started: run -attn-gpu-flatten-stream";
  return success();
}
