//===- DriverTest.cpp - The driver, with kernels written here -------------===//

#include "fovea/Runtime/Driver.h"
#include "RightLaunch.h"
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Runtime/ThreadPool.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

using namespace fovea;
using namespace fovea::test;

namespace {

std::atomic<int64_t> fastRuns, exactRuns;
int64_t scratchBytes = 256;

int64_t planTwenty(const fovea_cpu_args *, fovea_cpu_plan *plan) {
  plan->scratch_bytes = scratchBytes;
  return 20;
}
int64_t planTen(const fovea_cpu_args *, fovea_cpu_plan *) { return 10; }
int64_t runFast(const fovea_cpu_args *args, int64_t first, int64_t last,
                int64_t next, void *scratch) {
  EXPECT_TRUE(next >= 0 && next < 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(scratch) % 64, 0u);
  static_cast<char *>(scratch)[0] = 1;
  fastRuns += last - first;
  int64_t bad = 0;
  for (int64_t i = first; i < last; ++i)
    bad += i % 5 == 2; // 2, 7, 12, 17
  return bad;
}
int64_t runExact(const fovea_cpu_args *, int64_t first, int64_t last, int64_t,
                 void *) {
  EXPECT_TRUE(last - first != 1 || first < 20);
  exactRuns += last - first;
  return 0;
}

class Driver : public testing::Test {
protected:
  void SetUp() override {
    fastRuns = exactRuns = 0;
    scratchBytes = 256;
    auto checked = checkLaunch(launch.program, launch.launch);
    ASSERT_TRUE(bool(checked));
    view = std::move(*checked);
  }
  RightLaunch launch;
  LaunchView view;
};

TEST_F(Driver, RunsNonFiniteItemsAgain) {
  for (int threads : {1, 3}) {
    ThreadPool::setNumThreads(threads);
    fastRuns = exactRuns = 0;
    llvm::Error error = runKernel(view, {planTwenty, runFast},
                                  []() -> llvm::Expected<KernelCode> {
                                    return KernelCode{planTwenty, runExact};
                                  });
    EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
    EXPECT_EQ(fastRuns, 20);
    EXPECT_EQ(exactRuns, 4);
  }
  ThreadPool::setNumThreads(0);
}

TEST_F(Driver, RunsAllAgainWhereItemsDiffer) {
  llvm::Error error = runKernel(view, {planTwenty, runFast},
                                []() -> llvm::Expected<KernelCode> {
                                  return KernelCode{planTen, runExact};
                                });
  EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
  EXPECT_EQ(exactRuns, 10);
}

TEST_F(Driver, ItemsThatAreNoItemsOfTheExactFormAreRunAgainAltogether) {
  llvm::Error error =
      runKernel(view, {planTwenty, runFast, 0, false, /*otherItems=*/true},
                []() -> llvm::Expected<KernelCode> {
                  return KernelCode{planTwenty, runExact};
                });
  EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
  EXPECT_EQ(exactRuns, 20);
}

int64_t planWorkspace(const fovea_cpu_args *, fovea_cpu_plan *plan) {
  plan->workspace_bytes = 256;
  plan->cleared_bytes = 64;
  return 20;
}
int64_t planLargeWorkspace(const fovea_cpu_args *, fovea_cpu_plan *plan) {
  plan->workspace_bytes = int64_t(1) << 60;
  return 20;
}
int64_t planNothing(const fovea_cpu_args *, fovea_cpu_plan *) { return -1; }
int64_t countInWorkspace(const fovea_cpu_args *args, int64_t first,
                         int64_t last, int64_t, void *) {
  auto *counter = static_cast<std::atomic<int64_t> *>(args->workspace);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(counter) % 64, 0u);
  if ((*counter += last - first) == 20)
    fastRuns = 20;
  return 0;
}

TEST_F(Driver, TheWorkspaceIsSharedAndStartsAtZero) {
  for (int call = 0; call < 2; ++call) {
    fastRuns = 0;
    llvm::Error error =
        runKernel(view, {planWorkspace, countInWorkspace},
                  []() -> llvm::Expected<KernelCode> { return KernelCode{}; });
    EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
    EXPECT_EQ(fastRuns, 20);
  }
}

TEST_F(Driver, RoomForPartsIsWhatTheirPlanSays) {
  auto answer = [&](fovea_cpu_plan_fn plan) {
    return hasRoomForParts(view, {plan, countInWorkspace});
  };
  // Few keys need no plan.
  EXPECT_TRUE(llvm::cantFail(answer(planNothing)));
  view.kvLength = int64_t(1) << 21;
  view.kvLengths.assign(view.kvLengths.size(), view.kvLength);
  EXPECT_TRUE(llvm::cantFail(answer(planWorkspace)));
  EXPECT_FALSE(llvm::cantFail(answer(planLargeWorkspace)));
  auto none = answer(planNothing);
  ASSERT_FALSE(bool(none));
  EXPECT_EQ(takeStatus(none.takeError()),
            std::pair(FOVEA_COMPILE_ERROR,
                      std::string("the kernel's plan gave a wrong count")));
}

TEST_F(Driver, NoMemoryIsAStatus) {
  scratchBytes = int64_t(1) << 60;
  llvm::Error error = runKernel(view, {planTwenty, runFast},
                                []() -> llvm::Expected<KernelCode> {
                                  return KernelCode{planTwenty, runExact};
                                });
  EXPECT_EQ(
      takeStatus(std::move(error)),
      std::pair(FOVEA_OUT_OF_MEMORY,
                std::string("q: no memory for 1152921504606846976 bytes of "
                            "scratch a thread")));
  EXPECT_EQ(fastRuns, 0);
}

TEST_F(Driver, TooManyRowsAreAStatus) {
  view.batch = view.queryHeads = int64_t(1) << 31;
  llvm::Error error =
      runKernel(view, {planTwenty, runFast},
                []() -> llvm::Expected<KernelCode> { return KernelCode{}; });
  EXPECT_EQ(takeStatus(std::move(error)),
            std::pair(FOVEA_INVALID_ARGUMENT,
                      std::string("q: B * Hq * (M + 1) must be at most 2^56, "
                                  "got B = 2147483648, Hq = 2147483648, M = "
                                  "3")));
  EXPECT_EQ(fastRuns, 0);
}

TEST_F(Driver, PartsThatCannotBeCountedHaveNoRoom) {
  view.batch = int64_t(1) << 30;
  EXPECT_TRUE(llvm::cantFail(hasRoomForParts(view, {planNothing, runFast})));
  view.kvHeads = int64_t(1) << 20;
  EXPECT_FALSE(llvm::cantFail(hasRoomForParts(view, {planNothing, runFast})));
}

TEST_F(Driver, NoMemoryForTheWorkspaceIsAStatus) {
  llvm::Error error =
      runKernel(view, {planLargeWorkspace, countInWorkspace},
                []() -> llvm::Expected<KernelCode> { return KernelCode{}; });
  EXPECT_EQ(takeStatus(std::move(error)),
            std::pair(FOVEA_OUT_OF_MEMORY,
                      std::string("k: no memory for 1152921504606846976 bytes "
                                  "of workspace")));
}

/// Pages that lie in one piece hold what they have room for.
TEST_F(Driver, NoMemoryForPagesInOnePieceIsAStatus) {
  view.pageLength = 5;
  view.kvLengths = {int64_t(1) << 52, 0};
  auto gathered = [&]() {
    return takeStatus(GatheredPages::make(view).takeError());
  };
  EXPECT_EQ(gathered(),
            std::pair(FOVEA_OUT_OF_MEMORY,
                      std::string("page_table: no memory for "
                                  "576460752303423488 bytes of keys in one "
                                  "piece")));
  view.kvLengths = {int64_t(1) << 62, 0};
  EXPECT_EQ(gathered(),
            std::pair(FOVEA_OUT_OF_MEMORY,
                      std::string("page_table: no memory for the keys in one "
                                  "piece")));
}

TEST_F(Driver, AskingForTheExactKernelMayFail) {
  llvm::Error error = runKernel(
      view, {planTwenty, runFast}, []() -> llvm::Expected<KernelCode> {
        return makeError(FOVEA_COMPILE_ERROR, "no exact kernel");
      });
  EXPECT_EQ(takeStatus(std::move(error)).second, "no exact kernel");
}

/// Items of a sparse call: 2 batches of heads, 3 tiles of one row each and one
/// for the rows past a length.
std::vector<int64_t> ran, expected;
int64_t planItems(const fovea_cpu_args *args, fovea_cpu_plan *) {
  EXPECT_NE(args->tile_runs, nullptr);
  return args->batch * args->query_heads * 4;
}
int64_t noteItems(const fovea_cpu_args *, int64_t first, int64_t last,
                  int64_t next, void *) {
  for (int64_t i = first; i < last; ++i)
    ran.push_back(i);
  expected.push_back(next);
  return 0;
}

class SparseDriver : public Driver {
protected:
  /// 1, 2 and 5 tiles in rows 0, 1 and 2.
  void runWithHeads(int64_t heads) {
    std::vector<int64_t> starts{0, 1, 3, 4};
    std::vector<int32_t> entries{4 * 1 + 2, 4 * 3, 4 * 5 + 1, 4 * 5 + 2};
    TileRuns runs;
    runs.offsets = starts;
    runs.runs = entries;
    runWith(runs, heads);
  }
  void runWith(const TileRuns &runs, int64_t heads) {
    view.tileRuns = runs;
    view.blockQ = view.blockKV = 1;
    view.queryHeads = heads;
    ran.clear();
    expected.clear();
    ThreadPool::setNumThreads(1);
    llvm::Error error =
        runKernel(view, {planItems, noteItems, 1, true},
                  []() -> llvm::Expected<KernelCode> { return KernelCode(); });
    ThreadPool::setNumThreads(0);
    EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
    ASSERT_EQ(ran.size(), static_cast<size_t>(8 * heads));
    for (size_t i = 0; i < ran.size(); ++i) {
      size_t next = i + 1;
      while (next < ran.size() &&
             ran[next] % 4 >=
                 view.qLengths[static_cast<size_t>(ran[next] / 4 / heads)])
        ++next;
      EXPECT_EQ(expected[i], ran[std::min(next, ran.size() - 1)]) << i;
    }
  }
};

TEST_F(SparseDriver, StartsTheDearestItems) {
  runWithHeads(4);
  const int64_t wanted[] = {2, 1, 0, 3}; // tiles, each in all eight planes
  for (size_t i = 0; i < ran.size(); ++i)
    EXPECT_EQ(ran[i] % 4, wanted[i / 8]) << i;
  std::sort(ran.begin(), ran.end());
  for (size_t i = 0; i < ran.size(); ++i)
    EXPECT_EQ(ran[i], static_cast<int64_t>(i));
}

/// An analysis stops at the longest of the lengths: items past it have no rows
/// of tiles, and must not be given those of the next head.
TEST_F(SparseDriver, ItemsPastTheLengthsCostNothing) {
  view.qLengths = {1, 1};
  std::vector<int64_t> starts{0};
  std::vector<int32_t> entries; // 1, 2, 4 … 128 full tiles in plane 0, 1, 2 …
  for (int plane = 0; plane < 8; ++plane) {
    entries.push_back(4 << plane | 2);
    starts.push_back(plane + 1);
  }
  TileRuns runs;
  runs.offsets = starts;
  runs.runs = entries;
  runs.batchStride = 4;
  runs.headStride = 1;
  runWith(runs, 4);
  std::vector<int64_t> wanted;
  for (int64_t plane = 7; plane >= 0; --plane)
    wanted.push_back(4 * plane);
  for (int64_t item = 0; item < 32; ++item)
    if (item % 4 != 0)
      wanted.push_back(item);
  EXPECT_EQ(ran, wanted);
}

TEST_F(SparseDriver, KeepsNeighboursTogetherAmongMany) {
  runWithHeads(40);
  for (size_t i = 0; i < ran.size(); ++i)
    EXPECT_EQ(ran[i], static_cast<int64_t>(i));
}

int64_t planFourTiles(const fovea_cpu_args *args, fovea_cpu_plan *) {
  EXPECT_EQ(args->tile_runs, nullptr);
  return args->batch * args->query_heads * 4;
}

/// Tiles of one row, the last of a head first: of four one has no row.
TEST_F(Driver, TheNextItemHasRows) {
  view.qLengths = {3, 2};
  ran.clear();
  expected.clear();
  ThreadPool::setNumThreads(1);
  llvm::Error error =
      runKernel(view, {planFourTiles, noteItems, 1},
                []() -> llvm::Expected<KernelCode> { return KernelCode(); });
  ThreadPool::setNumThreads(0);
  EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
  ASSERT_EQ(ran.size(), 32u);
  const std::vector<int64_t> withRows = {
      1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31};
  for (size_t i = 0; i < ran.size(); ++i) {
    EXPECT_EQ(ran[i], static_cast<int64_t>(i));
    auto next = std::upper_bound(withRows.begin(), withRows.end(), ran[i]);
    EXPECT_EQ(expected[i], next == withRows.end() ? 31 : *next) << i;
  }
}

/// Tiles of four items, each of one row, two a head.
int64_t planTilesOfFour(const fovea_cpu_args *args, fovea_cpu_plan *plan) {
  plan->tile_items = 4;
  return args->batch * args->query_heads * 8;
}
std::mutex piecesMutex; // guards what follows
std::vector<std::pair<int64_t, int64_t>> piecesRun;
int64_t noteTiles(const fovea_cpu_args *, int64_t first, int64_t last,
                  int64_t next, void *) {
  EXPECT_TRUE(0 <= next && next < 64);
  std::lock_guard<std::mutex> lock(piecesMutex);
  piecesRun.emplace_back(first, last);
  return 1;
}
std::vector<std::pair<int64_t, int64_t>> again;
int64_t noteAgain(const fovea_cpu_args *, int64_t first, int64_t last, int64_t,
                  void *) {
  std::lock_guard<std::mutex> lock(piecesMutex);
  again.emplace_back(first, last);
  return 0;
}

/// One thread takes whole tiles, many take parts of them, from the first item
/// with a row on; what is not finite is a matter of whole tiles.
TEST_F(Driver, TilesMayBeCut) {
  view.qLengths = {3, 2}; // rows past a length have a tile of their own
  view.queryLength = 3;
  view.kvLength = 1 << 22; // worth more than one piece
  auto isUsed = [&](int64_t item) {
    int64_t batch = item / 32, row = 7 - item % 8;
    return row < view.qLengths[static_cast<size_t>(batch)] ||
           (batch == 1 && row == 4);
  };
  for (int threads : {1, 2, 16}) {
    piecesRun.clear();
    again.clear();
    ThreadPool::setNumThreads(threads);
    llvm::Error error =
        runKernel(view, {planTilesOfFour, noteTiles, 4},
                  []() -> llvm::Expected<KernelCode> {
                    return KernelCode{planTilesOfFour, noteAgain, 4};
                  });
    ThreadPool::setNumThreads(0);
    EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
    llvm::sort(piecesRun);
    std::vector<int64_t> items, tiles;
    for (auto [first, last] : piecesRun) {
      EXPECT_EQ(first / 4, (last - 1) / 4);
      EXPECT_TRUE(isUsed(first)) << first;
      if (threads == 1)
        EXPECT_EQ(last % 4, 0);
      for (int64_t item = first; item < last; ++item)
        items.push_back(item);
    }
    std::vector<int64_t> wanted;
    for (int64_t item = 0; item < 64; ++item)
      if (isUsed(item)) {
        wanted.push_back(item);
        if (tiles.empty() || tiles.back() != item / 4)
          tiles.push_back(item / 4);
      }
    EXPECT_EQ(items, wanted);
    if (threads == 16)
      EXPECT_EQ(piecesRun.size(), wanted.size());
    llvm::sort(again);
    ASSERT_EQ(again.size(), tiles.size());
    for (size_t i = 0; i < tiles.size(); ++i)
      EXPECT_EQ(again[i], std::pair(4 * tiles[i], 4 * tiles[i] + 4));
  }
}

/// Items that are parts of keys have no rows of their own: all are computed,
/// and all again where one is not finite.
TEST_F(Driver, TilesOfPartsMayBeCut) {
  view.qLengths = {3, 2};
  view.queryLength = 3;
  view.kvLength = 1 << 22;
  std::vector<int64_t> all(64);
  std::iota(all.begin(), all.end(), 0);
  auto itemsOf = [](std::vector<std::pair<int64_t, int64_t>> &pieces) {
    llvm::sort(pieces);
    std::vector<int64_t> items;
    for (auto [first, last] : pieces)
      for (int64_t item = first; item < last; ++item)
        items.push_back(item);
    return items;
  };
  for (int threads : {1, 2, 16}) {
    piecesRun.clear();
    again.clear();
    ThreadPool::setNumThreads(threads);
    llvm::Error error = runKernel(
        view, {planTilesOfFour, noteTiles, 4, false, /*otherItems=*/true},
        []() -> llvm::Expected<KernelCode> {
          return KernelCode{planTilesOfFour, noteAgain, 0};
        });
    ThreadPool::setNumThreads(0);
    EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
    EXPECT_EQ(itemsOf(piecesRun), all);
    for (auto [first, last] : piecesRun)
      EXPECT_EQ(first / 4, (last - 1) / 4);
    // Sixteen tiles: two threads cut the last one alone.
    if (threads == 2)
      EXPECT_EQ(llvm::count(piecesRun, std::pair<int64_t, int64_t>(52, 56)), 1);
    if (threads == 16)
      EXPECT_GT(piecesRun.size(), 16u);
    EXPECT_EQ(itemsOf(again), all);
  }
}

/// An item that lasts until it is told to end.
int64_t runUntilCancelled(const fovea_cpu_args *args, int64_t, int64_t, int64_t,
                          void *) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (__atomic_load_n(args->cancelled, __ATOMIC_RELAXED) == 0 &&
         std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  EXPECT_NE(*args->cancelled, 0);
  return 0;
}

TEST_F(Driver, ItemsThatRunAreCancelled) {
  view.kvLength = int64_t(1) << 40; // the caller asks and does not compute
  view.shouldCancel = [](void *) { return 1; };
  ThreadPool::setNumThreads(2);
  llvm::Error error =
      runKernel(view, {planTwenty, runUntilCancelled},
                []() -> llvm::Expected<KernelCode> { return KernelCode(); });
  ThreadPool::setNumThreads(0);
  EXPECT_EQ(takeStatus(std::move(error)),
            std::pair(FOVEA_CANCELLED, std::string("the call was cancelled")));
}

int64_t planHalfTiles(const fovea_cpu_args *, fovea_cpu_plan *plan) {
  plan->tile_items = 4;
  return 18;
}

TEST_F(Driver, TilesAreWhole) {
  llvm::Error error =
      runKernel(view, {planHalfTiles, noteTiles, 4},
                []() -> llvm::Expected<KernelCode> { return KernelCode(); });
  EXPECT_EQ(takeStatus(std::move(error)),
            std::pair(FOVEA_COMPILE_ERROR,
                      std::string("the kernel's plan gave a wrong count")));
}

/// Items of two threads: who ran them, and what each was told to come next.
struct Turn {
  int64_t item, next;
  std::thread::id thread;
};
std::mutex turnMutex; // guards what follows
std::condition_variable turned;
std::vector<Turn> turns;

std::vector<Turn> turnsOf(std::thread::id thread) {
  std::vector<Turn> own;
  llvm::copy_if(turns, std::back_inserter(own),
                [&](const Turn &turn) { return turn.thread == thread; });
  return own;
}

/// Item 0 waits for a second thread, which waits at its first item until the
/// thread before it has gone on to another piece.
int64_t takeTurns(const fovea_cpu_args *, int64_t first, int64_t, int64_t next,
                  void *) {
  constexpr std::chrono::seconds limit(10);
  std::unique_lock<std::mutex> lock(turnMutex);
  std::thread::id self = std::this_thread::get_id();
  turns.push_back({first, next, self});
  turned.notify_all();
  auto ran = [&](int64_t item) {
    return llvm::any_of(turns, [&](const Turn &t) { return t.item == item; });
  };
  if (first == 0)
    turned.wait_for(lock, limit,
                    [&] { return turnsOf(self).size() < turns.size(); });
  else if (turnsOf(self).size() == 1)
    turned.wait_for(lock, limit, [&] {
      return ran(first - 1) && static_cast<int64_t>(turns.size()) > first + 1;
    });
  return 0;
}

TEST_F(Driver, TheNextPieceFollowsThoseThatWereBegun) {
  std::vector<int64_t> starts{0, 1, 2, 3, 4};
  std::vector<int32_t> entries(4, 4 * 1 + 2);
  TileRuns runs;
  runs.offsets = starts;
  runs.runs = entries;
  view.tileRuns = runs;
  view.blockQ = view.blockKV = 1;
  view.queryHeads = 40;
  view.qLengths = {4, 4};
  view.valueDim = 1 << 20;
  turns.clear();
  ThreadPool::setNumThreads(2);
  llvm::Error error =
      runKernel(view, {planItems, takeTurns, 1, true},
                []() -> llvm::Expected<KernelCode> { return KernelCode(); });
  ThreadPool::setNumThreads(0);
  EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
  ASSERT_EQ(turns.size(), 320u);
  auto zero = llvm::find_if(turns, [](const Turn &t) { return t.item == 0; });
  std::vector<Turn> own = turnsOf(zero->thread);
  size_t last = 0; // of the first piece
  while (last + 1 < own.size() &&
         own[last + 1].item == static_cast<int64_t>(last + 1))
    ++last;
  ASSERT_GT(last, 0u);
  ASSERT_LT(last + 1, own.size());
  EXPECT_GT(own[last + 1].item, own[last].item + 2);
  EXPECT_EQ(own[last].next, own[last + 1].item);
}

int64_t planParts(const fovea_cpu_args *, fovea_cpu_plan *) { return 160; }

/// Neighbours that read other keys are not kept together: of those that are
/// left one thread would have some while the others wait.
TEST_F(Driver, ThreadsTakePartsOfTheKeysOneByOne) {
  view.valueDim = 1 << 20;
  turns.clear();
  ThreadPool::setNumThreads(2);
  llvm::Error error =
      runKernel(view, {planParts, takeTurns, 0, false, /*otherItems=*/true},
                []() -> llvm::Expected<KernelCode> { return KernelCode(); });
  ThreadPool::setNumThreads(0);
  EXPECT_EQ(takeStatus(std::move(error)).first, FOVEA_OK);
  ASSERT_EQ(turns.size(), 160u);
  auto zero = llvm::find_if(turns, [](const Turn &t) { return t.item == 0; });
  std::vector<Turn> own = turnsOf(zero->thread);
  ASSERT_GT(own.size(), 1u);
  EXPECT_EQ(own[1].item, 2);
}

} // namespace
