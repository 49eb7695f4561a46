//===- GpuPipelineTest.cpp - Level 3 as lowered against level 1 -----------===//
//
// Numbers of variants without lists of tiles, what is reported, protocols.
//
//===----------------------------------------------------------------------===//

#include "GpuPipeline.h"

using namespace fovea;
using namespace fovea::test;

namespace {

//===----------------------------------------------------------------------===//
// Numerics
//===----------------------------------------------------------------------===//

TEST_F(GpuPipeline, Noop) {
  TestLaunch launch(kNoop, shapeOf(150, 300, 128));
  check(launch);
}

TEST_F(GpuPipeline, NoopInHalfPrecision) {
  TestLaunch launch(kNoop, shapeOf(70, 513, 64));
  check(launch, DType::F16);
}

TEST_F(GpuPipeline, NoopOfWideHeads) {
  TestLaunch launch(kNoop, shapeOf(130, 241, 256, 1, 1));
  check(launch);
}

TEST_F(GpuPipeline, FewKeys) {
  TestLaunch launch(kNoop, shapeOf(1, 3, 64, 4, 2));
  check(launch);
}

TEST_F(GpuPipeline, NoKeys) {
  TestLaunch launch(kNoop, shapeOf(65, 0, 64));
  check(launch);
}

TEST_F(GpuPipeline, Causal) {
  TestLaunch launch(kCausal, shapeOf(300, 300, 64, 4, 2, 2));
  check(launch);
}

TEST_F(GpuPipeline, CausalOfMoreQueries) {
  TestLaunch launch(kCausal, shapeOf(400, 130, 128, 1));
  check(launch);
}

TEST_F(GpuPipeline, CausalOneKeyWider) {
  // A tile's diagonal is two blocks.
  TestLaunch launch("attention wider { mask = kv <= q + 1 }",
                    shapeOf(270, 300, 128, 1, 1));
  check(launch);
}

TEST_F(GpuPipeline, Alibi) {
  TestLaunch launch(kAlibi, shapeOf(260, 260, 128, 4));
  launch.view.captures = {launch.floats({0.5, 0.25, 0.125, 0.0625})};
  check(launch);
}

TEST_F(GpuPipeline, SoftCap) {
  TestLaunch launch("attention softcap {\n"
                    "  score = 20.0 * tanh(s / 20.0)\n  mask = q >= kv\n}",
                    shapeOf(200, 200, 64));
  check(launch);
}

TEST_F(GpuPipeline, RelativeBias) {
  TestLaunch launch("attention relative(table: f32[H, R]) {\n"
                    "  score = s + table[h, q - kv]\n  mask = q >= kv\n}",
                    shapeOf(200, 200, 64));
  launch.view.captures = {launch.random({2, 200}, DType::F32)};
  check(launch);
}

/// One rides beside the keys, the other is read where it is used.
TEST_F(GpuPipeline, TwoValuesOfTheDistance) {
  TestLaunch launch("attention two(gain: f32[H, R], bias: f32[H, R]) {\n"
                    "  score = s * gain[h, q - kv] + bias[h, q - kv]\n"
                    "  mask = q >= kv\n}",
                    shapeOf(200, 200, 64));
  launch.view.captures = {launch.random({2, 200}, DType::F32),
                          launch.random({2, 200}, DType::F32)};
  check(launch);
}

TEST_F(GpuPipeline, BiasOfACurvedDistance) {
  // Its steps are of the difference alone; three groups, no mask.
  TestLaunch launch("attention curved(table: bf16[R]) {\n"
                    "  score = s * 0.5 + table[(kv - q) // 4 + 60] - 0.25\n}",
                    shapeOf(200, 130, 64));
  launch.view.captures = {launch.random({96}, DType::BF16)};
  check(launch);
}

TEST_F(GpuPipeline, Window) {
  TestLaunch launch(kWindow, shapeOf(500, 500, 64));
  check(launch);
}

/// What no row of a warpgroup sees is left out: other columns of scores are NaN
/// here, and other weights have to be zero.
TEST_F(GpuPipeline, EdgesOfMasks) {
  const char *const kWider = "attention wider { mask = kv <= q + 40 }";
  const char *const kCut = "attention cut { mask = kv < 170 and kv <= q }";
  const std::tuple<const char *, int64_t, const char *> cases[] = {
      {kCausal, 64, "\"edges=1\""},
      {kCausal, 64, "\"groups=2,n=80,edges=1\""},
      {kCausal, 64, "\"groups=1,n=128,edges=1\""},
      {kCausal, 128, "\"edges=1\""},
      {kCausal, 256, "\"branch=0,edges=1\""},
      {kWindow, 64, "\"edges=1\""},
      {kWindow, 128, "\"groups=3,n=64,edges=1\""},
      {kWider, 64, "\"edges=1\""},
      {kWider, 128, "\"edges=1\""},
      {kCut, 64, "\"groups=3,n=48,edges=1\""}};
  for (auto [source, D, schedule] : cases) {
    TestLaunch launch(source, shapeOf(500, 420, D, 1, 1));
    check(launch, DType::BF16, schedule);
  }
}

TEST_F(GpuPipeline, EdgesBesideScoresAndOtherNormalizers) {
  const char *const kSources[] = {
      "attention mod { score = 30 * tanh(s / 30) + 0.01 * (q - kv)\n"
      "  mask = kv <= q }",
      "attention sink(sigma: f32[H]) {\n  mask = kv <= q\n"
      "  normalizer = sink(sigma)\n}",
      "attention weights { mask = kv <= q\n  normalizer = sigmoid() }"};
  for (const char *source : kSources) {
    TestLaunch launch(source, shapeOf(400, 400, 64, 2, 1));
    if (llvm::StringRef(source).contains("sigma"))
      launch.view.captures = {launch.floats({0.5, -3.0})};
    if (llvm::StringRef(source).contains("sigmoid"))
      launch.view.lse.reset();
    check(launch, DType::BF16, "\"edges=1\"");
  }
}

/// No mask that bounds keys from above by half-planes: nothing is left out.
TEST_F(GpuPipeline, EdgesThatAreNotKnown) {
  const char *const kSources[] = {
      "attention noop {}", "attention behind { mask = kv >= q }",
      "attention prefix { mask = kv <= q or kv < 70 }"};
  for (const char *source : kSources) {
    TestLaunch launch(source, shapeOf(300, 300, 64, 1, 1));
    check(launch, DType::BF16, "\"edges=1\"");
  }
}

TEST_F(GpuPipeline, BlocksOfAllClassesInOneLoop) {
  TestLaunch window(kWindow, shapeOf(150, 400, 64));
  check(window, DType::BF16, "\"n=48,branch=1,pin=5\"");
  TestLaunch wide(kCausal, shapeOf(150, 300, 256));
  check(wide);
}

TEST_F(GpuPipeline, Prefix) {
  TestLaunch launch("attention prefix(n: i32[B]) {\n"
                    "  mask = q >= kv or kv < n[b]\n}",
                    shapeOf(300, 300, 64, 2, 1, 2));
  launch.view.captures = {launch.ints({30, 170})};
  check(launch);
}

/// The sink is more than some rows' maximum, less than others'.
TEST_F(GpuPipeline, Sink) {
  TestLaunch launch("attention sink(sigma: f32[H]) {\n  mask = q >= kv\n"
                    "  normalizer = sink(sigma)\n}",
                    shapeOf(200, 200, 64, 4));
  launch.view.captures = {launch.floats({-30, 0.5, 3, 40})};
  check(launch);
}

/// The first row sees nothing.
TEST_F(GpuPipeline, InfiniteSinks) {
  for (llvm::StringRef score : {"s", "s * 0.5"}) {
    TestLaunch launch(("attention sink(sigma: f32[H]) {\n  mask = q > kv\n"
                       "  score = " +
                       score + "\n  normalizer = sink(sigma)\n}")
                          .str(),
                      shapeOf(150, 200, 64, 3));
    launch.view.captures = {launch.floats({INFINITY, -INFINITY, 0.5})};
    check(launch);
    for (int64_t m = 0; m < 150; ++m) {
      EXPECT_EQ(launch.lse(0, 0, m), INFINITY);
      EXPECT_EQ(launch.out(0, 0, m, 5), 0);
    }
    EXPECT_EQ(launch.lse(0, 1, 0), -INFINITY);
  }
}

TEST_F(GpuPipeline, SinkOfRowsThatSeeNothing) {
  TestLaunch launch("attention late(sigma: f32[H]) {\n  mask = kv > q + 50\n"
                    "  normalizer = sink(sigma)\n}",
                    shapeOf(150, 100, 128));
  launch.view.captures = {launch.floats({0.5, -2})};
  check(launch);
}

TEST_F(GpuPipeline, Sigmoid) {
  TestLaunch launch("attention gate { normalizer = sigmoid() }",
                    shapeOf(130, 200, 128));
  launch.view.lse.reset();
  check(launch);
}

TEST_F(GpuPipeline, SigmoidUnderAMask) {
  TestLaunch launch("attention gate {\n  mask = q >= kv\n"
                    "  normalizer = sigmoid()\n}",
                    shapeOf(200, 250, 64));
  launch.view.lse.reset();
  check(launch);
}

TEST_F(GpuPipeline, DeadRows) {
  TestLaunch launch("attention late { mask = kv > q + 50 }",
                    shapeOf(200, 150, 64));
  check(launch);
}

TEST_F(GpuPipeline, ScoreThatIsMinusInfinity) {
  TestLaunch launch(
      "attention holes { score = s if (q + kv) % 3 != 0 else -inf }",
      shapeOf(70, 140, 64));
  check(launch);
}

//===----------------------------------------------------------------------===//
// What is reported
//===----------------------------------------------------------------------===//

TEST_F(GpuPipeline, ABrokenPromiseIsReported) {
  TestLaunch launch(kCausal, shapeOf(200, 200, 64));
  narrow(launch, DType::BF16);
  build(launch);
  ASSERT_TRUE(lower(kSteps[0])) << messages;
  module->walk([](mlir::attn_gpu::ForBlocksOp op) {
    op.setClasses(std::vector<int32_t>(op.getClasses().size(), 2));
  });
  EXPECT_FALSE(interpret(launch, {}));
  EXPECT_NE(messages.find("class full promises a true mask, which is false at "
                          "m = 0, n = 1"),
            std::string::npos)
      << messages;
}

TEST_F(GpuPipeline, BadIndexOfAVisiblePairIsReported) {
  TestLaunch launch("attention biased(bias: f32[S]) {\n"
                    "  score = s + bias[q - kv]\n  mask = q >= kv\n}",
                    shapeOf(100, 100, 64));
  launch.view.captures = {launch.random({90}, DType::F32)};
  narrow(launch, DType::BF16);
  build(launch);
  lowerAll();
  EXPECT_FALSE(interpret(launch, {}));
  EXPECT_NE(messages.find("'bias' dimension 0: index 90 is outside 0..89"),
            std::string::npos)
      << messages;
}

TEST_F(GpuPipeline, WrongResultsAreSeen) {
  TestLaunch launch(kCausal, shapeOf(100, 100, 64));
  narrow(launch, DType::BF16);
  build(launch);
  ASSERT_TRUE(lower(kSteps[0])) << messages;
  // One key less in every row.
  module->walk([](mlir::arith::CmpIOp op) {
    if (op->getParentOfType<mlir::attn_gpu::MaskOp>())
      op.setPredicate(mlir::arith::CmpIPredicate::sgt);
  });
  poison(launch.view.out);
  ASSERT_TRUE(interpret(launch, {})) << messages;
  llvm::Expected<LaunchJudgement> judged =
      judgeLaunch(launch.program, launch.view);
  ASSERT_TRUE(bool(judged));
  EXPECT_FALSE(judged->passed());
}

//===----------------------------------------------------------------------===//
// Protocols
//===----------------------------------------------------------------------===//

TEST_F(GpuPipeline, EveryOrder) {
  // Keys of 64 in two stages: 0 … 2 · stages + 1 blocks; two tiles.
  const std::string small = "groups=1,n=64,stages=2,q_stages=2,ping_pong=0";
  for (int64_t blocks = 0; blocks <= 5; ++blocks)
    explore(kNoop, shapeOf(128, 64 * blocks, 64, 1, 1), small);
}

TEST_F(GpuPipeline, EveryOrderOfTwoGroups) {
  for (int64_t blocks = 0; blocks <= 3; ++blocks)
    explore(kNoop, shapeOf(256, 64 * blocks, 64, 1, 1),
            "groups=2,n=64,stages=2,q_stages=1,ping_pong=1");
}

TEST_F(GpuPipeline, EveryOrderOfCausalTiles) {
  // Tiles of 3, 2 and 1 blocks; then of a window, of none.
  explore(kCausal, shapeOf(384, 384, 64, 1, 1),
          "groups=2,n=128,stages=2,q_stages=2,ping_pong=0");
  explore("attention late { mask = kv > q + 150 }", shapeOf(256, 200, 64, 1, 1),
          "groups=1,n=64,stages=2,q_stages=1,ping_pong=0");
}

TEST_F(GpuPipeline, ManyTilesByChance) {
  TestLaunch launch(kWindow, shapeOf(1000, 1000, 64, 4, 2));
  narrow(launch, DType::BF16);
  build(launch);
  lowerAll();
  GpuOptions options;
  options.data = false;
  options.order = GpuOrder::Random;
  uint64_t fragments = 3 * 2 * 4 * 6; // groups, outputs, heads, tiles
  for (options.seed = 0; options.seed < 20; ++options.seed) {
    options.blocks = 1 + options.seed % 7;
    options.section = options.seed % 2 ? 2 : 1;
    options.lastSection = options.seed % 3 ? 2 : 4;
    ASSERT_TRUE(interpret(launch, options)) << messages;
    EXPECT_EQ(summary.stores, fragments);
  }
}

} // namespace
