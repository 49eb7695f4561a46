//===- NarrowEdges.cpp - -attn-gpu-narrow-edges ---------------------------===//
//
// Which keys of a block a warpgroup's rows may see follows from the planes of a
// mask that bound n from above: those behind the bound need no products.
//
//===----------------------------------------------------------------------===//

#include "Scalars.h"
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DEF_ATTNGPUNARROWEDGES
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
struct AttnGpuNarrowEdges
    : attn_gpu::impl::AttnGpuNarrowEdgesBase<AttnGpuNarrowEdges> {
  void runOnOperation() override {
    SmallVector<SpecializeOp> all;
    getOperation().walk([&](SpecializeOp op) {
      if (op.getEdges())
        all.push_back(op);
    });
    for (SpecializeOp specialize : all)
      for (auto role : specialize.getBody().getOps<RoleOp>())
        if (role.getKind() == RoleKind::Mma)
          narrow(role);
  }

  void narrow(RoleOp role);
};

/// A block that a mask cuts, and its product of scores.
struct Edge {
  MaskOp mask;
  MmaStartOp scores;
  SmallVector<Plane> bounds;

  static std::optional<Edge> find(MaskOp mask);
  /// Computes how many keys, counted from the block's first one, may be seen,
  /// in front of the scores' product, and tells it.
  Value narrowScores();
};
} // namespace

/// The product that a fragment of scores comes from, through maps of it alone;
/// null where something else reads them, too.
static MmaStartOp findStart(Value scores) {
  while (auto map = scores.getDefiningOp<MapOp>()) {
    if (!scores.hasOneUse())
      return {};
    Value source;
    for (Value input : map.getInputs()) {
      if (!isa<FragType>(input.getType()))
        continue;
      if (source)
        return {};
      source = input;
    }
    if (!source)
      return {};
    scores = source;
  }
  auto await = scores.getDefiningOp<AwaitOp>();
  if (!await || !scores.hasOneUse())
    return {};
  return await.getPending().getDefiningOp<MmaStartOp>();
}

/// Whether index arithmetic can stand in front of an op of its block.
static bool canHoist(Value value, Operation *before) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != before->getBlock() ||
      op->isBeforeInBlock(before))
    return true;
  return isa<arith::ArithDialect>(op->getDialect()) &&
         llvm::all_of(op->getOperands(),
                      [&](Value v) { return canHoist(v, before); });
}

static void hoist(Value value, Operation *before) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != before->getBlock() ||
      op->isBeforeInBlock(before))
    return;
  for (Value operand : op->getOperands())
    hoist(operand, before);
  op->moveBefore(before);
}

std::optional<Edge> Edge::find(MaskOp mask) {
  if (mask.getBody().empty() || !matchPattern(mask.getFull(), m_Zero()))
    return std::nullopt;
  Edge edge{mask, findStart(mask.getScores()), {}};
  Block &region = mask.getBody().front();
  auto planes = findPlanes(region.getTerminator()->getOperand(0),
                           region.getArgument(0), region.getArgument(1));
  if (!planes || !edge.scores || edge.scores->getBlock() != mask->getBlock())
    return std::nullopt;
  for (const Plane &plane : *planes)
    if (plane.n < 0)
      edge.bounds.push_back(plane);
  bool isKnown = canHoist(mask.getN0(), edge.scores) &&
                 canHoist(mask.getM0(), edge.scores);
  if (edge.bounds.empty() || !isKnown)
    return std::nullopt;
  return edge;
}

Value Edge::narrowScores() {
  hoist(mask.getN0(), scores);
  hoist(mask.getM0(), scores);
  OpBuilder b(scores);
  Location loc = mask.getLoc();
  Scalars s(b, loc);
  Value group = GroupOp::create(b, loc);
  Value row = s.add(mask.getM0(), s.mul(group, s.index(kGroupRows)));
  Value keys;
  for (const Plane &plane : bounds) {
    // n is at most constant + m · row, whichever row likes it most.
    Value end = s.sub(s.index(plane.constant + 1), mask.getN0());
    if (plane.m > 0)
      end = s.add(end, s.add(row, s.index(kGroupRows - 1)));
    if (plane.m < 0)
      end = s.sub(end, row);
    keys = keys ? s.min(keys, end) : end;
  }
  scores.getKeysMutable().assign(keys);
  return keys;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// What a loop yields as the weights of its last block.
static std::optional<unsigned> findWeights(ValueRange yielded) {
  for (auto [index, value] : llvm::enumerate(yielded)) {
    auto frag = dyn_cast<FragType>(value.getType());
    if (frag && frag.getLayout() == Layout::QuadA)
      return index;
  }
  return std::nullopt;
}

/// Tells the products of these weights how many keys they are of.
static void narrowOutputs(Value weights, Value keys) {
  for (Operation *user : weights.getUsers()) {
    auto start = dyn_cast<MmaStartOp>(user);
    if (start && start.getLhs() == weights)
      start.getKeysMutable().assign(keys);
  }
}

/// Hands on one more value from the first part of a loop to the second one and
/// behind it, and tells both of these weights.
static void passOn(scf::WhileOp loop, Value weights, Value keys) {
  OpBuilder b(loop);
  scf::ConditionOp condition = loop.getConditionOp();
  auto position = llvm::find(condition.getArgs(), weights);
  if (position == condition.getArgs().end())
    return;
  unsigned index = position - condition.getArgs().begin();
  SmallVector<Type> types(loop.getResultTypes());
  types.push_back(keys.getType());
  auto wider = scf::WhileOp::create(b, loop.getLoc(), types, loop.getInits());
  condition.getArgsMutable().append(keys);
  wider.getBefore().takeBody(loop.getBefore());
  wider.getAfter().takeBody(loop.getAfter());
  Value inside =
      wider.getAfterBody()->addArgument(keys.getType(), loop.getLoc());
  loop.replaceAllUsesWith(wider.getResults().drop_back());
  narrowOutputs(wider.getAfterArguments()[index], inside);
  narrowOutputs(wider.getResult(index), wider.getResults().back());
  loop.erase();
}

//===----------------------------------------------------------------------===//
// Blocks that a warpgroup sees nothing of
//===----------------------------------------------------------------------===//

/// What stands for a value where no key of the block is seen: a state is as it
/// was, the factor of what was is one, weights are zero; null where that is
/// not known.
static Value makeHidden(OpBuilder &b, scf::ForOp loop, Value value) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (user == loop.getBody()->getTerminator())
      return loop.getRegionIterArg(use.getOperandNumber());
    auto rescale = dyn_cast<RescaleOp>(user);
    if (rescale && rescale.getAlpha() == value) {
      Location loc = value.getLoc();
      Value one = arith::ConstantFloatOp::create(b, loc, b.getF32Type(),
                                                 llvm::APFloat(1.0f));
      return SplatOp::create(b, loc, value.getType(), one);
    }
    if (isa<ConvertOp>(user))
      return ZeroOp::create(b, value.getLoc(), value.getType());
  }
  return {};
}

/// Goes round a block's mask and weights where no key is seen. They stand
/// between two awaits.
static void skipHidden(scf::ForOp loop, Edge &edge, Value keys) {
  SmallVector<Operation *> inside;
  Operation *end = edge.mask;
  for (; end && !isa<AwaitOp, scf::YieldOp>(end); end = end->getNextNode())
    inside.push_back(end);
  auto isInside = [&](Operation *op) {
    while (op && op->getBlock() != loop.getBody())
      op = op->getParentOp();
    return llvm::is_contained(inside, op);
  };
  SmallVector<Value> leaving;
  for (Operation *op : inside) {
    if (!isMemoryEffectFree(op))
      return;
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(),
                       [&](Operation *user) { return !isInside(user); }))
        leaving.push_back(result);
  }
  OpBuilder b(end);
  Location loc = edge.mask.getLoc();
  Scalars s(b, loc);
  Value seen = s.cmp(arith::CmpIPredicate::sgt, keys, s.index(0));
  auto choice = scf::IfOp::create(b, loc, ValueRange(leaving).getTypes(), seen,
                                  /*withElseRegion=*/true);
  OpBuilder other = choice.getElseBodyBuilder();
  SmallVector<Value> hidden;
  for (Value value : leaving)
    hidden.push_back(makeHidden(other, loop, value));
  if (llvm::is_contained(hidden, Value())) {
    choice.erase();
    return;
  }
  scf::YieldOp::create(other, loc, hidden);
  OpBuilder same = choice.getThenBodyBuilder();
  scf::YieldOp::create(same, loc, leaving);
  for (auto [value, result] : llvm::zip_equal(leaving, choice.getResults()))
    value.replaceUsesWithIf(result, [&](OpOperand &use) {
      Operation *user = use.getOwner();
      return !isInside(user) && !choice->isAncestor(user);
    });
  Operation *yield = choice.thenYield();
  for (Operation *op : inside)
    op->moveBefore(yield);
}

//===----------------------------------------------------------------------===//

/// The loop over blocks that need a mask; where there is none, each tile's
/// first block is the only one.
void AttnGpuNarrowEdges::narrow(RoleOp role) {
  SmallVector<MaskOp> inLoops, first;
  role.walk([&](MaskOp mask) {
    (mask->getParentOfType<scf::ForOp>() ? inLoops : first).push_back(mask);
  });
  for (MaskOp mask : inLoops.empty() ? first : inLoops) {
    std::optional<Edge> edge = Edge::find(mask);
    if (!edge)
      continue;
    Value keys = edge->narrowScores();
    auto loop = dyn_cast<scf::ForOp>(mask->getParentOp());
    if (!loop)
      continue;
    skipHidden(loop, *edge, keys);
    auto tiles = dyn_cast<scf::WhileOp>(loop->getParentOp());
    auto weights = findWeights(loop.getBody()->getTerminator()->getOperands());
    if (!tiles || !weights)
      continue;
    IRRewriter rewriter(loop);
    Value all = arith::ConstantIndexOp::create(
        rewriter, loop.getLoc(), edge->scores.getRhs().getType().getRows());
    FailureOr<LoopLikeOpInterface> wider = loop.replaceWithAdditionalYields(
        rewriter, all, /*replaceInitOperandUsesInLoop=*/false,
        [&](OpBuilder &, Location, ArrayRef<BlockArgument>) {
          return SmallVector<Value>{keys};
        });
    if (failed(wider))
      return signalPassFailure();
    ValueRange results = (*wider)->getResults();
    passOn(tiles, results[*weights], results.back());
  }
}
