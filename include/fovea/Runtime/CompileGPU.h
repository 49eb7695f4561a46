//===- CompileGPU.h - Kernels for NVIDIA GPUs -------------------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_COMPILEGPU_H
#define FOVEA_RUNTIME_COMPILEGPU_H

#include "fovea/Frontend/Program.h"
#include "fovea/Target/NVVM/Assembler.h"

#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace fovea {

struct Artifact;

/// A GPU target and what assembles for it.
struct GPUTarget {
  std::string name;           ///< "sm_90a"
  std::optional<Ptxas> ptxas; ///< none: the driver assembles
  /// Part of a kernel's identity: "ptxas 13.5.37", "the driver".
  std::string assembler() const;
};

/// Whether a target's name is one of a GPU: "cuda", "hip", "sm_90a", "gfx942".
bool isGPUTarget(llvm::StringRef name);

/// Resolves "cuda" (what the first device runs) or an architecture, which needs
/// no device: kernels are launched elsewhere then. Errors list what there is.
llvm::Expected<GPUTarget> resolveGPUTarget(llvm::StringRef name);

/// The GPU targets that this machine runs: "cuda" and architectures.
std::vector<std::string> hostGPUTargets();

/// Compiles a complete program to a cubin, or to PTX where nothing assembles,
/// with its manifest. `perBatch`: the form that reads offsets and lengths.
llvm::Expected<Artifact> compileProgramForGPU(const Program &program,
                                              const GPUTarget &target,
                                              llvm::StringRef schedule,
                                              bool perBatch = false);

/// The form whose blocks of threads load together, by the schedule of the usual
/// one; where it does not fit into registers, or the assembler is older than
/// 12.1 or the driver's, the usual one again.
llvm::Expected<Artifact> compileProgramInClusters(const Program &program,
                                                  const GPUTarget &target,
                                                  llvm::StringRef schedule);

/// The text of a level below "attn": "online", "target", "llvm", "asm" (PTX).
llvm::Expected<std::string> printGPULevel(const Program &program,
                                          llvm::StringRef schedule,
                                          llvm::StringRef level);

} // namespace fovea

#endif // FOVEA_RUNTIME_COMPILEGPU_H
