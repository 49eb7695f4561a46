//===- CheckLaunchTest.cpp - Checks of what callers give ------------------===//

#include "RightLaunch.h"
#include "fovea/Runtime/Driver.h"

#include "gtest/gtest.h"

#include <cmath>
#include <functional>
#include <limits>

using namespace fovea;
using namespace fovea::test;

namespace {

using Change = std::function<void(RightLaunch &)>;

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
     [](RightLaunch &l) { l.launch.struct_size = 8; }},
    {"stream: must be null", [](RightLaunch &l) { l.launch.stream = &l; }},
    {"q: number of (query, key) pairs must be 1, got 2",
     [](RightLaunch &l) { l.launch.num_pairs = 2; }},
    {"q: must not be null", [](RightLaunch &l) { l.launch.queries = nullptr; }},
    {"k: must not be null", [](RightLaunch &l) { l.launch.keys = nullptr; }},
    {"v: must not be null", [](RightLaunch &l) { l.launch.value = nullptr; }},
    {"out: must not be null", [](RightLaunch &l) { l.launch.out = nullptr; }},
    {"captures: must not be null",
     [](RightLaunch &l) { l.launch.captures = nullptr; }},
    {"captures: must be 1, got 0",
     [](RightLaunch &l) { l.launch.num_captures = 0; }},
    {"scale: must not be null",
     [](RightLaunch &l) { l.launch.scales = nullptr; }},
    {"scale: must be finite, got nan",
     [](RightLaunch &l) { l.scale = std::nan(""); }},
    {"scale: must be finite, got inf",
     [](RightLaunch &l) { l.scale = HUGE_VAL; }},
    {"scale: must be finite, got -inf",
     [](RightLaunch &l) { l.scale = -HUGE_VAL; }},
    {"scale: must be finite in float32, got -1e+300",
     [](RightLaunch &l) { l.scale = -1e300; }},
    {"table: dim 0 must be 6, got 7",
     [](RightLaunch &l) { l.declare({6, ""}); }},
    {"table: dim 0 must be H (4), got 7",
     [](RightLaunch &l) { l.declare({-1, "H"}); }},
    {"table: dim 0 must be N (0), got 7",
     [](RightLaunch &l) {
       l.declare({-1, "N"});
       resize<2>(l.k, 0);
       resize<2>(l.v, 0);
     }},
    {"second: dim 0 must be S (7, that of table), got 8",
     [](RightLaunch &l) {
       l.declare({-1, "S"});
       l.addCapture("second", 8);
     }},
    {"out: must not lie where q does",
     [](RightLaunch &l) { l.out.data = l.memory + 64; }},
    {"out: must not lie where table does",
     [](RightLaunch &l) { l.capture.data = l.results; }},
    {"lse: must not lie where out does",
     [](RightLaunch &l) { l.lse.data = l.results + 500; }},
    {"lse: must not lie where k does",
     [](RightLaunch &l) {
       l.k.data = l.results + 6000;
       l.lse.data = l.results + 6400;
     }},
    {"out: must not lie where block_mask does",
     [](RightLaunch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = l.launch.block_kv = 64;
       l.classes.data = l.results + 33;
     }},
    {"q: struct_size of the tensor must be",
     [](RightLaunch &l) { l.q.struct_size = 0; }},
    {"q: data must not be null", [](RightLaunch &l) { l.q.data = nullptr; }},
    {"q: sizes and strides must not be null",
     [](RightLaunch &l) { l.q.sizes = nullptr; }},
    {"k: sizes and strides must not be null",
     [](RightLaunch &l) { l.k.strides = nullptr; }},
    {"q: rank must be 4, got 3", [](RightLaunch &l) { l.q.rank = 3; }},
    {"q: rank must be 4, got -1", [](RightLaunch &l) { l.q.rank = -1; }},
    {"q: unknown dtype 99", [](RightLaunch &l) { l.q.dtype = 99; }},
    {"q: dtype must be f32, got f64",
     [](RightLaunch &l) { l.q.dtype = FOVEA_F64; }},
    {"v: dtype must be f32, got bf16",
     [](RightLaunch &l) { l.v.dtype = FOVEA_BF16; }},
    {"lse: dtype must be f32, got f16",
     [](RightLaunch &l) { l.lse.dtype = FOVEA_F16; }},
    {"table: dtype must be i32, got i64",
     [](RightLaunch &l) { l.capture.dtype = FOVEA_I64; }},
    {"table: rank must be 1, got 2",
     [](RightLaunch &l) { l.capture.rank = 2; }},
    {"table: must have at least one element",
     [](RightLaunch &l) { resize<0>(l.capture, 0); }},
    {"q: must be in host memory", [](RightLaunch &l) { l.q.device_type = 2; }},
    {"q: data must be aligned",
     [](RightLaunch &l) { l.q.data = l.memory + 1; }},
    {"q: sizes must not be negative",
     [](RightLaunch &l) { resize<2>(l.q, -3); }},
    {"q: must have at least one head",
     [](RightLaunch &l) { resize<1>(l.q, 0); }},
    {"q: head dim must be 8, got 9", [](RightLaunch &l) { resize<3>(l.q, 9); }},
    {"k: head dim must be 8, got 4", [](RightLaunch &l) { resize<3>(l.k, 4); }},
    {"k: batch must be that of q (2) or 1, got 3",
     [](RightLaunch &l) { resize<0>(l.k, 3); }},
    {"k: number of heads must divide that of q (4), got 3",
     [](RightLaunch &l) { resize<1>(l.k, 3); }},
    {"k: number of heads must divide that of q (4), got 0",
     [](RightLaunch &l) { resize<1>(l.k, 0); }},
    {"v: number of heads must be 2, got 4",
     [](RightLaunch &l) { resize<1>(l.v, 4); }},
    {"v: length must be 5, got 6", [](RightLaunch &l) { resize<2>(l.v, 6); }},
    {"v: head dim must be 6, got 8", [](RightLaunch &l) { resize<3>(l.v, 8); }},
    {"out: batch must be 2, got 1",
     [](RightLaunch &l) { resize<0>(l.out, 1); }},
    {"out: length must be 3, got 4",
     [](RightLaunch &l) { resize<2>(l.out, 4); }},
    {"out: is written, so no stride may be 0",
     [](RightLaunch &l) { const_cast<int64_t *>(l.out.strides)[2] = 0; }},
    {"lse: number of heads must be 4, got 2",
     [](RightLaunch &l) { resize<1>(l.lse, 2); }},
    {"lse: the kernel was compiled without it",
     [](RightLaunch &l) { l.program.returnLse = false; }},
    {"q: the sizes (9223372036854775807, 4, 3, 8) and strides",
     [](RightLaunch &l) {
       resize<0>(l.q, std::numeric_limits<int64_t>::max());
     }},
    {"reach beyond 2^62 bytes",
     [](RightLaunch &l) {
       const_cast<int64_t *>(l.q.strides)[0] =
           std::numeric_limits<int64_t>::min();
     }},
    {"reach beyond 2^62 bytes",
     [](RightLaunch &l) {
       const_cast<int64_t *>(l.capture.strides)[0] = int64_t(1) << 60;
     }},
    {"q_offset: must lie within -2^56 and 2^56",
     [](RightLaunch &l) {
       l.numbers = {0, std::numeric_limits<int64_t>::max()};
       l.launch.q_offset = l.numbers.data();
     }},
    {"kv_offset: must lie within -2^56 and 2^56",
     [](RightLaunch &l) {
       l.numbers = {std::numeric_limits<int64_t>::min(), 0};
       l.launch.kv_offset = l.numbers.data();
     }},
    {"q_lengths: must lie within 0 and 3, got 4 for batch 1",
     [](RightLaunch &l) {
       l.numbers = {3, 4};
       l.launch.q_lengths = l.numbers.data();
     }},
    {"kv_lengths: must lie within 0 and 5, got -1 for batch 0",
     [](RightLaunch &l) {
       l.numbers = {-1, 5};
       l.launch.kv_lengths = l.numbers.data();
     }},
    {"block_mask: the kernel was compiled without one",
     [](RightLaunch &l) { l.launch.block_classes = &l.classes; }},
    {"block_mask: the kernel was compiled with one",
     [](RightLaunch &l) { l.program.blockMask = true; }},
    {"block_mask: block sizes must be at least 1, got (0, 64)",
     [](RightLaunch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_kv = 64;
     }},
    {"block_mask: shape must be (2, 4, 2, 1), got (2, 4, 1, 1)",
     [](RightLaunch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = 2;
       l.launch.block_kv = 64;
     }},
    {"block_mask: must be classes or runs, got both",
     [](RightLaunch &l) {
       l.useRuns();
       l.launch.block_classes = &l.classes;
     }},
    {"block_mask: struct_size of the runs must be",
     [](RightLaunch &l) {
       l.useRuns();
       l.runs.struct_size = 8;
     }},
    {"block_mask: shape must be (2, 4, 2, 3), got (1, 4, 2, 4)",
     [](RightLaunch &l) {
       l.useRuns();
       l.runs.key_tiles = 4;
     }},
    {"block_mask: offsets and runs must not be null",
     [](RightLaunch &l) {
       l.useRuns();
       l.runs.offsets = nullptr;
     }},
    {"block_mask: runs of row 1 of tiles must ascend to 3",
     [](RightLaunch &l) {
       l.useRuns();
       l.entries[2] = 4 * 4 + 1;
     }},
    {"block_mask: runs of row 1 of tiles must ascend to 3",
     [](RightLaunch &l) {
       l.useRuns();
       l.entries[2] = 4 * 1 + 2;
     }},
    {"block_mask: runs of row 0 of tiles must ascend to 3",
     [](RightLaunch &l) {
       l.useRuns();
       l.starts[0] = l.starts[1];
     }},
    {"block_mask: classes must be 0, 1 or 2, got 77 at (0, 0, 0, 1)",
     [](RightLaunch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = 64;
       l.launch.block_kv = 3;
       resize<3>(l.classes, 2);
       l.memory[1] = 77;
     }},
    {"block_mask: classes must be 0, 1 or 2, got -1 at (0, 0, 0, 0)",
     [](RightLaunch &l) {
       l.program.blockMask = true;
       l.launch.block_classes = &l.classes;
       l.launch.block_q = l.launch.block_kv = 64;
       l.memory[0] = -1;
     }},
    {"block_mask: runs of row 0 of tiles must ascend",
     [](RightLaunch &l) {
       l.useRuns();
       l.entries[1] = 4 * 1 + 2;
     }},
    {"block_mask: runs of row 0 of tiles must ascend",
     [](RightLaunch &l) {
       l.useRuns();
       l.entries[0] = 4 * 1 + 3;
     }},
    {"block_mask: runs of row 7 of tiles must ascend",
     [](RightLaunch &l) {
       l.useRuns();
       l.starts[8] = 99;
     }},
    {"page_table: rank must be 2, got 1",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       l.pages.rank = 1;
     }},
    {"page_table: dtype must be i32 or i64, got f32",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       l.pages.dtype = FOVEA_F32;
     }},
    {"page_table: batch must be 2, got 3",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       resize<0>(l.pages, 3);
     }},
    {"k: a page must have at least one row, got 0",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       resize<2>(l.k, 0);
     }},
    {"v: page length must be 5, got 4",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       resize<2>(l.v, 4);
     }},
    {"page_table: must name at most 2^48 keys a sequence",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       resize<1>(l.pages, int64_t(1) << 58);
       restride(l.pages, 0, 0);
     }},
    {"page_table: sequences of one call must have at most 2^30 pages, got 2 of "
     "up to 1099511627776",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       resize<1>(l.pages, int64_t(1) << 40);
       restride(l.pages, 0, 0);
     }},
    {"page_table: entries must lie within 0 and 1, got 7 for batch 0, page 1",
     [](RightLaunch &l) {
       l.launch.page_table = &l.pages;
       l.numbers = {0, 7, 0, 0};
       l.pages.data = l.numbers.data();
       l.pages.dtype = FOVEA_I64;
     }},
};

TEST(CheckLaunch, ARightOnePasses) { EXPECT_EQ(RightLaunch().check(), ""); }

TEST(CheckLaunch, EveryWrongFieldIsNamed) {
  for (const Case &c : cases) {
    RightLaunch launch;
    c.change(launch);
    EXPECT_NE(launch.check().find(c.text), std::string::npos)
        << "wanted " << c.text << ", got " << launch.check();
  }
}

TEST(CheckLaunch, ACaptureMayBeEmptyWhereNoPairReadsIt) {
  RightLaunch launch;
  launch.declare({-1, "N"});
  resize<2>(launch.k, 0);
  resize<2>(launch.v, 0);
  resize<0>(launch.capture, 0);
  launch.capture.data = nullptr;
  auto view = checkLaunch(launch.program, launch.launch);
  ASSERT_TRUE(bool(view)) << takeStatus(view.takeError()).second;
  // Kernels may read it all the same: one zero stands for it.
  ASSERT_EQ(view->captures[0].numElements(), 1);
  EXPECT_EQ(view->captures[0].loadInt(0), 0);
  resize<0>(launch.capture, 1);
  launch.capture.data = launch.memory;
  EXPECT_EQ(launch.check(), "table: dim 0 must be N (0), got 1");
}

TEST(CheckLaunch, ACaptureOfNoFeatureMayBeEmpty) {
  RightLaunch launch;
  launch.program.valueDim = 0;
  resize<3>(launch.v, 0);
  resize<3>(launch.out, 0);
  resize<0>(launch.capture, 0);
  launch.declare({-1, "E"});
  EXPECT_EQ(launch.check(), "");
  launch.declare({-1, "S"});
  EXPECT_EQ(launch.check(), "table: must have at least one element, got (0)");
}

TEST(CheckLaunch, ASizeThatNothingDeclaresMayBeAny) {
  RightLaunch launch;
  launch.declare({});
  EXPECT_EQ(launch.check(), "");
}

/// As the parts of one array of [batch, row, what, head, feature] do.
TEST(CheckLaunch, ResultsMayBeWovenIntoOtherTensors) {
  RightLaunch launch;
  int64_t B = launch.B, H = launch.H, M = launch.M, D = launch.D;
  launch.q = launch.tensor({B, H, M, D});
  for (fovea_tensor *tensor : {&launch.q, &launch.out}) {
    auto *strides = const_cast<int64_t *>(tensor->strides);
    strides[0] = M * 2 * H * D;
    strides[1] = D;
    strides[2] = 2 * H * D;
  }
  launch.q.data = launch.results + 2048;
  launch.out.data = launch.results + 2048 + H * D * 4;
  launch.lse.data = launch.memory + 4096;
  EXPECT_EQ(launch.check(), "");
  launch.out.data = launch.results + 2048 + H * D * 4 - 4;
  EXPECT_EQ(launch.check(), "out: must not lie where q does");
  // From above as from below.
  std::swap(launch.q.data, launch.out.data);
  EXPECT_EQ(launch.check(), "");
  launch.q.data = launch.results + 2048 + H * D * 4 - 28;
  EXPECT_EQ(launch.check(), "out: must not lie where q does");
}

TEST(CheckLaunch, ResultsWithoutElementsLieNowhere) {
  RightLaunch launch;
  resize<2>(launch.q, 0);
  resize<2>(launch.out, 0);
  resize<2>(launch.lse, 0);
  launch.out.data = launch.lse.data = launch.memory;
  EXPECT_EQ(launch.check(), "");
}

TEST(CheckLaunch, PagesMakeTheLengthOfASequence) {
  RightLaunch launch;
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
  RightLaunch launch;
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
  RightLaunch launch;
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
  RightLaunch launch;
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

} // namespace
