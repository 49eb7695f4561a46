//===- ThreadPool.cpp - The threads of the process ------------------------===//
#include "fovea/Runtime/ThreadPool.h"
#include "ThreadCount.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace fovea;

FloatEnvironmentScope::FloatEnvironmentScope() {
#if defined(__x86_64__)
  saved = _mm_getcsr();
  _mm_setcsr(0x1f80);
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  __asm__ volatile("msr fpcr, %0" : : "r"(uint64_t(0)));
#else
  saved = 0;
#endif
}

FloatEnvironmentScope::~FloatEnvironmentScope() {
#if defined(__x86_64__)
  _mm_setcsr(static_cast<unsigned>(saved));
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#endif
}

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds pollInterval(40);

std::atomic<int> requestedThreads{0};
/// Set in workers: a nested call runs in place, or all workers might wait for
/// each other.
thread_local bool insideWorker = false;

struct Job {
  Job(int64_t count, int64_t chunk, ThreadPool::Body body)
      : count(count), chunk(chunk), body(body) {}
  int64_t count, chunk;
  ThreadPool::Body body;
  std::atomic<int64_t> next{0};
  std::atomic<bool> cancelled{false};
  // Guarded by the pool's mutex.
  int places = 0; // workers that may still enter
  int active = 0;
  unsigned nextWorker = 1; // the caller is 0
  std::condition_variable left;

  bool take(int64_t &first, int64_t &last) {
    if (cancelled.load(std::memory_order_relaxed))
      return false;
    first = next.fetch_add(chunk, std::memory_order_relaxed);
    if (first >= count)
      return false;
    last = std::min(first + chunk, count);
    return true;
  }
  bool exhausted() const {
    return cancelled.load(std::memory_order_relaxed) ||
           next.load(std::memory_order_relaxed) >= count;
  }
};

const ThreadCount &environmentCount() {
  static const ThreadCount count = findThreadCount(ThreadPool::maxThreads);
  return count;
}
} // namespace

struct ThreadPool::Impl {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job *> jobs;
  int threads = 0;
  pid_t process = getpid();

  static void *main(void *self) {
    insideWorker = true;
    static_cast<Impl *>(self)->work();
    return nullptr;
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      Job *job = nullptr;
      wake.wait(lock, [&] {
        for (Job *candidate : jobs)
          if (candidate->places > 0 && !candidate->exhausted()) {
            job = candidate;
            return true;
          }
        return false;
      });
      --job->places;
      ++job->active;
      unsigned worker = job->nextWorker++;
      lock.unlock();
      {
        FloatEnvironmentScope environment;
        int64_t first, last;
        while (job->take(first, last))
          job->body(first, last, worker);
      }
      lock.lock();
      if (--job->active == 0)
        job->left.notify_all();
    }
  }

  /// With the mutex held: has `wanted` threads if the system gives them.
  void start(int wanted) {
    while (threads < wanted) {
      pthread_attr_t attributes;
      pthread_attr_init(&attributes);
      pthread_attr_setstacksize(&attributes, 4u << 20);
      pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
      // Signals belong to the program's own threads.
      sigset_t all, before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      pthread_t thread;
      int failed = pthread_create(&thread, &attributes, main, this);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      pthread_attr_destroy(&attributes);
      if (failed)
        return;
      ++threads;
    }
  }

  bool runAlone(Job &job, const ParallelOptions &options);
  bool runTogether(Job &job, int width, const ParallelOptions &options);
};

/// Takes items on the calling thread, asking whether to go on between them.
bool ThreadPool::Impl::runAlone(Job &job, const ParallelOptions &options) {
  auto lastPoll = Clock::now();
  int64_t first, last;
  while (job.take(first, last)) {
    job.body(first, last, 0);
    if (!options.shouldCancel || Clock::now() - lastPoll < pollInterval)
      continue;
    lastPoll = Clock::now();
    if (options.shouldCancel(options.cancelContext)) {
      job.cancelled = true;
      return false;
    }
  }
  return true;
}

bool ThreadPool::Impl::runTogether(Job &job, int width,
                                   const ParallelOptions &options) {
  bool computes = options.callerComputes || !options.shouldCancel;
  int helpers = static_cast<int>(std::min<int64_t>(
      computes ? width - 1 : width,
      (job.count + job.chunk - 1) / job.chunk - (computes ? 1 : 0)));
  {
    std::lock_guard<std::mutex> lock(mutex);
    start(helpers);
    if (threads == 0)
      computes = true;
    job.places = std::min(helpers, threads);
    jobs.push_back(&job);
  }
  for (int i = 0; i < helpers; ++i)
    wake.notify_one();
  if (computes)
    runAlone(job, options);

  std::unique_lock<std::mutex> lock(mutex);
  while (true) {
    bool done = job.exhausted() && job.active == 0;
    if (done)
      break;
    if (!options.shouldCancel) {
      job.left.wait(lock, [&] { return job.exhausted() && job.active == 0; });
      continue;
    }
    job.left.wait_for(lock, pollInterval);
    if (job.cancelled)
      continue;
    lock.unlock();
    if (options.shouldCancel(options.cancelContext))
      job.cancelled = true;
    lock.lock();
  }
  jobs.erase(std::find(jobs.begin(), jobs.end(), &job));
  return !job.cancelled;
}

ThreadPool::ThreadPool() : impl(std::make_unique<Impl>()) {}

ThreadPool &ThreadPool::get() {
  static std::atomic<ThreadPool *> current{nullptr};
  ThreadPool *pool = current.load(std::memory_order_acquire);
  while (!pool || pool->impl->process != getpid()) {
    // The parent's pool is left as it is: its locks may be held for ever.
    auto *made = new ThreadPool;
    if (current.compare_exchange_strong(pool, made))
      return *made;
    delete made;
  }
  return *pool;
}

void ThreadPool::setNumThreads(int threads) {
  requestedThreads = std::clamp(threads, 0, maxThreads);
}

int ThreadPool::numThreads() {
  int requested = requestedThreads;
  return requested ? requested : environmentCount().threads;
}

const char *ThreadPool::environmentNote() { return environmentCount().note; }

bool ThreadPool::parallelFor(int64_t count, const ParallelOptions &options,
                             Body body) {
  if (count <= 0)
    return true;
  FloatEnvironmentScope environment;
  Job job(count, std::max<int64_t>(options.chunk, 1), body);
  int width = numThreads();
  bool alone = insideWorker || job.count <= job.chunk ||
               (width == 1 && options.callerComputes);
  if (alone && (options.callerComputes || insideWorker))
    return impl->runAlone(job, options);
  return impl->runTogether(job, width, options);
}
