//===- Scheduler.h - oneTBB's workers ---------------------------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_THREADS_SCHEDULER_H
#define FOVEA_LIB_RUNTIME_THREADS_SCHEDULER_H

#include <cstdint>
#include <functional>

namespace fovea {

/// Hands tasks to the workers of oneTBB. Tasks may start late or, where the
/// system has no threads left or another user of oneTBB keeps them, never: who
/// hands them out must be able to finish without them.
class Scheduler {
public:
  static Scheduler &get();

  /// Marks that a call is running, as long as it lives: what fork() must know.
  class CallScope {
  public:
    CallScope();
    ~CallScope();
    CallScope(const CallScope &) = delete;
    CallScope &operator=(const CallScope &) = delete;
    /// Whether this process is a child that was forked within the call: the
    /// workers that it waits for are the parent's.
    bool wasForked() const;

  private:
    uint64_t generation;
  };

  /// Enqueues up to `count` copies of the task on `width` workers; returns how
  /// many. None in a child that was forked while a call was running.
  int enqueue(int count, int width, const std::function<void()> &task);

private:
  Scheduler();
  struct Impl;
  Impl *impl;
};

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_THREADS_SCHEDULER_H
