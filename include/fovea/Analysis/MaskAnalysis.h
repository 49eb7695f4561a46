//===- MaskAnalysis.h - What is visible on a rectangle -----------*- C++-*-===//
//
// The two analyses of a mask together: bounds (RegionBounds) decide most
// rectangles in well under a microsecond; integer polyhedra (AffineMask) decide
// the rest exactly where the mask is made of comparisons of sums.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_MASKANALYSIS_H
#define FOVEA_ANALYSIS_MASKANALYSIS_H

#include "fovea/Analysis/AffineMask.h"

#include <memory>

namespace fovea {

/// How far the analysis of a mask goes, from the cheapest to the dearest.
enum class MaskMethod : uint8_t {
  Everything, ///< there is no mask
  Intervals,  ///< each row sees few intervals of keys, given in closed form
  Polyhedra,  ///< integer polyhedra: every tile is decided exactly
  Bounds,     ///< intervals and congruences; mixed tiles may stay undecided
  Table       ///< reads a table at (q, kv): only points decide
};
llvm::StringRef stringify(MaskMethod method);

/// One thread's analysis of a Program's mask or, where it has none, of "the
/// score is not -inf". Program and captures must outlive it.
class MaskAnalysis {
public:
  MaskAnalysis(const Program &program, const RegionEnvironment &environment,
               const AffineLimits &limits = {});

  void enter(int64_t batch, int64_t head);

  /// By bounds alone; Partial: undecided.
  TileClass classifyByBounds(const MaskRectangle &rectangle);
  /// By bounds and polyhedra; Partial: both kinds of points, or undecided.
  TileClass classify(const MaskRectangle &rectangle);
  /// Whether `classify` is exact for this batch and head.
  bool isExact();
  /// The polyhedra of this batch and head, or null.
  AffineMask *affine();
  /// For this batch and head.
  MaskMethod method();

  /// Whether all batches and heads look alike.
  bool isShared() const { return shared; }
  const Region *getRegion() const { return region; }
  bool isOfScore() const { return isScore; }

private:
  const Region *region = nullptr;
  bool isScore = false, shared = true, readsTable = false;
  std::optional<RegionBounds> bounds;
  AffineLimits limits;
  bool affineKnown = false;
  std::optional<AffineMask> polyhedra;
};

} // namespace fovea

#endif // FOVEA_ANALYSIS_MASKANALYSIS_H
