//===- ToolMain.h - How tools on MLIR's mains end ---------------*- C++ -*-===//
//
// MLIR's mains end the process themselves: with 1 where the command line is
// wrong, and with a fatal error where the output cannot be written.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TOOLS_TOOLMAIN_H
#define FOVEA_TOOLS_TOOLMAIN_H

#include "llvm/ADT/STLFunctionalExtras.h"

namespace fovea {

/// An output that cannot be written, and any other error that is fatal to
/// LLVM, ends the process with a line on standard error and status 1, also
/// after main.
void explainWriteErrors(const char *tool);

/// Runs a tool whose `main` says whether all went well. Exit status 0: yes; 1:
/// bad input, or an output that cannot be written, which is said in a line; 2:
/// a command line that LLVM's parser refuses.
int runToolMain(const char *tool, llvm::function_ref<bool()> main);

} // namespace fovea

#endif // FOVEA_TOOLS_TOOLMAIN_H
