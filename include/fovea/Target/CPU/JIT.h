//===- JIT.h - Objects in memory made callable ------------------*- C++ -*-===//
#ifndef FOVEA_TARGET_CPU_JIT_H
#define FOVEA_TARGET_CPU_JIT_H

#include "fovea/Target/CPU/KernelABI.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBufferRef.h"

#include <memory>

namespace fovea {

/// The two functions of a kernel, mapped for as long as this object lives.
class LoadedCode {
public:
  virtual ~LoadedCode();
  fovea_cpu_plan_fn plan = nullptr;
  fovea_cpu_run_fn run = nullptr;
};

/// Links an object into the process and finds <symbol>_plan and <symbol>_run.
/// An object that calls anything but the memory functions and the f64 functions
/// of libm is refused. Safe to call from several threads.
llvm::Expected<std::unique_ptr<LoadedCode>>
loadObject(llvm::MemoryBufferRef object, llvm::StringRef symbol);

} // namespace fovea

#endif // FOVEA_TARGET_CPU_JIT_H
