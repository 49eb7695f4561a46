//===- TilesTest.cpp - Kernels of AMX tiles, on any processor -------------===//
#if defined(__x86_64__) && defined(__linux__)

#include "TilesFixture.h"

#include <limits>

using namespace fovea;
using namespace fovea::test;

namespace {

/// Scratch of an item, full of NaNs.
struct Scratch {
  explicit Scratch(int64_t bytes) : memory(bytes + line, char(0xff)) {
    base = memory.data();
    size_t space = memory.size();
    std::align(line, bytes, base, space);
  }
  static constexpr size_t line = 64;
  std::vector<char> memory;
  void *base;
};

class Tiles : public TilesFixture {
protected:
  /// Of a contiguous tensor of bf16.
  static std::vector<uint16_t> bitsOf(const TensorView &tensor) {
    const auto *first = static_cast<const uint16_t *>(tensor.data);
    return {first, first + tensor.numElements()};
  }

  /// By items of one panel and of six.
  void expectSameBits(const char *mask, Shape shape, const char *keys) {
    std::string text = "attention m {\n  mask = " + std::string(mask) + "\n}";
    SCOPED_TRACE(::testing::Message() << mask << " M " << shape.M << " D "
                                      << shape.D << " E " << shape.E);
    TestLaunch launch(text.c_str(), shape);
    narrow(launch);
    std::vector<uint16_t> bits;
    for (const char *rows : {"m=32,", "m=192,"}) {
      poison(launch.view.out);
      poison(*launch.view.lse);
      check(launch, std::string(rows) + keys);
      std::vector<uint16_t> found = bitsOf(launch.view.out);
      EXPECT_TRUE(bits.empty() || bits == found);
      bits = std::move(found);
    }
    EXPECT_EQ(exactCalls, 0);
  }
};

TEST_F(Tiles, PlainAttentionOfAllSizes) {
  check(kPlain, {1, 2, 1, 64, 64, 64, 64});
  check(kPlain, {1, 1, 1, 97, 131, 64, 64});
  check(kPlain, {1, 2, 2, 1, 77, 128, 64});
  check(kPlain, {2, 4, 2, 33, 300, 32, 96});
  check(kPlain, {1, 1, 1, 70, 515, 256, 256});
}

TEST_F(Tiles, RemarksSayWhatMultiplies) {
  check(kPlain, {1, 1, 1, 8, 8, 32, 32});
  EXPECT_NE(remarks.find("products: multiplications of AMX tiles"),
            std::string::npos)
      << remarks;
  EXPECT_NE(remarks.find("take its heads together, 8 queries a tile, "),
            std::string::npos)
      << remarks;
}

TEST_F(Tiles, DimensionsThatFillNoTile) {
  for (int64_t dim : {1, 2, 17, 33, 40, 80, 100})
    check(kPlain, {1, 1, 1, 35, 45, dim, dim});
  check(kPlain, {1, 1, 1, 35, 45, 96, 5});
  check(kPlain, {1, 1, 1, 35, 45, 5, 96});
}

TEST_F(Tiles, EveryNumberOfKeysInABlock) {
  for (int64_t keys = 1; keys <= 66; ++keys)
    check(kPlain, {1, 1, 1, 3, keys, 32, 32}, "m=32,n=32");
}

TEST_F(Tiles, Masks) {
  for (const char *mask :
       {"q >= kv", "q >= kv and q - kv < 50", "(q // 40) == (kv // 40)",
        "(q + kv) % 3 != 0", "kv == 3 * q", "q < kv - 200"})
    check(("attention m {\n  mask = " + std::string(mask) + "\n}").c_str(),
          {1, 2, 1, 130, 290, 64, 64}, "m=64,n=96");
}

TEST_F(Tiles, ScoreMods) {
  for (const char *score : {"s - 0.1 * (q - kv)", "30 * tanh(s / 30)",
                            "s * s if h == 1 else -s", "s + sin(q * kv)"})
    check(("attention m {\n  score = " + std::string(score) +
           "\n  mask = q >= kv\n}")
              .c_str(),
          {1, 2, 1, 100, 100, 64, 64});
}

/// Only a positive scale waits until scores are read.
TEST_F(Tiles, ScalesOfEverySign) {
  for (double scale : {-0.3, 0.0, 3.0})
    for (const char *text : {kPlain, kCausal}) {
      TestLaunch launch(text, {1, 2, 1, 50, 75, 64, 64});
      narrow(launch);
      launch.view.scales = {scale};
      check(launch);
    }
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(Tiles, Normalizers) {
  for (const char *normalizer :
       {"sink(0.5)", "softmax_plus_one", "signed", "sigmoid(-1.0)", "relu"})
    check(("attention m {\n  mask = q >= kv\n  normalizer = " +
           std::string(normalizer) + "\n}")
              .c_str(),
          {1, 2, 1, 50, 70, 48, 48});
}

TEST_F(Tiles, LayoutsInPlaceAndCopied) {
  // Tokens with their heads together: rows 256 and 4096 bytes apart.
  for (int64_t heads : {2, 32}) {
    TestLaunch launch(kCausal, {1, heads, heads, 40, 72, 64, 64});
    narrow(launch);
    for (TensorView *tensor : {&launch.view.queries[0], &launch.view.keys[0],
                               &launch.view.value, &launch.view.out}) {
      tensor->strides[1] = tensor->sizes[3];
      tensor->strides[2] = tensor->sizes[1] * tensor->sizes[3];
    }
    check(launch);
  }
  // Columns first.
  TestLaunch launch(kCausal, {1, 1, 1, 40, 72, 64, 64});
  narrow(launch);
  for (TensorView *tensor : {&launch.view.keys[0], &launch.view.value}) {
    tensor->strides[2] = 1;
    tensor->strides[3] = tensor->sizes[2];
  }
  check(launch);
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(Tiles, LengthsAndOffsets) {
  TestLaunch launch(kCausal, {3, 2, 1, 60, 90, 64, 64});
  narrow(launch);
  launch.view.qLengths = {60, 0, 31};
  launch.view.kvLengths = {90, 40, 33};
  launch.view.qOffset = {30, 0, 5};
  check(launch);
  EXPECT_EQ(exactCalls, 0);
}

/// S11: a value that only masked weights meet reaches no result.
TEST_F(Tiles, NonFiniteValuesStayWhereTheyAreSeen) {
  for (float value : {std::numeric_limits<float>::infinity(), float(NAN)}) {
    TestLaunch launch(kCausal, {1, 1, 1, 64, 64, 64, 64});
    narrow(launch);
    launch.view.value.storeFloat(50 * 64 + 3, value);
    check(launch);
  }
  EXPECT_EQ(exactCalls, 2);
}

/// Rows of keys lie apart and hold garbage between, which no tile may take in.
TEST_F(Tiles, NothingBetweenRowsIsRead) {
  for (int64_t dim : {40, 64}) {
    TestLaunch launch(kPlain, {1, 1, 1, 40, 75, dim, dim});
    narrow(launch);
    layApart(launch);
    check(launch);
  }
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(Tiles, ScratchMayHoldAnything) {
  for (int64_t keys : {3, 33, 64, 300}) {
    TestLaunch launch(kPlain, {1, 1, 1, 40, keys, 32, 96});
    narrow(launch);
    auto code = makeCode(launch.program, "", {});
    ASSERT_TRUE(bool(code)) << llvm::toString(code.takeError());
    KernelArguments arguments(launch.view);
    fovea_cpu_plan plan = {};
    int64_t items = code->plan(&arguments.get(), &plan);
    Scratch scratch(plan.scratch_bytes);
    EXPECT_EQ(code->run(&arguments.get(), 0, items, 0, scratch.base), 0);
    expectRight(launch);
  }
}

/// Items of one panel give the same bits from blocks of the same keys.
TEST_F(Tiles, PanelsHaveTheSameBitsAmongNeighbours) {
  const char *masks[] = {
      "kv >= 0",                       // all of it
      "q >= kv",                       // diagonals
      "(q + kv) % 3 != 0",             // one run, masked
      "(q // 32 + kv // 64) % 2 == 0", // several runs a block
      "q // 32 != 2",                  // a panel without keys
      "kv // 32 != 2 or q % 64 >= 32", // one run and two in turns
  };
  for (const char *mask : masks)
    for (int64_t rows : {33, 232})
      expectSameBits(mask, {1, 1, 1, rows, 300, 64, 64}, "n=128");
  for (auto [dim, columns] :
       {std::pair<int64_t, int64_t>{16, 256}, {256, 16}, {40, 128}, {128, 96}})
    for (const char *mask : {"kv >= 0", "q >= kv"})
      expectSameBits(mask, {1, 1, 1, 100, 170, dim, columns}, "n=64");
}

TEST_F(Tiles, ManyPanels) {
  check(kPlain, {1, 2, 1, 232, 515, 64, 64});
  check(kCausal, {1, 1, 1, 600, 600, 64, 64});
  check(kCausal, {1, 1, 1, 200, 530, 128, 32});
  for (const char *mask :
       {"(q // 90) == (kv // 90)", "q >= kv and q - kv < 100",
        "(q // 50) == (kv // 50) and q >= kv", "(q * kv) % 5 != 0"})
    check(("attention m {\n  mask = " + std::string(mask) + "\n}").c_str(),
          {1, 1, 1, 300, 300, 64, 64}, "m=192,n=256");
  for (const char *score : {"s - 0.1 * (q - kv)", "30 * tanh(s / 30)"})
    check(("attention m {\n  score = " + std::string(score) +
           "\n  mask = q >= kv\n}")
              .c_str(),
          {1, 1, 1, 200, 200, 64, 64});
}

TEST_F(Tiles, ManyPanelsOfDifferentLengths) {
  TestLaunch launch(kCausal, {4, 1, 1, 200, 330, 64, 64});
  narrow(launch);
  launch.view.qLengths = {200, 0, 70, 129};
  launch.view.kvLengths = {330, 140, 33, 0};
  launch.view.qOffset = {130, 0, 5, 1};
  check(launch, "m=192,n=128");
  EXPECT_EQ(exactCalls, 0);
}

/// An item is one panel of a tile.
TEST_F(Tiles, PanelsMayBeComputedOneByOne) {
  for (const char *text : {kPlain, kCausal}) {
    TestLaunch launch(text, {1, 1, 1, 170, 300, 64, 64});
    narrow(launch);
    check(launch);
    std::vector<uint16_t> whole = bitsOf(launch.view.out);
    auto code = makeCode(launch.program, "", {});
    ASSERT_TRUE(bool(code)) << llvm::toString(code.takeError());
    KernelArguments arguments(launch.view);
    fovea_cpu_plan plan = {};
    int64_t items = code->plan(&arguments.get(), &plan);
    EXPECT_EQ(plan.tile_items, 6);
    poison(launch.view.out);
    for (int64_t item = 0; item < items; ++item) {
      Scratch scratch(plan.scratch_bytes);
      EXPECT_EQ(code->run(&arguments.get(), item, item + 1, 0, scratch.base),
                0);
    }
    EXPECT_EQ(bitsOf(launch.view.out), whole) << text;
  }
}

TEST_F(Tiles, NonFiniteValuesAmongManyPanels) {
  TestLaunch launch(kCausal, {1, 1, 1, 200, 200, 64, 64});
  narrow(launch);
  launch.view.value.storeFloat(150 * 64 + 3, NAN);
  check(launch);
  EXPECT_EQ(exactCalls, 1);
}

TEST_F(Tiles, SeveralPairsOfQueriesAndKeys) {
  TestLaunch launch(kCausal, {1, 2, 1, 50, 70, 48, 64});
  narrow(launch);
  launch.program.headDims.push_back(32);
  launch.view.queries.push_back(launch.random({1, 2, 50, 32}, DType::BF16));
  launch.view.keys.push_back(launch.random({1, 1, 70, 32}, DType::BF16));
  launch.view.scales.push_back(0.2);
  check(launch);
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(Tiles, BlockMasksCutKeysAnywhere) {
  TestLaunch launch("attention m {\n  mask = (q + kv) % 7 != 0\n}",
                    {1, 2, 1, 90, 130, 64, 64});
  narrow(launch);
  launch.program.blockMask = true;
  launch.view.blockQ = 40;
  launch.view.blockKV = 24;
  TensorView classes = launch.tensor({1, 2, 3, 6}, DType::I8);
  for (int64_t i = 0; i < classes.numElements(); ++i)
    static_cast<int8_t *>(classes.data)[i] = i % 3;
  launch.view.blockClasses = classes;
  check(launch);
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(Tiles, SchedulesThatFillNoTileDoWithout) {
  for (const char *schedule : {"m=16", "m=48", "n=48"}) {
    TestLaunch launch(kPlain, {1, 1, 1, 40, 60, 64, 64});
    narrow(launch);
    check(launch, schedule);
    EXPECT_NE(remarks.find("products: dot products of pairs (AVX512-BF16)"),
              std::string::npos)
        << remarks;
  }
  EXPECT_EQ(TileEmulator::countProducts(), 0);
}

} // namespace

#endif
