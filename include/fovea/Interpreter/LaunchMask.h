//===- LaunchMask.h - The mask of one call, analysed ------------*- C++ -*-===//
#ifndef FOVEA_INTERPRETER_LAUNCHMASK_H
#define FOVEA_INTERPRETER_LAUNCHMASK_H

#include "fovea/Interpreter/MaskEvaluator.h"

#include "llvm/Support/Error.h"

namespace fovea {

/// For a kernel that scans its keys, of `itemRows` query rows an item: where
/// the call is large enough, finds the tiles that bounds of the mask leave,
/// with the captures' values of this moment: anew where these, or the call's
/// sizes, are not what they were for `last`. `runs` keeps the tiles for as long
/// as the view is used.
llvm::Error analyzeLaunchMask(const Program &program, int64_t itemRows,
                              LaunchView &view, LastRuns &last,
                              std::shared_ptr<const KnownRuns> &runs);

} // namespace fovea

#endif // FOVEA_INTERPRETER_LAUNCHMASK_H
