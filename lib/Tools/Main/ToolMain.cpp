//===- ToolMain.cpp - How tools on MLIR's mains end -----------------------===//
#include "fovea/Tools/ToolMain.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace fovea;

/// A stream that could not be written says so when it goes, which may be after
/// main: nothing of LLVM's is used here.
static void onFatalError(void *data, const char *reason, bool) {
  llvm::StringRef text(reason);
  bool isWrite = text.consume_front("IO failure on output stream: ");
  std::fprintf(stderr, "%s: %s%s\n", static_cast<const char *>(data),
               isWrite ? "cannot write the output: " : "", text.str().c_str());
  std::fflush(stderr);
  _exit(1);
}

/// Within MLIR's mains only the parser of the command line calls exit.
static void onExit(int status, void *returned) {
  if (status == 0 || *static_cast<bool *>(returned))
    return;
  std::fflush(stderr);
  _exit(2);
}

void fovea::explainWriteErrors(const char *tool) {
  llvm::install_fatal_error_handler(onFatalError, const_cast<char *>(tool));
}

int fovea::runToolMain(const char *tool, llvm::function_ref<bool()> main) {
  static bool returned;
  explainWriteErrors(tool);
  if (on_exit(onExit, &returned) != 0)
    return 1;
  bool good = main();
  returned = true;
  return good ? 0 : 1;
}
