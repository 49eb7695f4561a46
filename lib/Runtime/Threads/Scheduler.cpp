//===- Scheduler.cpp - oneTBB's workers -----------------------------------===//
//
// The workers of oneTBB do not survive fork(), so they are dismissed before it
// and come back at the next call. Where that cannot be, because a call is
// running, the main thread has computed and another one forks, or another user
// of oneTBB keeps them, the child computes serially.
//
//===----------------------------------------------------------------------===//
#include "Scheduler.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <pthread.h>
#include <signal.h>
#include <thread>
#include <unistd.h>
#include <vector>

#define TBB_PREVENT_INTERNAL_STATISTICS 1
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

using namespace fovea;

namespace {
using Clock = std::chrono::steady_clock;

/// Signals belong to the program's own threads; new threads inherit the mask.
/// What a thread's own instruction raises stays: the program's handler sees it.
class SignalsBlocked {
public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (int own : {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV})
      sigdelset(&all, own);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  SignalsBlocked(const SignalsBlocked &) = delete;
  SignalsBlocked &operator=(const SignalsBlocked &) = delete;

private:
  sigset_t before;
};

/// How many of `wanted` threads the system gives now. oneTBB ends the process
/// where it is refused one, so this has to be known before it asks.
class ThreadProbe {
public:
  static int count(int wanted) {
    ThreadProbe probe;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stackSize);
    std::vector<pthread_t> threads;
    threads.reserve(static_cast<size_t>(wanted));
    pthread_t thread;
    while (static_cast<int>(threads.size()) < wanted &&
           pthread_create(&thread, &attributes, wait, &probe) == 0)
      threads.push_back(thread);
    pthread_attr_destroy(&attributes);
    {
      std::lock_guard<std::mutex> lock(probe.mutex);
      probe.over = true;
    }
    probe.wake.notify_all();
    for (pthread_t started : threads)
      pthread_join(started, nullptr);
    return static_cast<int>(threads.size());
  }

private:
  static constexpr size_t stackSize = size_t(4) << 20; // oneTBB's own default

  static void *wait(void *self) {
    auto *probe = static_cast<ThreadProbe *>(self);
    std::unique_lock<std::mutex> lock(probe->mutex);
    probe->wake.wait(lock, [&] { return probe->over; });
    return nullptr;
  }

  std::mutex mutex;
  std::condition_variable wake;
  bool over = false;
};
} // namespace

struct Scheduler::Impl {
  std::mutex mutex; // held over fork()
  int calls = 0;
  bool released = false; // before the fork() that is under way
  bool orphaned = false; // a child whose workers are the parent's
  std::atomic<uint64_t> generation{0};
  std::atomic<int> outstanding{0};

  int width = 0;   // of the arena
  int refused = 0; // the width that the system did not give in full
  int granted = 0; // what it gave then
  Clock::time_point refusedAt;
  std::shared_ptr<tbb::task_arena> arena;
  tbb::task_scheduler_handle handle;
  std::optional<tbb::global_control> control;

  void open(int wanted);
  bool release();
  int fill(int count, const std::function<void()> &task);

  static void prepareFork();
  static void parentForked();
  static void childForked();
};

/// With the mutex held: an arena of `wanted` workers, or of as many as there
/// can be.
void Scheduler::Impl::open(int wanted) {
  constexpr std::chrono::seconds retry(1);
  if (arena && wanted == width)
    return;
  if (wanted == refused && Clock::now() - refusedAt < retry)
    return;
  int given = ThreadProbe::count(wanted);
  refused = given < wanted ? wanted : 0;
  granted = given;
  refusedAt = Clock::now();
  arena.reset();
  width = wanted;
  if (given == 0)
    return;
  if (!handle)
    handle = tbb::task_scheduler_handle(tbb::attach{});
  // All workers may be busy while the caller only waits.
  auto parallelism = static_cast<size_t>(
      std::max(given + 1, tbb::info::default_concurrency()));
  control.emplace(tbb::global_control::max_allowed_parallelism, parallelism);
  arena = std::make_shared<tbb::task_arena>(given, /*reserved_for_masters=*/0);
}

/// With the mutex held: whether no worker is left.
bool Scheduler::Impl::release() {
  if (!handle)
    return true;
  // Tasks that came too late for their call are short.
  auto limit = Clock::now() + std::chrono::milliseconds(100);
  while (calls == 0 && outstanding > 0 && Clock::now() < limit)
    std::this_thread::yield();
  if (calls > 0 || outstanding > 0)
    return false;
  arena.reset();
  control.reset();
  return tbb::finalize(handle, std::nothrow);
}

void Scheduler::Impl::prepareFork() {
  Impl &impl = *get().impl;
  impl.mutex.lock();
  impl.released = impl.release();
}

void Scheduler::Impl::parentForked() { get().impl->mutex.unlock(); }

void Scheduler::Impl::childForked() {
  Impl &impl = *get().impl;
  if (!impl.released)
    impl.orphaned = true;
  impl.calls = 0;
  ++impl.generation;
  impl.mutex.unlock();
}

Scheduler::Scheduler() : impl(new Impl) {
  pthread_atfork(Impl::prepareFork, Impl::parentForked, Impl::childForked);
}

Scheduler &Scheduler::get() {
  // Never destroyed: threads may outlive static objects.
  static auto *scheduler = new Scheduler;
  return *scheduler;
}

Scheduler::CallScope::CallScope() {
  Impl &impl = *get().impl;
  std::lock_guard<std::mutex> lock(impl.mutex);
  ++impl.calls;
  generation = impl.generation;
}

Scheduler::CallScope::~CallScope() {
  Impl &impl = *get().impl;
  std::lock_guard<std::mutex> lock(impl.mutex);
  if (!wasForked())
    --impl.calls;
}

bool Scheduler::CallScope::wasForked() const {
  return generation != get().impl->generation;
}

/// With the mutex held: enqueues as many as it gets memory for.
int Scheduler::Impl::fill(int count, const std::function<void()> &task) {
  int enqueued = 0;
  for (; enqueued < std::min(count, granted); ++enqueued) {
    ++outstanding;
    try {
      arena->enqueue([task, this] {
        task();
        --outstanding;
      });
    } catch (...) {
      --outstanding;
      break;
    }
  }
  // Enqueuing ties this thread to the scheduler, which could not be released
  // before a fork() in another thread then. The main thread stays tied: tying
  // it again reads /proc/self/maps, and it mostly is the one that forks.
  if (gettid() != getpid()) {
    tbb::task_scheduler_handle untie(tbb::attach{});
    (void)tbb::finalize(untie, std::nothrow);
  }
  return enqueued;
}

int Scheduler::enqueue(int count, int width,
                       const std::function<void()> &task) {
  SignalsBlocked signals;
  std::lock_guard<std::mutex> lock(impl->mutex);
  if (impl->orphaned)
    return 0;
  try {
    impl->open(width);
    return impl->arena ? impl->fill(count, task) : 0;
  } catch (...) { // no memory: the caller does without
    return 0;
  }
}
