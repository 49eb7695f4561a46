//===- ThreadPool.cpp - The threads of the process ------------------------===//
#include "fovea/Runtime/ThreadPool.h"
#include "Placement.h"
#include "Scheduler.h"
#include "ThreadCount.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
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
/// How long a caller waits for a worker to turn up before it computes itself.
constexpr std::chrono::seconds patience(1);
/// How long a caller that has nothing left to do looks for the end of the last
/// items before it sleeps: waking it takes as long.
constexpr std::chrono::microseconds lookout(100);

std::atomic<int> requestedThreads{0};
/// Set in workers: a nested call runs in place, or all workers might wait for
/// each other.
thread_local bool insideWorker = false;

/// One call. Tasks share it: some come after the call is over.
class Job {
public:
  Job(int64_t count, int width, const ParallelOptions &options,
      ThreadPool::Body body)
      : count(count), chunk(std::max<int64_t>(options.chunk, 1)), width(width),
        options(options), body(body) {}

  int64_t pieces() const { return (count - 1) / chunk + 1; }
  /// Computes on the calling thread, asking between items whether to go on.
  void runAsCaller();
  /// Computes one piece on the calling thread.
  void runPiece();
  /// Computes on a worker, if there is something left.
  void runAsWorker();
  /// Waits until nothing runs any more. Takes over where no worker turns up.
  void wait(const Scheduler::CallScope &call);
  /// Looks for the end for a moment.
  void lookForEnd() const;
  /// Nothing starts from here on. Throws what a body threw.
  bool close();

private:
  bool take(int64_t &first, int64_t &last) {
    if (stopped.load(std::memory_order_relaxed))
      return false;
    first = next.load(std::memory_order_relaxed);
    do {
      if (first >= count)
        return false;
      last = std::min(first + pieceOf(first), count);
    } while (
        !next.compare_exchange_weak(first, last, std::memory_order_relaxed));
    return true;
  }
  int64_t pieceOf(int64_t first) const {
    constexpr int64_t pieces = 4; // a thread
    int64_t left = count - first, tile = options.tile;
    int64_t most = std::max({options.most, chunk, tile});
    int64_t piece = std::clamp(left / (pieces * width), chunk, most);
    int64_t share = left / (options.wholeTiles * width);
    if (tile == 1 || width == 1 || share >= tile)
      return std::max(piece / tile, int64_t(1)) * tile;
    int64_t rest = tile - first % tile;
    auto divided = [](int64_t n, int64_t by) { return (n - 1) / by + 1; };
    return divided(rest, divided(rest, std::max(share, chunk)));
  }
  bool exhausted() const {
    return stopped.load(std::memory_order_relaxed) ||
           next.load(std::memory_order_relaxed) >= count;
  }
  void compute(int64_t first, int64_t last, unsigned worker);
  void askWhetherToGoOn() {
    if (options.shouldCancel && !stopped &&
        options.shouldCancel(options.cancelContext))
      cancelled = stopped = true;
  }

  const int64_t count, chunk;
  const int width;
  const ParallelOptions options;
  const ThreadPool::Body body;
  const int callersProcessor = currentProcessor();
  std::atomic<int64_t> next{0};
  std::atomic<bool> stopped{false}, cancelled{false}, outOfMemory{false};
  std::atomic<int> active{0}; // changed with the mutex held

  std::mutex mutex; // guards what follows
  std::condition_variable left;
  bool closed = false;
  unsigned nextWorker = 1; // the caller is 0
};

const ThreadCount &environmentCount() {
  static const ThreadCount count = findThreadCount(ThreadPool::maxThreads);
  return count;
}
} // namespace

/// Bodies throw nothing but what allocating throws.
void Job::compute(int64_t first, int64_t last, unsigned worker) {
  try {
    body(first, last, worker);
  } catch (const std::bad_alloc &) {
    outOfMemory = stopped = true;
  }
}

void Job::runAsCaller() {
  auto lastPoll = Clock::now();
  int64_t first, last;
  while (take(first, last)) {
    compute(first, last, 0);
    if (!options.shouldCancel || Clock::now() - lastPoll < pollInterval)
      continue;
    askWhetherToGoOn();
    lastPoll = Clock::now();
  }
}

void Job::runPiece() {
  int64_t first, last;
  if (take(first, last))
    compute(first, last, 0);
}

void Job::runAsWorker() {
  unsigned worker;
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (closed || exhausted())
      return;
    ++active;
    worker = nextWorker++;
  }
  // A worker may be woken where the caller runs, which then waits for it
  // however many processors are idle. One that only waits has left already.
  if (options.callerComputes || !options.shouldCancel)
    leaveProcessor(callersProcessor);
  bool before = std::exchange(insideWorker, true);
  {
    FloatEnvironmentScope environment;
    int64_t first, last;
    while (take(first, last))
      compute(first, last, worker);
  }
  insideWorker = before;
  std::lock_guard<std::mutex> lock(mutex);
  if (--active == 0)
    left.notify_all();
}

void Job::lookForEnd() const {
  auto until = Clock::now() + lookout;
  while (active > 0 && Clock::now() < until)
#if defined(__x86_64__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
}

void Job::wait(const Scheduler::CallScope &call) {
  if (exhausted())
    lookForEnd();
  auto lastActive = Clock::now();
  std::unique_lock<std::mutex> lock(mutex);
  while (!(exhausted() && active == 0)) {
    if (call.wasForked()) {
      cancelled = stopped = true;
      return;
    }
    left.wait_for(lock, pollInterval);
    if (active > 0)
      lastActive = Clock::now();
    lock.unlock();
    askWhetherToGoOn();
    if (Clock::now() - lastActive > patience)
      runPiece();
    lock.lock();
  }
}

bool Job::close() {
  std::lock_guard<std::mutex> lock(mutex);
  closed = true;
  if (outOfMemory)
    throw std::bad_alloc();
  return !cancelled;
}

ThreadPool &ThreadPool::get() {
  static ThreadPool pool;
  return pool;
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
  int width = numThreads();
  bool computes = options.callerComputes || !options.shouldCancel;
  bool isShort = count <= options.chunk || width == 1;
  if (insideWorker || (isShort && computes)) {
    Job job(count, width, options, body);
    job.runAsCaller();
    return job.close();
  }
  auto job = std::make_shared<Job>(count, width, options, body);
  Scheduler::CallScope call;
  int own = computes ? 1 : 0;
  auto helpers =
      static_cast<int>(std::min<int64_t>(width, job->pieces()) - own);
  int given =
      Scheduler::get().enqueue(helpers, width, [job] { job->runAsWorker(); });
  if (computes || given == 0)
    job->runAsCaller();
  job->wait(call);
  return job->close();
}
