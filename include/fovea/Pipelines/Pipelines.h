//===- Pipelines.h - Named pipelines as option structs ----------*- C++ -*-===//
//
// The one list of what runs between the levels. Tools, the compile service and
// the tests all call these functions. They report through the module's
// diagnostic handler and never abort on a module that verifies.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_PIPELINES_PIPELINES_H
#define FOVEA_PIPELINES_PIPELINES_H

#include "fovea/Target/CPU/KernelABI.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/LogicalResult.h"

#include <string>

namespace mlir {
class ModuleOp;
class OpPassManager;
} // namespace mlir

namespace fovea {

struct CPUCompileOptions {
  /// LLVM's spelling of the processor and of its features ("+avx512bf16").
  std::string cpu = "x86-64-v3";
  std::string features;
  /// "m=192,n=256"; empty: the cost model's choice.
  std::string schedule;
  /// The form that a fast kernel's non-finite items are computed again with.
  bool exact = false;
  /// Width in which the kernel holds positions: 32 (all below 2^30) or 64.
  int indexBits = 32;
  /// The form for few queries and many keys.
  bool fewQueries = false;
  /// Keys and values are pools of pages (of the form for few queries).
  bool paged = false;
  /// Calls have one row a key head (of the form for few queries).
  bool oneRow = false;
};

/// What a lowering chose, for people: filled where the caller passes one.
struct CPUCompileReport {
  std::string schedule;   ///< in the form that CPUCompileOptions takes
  std::string remarks;    ///< one line a decision, for `explain`
  int64_t itemRows = 0;   ///< query rows of an item
  bool scansKeys = false; ///< no closed form and no block mask: KernelABI.h
  std::string scanReason; ///< why, in words
  /// Rows (queries times heads a key head) up to which calls take the form for
  /// few queries.
  int64_t shortRows = 0;
  /// Which of these take that for one row.
  fovea_cpu_one_row oneRow = FOVEA_CPU_ONE_ROW_NONE;
};

/// Level 1 to level 2 with the CPU's schedule attached: parameters bound to
/// `params` ("W=64") or their defaults, simplified, converted, checked.
void addAttnToOnlinePasses(mlir::OpPassManager &passes,
                           const CPUCompileOptions &options,
                           llvm::ArrayRef<std::string> params = {});
/// Runs them.
llvm::LogicalResult lowerAttnToOnlineForCPU(mlir::ModuleOp module,
                                            const CPUCompileOptions &options,
                                            CPUCompileReport *report = nullptr);
/// Level 2 to loops over memref, vector, scf and arith ("target" level).
llvm::LogicalResult lowerOnlineToCPU(mlir::ModuleOp module,
                                     const CPUCompileOptions &options,
                                     CPUCompileReport *report = nullptr);
/// Loops to the LLVM dialect, with the functions @<name>_plan and @<name>_run
/// of KernelABI.h.
llvm::LogicalResult lowerCPUToLLVM(mlir::ModuleOp module,
                                   const CPUCompileOptions &options);
/// The three above in a row.
llvm::LogicalResult lowerAttnToCPU(mlir::ModuleOp module,
                                   const CPUCompileOptions &options,
                                   CPUCompileReport *report = nullptr);

/// -fovea-online-pipeline and -fovea-cpu-pipeline, with CPUCompileOptions as
/// options.
void registerPipelines();

struct HopperCompileOptions {
  /// "groups=2,n=128"; empty: the measured defaults.
  std::string schedule;
  /// Offsets and lengths are read, of each batch; else 0 and whole.
  bool perBatch = false;
};

/// Level 1 to level 3 in its role form: `attn_gpu` with a budget, for sm_90a.
void addAttnToAttnGpuPasses(mlir::OpPassManager &passes,
                            const HopperCompileOptions &options,
                            llvm::ArrayRef<std::string> params = {});
/// Level 1 to the LLVM dialect for sm_90a; fovea/Target/NVVM/PTX.h goes on.
llvm::LogicalResult lowerAttnToNVVM(mlir::ModuleOp module,
                                    const HopperCompileOptions &options);

} // namespace fovea

#endif // FOVEA_PIPELINES_PIPELINES_H
