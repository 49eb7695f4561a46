//===- RunTool.h - fovea-run ------------------------------------*- C++ -*-===//
#ifndef FOVEA_TOOLS_RUNTOOL_H
#define FOVEA_TOOLS_RUNTOOL_H

#include "llvm/Support/raw_ostream.h"

namespace fovea {

/// The whole tool. 0: all is well; 1: bad input, or a check that failed; 2: bad
/// usage.
int runFoveaRun(int argc, const char *const *argv, llvm::raw_ostream &out,
                llvm::raw_ostream &errors);

/// Ends a tool: status, or 1 where standard output could not be written.
int finishTool(int status);

} // namespace fovea

#endif // FOVEA_TOOLS_RUNTOOL_H
