//===- Diagonals.cpp - What depends on m - n alone ------------------------===//
//
// A score region that reads memory at m − n would read once for each score and
// wait for it. One such value, the first, leaves the region: it is one of the
// tile's diagonals. There is room beside the keys for one; others are read
// where they are used.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace fovea::gpu;
using namespace mlir::attn_gpu;

namespace {
/// What a value of a region is made of, beside uniform ones: m + c, n + c, any
/// function of m − n.
enum class Source { Uniform, M, N, Difference, Other };

class Sources {
public:
  explicit Sources(Block &block) : block(block) {
    for (auto [index, argument] : llvm::enumerate(block.getArguments()))
      known[argument] = index == 0   ? Source::M
                        : index == 1 ? Source::N
                                     : Source::Other;
    for (Operation &op : block.without_terminator())
      for (Value result : op.getResults())
        known[result] = classify(&op);
  }
  Source of(Value value) const {
    auto it = known.find(value);
    return it == known.end() ? Source::Uniform : it->second;
  }
  /// Values of m − n that read memory and that something else uses.
  SmallVector<Value> getRoots() const;
  /// The ops of the region that a value is made of, in their order.
  SmallVector<Operation *> getSlice(Value value) const;

private:
  Source classify(Operation *op) const;

  Block &block;
  DenseMap<Value, Source> known;
};
} // namespace

Source Sources::classify(Operation *op) const {
  if (op->getNumRegions() != 0)
    return Source::Other;
  SmallVector<Source> from;
  for (Value operand : op->getOperands())
    from.push_back(of(operand));
  if (llvm::all_of(from, [](Source s) { return s == Source::Uniform; }))
    return Source::Uniform;
  if (llvm::all_of(from, [](Source s) {
        return s == Source::Uniform || s == Source::Difference;
      }))
    return Source::Difference;
  if (!isa<arith::AddIOp, arith::SubIOp>(op))
    return Source::Other;
  bool isSum = isa<arith::AddIOp>(op);
  if (from[1] == Source::Uniform)
    return from[0] == Source::M || from[0] == Source::N ? from[0]
                                                        : Source::Other;
  if (isSum && from[0] == Source::Uniform)
    return from[1] == Source::M || from[1] == Source::N ? from[1]
                                                        : Source::Other;
  bool opposed = (from[0] == Source::M && from[1] == Source::N) ||
                 (from[0] == Source::N && from[1] == Source::M);
  return !isSum && opposed ? Source::Difference : Source::Other;
}

SmallVector<Operation *> Sources::getSlice(Value value) const {
  llvm::SmallPtrSet<Operation *, 16> inside;
  SmallVector<Value> work{value};
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (op && op->getBlock() == &block && inside.insert(op).second)
      llvm::append_range(work, op->getOperands());
  }
  SmallVector<Operation *> slice;
  for (Operation &op : block)
    if (inside.contains(&op))
      slice.push_back(&op);
  return slice;
}

SmallVector<Value> Sources::getRoots() const {
  SmallVector<Value> roots;
  for (Operation &op : block.without_terminator()) {
    if (op.getNumResults() != 1 || !op.getResult(0).getType().isF32())
      continue;
    Value result = op.getResult(0);
    bool isUsed = llvm::any_of(op.getUsers(), [&](Operation *user) {
      return user == block.getTerminator() ||
             of(user->getResult(0)) != Source::Difference;
    });
    if (of(result) == Source::Difference && isUsed &&
        llvm::any_of(getSlice(result),
                     [](Operation *op) { return isa<attn::ReadOp>(op); }))
      roots.push_back(result);
  }
  return roots;
}

void GridLowering::takeDiagonal(MapOp map) {
  Block &block = map.getBody().front();
  if (map.getOrigins().size() != 2)
    return;
  Sources sources(block);
  SmallVector<Value> roots = sources.getRoots();
  if (roots.empty() || diagonal)
    return;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(map);
  auto type = DiagvecType::get(
      b.getContext(), tiles.getSchedule().getQueryRows(),
      cast<FragType>(map.getType()).getColumns(), b.getF32Type());
  diagonal = DiagonalOp::create(b, loc, type, map.getOrigins()[0],
                                map.getOrigins()[1]);
  // m − n is what it is at (m − n, 0).
  Block *body = b.createBlock(&diagonal.getBody());
  IRMapping inner;
  inner.map(block.getArgument(0), body->addArgument(b.getI64Type(), loc));
  inner.map(block.getArgument(1),
            arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(0)));
  for (Operation *op : sources.getSlice(roots.front()))
    b.clone(*op, inner);
  YieldOp::create(b, loc, inner.lookup(roots.front()));
  map.getInputsMutable().append(diagonal.getResult());
  roots.front().replaceAllUsesWith(block.addArgument(b.getF32Type(), loc));
}
