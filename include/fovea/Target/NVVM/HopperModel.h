//===- HopperModel.h - Hopper GPUs as schedules see them --------*- C++ -*-===//
#ifndef FOVEA_TARGET_NVVM_HOPPERMODEL_H
#define FOVEA_TARGET_NVVM_HOPPERMODEL_H

#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "fovea/Target/TargetModel.h"

namespace fovea {

/// sm_90a: shared memory and registers of one block of threads.
TargetModel getHopperModel();

/// What a schedule is chosen for.
struct HopperScheduleRequest {
  llvm::SmallVector<int64_t> headDims; ///< of each (query, key) pair
  int64_t valueDim = 0;
  mlir::Type elementType;
  bool hasScore = false, hasMask = false;
  bool isPlanar = false;      ///< the mask is a conjunction of half-planes
  bool isCausal = false;      ///< the mask is m >= n
  bool hasElementary = false; ///< the score calls an elementary function
  bool hasBlocks = false;     ///< called with a block mask
  bool perBatch = false;      ///< reads offsets and lengths of each batch
  /// "groups=2,n=128"; what it leaves out is the measured default, with block_q
  /// and block_kv that for a block mask with tiles of these extents.
  llvm::StringRef text;
};

/// A schedule, and whether its kernel reads offsets and lengths.
struct HopperSchedule {
  mlir::attn_gpu::ScheduleAttr attribute;
  bool perBatch = false;
};

/// Completes and verifies a schedule; says what this target does not do.
llvm::FailureOr<HopperSchedule>
chooseHopperSchedule(mlir::MLIRContext *context,
                     const HopperScheduleRequest &request,
                     llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Whether a text leaves the schedule to the defaults: where it says nothing
/// but what they are chosen for.
bool leavesScheduleOpen(llvm::StringRef text);

/// What such a text sets a field to; nothing where it leaves it open.
std::optional<int64_t> readHopperSetting(llvm::StringRef text,
                                         llvm::StringRef field);

/// The text with a field set.
std::string setHopperSetting(llvm::StringRef text, llvm::StringRef field,
                             int64_t value);

/// What to try in turn where such a schedule of a variant spills registers: as
/// HopperScheduleRequest::text, the fastest first.
llvm::SmallVector<std::string>
getHopperFallbacks(int64_t valueDim, bool hasBlocks, llvm::StringRef text);

/// As HopperScheduleRequest::text.
std::string printHopperSchedule(mlir::attn_gpu::ScheduleAttr schedule);

} // namespace fovea

#endif // FOVEA_TARGET_NVVM_HOPPERMODEL_H
