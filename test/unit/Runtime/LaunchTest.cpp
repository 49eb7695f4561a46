//===- LaunchTest.cpp - Checks of launches, and the driver ----------------===//

#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/Driver.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Runtime/ThreadPool.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <vector>

using namespace fovea;

namespace {

/// A launch that is right in every field, and the arrays it refers to.
struct Launch {
  static constexpr int64_t B = 2, H = 4, Hk = 2, M = 3, N = 5, D = 8, E = 6;

  Launch() {
    program.name = "t";
    program.dtype = DType::F32;
    program.headDims = {D};
    program.valueDim = E;
    program.returnLse = true;
    program.captures.push_back({"table", DType::I32, 1, {}, std::nullopt});
    q = tensor({B, H, M, D});
    k = tensor({B, Hk, N, D});
    v = tensor({B, Hk, N, E});
    out = tensor({B, H, M, E});
    lse = tensor({B, H, M});
    capture = tensor({7});
    capture.dtype = FOVEA_I32;
    classes = tensor({B, H, 1, 1});
    classes.dtype = FOVEA_I8;
    pages = tensor({B, 2});
    pages.dtype = FOVEA_I32;
    launch.struct_size = sizeof launch;
    launch.queries = &q;
    launch.keys = &k;
    launch.num_pairs = 1;
    launch.value = &v;
    launch.out = &out;
    launch.lse = &lse;
    launch.captures = &capture;
    launch.num_captures = 1;
    launch.scales = &scale;
  }

  fovea_tensor tensor(std::vector<int64_t> sizes) {
    fovea_tensor t = {};
    t.struct_size = sizeof t;
    t.data = memory;
    t.dtype = FOVEA_F32;
    t.rank = static_cast<int32_t>(sizes.size());
    t.device_type = FOVEA_CPU;
    std::vector<int64_t> strides(sizes.size(), 1);
    for (size_t i = sizes.size(); i-- > 1;)
      strides[i - 1] = strides[i] * sizes[i];
    arrays.push_back(std::move(sizes));
    t.sizes = arrays.back().data();
    arrays.push_back(std::move(strides));
    t.strides = arrays.back().data();
    return t;
  }

  /// Tiles of 2 x 2: one plane for both batches, rows of two runs and of one.
  void useRuns() {
    program.blockMask = true;
    for (int64_t row = 0; row < H * 2; ++row) {
      starts.push_back(static_cast<int64_t>(entries.size()));
      if (row % 2 == 0)
        entries.push_back(4 * 1 + 2);
      entries.push_back(4 * 3 + 1);
    }
    starts.push_back(static_cast<int64_t>(entries.size()));
    runs.struct_size = sizeof runs;
    runs.batch = 1;
    runs.heads = H;
    runs.query_tiles = 2;
    runs.key_tiles = 3;
    runs.offsets = starts.data();
    runs.runs = entries.data();
    runs.num_runs = static_cast<int64_t>(entries.size());
    launch.block_runs = &runs;
    launch.block_q = launch.block_kv = 2;
  }

  std::string check() {
    auto view = checkLaunch(program, launch);
    if (view)
      return "";
    return takeStatus(view.takeError()).second;
  }

  alignas(64) char memory[8192] = {};
  std::deque<std::vector<int64_t>> arrays;
  Program program;
  fovea_launch launch = {};
  fovea_tensor q, k, v, out, lse, capture, classes, pages;
  double scale = 0.5;
  std::vector<int64_t> numbers;
  fovea_block_runs runs = {};
  std::vector<int64_t> starts;
  std::vector<int32_t> entries;
};

using Change = std::function<void(Launch &)>;

struct Case {
  const char *text; // what the error says
  Change change;
};

template <int64_t Index> void resize(fovea_tensor &tensor, int64_t size) {
  const_cast<int64_t *>(tensor.sizes)[Index] = size;
}

void restride(fovea_tensor &matrix, int64_t row, int64_t column) {
  auto *strides = const_cast<int64_t *>(matrix.strides);
  strides[0] = row;
  strides[1] = column;
}

const Case cases[] = {
    {"launch: struct_size must be",
     [](Launch &l) { l.launch.struct_size = 8; }},
    {"stream: must be null", [](Launch &l) { l.launch.stream = &l; }},
    {"q: number of (query, key) pairs must be 1, got 2",
     [](Launch &l) { l.launch.num_pairs = 2; }},
    {"q: must not be null", [](Launch &l) { l.launch.queries = nullptr; }},
    {"k: must not be null", [](Launch &l) { l.launch.keys = nullptr; }},
    {"v: must not be null", [](Launch &l) { l.launch.value = nullptr; }},
    {"out: must not be null", [](Launch &l) { l.launch.out = nullptr; }},
    {"captures: must not be null",
     [](Launch &l) { l.launch.captures = nullptr; }},
    {"captures: must be 1, got 0",
     [](Launch &l) { l.launch.num_captures = 0; }},
    {"scale: must not be null", [](Launch &l) { l.launch.scales = nullptr; }},
    {"scale: must be finite, got nan",
     [](Launch &l) { l.scale = std::nan(""); }},
    {"scale: must be finite, got inf", [](Launch &l) { l.scale = HUGE_VAL; }},
    {"q: struct_size of the tensor must be",
     [](Launch &l) { l.q.struct_size = 0; }},
    {"q: data must not be null", [](Launch &l) { l.q.data = nullptr; }},
    {"q: sizes and strides must not be null",
     [](Launch &l) { l.q.sizes = nullptr; }},
    {"k: sizes and strides must not be null",
     [](Launch &l) { l.k.strides = nullptr; }},
    {"q: rank must be 4, got 3", [](Launch &l) { l.q.rank = 3; }},
    {"q: rank must be 4, got -1", [](Launch &l) { l.q.rank = -1; }},
    {"q: unknown dtype 99", [](Launch &l) { l.q.dtype = 99; }},
    {"q: dtype must be f32, got f64", [](Launch &l) { l.q.dtype = FOVEA_F64; }},
    {"v: dtype must be f32, got bf16",
     [](Launch &l) { l.v.dtype = FOVEA_BF16; }},
    {"lse: dtype must be f32, got f16",
     [](Launch &l) { l.lse.dtype = FOVEA_F16; }},
    {"table: dtype must be i32, got i64",
     [](Launch &l) { l.capture.dtype = FOVEA_I64; }},
    {"table: rank must be 1, got 2", [](Launch &l) { l.capture.rank = 2; }},
    {"table: must have at least one element",
     [](Launch &l) { resize<0>(l.capture, 0); }},
    {"q: must be in host memory", [](Launch &l) { l.q.device_type = 2; }},
    {"q: data must be aligned", [](Launch &l) { l.q.data = l.memory + 1; }},
    {"q: sizes must not be negative", [](Launch &l) { resize<2>(l.q, -3); }},
    {"q: must have at least one head", [](Launch &l) { resize<1>(l.q, 0); }},
    {"q: head dim must be 8, got 9", [](Launch &l) { resize<3>(l.q, 9); }},
    {"k: head dim must be 8, got 4", [](Launch &l) { resize<3>(l.k, 4); }},
    {"k: batch must be that of q (2) or 1, got 3",
     [](Launch &l) { resize<0>(l.k, 3); }},
    {"k: number of heads must divide that of q (4), got 3",
     [](Launch &l) { resize<1>(l.k, 3); }},
    {"k: number of heads must divide that of q (4), got 0",
     [](Launch &l) { resize<1>(l.k, 0); }},
    {"v: number of heads must be 2, got 4",
     [](Launch &l) { resize<1>(l.v, 4); }},
    {"v: length must be 5, got 6", [](Launch &l) { resize<2>(l.v, 6); }},
    {"v: head dim must be 6, got 8", [](Launch &l) { resize<3>(l.v, 8); }},
    {"out: batch must be 2, got 1", [](Launch &l) { resize<0>(l.out, 1); }},
    {"out: length must be 3, got 4", [](Launch &l) { resize<2>(l.out, 4); }},
    {"out: is written, so no stride may be 0",
     [](Launch &l) { const_cast<int64_t *>(l.out.strides)[2] = 0; }},
    {"lse: number of heads must be 4, got 2",
     [](Launch &l) { resize<1>(l.lse, 2); }},
    {"lse: the kernel was compiled without it",
     [](Launch &l) { l.program.returnLse = false; }},
    {"q: the sizes (9223372036854775807, 4, 3, 8) and strides",
     [](Launch &l) { resize<0>(l.q, std::numeric_limits<int64_t>::max()); }},
    {"reach beyond 2^62 bytes",
     [](Launch &l) {
       const_cast<int64_t *>(l.q.strides)[0] =
           std::numeric_limits<int64_t>::min();
     }},
    {"reach beyond 2^62 bytes",
     [](Launch &l) {
       const_cast<int64_t *>(l.capture.strides)[0] = int64_t(1) << 60;
     }},
    {"q_offset: must lie within -2^56 and 2^56",
     [](Launch &l) {
       l.numbers = {0, std::numeric_limits<int64_t>::max()};
       l.launch.q_offset = l.numbers.data();
     }},
    {"kv_offset: must lie within -2^56 and 2^56",
     [](Launch &l) {
       l.numbers = {std::numeric_limits<int64_t>::min(), 0};
       l.launch.kv_offset = l.numbers.data();
     }},
    {"q_lengths: must lie within 0 and 3, got 4 for batch 1",
     [](Launch &l) {
       l.numbers = {3, 4};
       l.launch.q_lengths = l.numbers.data();
     }},
    {"kv_lengths: must lie within 0 and 5, got -1 for batch 0",
     [](Launch &l) {
       l.numbers = {-1, 5};
       l.launch.kv_lengths = l.numbers.data();
     }},
    {"block_mask: the kernel was compiled without one",
     [](Launch &l) { l.launch.block_classes = &l.classes; }},
    {"block_mask: the kernel was compiled with one",
     [](Launch &l) { l.program.blockMask = true; }},
    {"block_mask: block sizes must be at least 1, got (0, 64)",
     [](Launch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_kv = 64;
     }},
    {"block_mask: shape must be (2, 4, 2, 1), got (2, 4, 1, 1)",
     [](Launch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = 2;
       l.launch.block_kv = 64;
     }},
    {"block_mask: must be classes or runs, got both",
     [](Launch &l) {
       l.useRuns();
       l.launch.block_classes = &l.classes;
     }},
    {"block_mask: struct_size of the runs must be",
     [](Launch &l) {
       l.useRuns();
       l.runs.struct_size = 8;
     }},
    {"block_mask: shape must be (2, 4, 2, 3), got (1, 4, 2, 4)",
     [](Launch &l) {
       l.useRuns();
       l.runs.key_tiles = 4;
     }},
    {"block_mask: offsets and runs must not be null",
     [](Launch &l) {
       l.useRuns();
       l.runs.offsets = nullptr;
     }},
    {"block_mask: runs of row 1 of tiles must ascend to 3",
     [](Launch &l) {
       l.useRuns();
       l.entries[2] = 4 * 4 + 1;
     }},
    {"block_mask: runs of row 1 of tiles must ascend to 3",
     [](Launch &l) {
       l.useRuns();
       l.entries[2] = 4 * 1 + 2;
     }},
    {"block_mask: runs of row 0 of tiles must ascend to 3",
     [](Launch &l) {
       l.useRuns();
       l.starts[0] = l.starts[1];
     }},
    {"block_mask: classes must be 0, 1 or 2, got 77 at (0, 0, 0, 1)",
     [](Launch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = 64;
       l.launch.block_kv = 3;
       resize<3>(l.classes, 2);
       l.memory[1] = 77;
     }},
    {"block_mask: classes must be 0, 1 or 2, got -1 at (0, 0, 0, 0)",
     [](Launch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = l.launch.block_kv = 64;
       l.memory[0] = -1;
     }},
    {"block_mask: runs of row 0 of tiles must ascend",
     [](Launch &l) {
       l.useRuns();
       l.entries[1] = 4 * 1 + 2;
     }},
    {"block_mask: runs of row 0 of tiles must ascend",
     [](Launch &l) {
       l.useRuns();
       l.entries[0] = 4 * 1 + 3;
     }},
    {"block_mask: runs of row 7 of tiles must ascend",
     [](Launch &l) {
       l.useRuns();
       l.starts[8] = 99;
     }},
    {"page_table: rank must be 2, got 1",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       l.pages.rank = 1;
     }},
    {"page_table: dtype must be i32 or i64, got f32",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       l.pages.dtype = FOVEA_F32;
     }},
    {"page_table: batch must be 2, got 3",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       resize<0>(l.pages, 3);
     }},
    {"k: a page must have at least one row, got 0",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       resize<2>(l.k, 0);
     }},
    {"v: page length must be 5, got 4",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       resize<2>(l.v, 4);
     }},
    {"page_table: must name at most 2^48 keys a sequence",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       resize<1>(l.pages, int64_t(1) << 58);
       restride(l.pages, 0, 0);
     }},
    {"page_table: sequences of one call must have at most 2^30 pages, got 2 of "
     "up to 1099511627776",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       resize<1>(l.pages, int64_t(1) << 40);
       restride(l.pages, 0, 0);
     }},
    {"page_table: entries must lie within 0 and 1, got 7 for batch 0, page 1",
     [](Launch &l) {
       l.launch.page_table = &l.pages;
       l.numbers = {0, 7, 0, 0};
       l.pages.data = l.numbers.data();
       l.pages.dtype = FOVEA_I64;
     }},
};

TEST(CheckLaunch, ARightOnePasses) { EXPECT_EQ(Launch().check(), ""); }

TEST(CheckLaunch, EveryWrongFieldIsNamed) {
  for (const Case &c : cases) {
    Launch launch;
    c.change(launch);
    EXPECT_NE(launch.check().find(c.text), std::string::npos)
        << "wanted " << c.text << ", got " << launch.check();
  }
}

TEST(CheckLaunch, PagesMakeTheLengthOfASequence) {
  Launch launch;
  resize<0>(launch.k, 3); // the pool of keys has a page more
  launch.numbers = {1, 0, 0, -5};
  launch.pages.data = launch.numbers.data();
  launch.pages.dtype = FOVEA_I64;
  launch.launch.page_table = &launch.pages;
  std::vector<int64_t> lengths = {10, 3};
  launch.launch.kv_lengths = lengths.data(); // the last entry is not read
  auto view = checkLaunch(launch.program, launch.launch);
  ASSERT_TRUE(bool(view)) << takeStatus(view.takeError()).second;
  EXPECT_EQ(view->kvLength, 10);
  EXPECT_EQ(view->pageLength, 5);
  EXPECT_EQ(view->pageTable, (llvm::ArrayRef<int64_t>{1, 0, 0, 0}));
}

/// A table has room for sequences that may come; a call reads what there is.
TEST(CheckLaunch, KeepsThePagesOfTheLongestSequence) {
  Launch launch;
  launch.numbers = {1, 0, 1, -5}; // the second batch begins an entry later
  launch.pages.data = launch.numbers.data();
  launch.pages.dtype = FOVEA_I64;
  resize<1>(launch.pages, int64_t(1) << 40);
  restride(launch.pages, 1, 1);
  launch.launch.page_table = &launch.pages;
  std::vector<int64_t> lengths = {3, 6};
  launch.launch.kv_lengths = lengths.data();
  auto view = checkLaunch(launch.program, launch.launch);
  ASSERT_TRUE(bool(view)) << takeStatus(view.takeError()).second;
  EXPECT_EQ(view->kvLength, 5 * (int64_t(1) << 40));
  EXPECT_EQ(view->pageStride, 2);
  EXPECT_EQ(view->pageTable, (llvm::ArrayRef<int64_t>{1, 0, 0, 1}));
  KernelArguments arguments(*view);
  EXPECT_EQ(arguments.get().longest_kv_length, 6);
  EXPECT_EQ(arguments.get().page_table_stride, 2);
}

TEST(CheckLaunch, FillsInDefaults) {
  Launch launch;
  resize<0>(launch.k, 1);
  auto view = checkLaunch(launch.program, launch.launch);
  ASSERT_TRUE(bool(view));
  EXPECT_EQ(view->keys[0].strides[0], 0);
  EXPECT_EQ(view->keys[0].sizes[0], 2);
  EXPECT_EQ(view->kvLengths, (llvm::SmallVector<int64_t, 4>{5, 5}));
  EXPECT_EQ(view->qOffset, (llvm::SmallVector<int64_t, 4>{0, 0}));
  EXPECT_TRUE(fitsNarrowIndices(*view));
  view->kvOffset[1] = (int64_t(1) << 30) - 4;
  EXPECT_FALSE(fitsNarrowIndices(*view));
  view->kvOffset[1] = -1;
  EXPECT_FALSE(fitsNarrowIndices(*view));
}

TEST(CheckLaunch, TakesABlockMaskAsRuns) {
  Launch launch;
  launch.useRuns();
  auto view = checkLaunch(launch.program, launch.launch);
  ASSERT_TRUE(bool(view));
  ASSERT_TRUE(view->tileRuns);
  const TileRuns &runs = *view->tileRuns;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 4; ++h) {
      EXPECT_EQ(runs.classAt(runs.row(b, h, 0), 0), 2);
      EXPECT_EQ(runs.classAt(runs.row(b, h, 0), 2), 1);
      EXPECT_EQ(runs.classAt(runs.row(b, h, 1), 0), 1);
      EXPECT_EQ(runs.classAt(runs.row(b, h, 1), 3), 0); // beyond the last
    }
}

TEST(TileRuns, OfClasses) {
  int8_t classes[] = {0, 0, 2, 2, 1, /**/ 1, 1, 1, 1, 1, /**/ 2, 1, 0, 1, 2};
  TensorView view;
  view.data = classes;
  view.dtype = DType::I8;
  view.sizes = {2, 3, 3, 5};
  view.strides = {0, 0, 5, 1};
  std::vector<int64_t> offsets;
  std::vector<int32_t> entries;
  TileRuns runs = collectRuns(view, offsets, entries);
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 3, 4, 9}));
  for (int64_t row = 0; row < 3; ++row)
    for (int64_t n = 0; n < 5; ++n)
      EXPECT_EQ(runs.classAt(runs.row(1, 2, row), n), classes[row * 5 + n]);
}

//===----------------------------------------------------------------------===//
// The driver, with kernels written here
//===----------------------------------------------------------------------===//

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
  Launch launch;
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
    for (size_t i = 0; i + 1 < ran.size(); ++i)
      EXPECT_EQ(expected[i], ran[i + 1]) << i;
    EXPECT_EQ(expected.back(), ran.back());
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

} // namespace
