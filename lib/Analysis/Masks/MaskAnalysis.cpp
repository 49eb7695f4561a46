//===- MaskAnalysis.cpp - What is visible on a rectangle ------------------===//
#include "fovea/Analysis/MaskAnalysis.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace fovea;

llvm::StringRef fovea::stringify(MaskMethod method) {
  switch (method) {
  case MaskMethod::Everything:
    return "everything";
  case MaskMethod::Intervals:
    return "intervals";
  case MaskMethod::Polyhedra:
    return "polyhedra";
  case MaskMethod::Bounds:
    return "bounds";
  case MaskMethod::Table:
    return "table";
  }
  llvm_unreachable("unknown method");
}

/// Whether a capture that the region needs is read at indices of which one
/// depends on q and another on kv, or one on both beside a varying one.
static bool hasTableRead(const Region &region) {
  std::vector<uint8_t> onPosition(region.nodes.size());
  std::vector<bool> table(region.nodes.size());
  for (auto [index, node] : llvm::enumerate(region.nodes)) {
    if (node.kind == NodeKind::Arg)
      onPosition[index] = node.symbol == "q" ? 1 : node.symbol == "kv" ? 2 : 0;
    unsigned varying = 0;
    uint8_t all = 0;
    for (unsigned operand : node.operands) {
      all |= onPosition[operand];
      varying += onPosition[operand] != 0;
      if (table[operand])
        table[index] = true;
    }
    onPosition[index] |= all;
    if (node.kind == NodeKind::Read && varying > 1 && all == 3)
      table[index] = true;
  }
  return table[region.results.front()];
}

MaskAnalysis::MaskAnalysis(const Program &program,
                           const RegionEnvironment &environment,
                           const AffineLimits &limits)
    : limits(limits) {
  if (program.mask) {
    region = &*program.mask;
  } else if (program.score) {
    region = &*program.score;
    isScore = true;
  }
  if (!region)
    return;
  bounds.emplace(program, *region, environment);
  readsTable = hasTableRead(*region);
  shared = llvm::none_of(region->nodes, [](const Node &node) {
    return node.kind == NodeKind::Arg &&
           (node.symbol == "b" || node.symbol == "h");
  });
}

void MaskAnalysis::enter(int64_t batch, int64_t head) {
  if (!bounds)
    return;
  bounds->enter(batch, head);
  affineKnown = false;
  polyhedra.reset();
}

TileClass MaskAnalysis::classifyByBounds(const MaskRectangle &rectangle) {
  if (!bounds)
    return TileClass::Full;
  bounds->evaluate(rectangle.q, rectangle.kv);
  if (isScore) {
    const FloatBounds &score = bounds->floatResult();
    if (score.low > -HUGE_VAL) // NaN is not -inf either
      return TileClass::Full;
    return score.high == -HUGE_VAL && !score.nan ? TileClass::Empty
                                                 : TileClass::Partial;
  }
  const IntBounds &mask = bounds->intResult();
  return !mask.isPoint() ? TileClass::Partial
         : mask.low != 0 ? TileClass::Full
                         : TileClass::Empty;
}

TileClass MaskAnalysis::classify(const MaskRectangle &rectangle) {
  TileClass found = classifyByBounds(rectangle);
  if (found == TileClass::Partial)
    if (AffineMask *mask = affine())
      return mask->classify(rectangle).value_or(TileClass::Partial);
  return found;
}

AffineMask *MaskAnalysis::affine() {
  if (bounds && !affineKnown) {
    affineKnown = true;
    polyhedra = AffineMask::build(*bounds, isScore, limits);
  }
  return polyhedra ? &*polyhedra : nullptr;
}

bool MaskAnalysis::isExact() { return !bounds || affine(); }

MaskMethod MaskAnalysis::method() {
  if (!bounds)
    return MaskMethod::Everything;
  if (AffineMask *mask = affine(); mask && mask->isEverything())
    return MaskMethod::Everything;
  if (AffineMask *mask = affine())
    return mask->isIntervals() ? MaskMethod::Intervals : MaskMethod::Polyhedra;
  return readsTable ? MaskMethod::Table : MaskMethod::Bounds;
}
