//===- Pending.cpp - Entry points of parts that this build lacks ----------===//
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Runtime/Error.h"

using namespace fovea;

llvm::Error fovea::interpretProgram(const Program &, const LaunchView &) {
  return makeError(FOVEA_UNSUPPORTED, "this build has no interpreter");
}
