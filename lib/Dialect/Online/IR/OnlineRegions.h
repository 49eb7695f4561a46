//===- OnlineRegions.h - Checks of scalar regions ---------------*- C++ -*-===//

#ifndef FOVEA_LIB_DIALECT_ONLINE_IR_ONLINEREGIONS_H
#define FOVEA_LIB_DIALECT_ONLINE_IR_ONLINEREGIONS_H

#include "fovea/Dialect/Online/IR/Online.h"

namespace mlir::online {

/// Checks the arguments, the yielded types and the ops of a scalar region.
LogicalResult verifyScalarRegion(Operation *op, Region &region,
                                 ArrayRef<Type> arguments,
                                 ArrayRef<Type> results);

} // namespace mlir::online

#endif // FOVEA_LIB_DIALECT_ONLINE_IR_ONLINEREGIONS_H
