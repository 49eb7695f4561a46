//===- ThreadPool.h - The threads of the process ----------------*- C++ -*-===//
//
// Work is a range of independent items, handed out by one counter to oneTBB's
// workers and the caller. Threads start at the first call that can use them,
// never before; a call that finds none (the system refuses more) computes
// alone. A forked child starts threads of its own; one that was forked while a
// call was running in another thread computes serially.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_THREADPOOL_H
#define FOVEA_RUNTIME_THREADPOOL_H

#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstdint>

namespace fovea {

/// Sets the default floating-point environment (round to nearest, denormals
/// kept) for a scope: what the caller set must not change results.
class FloatEnvironmentScope {
public:
  FloatEnvironmentScope();
  ~FloatEnvironmentScope();
  FloatEnvironmentScope(const FloatEnvironmentScope &) = delete;
  FloatEnvironmentScope &operator=(const FloatEnvironmentScope &) = delete;

private:
  uint64_t saved;
};

struct ParallelOptions {
  int64_t chunk = 1; ///< items handed out at a time, at least
  /// Where larger than `chunk`: at most so many, as long as what is left is
  /// some pieces a thread. Neighbours then run on one thread.
  int64_t most = 1;
  /// So many neighbours are best computed together: pieces are whole tiles, and
  /// parts of one where fewer than `wholeTiles` are left for each thread.
  int64_t tile = 1;
  int64_t wholeTiles = 2;
  /// Asked on the calling thread at least every 50 ms; non-zero stops the call.
  int (*shouldCancel)(void *) = nullptr;
  void *cancelContext = nullptr;
  /// The caller computes too. Switch off where one item may take long, so that
  /// it keeps asking shouldCancel.
  bool callerComputes = true;
};

class ThreadPool {
public:
  using Body =
      llvm::function_ref<void(int64_t first, int64_t last, unsigned worker)>;

  /// The pool of this process.
  static ThreadPool &get();

  static constexpr int maxThreads = 1024;
  /// 0: FOVEA_NUM_THREADS, else affinity and cgroup quota.
  static void setNumThreads(int threads);
  static int numThreads();
  /// What is not usable in the environment; empty if all is well.
  static const char *environmentNote();

  /// Runs body over [0, count); worker is below numWorkers() and no two calls
  /// with one number run at the same time. Returns false if cancelled; no item
  /// runs any more then. Throws std::bad_alloc where a body did.
  bool parallelFor(int64_t count, const ParallelOptions &options, Body body);
  /// Bound of the worker numbers of parallelFor calls from here on, as long as
  /// the number of threads is not set anew.
  static unsigned numWorkers() { return maxThreads + 1; }

private:
  ThreadPool() = default;
};

} // namespace fovea

#endif // FOVEA_RUNTIME_THREADPOOL_H
