//===- HostInfo.h - What this processor can run -----------------*- C++ -*-===//
#ifndef FOVEA_TARGET_CPU_HOSTINFO_H
#define FOVEA_TARGET_CPU_HOSTINFO_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace fovea {

/// A CPU target in the spelling of users and in LLVM's.
struct CPUTarget {
  std::string name;     ///< "x86-64-v4+avx512bf16"
  std::string triple;   ///< of this host
  std::string cpu;      ///< "x86-64-v4"
  std::string features; ///< "+avx512bf16,…", sorted
};

/// The processor as LLVM names it and the features that the system lets
/// programs use, sorted.
const std::string &hostCPUName();
const std::vector<std::string> &hostCPUFeatures();

/// What is used of a processor's features, sorted: tiles where the system gives
/// the process their state, which is asked only where the processor has them.
std::vector<std::string>
findUsableFeatures(const llvm::StringMap<bool> &found,
                   llvm::function_ref<bool()> mayUseTiles);

/// The target names whose kernels this host can load and run, best first ("cpu"
/// left out).
const std::vector<std::string> &hostTargets();

/// Resolves "cpu" (the best of hostTargets), an architecture ("x86-64-v3") or
/// one with features added ("x86-64-v4+avx512bf16"). With mustRun the target
/// has to be loaded and run on this host; without, objects are made for it.
/// Errors list what there is.
llvm::Expected<CPUTarget> resolveCPUTarget(llvm::StringRef name, bool mustRun);

/// What every processor of this host's family runs.
CPUTarget baselineCPUTarget();

} // namespace fovea

#endif // FOVEA_TARGET_CPU_HOSTINFO_H
