//===- CPUPipeline.cpp - From level 1 to the LLVM dialect -----------------===//
#include "fovea/Pipelines/Pipelines.h"

#include "mlir/IR/BuiltinOps.h"

using namespace fovea;
using namespace mlir;

llvm::LogicalResult fovea::lowerOnlineToCPU(ModuleOp module,
                                            const CPUCompileOptions &,
                                            CPUCompileReport *) {
  return module.emitError("this build has no lowering to the CPU");
}

llvm::LogicalResult fovea::lowerCPUToLLVM(ModuleOp module,
                                          const CPUCompileOptions &) {
  return module.emitError("this build has no lowering to LLVM");
}

llvm::LogicalResult fovea::lowerAttnToCPU(ModuleOp module,
                                          const CPUCompileOptions &options,
                                          CPUCompileReport *report) {
  if (failed(lowerAttnToOnlineForCPU(module, options, report)) ||
      failed(lowerOnlineToCPU(module, options, report)))
    return failure();
  return lowerCPUToLLVM(module, options);
}
