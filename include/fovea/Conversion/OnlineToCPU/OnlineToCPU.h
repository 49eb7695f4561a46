//===- OnlineToCPU.h - Level 2 to CPU kernels -------------------*- C++ -*-===//

#ifndef FOVEA_CONVERSION_ONLINETOCPU_ONLINETOCPU_H
#define FOVEA_CONVERSION_ONLINETOCPU_ONLINETOCPU_H

#include "mlir/Pass/Pass.h"

namespace fovea {

/// The passes from what `-convert-online-to-cpu` leaves to the LLVM dialect
/// (`-fovea-cpu-to-llvm`).
void buildCPUToLLVMPipeline(mlir::OpPassManager &pm);
void registerCPUToLLVMPipeline();

#define GEN_PASS_DECL
#include "fovea/Conversion/OnlineToCPU/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "fovea/Conversion/OnlineToCPU/Passes.h.inc"
} // namespace fovea

#endif // FOVEA_CONVERSION_ONLINETOCPU_ONLINETOCPU_H
