//===- AttnGpu.h - The attn_gpu dialect -------------------------*- C++ -*-===//

#ifndef FOVEA_DIALECT_ATTNGPU_IR_ATTNGPU_H
#define FOVEA_DIALECT_ATTNGPU_IR_ATTNGPU_H

#include "fovea/Dialect/AttnGpu/IR/Planes.h"
#include "fovea/Dialect/Online/IR/Online.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "fovea/Dialect/AttnGpu/IR/AttnGpuDialect.h.inc"
#include "fovea/Dialect/AttnGpu/IR/AttnGpuEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuAttrs.h.inc"

#define GET_OP_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuOps.h.inc"

namespace mlir::attn_gpu {
/// Query rows of one warpgroup.
inline constexpr int64_t kGroupRows = 64;

/// Most warpgroups that a joint list is for, each with a row of its own.
inline constexpr int64_t kMostJointGroups = 3;

/// So many tiles in a row share out their rows by length.
inline constexpr int64_t kJointWindow = 8;

/// Who has an element of a joint list, a bit a group, where not all have it: in
/// the order in which such elements take turns. A group's next one is as many
/// places away at most, as long as it has one.
llvm::ArrayRef<int64_t> getJointTurns(int64_t groups);

/// Barriers of a slot that say full. A barrier knows one bit of its phase: who
/// does not read all uses may come a whole phase early, which several in turns
/// tell apart as long as fewer rounds are skipped.
inline constexpr int64_t kSkippedBarriers = 4;
int64_t getFullBarriers(ChannelOp channel);

/// Tiles that a loading role's first warp may be ahead of the others: more than
/// there are slots, whatever the blocks of a tile.
inline constexpr int64_t kToldTiles = 16;

/// Tiles that a cluster's first block may be ahead of the other. It waits for
/// the other's releases of every block's keys, of which a tile has one at
/// least: more than there are slots.
inline constexpr int64_t kSharedTiles = 16;
/// Of shared memory for each of them: a barrier and a number.
inline constexpr int64_t kSharedTileBytes = 16;

/// Warps that the fills of a loading role are shared out to.
int64_t getLoadWarps(RoleOp loader);
} // namespace mlir::attn_gpu

#endif // FOVEA_DIALECT_ATTNGPU_IR_ATTNGPU_H
