//===- GpuBlockMaskTest.cpp - Block masks at level 3 against level 1 ------===//
//
// Lists of tiles, one a row of tiles or joint ones of several.
//
//===----------------------------------------------------------------------===//

#include "GpuPipeline.h"

#include <random>

using namespace fovea;
using namespace fovea::test;

namespace {

class GpuBlockMask : public GpuPipeline {
protected:
  /// A variant by the classes of its tiles of `q` by `kv`.
  void checkBlocks(const char *text, Shape shape, int64_t q, int64_t kv,
                   llvm::ArrayRef<int8_t> classes, DType type = DType::BF16,
                   const std::string &schedule = "") {
    TestLaunch launch(text, shape);
    setBlocks(launch, q, kv, classes);
    check(launch, type, schedule);
  }
};

/// Full tiles are kept whatever the mask says of them.
TEST_F(GpuBlockMask, FullTilesOutsideOfTheMask) {
  checkBlocks(kCausal, shapeOf(500, 512, 64), 128, 128,
              {1, 2, 0, 2, //
               2, 1, 2, 1, //
               0, 0, 2, 2, //
               1, 0, 2, 2});
}

/// Full and partial tiles in any order, a row without any, a cut full tile.
TEST_F(GpuBlockMask, Blocks) {
  checkBlocks(kCausal, shapeOf(500, 450, 64), 128, 128,
              {1, 0, 0, 0, //
               2, 1, 0, 0, //
               0, 0, 0, 0, //
               2, 1, 2, 1});
}

/// The end of the keys cuts tiles that are full where the mask is false: a
/// row's only one, its last of several, one beside partial ones.
TEST_F(GpuBlockMask, CutFullTilesOutsideOfTheMask) {
  checkBlocks(kCausal, shapeOf(600, 450, 64), 128, 128, {0, 0, 0, 2, //
                                                         2, 0, 0, 2, //
                                                         1, 2, 2, 2, //
                                                         1, 1, 0, 2, //
                                                         2, 1, 2, 1});
  // Of two elements a tile, whose last one is cut, or of one.
  for (int64_t keys : {450, 300}) {
    checkBlocks("attention never { mask = q < 0 }",
                shapeOf(380, keys, 128, 1, 1), 128, 256,
                {0, 2, //
                 2, 2, //
                 1, 2});
  }
}

/// A tile of a block mask, the head dim, and what kernels for both are compiled
/// with.
struct Tile {
  int64_t q, kv, D;
  const char *schedule;
};

class GpuLooseBlocks : public GpuBlockMask,
                       public testing::WithParamInterface<Tile> {};

/// Full tiles across the diagonal, beyond it, cut by the keys' end, as a row's
/// first element, its only one, one of many.
TEST_P(GpuLooseBlocks, AreSeenWhole) {
  auto [q, kv, D, schedule] = GetParam();
  checkBlocks(kCausal, shapeOf(4 * q - 20, 3 * kv + 40, D, 1, 1), q, kv,
              {0, 0, 0, 2, //
               2, 0, 2, 0, //
               1, 2, 1, 2, //
               2, 1, 0, 1},
              D == 128 ? DType::F16 : DType::BF16, schedule);
}

INSTANTIATE_TEST_SUITE_P(
    Tiles, GpuLooseBlocks,
    testing::Values(
        Tile{64, 64, 64, "\"groups=1,n=64\""},
        Tile{64, 64, 128,
             "\"groups=2,n=64,stages=4,ping_pong=0,staged=0,own_rows=1\""},
        Tile{64, 64, 256, "\"groups=2,n=64,ping_pong=0,own_rows=1\""},
        Tile{64, 64, 256, "\"groups=1,n=64\""}, Tile{128, 128, 64, ""},
        Tile{128, 128, 128, ""}, Tile{128, 128, 256, ""},
        Tile{128, 128, 256, "\"n=32,branch=1\""},
        Tile{192, 128, 64, "\"groups=3,n=128\""},
        Tile{192, 128, 128, "\"groups=3,n=64,ping_pong=1\""},
        Tile{192, 128, 256, "\"groups=2,n=64,ping_pong=0,own_rows=1\""}));

TEST_F(GpuBlockMask, BlocksWithoutAMaskAreSeenWhole) {
  checkBlocks(kNoop, shapeOf(250, 300, 128, 4, 2, 2), 128, 128,
              {0, 1, 2, //
               2, 2, 0});
}

TEST_F(GpuBlockMask, BlocksWithPositions) {
  TestLaunch launch(kAlibi, shapeOf(260, 260, 128));
  launch.view.captures = {launch.floats({0.5, 0.25})};
  setBlocks(launch, 128, 128,
            {1, 0, 0, //
             2, 1, 0, //
             1, 2, 1});
  check(launch);
}

TEST_F(GpuBlockMask, SmallBlocks) {
  checkBlocks(kCausal, shapeOf(200, 200, 64), 64, 64,
              {1, 0, 0, 0, //
               0, 1, 0, 0, //
               2, 2, 1, 0, //
               2, 0, 1, 1},
              DType::BF16, "\"groups=1,n=64\"");
}

/// Tiles of the schedule within larger ones; one that exceeds the length.
TEST_F(GpuBlockMask, LargeBlocks) {
  checkBlocks(kWindow, shapeOf(400, 400, 256, 1, 1), 256, 192,
              {1, 1, 0, //
               1, 1, 1});
  checkBlocks(kCausal, shapeOf(100, 90, 128), 1000, 1000, {1});
}

TEST_F(GpuBlockMask, EveryOrderOfBlocks) {
  TestLaunch launch(kCausal, shapeOf(256, 320, 64, 1, 1));
  setBlocks(launch, 64, 64, {0, 0, 0, 0, 0, //
                             2, 0, 0, 0, 1, //
                             2, 2, 1, 1, 0, //
                             2, 2, 2, 1, 1});
  explore(launch, "groups=1,n=64,stages=2,q_stages=1,ping_pong=0");
}

constexpr const char *kOwnRows =
    "\"groups=2,n=16,stages=2,ping_pong=0,pin=0,own_rows=1\"";
constexpr const char *kThreeRows =
    "\"groups=3,n=16,stages=3,q_stages=1,ping_pong=0,pin=0,own_rows=1\"";

/// Rows that share tiles, that share none, that have none; long rests of one.
TEST_F(GpuBlockMask, RowsOfTheirOwn) {
  TestLaunch launch(kCausal, shapeOf(600, 208, 64));
  setBlocks(launch, 64, 16, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, //
                             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                             1, 2, 1, 2, 2, 2, 1, 2, 1, 0, 0, 0, 2, //
                             2, 0, 1, 0, 2, 0, 1, 0, 1, 0, 2, 0, 1, //
                             0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 1, 0, //
                             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                             1, 2, 0, 1, 2, 0, 0, 1, 0, 0, 2, 0, 0, //
                             2, 1, 2, 0, 2, 0, 2, 0, 2, 1, 2, 2, 2});
  check(launch, DType::BF16, kOwnRows);
  check(launch, DType::BF16, kThreeRows);
}

/// A cut full tile of both rows, of one (alone, beside the other's partial one,
/// behind a first element that both have), and beside nothing.
TEST_F(GpuBlockMask, CutFullTilesOfRowsOfTheirOwn) {
  TestLaunch launch("attention late { mask = kv < q - 300 }",
                    shapeOf(640, 70, 64));
  setBlocks(launch, 64, 16, {0, 0, 0, 0, 2, //
                             0, 0, 0, 0, 2, //
                             2, 0, 1, 0, 1, //
                             0, 0, 2, 0, 2, //
                             2, 1, 0, 0, 2, //
                             2, 1, 0, 0, 0, //
                             0, 0, 0, 0, 0, //
                             0, 0, 0, 0, 2, //
                             1, 1, 2, 0, 2, //
                             2, 2, 1, 1, 2});
  check(launch, DType::BF16, kOwnRows);
  check(launch, DType::BF16, kThreeRows);
}

/// Tiles of two windows share out their rows, by head; the last ones lie behind
/// the queries.
TEST_F(GpuBlockMask, RowsAreSharedOut) {
  std::minstd_rand random(9);
  for (const char *schedule : {kOwnRows, kThreeRows}) {
    TestLaunch launch(kCausal, shapeOf(1610, 100, 64, 2, 1, 1));
    TensorView classes = launch.tensor({1, 2, 26, 7}, DType::I8);
    for (int64_t row = 0; row < 2 * 26; ++row) {
      uint32_t density = random() % 5;
      for (int64_t i = 7 * row; i < 7 * row + 7; ++i)
        classes.storeInt(i, random() % 4 < density ? 1 + random() % 2 : 0);
    }
    setBlocks(launch, 64, 16, std::vector<int8_t>(26 * 7));
    launch.view.blockClasses = classes;
    check(launch, DType::BF16, schedule);
  }
}

TEST_F(GpuBlockMask, RowsOfTheirOwnByChance) {
  std::minstd_rand random(5);
  for (const char *schedule :
       {kOwnRows, kThreeRows,
        "\"groups=2,n=16,stages=4,ping_pong=0,pin=0,own_rows=1\"",
        "\"groups=3,n=16,stages=3,q_stages=2,ping_pong=0,pin=0,own_rows=1\""})
    for (const char *text : {kNoop, kCausal, kWindow}) {
      TestLaunch launch(text, shapeOf(500, 310, 64, 2, 1, 2));
      std::vector<int8_t> classes;
      for (int64_t row = 0; row < 8; ++row) {
        uint32_t density = random() % 5;
        for (int64_t tile = 0; tile < 20; ++tile)
          classes.push_back(random() % 4 < density ? 1 + random() % 2 : 0);
      }
      setBlocks(launch, 64, 16, classes);
      check(launch, DType::BF16, schedule);
    }
}

/// Both warpgroups in one row of tiles, or across the edge of two.
TEST_F(GpuBlockMask, RowsOfTheirOwnInTallerTiles) {
  const std::pair<int64_t, const char *> kernels[] = {{256, kOwnRows},
                                                      {64, kThreeRows}};
  for (auto [D, schedule] : kernels)
    checkBlocks(kCausal, shapeOf(500, 200, D, 1, 1), 192, 32,
                {1, 2, 1, 0, 0, 0, 0, //
                 2, 0, 2, 1, 0, 0, 0, //
                 0, 2, 2, 0, 1, 2, 1},
                DType::BF16, schedule);
}

TEST_F(GpuBlockMask, EveryOrderOfRowsOfTheirOwn) {
  // Disjoint rows, then one whose neighbour ends early, then an empty one.
  TestLaunch launch(kCausal, shapeOf(384, 96, 64, 1, 1));
  setBlocks(launch, 64, 16, {2, 0, 1, 0, 0, 0, //
                             0, 1, 0, 2, 0, 0, //
                             2, 1, 1, 2, 2, 2, //
                             0, 1, 0, 0, 0, 0, //
                             0, 0, 0, 0, 0, 0, //
                             0, 2, 2, 1, 2, 0});
  explore(launch, "groups=2,n=16,stages=2,q_stages=1,ping_pong=0,own_rows=1");
}

/// What all three have, and what two and one have in turns; then rests of one,
/// beside rows with one element and none.
TEST_F(GpuBlockMask, EveryOrderOfThreeRowsOfTheirOwn) {
  const char *schedule =
      "groups=3,n=16,stages=3,q_stages=1,ping_pong=0,own_rows=1";
  TestLaunch launch(kCausal, shapeOf(192, 64, 64, 1, 1));
  setBlocks(launch, 64, 16,
            {2, 1, 0, 2, //
             0, 1, 2, 2, //
             0, 0, 2, 2});
  explore(launch, schedule);
  TestLaunch next(kNoop, shapeOf(320, 64, 64, 1, 1));
  setBlocks(next, 64, 16, {0, 0, 0, 2, //
                           0, 0, 0, 0, //
                           2, 2, 2, 0, //
                           0, 2, 0, 0, //
                           2, 0, 0, 0});
  explore(next, schedule);
  TestLaunch apart(kNoop, shapeOf(192, 128, 64, 1, 1));
  setBlocks(apart, 64, 16, {0, 2, 0, 0, 0, 2, 0, 0, //
                            2, 2, 2, 2, 2, 2, 2, 2, //
                            0, 0, 0, 0, 0, 2, 0, 0});
  explore(apart, schedule);
}

/// With two slots of queries one row is in the next tile while others are not
/// at the end of theirs: fewer elements, as there are more orders.
TEST_F(GpuBlockMask, EveryOrderOfThreeRowsAndTwoSlotsOfQueries) {
  TestLaunch launch(kNoop, shapeOf(384, 48, 64, 1, 1));
  setBlocks(launch, 64, 16,
            {2, 0, 0, //
             2, 2, 0, //
             0, 0, 2, //
             0, 0, 2, //
             0, 0, 0, //
             2, 0, 0});
  explore(launch, "groups=3,n=16,stages=3,q_stages=2,ping_pong=0,own_rows=1");
}

/// One row goes on long after the other, which then begins late.
TEST_F(GpuBlockMask, EveryOrderOfRowsThatEndApart) {
  for (const char *queries : {"q_stages=1", "q_stages=2"}) {
    TestLaunch launch(kNoop, shapeOf(256, 192, 64, 1, 1));
    // The shorter row of two is group 0's.
    setBlocks(launch, 64, 16, {0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, //
                               2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, //
                               2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, //
                               2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0});
    explore(launch, std::string("groups=2,n=16,stages=2,ping_pong=0,") +
                        queries + ",own_rows=1");
  }
}

/// With more elements between two than fit into the rings, one warpgroup holds
/// what the other one waits for.
TEST_F(GpuBlockMask, TooFarARowOfItsOwnIsSeen) {
  TestLaunch launch(kCausal, shapeOf(128, 192, 64, 1, 1));
  setBlocks(launch, 64, 16, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, //
                             1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  narrow(launch, DType::BF16);
  build(launch);
  lowerAll("groups=2,n=16,stages=2,ping_pong=0,pin=0,own_rows=1");
  GpuOptions options;
  options.data = false;
  options.order = GpuOrder::Exhaustive;
  EXPECT_TRUE(interpret(launch, options)) << messages;
  module->walk([](mlir::attn_gpu::JointCountOp op) { op.setReach(8); });
  module->walk([](mlir::attn_gpu::JointElementOp op) { op.setReach(8); });
  EXPECT_FALSE(interpret(launch, options));
  EXPECT_NE(messages.find("deadlock: role load"), std::string::npos)
      << messages;
}

TEST_F(GpuBlockMask, BlocksThatTheTilesDoNotDivideAreReported) {
  TestLaunch launch(kNoop, shapeOf(128, 200, 64));
  setBlocks(launch, 128, 96, {1, 1, 1});
  narrow(launch, DType::BF16);
  build(launch);
  lowerAll();
  EXPECT_FALSE(interpret(launch, {}));
  EXPECT_NE(messages.find("key tile 96 is not a multiple of step 128"),
            std::string::npos)
      << messages;
}

/// What a loading role asks of lists that has lost count.
TEST_F(GpuBlockMask, ElementsThatAreNotThereAreReported) {
  for (const char *schedule : {"groups=2,n=64", kOwnRows}) {
    TestLaunch launch(kNoop, shapeOf(128, 128, 64));
    setBlocks(launch, 64, 64, {1, 1, 1, 1});
    narrow(launch, DType::BF16);
    build(launch);
    lowerAll(schedule);
    auto constant = [](mlir::Operation *op, int64_t value) {
      mlir::OpBuilder b(op);
      return mlir::arith::ConstantIndexOp::create(b, op->getLoc(), value);
    };
    module->walk([&](mlir::attn_gpu::ListElementOp op) {
      op.getElementMutable().assign(constant(op, 99));
    });
    module->walk([&](mlir::attn_gpu::JointElementOp op) {
      op.getElementMutable().assign(constant(op, 99));
    });
    messages.clear();
    EXPECT_FALSE(interpret(launch, {}));
    EXPECT_NE(messages.find("element 99 of a list of "), std::string::npos)
        << messages;
    if (schedule != kOwnRows)
      continue;
    module->walk([&](mlir::attn_gpu::JointCountOp op) {
      op.getQueryTileMutable().assign(constant(op, 0));
    });
    messages.clear();
    EXPECT_FALSE(interpret(launch, {}));
    EXPECT_NE(messages.find("query tile must be positive, got 0"),
              std::string::npos)
        << messages;
  }
}

} // namespace
