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
  RegionSizes sizes;
  sizes.B = view.batch;
  sizes.H = view.queryHeads;
  sizes.Hk = view.kvHeads;
  sizes.M = view.queryLength;
  sizes.N = view.kvLength;
  sizes.D = view.queries.front().sizes[3];
  sizes.E = view.valueDim;
  domain.sizes = sizes;
  domain.score = FloatBounds(); // whatever the products are
  return domain;
}

llvm::Error fovea::analyzeLaunchMask(const Program &program, int64_t itemRows,
                                     LaunchView &view, MaskRuns &runs) {
  const auto &region = program.mask ? program.mask : program.score;
  if (!region || estimateWork(view) < worthAnalysis)
    return llvm::Error::success();
  MaskDomain domain = makeDomain(view, *region);
  if (domain.queries == 0 || domain.keys == 0 ||
      domain.keys / keyTile >= TileRuns::maxKeyTiles - 1)
    return llvm::Error::success();
  ParallelOptions options;
  options.shouldCancel = view.shouldCancel;
  options.cancelContext = view.cancelContext;
  MaskStatistics statistics;
  MaskEvaluator evaluator(program, view.captures, domain);
  if (!evaluator.runs(runs, statistics, itemRows, keyTile, options,
                      MaskEffort::Bounds))
    return makeError(FOVEA_CANCELLED, "the call was cancelled");
  TileRuns found;
  found.offsets = runs.offsets;
  found.runs = runs.runs;
  if (!runs.shared) {
    found.batchStride = domain.batch == 1 ? 0 : domain.heads * runs.rowTiles;
    found.headStride = domain.heads == 1 ? 0 : runs.rowTiles;
  }
  view.tileRuns = found;
  view.blockQ = itemRows;
  view.blockKV = keyTile;
  return llvm::Error::success();
}
