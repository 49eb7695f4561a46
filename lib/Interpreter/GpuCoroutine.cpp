//===- GpuCoroutine.cpp - Control flow of level 3 -------------------------===//

#include "GpuEngine.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::attn_gpu;

static OnlineOptions onlineOptions(const GpuOptions &options) {
  OnlineOptions result;
  result.sizes = options.sizes;
  return result;
}

GpuCoroutine::GpuCoroutine(const GpuOptions &options, int64_t block)
    : OnlineEngine(onlineOptions(options)), gpu(&options), block(block) {}

LogicalResult GpuCoroutine::start(func::FuncOp function,
                                  ArrayRef<OnlineArgument> arguments) {
  if (failed(setArguments(function, arguments)))
    return failure();
  GpuFrame frame;
  frame.parent = function;
  frame.block = &function.getBody().front();
  enterBlock(frame);
  return success();
}

void GpuCoroutine::become(RoleOp newRole, int64_t newGroup) {
  role = newRole;
  group = newGroup;
  frames.clear();
  GpuFrame frame;
  frame.parent = role;
  frame.block = &role.getBody().front();
  enterBlock(frame);
}

std::string GpuCoroutine::name() const {
  std::string result = "the kernel";
  if (RoleOp op = role) {
    result = ("role " + stringifyRoleKind(op.getKind())).str();
    if (op.getKind() == RoleKind::Mma || getLoadWarps(op) > 1)
      result += " #" + std::to_string(group);
  }
  if (gpu->blocks > 1)
    result += " of block " + std::to_string(block);
  return result;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// Where coroutines meet, and where the roles begin.
static bool isMeeting(Operation *op) {
  return isa<FillOp, PublishOp, RecordOp, WaitOp, ReleaseOp, TurnOp,
             TileFetchOp, TileShareOp, SpecializeOp>(op);
}

LogicalResult GpuCoroutine::advance(GpuState &state) {
  for (int64_t steps = 0; !frames.empty(); ++steps) {
    Operation *op = nextOp();
    if (isMeeting(op)) {
      if (role || isa<SpecializeOp>(op))
        return success();
      return op->emitError() << "'" << op->getName() << "' outside the roles";
    }
    if (steps > gpu->maxLocalOps)
      return op->emitError() << name() << " does not come to a barrier";
    if (op->hasTrait<OpTrait::IsTerminator>()) {
      if (failed(runTerminator(state, op)))
        return failure();
      continue;
    }
    skip();
    if (failed(runLocal(state, op)))
      return failure();
  }
  return success();
}

LogicalResult GpuCoroutine::makeChannel(GpuState &state, ChannelOp op) {
  GpuValue value;
  value.channel = state.channels.size();
  GpuChannel &channel = state.channels.emplace_back();
  channel.op = op;
  channel.block = block;
  channel.slots.resize(op.getType().getStages());
  channel.barriers = getFullBarriers(op);
  channel.cluster = op.getType().getCluster();
  if (gpu->blocks % channel.cluster != 0)
    return op.emitError() << "needs whole clusters of " << channel.cluster
                          << " blocks of threads, got " << gpu->blocks;
  set(op, std::make_shared<const GpuValue>(std::move(value)));
  return success();
}

LogicalResult GpuCoroutine::runLocal(GpuState &state, Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<scf::ForOp, scf::WhileOp, scf::IfOp, ForTilesOp, ForBlocksOp>(
          [&](auto op) { return enter(op); })
      .Case<ChannelOp>([&](auto op) { return makeChannel(state, op); })
      .Case<GridDependencyWaitOp>([](auto) {
        return success(); // one kernel, ahead of which all has ended
      })
      .Case<LoadOp>([&](auto op) { return runLoad(op); })
      .Case<DiagonalReadOp>([&](auto op) { return readDiagonal(state, op); })
      .Case<MmaOp>([&](auto op) { return runMma(state, op); })
      .Case<MmaStartOp>([&](auto op) { return runMmaStart(state, op); })
      .Case<AwaitOp>([&](auto op) { return runAwait(state, op); })
      .Case<StoreTileOp, StoreRowsOp>([&](auto op) {
        return storeRows(state, op, op.getSource(), op.getView(), op.getRow());
      })
      .Case<TileFirstOp>([&](auto op) {
        set(op, ScalarValue::ofInt(block));
        return success();
      })
      .Case<GroupOp>([&](auto op) {
        set(op, ScalarValue::ofInt(group));
        return success();
      })
      .Case<SectionOp>([&](auto op) {
        int64_t heads = gpu->section, last = gpu->lastSection;
        set(op.getHeads(), ScalarValue::ofInt(heads));
        set(op.getLast(), ScalarValue::ofInt(last ? last : heads));
        return success();
      })
      .Case<BatchOp>([&](auto op) {
        int64_t place = getInt(op.getPlace());
        const std::vector<int64_t> &order = gpu->batches;
        bool hasOne = place >= 0 && place < int64_t(order.size());
        set(op, ScalarValue::ofInt(hasOne ? order[place] : place));
        return success();
      })
      .Case<ListCountOp>([&](auto op) { return runListCount(op); })
      .Case<ListElementOp>([&](auto op) { return runListElement(op); })
      .Case<JointCountOp>([&](auto op) { return runJointCount(op); })
      .Case<JointElementOp>([&](auto op) { return runJointElement(op); })
      .Case<online::ViewOp>([&](auto op) { return runView(op); })
      .Case<attn::ReadOp>([&](auto op) { return runBodyRead(op); })
      .Default([&](Operation *op) {
        if (isa<AttnGpuDialect>(op->getDialect()))
          return runFragment(op);
        if (isa<memref::MemRefDialect>(op->getDialect()) ||
            isa<attn::ExtentOp>(op))
          return runMemRef(op);
        return runF32(op);
      });
}

/// Scalars of f32 are f32 here.
LogicalResult GpuCoroutine::runF32(Operation *op) {
  if (failed(runScalar(op)))
    return failure();
  for (Value result : op->getResults())
    if (result.getType().isF32())
      set(result, ScalarValue::ofFloat(static_cast<float>(getFloat(result))));
  return success();
}

//===----------------------------------------------------------------------===//
// Loops and branches
//===----------------------------------------------------------------------===//

void GpuCoroutine::enterBlock(GpuFrame frame) {
  frame.next = frame.block->begin();
  frames.push_back(std::move(frame));
}

void GpuCoroutine::assign(ValueRange to, ValueRange from) {
  // All are read before one is written.
  SmallVector<OnlineValue> read;
  for (Value value : from)
    read.push_back(values[value]);
  for (auto [value, what] : llvm::zip_equal(to, read))
    set(value, std::move(what));
}

/// The number of leading block arguments that are a loop's own.
static unsigned ownArguments(Operation *loop) {
  if (isa<scf::ForOp>(loop))
    return 1;
  return isa<ForTilesOp, ForBlocksOp>(loop) ? 3 : 0;
}

/// The groups that a loop over tiles runs its body for, one by one.
static int64_t groupsOf(ForTilesOp op) {
  return op->getParentOfType<RoleOp>() ? 1 : op.getSchedule().getGroups();
}

/// Sets a loop's own arguments.
void GpuCoroutine::enterIteration(GpuFrame &frame) {
  auto setIndex = [&](unsigned argument, int64_t value) {
    set(frame.block->getArgument(argument), ScalarValue::ofInt(value));
  };
  if (auto tiles = dyn_cast<ForTilesOp>(frame.parent)) {
    int64_t groups = groupsOf(tiles), tile = frame.i / groups;
    if (!role)
      group = frame.i % groups;
    // Neighbours of a cluster have neighbouring heads.
    int64_t cluster = tiles.getSchedule().getCluster(),
            inCluster = tile % cluster;
    tile /= cluster;
    for (unsigned dim = 3; dim-- > 0;) {
      int64_t bound = getInt(tiles.getBounds()[dim]);
      if (dim == 1)
        bound /= cluster;
      setIndex(dim,
               dim == 1 ? tile % bound * cluster + inCluster : tile % bound);
      tile /= bound;
    }
  } else if (frame.walk) {
    const WalkElement &element = (*frame.walk)[frame.i];
    setIndex(0, element.first);
    setIndex(1, element.count);
    setIndex(2, element.kind == online::ClassKind::Full);
  } else if (isa<scf::ForOp>(frame.parent)) {
    setIndex(0, frame.i);
  }
  frame.next = frame.block->begin();
}

/// Pushes a loop's first iteration, or gives its results.
void GpuCoroutine::enterLoop(GpuFrame frame, ValueRange inits) {
  unsigned own = ownArguments(frame.parent);
  if (frame.i >= frame.end) {
    if (frame.parent->getNumResults())
      assign(frame.parent->getResults(), inits);
    return;
  }
  assign(frame.block->getArguments().drop_front(own), inits);
  enterIteration(frame);
  enterBlock(std::move(frame));
}

LogicalResult GpuCoroutine::enter(Operation *op) {
  GpuFrame frame;
  frame.parent = op;
  if (auto branch = dyn_cast<scf::IfOp>(op)) {
    mlir::Region &region = getInt(branch.getCondition())
                               ? branch.getThenRegion()
                               : branch.getElseRegion();
    if (region.empty())
      return success();
    frame.block = &region.front();
    enterBlock(frame);
    return success();
  }
  if (auto loop = dyn_cast<scf::WhileOp>(op)) {
    frame.block = loop.getBeforeBody();
    assign(frame.block->getArguments(), loop.getInits());
    enterBlock(frame);
    return success();
  }
  frame.block = &op->getRegion(0).front();
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    frame.i = getInt(loop.getLowerBound());
    frame.end = getInt(loop.getUpperBound());
    frame.step = getInt(loop.getStep());
    if (frame.step < 1)
      return op->emitError() << "step must be positive, got " << frame.step;
    enterLoop(frame, loop.getInitArgs());
    return success();
  }
  if (auto tiles = dyn_cast<ForTilesOp>(op)) {
    int64_t count = 1, groups = groupsOf(tiles);
    for (Value bound : tiles.getBounds())
      count *= std::max<int64_t>(0, getInt(bound));
    if (int64_t cluster = tiles.getSchedule().getCluster();
        getInt(tiles.getBounds()[1]) % cluster != 0)
      return op->emitError() << "takes " << cluster << " heads at a time, of "
                             << getInt(tiles.getBounds()[1]);
    frame.i = block * groups;
    frame.end = count * groups;
    enterLoop(frame, {});
    return success();
  }
  auto blocks = cast<ForBlocksOp>(op);
  frame.walk = orderBlocks(blocks);
  if (!frame.walk)
    return failure();
  frame.end = frame.walk->size();
  enterLoop(frame, blocks.getInits());
  return success();
}

void GpuCoroutine::leave(Operation *op, ValueRange yielded) {
  frames.pop_back();
  if (op->getNumResults())
    assign(op->getResults(), yielded);
}

LogicalResult GpuCoroutine::runTerminator(const GpuState &state,
                                          Operation *terminator) {
  GpuFrame &frame = frames.back();
  Operation *parent = frame.parent;
  if (isa<func::FuncOp, RoleOp>(parent)) {
    frames.pop_back();
    return role ? checkEnd(state) : success();
  }
  ValueRange operands = terminator->getOperands();
  if (auto condition = dyn_cast<scf::ConditionOp>(terminator)) {
    auto loop = cast<scf::WhileOp>(parent);
    if (!getInt(condition.getCondition())) {
      leave(parent, condition.getArgs());
      return success();
    }
    frame.block = loop.getAfterBody();
    assign(frame.block->getArguments(), condition.getArgs());
    frame.next = frame.block->begin();
    return success();
  }
  if (auto loop = dyn_cast<scf::WhileOp>(parent)) {
    frame.block = loop.getBeforeBody();
    assign(frame.block->getArguments(), operands);
    frame.next = frame.block->begin();
    return success();
  }
  if (isa<scf::IfOp>(parent)) {
    leave(parent, operands);
    return success();
  }
  frame.i += frame.step;
  auto tiles = dyn_cast<ForTilesOp>(parent);
  // The other blocks' tiles lie between.
  if (tiles && frame.i % groupsOf(tiles) == 0)
    frame.i += (gpu->blocks - 1) * groupsOf(tiles);
  if (frame.i >= frame.end) {
    leave(parent, operands);
    return success();
  }
  assign(frame.block->getArguments().drop_front(ownArguments(parent)),
         operands);
  enterIteration(frame);
  return success();
}
