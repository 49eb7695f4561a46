//===- Pending.cpp - Entry points of parts that this build lacks ----------===//
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Runtime/Error.h"

using namespace fovea;

llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
fovea::buildAttnModule(const Program &, mlir::MLIRContext &) {
  return makeError(FOVEA_UNSUPPORTED, "this build makes no level-1 modules");
}

llvm::Expected<Program> fovea::exportProgram(mlir::ModuleOp) {
  return makeError(FOVEA_UNSUPPORTED, "this build reads no MLIR");
}

llvm::Error fovea::interpretProgram(const Program &, const LaunchView &) {
  return makeError(FOVEA_UNSUPPORTED, "this build has no interpreter");
}
