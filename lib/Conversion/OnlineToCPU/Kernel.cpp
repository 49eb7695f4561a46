//===- Kernel.cpp - Items, blocks and panels ------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/CPUModel.h"
#include "fovea/Target/CPU/KernelABI.h"

#include <cmath>
#include <cstddef>

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

KernelEmitter::KernelEmitter(KernelSpec &spec, ModuleOp module)
    : spec(spec), module(module),
      e(module.getContext(), spec.func.getLoc(), spec.scoreType,
        spec.schedule.getLanes(), spec.panelVectors(),
        spec.isShort()           ? 16
        : spec.schedule.getAmx() ? fovea::kTileGroup
                                 : 0),
      name(spec.func.getName().str()) {
  layOutScratch();
}

void KernelEmitter::layOutScratch() {
  int64_t bytes = e.scoreBytes(), vector = e.lanes * bytes;
  int64_t groups = blockGroups(), panels = maxPanels();
  int64_t keys = groups * e.group;
  int64_t widest = valuePadded();
  at_.zeros = layout.reserve(64);
  if (amx())
    at_.tileConfig = layout.reserve(64);
  int64_t firstOfPanel = layout.bytes();
  for (size_t i = 0; i < spec.dots.size(); ++i)
    at_.scores.push_back(layout.reserve(keys * vector));
  at_.runs = layout.reserve(groups * runBytes * runKinds());
  if (hasHalves())
    at_.runCounts = layout.reserve(runKinds() * 8);
  auto layOutWords = [&]() {
    at_.words = layout.reserve(keys * wordBytes());
    at_.some = layout.reserve(maskGroups() * wordBytes());
    at_.every = layout.reserve(maskGroups() * wordBytes());
  };
  if (isShort()) {
    layOutWords();
    layOutShort(firstOfPanel);
  } else if (weavesWeights()) {
    layOutWords();
    layOutWoven(firstOfPanel);
  }
  for (const DotSpec &dot : spec.dots) {
    if (isShort())
      break;
    int64_t columns = packedSteps(dot.dim);
    widest = std::max(widest, columns);
    at_.queries.push_back(layout.reserve(panels * columns * vector));
    at_.packedKeys.push_back(layout.reserve(keys * columns * bytes));
    at_.keyTail.push_back(layout.reserve(e.group * columns * bytes));
  }
  if (!isShort())
    at_.packedValues =
        layout.reserve(keys / stepElements() * valuePadded() * bytes);
  at_.output = layout.reserve(panels * valuePadded() * vector);
  at_.rowMax = layout.reserve(panels * vector);
  at_.rowSum = layout.reserve(panels * vector);
  if (hasTwoPasses()) {
    at_.firstOutput = layout.reserve(panels * valuePadded() * vector);
    for (int64_t *row : {&at_.firstSum, &at_.firstMax, &at_.factor})
      *row = layout.reserve(panels * vector);
  }
  if (spec.schedule.getExact())
    at_.visible = layout.reserve(keys * e.word.getIntOrFloatBitWidth() / 8);
  if (!isShort() && !weavesWeights())
    layOutWords();
  if (finishesRows() && !weavesWeights())
    at_.rowFactors = layout.reserve(vector);
  at_.walk = layout.reserve(walkBytes());
  if (fetchesAhead())
    at_.ahead = layout.reserve(aheadBytes());
  at_.rowBuffer = layout.reserve(e.lanes * widest * bytes);
}

void KernelEmitter::useScratchState() {
  state = {at(at_.output), at(at_.rowMax), at(at_.rowSum), {}};
  for (int64_t queries : at_.queries)
    state.queries.push_back(at(queries));
}

LogicalResult KernelEmitter::run() {
  e.b.setInsertionPointToEnd(module.getBody());
  emitPackFunction();
  if (spec.pageTable)
    emitPackPagesFunction();
  if (amx() && !isShort())
    emitBandFunction();
  else if (pairs() && !isShort())
    emitInterleaveFunction();
  emitUnpackFunction();
  if (!(isShort() && finishesRows()))
    emitTransposeFunction();
  if (failed(emitPlan()) || failed(emitRun()))
    return failure();
  e.b.setInsertionPointToStart(module.getBody());
  for (const auto &entry : libm) {
    if (module.lookupSymbol(entry.getKey()))
      continue;
    SmallVector<Type> inputs(entry.getValue(), e.f);
    auto type = LLVM::LLVMFunctionType::get(e.f, inputs);
    LLVM::LLVMFuncOp::create(e.b, e.loc, entry.getKey(), type);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The two functions
//===----------------------------------------------------------------------===//

/// The grid's bounds as i64, after the scalar code before the grid.
FailureOr<Values> KernelEmitter::emitBounds() {
  if (failed(s->run(spec.func.getBody().front(), OnItem)))
    return failure();
  Values bounds;
  for (Value bound : spec.grid.getBounds()) {
    if (!s->has(bound))
      return spec.grid.emitOpError("bound is not scalar code of the arguments");
    bounds.push_back(s->scalar(bound));
  }
  return bounds;
}

LogicalResult KernelEmitter::emitPlan() {
  auto type = LLVM::LLVMFunctionType::get(e.i64, {e.ptr, e.ptr});
  auto function = LLVM::LLVMFuncOp::create(e.b, e.loc, name + "_plan", type);
  OpBuilder::InsertionGuard guard(e.b);
  Block *entry = function.addEntryBlock(e.b);
  e.b.setInsertionPointToStart(entry);
  Value zeros = LLVM::AllocaOp::create(e.b, e.loc, e.ptr, e.i64, e.c(1), 8);
  e.store(e.c(0), zeros);
  arguments.emplace(e, spec.func, spec.args, entry->getArgument(0), zeros);
  s.emplace(e, *arguments, spec.schedule.getIndexBits() == 32);
  FailureOr<Values> bounds = emitBounds();
  if (failed(bounds))
    return failure();
  if (isShort())
    return emitShortPlan(entry->getArgument(1), *bounds);
  Value items = e.c(tileItems());
  for (Value bound : *bounds)
    items = e.mul(items, bound);
  Value plan = entry->getArgument(1);
  e.store(e.c(layout.bytes()), plan);
  e.store(e.c(tileItems()), e.gep(plan, offsetof(fovea_cpu_plan, tile_items)));
  LLVM::ReturnOp::create(e.b, e.loc, items);
  return failure(s->broken());
}

LogicalResult KernelEmitter::emitRun() {
  auto type =
      LLVM::LLVMFunctionType::get(e.i64, {e.ptr, e.i64, e.i64, e.i64, e.ptr});
  auto function = LLVM::LLVMFuncOp::create(e.b, e.loc, name + "_run", type);
  e.keepSelfContained(function);
  OpBuilder::InsertionGuard guard(e.b);
  Block *entry = function.addEntryBlock(e.b);
  e.b.setInsertionPointToStart(entry);
  scratch = panelScratch = entry->getArgument(4);
  e.store(e.c(0), at(at_.zeros));
  arguments.emplace(e, spec.func, spec.args, entry->getArgument(0),
                    at(at_.zeros));
  s.emplace(e, *arguments, spec.schedule.getIndexBits() == 32);
  FailureOr<Values> bounds = emitBounds();
  if (failed(bounds))
    return failure();
  bindTileRuns();
  if (!isShort())
    cancelled = arguments->loadCancelled();
  LogicalResult status = success();
  if (amx() && !isShort())
    configureTiles();
  if (isShort()) {
    readShortShape(*bounds);
    if (shortTiles())
      configureShortTiles();
    shape.workspace = arguments->loadWorkspace();
  } else {
    useScratchState();
  }
  Value firstItem = entry->getArgument(1), lastItem = entry->getArgument(2);
  Value first = firstItem, last = lastItem, nextTile = entry->getArgument(3);
  if (isShort()) {
    first = e.udiv(first, shape.heads);
    last = e.ceilDiv(last, shape.heads);
  } else if (tileItems() > 1) {
    first = e.udiv(first, e.c(tileItems()));
    last = e.ceilDiv(last, tileItems());
    nextTile = e.udiv(nextTile, e.c(tileItems()));
  }
  Values counted =
      e.loop(first, last, e.c(1), {e.c(0)},
             [&](Value tile, ValueRange carried) -> Values {
               Value nonFinite = e.c(0), next = e.add(tile, e.c(1));
               if (isShort()) {
                 chooseHeads(firstItem, lastItem, tile);
                 if (failed(emitShortItem(tile, nonFinite)))
                   status = failure();
                 return {e.add(carried[0], nonFinite)};
               }
               choosePanels(firstItem, lastItem, next);
               next = e.select(e.icmp(P::slt, next, last), next, nextTile);
               if (failed(aimAhead(tile, next, *bounds)) ||
                   failed(bindItem(tile, *bounds)) ||
                   failed(emitItem(tile, nonFinite)))
                 status = failure();
               return {e.add(carried[0], nonFinite)};
             });
  if (amx())
    releaseTiles();
  LLVM::ReturnOp::create(e.b, e.loc, counted);
  for (const auto &entry : s->libmCalls())
    libm[entry.getKey()] = entry.getValue();
  return failure(failed(status) || s->broken());
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

/// Items of a tile of query rows: its panels, which share the tile's blocks,
/// so that a row's result does not depend on who computes its neighbours.
int64_t KernelEmitter::tileItems() {
  return isShort() || readsTileRuns() ? 1 : maxPanels();
}

/// Which panels of the tile before `next` are among the items [first, last).
void KernelEmitter::choosePanels(Value first, Value last, Value next) {
  firstPanel = e.c(0);
  endPanel = e.c(maxPanels());
  if (tileItems() == 1)
    return;
  Value end = e.mul(next, endPanel);
  // They run backwards as tiles do.
  firstPanel = e.max(e.sub(end, last), firstPanel);
  endPanel = e.min(e.sub(end, first), endPanel);
}

/// Decodes a tile: the last bound (query tiles) varies fastest. It runs
/// backwards, so that the longest tiles of a causal mask start first, where the
/// driver has no runs of tiles to order items by.
LogicalResult KernelEmitter::bindItem(Value item, ArrayRef<Value> bounds) {
  Block &body = spec.grid.getBody().front();
  Value rest = item;
  for (unsigned i = bounds.size(); i-- > 0;) {
    Value index = i == 0 ? rest : e.urem(rest, bounds[i]);
    if (i != 0)
      rest = e.udiv(rest, bounds[i]);
    if (i + 1 == bounds.size() && i != 0 && !readsTileRuns())
      index = e.sub(e.sub(bounds[i], e.c(1)), index);
    s->bindScalar(body.getArgument(i), index, OnItem, s->positions());
  }
  declareTiles();
  return runTiles(OnItem);
}

/// Says how the arguments of every region of the kernel depend on the loops.
void KernelEmitter::declareTiles() {
  Block &sweep = spec.sweep.getBody().front();
  s->declare(sweep.getArgument(0), OnBlock);
  for (DotSpec &dot : spec.dots)
    s->declare(dot.op.getResult(), OnRow | OnKey | OnScore);
  auto declare = [&](online::MapOp map) {
    Block &body = map.getBody().front();
    bool rows = map.getKind() != online::MapKind::Cols;
    bool columns = map.getKind() != online::MapKind::Rows;
    unsigned next = 0;
    if (rows)
      s->declare(body.getArgument(next++), OnRow);
    if (columns)
      s->declare(body.getArgument(next), OnKey | OnBlock);
  };
  for (auto map : spec.grid.getBody().front().getOps<online::MapOp>())
    declare(map);
  for (auto map : sweep.getOps<online::MapOp>())
    declare(map);
  if (spec.mask && !spec.mask.getBody().empty()) {
    Block &body = spec.mask.getBody().front();
    s->declare(body.getArgument(0), OnRow);
    s->declare(body.getArgument(1), OnKey | OnBlock);
  }
}

/// Evaluates what is newly known of the scalar code and of the maps.
LogicalResult KernelEmitter::runTiles(unsigned available) {
  if (failed(runTileBlock(spec.grid.getBody().front(), available)) ||
      failed(runTileBlock(spec.sweep.getBody().front(), available)))
    return failure();
  if (spec.mask && !spec.mask.getBody().empty())
    return s->run(spec.mask.getBody().front(), available);
  return success();
}

LogicalResult KernelEmitter::runTileBlock(Block &block, unsigned available) {
  for (Operation &op : block) {
    if ((available & OnRow) && spec.notForRows.contains(&op))
      continue;
    auto map = dyn_cast<online::MapOp>(op);
    if (!map) {
      if (failed(s->runOp(op, available)))
        return failure();
      continue;
    }
    if (map.getKind() == online::MapKind::Diag)
      return map.emitOpError("of kind diag is not lowered by the CPU target");
    Block &body = map.getBody().front();
    unsigned origins = map.getOrigins().size();
    for (auto [argument, input] :
         llvm::zip(body.getArguments().drop_front(origins), map.getInputs()))
      s->forward(argument, input);
    if (failed(s->run(body, available)))
      return failure();
    for (auto [result, yielded] :
         llvm::zip(map.getResults(), body.getTerminator()->getOperands()))
      s->forward(result, yielded);
  }
  return success();
}

/// Gives every region's row argument its lanes.
void KernelEmitter::bindRows(Value panel) {
  DenseMap<Value, Lane> made;
  auto bind = [&](Value argument, Value origin) {
    Lane &lane = made[origin];
    if (!lane.v)
      lane = rowLane(origin, panel);
    s->bind(argument, lane, OnRow);
  };
  if (isShort())
    s->bind(spec.grid.getBody().front().getArgument(1),
            tableLane(at_.rowHeads, firstHead, panel), OnRow);
  auto bindMaps = [&](Block &block) {
    for (auto map : block.getOps<online::MapOp>())
      if (map.getKind() != online::MapKind::Cols)
        bind(map.getBody().front().getArgument(0), map.getOrigins().front());
  };
  bindMaps(spec.grid.getBody().front());
  bindMaps(spec.sweep.getBody().front());
  if (spec.mask && !spec.mask.getBody().empty())
    bind(spec.mask.getBody().front().getArgument(0), spec.mask.getM0());
}

/// Gives every region's key argument the global position of one key.
void KernelEmitter::bindKey(Value keyInBlock) {
  auto bind = [&](Value argument, Value origin) {
    s->bindScalar(argument, e.add(s->scalar(origin), keyInBlock),
                  OnKey | OnBlock, s->positions());
  };
  for (auto map : spec.sweep.getBody().front().getOps<online::MapOp>()) {
    Block &body = map.getBody().front();
    if (map.getKind() == online::MapKind::Tile)
      bind(body.getArgument(1), map.getOrigins()[1]);
    else if (map.getKind() == online::MapKind::Cols)
      bind(body.getArgument(0), map.getOrigins()[0]);
  }
  if (spec.mask && !spec.mask.getBody().empty())
    bind(spec.mask.getBody().front().getArgument(1), spec.mask.getN0());
}

LogicalResult KernelEmitter::emitItem(Value, Value &nonFinite) {
  firstRow = s->scalar(spec.dots[0].queryLoad.getRow());
  const Buffer &out = bufferOf(spec.out);
  Value limit = out.sizes[2];
  if (Value length = spec.out.getLength())
    limit = e.min(limit, s->scalar(length));
  rows =
      e.max(e.min(e.sub(limit, firstRow), e.c(spec.schedule.getM())), e.c(0));
  endPanel = e.min(e.ceilDiv(rows, e.lanes), endPanel);
  packQueries();
  aimOutput();
  return hasTwoPasses() ? emitTwoPasses() : emitPass(nonFinite);
}

/// The panels of the tile that are computed.
void KernelEmitter::forPanelsOfTile(llvm::function_ref<void(Value)> body) {
  e.loop(firstPanel, endPanel, 1, body);
}

LogicalResult KernelEmitter::emitPass(Value &nonFinite) {
  if (failed(emitInit()) || failed(emitWalk()))
    return failure();
  return emitFinish(nonFinite);
}

/// One pass as the fast kernel makes it and, where it ends non-finite, another.
LogicalResult KernelEmitter::emitTwoPasses() {
  forPanelsOfTile([&](Value panel) {
    e.storeRow(e.vc(-INFINITY), at(at_.firstMax), panel);
    e.storeRow(e.vc(1.0), at(at_.factor), panel);
  });
  LogicalResult status = success();
  e.loop(e.c(0), e.c(2), e.c(1), {e.c(1)},
         [&](Value pass, ValueRange wanted) -> Values {
           inSecondPass = e.icmp(P::ne, pass, e.c(0));
           return e.branch(
               e.icmp(P::ne, wanted[0], e.c(0)), {e.i64},
               [&]() -> Values {
                 Value nonFinite = e.c(0);
                 s->push();
                 if (failed(emitPass(nonFinite)))
                   status = failure();
                 s->pop();
                 return {nonFinite};
               },
               [&]() -> Values { return {e.c(0)}; });
         });
  return status;
}

//===----------------------------------------------------------------------===//
// Blocks and panels
//===----------------------------------------------------------------------===//

/// Opens the scope of a block's scalars, which its emitter closes.
LogicalResult KernelEmitter::enterBlock(Value n0, Value taken) {
  s->push();
  s->bindScalar(spec.sweep.getBody().front().getArgument(0), n0, OnBlock,
                s->positions());
  blockStart = n0;
  count = taken;
  return runTiles(OnBlock);
}

/// The first keys are known to be visible to all rows. So many keys follow at
/// once, so many are left.
LogicalResult KernelEmitter::emitBlock(Value n0, Value taken, Value known,
                                       Value following, Value left) {
  LogicalResult status = enterBlock(n0, taken);
  Value full = e.icmp(P::sge, known, taken);
  nearEnd = e.icmp(P::slt, left, e.c(blockKeys()));
  aimNextBlock(following);
  keyRows.clear();
  for (auto [i, dot] : llvm::enumerate(spec.dots))
    keyRows.push_back(prepareKeys(dot, i, n0));
  valueRows = prepareValues(n0);
  chooseScoreFactor();
  if (weavesWeights()) {
    if (failed(emitWovenPanels(full, known)))
      status = failure();
  } else {
    e.when(full, [&]() { emitFullRuns(); });
    forPanelsOfTile([&](Value panel) {
      s->push();
      if (failed(status) || failed(emitPanel(panel, full, known)))
        status = failure();
      s->pop();
    });
  }
  s->pop();
  return status;
}

/// Finds the runs of keys that a panel sees and binds what depends on its rows.
LogicalResult KernelEmitter::emitPanelRuns(Value panel, Value full,
                                           Value known) {
  bindRows(panel);
  if (failed(runTiles(OnBlock | OnRow)))
    return failure();
  LogicalResult status = success();
  runCount = e.branch(
      full, {e.i64},
      [&]() -> Values {
        if (hasHalves())
          for (int64_t kind = 0; kind < runKinds(); ++kind)
            e.store(e.c(1), e.gep(ofPanel(at_.runCounts), e.c(kind), e.i64));
        return {e.c(1)};
      },
      [&]() -> Values {
        Value masked = e.c(1);
        if (failed(emitMaskedRuns(panel, known, masked)))
          status = failure();
        return {masked};
      })[0];
  return status;
}

LogicalResult KernelEmitter::emitPanel(Value panel, Value full, Value known) {
  LogicalResult status = emitPanelRuns(panel, full, known);
  e.when(e.icmp(P::ne, runCount, e.c(0)), [&]() {
    Value rowMax, alpha;
    if (failed(status) || failed(emitScores(panel, rowMax)) ||
        failed(emitWeights(panel, rowMax, alpha))) {
      status = failure();
      return;
    }
    if (amx())
      emitTileValues(valueRows, panel, alpha);
    else if (accumulatesRows())
      emitValueRows(valueRows, panel, alpha);
    else
      emitValues(valueRows, panel, alpha);
  });
  return status;
}
