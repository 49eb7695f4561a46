//===- AttnToOnline.h - Level 1 to level 2 ----------------------*- C++ -*-===//
#ifndef FOVEA_CONVERSION_ATTNTOONLINE_ATTNTOONLINE_H
#define FOVEA_CONVERSION_ATTNTOONLINE_ATTNTOONLINE_H

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Dialect/Online/IR/Online.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

#include <string>

namespace fovea {

/// The one attn.attention that a function is, or failure with a diagnostic.
/// Null, without one, where the function holds no op of attn.
llvm::FailureOr<mlir::attn::AttentionOp>
findFusedAttention(mlir::func::FuncOp func);

/// What the functions of a module become.
struct AttnToOnlineSchedule {
  mlir::online::ScheduleAttrInterface schedule;
  unsigned indexBits = 32;
  /// Full segments begin and end at multiples of this many keys, so that code
  /// for whole blocks meets few odd ones.
  int64_t segmentAlignment = 16;
  /// Promised: offsets are zero and lengths are those of the tensors. The
  /// arguments stay, unused.
  bool wholeSequences = false;
  /// Promised, with whole sequences: the tiles of block masks are multiples of
  /// the schedule's.
  bool dividesTiles = false;
  /// Conditions on values of the launch, such as the kind of a head, that the
  /// bounds of a walk may tell apart.
  unsigned maxCases = 0;
  /// Where a score region alone hides keys, they are scanned.
  bool scansScores = false;
  /// Keys and values are pools of pages, found through a table.
  bool paged = false;
  /// A mask without a closed form is asked ahead: the walk is a list of tiles
  /// by classes that the target writes, with a function that it is given.
  bool classifies = false;
  /// Say on the function, in its attribute online.remarks, how it walks keys.
  bool remarks = false;
};

/// Replaces a function around one attn.attention by a level-2 function of the
/// same name that writes to its destinations (docs/architecture.md).
llvm::LogicalResult convertAttnToOnline(mlir::func::FuncOp func,
                                        const AttnToOnlineSchedule &schedule);

} // namespace fovea

namespace fovea {
#define GEN_PASS_DECL
#include "fovea/Conversion/AttnToOnline/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "fovea/Conversion/AttnToOnline/Passes.h.inc"
} // namespace fovea

#endif // FOVEA_CONVERSION_ATTNTOONLINE_ATTNTOONLINE_H
