//===- fovea-run.cpp - Runs an attention variant --------------------------===//

#include "fovea/Tools/RunTool.h"

int main(int argc, char **argv) {
  return fovea::finishTool(
      fovea::runFoveaRun(argc, argv, llvm::outs(), llvm::errs()));
}
