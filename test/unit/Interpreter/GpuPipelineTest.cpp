//===- GpuPipelineTest.cpp - Level 3 as lowered against level 1 -----------===//
//
// Each variant is lowered for sm_90a and run at level 3 after every step, its
// roles in several orders; the judge compares the results with level 1. Without
// data all orders of the roles are explored for few blocks a tile.
//
//===----------------------------------------------------------------------===//

#include "OnlineTestSupport.h"
#include "TestLaunch.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Interpreter/GpuInterpreter.h"
#include "fovea/Interpreter/Judge.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include <random>

using namespace fovea;
using namespace fovea::test;

namespace {

/// What runs from one check to the next.
const char *const kSteps[] = {
    ("attn-bind-params,canonicalize,cse,"
     "convert-attn-to-online{target=sm_90a},canonicalize,cse,"
     "convert-online-to-attn-gpu,canonicalize,cse"),
    "func.func(attn-gpu-split-roles,cse)",
    "func.func(attn-gpu-flatten-stream,canonicalize,cse)",
    "func.func(attn-gpu-place-awaits)",
    "func.func(attn-gpu-classify-uniform,canonicalize,cse,attn-gpu-budget)"};

class GpuPipeline : public OnlineTest {
protected:
  GpuPipeline() {
    static bool registered = [] {
      registerPasses();
      mlir::registerTransformsPasses();
      return true;
    }();
    (void)registered;
    context.printOpOnDiagnostic(false);
  }

  bool lower(llvm::StringRef passes) {
    mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
    std::string errors;
    llvm::raw_string_ostream os(errors);
    if (failed(mlir::parsePassPipeline(passes, manager, os))) {
      ADD_FAILURE() << passes.str() << ": " << errors;
      return false;
    }
    return succeeded(manager.run(*module));
  }

  static Shape shapeOf(int64_t M, int64_t N, int64_t D, int64_t H = 2,
                       int64_t Hk = 1, int64_t B = 1) {
    return {B, H, Hk, M, N, D, D};
  }

  /// The launch in 16-bit inputs.
  static void narrow(TestLaunch &launch, DType type) {
    const Shape &s = launch.shape;
    launch.program.dtype = type;
    launch.program.returnLse = launch.view.lse.has_value();
    launch.view.queries = {launch.random({s.B, s.H, s.M, s.D}, type)};
    launch.view.keys = {launch.random({s.B, s.Hk, s.N, s.D}, type)};
    launch.view.value = launch.random({s.B, s.Hk, s.N, s.E}, type);
    launch.view.out = launch.tensor({s.B, s.H, s.M, s.E}, type);
    if (launch.view.lse)
      launch.view.lse = launch.tensor({s.B, s.H, s.M}, DType::F32);
  }

  void build(TestLaunch &launch) {
    auto built = buildAttnModule(launch.program, context);
    ASSERT_TRUE(bool(built)) << llvm::toString(built.takeError());
    module = std::move(*built);
  }

  static void poison(const TensorView &tensor) {
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.storeFloat(i, NAN);
  }

  bool interpret(TestLaunch &launch, GpuOptions options) {
    const Shape &s = launch.shape;
    options.sizes = {s.B, s.H, s.Hk, s.M, s.N, s.D, s.E};
    auto function =
        module->lookupSymbol<mlir::func::FuncOp>(launch.program.name);
    return succeeded(interpretGpu(function, launchArguments(launch.view),
                                  options, &summary));
  }

  void expectRight(TestLaunch &launch, const GpuOptions &options,
                   const std::string &when) {
    poison(launch.view.out);
    if (launch.view.lse)
      poison(*launch.view.lse);
    messages.clear();
    ASSERT_TRUE(interpret(launch, options)) << when << ": " << messages;
    llvm::Expected<LaunchJudgement> judged =
        judgeLaunch(launch.program, launch.view);
    ASSERT_TRUE(bool(judged)) << llvm::toString(judged.takeError());
    EXPECT_TRUE(judged->out.passed) << when << ": " << judged->out.reason;
    if (launch.view.lse)
      EXPECT_TRUE(judged->lse.passed) << when << ": " << judged->lse.reason;
  }

  static std::string withSchedule(std::string passes,
                                  const std::string &schedule) {
    if (size_t at = passes.find("sm_90a}"); at != std::string::npos)
      passes.replace(at, 7, "sm_90a schedule=" + schedule + "}");
    return passes;
  }

  void lowerAll(const std::string &schedule = "") {
    for (const char *passes : kSteps)
      ASSERT_TRUE(lower(withSchedule(passes, schedule))) << messages;
  }

  /// All orders of the roles at the end of the pipeline; N keys make 0, 1, …
  /// blocks a tile.
  void explore(const char *text, Shape shape, const std::string &schedule) {
    TestLaunch launch(text, shape);
    explore(launch, schedule);
  }
  void explore(TestLaunch &launch, const std::string &schedule) {
    narrow(launch, DType::BF16);
    build(launch);
    lowerAll(schedule);
    if (HasFatalFailure())
      return;
    GpuOptions options;
    options.order = GpuOrder::Exhaustive;
    options.data = false;
    EXPECT_TRUE(interpret(launch, options)) << messages;
    EXPECT_GT(summary.states, 100u);
  }

  /// Classes of tiles, row by row, for all heads of the launch.
  static void setBlocks(TestLaunch &launch, int64_t q, int64_t kv,
                        llvm::ArrayRef<int8_t> classes) {
    const Shape &s = launch.shape;
    int64_t rows = (s.M + q - 1) / q, columns = (s.N + kv - 1) / kv;
    TensorView tensor = launch.tensor({1, 1, rows, columns}, DType::I8);
    ASSERT_EQ(rows * columns, int64_t(classes.size()));
    llvm::copy(classes, static_cast<int8_t *>(tensor.data));
    tensor.sizes[0] = s.B;
    tensor.sizes[1] = s.H;
    tensor.strides[0] = tensor.strides[1] = 0;
    launch.program.blockMask = true;
    launch.view.blockClasses = tensor;
    launch.view.blockQ = q;
    launch.view.blockKV = kv;
  }

  /// All steps; after the roles have split also by chance and in several blocks
  /// of threads.
  void check(TestLaunch &launch, DType type = DType::BF16,
             const std::string &schedule = "") {
    narrow(launch, type);
    build(launch);
    for (auto [index, passes] : llvm::enumerate(kSteps)) {
      ASSERT_TRUE(lower(withSchedule(passes, schedule))) << messages;
      std::string when = "step " + std::to_string(index);
      GpuOptions options;
      expectRight(launch, options, when);
      if (HasFatalFailure() || index == 0)
        continue;
      options.order = GpuOrder::Random;
      options.seed = index;
      options.blocks = 2;
      options.section = launch.shape.H;
      expectRight(launch, options, when + ", by chance");
    }
  }

  GpuSummary summary;
};

constexpr const char *kNoop = "attention noop { score = s }";
constexpr const char *kCausal = "attention causal { mask = q >= kv }";
constexpr const char *kAlibi =
    "attention alibi(slope: f32[H]) {\n"
    "  score = s - slope[h] * (q - kv)\n  mask = q >= kv\n}";
constexpr const char *kWindow =
    "attention window { mask = q >= kv and q - kv < 100 }";

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
// Block masks
//===----------------------------------------------------------------------===//

/// Full tiles are kept whatever the mask says of them.
TEST_F(GpuPipeline, FullTilesOutsideOfTheMask) {
  TestLaunch launch(kCausal, shapeOf(500, 512, 64));
  setBlocks(launch, 128, 128,
            {1, 2, 0, 2, //
             2, 1, 2, 1, //
             0, 0, 2, 2, //
             1, 0, 2, 2});
  check(launch);
}

/// Full and partial tiles in any order, a row without any, a cut full tile.
TEST_F(GpuPipeline, Blocks) {
  TestLaunch launch(kCausal, shapeOf(500, 450, 64));
  setBlocks(launch, 128, 128,
            {1, 0, 0, 0, //
             2, 1, 0, 0, //
             0, 0, 0, 0, //
             2, 1, 2, 1});
  check(launch);
}

TEST_F(GpuPipeline, BlocksWithoutAMaskAreSeenWhole) {
  TestLaunch launch(kNoop, shapeOf(250, 300, 128, 4, 2, 2));
  setBlocks(launch, 128, 128,
            {0, 1, 2, //
             2, 2, 0});
  check(launch);
}

TEST_F(GpuPipeline, BlocksWithPositions) {
  TestLaunch launch(kAlibi, shapeOf(260, 260, 128));
  launch.view.captures = {launch.floats({0.5, 0.25})};
  setBlocks(launch, 128, 128,
            {1, 0, 0, //
             2, 1, 0, //
             1, 2, 1});
  check(launch);
}

TEST_F(GpuPipeline, SmallBlocks) {
  TestLaunch launch(kCausal, shapeOf(200, 200, 64));
  setBlocks(launch, 64, 64,
            {1, 0, 0, 0, //
             0, 1, 0, 0, //
             2, 2, 1, 0, //
             2, 0, 1, 1});
  check(launch, DType::BF16, "\"groups=1,n=64\"");
}

/// Tiles of the schedule within larger ones; one that exceeds the length.
TEST_F(GpuPipeline, LargeBlocks) {
  TestLaunch launch(kWindow, shapeOf(400, 400, 256, 1, 1));
  setBlocks(launch, 256, 192,
            {1, 1, 0, //
             1, 1, 1});
  check(launch);
  TestLaunch whole(kCausal, shapeOf(100, 90, 128));
  setBlocks(whole, 1000, 1000, {1});
  check(whole);
}

TEST_F(GpuPipeline, EveryOrderOfBlocks) {
  TestLaunch launch(kCausal, shapeOf(256, 320, 64, 1, 1));
  setBlocks(launch, 64, 64, {0, 0, 0, 0, 0, //
                             2, 0, 0, 0, 1, //
                             2, 2, 1, 1, 0, //
                             2, 2, 2, 1, 1});
  explore(launch, "groups=1,n=64,stages=2,q_stages=1,ping_pong=0");
}

constexpr const char *kOwnRows =
    "\"groups=2,n=16,stages=2,ping_pong=0,pin=0,own_rows=1\"";

/// Rows that share tiles, that share none, that have none; long rests of one.
TEST_F(GpuPipeline, RowsOfTheirOwn) {
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
}

TEST_F(GpuPipeline, RowsOfTheirOwnByChance) {
  std::minstd_rand random(5);
  for (const char *schedule :
       {kOwnRows, "\"groups=2,n=16,stages=4,ping_pong=0,pin=0,own_rows=1\""})
    for (const char *text : {kNoop, kCausal}) {
      // The last tile is cut where no mask is.
      int64_t keys = text == kNoop ? 310 : 320;
      TestLaunch launch(text, shapeOf(500, keys, 64, 2, 1, 2));
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
TEST_F(GpuPipeline, RowsOfTheirOwnInTallerTiles) {
  TestLaunch launch(kCausal, shapeOf(500, 200, 256, 1, 1));
  setBlocks(launch, 192, 32, {1, 2, 1, 0, 0, 0, 0, //
                              2, 0, 2, 1, 0, 0, 0, //
                              0, 2, 2, 0, 1, 2, 1});
  check(launch, DType::BF16,
        "\"groups=2,n=16,stages=2,ping_pong=0,pin=0,own_rows=1\"");
}

TEST_F(GpuPipeline, EveryOrderOfRowsOfTheirOwn) {
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

/// One row goes on long after the other, which then begins late.
TEST_F(GpuPipeline, EveryOrderOfRowsThatEndApart) {
  for (const char *queries : {"q_stages=1", "q_stages=2"}) {
    TestLaunch launch(kNoop, shapeOf(256, 192, 64, 1, 1));
    setBlocks(launch, 64, 16, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, //
                               2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                               2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                               0, 2, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2});
    explore(launch, std::string("groups=2,n=16,stages=2,ping_pong=0,") +
                        queries + ",own_rows=1");
  }
}

/// With more elements between two than fit into the rings, one warpgroup holds
/// what the other one waits for.
TEST_F(GpuPipeline, TooFarARowOfItsOwnIsSeen) {
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

TEST_F(GpuPipeline, BlocksThatTheTilesDoNotDivideAreReported) {
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
