//===- CPUPipeline.cpp - From level 1 to the LLVM dialect -----------------===//
#include "fovea/Conversion/OnlineToCPU/OnlineToCPU.h"
#include "fovea/Pipelines/Pipelines.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

using namespace fovea;
using namespace mlir;

llvm::LogicalResult fovea::lowerOnlineToCPU(ModuleOp module,
                                            const CPUCompileOptions &,
                                            CPUCompileReport *) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  passes.addPass(createConvertOnlineToCPU());
  return passes.run(module);
}

llvm::LogicalResult fovea::lowerCPUToLLVM(ModuleOp module,
                                          const CPUCompileOptions &) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  buildCPUToLLVMPipeline(passes);
  return passes.run(module);
}

llvm::LogicalResult fovea::lowerAttnToCPU(ModuleOp module,
                                          const CPUCompileOptions &options,
                                          CPUCompileReport *report) {
  if (failed(lowerAttnToOnlineForCPU(module, options, report)) ||
      failed(lowerOnlineToCPU(module, options, report)))
    return failure();
  return lowerCPUToLLVM(module, options);
}
