//===- BlockFacts.cpp - RegionFacts of scalar code in IR ------------------===//
#include "fovea/Analysis/BlockFacts.h"
#include "fovea/Analysis/RegionFacts.h"
#include "fovea/Frontend/AttnModule.h"

#include <cmath>
#include <limits>

using namespace fovea;

using Names = llvm::ArrayRef<llvm::StringRef>;

/// What the result can be; arguments without a name may be anything.
static FloatBounds findResult(mlir::Block &block, Names names,
                              const RegionEnvironment &environment,
                              unsigned result = 0) {
  std::optional<OpenRegion> open = readOpenBlock(block, names);
  if (!open)
    return FloatBounds();
  FactDomain launch;
  constexpr int64_t far = (int64_t(1) << 60) - 1;
  launch.batch = launch.head = {0, far};
  launch.q = launch.kv = {-far, far};
  RegionFacts facts(open->program, open->region, environment, launch);
  return facts.floatsOf(open->region.results[result]);
}

bool fovea::staysWithin(mlir::Block &block, double limit, unsigned result) {
  FloatBounds found = findResult(block, {}, RegionEnvironment(), result);
  return found.low >= -limit && found.high <= limit;
}

bool fovea::isAboveMinusInfinity(mlir::Block &block) {
  RegionEnvironment environment;
  environment.score = finiteScores();
  return findResult(block, {"s", "b", "h", "q", "kv"}, environment).low >
         -HUGE_VAL;
}

static bool isWhereHidden(mlir::Block &block, Names names, double value,
                          bool seeded) {
  RegionEnvironment environment;
  environment.score = FloatBounds::of(-HUGE_VAL);
  // A maximum of -inf gives way to a finite number before weights are asked.
  constexpr double least = -std::numeric_limits<double>::max();
  environment.statistic = {least, HUGE_VAL, seeded};
  FloatBounds found = findResult(block, names, environment);
  return found.isPoint() && found.low == value;
}

bool fovea::vanishesWhereHidden(mlir::Block &block, bool seeded) {
  return isWhereHidden(block, {"s", "t", "b", "h", "q", "kv"}, 0, seeded);
}

bool fovea::staysWhereHidden(mlir::Block &block) {
  return isWhereHidden(block, {"s"}, -HUGE_VAL, /*seeded=*/false);
}
