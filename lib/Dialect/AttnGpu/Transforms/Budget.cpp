//===- Budget.cpp - -attn-gpu-budget --------------------------------------===//

#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DEF_ATTNGPUBUDGET
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

using namespace mlir;
using namespace mlir::attn_gpu;

/// What one block of threads has on sm_90; of a multiprocessor's 228 KiB each
/// block takes 1 KiB for itself.
static constexpr int64_t kSharedMemory = 232448, kRegisters = 65536,
                         kThreadsPerGroup = 128, kBarriers = 16,
                         kMostGroups = 3, kMultiprocessorMemory = 233472,
                         kOwnMemory = 1024;

/// Named ones: the block's, the turnstile's and one for each group's stores.
static_assert(1 + 2 * kMostGroups <= kBarriers);

namespace {
struct AttnGpuBudget : attn_gpu::impl::AttnGpuBudgetBase<AttnGpuBudget> {
  void runOnOperation() override {
    for (auto specialize : getOperation().getOps<SpecializeOp>())
      if (failed(setOffsets(specialize)) || failed(setRegisters(specialize)))
        return signalPassFailure();
  }

  LogicalResult setRegisters(SpecializeOp specialize);
  LogicalResult setOffsets(SpecializeOp specialize);
};
} // namespace

namespace {
/// Registers a thread of the loading group and of each computing one: multiples
/// of 8 whose sum over all threads fits, and with which the launch, at the same
/// number for all, fits too.
struct Registers {
  int64_t load, mma;
  constexpr bool fit(int64_t groups, int64_t limit) const {
    int64_t threads = (groups + 1) * kThreadsPerGroup;
    return (load + groups * mma) * kThreadsPerGroup <=
           limit / threads / 8 * 8 * threads;
  }
};
} // namespace

static constexpr Registers kPaired{40, 216}, kAlone{56, 240}, kLight{24, 240},
    kTwo{40, 232}, kThree{32, 160}, kJointTwo{56, 224}, kJointThree{56, 152};
static_assert(kPaired.fit(1, kRegisters / 2) && kAlone.fit(1, kRegisters));
static_assert(kLight.fit(2, kRegisters) && kTwo.fit(2, kRegisters));
static_assert(kJointTwo.fit(2, kRegisters) && kJointThree.fit(3, kRegisters));
static_assert(kThree.fit(kMostGroups, kRegisters));

/// Blocks of one computing group come in pairs where their memory fits: the
/// products of one hide the exponentials of the other.
static Registers chooseRegisters(int64_t groups, bool pairs, bool isLight) {
  switch (groups) {
  case 1:
    return pairs ? kPaired : kAlone;
  case 2:
    return isLight ? kLight : kTwo;
  default:
    return kThree;
  }
}

/// Whether what the loading role carries from tile to tile leaves room in 24
/// registers for a copy's operands; elements of lists have addresses besides.
/// Products of 256 columns gain nothing by it.
static bool hasLightLoader(RoleOp loader) {
  constexpr unsigned kMostCarried = 9;
  bool isLight = true;
  loader.walk([&](Operation *op) {
    isLight &= !isa<ListCountOp, JointCountOp>(op);
    if (auto fill = dyn_cast<FillOp>(op))
      isLight &= fill.getChannel().getType().getColumns() < 256;
    if (auto loop = dyn_cast<scf::WhileOp>(op))
      isLight &= loop.getInits().size() <= kMostCarried;
    // Addresses of what bounds are read from; a diagonal is read elsewhere.
    isLight &= !isa<attn::ReadOp>(op) || op->getParentOfType<FillOp>();
    // Offsets and lengths, and what bounds are made of them.
    isLight &= !isa<memref::LoadOp>(op);
  });
  return isLight;
}

LogicalResult AttnGpuBudget::setRegisters(SpecializeOp specialize) {
  auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
  int64_t groups = roles[1].getGroups();
  bool pairs =
      getOperation()->getAttrOfType<IntegerAttr>("attn_gpu.blocks").getInt() ==
      2;
  auto [load, mma] = chooseRegisters(groups, pairs, hasLightLoader(roles[0]));
  // The elements of joint lists take the loading role more than others.
  if (roles[0]
          .walk([](JointCountOp) { return WalkResult::interrupt(); })
          .wasInterrupted()) {
    const Registers &joint = groups == 2 ? kJointTwo : kJointThree;
    std::tie(load, mma) = std::pair(joint.load, joint.mma);
  }
  // The accumulators, operands and scores that live at once in a step.
  int64_t live = 0;
  roles[1].walk([&](scf::ForOp loop) {
    int64_t carried = 0;
    for (Value init : loop.getInitArgs())
      if (auto frag = dyn_cast<FragType>(init.getType()))
        carried += frag.getRegisters();
    for (auto start : loop.getBody()->getOps<MmaStartOp>())
      if (!start.getAcc())
        carried += cast<FragType>(start.getType().getResult()).getRegisters();
    live = std::max(live, carried);
  });
  if (live + 16 > mma)
    return roles[1].emitError()
           << "holds " << live << " registers of fragments, the limit of "
           << groups << " groups is " << mma - 16;
  Builder b(&getContext());
  roles[0].setRegistersAttr(b.getI64IntegerAttr(load));
  roles[1].setRegistersAttr(b.getI64IntegerAttr(mma));
  getOperation()->setAttr("attn_gpu.threads",
                          b.getI64IntegerAttr((groups + 1) * kThreadsPerGroup));
  return success();
}

LogicalResult AttnGpuBudget::setOffsets(SpecializeOp specialize) {
  Builder b(&getContext());
  int64_t offset = 0;
  SmallVector<ChannelOp> channels(getOperation().getOps<ChannelOp>());
  for (ChannelOp channel : channels) {
    ChannelType type = channel.getChannel().getType();
    channel.setOffsetAttr(b.getI64IntegerAttr(offset));
    // Swizzled boxes repeat every 1024 bytes.
    offset =
        llvm::alignTo(offset + type.getStages() * type.getTileBytes(), 1024);
  }
  StoreTileOp store;
  specialize.walk([&](StoreTileOp op) { store = op; });
  bool staged = store && store.getStaged();
  if (staged) {
    getOperation()->setAttr("attn_gpu.staging", b.getI64IntegerAttr(offset));
    auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
    offset += roles[1].getGroups() * kGroupRows *
              store.getSource().getType().getColumns() * 2;
  }
  getOperation()->setAttr("attn_gpu.barriers", b.getI64IntegerAttr(offset));
  for (ChannelOp channel : channels) {
    ChannelType type = channel.getChannel().getType();
    // Those that say full, and empty.
    offset += llvm::alignTo(
        8 * (getFullBarriers(channel) + 1) * type.getStages(), 16);
    offset += llvm::alignTo(type.getRecords() * 4, 16) * type.getStages();
    offset += type.getDiagonalBytes() * type.getStages();
  }
  auto loader = *specialize.getBody().getOps<RoleOp>().begin();
  if (getLoadWarps(loader) > 1) {
    getOperation()->setAttr("attn_gpu.told", b.getI64IntegerAttr(offset));
    offset += 8 * kToldTiles;
  }
  bool isShared = false;
  loader.walk([&](TileShareOp) { isShared = true; });
  if (isShared) {
    getOperation()->setAttr("attn_gpu.shared_tiles",
                            b.getI64IntegerAttr(offset));
    offset += kSharedTileBytes * kSharedTiles;
  }
  if (offset > kSharedMemory)
    return specialize.emitError()
           << "asks for " << offset << " bytes of shared memory, the limit is "
           << kSharedMemory;
  getOperation()->setAttr("attn_gpu.shared_memory",
                          b.getI64IntegerAttr(offset));
  // How many blocks one multiprocessor runs at once.
  auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
  bool pairs = roles[1].getGroups() == 1 &&
               2 * (offset + kOwnMemory) <= kMultiprocessorMemory;
  getOperation()->setAttr("attn_gpu.blocks",
                          b.getI64IntegerAttr(pairs ? 2 : 1));
  return success();
}
