//===- AttnGpuVerifiers.cpp - Checks of attn_gpu --------------------------===//

#include "../../WholeBlock.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::attn_gpu;

/// Checks the arguments, the yielded types and the ops of a scalar region
/// (C11).
static LogicalResult verifyScalarRegion(Operation *op, Region &region,
                                        ArrayRef<Type> arguments, Type result) {
  Block &block = region.front();
  if (block.getArgumentTypes() != TypeRange(arguments))
    return op->emitOpError() << "region must take (" << TypeRange(arguments)
                             << "), got (" << block.getArgumentTypes() << ")";
  if (!fovea::hasAllOperands(block))
    return success();
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getOperandTypes() != TypeRange(result))
    return op->emitOpError()
           << "region must end with an 'attn_gpu.yield' of " << result;
  for (Operation &inner : block.without_terminator())
    if (!attn::isAllowedInRegion(&inner) && !isa<math::FmaOp>(inner)) {
      InFlightDiagnostic diag =
          inner.emitOpError("is not allowed in a scalar region");
      diag.attachNote(op->getLoc()) << "region of this op";
      return diag;
    }
  return success();
}

static LogicalResult mustBe(Operation *op, StringRef what, Type found,
                            Type expected) {
  if (found == expected)
    return success();
  return op->emitOpError() << what << " must be " << expected << ", got "
                           << found;
}

//===----------------------------------------------------------------------===//
// Loops and memory
//===----------------------------------------------------------------------===//

// C2
LogicalResult ForTilesOp::verify() {
  if (getBounds().size() != 3 || getBody().getNumArguments() != 3)
    return emitOpError() << "takes three bounds and three arguments, got "
                         << getBounds().size() << " and "
                         << getBody().getNumArguments();
  return success();
}

// C29
static LogicalResult verifyList(Operation *op, unsigned indices, int64_t step) {
  if (indices != 3)
    return op->emitOpError() << "takes (batch, head, row) of a block mask, got "
                             << indices << " indices";
  if (step < 1)
    return op->emitOpError() << "step must be positive, got " << step;
  return success();
}

LogicalResult ListCountOp::verify() {
  return verifyList(*this, getRow().size(), getStep());
}

LogicalResult ListElementOp::verify() {
  return verifyList(*this, getRow().size(), getStep());
}

// C33
static LogicalResult verifyJoint(Operation *op, int64_t reach, int64_t results,
                                 int64_t perGroup) {
  int64_t groups = results / perGroup;
  if (results % perGroup != 0 || groups < 2 || groups > kMostJointGroups)
    return op->emitOpError()
           << "has " << perGroup << " results for each of 2 "
           << "or " << kMostJointGroups << " groups, got " << results;
  int64_t least = getJointTurns(groups).size();
  if (reach < least)
    return op->emitOpError()
           << "reach must be at least " << least << ", got " << reach;
  return success();
}

// C43
static LogicalResult verifyVisible(Operation *op,
                                   std::optional<IntegerSet> set) {
  if (!set || toPlanes(*set))
    return success();
  return op->emitOpError("visible must be made of inequalities over (m, n) "
                         "with factors -1 to 1, not both 1 or both -1, and "
                         "constants within 2^30");
}

LogicalResult JointCountOp::verify() {
  return failure(
      failed(verifyList(*this, getRow().size(), getStep())) ||
      failed(verifyJoint(*this, getReach(), getGroups().size(), 4)) ||
      failed(verifyVisible(*this, getVisible())));
}

LogicalResult JointElementOp::verify() {
  return failure(failed(verifyList(*this, getRow().size(), getStep())) ||
                 failed(verifyJoint(*this, getReach(), getLinks().size(), 1)) ||
                 failed(verifyVisible(*this, getVisible())));
}

LogicalResult ForBlocksOp::verify() {
  // C3
  Builder builder(getContext());
  Type index = builder.getIndexType();
  SmallVector<Type> expected{index, index, builder.getI1Type()};
  llvm::append_range(expected, getResultTypes());
  if (getBody().getArgumentTypes() != TypeRange(expected))
    return emitOpError() << "body must take (" << TypeRange(expected)
                         << "), got (" << getBody().getArgumentTypes() << ")";
  Block &block = getBody().front();
  if (!fovea::hasAllOperands(block))
    return success();
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getOperandTypes() != getResultTypes() ||
      getInits().getTypes() != getResultTypes())
    return emitOpError("inits, yielded values and results must agree");
  // C4
  if (getList()) {
    if (!getBegins().empty() || !getEnds().empty() || !getClasses().empty() ||
        !getKeyTile() || !getLength())
      return emitOpError("takes segments, or a list with its tile and length");
    if (getCutFront())
      return emitOpError("cuts elements of a list at their end alone");
    // C38
    auto tiles = (*this)->getParentOfType<ForTilesOp>();
    if (getQueryTile() && !(tiles && tiles.getSchedule().getOwnRows()))
      return emitOpError("joins rows in tiles of a schedule with own_rows "
                         "alone");
    // C45
    if (getVisible() && !getQueryTile())
      return emitOpError("says where the mask holds for a joint list alone");
    return failure(failed(verifyVisible(*this, getVisible())) ||
                   failed(verifyList(*this, getRow().size(), getStep())));
  }
  if (getQueryTile())
    return emitOpError("joins rows of a list alone");
  if (getVisible())
    return emitOpError("says where the mask holds for a joint list alone");
  if (getBegins().empty() || getBegins().size() != getEnds().size() ||
      getBegins().size() != getClasses().size())
    return emitOpError() << "needs one begin, end and class per segment, got "
                         << getBegins().size() << ", " << getEnds().size()
                         << " and " << getClasses().size();
  if (getStep() < 1)
    return emitOpError() << "step must be positive, got " << getStep();
  return success();
}

/// A tile or channel against the view it comes from.
static LogicalResult verifyOfView(Operation *op, online::ViewType view,
                                  int64_t columns, Type elementType) {
  if (view.getColumns() == columns && view.getElementType() == elementType)
    return success();
  return op->emitOpError() << "must have columns and elements of " << view
                           << ", got " << columns << "x" << elementType;
}

// C5
LogicalResult LoadOp::verify() {
  return verifyOfView(*this, getView().getType(),
                      getTile().getType().getColumns(),
                      getTile().getType().getElementType());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static LogicalResult verifyProduct(Operation *op, Value lhs, TileType rhs,
                                   bool transposed, Value acc, Type result) {
  int64_t contracted;
  Type element;
  // C6
  if (auto tile = dyn_cast<TileType>(lhs.getType())) {
    if (tile.getRows() % kGroupRows != 0)
      return op->emitOpError() << "lhs must have whole groups of " << kGroupRows
                               << " rows, got " << tile.getRows();
    contracted = tile.getColumns();
    element = tile.getElementType();
  } else {
    auto frag = cast<FragType>(lhs.getType());
    if (frag.getLayout() != Layout::QuadA)
      return op->emitOpError() << "lhs in registers must be of layout quad_a";
    contracted = frag.getColumns();
    element = frag.getElementType();
  }
  // C7
  int64_t keys = transposed ? rhs.getColumns() : rhs.getRows();
  int64_t columns = transposed ? rhs.getRows() : rhs.getColumns();
  if (contracted != keys || element != rhs.getElementType())
    return op->emitOpError() << "contracts " << contracted << "x" << element
                             << " with " << keys << "x" << rhs.getElementType();
  auto frag = FragType::get(op->getContext(), kGroupRows, columns,
                            Float32Type::get(op->getContext()), Layout::Quad);
  if (acc && failed(mustBe(op, "acc", acc.getType(), frag)))
    return failure();
  return mustBe(op, "result", result, frag);
}

LogicalResult MmaOp::verify() {
  return verifyProduct(*this, getLhs(), getRhs().getType(), getTransposed(),
                       getAcc(), getType());
}

LogicalResult MmaStartOp::verify() {
  if (failed(verifyProduct(*this, getLhs(), getRhs().getType(), getTransposed(),
                           getAcc(), getType().getResult())))
    return failure();
  // C41
  if (getKeys() && !getTransposed() && isa<TileType>(getLhs().getType()))
    return emitOpError("keys are of scores, or of outputs with weights in "
                       "registers");
  // C25
  if (!getResult().hasOneUse() || !isa<AwaitOp>(*getResult().user_begin()))
    return emitOpError("result must be awaited once and used by nothing else");
  if ((*getResult().user_begin())->getBlock() != (*this)->getBlock()) {
    InFlightDiagnostic diag =
        emitOpError("result must be awaited on every path: in its own block");
    diag.attachNote((*getResult().user_begin())->getLoc()) << "awaited here";
    return diag;
  }
  return success();
}

LogicalResult AwaitOp::verify() {
  // C26
  if (failed(mustBe(*this, "result", getType(),
                    getPending().getType().getResult())))
    return failure();
  // C27
  if (std::optional<int64_t> keep = getKeep(); keep && (*keep < 0 || *keep > 7))
    return emitOpError() << "keep must lie in 0 ... 7, got " << *keep;
  return success();
}

//===----------------------------------------------------------------------===//
// Maps and reductions
//===----------------------------------------------------------------------===//

LogicalResult MapOp::verify() {
  Builder builder(getContext());
  auto frag = dyn_cast<FragType>(getType());
  // C8
  size_t positions = frag ? 2 : 1, origins = getOrigins().size();
  if (origins != 0 && origins != positions)
    return emitOpError() << "takes " << positions << " positions or none, got "
                         << origins;
  // C10
  for (Type type : getInputs().getTypes()) {
    auto diagonal = dyn_cast<DiagvecType>(type);
    bool fits =
        frag ? type == frag || isa<RowvecType>(type) ||
                   (diagonal && diagonal.getColumns() == frag.getColumns())
             : type == getType();
    if (!fits)
      return emitOpError() << "input of type " << type
                           << " does not fit the result " << getType();
  }
  if (frag && frag.getLayout() != Layout::Quad)
    return emitOpError("works on fragments of layout quad");
  // C9
  SmallVector<Type> expected(origins, builder.getI64Type());
  expected.append(getInputs().size(), builder.getF32Type());
  return verifyScalarRegion(*this, getBody(), expected, builder.getF32Type());
}

/// C30
static LogicalResult verifyDiagonalRegion(Operation *op, Region &region) {
  Builder builder(op->getContext());
  return verifyScalarRegion(op, region, builder.getI64Type(),
                            builder.getF32Type());
}

LogicalResult DiagonalOp::verify() {
  return verifyDiagonalRegion(*this, getBody());
}

LogicalResult MaskOp::verify() {
  // C12
  if (getBody().empty())
    return success();
  Builder builder(getContext());
  Type i64 = builder.getI64Type();
  return verifyScalarRegion(*this, getBody(), {i64, i64}, builder.getI1Type());
}

// C13
LogicalResult ReduceOp::verify() {
  if (getInit() && getInit().getType() != getType())
    return mustBe(*this, "init", getInit().getType(), getType());
  if (getSource().getType().getLayout() != Layout::Quad)
    return emitOpError("works on fragments of layout quad");
  return success();
}

// C14
LogicalResult QuadReduceOp::verify() {
  if (!getSource().getType().getPartial() || getType().getPartial())
    return emitOpError("goes from a partial rowvec to one that is not");
  return success();
}

// C15
LogicalResult RescaleOp::verify() {
  if (getAlpha().getType().getPartial())
    return emitOpError("alpha must not be partial");
  if (getAddend())
    return mustBe(*this, "addend", getAddend().getType(), getType());
  return success();
}

// C16
LogicalResult ConvertOp::verify() {
  FragType from = getSource().getType(), to = getType();
  if (from.getLayout() != Layout::Quad || to.getLayout() != Layout::QuadA ||
      from.getColumns() != to.getColumns())
    return emitOpError() << "goes from quad to quad_a of the same shape, got "
                         << from << " and " << to;
  return success();
}

// C17
LogicalResult StoreTileOp::verify() {
  online::ViewType view = getView().getType();
  FragType frag = getSource().getType();
  if (frag.getLayout() != Layout::Quad ||
      frag.getColumns() != view.getColumns() ||
      !(view.getElementType().isF16() || view.getElementType().isBF16()))
    return emitOpError() << "stores a quad fragment of the view's columns to "
                            "f16 or bf16, got "
                         << frag << " and " << view;
  return success();
}

// C18
LogicalResult StoreRowsOp::verify() {
  online::ViewType view = getView().getType();
  if (getSource().getType().getPartial() || view.hasColumns() ||
      !view.getElementType().isF32())
    return emitOpError() << "stores a rowvec that is not partial to f32 "
                            "scalars, got "
                         << getSource().getType() << " and " << view;
  return success();
}

//===----------------------------------------------------------------------===//
// Roles and channels
//===----------------------------------------------------------------------===//

// C36
LogicalResult ChannelOp::verify() {
  std::optional<int64_t> offset = getOffset();
  if (offset && (*offset < 0 || *offset % 1024 != 0))
    return emitOpError()
           << "offset in shared memory must be a multiple of 1024 "
              "bytes, got "
           << *offset;
  return success();
}

/// C35
static LogicalResult verifyRegisters(SpecializeOp op, RoleOp load, RoleOp mma) {
  // The launch takes as many for each thread, in units of 8; roles share these.
  constexpr int64_t threads = 128, all = 65536;
  int64_t groups = load.getGroups() + mma.getGroups(), sum = 0;
  int64_t limit = all / (groups * threads) / 8 * 8 * groups * threads;
  if (load.getRegisters().has_value() != mma.getRegisters().has_value())
    return op.emitOpError("registers must be set for both roles or for none");
  for (RoleOp role : {load, mma}) {
    int64_t registers = role.getRegisters().value_or(24);
    if (registers < 24 || registers > 240 || registers % 8 != 0)
      return role.emitOpError() << "registers a thread must be a multiple of 8 "
                                   "from 24 to 240, got "
                                << registers;
    sum += registers * role.getGroups() * threads;
  }
  if (sum > limit)
    return op.emitOpError()
           << "roles ask for " << sum << " registers, the limit is " << limit;
  return success();
}

/// What reads or writes memory that other launches may read or write.
static bool touchesTensors(Operation *op) {
  return isa<attn::ReadOp, memref::LoadOp, LoadOp, FillOp, StoreTileOp,
             StoreRowsOp, ListCountOp, ListElementOp, JointCountOp,
             JointElementOp, TileFetchOp>(op) ||
         (isa<ForBlocksOp>(op) && cast<ForBlocksOp>(op).getList());
}

// C46
LogicalResult GridDependencyWaitOp::verify() {
  if (!isa<FunctionOpInterface>((*this)->getParentOp()))
    return emitOpError("must stand in the kernel's own block");
  for (Operation *op = (*this)->getPrevNode(); op; op = op->getPrevNode()) {
    Operation *touches = nullptr;
    op->walk([&](Operation *inner) {
      if (touchesTensors(inner))
        touches = inner;
    });
    if (!touches)
      continue;
    InFlightDiagnostic diag = emitOpError(
        "must stand ahead of all that touches tensors or takes tiles");
    diag.attachNote(touches->getLoc()) << "as this does";
    return diag;
  }
  return success();
}

// C19
LogicalResult SpecializeOp::verify() {
  SmallVector<RoleKind> kinds;
  for (Operation &op : getBody().front()) {
    auto role = dyn_cast<RoleOp>(op);
    if (!role)
      return op.emitOpError("stands beside roles in 'attn_gpu.specialize'");
    kinds.push_back(role.getKind());
  }
  if (kinds != SmallVector<RoleKind>{RoleKind::Load, RoleKind::Mma})
    return emitOpError() << "holds one role that loads and one that computes, "
                            "got "
                         << kinds.size() << " roles";
  auto roles = llvm::to_vector(getBody().getOps<RoleOp>());
  return verifyRegisters(*this, roles[0], roles[1]);
}

// C42
LogicalResult GroupOp::verify() {
  auto role = (*this)->getParentOfType<RoleOp>();
  if (role && role.getKind() == RoleKind::Mma)
    return success();
  return emitOpError("stands in a role that computes");
}

LogicalResult RoleOp::verify() {
  // C20
  int64_t limit = getKind() == RoleKind::Load ? 1 : 3, groups = getGroups();
  if (groups < 1 || groups > limit)
    return emitOpError() << "has 1 to " << limit << " groups, got " << groups;
  // C21
  WalkResult walk = getBody().walk([&](Operation *op) {
    bool loads = isa<FillOp, PublishOp, TileFetchOp, TileShareOp>(op);
    bool computes =
        isa<RecordOp, WaitOp, ReleaseOp, MmaStartOp, MmaOp, TurnOp>(op) ||
        llvm::any_of(op->getResultTypes(), [](Type type) {
          return isa<FragType, RowvecType, DiagvecType, PendingType>(type);
        });
    if (!(getKind() == RoleKind::Load ? computes : loads))
      return WalkResult::advance();
    op->emitOpError() << "does not belong to role "
                      << stringifyRoleKind(getKind());
    return WalkResult::interrupt();
  });
  return failure(walk.wasInterrupted());
}

// C23
static LogicalResult verifyRecords(Operation *op, ChannelType channel,
                                   size_t records) {
  if (int64_t(records) == channel.getRecords())
    return success();
  return op->emitOpError() << "channel has " << channel.getRecords()
                           << " records, got " << records;
}

LogicalResult FillOp::verify() {
  ChannelType channel = getChannel().getType();
  // C22
  if (failed(verifyOfView(*this, getView().getType(), channel.getColumns(),
                          channel.getElementType())))
    return failure();
  // C31
  bool hasDiagonal = channel.getDiagonal() != 0;
  if (hasDiagonal == getDiagonal().empty() ||
      getOrigins().size() != (hasDiagonal ? 2 : 0))
    return emitOpError() << "has a region with two origins exactly where the "
                            "channel has a diagonal";
  if (hasDiagonal && failed(verifyDiagonalRegion(*this, getDiagonal())))
    return failure();
  // C44
  int64_t parts = getRows().size();
  if (parts == 0 ||
      (parts > 1 && channel.getRows() % (parts * kGroupRows) != 0))
    return emitOpError() << "takes a tile of " << channel.getRows()
                         << " rows from " << parts
                         << " places: parts have whole groups of " << kGroupRows
                         << " rows";
  if (parts > 1 && channel.getCluster() > 1)
    return emitOpError("takes a tile of a cluster from one place");
  // C37
  if (getWarp() < 0 || getWarp() > 3)
    return emitOpError() << "warp must be 0 to 3, got " << getWarp();
  // C34
  if (auto specialize = (*this)->getParentOfType<SpecializeOp>();
      specialize && !getReaders().empty()) {
    auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
    int64_t groups = roles.back().getGroups();
    if (int64_t(getReaders().size()) != groups)
      return emitOpError() << "names readers for " << getReaders().size()
                           << " groups, of which there are " << groups;
  }
  return verifyRecords(*this, channel, getRecords().size());
}

// C32
LogicalResult DiagonalReadOp::verify() {
  ChannelType channel = getChannel().getType();
  if (channel.getDiagonal() == 0)
    return emitOpError("reads a channel that has no diagonal");
  return mustBe(*this, "result", getType(), channel.getDiagonalType());
}

LogicalResult PublishOp::verify() {
  return verifyRecords(*this, getChannel().getType(), getRecords().size());
}

LogicalResult RecordOp::verify() {
  int64_t own = getOwn(), results = getRecords().size(), groups = 1;
  if (own < 0 || own > results)
    return emitOpError() << "has " << results << " results, own " << own;
  if (auto role = (*this)->getParentOfType<RoleOp>())
    groups = role.getGroups();
  return verifyRecords(*this, getChannel().getType(),
                       results + (groups - 1) * own);
}

// C24
LogicalResult WaitOp::verify() {
  return mustBe(*this, "result", getType(),
                getChannel().getType().getTileType());
}

// C39
LogicalResult TileFetchOp::verify() {
  if (getCluster() != 1 && getCluster() != 2)
    return emitOpError() << "cluster must be 1 or 2, got " << getCluster();
  bool isShared =
      getTile().hasOneUse() && isa<TileShareOp>(*getTile().user_begin());
  if (getCluster() == 2 && !isShared)
    return emitOpError("of a cluster is shared once and used by nothing else");
  return success();
}

// C40
LogicalResult TileShareOp::verify() {
  auto fetch = getFetched().getDefiningOp<TileFetchOp>();
  if (!fetch || fetch.getCluster() != 2)
    return emitOpError("takes the tile of a 'tile.fetch' of a cluster");
  return success();
}

// C28
LogicalResult TurnOp::verify() {
  if (getKind() != "take" && getKind() != "pass")
    return emitOpError() << "is 'take' or 'pass', got '" << getKind() << "'";
  return success();
}
