//===- CPUModel.h - CPUs as schedules see them ------------------*- C++ -*-===//
#ifndef FOVEA_TARGET_CPU_CPUMODEL_H
#define FOVEA_TARGET_CPU_CPUMODEL_H

#include "fovea/Dialect/Online/IR/Online.h"
#include "fovea/Target/CPU/KernelABI.h"
#include "fovea/Target/TargetModel.h"

#include <string>

namespace fovea {

/// The model of a processor in LLVM's spelling. It depends on the names alone,
/// so that a schedule, and with it every rounding, is the same on all machines.
TargetModel getCPUModel(llvm::StringRef cpu, llvm::StringRef features);

/// Whether the processor and its features, "+a,-b", are ones that LLVM knows.
llvm::LogicalResult
checkCPU(llvm::StringRef cpu, llvm::StringRef features,
         llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Keys whose products with one register of queries a micro-kernel makes at
/// once: 16 accumulators cover the latency of two pipes. x86 has 16 registers
/// of 32 bytes, of which 12 leave room for two registers of queries and a key.
inline int64_t keyGroup(int64_t vectorBytes) {
  return vectorBytes == 32 ? 12 : 16;
}

/// What the keys of a block are a multiple of. Its last group may be
/// incomplete.
inline int64_t keyUnit(int64_t vectorBytes) {
  return vectorBytes == 32 ? 8 : 16;
}

/// Rows of a tile, of 64 bytes each.
inline constexpr int64_t kTileRows = 16;

/// Keys and queries, or features and queries, that a micro-kernel of AMX tiles
/// multiplies at once: two tiles each way.
inline constexpr int64_t kTileGroup = 32;

/// Of a row of queries in the form for one row, whose code has a step for each
/// of its registers.
inline constexpr int64_t kOneRowBytes = 1024;

/// What a schedule is chosen for.
struct CPUScheduleRequest {
  int64_t headDim = 0; ///< of all (query, key) pairs together
  int64_t valueDim = 0;
  unsigned elementBytes = 4;
  unsigned scoreBytes = 4;
  bool bf16 = false; ///< The element type is bf16 and the score type f32.
  /// "m=192,n=256"; what it leaves out is the cost model's choice.
  llvm::StringRef text;
  bool exact = false;
  int64_t indexBits = 32;
  /// Items are the query tiles of an analysis at each call, not loop bounds.
  bool scansKeys = false;
  /// The form for few queries and many keys.
  bool fewQueries = false;
  /// That for one row.
  bool oneRow = false;
  int64_t longestHeadDim = 0; ///< of a (query, key) pair
};

/// Completes and verifies a schedule.
llvm::FailureOr<mlir::online::CPUScheduleAttr>
chooseCPUSchedule(mlir::MLIRContext *context, const TargetModel &model,
                  const CPUScheduleRequest &request,
                  llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// How many rows (queries times heads a key head) a call may have that the form
/// for few queries takes; 0: it is not used.
llvm::FailureOr<int64_t>
chooseShortRows(llvm::StringRef text,
                llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Whether that form has one of its own for one row.
bool hasOneRowForm(const TargetModel &model, const CPUScheduleRequest &request);

/// Which calls of one row take that form.
fovea_cpu_one_row chooseOneRow(mlir::online::CPUScheduleAttr schedule);

/// In the form that CPUScheduleRequest::text takes.
std::string printCPUSchedule(mlir::online::CPUScheduleAttr schedule);

} // namespace fovea

#endif // FOVEA_TARGET_CPU_CPUMODEL_H
