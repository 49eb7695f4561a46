//===- Driver.h - Runs a CPU kernel on the threads --------------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_DRIVER_H
#define FOVEA_RUNTIME_DRIVER_H

#include "fovea/Runtime/Launch.h"
#include "fovea/Target/CPU/KernelABI.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <atomic>
#include <vector>

namespace fovea {

struct KernelCode {
  fovea_cpu_plan_fn plan = nullptr;
  fovea_cpu_run_fn run = nullptr;
  /// Query rows of an item.
  int64_t itemRows = 0;
  /// Whether the keys are scanned: tile runs of `itemRows` rows are of use.
  bool scansKeys = false;
  /// Items are not those of the exact form.
  bool otherItems = false;
};

/// A LaunchView in the form that kernels read; refers to the view's arrays.
class KernelArguments {
public:
  explicit KernelArguments(const LaunchView &view);
  KernelArguments(const KernelArguments &) = delete;
  KernelArguments &operator=(const KernelArguments &) = delete;
  const fovea_cpu_args &get() const { return args; }
  /// Where the arguments have some.
  const TileRuns &getTileRuns() const { return tileRuns; }
  void setWorkspace(void *workspace) { args.workspace = workspace; }
  /// Asks whether the call is cancelled, and tells the items that are running.
  static int askWhetherCancelled(void *self);

private:
  const LaunchView &view;
  /// What kernels read meanwhile.
  std::atomic<int32_t> cancelled{0};
  fovea_cpu_args args = {};
  llvm::SmallVector<fovea_cpu_tensor, 2> queries, keys;
  llvm::SmallVector<fovea_cpu_capture, 4> captures;
  TileRuns tileRuns;
  fovea_cpu_tile_runs runHeader = {};
  /// The runs of a block mask that came as classes.
  std::vector<int64_t> offsets;
  std::vector<int32_t> runs;
};

/// Whether the launch gives out no element: there is nothing to compute, and
/// it carries no offsets and lengths.
bool isEmptyLaunch(const LaunchView &view);

/// Whether every position of the launch is within 0 … 2^30, which the kernels
/// of 32 index bits need.
bool fitsNarrowIndices(const LaunchView &view);

/// Multiply-adds of a call that skips nothing, for deciding how it is run.
double estimateWork(const LaunchView &view);

/// Runs all items of `fast`; those that report non-finite values are computed
/// again by what `exact` gives, which is asked for only then (S11).
llvm::Error runKernel(const LaunchView &view, KernelCode fast,
                      llvm::function_ref<llvm::Expected<KernelCode>()> exact);

/// Whether the form for few queries is worth the memory of its parts' states:
/// where keys repeat in memory and a mask leaves few of them it may not be.
llvm::Expected<bool> hasRoomForParts(const LaunchView &view, KernelCode few);

/// Scratch bytes that the call takes with all threads at work.
int64_t kernelScratch(const LaunchView &view, KernelCode code);

} // namespace fovea

#endif // FOVEA_RUNTIME_DRIVER_H
