//===- SplitRoles.cpp - -attn-gpu-split-roles -----------------------------===//

#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DEF_ATTNGPUSPLITROLES
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
struct AttnGpuSplitRoles
    : attn_gpu::impl::AttnGpuSplitRolesBase<AttnGpuSplitRoles> {
  void runOnOperation() override {
    SmallVector<ForTilesOp> kernels(getOperation().getOps<ForTilesOp>());
    for (ForTilesOp tiles : kernels)
      split(tiles);
  }

  void split(ForTilesOp tiles);
  void makeChannels(ForTilesOp tiles);
  void makeLoader(ForTilesOp tiles);
  void makeComputer(ForTilesOp tiles);

  /// Channels in the order of the loads.
  SmallVector<Value> channels;
};
} // namespace

static bool isOnFragments(Operation *op) {
  auto isFragment = [](Type type) {
    return isa<FragType, RowvecType, TileType, DiagvecType>(type);
  };
  return llvm::any_of(op->getResultTypes(), isFragment) ||
         llvm::any_of(op->getOperandTypes(), isFragment);
}

/// Pure scalars that nothing reads any more.
static void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseDead(inner);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}

static SmallVector<LoadOp> getLoads(ForTilesOp tiles) {
  SmallVector<LoadOp> loads;
  tiles.walk([&](LoadOp load) { loads.push_back(load); });
  return loads;
}

/// Whether a load's tile is the second operand of the scores.
static bool isKey(LoadOp load) {
  return llvm::any_of(load->getUsers(), [&](Operation *user) {
    auto mma = dyn_cast<MmaOp>(user);
    return mma && mma.getTransposed() && mma.getRhs() == load.getTile();
  });
}

/// What is to travel beside the keys: there is at most one.
static DiagonalOp findDiagonal(ForTilesOp tiles) {
  DiagonalOp found;
  tiles.walk([&](DiagonalOp op) { found = op; });
  return found;
}

void AttnGpuSplitRoles::makeChannels(ForTilesOp tiles) {
  OpBuilder b(tiles);
  channels.clear();
  for (LoadOp load : getLoads(tiles)) {
    bool inTile = load->getParentOp() == tiles;
    DiagonalOp diagonal = isKey(load) ? findDiagonal(tiles) : DiagonalOp();
    TileType tile = load.getTile().getType();
    ScheduleAttr schedule = tiles.getSchedule();
    auto type = ChannelType::get(b.getContext(), tile.getRows(),
                                 tile.getColumns(), tile.getElementType(),
                                 inTile        ? schedule.getQStages()
                                 : isKey(load) ? schedule.getStages()
                                               : schedule.getValueStages(),
                                 /*records=*/0,
                                 diagonal ? diagonal.getType().getRows() : 0,
                                 inTile ? 1 : schedule.getCluster());
    channels.push_back(ChannelOp::create(b, load.getLoc(), type,
                                         inTile        ? "q"
                                         : isKey(load) ? "k"
                                                       : "v",
                                         IntegerAttr()));
  }
}

void AttnGpuSplitRoles::makeLoader(ForTilesOp tiles) {
  for (auto [load, channel] : llvm::zip(getLoads(tiles), channels)) {
    // Behind the region's operands.
    DiagonalOp diagonal = isKey(load) ? findDiagonal(tiles) : DiagonalOp();
    OpBuilder b(diagonal ? diagonal.getOperation() : load.getOperation());
    auto fill = FillOp::create(b, load.getLoc(), channel, Value(),
                               load.getView(), load.getRow(), ValueRange());
    if (!diagonal)
      continue;
    fill.getOriginsMutable().assign({diagonal.getM0(), diagonal.getN0()});
    fill.getDiagonal().takeBody(diagonal.getBody());
    diagonal.getBody().emplaceBlock();
  }
  SmallVector<ForBlocksOp> loops;
  tiles.walk([&](ForBlocksOp loop) { loops.push_back(loop); });
  for (ForBlocksOp loop : loops) {
    OpBuilder b(loop);
    auto bare = ForBlocksOp::create(
        b, loop.getLoc(), TypeRange(), loop.getBegins(), loop.getEnds(),
        loop.getList(), loop.getRow(), loop.getQueryTile(), loop.getKeyTile(),
        loop.getLength(), ValueRange(), loop.getClasses(), loop.getStep(),
        loop.getUnmasked(), loop.getCutFront(), loop.getVisibleAttr());
    Block *body = b.createBlock(&bare.getBody());
    SmallVector<Value> arguments;
    for (BlockArgument argument : loop.getBody().getArguments().take_front(3))
      arguments.push_back(
          body->addArgument(argument.getType(), argument.getLoc()));
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(loop.getBody().front())))
      if (isOnFragments(&op))
        op.erase();
    for (auto [from, to] : llvm::zip(loop.getBody().getArguments(), arguments))
      from.replaceAllUsesWith(to);
    body->getOperations().splice(body->end(),
                                 loop.getBody().front().getOperations());
    b.setInsertionPointToEnd(body);
    YieldOp::create(b, loop.getLoc());
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(tiles.getBody().front())))
      if (isOnFragments(&op))
        op.erase();
  }
  eraseDead(tiles.getBody().front());
}

void AttnGpuSplitRoles::makeComputer(ForTilesOp tiles) {
  for (auto [load, channel] : llvm::zip(getLoads(tiles), channels)) {
    OpBuilder b(load);
    Value tile = WaitOp::create(b, load.getLoc(), load.getTile().getType(),
                                channel, Value());
    Operation *last = tile.getDefiningOp();
    for (Operation *user : load->getUsers()) {
      Operation *here = load->getBlock()->findAncestorOpInBlock(*user);
      if (last->isBeforeInBlock(here))
        last = here;
    }
    DiagonalOp diagonal = isKey(load) ? findDiagonal(tiles) : DiagonalOp();
    if (diagonal) {
      OpBuilder inside(diagonal);
      auto read = DiagonalReadOp::create(inside, diagonal.getLoc(),
                                         diagonal.getType(), channel, Value());
      diagonal.replaceAllUsesWith(read.getResult());
      diagonal.erase();
      if (last->isBeforeInBlock(read))
        last = read;
    }
    load.getTile().replaceAllUsesWith(tile);
    b.setInsertionPointAfter(last);
    ReleaseOp::create(b, load.getLoc(), channel, Value());
    load.erase();
  }
  eraseDead(tiles.getBody().front());
}

void AttnGpuSplitRoles::split(ForTilesOp tiles) {
  makeChannels(tiles);
  OpBuilder b(tiles);
  Location loc = tiles.getLoc();
  // Ahead of it there is arithmetic on the launch's sizes alone.
  GridDependencyWaitOp::create(b, loc);
  auto specialize = SpecializeOp::create(b, loc, tiles.getSchedule().getPin(),
                                         tiles.getSchedule().getBranch(),
                                         tiles.getSchedule().getEdges());
  b.createBlock(&specialize.getBody());
  for (RoleKind kind : {RoleKind::Load, RoleKind::Mma}) {
    int64_t groups =
        kind == RoleKind::Load ? 1 : tiles.getSchedule().getGroups();
    b.setInsertionPointToEnd(&specialize.getBody().front());
    auto role = RoleOp::create(b, loc, kind, groups, IntegerAttr());
    b.createBlock(&role.getBody());
    auto clone = cast<ForTilesOp>(b.clone(*tiles));
    YieldOp::create(b, loc);
    if (kind == RoleKind::Load)
      makeLoader(clone);
    else
      makeComputer(clone);
  }
  tiles.erase();
}
