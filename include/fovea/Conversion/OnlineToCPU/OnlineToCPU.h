//===- OnlineToCPU.h - Level 2 to loops on one machine ----------*- C++ -*-===//

#ifndef FOVEA_CONVERSION_ONLINETOCPU_ONLINETOCPU_H
#define FOVEA_CONVERSION_ONLINETOCPU_ONLINETOCPU_H

#include <memory>

namespace mlir {
class Pass;
class OpPassManager;
} // namespace mlir

namespace fovea {

/// `-convert-online-to-cpu`: each function that holds an `online.grid` becomes
/// @<name>_plan and @<name>_run of Target/CPU/KernelABI.h, in arith, scf,
/// vector and llvm.
std::unique_ptr<mlir::Pass> createConvertOnlineToCPUPass();

/// The passes from that form to the LLVM dialect (`-fovea-cpu-to-llvm`).
void buildCPUToLLVMPipeline(mlir::OpPassManager &pm);

void registerOnlineToCPUPasses();

} // namespace fovea

#endif // FOVEA_CONVERSION_ONLINETOCPU_ONLINETOCPU_H
