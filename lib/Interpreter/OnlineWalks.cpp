//===- OnlineWalks.cpp - Walks of level 2 ---------------------------------===//

#include "OnlineEngine.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::online;

/// Cuts [begin, end) into elements of at most `step` keys, all of which are
/// listed before the first one is visited.
static LogicalResult cut(Operation *op, Walk &walk, int64_t begin, int64_t end,
                         int64_t step, ClassKind kind) {
  constexpr uint64_t limit = 1 << 22;
  if (end <= begin)
    return success();
  uint64_t keys = uint64_t(end) - uint64_t(begin);
  uint64_t count = llvm::divideCeil(keys, uint64_t(step));
  if (count > limit || walk.size() + count > limit)
    return op->emitError() << "visits more than " << limit
                           << " tiles, the most that are interpreted";
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t rest = keys - i * step;
    walk.push_back({int64_t(begin + i * step),
                    int64_t(std::min<uint64_t>(step, rest)), kind});
  }
  return success();
}

LogicalResult OnlineEngine::runWalk(Operation *op) {
  if (auto list = dyn_cast<WalkListOp>(op))
    return runWalkList(list);
  if (auto scan = dyn_cast<WalkScanOp>(op))
    return runWalkScan(scan);
  auto walk = std::make_shared<Walk>();
  if (auto slice = dyn_cast<WalkSliceOp>(op)) {
    const Walk &source = *get<std::shared_ptr<Walk>>(slice.getSource());
    int64_t part = getInt(slice.getPart()), parts = getInt(slice.getParts());
    if (parts < 1 || part < 0 || part >= parts)
      return op->emitError()
             << "part " << part << " of " << parts << " parts does not exist";
    int64_t count = source.size();
    walk->assign(source.begin() + part * count / parts,
                 source.begin() + (part + 1) * count / parts);
  } else {
    auto segments = cast<WalkSegmentsOp>(op);
    for (auto [index, begin, end] :
         llvm::enumerate(segments.getBegins(), segments.getEnds()))
      if (failed(cut(op, *walk, getInt(begin), getInt(end), segments.getStep(),
                     segments.getSegmentClass(index))))
        return failure();
    if (segments.getReverse())
      std::reverse(walk->begin(), walk->end());
  }
  set(op->getResult(0), walk);
  return success();
}

FailureOr<Walk> OnlineEngine::readList(Operation *op, Value classesValue,
                                       ArrayRef<int64_t> row, int64_t width,
                                       int64_t length, int64_t step) {
  const TensorView &classes = getMemRef(classesValue);
  int64_t offset = 0;
  for (auto [dim, index] : llvm::enumerate(row)) {
    if (index < 0 || index >= classes.sizes[dim])
      return op->emitError() << "index " << index << " of dimension " << dim
                             << " is outside 0.." << classes.sizes[dim] - 1;
    offset += index * classes.strides[dim];
  }
  if (width < 1)
    return op->emitError() << "key tile must be positive, got " << width;
  Walk walk;
  for (int64_t tile = 0; tile < classes.sizes[3]; ++tile) {
    int64_t kind = classes.loadInt(offset + tile * classes.strides[3]);
    if (kind < 0 || kind > 2)
      return op->emitError() << "class of key tile " << tile
                             << " must be 0, 1 or 2, got " << kind;
    // Tiles from the length on have no keys.
    if (kind == 0 || length < 1 || tile > (length - 1) / width)
      continue;
    int64_t begin = tile * width, keys = std::min(width, length - begin);
    if (failed(cut(op, walk, begin, begin + keys, step,
                   static_cast<ClassKind>(kind))))
      return failure();
  }
  return walk;
}

LogicalResult OnlineEngine::runWalkList(WalkListOp op) {
  auto row = llvm::map_to_vector(op.getIndices(),
                                 [&](Value index) { return getInt(index); });
  FailureOr<Walk> walk =
      readList(op, op.getClasses(), row, getInt(op.getKeyTile()),
               getInt(op.getLength()), op.getStep());
  if (failed(walk))
    return failure();
  set(op.getWalk(), std::make_shared<Walk>(std::move(*walk)));
  return success();
}

LogicalResult OnlineEngine::runWalkScan(WalkScanOp op) {
  FailureOr<ScalarFrame> frame = bind(op, op.getMask());
  if (failed(frame))
    return failure();
  int64_t m0 = getInt(op.getRowOrigin()), shift = getInt(op.getKvShift());
  int64_t rows = op.getRows();
  Walk all;
  if (failed(cut(op, all, getInt(op.getBegin()), getInt(op.getEnd()),
                 op.getStep(), ClassKind::Partial)))
    return failure();
  auto walk = std::make_shared<Walk>();
  for (WalkElement element : all) {
    int64_t visible = 0;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < element.count; ++j)
        visible += frame
                       ->run({ScalarValue::ofInt(m0 + i),
                              ScalarValue::ofInt(element.first + shift + j)})
                       .front()
                       .i;
    if (visible == 0)
      continue;
    if (visible == rows * element.count)
      element.kind = ClassKind::Full;
    walk->push_back(element);
  }
  set(op.getWalk(), walk);
  return success();
}
