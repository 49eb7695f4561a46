//===- Flatten.h - Two roles that walk one stream ---------------*- C++ -*-===//
#ifndef FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_FLATTEN_H
#define FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_FLATTEN_H

#include "Places.h"
#include "Scalars.h"

namespace mlir::attn_gpu {

/// What both roles know of a kernel.
struct Stream {
  RoleOp loader, computer;
  ForTilesOp loadTiles, mmaTiles;
  ForBlocksOp loadBlocks, mmaBlocks;
  Places::Facts facts;
  ScheduleAttr schedule;
  ChannelOp q, k, v;
  /// How many tiles there are, before the roles.
  Value tiles;
  /// Index values of the computing role's tile that travel beside Q, before
  /// the values of Places.
  SmallVector<Value> records;
  /// Of rows that are shared out: the tile's first query, which each warpgroup
  /// has for itself.
  Value origin;
};

/// Finds the parts of a kernel that -attn-gpu-split-roles made.
FailureOr<Stream> findStream(SpecializeOp specialize);

/// Rewrites the body of each role. The loader's comes first: it says how many
/// records there are.
void flattenLoader(Stream &stream);
void flattenComputer(Stream &stream);

/// The loop `while`: `head` gives the condition and what it hands on, `next`
/// the values of the next round. Returns what the last round handed on.
using LoopHead =
    function_ref<std::pair<Value, SmallVector<Value>>(OpBuilder &, ValueRange)>;
using LoopNext = function_ref<SmallVector<Value>(OpBuilder &, ValueRange)>;
SmallVector<Value> createWhile(OpBuilder &b, Location loc, ValueRange inits,
                               LoopHead head, LoopNext next);
/// A counted loop from `begin` below `end`.
SmallVector<Value> createFor(
    OpBuilder &b, Location loc, Value begin, Value end, ValueRange inits,
    function_ref<SmallVector<Value>(OpBuilder &, Value, ValueRange)> body);

} // namespace mlir::attn_gpu

#endif // FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_FLATTEN_H
