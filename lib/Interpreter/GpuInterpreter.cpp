//===- GpuInterpreter.cpp - Orders of the coroutines of level 3 -----------===//

#include "fovea/Interpreter/GpuInterpreter.h"
#include "GpuEngine.h"

#include "llvm/ADT/Hashing.h"

#include <random>
#include <unordered_set>

using namespace fovea;
using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
class GpuRun {
public:
  GpuRun(func::FuncOp function, const GpuOptions &options)
      : function(function), options(options) {}

  LogicalResult run(ArrayRef<OnlineArgument> arguments);
  GpuSummary summary;

private:
  LogicalResult begin(ArrayRef<OnlineArgument> arguments);
  LogicalResult beginRoles(GpuCoroutine kernel, SpecializeOp op);
  LogicalResult step(GpuState &state, size_t which);
  SmallVector<size_t> choices(const GpuState &state) const;
  LogicalResult runInTurn();
  LogicalResult runRandomly();
  LogicalResult explore();
  LogicalResult end(GpuState &state);
  LogicalResult reportDeadlock(GpuState &state);

  func::FuncOp function;
  const GpuOptions &options;
  GpuState first;
};
} // namespace

LogicalResult GpuRun::run(ArrayRef<OnlineArgument> arguments) {
  if (failed(begin(arguments)))
    return failure();
  switch (options.order) {
  case GpuOrder::RoundRobin:
    return runInTurn();
  case GpuOrder::Random:
    return runRandomly();
  case GpuOrder::Exhaustive:
    return explore();
  }
  llvm_unreachable("unknown order");
}

//===----------------------------------------------------------------------===//
// Begin and end
//===----------------------------------------------------------------------===//

LogicalResult GpuRun::begin(ArrayRef<OnlineArgument> arguments) {
  if (options.blocks < 1)
    return function.emitError()
           << "needs a block of threads, got " << options.blocks;
  first.turns.resize(options.blocks);
  first.turnHeld.resize(options.blocks);
  first.groups.resize(options.blocks);
  first.fetched.resize(options.blocks);
  first.shared.resize(options.blocks);
  for (int64_t block = 0; block < options.blocks; ++block) {
    first.kernels.push_back(GpuCoroutine(options, block));
    GpuCoroutine &kernel = first.kernels.back().own();
    if (failed(kernel.start(function, arguments)) ||
        failed(kernel.advance(first)))
      return failure();
    if (kernel.ended())
      continue;
    if (failed(beginRoles(kernel, cast<SpecializeOp>(kernel.nextOp()))))
      return failure();
    kernel.skip();
  }
  return success();
}

LogicalResult GpuRun::beginRoles(GpuCoroutine kernel, SpecializeOp op) {
  for (Operation &inner : op.getBody().front()) {
    auto role = cast<RoleOp>(inner);
    bool isMma = role.getKind() == RoleKind::Mma;
    if (isMma)
      first.groups[kernel.getBlock()] = role.getGroups();
    int64_t end = isMma ? role.getGroups() : getLoadWarps(role);
    for (int64_t group = 0; group < end; ++group) {
      first.coroutines.push_back(kernel);
      GpuCoroutine &coroutine = first.coroutines.back().own();
      coroutine.become(role, group);
      if (failed(coroutine.advance(first)))
        return failure();
    }
  }
  return success();
}

LogicalResult GpuRun::end(GpuState &state) {
  for (Shared<GpuCoroutine> &coroutine : state.coroutines)
    if (failed(coroutine.own().checkUses(state)))
      return failure();
  if (state.counter != 0)
    return state.fetch->emitError()
           << "leaves the tile counter at " << state.counter << ", not at zero";
  for (Shared<GpuCoroutine> &shared : state.kernels) {
    GpuCoroutine &kernel = shared.own();
    if (failed(kernel.advance(state)))
      return failure();
    if (!kernel.ended())
      return kernel.nextOp()->emitError("is the second in a kernel");
  }
  summary.stores = state.stores;
  return success();
}

LogicalResult GpuRun::reportDeadlock(GpuState &state) {
  SmallVector<const GpuCoroutine *> waiting, over;
  for (const Shared<GpuCoroutine> &coroutine : state.coroutines)
    (coroutine->ended() ? over : waiting).push_back(&*coroutine);
  auto isLoad = [](const GpuCoroutine *coroutine) {
    return coroutine->getRole().getKind() == RoleKind::Load;
  };
  auto isReading = [](const GpuCoroutine *coroutine) {
    return isa<WaitOp, RecordOp>(coroutine->nextOp());
  };
  const GpuCoroutine *head = waiting.front();
  InFlightDiagnostic diag = head->nextOp()->emitError()
                            << "deadlock: " << head->name() << ' '
                            << head->waitsFor(state);
  for (const GpuCoroutine *coroutine : llvm::drop_begin(waiting))
    diag.attachNote(coroutine->nextOp()->getLoc())
        << coroutine->name() << ' ' << coroutine->waitsFor(state);
  for (const GpuCoroutine *coroutine : over)
    diag.attachNote(coroutine->getRole().getLoc())
        << coroutine->name() << " has ended"
        << (isLoad(coroutine) && llvm::any_of(waiting, isReading)
                ? ": the roles disagree on the number of uses"
                : "");
  return diag;
}

//===----------------------------------------------------------------------===//
// Orders
//===----------------------------------------------------------------------===//

/// The coroutines that can go on, then the copies that can end.
SmallVector<size_t> GpuRun::choices(const GpuState &state) const {
  SmallVector<size_t> result;
  size_t count = state.coroutines.size();
  for (size_t i = 0; i < count; ++i) {
    const GpuCoroutine &coroutine = *state.coroutines[i];
    if (coroutine.ended() || !coroutine.waitsFor(state).empty())
      continue;
    if (options.eagerReaders && options.order == GpuOrder::Exhaustive &&
        isa<WaitOp, RecordOp, ReleaseOp>(coroutine.nextOp()))
      return {i};
    result.push_back(i);
  }
  for (size_t i = 0; i < state.copies.size(); ++i)
    result.push_back(count + i);
  return result;
}

LogicalResult GpuRun::step(GpuState &state, size_t which) {
  if (which >= state.coroutines.size()) {
    state.land(which - state.coroutines.size());
    return success();
  }
  GpuCoroutine &coroutine = state.coroutines[which].own();
  if (failed(coroutine.meet(state)))
    return failure();
  return coroutine.advance(state);
}

static bool allEnded(const GpuState &state) {
  return llvm::all_of(
      state.coroutines,
      [](const Shared<GpuCoroutine> &coroutine) { return coroutine->ended(); });
}

LogicalResult GpuRun::runInTurn() {
  GpuState &state = first;
  while (true) {
    bool any = false;
    for (size_t i = 0; i < state.coroutines.size(); ++i) {
      const GpuCoroutine &coroutine = *state.coroutines[i];
      if (coroutine.ended() || !coroutine.waitsFor(state).empty())
        continue;
      any = true;
      ++summary.states;
      if (failed(step(state, i)))
        return failure();
    }
    if (!state.copies.empty()) {
      state.land(0);
      continue;
    }
    if (!any)
      return allEnded(state) ? end(state) : reportDeadlock(state);
  }
}

LogicalResult GpuRun::runRandomly() {
  std::mt19937_64 engine(options.seed);
  GpuState &state = first;
  while (true) {
    SmallVector<size_t> open = choices(state);
    if (open.empty())
      return allEnded(state) ? end(state) : reportDeadlock(state);
    ++summary.states;
    if (failed(step(state, open[engine() % open.size()])))
      return failure();
  }
}

/// A state is told by what every coroutine did so far, which values from
/// elsewhere included, and by the copies on their way.
static uint64_t keyOf(const GpuState &state) {
  llvm::hash_code key = llvm::hash_value(state.copies.size());
  for (const Shared<GpuCoroutine> &coroutine : state.coroutines)
    key = llvm::hash_combine(key, coroutine->history());
  uint64_t copies = 0;
  for (const GpuCopy &copy : state.copies)
    copies += llvm::hash_combine(copy.channel, copy.use);
  return llvm::hash_combine(key, copies);
}

LogicalResult GpuRun::explore() {
  std::unordered_set<uint64_t> met{keyOf(first)};
  std::vector<GpuState> open{std::move(first)};
  while (!open.empty()) {
    GpuState state = std::move(open.back());
    open.pop_back();
    SmallVector<size_t> next = choices(state);
    if (next.empty()) {
      if (failed(allEnded(state) ? end(state) : reportDeadlock(state)))
        return failure();
      continue;
    }
    std::vector<GpuState> children(next.size() - 1, state);
    children.push_back(std::move(state));
    for (auto [child, which] : llvm::zip_equal(children, next)) {
      if (failed(step(child, which)))
        return failure();
      if (!met.insert(keyOf(child)).second)
        continue;
      if (met.size() > options.maxStates)
        return function.emitError()
               << "has more than " << options.maxStates << " states, the limit";
      open.push_back(std::move(child));
    }
  }
  summary.states = met.size();
  return success();
}

LogicalResult fovea::interpretGpu(func::FuncOp function,
                                  ArrayRef<OnlineArgument> arguments,
                                  const GpuOptions &options,
                                  GpuSummary *summary) {
  GpuRun run(function, options);
  LogicalResult result = run.run(arguments);
  if (summary)
    *summary = run.summary;
  return result;
}
