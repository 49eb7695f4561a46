//===- ThreadCount.h - How many threads this process should use -*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_THREADCOUNT_H
#define FOVEA_LIB_RUNTIME_THREADCOUNT_H

#include "llvm/ADT/StringRef.h"

#include <optional>

namespace fovea {

struct ThreadCount {
  int threads = 1;
  const char *note = ""; /// about an environment variable that is not usable
};

/// FOVEA_NUM_THREADS, else the processors that affinity and the cgroup's quota
/// leave to this process.
ThreadCount findThreadCount(int maxThreads);

/// Processors of a cgroup-2 cpu.max text ("150000 100000" is 2), none for
/// "max".
std::optional<int> parseCpuMax(llvm::StringRef text);

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_THREADCOUNT_H
