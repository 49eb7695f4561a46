//===- FlattenStream.cpp - -attn-gpu-flatten-stream -----------------------===//

#include "Flatten.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DEF_ATTNGPUFLATTENSTREAM
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

using namespace mlir;
using namespace mlir::attn_gpu;

static LogicalResult checkPairs(Stream &stream);

namespace {
struct AttnGpuFlattenStream
    : attn_gpu::impl::AttnGpuFlattenStreamBase<AttnGpuFlattenStream> {
  void runOnOperation() override {
    SmallVector<SpecializeOp> kernels(getOperation().getOps<SpecializeOp>());
    for (SpecializeOp specialize : kernels) {
      FailureOr<Stream> stream = findStream(specialize);
      if (failed(stream) || failed(checkPairs(*stream)))
        return signalPassFailure();
      flattenLoader(*stream);
      flattenComputer(*stream);
      stream->loadTiles.erase();
      stream->mmaTiles.erase();
    }
  }
};
} // namespace

template <typename Op, typename Range> static Op findOnly(Range &&block) {
  auto ops = block.template getOps<Op>();
  if (!llvm::hasSingleElement(ops))
    return Op();
  return *ops.begin();
}

/// Whether a value of a tile is made of its head.
static bool dependsOnHead(Value value, ForTilesOp tiles) {
  if (value == tiles.getBody().getArgument(1))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || !tiles->isProperAncestor(op))
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return dependsOnHead(operand, tiles);
  });
}

static bool isKeyHead(Value value, ForTilesOp tiles) {
  auto quotient = value.getDefiningOp<arith::DivUIOp>();
  return quotient && quotient.getLhs() == tiles.getBody().getArgument(1) &&
         !dependsOnHead(quotient.getRhs(), tiles);
}

/// Two heads of a key head read the same blocks of the same keys where neither
/// where a walk begins and ends nor whose keys it reads tells the heads apart.
static bool walksByKeyHead(Stream &stream) {
  ForTilesOp tiles = stream.loadTiles;
  auto isShared = [&](Value value) { return !dependsOnHead(value, tiles); };
  bool shared = !stream.loadBlocks.getList() &&
                llvm::all_of(stream.loadBlocks.getBegins(), isShared) &&
                llvm::all_of(stream.loadBlocks.getEnds(), isShared);
  stream.loadBlocks.walk([&](FillOp fill) {
    auto view = fill.getView().getDefiningOp<online::ViewOp>();
    shared &= view && llvm::all_of(view.getIndices(), [&](Value index) {
                return isShared(index) || isKeyHead(index, tiles);
              });
  });
  return shared;
}

/// What a cluster of two blocks asks of a kernel; one for single blocks says
/// whether it could have that form.
static LogicalResult checkPairs(Stream &stream) {
  bool shared = walksByKeyHead(stream);
  if (stream.schedule.getCluster() == 1) {
    // Windows, with a mask at both ends, are short.
    auto function = stream.loader->getParentOfType<func::FuncOp>();
    int64_t masked =
        llvm::count_if(stream.loadBlocks.getClasses(), [](int32_t kind) {
          return kind != int32_t(online::ClassKind::Full);
        });
    if (shared && masked <= 1)
      function->setAttr("attn_gpu.shared_walks",
                        UnitAttr::get(function.getContext()));
    return success();
  }
  if (!shared)
    return stream.loadBlocks.emitError(
        "walks blocks that depend on the head: the heads of a cluster read the "
        "same ones");
  return success();
}

/// Whether a value of a tile's body is made of the tile's number.
static bool isOfTile(ForTilesOp tiles, Value value) {
  if (value.getParentRegion() != &tiles.getBody())
    return false;
  Operation *op = value.getDefiningOp();
  if (!op)
    return value == tiles.getBody().getArgument(2);
  return llvm::any_of(op->getOperands(),
                      [&](Value operand) { return isOfTile(tiles, operand); });
}

/// Whether it is the tile's first query.
static bool isOrigin(ForTilesOp tiles, Value value) {
  auto product = value.getDefiningOp<arith::MulIOp>();
  return product && product.getLhs() == tiles.getBody().getArgument(2) &&
         getConstantIntValue(product.getRhs()) ==
             tiles.getSchedule().getQueryRows();
}

/// Rows of a joint list are shared out where a tile's number says nothing but
/// where its queries begin.
static void findOrigin(Stream &stream) {
  Value origin;
  for (Value record : stream.records) {
    if (!isOfTile(stream.mmaTiles, record))
      continue;
    if (origin || !isOrigin(stream.mmaTiles, record))
      return;
    origin = record;
  }
  bool isLoadedThere = false;
  stream.loadTiles.walk([&](FillOp fill) {
    if (fill.getChannel() == stream.q.getChannel())
      isLoadedThere = fill.getRows().size() == 1 &&
                      isOrigin(stream.loadTiles, fill.getRows().front());
  });
  if (!origin || !isLoadedThere)
    return;
  stream.origin = origin;
  stream.facts.isSorted = true;
  llvm::erase(stream.records, origin);
}

FailureOr<Stream> mlir::attn_gpu::findStream(SpecializeOp specialize) {
  Stream stream;
  auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
  stream.loader = roles[0];
  stream.computer = roles[1];
  stream.loadTiles = findOnly<ForTilesOp>(stream.loader.getBody());
  stream.mmaTiles = findOnly<ForTilesOp>(stream.computer.getBody());
  if (!stream.loadTiles || !stream.mmaTiles)
    return specialize.emitError("is not two roles over one 'for_tiles' each: "
                                "run -attn-gpu-split-roles");
  stream.loadBlocks = findOnly<ForBlocksOp>(stream.loadTiles.getBody());
  stream.mmaBlocks = findOnly<ForBlocksOp>(stream.mmaTiles.getBody());
  SmallVector<ChannelOp, 3> channels;
  for (auto channel : specialize->getBlock()->getOps<ChannelOp>())
    if (llvm::any_of(channel->getUsers(), [&](Operation *user) {
          return specialize->isProperAncestor(user);
        }))
      channels.push_back(channel);
  if (!stream.loadBlocks || !stream.mmaBlocks || channels.size() != 3)
    return specialize.emitError(
        "streams have one query, one key and one value channel and one loop "
        "over blocks");
  std::tie(stream.q, stream.k, stream.v) =
      std::make_tuple(channels[0], channels[1], channels[2]);
  stream.schedule = stream.mmaTiles.getSchedule();
  stream.facts = Places::Facts::of(stream.loadBlocks);
  OpBuilder b(specialize);
  Scalars s(b, specialize.getLoc());
  ValueRange bounds = stream.mmaTiles.getBounds();
  stream.tiles = s.mul(s.mul(bounds[0], bounds[1]), bounds[2]);

  llvm::SetVector<Value> records;
  for (Operation &op : stream.mmaTiles.getBody().front())
    if (&op == stream.mmaBlocks)
      op.walk([&](Operation *inner) {
        if (inner != &op)
          collectRecords(stream.mmaTiles, inner, records);
      });
    else if (isa<StoreTileOp, StoreRowsOp, MapOp, SplatOp>(op))
      collectRecords(stream.mmaTiles, &op, records);
  stream.records = records.takeVector();
  if (stream.mmaBlocks.getQueryTile())
    findOrigin(stream);
  return stream;
}

SmallVector<Value> mlir::attn_gpu::createWhile(OpBuilder &b, Location loc,
                                               ValueRange inits, LoopHead head,
                                               LoopNext next) {
  OpBuilder::InsertPoint place = b.saveInsertionPoint();
  auto build = [&](Region &region, TypeRange types) {
    SmallVector<Location> locs(types.size(), loc);
    return b.createBlock(&region, {}, types, locs);
  };
  // The types that the head hands on are known once it is built.
  OperationState state(loc, scf::WhileOp::getOperationName());
  Region *before = state.addRegion(), *after = state.addRegion();
  Block *first = build(*before, inits.getTypes());
  auto [condition, passed] = head(b, first->getArguments());
  scf::ConditionOp::create(b, loc, condition, passed);
  Block *second = build(*after, ValueRange(passed).getTypes());
  scf::YieldOp::create(b, loc, next(b, second->getArguments()));
  state.addOperands(inits);
  state.addTypes(ValueRange(passed).getTypes());
  b.restoreInsertionPoint(place);
  return SmallVector<Value>(b.create(state)->getResults());
}

SmallVector<Value> mlir::attn_gpu::createFor(
    OpBuilder &b, Location loc, Value begin, Value end, ValueRange inits,
    function_ref<SmallVector<Value>(OpBuilder &, Value, ValueRange)> body) {
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  auto loop = scf::ForOp::create(
      b, loc, begin, end, one, inits,
      [&](OpBuilder &inner, Location, Value place, ValueRange carried) {
        scf::YieldOp::create(inner, loc, body(inner, place, carried));
      });
  return SmallVector<Value>(loop.getResults());
}
