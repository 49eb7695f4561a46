//===- RegionFacts.h - What kernels may rely on ------------------*- C++-*-===//
#ifndef FOVEA_ANALYSIS_REGIONFACTS_H
#define FOVEA_ANALYSIS_REGIONFACTS_H

#include "fovea/Analysis/RegionBounds.h"

#include "llvm/ADT/SmallVector.h"

namespace fovea {

/// The launches that facts hold for: everything that lies in these ranges.
struct FactDomain {
  Interval batch = {0, (int64_t(1) << 40) - 1};
  Interval head = {0, (int64_t(1) << 40) - 1};
  Interval q = {0, (int64_t(1) << 40) - 1};
  Interval kv = {0, (int64_t(1) << 40) - 1};
  Interval element = {0, 511};
};

/// An index operand of a read and whether it always lies in its dimension.
struct IndexFact {
  unsigned node = 0, dim = 0;
  IntBounds range;
  bool inRange = false;
};

/// The finite scores that facts are proved for: |s| <= 2^96.
FloatBounds finiteScores();

/// What is proved of one region on a domain; sound, never complete.
class RegionFacts {
public:
  RegionFacts(const Program &program, const Region &region,
              const RegionEnvironment &environment, const FactDomain &domain);

  /// A float result that is never -inf: nothing is hidden by it.
  bool isAboveMinusInfinity(unsigned result = 0) const;
  /// A float result that is above 0 and not NaN.
  bool isPositive(unsigned result = 0) const;
  /// An i1 result that is always true (1) or always false (0).
  std::optional<bool> constantCondition() const;
  /// Every index of every read that the results need; a read is in range only
  /// where the extent is known.
  llvm::ArrayRef<IndexFact> indices() const { return reads; }
  bool areIndicesInRange() const;
  const IntBounds &intsOf(unsigned node) const { return bounds.ints(node); }
  const FloatBounds &floatsOf(unsigned node) const {
    return bounds.floats(node);
  }

private:
  RegionBounds bounds;
  llvm::SmallVector<IndexFact, 4> reads;
};

} // namespace fovea

#endif // FOVEA_ANALYSIS_REGIONFACTS_H
