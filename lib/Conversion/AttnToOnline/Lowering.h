//===- Lowering.h - Parts of the lowering of a variant ----------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNTOONLINE_LOWERING_H
#define FOVEA_LIB_CONVERSION_ATTNTOONLINE_LOWERING_H

#include "Signature.h"
#include "WalkBounds.h"

namespace fovea {

/// Sizes of the launch: index values, and the static feature dims.
struct LoweredSizes {
  mlir::Value batch, queryHeads, keyHeads, queryLength, keyLength;
  int64_t headDim = 0, valueDim = 0;
};

/// The normaliser of level 2: its symbol takes memrefs as captures.
struct LoweredNormalizer {
  mlir::Attribute symbol;
  mlir::SmallVector<mlir::Value> captures;
  bool hasStat = true, hasDenom = true;
};

/// Clones the normaliser of an op beside its source, with memref captures.
LoweredNormalizer lowerNormalizer(mlir::attn::AttentionOp op,
                                  const LoweredArguments &arguments,
                                  const LoweredSizes &sizes,
                                  const mlir::IRMapping &mapping);

/// Whether the op has no mask, but a score region with the constant -inf that
/// is not proved to stay above it: what it hides is for an analysis at each
/// call to find.
bool hidesByScore(mlir::attn::AttentionOp op);

/// Whether the keys of the op are scanned: it has a mask without a closed form,
/// or hides by its score, and no block mask.
bool needsScan(mlir::attn::AttentionOp op, const WalkRequest &request);

/// Makes the function that says which pairs the op's mask shows, beside the
/// lowered one, whose attribute online.visible names it: (b, h, m, n, B, H, Hk,
/// M, N: i64, captures: memrefs) -> i1.
void buildVisibleFunction(mlir::func::FuncOp lowered,
                          mlir::attn::AttentionOp op,
                          const mlir::IRMapping &mapping);

/// Fills the body of the new function.
mlir::LogicalResult buildLoweredBody(mlir::func::FuncOp lowered,
                                     mlir::attn::AttentionOp op,
                                     const LoweredArguments &arguments,
                                     mlir::IRMapping &mapping,
                                     const AttnToOnlineSchedule &schedule);

} // namespace fovea

#endif // FOVEA_LIB_CONVERSION_ATTNTOONLINE_LOWERING_H
