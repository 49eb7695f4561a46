//===- MaskBounds.h - Key intervals of a mask in closed form ----*- C++ -*-===//
//
// The predicates of a mask region that compare sums of positions and values of
// the launch bound the keys that a range of query rows can see. This analysis
// emits those bounds as integer arithmetic. What it does not understand it
// treats as "may be visible", so the answer is always sound.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_MASKBOUNDS_H
#define FOVEA_ANALYSIS_MASKBOUNDS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Region.h"
#include "llvm/ADT/SmallVector.h"

#include <memory>
#include <string>

namespace fovea {

/// Global key positions, i64 values with begin <= end.
struct KeyInterval {
  mlir::Value begin, end;
  /// Inside [begin, end); null where no key is known to be visible from all
  /// rows. The same value as begin (end) where they never differ.
  mlir::Value fullBegin, fullEnd;
};

struct KeyBounds {
  /// Ascending and disjoint. Keys outside are invisible from every row, keys in
  /// a full interval are visible from every row.
  llvm::SmallVector<KeyInterval, 2> parts;
  /// The parts hold no more keys than a closed form can tell apart: evaluating
  /// the mask to find empty tiles inside them is not worth it.
  bool isClosedForm = true;
  /// Why not, in words.
  std::string reason;
};

namespace detail {
struct MaskFacts;
} // namespace detail

/// Analyses a region whose first two arguments are the global positions
/// (m: i64, n: i64) and that yields one i1; other values come from above. The
/// region must outlive the analysis. An empty region is all true.
class MaskBounds {
public:
  /// Positions and sizes are promised to be below 2^positionBits (at most 60).
  MaskBounds(mlir::Region &mask, unsigned positionBits);
  ~MaskBounds();

  /// Emits the bounds for rows firstRow…lastRow (inclusive, not empty) and keys
  /// [firstKey, endKey), firstKey <= endKey. Values from above the region must
  /// dominate the insertion point.
  KeyBounds emit(mlir::OpBuilder &builder, mlir::Location loc,
                 mlir::Value firstRow, mlir::Value lastRow,
                 mlir::Value firstKey, mlir::Value endKey) const;

private:
  std::unique_ptr<detail::MaskFacts> facts;
};

} // namespace fovea

#endif // FOVEA_ANALYSIS_MASKBOUNDS_H
