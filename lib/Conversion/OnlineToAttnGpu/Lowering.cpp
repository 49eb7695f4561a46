//===- Lowering.cpp - The grid around the sweep ---------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace fovea::gpu;
using namespace mlir::attn_gpu;

LogicalResult GridLowering::run() {
  auto schedule = cast<ScheduleAttr>(grid.getScheduleAttr());
  if (grid.getBounds().size() != 3)
    return unsupported(grid, "grids of other than three bounds");
  SmallVector<Value> bounds(grid.getBounds());
  if (schedule.getOwnRows()) {
    Value last = arith::AddIOp::create(b, loc, bounds[2],
                                       index(schedule.getGroups() - 1));
    bounds[2] =
        arith::DivUIOp::create(b, loc, last, index(schedule.getGroups()));
  }
  tiles = ForTilesOp::create(b, loc, bounds, schedule);
  grid->getParentOfType<func::FuncOp>()->setAttr("attn_gpu.schedule", schedule);
  Block *body = b.createBlock(&tiles.getBody());
  for (BlockArgument argument : grid.getBody().getArguments())
    mapping.map(argument, body->addArgument(b.getIndexType(), loc));
  if (schedule.getOwnRows())
    // Of group 0; a fragment's rows say which group's they are.
    mapping.map(grid.getBody().getArgument(2),
                arith::MulIOp::create(b, loc, body->getArgument(2),
                                      index(schedule.getGroups())));
  for (Operation &op : grid.getBody().front().without_terminator())
    if (failed(lower(&op)))
      return failure();
  YieldOp::create(b, loc);
  grid.erase();
  return success();
}

LogicalResult GridLowering::lower(Operation *op) {
  loc = op->getLoc();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](online::LoadOp load) { return lowerLoad(load); })
      .Case([&](online::ViewOp view) { return lowerView(view); })
      .Case([&](online::InitOp init) { return lowerInit(init); })
      .Case([&](online::SweepOp sweep) { return lowerSweep(sweep); })
      .Case([&](online::FinishOp finish) { return lowerFinish(finish); })
      .Case([&](online::StoreOp store) { return lowerStore(store); })
      .Case<online::WalkSegmentsOp, online::WalkListOp>(
          [&](auto) { return success(); })
      .Case([&](online::WalkScanOp) {
        return unsupported(op, "masks without closed-form bounds; with a block "
                               "mask they run");
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (isa<online::OnlineDialect>(other->getDialect()))
          return unsupported(other, "'" + other->getName().getStringRef() +
                                        "' in a grid");
        b.clone(*other, mapping);
        return success();
      });
}

LogicalResult GridLowering::lowerLoad(online::LoadOp op) {
  auto shape = cast<ShapedType>(op.getTile().getType());
  if (shape.getRank() != 2)
    return unsupported(op, "loads of scalars a row");
  bool ofQueries = !op->getParentOfType<online::SweepOp>();
  int64_t rows =
      ofQueries ? tiles.getSchedule().getQueryRows() : shape.getDimSize(0);
  auto type =
      TileType::getChecked([&] { return op.emitError(); }, b.getContext(), rows,
                           shape.getDimSize(1), shape.getElementType());
  if (!type)
    return failure();
  mapping.map(op.getTile(),
              LoadOp::create(b, loc, type,
                             mapping.lookupOrDefault(op.getView()),
                             mapping.lookupOrDefault(op.getRow())));
  return success();
}

/// Whether rows of a tensor are loaded in a sweep: keys or values.
static bool isSwept(Value memref) {
  return llvm::any_of(memref.getUsers(), [](Operation *view) {
    return isa<online::ViewOp>(view) &&
           llvm::any_of(view->getUsers(), [](Operation *load) {
             return isa<online::LoadOp>(load) &&
                    load->getParentOfType<online::SweepOp>();
           });
  });
}

/// Whether a view has all rows that its tensor has. Each key has a value, so
/// that the rows of one tensor are those of the other.
static bool isWhole(online::ViewOp view) {
  if (!view.getLength())
    return true;
  auto dim = view.getLength().getDefiningOp<memref::DimOp>();
  if (!dim || dim.getConstantIndex() != int64_t(view.getIndices().size()))
    return false;
  return dim.getSource() == view.getSource() ||
         (isSwept(dim.getSource()) && isSwept(view.getSource()));
}

/// Loads clip at the end of the tensor, not at that of a sequence.
LogicalResult GridLowering::lowerView(online::ViewOp op) {
  auto view = cast<online::ViewOp>(b.clone(*op, mapping));
  bool isLoaded = llvm::any_of(op->getUsers(), [](Operation *user) {
    return isa<online::LoadOp>(user);
  });
  if (!isLoaded || isWhole(op))
    return success();
  b.setInsertionPoint(view);
  Value rows = memref::DimOp::create(b, loc, view.getSource(),
                                     int64_t(view.getIndices().size()));
  view.getLengthMutable().assign(rows);
  b.setInsertionPointAfter(view);
  return success();
}

Value GridLowering::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value GridLowering::constant(double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}

Value GridLowering::map(Type type, ValueRange inputs, Body body) {
  auto op = MapOp::create(b, loc, type, inputs, ValueRange());
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&op.getBody());
  for (size_t i = 0; i < inputs.size(); ++i)
    block->addArgument(b.getF32Type(), loc);
  YieldOp::create(b, loc, body(b, block->getArguments()));
  return op;
}

//===----------------------------------------------------------------------===//
// Before and after the sweep
//===----------------------------------------------------------------------===//

LogicalResult GridLowering::lowerInit(online::InitOp op) {
  if (failed(checkNormalizer(op, op.getNormalizer())))
    return failure();
  init = op;
  online::StateType type = op.getState().getType();
  State state;
  if (type.getHasT()) {
    state.max = SplatOp::create(b, loc, rows(), constant(kFloor));
    state.sum = ZeroOp::create(b, loc, rows(/*partial=*/true));
  }
  state.out = ZeroOp::create(b, loc, frag(type.getColumns()));
  states[op.getState()] = state;
  return success();
}

LogicalResult GridLowering::lowerFinish(online::FinishOp op) {
  State state = states.lookup(op.getState());
  if (!state.sum) {
    mapping.map(op.getOut(), state.out);
    return success();
  }
  Value sum = QuadReduceOp::create(b, loc, rows(), ReduceKind::Sum, state.sum);
  Value zero = constant(0), one = constant(1), ln2 = constant(M_LN2);
  // S3: rows without a visible key.
  Value inverse = map(rows(), sum, [&](OpBuilder &b, ValueRange x) {
    Value dead =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x[0], zero);
    Value quotient = arith::DivFOp::create(b, loc, one, x[0]);
    return arith::SelectOp::create(b, loc, dead, zero, quotient).getResult();
  });
  Value out =
      map(state.out.getType(), {state.out, inverse},
          [&](OpBuilder &b, ValueRange x) {
            return arith::MulFOp::create(b, loc, x[0], x[1]).getResult();
          });
  mapping.map(op.getOut(), out);
  if (!op.getLse())
    return success();
  Value lse = map(rows(), {state.max, sum}, [&](OpBuilder &b, ValueRange x) {
    Value log = math::Log2Op::create(b, loc, x[1]);
    Value max = toNatural
                    ? arith::MulFOp::create(b, loc, x[0], toNatural).getResult()
                    : x[0];
    Value lse = math::FmaOp::create(b, loc, log, ln2, max);
    return normalizer ? infiniteWhereSeedIs(x[0], lse) : lse;
  });
  mapping.map(op.getLse(), lse);
  return success();
}

LogicalResult GridLowering::lowerStore(online::StoreOp op) {
  Value view = mapping.lookupOrDefault(op.getView()),
        row = mapping.lookupOrDefault(op.getRow());
  Value value = mapping.lookupOrDefault(op.getTile());
  if (isa<FragType>(value.getType()))
    StoreTileOp::create(b, loc, value, view, row,
                        tiles.getSchedule().getStaged());
  else
    StoreRowsOp::create(b, loc, value, view, row);
  return success();
}

/// Where the masks of a sweep hold at least, if their form says it: that of a
/// plain grid, whose rows are numbered as their queries are.
static IntegerSetAttr findVisible(online::SweepOp op) {
  SmallVector<Plane> planes;
  auto grid = op->getParentOfType<online::GridOp>();
  for (auto mask : op.getBody().front().getOps<online::MaskOp>()) {
    if (mask.getBody().empty())
      continue;
    auto m0 = mask.getM0().getDefiningOp<arith::MulIOp>();
    bool isPlain = m0 && m0.getLhs() == grid.getBody().getArgument(2) &&
                   getConstantIntValue(m0.getRhs()) == kGroupRows &&
                   mask.getN0() == op.getBody().getArgument(0);
    Block &block = mask.getBody().front();
    std::optional<SmallVector<Plane>> found =
        findPlanes(block.getTerminator()->getOperand(0), block.getArgument(0),
                   block.getArgument(1));
    if (!isPlain || !found)
      return {};
    llvm::append_range(planes, *found);
  }
  if (planes.empty())
    return {};
  return IntegerSetAttr::get(toSet(op.getContext(), planes));
}

/// The loop over the elements of a list. Joint ones are of the tile, and know
/// how many queries a row of the mask's tiles has; null where that is not seen.
ForBlocksOp GridLowering::createListed(online::SweepOp op,
                                       online::WalkListOp list,
                                       ValueRange inits) {
  auto lookup = [&](Value value) { return mapping.lookupOrDefault(value); };
  bool isMasked =
      llvm::any_of(op.getBody().front().getOps<online::MaskOp>(),
                   [](online::MaskOp mask) { return !mask.getBody().empty(); });
  SmallVector<Value> row = llvm::map_to_vector(list.getIndices(), lookup);
  Value queryTile;
  IntegerSetAttr visible;
  if (tiles.getSchedule().getOwnRows()) {
    // Lists of a mask that is asked are made row by row.
    if (grid->getParentOfType<func::FuncOp>()->hasAttr("online.visible"))
      return {};
    auto quotient = row.back().getDefiningOp<arith::DivUIOp>();
    if (!quotient)
      return {};
    queryTile = quotient.getRhs();
    visible = findVisible(op);
    row.back() = tiles.getBody().getArgument(2);
  }
  return ForBlocksOp::create(
      b, loc, TypeRange(inits), ValueRange(), ValueRange(),
      lookup(list.getClasses()), row, queryTile, lookup(list.getKeyTile()),
      lookup(list.getLength()), inits, ArrayRef<int32_t>(), list.getStep(),
      /*unmasked=*/!isMasked, /*cut_front=*/false, visible);
}

/// The loop over the elements of a walk; null where there is none of the kind.
ForBlocksOp GridLowering::createBlocks(online::SweepOp op, ValueRange inits) {
  Operation *walk = op.getWalk().getDefiningOp();
  auto lookup = [&](Value value) { return mapping.lookupOrDefault(value); };
  TypeRange types(inits);
  if (auto list = dyn_cast_if_present<online::WalkListOp>(walk))
    return createListed(op, list, inits);
  auto segments = dyn_cast_if_present<online::WalkSegmentsOp>(walk);
  if (!segments || segments.getBegins().empty() ||
      tiles.getSchedule().getOwnRows())
    return {};
  // Where a sequence ends before the tensor, nothing from beyond is loaded.
  bool cutsFront = false;
  op.getBody().walk([&](online::LoadOp load) {
    auto view = load.getView().getDefiningOp<online::ViewOp>();
    cutsFront |= view && !isWhole(view);
  });
  return ForBlocksOp::create(
      b, loc, types, llvm::map_to_vector(segments.getBegins(), lookup),
      llvm::map_to_vector(segments.getEnds(), lookup),
      /*list=*/Value(), /*row=*/ValueRange(),
      /*queryTile=*/Value(), /*keyTile=*/Value(), /*length=*/Value(), inits,
      segments.getClasses(), segments.getStep(), /*unmasked=*/false, cutsFront,
      /*visible=*/IntegerSetAttr());
}

LogicalResult GridLowering::lowerSweep(online::SweepOp op) {
  if (op.getInits().size() != 1 || !states.count(op.getInits()[0]))
    return unsupported(op, "sweeps over other than one state");
  State state = states[op.getInits()[0]];
  SmallVector<Value> inits = state.flat();
  blocks = createBlocks(op, inits);
  if (!blocks && tiles.getSchedule().getOwnRows())
    return unsupported(op, "own_rows without a block mask");
  if (!blocks)
    return unsupported(op, "sweeps over other than segments or a list");
  {
    OpBuilder::InsertionGuard guard(b);
    Block *body = b.createBlock(&blocks.getBody());
    Type index = b.getIndexType();
    mapping.map(op.getBody().getArgument(0), body->addArgument(index, loc));
    count = body->addArgument(index, loc);
    full = body->addArgument(b.getI1Type(), loc);
    for (Value init : inits)
      body->addArgument(init.getType(), loc);
    states[op.getBody().getArgument(2)] =
        state.like(body->getArguments().drop_front(3));
    for (Operation &inner : op.getBody().front().without_terminator()) {
      loc = inner.getLoc();
      if (failed(lowerInBlock(&inner)))
        return failure();
    }
    State next = states[op.getBody().front().getTerminator()->getOperand(0)];
    YieldOp::create(b, loc, next.flat());
  }
  states[op.getResult(0)] = state.like(blocks.getResults());
  seed();
  return success();
}
