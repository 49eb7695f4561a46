//===- AttnGpuToNVVM.h - Level 3 to the LLVM dialect ------------*- C++ -*-===//
#ifndef FOVEA_CONVERSION_ATTNGPUTONVVM_ATTNGPUTONVVM_H
#define FOVEA_CONVERSION_ATTNGPUTONVVM_ATTNGPUTONVVM_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace fovea {

/// -convert-attn-gpu-to-nvvm: functions with an `attn_gpu.specialize` become
/// kernels in the LLVM dialect. The kernel's `fovea.manifest` attribute, JSON
/// text, says how it is launched.
std::unique_ptr<mlir::Pass> createConvertAttnGpuToNVVMPass();
void registerAttnGpuToNVVMPasses();

} // namespace fovea

#endif // FOVEA_CONVERSION_ATTNGPUTONVVM_ATTNGPUTONVVM_H
