//===- AffineMask.h - Masks as unions of integer polyhedra -------*- C++-*-===//
//
// A mask whose conditions compare sums of positions, floor divisions and
// remainders by constants, minima, maxima, absolute values and selections of
// such, joined by and, or and not, is a finite union of integer polyhedra once
// batch, head, sizes and captured scalars have their values. MLIR's Presburger
// library decides them exactly.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_AFFINEMASK_H
#define FOVEA_ANALYSIS_AFFINEMASK_H

#include "fovea/Analysis/RegionBounds.h"

#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <vector>

namespace fovea {

/// As in fovea_mask_classes.
enum class TileClass : int8_t { Empty = 0, Partial = 1, Full = 2 };

/// Inclusive ranges of global positions, not empty.
struct MaskRectangle {
  Interval q, kv;
};

/// Limits of the analysis; beyond them there is no AffineMask, or no answer.
struct AffineLimits {
  unsigned conjunctions = 256; ///< of a condition or a value
  unsigned inequalities = 4096;
  unsigned divisions = 32;
  /// Counted, not timed: what an analysis finds depends on the mask alone.
  /// Comparisons of two inequalities, some 0.1 us each.
  uint64_t buildSteps = 1u << 20;
  /// Tableau entries of one object's answers, 0.05 to 0.2 us each: twice what
  /// Swin's windows on 56 by 56 tokens take.
  uint64_t answerSteps = 1u << 25;
};

class AffineMask {
public:
  /// The mask of the batch and head that `bounds` has entered; a score is
  /// visible where it is not -inf. Nothing: not of this kind, or too large.
  static std::optional<AffineMask> build(const RegionBounds &bounds,
                                         bool isScore,
                                         const AffineLimits &limits = {});

  /// Exact. Nothing: positions beyond ±2^40, or past the limit of steps.
  std::optional<TileClass> classify(const MaskRectangle &rectangle);

  /// The keys that row q sees, ascending and disjoint: closed forms of q.
  /// Nothing: the row is not made of few intervals that these forms name.
  std::optional<std::vector<Interval>> keysOf(int64_t q) const;
  /// Whether keysOf has an answer for every row.
  bool isIntervals() const { return intervals; }
  /// One line a polyhedron: "q - 4095 <= kv <= q".
  void print(llvm::raw_ostream &os) const;

  bool isEverything() const {
    return visible.size() == 1 && visible.front().empty();
  }
  bool hasDivisions() const { return !divisions.empty(); }
  unsigned numPolyhedra() const {
    return static_cast<unsigned>(visible.size());
  }

private:
  friend class AffineBuilder;
  /// q·q + kv·kv + constant + Σ factor·division.
  struct Sum {
    int64_t q = 0, kv = 0, constant = 0;
    std::vector<int64_t> divisions;
    bool operator==(const Sum &other) const;
  };
  struct Division { // floor(of / by), by > 0
    Sum of;
    int64_t by = 1;
    bool onKey = false;
  };
  /// All sums are at least 0.
  using Polyhedron = std::vector<Sum>;
  struct Box;

  bool intersects(const std::vector<Polyhedron> &set, const Box &box,
                  bool &known);
  bool isEmptyExactly(const Polyhedron &polyhedron, const Box &box);
  bool solveForKeys(const Sum &sum, int64_t q,
                    const std::vector<int64_t> &quotients,
                    Interval &keys) const;
  bool dependsOnKey(const Sum &sum) const;
  Interval rangeOf(const Sum &sum, const Box &box) const;
  Box makeBox(const MaskRectangle &rectangle) const;
  bool canSolve(const Sum &sum) const;
  void printSum(llvm::raw_ostream &os, const Sum &sum) const;
  static Sum negate(Sum sum);
  void printBound(llvm::raw_ostream &os, const Sum &sum, bool equal) const;

  std::vector<Division> divisions;
  std::vector<Polyhedron> visible, hidden;
  AffineLimits limits;
  uint64_t answerSteps = 0;
  bool intervals = false;
};

} // namespace fovea

#endif // FOVEA_ANALYSIS_AFFINEMASK_H
