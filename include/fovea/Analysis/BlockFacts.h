//===- BlockFacts.h - RegionFacts of scalar code in IR -----------*- C++-*-===//
//
// What is proved of the scalar code of an op, whatever the values from above
// and those that it reads are: sound, never complete.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_BLOCKFACTS_H
#define FOVEA_ANALYSIS_BLOCKFACTS_H

#include "mlir/IR/Block.h"

namespace fovea {

/// Whether a float result lies within ±limit, or is NaN, for any arguments.
bool staysWithin(mlir::Block &block, double limit, unsigned result = 0);

/// Whether the body of a score region (s b h q kv) never gives -inf for finite
/// scores: nothing is hidden by it.
bool isAboveMinusInfinity(mlir::Block &block);

/// Whether the body of a normaliser's weight or denominator (s t b h q kv)
/// gives 0 wherever the score is -inf, so that no selection is needed for a
/// hidden key. `seeded`: t may be NaN.
bool vanishesWhereHidden(mlir::Block &block, bool seeded);

/// Whether the body of a statistic (s) gives -inf there.
bool staysWhereHidden(mlir::Block &block);

} // namespace fovea

#endif // FOVEA_ANALYSIS_BLOCKFACTS_H
