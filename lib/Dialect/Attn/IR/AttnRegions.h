//===- AttnRegions.h - Checks of scalar regions -----------------*- C++ -*-===//

#ifndef FOVEA_LIB_DIALECT_ATTN_IR_ATTNREGIONS_H
#define FOVEA_LIB_DIALECT_ATTN_IR_ATTNREGIONS_H

#include "fovea/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// Checks the arguments, the yielded types and the ops of a scalar region.
/// `name` is the region's in diagnostics; floats must have the score type,
/// where one is given.
LogicalResult verifyScalarRegion(Operation *op, StringRef name, Region &region,
                                 ArrayRef<Type> arguments,
                                 ArrayRef<Type> results, Type scoreType);

/// Checks that t enters a weight or denom region only as a factor exp(-t).
LogicalResult verifyRescalable(Operation *op, StringRef name, Region &region,
                               bool hasStat);

/// Names the leading arguments of a region after what they are.
void nameArguments(Region &region, StringRef names,
                   OpAsmSetValueNameFn setName);

} // namespace mlir::attn

#endif // FOVEA_LIB_DIALECT_ATTN_IR_ATTNREGIONS_H
