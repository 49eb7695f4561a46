//===- LaunchMask.cpp - The mask of one call, analysed --------------------===//
#include "fovea/Interpreter/LaunchMask.h"
#include "fovea/Runtime/Driver.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"

using namespace fovea;

/// Calls of fewer multiply-adds take less than a millisecond anyway.
static constexpr double worthAnalysis = 2e7;
/// Keys of a tile: what a document or a hole has to hold to be skipped.
static constexpr int64_t keyTile = 64;

static bool uses(const Region &region, llvm::StringRef argument) {
  return llvm::any_of(region.nodes, [&](const Node &node) {
    return node.kind == NodeKind::Arg && node.symbol == argument;
  });
}

/// Batches and heads that look alike are one.
static MaskDomain makeDomain(const LaunchView &view, const Region &region) {
  MaskDomain domain;
  bool alike = llvm::all_equal(view.qOffset) && llvm::all_equal(view.kvOffset);
  domain.batch = alike && !uses(region, "b") ? 1 : view.batch;
  domain.heads = uses(region, "h") ? view.queryHeads : 1;
  domain.queries = *llvm::max_element(view.qLengths);
  domain.keys = *llvm::max_element(view.kvLengths);
  domain.queryOffsets = view.qOffset;
  domain.keyOffsets = view.kvOffset;
  domain.sizes = view.sizes();
  domain.score = FloatBounds(); // whatever the products are
  return domain;
}

/// Bytes of captures that are compared with those of the call before, of more
/// the analysis reads a part as well; and of tiles that a kernel keeps.
static constexpr int64_t mostRemembered = 1 << 20;

static bool isDense(const TensorView &tensor) {
  int64_t stride = 1;
  for (size_t i = tensor.sizes.size(); i-- > 0; stride *= tensor.sizes[i])
    if (tensor.sizes[i] != 1 && tensor.strides[i] != stride)
      return false;
  return true;
}

/// All that the runs of a call of one program follow from; nothing where that
/// is much or not in one piece.
static std::optional<std::vector<char>> describe(const Region &region,
                                                 const MaskDomain &domain,
                                                 int64_t itemRows,
                                                 const LaunchView &view) {
  std::vector<char> key;
  auto add = [&](const void *data, size_t bytes) {
    const char *from = static_cast<const char *>(data);
    key.insert(key.end(), from, from + bytes);
  };
  auto addNumbers = [&](llvm::ArrayRef<int64_t> numbers) {
    add(numbers.data(), numbers.size() * sizeof(int64_t));
  };
  const RegionSizes &sizes = *domain.sizes;
  addNumbers({itemRows, domain.batch, domain.heads, domain.queries, domain.keys,
              sizes.B, sizes.H, sizes.Hk, sizes.M, sizes.N, sizes.D, sizes.E});
  addNumbers(domain.queryOffsets);
  addNumbers(domain.keyOffsets);
  std::vector<bool> isRead(view.captures.size());
  for (const Node &node : region.nodes)
    if (node.kind == NodeKind::Read)
      isRead[node.capture] = true;
  int64_t left = mostRemembered;
  for (auto [capture, read] : llvm::zip(view.captures, isRead)) {
    addNumbers(capture.sizes);
    if (!read)
      continue;
    int64_t bytes = capture.numElements() * getBytes(capture.dtype);
    if (!isDense(capture) || bytes > left)
      return std::nullopt;
    left -= bytes;
    add(capture.data, static_cast<size_t>(bytes));
  }
  return key;
}

static int64_t bytesOf(const KnownRuns &known) {
  return static_cast<int64_t>(known.offsets.size() * sizeof(int64_t) +
                              known.runs.size() * sizeof(int32_t));
}

static void use(const KnownRuns &known, int64_t itemRows, LaunchView &view) {
  view.tileRuns =
      TileRuns{known.offsets, known.runs, known.batchStride, known.headStride};
  view.blockQ = itemRows;
  view.blockKV = keyTile;
}

llvm::Error fovea::analyzeLaunchMask(const Program &program, int64_t itemRows,
                                     LaunchView &view, LastRuns &last,
                                     std::shared_ptr<const KnownRuns> &runs) {
  const auto &region = program.mask ? program.mask : program.score;
  if (!region || estimateWork(view) < worthAnalysis)
    return llvm::Error::success();
  MaskDomain domain = makeDomain(view, *region);
  if (domain.queries == 0 || domain.keys == 0 ||
      domain.keys / keyTile >= TileRuns::maxKeyTiles - 1)
    return llvm::Error::success();
  auto key = describe(*region, domain, itemRows, view);
  runs = key ? last.get() : nullptr;
  if (runs && runs->key == *key) {
    use(*runs, itemRows, view);
    return llvm::Error::success();
  }
  ParallelOptions options;
  options.shouldCancel = view.shouldCancel;
  options.cancelContext = view.cancelContext;
  MaskStatistics statistics;
  MaskRuns made;
  MaskEvaluator evaluator(program, view.captures, domain);
  if (!evaluator.runs(made, statistics, itemRows, keyTile, options,
                      MaskEffort::Bounds))
    return makeError(FOVEA_CANCELLED, "the call was cancelled");
  auto found = std::make_shared<KnownRuns>();
  found->offsets = std::move(made.offsets);
  found->runs = std::move(made.runs);
  if (!made.shared) {
    found->batchStride = domain.batch == 1 ? 0 : domain.heads * made.rowTiles;
    found->headStride = domain.heads == 1 ? 0 : made.rowTiles;
  }
  runs = found;
  if (key && bytesOf(*found) <= mostRemembered) {
    found->key = std::move(*key);
    last.set(found);
  }
  use(*runs, itemRows, view);
  return llvm::Error::success();
}
