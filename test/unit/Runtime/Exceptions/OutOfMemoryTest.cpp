//===- OutOfMemoryTest.cpp - What bodies throw ----------------------------===//

#include "fovea/Runtime/ThreadPool.h"

#include "gtest/gtest.h"

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

using namespace fovea;

TEST(ThreadsOutOfMemory, ReachesTheCallerAndEndsTheCall) {
  constexpr std::chrono::microseconds pause(20);
  ThreadPool::setNumThreads(3);
  for (int64_t thrower : {0, 57}) {
    std::atomic<int64_t> items{0};
    EXPECT_THROW(
        ThreadPool::get().parallelFor(100000, {},
                                      [&](int64_t first, int64_t, unsigned) {
                                        ++items;
                                        if (first == thrower)
                                          throw std::bad_alloc();
                                        // Else all may be done while the
                                        // thrower waits for a processor.
                                        std::this_thread::sleep_for(pause);
                                      }),
        std::bad_alloc);
    EXPECT_LT(items, 100000);
    // The next call works.
    items = 0;
    EXPECT_TRUE(ThreadPool::get().parallelFor(
        1000, {},
        [&](int64_t first, int64_t last, unsigned) { items += last - first; }));
    EXPECT_EQ(items, 1000);
  }
  ThreadPool::setNumThreads(0);
}
