//===- GpuInterpreter.h - Level 3 for GPUs, executed ------------*- C++ -*-===//
//
// Runs a function of attn_gpu, in its synchronous or its role form, without a
// GPU. Values at rest are f32, operands of products rounded to their type.
//
// In the role form the loading role and every warpgroup of the computing role
// are coroutines; copies into shared memory end at times of their own. They
// meet at barriers as the machine has them: one bit of parity a phase. What the
// machine would do wrong in silence is an error here, at the op.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_INTERPRETER_GPUINTERPRETER_H
#define FOVEA_INTERPRETER_GPUINTERPRETER_H

#include "fovea/Interpreter/OnlineInterpreter.h"

namespace fovea {

enum class GpuOrder {
  RoundRobin, ///< each coroutine in turn, up to its next barrier
  Random,     ///< the next one by chance, from a seed
  Exhaustive  ///< every order that can be told apart
};

struct GpuOptions {
  GpuOrder order = GpuOrder::RoundRobin;
  uint64_t seed = 0;
  /// Blocks of threads that run side by side and share the tile counter.
  int64_t blocks = 1;
  /// What `attn_gpu.section` gives; 0: a last section like the others.
  int64_t section = 1, lastSection = 0;
  /// What `attn_gpu.batch` gives by its place; none: each batch at its own.
  std::vector<int64_t> batches;
  /// Without data only control, channels and products in flight are followed:
  /// fragments hold nothing and no output is written.
  bool data = true;
  /// Exhaustive order: what a warpgroup can wait for, read or give back it does
  /// at once. Nothing that others do takes these from it, and they keep nothing
  /// from others, so that orders differ in what fills, lands and is told alone.
  bool eagerReaders = false;
  /// Exhaustive order: more states than this are an error.
  uint64_t maxStates = uint64_t(1) << 20;
  /// Ops between two barriers before a coroutine counts as one that never ends.
  int64_t maxLocalOps = 100'000'000;
  /// What `attn.size` gives; none: an error where it is met.
  std::optional<ScalarSizes> sizes;
};

struct GpuSummary {
  /// States met in exhaustive order; else steps at barriers.
  uint64_t states = 0;
  /// Fragments written to outputs, in one order.
  uint64_t stores = 0;
};

/// Runs a function. Errors are diagnostics at the op: deadlocks with what every
/// role waits for, breaches of the protocol, broken class promises and bad
/// capture indices that reach an output.
llvm::LogicalResult interpretGpu(mlir::func::FuncOp function,
                                 llvm::ArrayRef<OnlineArgument> arguments,
                                 const GpuOptions &options = {},
                                 GpuSummary *summary = nullptr);

} // namespace fovea

#endif // FOVEA_INTERPRETER_GPUINTERPRETER_H
