//===- ThreadPoolTest.cpp - The threads of the process --------------------===//

#include "fovea/Runtime/ThreadPool.h"
#include "../../../lib/Runtime/Threads/Placement.h"
#include "../../../lib/Runtime/Threads/ThreadCount.h"

#include "gtest/gtest.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <sched.h>
#include <set>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace fovea;

namespace {

class Threads : public testing::Test {
protected:
  void TearDown() override { ThreadPool::setNumThreads(0); }
};

/// Whether every item runs once.
bool coversAll(int64_t count, const ParallelOptions &options) {
  std::vector<std::atomic<int>> runs(count);
  bool done = ThreadPool::get().parallelFor(
      count, options, [&](int64_t first, int64_t last, unsigned worker) {
        for (int64_t i = first; i < last; ++i)
          ++runs[i];
      });
  for (auto &run : runs)
    done &= run == 1;
  return done;
}

int never(void *) { return 0; }

TEST(Placement, ThreadsLeaveTheCallersProcessor) {
  std::thread([] {
    cpu_set_t before, after;
    ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    if (CPU_COUNT(&before) < 2)
      GTEST_SKIP() << "one processor";
    // Wherever else it may be moved meanwhile: it was there, and it left.
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (!CPU_ISSET(i, &before))
        continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(i, &one);
      ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
      EXPECT_EQ(leaveProcessor(i), i); // it may not run anywhere else
      EXPECT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
      EXPECT_TRUE(CPU_EQUAL(&one, &after));
      ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
      int left = currentProcessor();
      if (left == i) {
        EXPECT_NE(leaveProcessor(left), left);
      }
      EXPECT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
      EXPECT_TRUE(CPU_EQUAL(&before, &after));
    }
    EXPECT_NE(leaveProcessor(-2), -2); // nobody's: stays where it is
  }).join();
}

/// What the calls to come answer: 0 goes to the system, the last one stays.
thread_local std::vector<int> answers;
thread_local int callsOfSetAffinity;

int answering(pid_t thread, size_t size, const cpu_set_t *set) {
  int answer = answers.front();
  if (answers.size() > 1)
    answers.erase(answers.begin());
  ++callsOfSetAffinity;
  errno = answer;
  return answer ? -1 : sched_setaffinity(thread, size, set);
}

/// What is left of where a thread may run, when leaving gets these answers.
bool staysAsItWas(std::vector<int> given) {
  cpu_set_t before, after;
  EXPECT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  callsOfSetAffinity = 0;
  while (callsOfSetAffinity == 0) { // it may be moved before it leaves
    answers = given;
    leaveProcessor(currentProcessor(), answering);
  }
  EXPECT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  bool same = CPU_EQUAL(&before, &after);
  EXPECT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
  return same;
}

TEST(Placement, WhereAThreadMayRunIsAskedForAgain) {
  std::thread([] {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    if (CPU_COUNT(&set) < 2)
      GTEST_SKIP() << "one processor";
    EXPECT_TRUE(staysAsItWas({EPERM})); // not left at all
    EXPECT_EQ(callsOfSetAffinity, 1);
    EXPECT_TRUE(staysAsItWas({0, ENOMEM, ENOMEM, 0}));
    EXPECT_EQ(callsOfSetAffinity, 4);
    EXPECT_FALSE(staysAsItWas({0, EINVAL})); // the system's decision
    EXPECT_EQ(callsOfSetAffinity, 2);
    EXPECT_FALSE(staysAsItWas({0, ENOMEM})); // not asked for ever
  }).join();
}

TEST_F(Threads, EveryItemRunsOnce) {
  for (int threads : {1, 2, 8})
    for (int64_t count : {0, 1, 2, 7, 1000})
      for (int64_t chunk : {1, 3, 2000})
        for (bool callerComputes : {true, false}) {
          ThreadPool::setNumThreads(threads);
          ParallelOptions options;
          options.chunk = chunk;
          options.shouldCancel = never;
          options.callerComputes = callerComputes;
          for (int64_t most : {1, 50}) {
            options.most = most;
            EXPECT_TRUE(coversAll(count, options))
                << threads << " " << count << " " << chunk << " " << most;
          }
        }
}

TEST_F(Threads, PiecesShrinkWithWhatIsLeft) {
  ThreadPool::setNumThreads(2);
  ParallelOptions options;
  options.most = 20;
  std::mutex mutex;
  std::vector<int64_t> sizes(400);
  ThreadPool::get().parallelFor(
      400, options, [&](int64_t first, int64_t last, unsigned worker) {
        std::lock_guard<std::mutex> lock(mutex);
        sizes[first] = last - first;
      });
  EXPECT_EQ(sizes[0], 20);
  for (int64_t at = 0; at < 400; at += sizes[at]) {
    EXPECT_LE(sizes[at], std::max<int64_t>((400 - at) / 8, 1));
    ASSERT_GE(sizes[at], 1);
  }
  EXPECT_EQ(sizes[399], 1);
}

/// Whole tiles while two are left for each thread, then parts of one.
TEST_F(Threads, TilesAreCutWhereFewAreLeft) {
  for (int threads : {1, 2, 16})
    for (int64_t tiles : {1, 3, 40, 400})
      for (int64_t chunk : {1, 4, 100}) {
        ThreadPool::setNumThreads(threads);
        ParallelOptions options;
        options.chunk = chunk;
        options.tile = 6;
        int64_t count = tiles * options.tile;
        if (threads > 1 && count <= chunk)
          continue; // all of it is one piece
        std::mutex mutex;
        std::vector<int64_t> sizes(static_cast<size_t>(count));
        ThreadPool::get().parallelFor(
            count, options, [&](int64_t first, int64_t last, unsigned) {
              std::lock_guard<std::mutex> lock(mutex);
              sizes[static_cast<size_t>(first)] = last - first;
            });
        for (int64_t at = 0; at < count;) {
          int64_t size = sizes[static_cast<size_t>(at)];
          bool whole = threads == 1 || count - at >= 12 * threads;
          ASSERT_GE(size, 1) << at;
          if (whole) {
            EXPECT_EQ(size % 6, 0) << at;
            EXPECT_EQ(at % 6, 0) << at;
          } else {
            EXPECT_LE(at % 6 + size, 6) << at;
            EXPECT_GE(size, std::min(chunk, (6 - at % 6 + 1) / 2)) << at;
          }
          at += size;
        }
        if (threads > 1 && chunk == 1) {
          EXPECT_EQ(sizes.back(), 1);
        }
      }
}

TEST_F(Threads, WorkersAreNeverTwiceAtOnce) {
  ThreadPool::setNumThreads(4);
  std::vector<std::atomic<int>> busy(ThreadPool::numWorkers());
  std::atomic<bool> clash{false};
  ThreadPool::get().parallelFor(64, {}, [&](int64_t, int64_t, unsigned worker) {
    if (busy[worker]++ != 0)
      clash = true;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    --busy[worker];
  });
  EXPECT_FALSE(clash);
}

TEST_F(Threads, SeveralCallersAtOnceAndNestedCalls) {
  ThreadPool::setNumThreads(3);
  std::atomic<int> good{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      ThreadPool::get().parallelFor(8, {}, [&](int64_t, int64_t, unsigned) {
        ParallelOptions inner;
        inner.shouldCancel = never;
        inner.callerComputes = false;
        good += coversAll(20, inner);
      });
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(good, 4 * 8);
}

TEST_F(Threads, CancelStopsWithinTheInterval) {
  for (bool callerComputes : {true, false}) {
    ThreadPool::setNumThreads(2);
    ParallelOptions options;
    std::thread::id caller = std::this_thread::get_id();
    options.cancelContext = &caller;
    options.callerComputes = callerComputes;
    options.shouldCancel = [](void *context) {
      return int(*static_cast<std::thread::id *>(context) ==
                 std::this_thread::get_id());
    };
    std::atomic<int> items{0};
    auto begin = std::chrono::steady_clock::now();
    bool done = ThreadPool::get().parallelFor(
        100000, options, [&](int64_t, int64_t, unsigned) {
          ++items;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        });
    auto seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin);
    EXPECT_FALSE(done);
    EXPECT_LT(seconds.count(), 1.0);
    int after = items;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(items, after); // nothing runs once the call is back
  }
}

#if defined(__x86_64__)
TEST_F(Threads, TheCallersFloatEnvironmentDoesNotMatter) {
  ThreadPool::setNumThreads(2);
  unsigned before = _mm_getcsr();
  unsigned flush = before | 0x8040; // flush to zero, denormals are zero
  _mm_setcsr(flush);
  std::atomic<bool> flushed{false};
  volatile float tiny = 1e-39f;
  ThreadPool::get().parallelFor(16, {}, [&](int64_t, int64_t, unsigned) {
    if (tiny * 0.5f == 0)
      flushed = true;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  });
  EXPECT_EQ(_mm_getcsr() & ~0x3fu, flush & ~0x3fu);
  _mm_setcsr(before);
  EXPECT_FALSE(flushed);
}
#endif

TEST_F(Threads, AForkedChildHasAPoolOfItsOwn) {
  ThreadPool::setNumThreads(3);
  ASSERT_TRUE(coversAll(100, {}));
  std::atomic<bool> stop{false};
  std::thread busy([&] { // the parent computes while it forks
    while (!stop)
      coversAll(50, {});
  });
  int failures = 0;
  for (int i = 0; i < 20; ++i) {
    pid_t child = fork();
    if (child == 0)
      _exit(coversAll(1000, {}) && coversAll(10, {}) ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    failures += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  stop = true;
  busy.join();
  EXPECT_EQ(failures, 0);
}

/// How many threads a call of many short items runs on.
size_t threadsOfACall() {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  ThreadPool::get().parallelFor(200, {}, [&](int64_t, int64_t, unsigned) {
    std::this_thread::sleep_for(std::chrono::microseconds(500));
    std::lock_guard<std::mutex> lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  return seen.size();
}

/// What a forked child gives as its exit status.
int runInChild(int (*body)()) {
  pid_t child = fork();
  if (child == 0)
    _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Threads, ParentAndChildOfAForkStartAnew) {
  ThreadPool::setNumThreads(3);
  ASSERT_GT(threadsOfACall(), 1u);
  // Another thread of the parent has computed and lives on.
  std::mutex end;
  std::atomic<bool> computed{false};
  end.lock();
  std::thread other([&] {
    coversAll(100, {});
    computed = true;
    end.lock();
  });
  while (!computed)
    std::this_thread::yield();
  EXPECT_GT(runInChild([] { return int(threadsOfACall()); }), 1);
  EXPECT_GT(threadsOfACall(), 1u);
  end.unlock();
  other.join();
  end.unlock();
}

TEST_F(Threads, AChildForkedWhileComputingIsSerial) {
  ThreadPool::setNumThreads(3);
  std::atomic<bool> started{false}, stop{false};
  std::thread busy([&] {
    ThreadPool::get().parallelFor(3, {}, [&](int64_t, int64_t, unsigned) {
      started = true;
      while (!stop)
        std::this_thread::yield();
    });
  });
  while (!started)
    std::this_thread::yield();
  EXPECT_EQ(runInChild([] {
              ParallelOptions polling;
              polling.shouldCancel = never;
              polling.callerComputes = false;
              return coversAll(50, polling) ? int(threadsOfACall()) : 0;
            }),
            1);
  stop = true;
  busy.join();
  EXPECT_GT(threadsOfACall(), 1u); // the parent keeps its workers
}

TEST_F(Threads, ACallThatForksEndsInTheChild) {
  ThreadPool::setNumThreads(2);
  pid_t child = -1;
  ParallelOptions options;
  options.callerComputes = false;
  options.cancelContext = &child;
  options.shouldCancel = [](void *context) {
    pid_t &made = *static_cast<pid_t *>(context);
    if (made < 0)
      made = fork();
    return 0;
  };
  bool done = ThreadPool::get().parallelFor(
      20, options, [](int64_t, int64_t, unsigned) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      });
  if (child == 0) // its call is over, cancelled; the next one works
    _exit(!done && coversAll(10, {}) ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(done);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#if !__has_feature(address_sanitizer)
TEST_F(Threads, FewerThreadsThanWantedWhereTheSystemRefusesMore) {
  ThreadPool::setNumThreads(64);
  int threads = runInChild([] {
    // Address space for no new stack; the C library may keep a dozen old ones.
    std::ifstream statm("/proc/self/statm");
    rlim_t pages = 0;
    statm >> pages;
    auto page = static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
    rlimit limit = {pages * page + (2u << 20), RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    ParallelOptions polling;
    polling.shouldCancel = never;
    polling.callerComputes = false;
    return coversAll(50, polling) ? int(threadsOfACall()) : 0;
  });
  EXPECT_GE(threads, 1);
  EXPECT_LT(threads, 32);
}
#endif

TEST_F(Threads, AShortCallCostsLittle) {
  ThreadPool::setNumThreads(4);
  ParallelOptions options;
  options.chunk = 8;
  options.shouldCancel = never;
  double best = 1;
  for (int i = 0; i < 1000; ++i) {
    auto begin = std::chrono::steady_clock::now();
    ThreadPool::get().parallelFor(8, options,
                                  [](int64_t, int64_t, unsigned) {});
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count());
  }
  EXPECT_LT(best, 5e-6);
}

TEST(ThreadCount, ReadsQuotas) {
  EXPECT_EQ(parseCpuMax("150000 100000\n"), 2);
  EXPECT_EQ(parseCpuMax("100000 100000"), 1);
  EXPECT_EQ(parseCpuMax("1 100000"), 1);
  EXPECT_EQ(parseCpuMax("max 100000"), std::nullopt);
  EXPECT_EQ(parseCpuMax(""), std::nullopt);
  EXPECT_EQ(parseCpuMax("-1 100000"), std::nullopt);
  EXPECT_EQ(parseCpuMax("5 0"), std::nullopt);
}

TEST(ThreadCount, ReadsTheEnvironment) {
  setenv("FOVEA_NUM_THREADS", "5", 1);
  EXPECT_EQ(findThreadCount(1024).threads, 5);
  for (const char *wrong : {"0", "-3", "many", "4096", "2.5"}) {
    setenv("FOVEA_NUM_THREADS", wrong, 1);
    ThreadCount count = findThreadCount(1024);
    EXPECT_GE(count.threads, 1);
    EXPECT_STRNE(count.note, "") << wrong;
  }
  unsetenv("FOVEA_NUM_THREADS");
  EXPECT_STREQ(findThreadCount(1024).note, "");
}

} // namespace
