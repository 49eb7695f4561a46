//===- KernelSpec.h - What an online.grid asks for --------------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNELSPEC_H
#define FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNELSPEC_H

#include "Arguments.h"
#include "fovea/Dialect/Online/IR/Online.h"

namespace fovea::cpu {

/// One product of queries and keys.
struct DotSpec {
  online::DotOp op;
  online::LoadOp queryLoad, keyLoad;
  online::ViewOp query, key;
  int64_t dim;

  /// What a mod multiplies the product by before anything else: a scalar that
  /// is known outside of it (null: none) and constants. `scaled` is the result,
  /// null where there is no such factor.
  Value scale, scaled;
  double constant = 1.0;
};

/// The parts of a forward kernel at level 2, found and checked.
struct KernelSpec {
  func::FuncOp func;
  SmallVector<ArgInfo> args;
  online::GridOp grid;
  online::CPUScheduleAttr schedule;
  Operation *walk = nullptr;
  online::SweepOp sweep;
  SmallVector<DotSpec> dots;
  online::LoadOp valueLoad;
  online::ViewOp value;
  online::InitOp init;
  online::StepOp step;
  online::FinishOp finish;
  online::MaskOp mask; // null: all pairs of an element are visible
  online::StoreOp outStore, lseStore;
  online::ViewOp out, lse;
  attn::NormalizerOp normalizer; // null: softmax
  Type elementType, scoreType;
  int64_t valueDim = 0;

  /// Proved: scores stay within ±10^6; weights and denominators are 0, and the
  /// statistic -inf, where a score is -inf.
  bool scoresAreBounded = false;
  bool weightVanishes = false, denomVanishes = false, statStays = false;

  /// Of the short form: query heads a key head.
  mlir::Value group;
  /// Of the short form: where pages of keys and values are; null without.
  mlir::Value pageTable;
  /// Of the short form: what only views and walks need, of the code that
  /// depends on the head; regions see the head of each row.
  llvm::SmallPtrSet<Operation *, 8> notForRows;

  /// Rows are the queries of all heads of a key head, keys are cut into parts.
  bool isShort() { return schedule.getSplit() > 0; }
  /// That form where AMX tiles multiply: eight rows a panel.
  bool hasShortTiles() const {
    return schedule.getSplit() > 0 && schedule.getAmx();
  }
  /// That form for a lone query of a head of its own.
  bool isOneRow() { return isShort() && schedule.getM() == 1; }
  /// Registers of queries in a panel: two share each broadcast of a key, where
  /// the item divides into such panels.
  int64_t panelVectors();
  bool hasStat() { return !normalizer || normalizer.hasStat(); }
  bool hasDenom() { return !normalizer || normalizer.hasDenom(); }
  /// The score of a key is a dot product and nothing else.
  bool scoresAreDot() {
    return dots.size() == 1 && step.getScores() == dots[0].op.getResult();
  }
};

/// Finds the kernel in a function; emits a diagnostic where it is not of the
/// form that the CPU target lowers.
FailureOr<KernelSpec> analyzeKernel(func::FuncOp func);

} // namespace fovea::cpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNELSPEC_H
