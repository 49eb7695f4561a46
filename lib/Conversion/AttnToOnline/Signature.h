//===- Signature.h - The arguments of a level-2 function --------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNTOONLINE_SIGNATURE_H
#define FOVEA_LIB_CONVERSION_ATTNTOONLINE_SIGNATURE_H

#include "fovea/Conversion/AttnToOnline/AttnToOnline.h"
#include "mlir/IR/IRMapping.h"

namespace fovea {

/// The arguments of the new function by role, in their order.
struct LoweredArguments {
  mlir::SmallVector<mlir::Value, 1> queries, keys;
  mlir::Value value;
  mlir::SmallVector<mlir::Value> captures, scales;
  mlir::Value qOffset, kvOffset, qLengths, kvLengths;
  mlir::Value pageTable; ///< null where keys and values have no pages
  mlir::Value classes, queryTile, keyTile; ///< null where no list is walked
  mlir::Value out, lse;                    ///< lse null where not returned
};

/// Makes the empty function beside `func` and maps its captures and scales.
/// Offsets and lengths are arguments even where the op has none.
mlir::FailureOr<mlir::func::FuncOp>
createLoweredFunction(mlir::func::FuncOp func, mlir::attn::AttentionOp op,
                      const AttnToOnlineSchedule &schedule,
                      LoweredArguments &arguments, mlir::IRMapping &mapping);

/// A memref with dynamic strides and sizes, but for the last size where
/// `columns` is not negative.
mlir::MemRefType getStridedMemRef(mlir::Type element, unsigned rank,
                                  int64_t columns);

} // namespace fovea

#endif // FOVEA_LIB_CONVERSION_ATTNTOONLINE_SIGNATURE_H
