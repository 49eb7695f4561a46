//===- GpuClusterTest.cpp - Blocks of threads that load together ----------===//
//
// Kernels whose blocks come in clusters, against level 1, and in every order.
//
//===----------------------------------------------------------------------===//

#include "GpuPipeline.h"

using namespace fovea;
using namespace fovea::test;

namespace {

class GpuCluster : public GpuPipeline {
protected:
  GpuCluster() { cluster = 2; }

  void checkPairs(const char *text, Shape shape, DType type = DType::BF16,
                  const std::string &schedule = "cluster=2") {
    TestLaunch launch(text, shape);
    check(launch, type, schedule);
  }
};

TEST_F(GpuCluster, Masks) {
  for (const char *text : {kNoop, kCausal, kWindow})
    checkPairs(text, shapeOf(200, 330, 64, 4, 2, 2));
}

/// Scores may tell heads apart.
TEST_F(GpuCluster, Alibi) {
  TestLaunch launch(kAlibi, shapeOf(200, 200, 64));
  launch.view.captures = {launch.random({2}, DType::F32)};
  check(launch, DType::BF16, "cluster=2");
}

/// Halves of rows, of one box of columns and of two.
TEST_F(GpuCluster, HeadDims) {
  for (int64_t D : {64, 128, 256})
    checkPairs(kCausal, shapeOf(200, 200, D, 2, 1), DType::F16);
}

TEST_F(GpuCluster, Sizes) {
  for (int64_t M : {1, 130})
    for (int64_t N : {1, 129})
      checkPairs(kCausal, shapeOf(M, N, 64, 2, 1));
}

TEST_F(GpuCluster, Schedules) {
  for (const char *schedule :
       {"cluster=2,groups=1,n=64", "cluster=2,groups=2,pin=0,staged=0",
        "cluster=2,stages=3,q_stages=1", "cluster=2,n=48,pin=0,branch=1"})
    checkPairs(kCausal, shapeOf(140, 270, 64, 4, 1), DType::BF16, schedule);
}

/// What travels beside the keys is each block's own.
TEST_F(GpuCluster, Diagonals) {
  TestLaunch launch("attention relative(table: f32[H, R]) {\n"
                    "  score = s + table[h, q - kv]\n  mask = q >= kv\n}",
                    shapeOf(200, 200, 64));
  launch.view.captures = {launch.random({2, 200}, DType::F32)};
  check(launch, DType::BF16, "cluster=2");
}

/// 0 … 2 · stages + 1 blocks a tile; two tiles a block of threads.
TEST_F(GpuCluster, EveryOrder) {
  const char *small = "cluster=2,groups=1,n=64,stages=2,q_stages=1,ping_pong=0";
  for (int64_t blocks = 0; blocks <= 5; ++blocks)
    explore(kNoop, shapeOf(64, 64 * blocks, 64, 2, 1), small);
  explore(kNoop, shapeOf(128, 64, 64, 2, 1), small);
}

/// Two clusters, with tiles for three rounds of one.
TEST_F(GpuCluster, TwoClusters) {
  TestLaunch launch(kCausal, shapeOf(384, 384, 64, 2, 1));
  narrow(launch, DType::BF16);
  build(launch);
  lowerAll("cluster=2,groups=1,n=64,pin=0");
  for (uint64_t seed = 0; seed < 40; ++seed) {
    GpuOptions options;
    options.order = GpuOrder::Random;
    options.seed = seed;
    options.blocks = 4;
    options.section = 2;
    expectRight(launch, options, "seed " + std::to_string(seed));
  }
}

TEST_F(GpuCluster, HalfAClusterIsRefused) {
  TestLaunch launch(kNoop, shapeOf(64, 64, 64, 2, 1));
  narrow(launch, DType::BF16);
  build(launch);
  lowerAll("cluster=2,groups=2,pin=0");
  EXPECT_FALSE(interpret(launch, GpuOptions()));
  EXPECT_NE(messages.find("needs whole clusters of 2 blocks of threads, got 1"),
            std::string::npos)
      << messages;
}

TEST_F(GpuCluster, OddNumbersOfHeadsAreRefused) {
  TestLaunch launch(kNoop, shapeOf(64, 64, 64, 3, 1));
  narrow(launch, DType::BF16);
  build(launch);
  ASSERT_TRUE(lower(withSchedule(kSteps[0], "cluster=2")));
  EXPECT_FALSE(interpret(launch, GpuOptions()));
  EXPECT_NE(messages.find("takes 2 heads at a time, of 3"), std::string::npos)
      << messages;
  for (const char *passes : llvm::ArrayRef(kSteps).drop_front())
    ASSERT_TRUE(lower(passes)) << messages;
  GpuOptions options;
  options.blocks = 2;
  EXPECT_FALSE(interpret(launch, options));
  EXPECT_NE(messages.find("takes 2 tiles at a time, of 3"), std::string::npos)
      << messages;
}

} // namespace
