//===- Lowering.h - A grid as tiles and fragments ---------------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOATTNGPU_LOWERING_H
#define FOVEA_LIB_CONVERSION_ONLINETOATTNGPU_LOWERING_H

#include "fovea/Conversion/OnlineToAttnGpu/OnlineToAttnGpu.h"

namespace fovea::gpu {
using namespace mlir;

/// The running values of a normaliser; null where it has none of the kind.
struct State {
  Value max, sum, out;

  SmallVector<Value> flat() const {
    SmallVector<Value> list;
    for (Value value : {max, sum, out})
      if (value)
        list.push_back(value);
    return list;
  }
  /// The same kinds from a list.
  State like(ValueRange list) const {
    State state;
    size_t next = 0;
    if (max)
      state.max = list[next++];
    if (sum)
      state.sum = list[next++];
    state.out = list[next];
    return state;
  }
};

/// The running maximum before any key. Scores times log2(e) stay exact sums
/// with it, so that exp2 of a masked score minus it is zero. Seeds lie between
/// it and its negative, which stand for the infinities.
inline constexpr double kFloor = -0x1p100;

/// Lowers one grid; says what this target does not do.
class GridLowering {
public:
  explicit GridLowering(online::GridOp grid)
      : b(grid), loc(grid.getLoc()), grid(grid) {}
  LogicalResult run();

private:
  // The body of the grid.
  LogicalResult lower(Operation *op);
  LogicalResult lowerSweep(online::SweepOp op);
  attn_gpu::ForBlocksOp createBlocks(online::SweepOp op, ValueRange inits);
  attn_gpu::ForBlocksOp createListed(online::SweepOp op,
                                     online::WalkListOp list, ValueRange inits);
  LogicalResult lowerInit(online::InitOp op);
  LogicalResult lowerFinish(online::FinishOp op);
  LogicalResult lowerStore(online::StoreOp op);
  // The body of the sweep.
  LogicalResult lowerInBlock(Operation *op);
  LogicalResult lowerDot(online::DotOp op);
  LogicalResult lowerMap(online::MapOp op);
  LogicalResult lowerStep(online::StepOp op);
  Value lowerMask(online::StepOp step, Value scores);
  void addCut(attn_gpu::MaskOp masked);
  State stepSoftmax(const State &state, Value scores, Value values);
  State stepFree(online::StepOp op, const State &state, Value scores,
                 Value values);
  Value addOutputs(Value out, Value weights, Value values);
  // Normalizer.cpp
  LogicalResult checkNormalizer(Operation *op, Attribute symbol);
  void seed();
  Value infiniteWhereSeedIs(Value max, Value lse);
  void inlineRegion(OpBuilder &b, Region &region, ValueRange arguments,
                    ValueRange captures, SmallVectorImpl<Value> &results);
  void hoistUniform(Region &region);
  void takeFactor(attn_gpu::MapOp map);
  // Factors.cpp
  void foldFactors(Region &region);
  // Diagonals.cpp
  void takeDiagonal(attn_gpu::MapOp map);

  LogicalResult lowerLoad(online::LoadOp op);
  LogicalResult lowerView(online::ViewOp op);
  LogicalResult unsupported(Operation *op, const Twine &what) {
    return op->emitError() << "sm_90a kernels do not have " << what;
  }

  // Building maps.
  using Body = function_ref<Value(OpBuilder &, ValueRange)>;
  Value map(Type type, ValueRange inputs, Body body);
  Value index(int64_t value);
  Value constant(double value);
  attn_gpu::RowvecType rows(bool partial = false) {
    return attn_gpu::RowvecType::get(b.getContext(), attn_gpu::kGroupRows,
                                     b.getF32Type(), partial);
  }
  attn_gpu::FragType frag(int64_t columns) {
    return attn_gpu::FragType::get(b.getContext(), attn_gpu::kGroupRows,
                                   columns, b.getF32Type(),
                                   attn_gpu::Layout::Quad);
  }

  OpBuilder b;
  Location loc;
  online::GridOp grid;
  IRMapping mapping;
  attn_gpu::ForTilesOp tiles;
  attn_gpu::ForBlocksOp blocks;
  DenseMap<Value, State> states;
  DenseMap<Value, online::MaskOp> masks;
  /// What takes scores at rest to log2 units, and to natural ones (null: 1).
  Value toLog2, toNatural;
  double scoreFactor = 1;
  /// Proved: the weight is 0 where a score is -inf.
  bool weightVanishes = false;
  Value count, full;
  /// What depends on m − n alone, read once for each difference.
  attn_gpu::DiagonalOp diagonal;
  /// Null: softmax without a seed.
  attn::NormalizerOp normalizer;
  online::InitOp init;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOATTNGPU_LOWERING_H
