//===- PTX.h - LLVM dialect to PTX ------------------------------*- C++ -*-===//
#ifndef FOVEA_TARGET_NVVM_PTX_H
#define FOVEA_TARGET_NVVM_PTX_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir {
class ModuleOp;
} // namespace mlir

namespace fovea {

/// One kernel as text, with its manifest (docs/architecture.md, section 6).
struct PTXKernel {
  std::string ptx, manifest;
};

/// Refuses a function's name that PTX does not take for a kernel.
llvm::Error checkKernelName(llvm::StringRef name);

/// Generates code for a module of the LLVM dialect that
/// -convert-attn-gpu-to-nvvm made of one kernel.
llvm::Expected<PTXKernel> emitPTX(mlir::ModuleOp module);

} // namespace fovea

#endif // FOVEA_TARGET_NVVM_PTX_H
