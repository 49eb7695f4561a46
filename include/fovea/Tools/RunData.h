//===- RunData.h - A launch on seeded random or given data ------*- C++ -*-===//
#ifndef FOVEA_TOOLS_RUNDATA_H
#define FOVEA_TOOLS_RUNDATA_H

#include "fovea/Tools/Npy.h"
#include "fovea/Tools/RunOptions.h"

#include <deque>
#include <map>

namespace fovea {

/// A launch and its memory. Inputs are normal numbers; captures follow their
/// declared ranges, or else: floats normal, integers positions, bools even
/// odds. The same seed gives the same data on every machine.
struct RunData {
  LaunchView view;
  std::deque<OwnedArray> arrays;
  /// Named sizes that neither the options nor an array gave, and what they got.
  std::map<std::string, int64_t> assumed;
};

llvm::Expected<RunData> makeRunData(const Program &program,
                                    const RunOptions &options);

} // namespace fovea

#endif // FOVEA_TOOLS_RUNDATA_H
