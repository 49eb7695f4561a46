//===- KernelSpec.cpp -----------------------------------------------------===//

#include "KernelSpec.h"
#include "Scalars.h"
#include "fovea/Analysis/BlockFacts.h"

#include "fovea/Target/CPU/CPUModel.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace fovea::cpu;

static Operation *onlyUser(Value value) {
  return value.hasOneUse() ? *value.user_begin() : nullptr;
}

/// Finds the factors that can be folded into the queries.
static void findFactors(DotSpec &dot) {
  Value product = dot.op.getResult();
  auto map = dyn_cast_or_null<online::MapOp>(onlyUser(product));
  if (!map)
    return;
  size_t input = llvm::find(map.getInputs(), product) - map.getInputs().begin();
  Region &region = map.getBody();
  Value x = region.getArgument(map.getOrigins().size() + input);
  while (Operation *op = onlyUser(x)) {
    if (std::optional<double> factor = ordinaryFactor(op)) {
      dot.constant *= *factor;
    } else {
      auto product = dyn_cast<arith::MulFOp>(op);
      if (!product || dot.scaled || !staysContinuous(op))
        return;
      Value other = product.getLhs() == x ? product.getRhs() : product.getLhs();
      if (region.isAncestor(other.getParentRegion()))
        return;
      dot.scale = other;
    }
    dot.scaled = x = op->getResult(0);
  }
}

/// What the mask analysis proves of the regions of the step.
static void findFacts(KernelSpec &spec) {
  if (auto map = spec.step.getScores().getDefiningOp<online::MapOp>();
      map && !spec.step.getScale() && !spec.step.getRow() &&
      !spec.step.getCol()) {
    unsigned index = cast<OpResult>(spec.step.getScores()).getResultNumber();
    spec.scoresAreBounded =
        fovea::staysWithin(map.getBody().front(), 1e6, index);
  }
  if (!spec.normalizer)
    return;
  bool seeded = !spec.normalizer.getSeed().empty();
  spec.weightVanishes =
      fovea::vanishesWhereHidden(spec.normalizer.getWeight().front(), seeded);
  spec.denomVanishes =
      spec.hasDenom() &&
      fovea::vanishesWhereHidden(spec.normalizer.getDenom().front(), seeded);
  spec.statStays = spec.hasStat() &&
                   fovea::staysWhereHidden(spec.normalizer.getStat().front());
}

/// The only op of a kind in a block, or a diagnostic.
template <typename OpTy>
static FailureOr<OpTy> findOnly(Operation *parent, Block &block) {
  OpTy found;
  for (OpTy op : block.getOps<OpTy>()) {
    if (found)
      return op.emitOpError(
          "appears twice, which the CPU target does not lower");
    found = op;
  }
  if (!found)
    return parent->emitOpError("has no ")
           << OpTy::getOperationName() << ", which the CPU target needs";
  return found;
}

static LogicalResult checkView(online::ViewOp view) {
  if (view.getIndices().size() + (view.getPageTable() ? 1 : 0) != 2)
    return view.emitOpError("must be of one (batch, head) on the CPU target");
  auto source = dyn_cast<BlockArgument>(view.getSource());
  if (!source || !isa<func::FuncOp>(source.getOwner()->getParentOp()))
    return view.emitOpError("source must be an argument of the function");
  return success();
}

static LogicalResult resolveLoad(Value tile, online::LoadOp &load,
                                 online::ViewOp &view, Operation *user) {
  load = tile.getDefiningOp<online::LoadOp>();
  if (!load)
    return user->emitOpError(
        "operand must come from an online.load on the CPU target");
  view = load.getView().getDefiningOp<online::ViewOp>();
  if (!view)
    return load.emitOpError("needs an online.view on the CPU target");
  return checkView(view);
}

static LogicalResult analyzeDots(KernelSpec &spec) {
  for (online::DotOp dot :
       spec.sweep.getBody().front().getOps<online::DotOp>()) {
    DotSpec d;
    d.op = dot;
    if (dot.getContract() != ArrayRef<int64_t>{1, 1})
      return dot.emitOpError("must contract [1, 1] on the CPU target");
    if (failed(resolveLoad(dot.getLhs(), d.queryLoad, d.query, dot)) ||
        failed(resolveLoad(dot.getRhs(), d.keyLoad, d.key, dot)))
      return failure();
    auto queries = cast<RankedTensorType>(dot.getLhs().getType());
    auto keys = cast<RankedTensorType>(dot.getRhs().getType());
    auto values = cast<RankedTensorType>(spec.step.getValues().getType());
    if (queries.getElementType() != values.getElementType() ||
        keys.getElementType() != values.getElementType())
      return dot.emitOpError("queries, keys and values must have one element "
                             "type on the CPU target");
    d.dim = queries.getDimSize(1);
    if (d.dim < 1)
      return dot.emitOpError("must contract a feature at least on the CPU "
                             "target");
    findFactors(d);
    spec.dots.push_back(d);
  }
  if (spec.dots.empty())
    return spec.sweep.emitOpError("has no online.dot");
  return success();
}

static LogicalResult analyzeStores(KernelSpec &spec) {
  Block &body = spec.grid.getBody().front();
  for (auto store : body.getOps<online::StoreOp>()) {
    auto view = store.getView().getDefiningOp<online::ViewOp>();
    if (!view)
      return store.emitOpError("needs an online.view on the CPU target");
    if (failed(checkView(view)))
      return failure();
    if (store.getTile() == spec.finish.getOut()) {
      spec.outStore = store;
      spec.out = view;
    } else if (spec.finish.getLse() &&
               store.getTile() == spec.finish.getLse()) {
      spec.lseStore = store;
      spec.lse = view;
    } else {
      return store.emitOpError("must store a result of online.finish");
    }
  }
  if (!spec.outStore)
    return spec.finish.emitOpError("result is not stored");
  return success();
}

/// One row: each register of its queries is a step in code.
static LogicalResult checkOneRow(KernelSpec &spec) {
  unsigned bytes = spec.scoreType.getIntOrFloatBitWidth() / 8;
  int64_t registerBytes = spec.schedule.getWide() * bytes;
  bool whole = registerBytes == 32 || registerBytes == 64;
  unsigned packed = spec.schedule.getPairs() ? 2 : bytes;
  for (const DotSpec &dot : spec.dots)
    whole &= dot.dim * packed <= fovea::kOneRowBytes;
  if (whole)
    return success();
  return spec.grid.emitOpError("schedule's m may be 1 with split where wide "
                               "fills 32 or 64 bytes and a query ")
         << fovea::kOneRowBytes << " at most";
}

static LogicalResult checkSchedule(KernelSpec &spec) {
  spec.schedule =
      dyn_cast_or_null<online::CPUScheduleAttr>(spec.grid.getScheduleAttr());
  if (!spec.schedule)
    return spec.grid.emitOpError("needs a #online.cpu_schedule");
  int64_t bytes = spec.scoreType.getIntOrFloatBitWidth() / 8;
  int64_t lanes = spec.schedule.getLanes();
  // Registers of rows, or of features in the short form.
  int64_t wide = spec.isShort() ? spec.schedule.getWide() : lanes;
  StringRef name = spec.isShort() ? "wide" : "lanes";
  bool fewer = spec.isShort() && wide < 4; // than the rows of a key's scores
  if (fewer || (wide * bytes != 16 && wide * bytes != 32 && wide * bytes != 64))
    return spec.grid.emitOpError("schedule's ")
           << name << " must " << (spec.isShort() ? "be at least 4 and " : "")
           << "fill 16, 32 or 64 bytes with scores of " << bytes
           << " bytes, got " << wide;
  int64_t rows = spec.hasShortTiles() ? fovea::kTileRows / 2 : 4;
  if (spec.isShort() && lanes != rows)
    return spec.grid.emitOpError("schedule's lanes must be ")
           << rows << " with split" << (spec.hasShortTiles() ? " and amx" : "")
           << ", got " << lanes;
  int64_t unit = spec.isShort() ? 16 : fovea::keyUnit(lanes * bytes);
  if (spec.isOneRow() && failed(checkOneRow(spec)))
    return failure();
  if (!spec.isOneRow() &&
      (spec.schedule.getM() <= 0 || spec.schedule.getM() % lanes != 0))
    return spec.grid.emitOpError("schedule's m must be a positive multiple of ")
           << lanes << ", got " << spec.schedule.getM();
  if (spec.schedule.getN() <= 0 || spec.schedule.getN() % unit != 0)
    return spec.grid.emitOpError("schedule's n must be a positive multiple of ")
           << unit << ", got " << spec.schedule.getN();
  if (spec.schedule.getPairs() &&
      (!spec.elementType.isBF16() || !spec.scoreType.isF32() || wide != 16))
    return spec.grid.emitOpError("schedule's pairs need bf16 inputs, f32 "
                                 "scores and 16 ")
           << name;
  if (spec.hasShortTiles() && spec.isOneRow())
    return spec.grid.emitOpError("schedule's m may not be 1 with amx");
  constexpr int64_t tiles = fovea::kTileGroup;
  if (spec.schedule.getAmx() && !spec.isShort() &&
      (spec.schedule.getM() % tiles != 0 || spec.schedule.getN() % tiles != 0))
    return spec.grid.emitOpError("schedule's amx needs m and n to be multiples "
                                 "of ")
           << tiles << ", got " << spec.schedule.getM() << " and "
           << spec.schedule.getN();
  if (spec.isShort() && spec.schedule.getSplit() % spec.schedule.getN() != 0)
    return spec.grid.emitOpError("schedule's split must be a multiple of n (")
           << spec.schedule.getN() << "), got " << spec.schedule.getSplit();
  return success();
}

/// The argument whose row `batch` a view's page table is, or null.
static Value findPageTable(Value pages, Value batch) {
  auto row = pages.getDefiningOp<memref::SubViewOp>();
  if (!row || !isa<BlockArgument>(row.getSource()))
    return {};
  SmallVector<OpFoldResult> offsets = row.getMixedOffsets();
  if (offsets.size() != 2 || dyn_cast<Value>(offsets[0]) != batch ||
      !isConstantIntValue(offsets[1], 0))
    return {};
  return row.getSource();
}

/// Marks the ops of the grid's body that compute a value; tiles, views and
/// walks are computed otherwise.
static void markNeeded(Value value, Block &body,
                       llvm::SmallPtrSetImpl<Operation *> &needed) {
  Operation *op = value.getDefiningOp();
  bool scalar = op && (isa<online::MapOp>(op) ||
                       !isa<online::OnlineDialect>(op->getDialect()));
  if (!scalar || op->getBlock() != &body || !needed.insert(op).second)
    return;
  for (Value operand : op->getOperands())
    markNeeded(operand, body, needed);
}

/// Finds what regions, and the ops that run them, do not need.
static void findNotForRows(KernelSpec &spec) {
  Block &body = spec.grid.getBody().front();
  llvm::SmallPtrSet<Operation *, 16> needed;
  auto mark = [&](Operation *op) {
    for (Value operand : op->getOperands())
      markNeeded(operand, body, needed);
  };
  for (Operation &op : body) {
    if (isa<online::InitOp, online::FinishOp>(op))
      mark(&op);
    if (!isa<online::SweepOp, online::MapOp>(op))
      continue;
    op.walk([&](Operation *inner) {
      if (inner != &op && !isa<online::LoadOp>(inner))
        mark(inner);
    });
  }
  for (Operation &op : body)
    if (!needed.contains(&op))
      spec.notForRows.insert(&op);
}

/// The short form takes all heads of a key head at once: the grid's indices
/// must be (batch, query head, tile), and the views' those that follow.
static LogicalResult analyzeShort(KernelSpec &spec) {
  Block &body = spec.grid.getBody().front();
  if (body.getNumArguments() != 3)
    return spec.grid.emitOpError("must have bounds (batch, head, query tile) "
                                 "for a schedule with split");
  if (isa_and_nonnull<online::WalkListOp>(spec.walk))
    return spec.walk->emitOpError(
        "cannot be cut by a schedule with split, which takes several heads at "
        "once");
  findNotForRows(spec);
  Value batch = body.getArgument(0), head = body.getArgument(1);
  auto fail = [](online::ViewOp view) {
    return view.emitOpError(
        "must have the indices (batch, head), of keys and "
        "values (batch, head divui heads a key head), for a "
        "schedule with split");
  };
  SmallVector<online::ViewOp> ofQueries{spec.out}, ofKeys{spec.value};
  if (spec.lse)
    ofQueries.push_back(spec.lse);
  for (DotSpec &dot : spec.dots) {
    ofQueries.push_back(dot.query);
    ofKeys.push_back(dot.key);
  }
  for (online::ViewOp view : ofQueries)
    if (view.getIndices()[0] != batch || view.getIndices()[1] != head)
      return fail(view);
  for (online::ViewOp view : ofKeys) {
    auto division = view.getIndices().back().getDefiningOp<arith::DivUIOp>();
    if (!division || division.getLhs() != head ||
        division.getRhs().getParentBlock() != spec.grid->getBlock() ||
        (spec.group && spec.group != division.getRhs()))
      return fail(view);
    if (Value pages = view.getPageTable()) {
      Value table = findPageTable(pages, batch);
      if (!table || (spec.pageTable && spec.pageTable != table))
        return view.emitOpError(
            "must have the row of its batch in a page table "
            "that is an argument, one for all views, on the "
            "CPU target");
      spec.pageTable = table;
    } else if (spec.pageTable || view.getIndices()[0] != batch) {
      return fail(view);
    }
    spec.group = division.getRhs();
  }
  return success();
}

int64_t KernelSpec::panelVectors() {
  if (isShort())
    return 1;
  return schedule.getM() % (2 * schedule.getLanes()) == 0 ? 2 : 1;
}

FailureOr<KernelSpec> fovea::cpu::analyzeKernel(func::FuncOp func) {
  KernelSpec spec;
  spec.func = func;
  if (!func.getBody().hasOneBlock())
    return func.emitOpError(
        "must have one block to be lowered to a CPU kernel");
  FailureOr<SmallVector<ArgInfo>> args = classifyArguments(func);
  if (failed(args))
    return failure();
  spec.args = std::move(*args);

  auto grid = findOnly<online::GridOp>(func, func.getBody().front());
  if (failed(grid))
    return failure();
  spec.grid = *grid;
  Block &gridBody = spec.grid.getBody().front();
  auto sweep = findOnly<online::SweepOp>(spec.grid, gridBody);
  if (failed(sweep))
    return failure();
  auto init = findOnly<online::InitOp>(spec.grid, gridBody);
  if (failed(init))
    return failure();
  auto finish = findOnly<online::FinishOp>(spec.grid, gridBody);
  if (failed(finish))
    return failure();
  spec.sweep = *sweep;
  spec.init = *init;
  spec.finish = *finish;
  Block &body = spec.sweep.getBody().front();
  auto step = findOnly<online::StepOp>(spec.sweep, body);
  if (failed(step))
    return failure();
  spec.step = *step;
  spec.walk = spec.sweep.getWalk().getDefiningOp(); // no argument is one
  if (spec.finish.getState() != spec.sweep.getResult(0) ||
      spec.sweep.getNumResults() != 1)
    return spec.sweep.emitOpError("must carry one state and end in "
                                  "online.finish on the CPU target");

  spec.scoreType = spec.step.getState().getType().getScoreType();
  spec.valueDim = spec.step.getState().getType().getColumns();
  if (failed(analyzeDots(spec)) ||
      failed(resolveLoad(spec.step.getValues(), spec.valueLoad, spec.value,
                         spec.step)) ||
      failed(analyzeStores(spec)))
    return failure();
  spec.elementType = cast<RankedTensorType>(spec.valueLoad.getTile().getType())
                         .getElementType();
  if (failed(checkSchedule(spec)))
    return failure();
  if (spec.isShort() && failed(analyzeShort(spec)))
    return failure();
  if (!spec.isShort() && spec.value.getPageTable())
    return spec.value.emitOpError(
        "has pages, which the CPU target reads with a "
        "schedule with split alone");
  if (Value visible = spec.step.getVisible()) {
    spec.mask = visible.getDefiningOp<online::MaskOp>();
    if (!spec.mask)
      return spec.step.emitOpError("visible() must be an online.mask");
  }
  if (auto symbol = dyn_cast<FlatSymbolRefAttr>(spec.step.getNormalizer()))
    spec.normalizer = SymbolTable::lookupNearestSymbolFrom<attn::NormalizerOp>(
        spec.step, symbol);
  findFacts(spec);
  return spec;
}
