//===- OnlineLoweringTest.cpp - Level 2 as lowered against level 1 --------===//
//
// Each variant is run at level 1, lowered and run at level 2: the results
// agree, every visible pair is taken once, every class keeps its promise.
//
//===----------------------------------------------------------------------===//

#include "OnlineTestSupport.h"
#include "TestLaunch.h"
#include "fovea/Dialect/Online/IR/Online.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Pipelines/Pipelines.h"

using namespace fovea;
using namespace fovea::test;

namespace {

using Visible = std::function<bool(int64_t, int64_t, int64_t, int64_t)>;

class OnlineLowering : public OnlineTest {
protected:
  void lower(TestLaunch &launch) {
    launch.program.returnLse = launch.view.lse.has_value();
    auto built = buildAttnModule(launch.program, context);
    ASSERT_TRUE(bool(built)) << llvm::toString(built.takeError());
    module = std::move(*built);
    CPUCompileOptions options;
    options.schedule = "m=8,n=8";
    ASSERT_TRUE(succeeded(lowerAttnToOnlineForCPU(*module, options)))
        << messages;
  }

  static std::vector<double> read(const TensorView &tensor) {
    std::vector<double> values;
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      values.push_back(tensor.loadFloat(i));
    return values;
  }

  static void expectSame(const std::vector<double> &got,
                         const std::vector<double> &want) {
    for (size_t i = 0; i < want.size(); ++i)
      if (std::isinf(want[i]))
        EXPECT_EQ(got[i], want[i]) << "element " << i;
      else if (std::isnan(want[i]))
        EXPECT_TRUE(std::isnan(got[i])) << "element " << i;
      else
        EXPECT_NEAR(got[i], want[i], 1e-12) << "element " << i;
  }

  /// `visible` is given positions with offsets.
  void check(TestLaunch &launch, Visible visible) {
    lower(launch);
    if (HasFatalFailure())
      return;
    LaunchView &view = launch.view;
    llvm::Error error = interpretProgram(launch.program, view);
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    std::vector<double> out = read(view.out), lse;
    if (view.lse)
      lse = read(*view.lse);
    for (int64_t i = 0; i < view.out.numElements(); ++i)
      view.out.storeFloat(i, 1234);

    OnlineOptions options;
    options.coverage = OnlineCoverage{
        view.batch, view.queryHeads,
        [&](int64_t b) {
          return std::pair(view.qOffset[b], view.qOffset[b] + view.qLengths[b]);
        },
        [&](int64_t b) {
          return std::pair(view.kvOffset[b],
                           view.kvOffset[b] + view.kvLengths[b]);
        },
        std::move(visible)};
    ASSERT_TRUE(run(launch.program.name, launchArguments(launch.view), options))
        << messages;
    expectSame(read(view.out), out);
    if (view.lse)
      expectSame(read(*view.lse), lse);
  }
};

bool always(int64_t, int64_t, int64_t, int64_t) { return true; }

TEST_F(OnlineLowering, Plain) {
  TestLaunch launch("attention plain { score = s }", {2, 4, 2, 19, 21, 8, 5});
  check(launch, always);
}

TEST_F(OnlineLowering, CausalWithOffsetsAndLengths) {
  TestLaunch launch("attention causal { mask = q >= kv }",
                    {3, 2, 1, 17, 40, 4, 4});
  launch.view.qOffset = {0, 20, 5};
  launch.view.kvOffset = {0, 3, 0};
  launch.view.qLengths = {17, 9, 0};
  launch.view.kvLengths = {40, 33, 2};
  check(launch, [](int64_t, int64_t, int64_t m, int64_t n) { return m >= n; });
}

TEST_F(OnlineLowering, WindowWithSinkTokensAndALiBi) {
  TestLaunch launch("attention window(slope: f32[H]) {\n"
                    "  score = s - slope[h] * (q - kv)\n"
                    "  mask = q >= kv and (kv < 3 or q - kv < 9)\n}",
                    {1, 2, 2, 50, 50, 4, 3});
  launch.view.captures = {launch.floats({0.5, 0.25})};
  check(launch, [](int64_t, int64_t, int64_t m, int64_t n) {
    return m >= n && (n < 3 || m - n < 9);
  });
}

TEST_F(OnlineLowering, DocumentMaskIsScanned) {
  TestLaunch launch("attention document(doc: i32[S]) {\n"
                    "  mask = doc[q] == doc[kv]\n}",
                    {1, 1, 1, 30, 30, 4, 4});
  std::vector<int32_t> doc;
  for (int i = 0; i < 30; ++i)
    doc.push_back(i < 11 ? 0 : i < 25 ? 1 : 2);
  launch.view.captures = {launch.ints(doc)};
  check(launch, [&](int64_t, int64_t, int64_t m, int64_t n) {
    return doc[m] == doc[n];
  });
}

TEST_F(OnlineLowering, SinkWithValueAndFinish) {
  TestLaunch launch("attention sentinel(C: f32[R], sigma: f32[H], vsig: "
                    "f32[H, E], gain: f32[E]) {\n"
                    "  mask = q >= kv and kv > 0\n"
                    "  normalizer {\n"
                    "    let p = exp(s - t)\n"
                    "    stat = s\n"
                    "    weight = p * C[q - kv + N]\n"
                    "    denom = p\n"
                    "    seed = (sigma[h], 1, vsig[h, e])\n"
                    "    finish = gain[e] * o / l\n  }\n}",
                    {1, 2, 1, 12, 12, 4, 3});
  launch.view.captures = {
      launch.random({24}, DType::F32), launch.random({2}, DType::F32),
      launch.random({2, 3}, DType::F32), launch.random({3}, DType::F32)};
  check(launch,
        [](int64_t, int64_t, int64_t m, int64_t n) { return m >= n && n > 0; });
}

TEST_F(OnlineLowering, SinksThatAreNotFinite) {
  for (llvm::StringRef finish : {"o / l", "o", "o + l"}) {
    TestLaunch launch(
        ("attention f(sigma: f32[H], held: f32[H]) {\n"
         "  mask = q > kv and q != 9\n  normalizer {\n"
         "    stat = s\n    weight = exp(s - t)\n" +
         llvm::StringRef(finish == "o + l" ? "" : "    denom = exp(s - t)\n") +
         "    seed = (sigma[h], 1, held[h])\n    finish = " + finish +
         "\n  }\n}")
            .str(),
        {1, 3, 1, 20, 20, 4, 3});
    if (finish == "o + l")
      launch.view.lse.reset();
    launch.view.captures = {launch.floats({INFINITY, -INFINITY, NAN}),
                            launch.floats({2, 3, 4})};
    check(launch, [](int64_t, int64_t, int64_t m, int64_t n) {
      return m > n && m != 9;
    });
  }
}

TEST_F(OnlineLowering, ScoreThatIsMinusInfinity) {
  TestLaunch launch(
      "attention holes { score = s if (q + kv) % 3 != 0 else -inf }",
      {1, 2, 1, 11, 13, 4, 4});
  check(launch, always);
}

TEST_F(OnlineLowering, DeadRows) {
  TestLaunch launch("attention never { mask = q < kv - 1000 }",
                    {1, 1, 1, 9, 9, 4, 4});
  check(launch, [](int64_t, int64_t, int64_t, int64_t) { return false; });
}

TEST_F(OnlineLowering, DeadRowsOfAUsersFinish) {
  for (llvm::StringRef seed : {"", "    seed = (0.5, 1, 5)\n"}) {
    TestLaunch launch(("attention f {\n  mask = q >= kv and q > 3\n"
                       "  normalizer {\n    stat = s\n"
                       "    weight = exp(s - t)\n    denom = exp(s - t)\n" +
                       seed + "    finish = (o + 3) / (l + 1)\n  }\n}")
                          .str(),
                      {1, 1, 1, 9, 9, 4, 4});
    check(launch, [](int64_t, int64_t, int64_t m, int64_t n) {
      return m >= n && m > 3;
    });
  }
}

TEST_F(OnlineLowering, NoDenominator) {
  TestLaunch launch("attention relu {\n  normalizer {\n"
                    "    weight = maximum(s, 0.0)\n  }\n}",
                    {1, 2, 1, 9, 20, 4, 4});
  launch.view.lse.reset();
  check(launch, always);
}

TEST_F(OnlineLowering, BlockMaskAndMask) {
  TestLaunch launch("attention causal { mask = q >= kv }",
                    {1, 2, 1, 20, 24, 4, 4});
  launch.program.blockMask = true;
  TensorView classes = launch.tensor({1, 1, 2, 3}, DType::I8);
  const int8_t values[] = {1, 0, 1, 2, 1, 1}; // 16 x 8 positions each
  std::copy(std::begin(values), std::end(values),
            static_cast<int8_t *>(classes.data));
  classes.sizes = {1, 2, 2, 3}; // both heads share them
  classes.strides[1] = 0;
  launch.view.blockClasses = classes;
  launch.view.blockQ = 16;
  launch.view.blockKV = 8;
  check(launch, [&](int64_t, int64_t, int64_t m, int64_t n) {
    return m >= n && values[m / 16 * 3 + n / 8] != 0;
  });
}

TEST_F(OnlineLowering, CoverageSeesWhatIsLeftOutAndWhatIsNot) {
  TestLaunch launch("attention causal { mask = q >= kv }",
                    {1, 1, 1, 9, 9, 4, 4});
  lower(launch);
  auto refused = [&](Visible visible) {
    auto all = [](int64_t) { return std::pair(int64_t(0), int64_t(9)); };
    messages.clear();
    EXPECT_FALSE(run(
        "causal", launchArguments(launch.view),
        {std::nullopt, OnlineCoverage{1, 1, all, all, std::move(visible)}}));
    return messages;
  };
  EXPECT_NE(refused(always).find(
                "b = 0, h = 0, m = 0, n = 1 is visible and left out"),
            std::string::npos)
      << messages;
  EXPECT_NE(refused([](int64_t, int64_t, int64_t m, int64_t n) {
              return m > n;
            }).find("m = 0, n = 0 is not visible and taken"),
            std::string::npos)
      << messages;
}

TEST_F(OnlineLowering, CoverageSeesWhatIsTakenTwice) {
  TestLaunch launch("attention plain { score = s }", {1, 1, 1, 9, 9, 4, 4});
  lower(launch);
  // The keys of the walk once more, from the first one on.
  module->walk([](mlir::online::WalkSegmentsOp walk) {
    llvm::SmallVector<mlir::Value> begins(walk.getBegins()),
        ends(walk.getEnds());
    std::vector<int32_t> classes(walk.getClasses());
    begins.push_back(begins.front());
    ends.push_back(ends.back());
    classes.push_back(1);
    mlir::OpBuilder builder(walk);
    walk.replaceAllUsesWith(mlir::online::WalkSegmentsOp::create(
                                builder, walk.getLoc(), walk.getType(), begins,
                                ends, builder.getDenseI32ArrayAttr(classes),
                                walk.getStepAttr(),
                                /*reverse=*/nullptr)
                                .getResult());
  });
  auto all = [](int64_t) { return std::pair(int64_t(0), int64_t(9)); };
  EXPECT_FALSE(run("plain", launchArguments(launch.view),
                   {std::nullopt, OnlineCoverage{1, 1, all, all, always}}));
  EXPECT_NE(messages.find("m = 0, n = 0 is taken twice"), std::string::npos)
      << messages;
}

TEST_F(OnlineLowering, ArgumentsAreChecked) {
  TestLaunch launch("attention plain { score = s }", {1, 1, 1, 9, 9, 4, 4});
  lower(launch);
  std::vector<OnlineArgument> all = launchArguments(launch.view);
  EXPECT_FALSE(run("plain", llvm::ArrayRef(all).drop_back()));
  EXPECT_NE(messages.find("arguments, got"), std::string::npos) << messages;
  messages.clear();
  std::swap(all[0], all[3]); // a scalar for q
  EXPECT_FALSE(run("plain", all));
  EXPECT_NE(messages.find("argument #0"), std::string::npos) << messages;
  EXPECT_NE(messages.find("needs a buffer"), std::string::npos) << messages;
  messages.clear();
  std::swap(all[0], all[3]);
  all[0].tensor->sizes[3] = 5;
  EXPECT_FALSE(run("plain", all));
  EXPECT_NE(messages.find("got a buffer of size 5 in dim 3"), std::string::npos)
      << messages;
}

TEST_F(OnlineLowering, ABrokenPromiseIsReported) {
  TestLaunch launch("attention causal { mask = q >= kv }",
                    {1, 1, 1, 20, 20, 4, 4});
  lower(launch);
  module->walk([](mlir::online::WalkSegmentsOp walk) {
    std::vector<int32_t> full(walk.getClasses().size(), 2);
    walk.setClasses(full);
  });
  EXPECT_FALSE(run("causal", launchArguments(launch.view)));
  EXPECT_NE(messages.find("class full promises a true mask, which is false at "
                          "m = 0, n = 1"),
            std::string::npos)
      << messages;
}

TEST_F(OnlineLowering, BadIndexOfAVisiblePairIsReported) {
  TestLaunch launch("attention biased(bias: f32[S]) {\n"
                    "  score = s + bias[q - kv]\n  mask = q >= kv\n}",
                    {1, 1, 1, 12, 12, 4, 4});
  // Long enough for no pair further apart than 9.
  launch.view.captures = {launch.random({10}, DType::F32)};
  lower(launch);
  EXPECT_FALSE(run("biased", launchArguments(launch.view)));
  EXPECT_NE(messages.find("'bias' dimension 0: index 10 is outside 0..9"),
            std::string::npos)
      << messages;
  // Masked pairs (negative distances) are no error.
  messages.clear();
  launch.view.captures = {launch.random({12}, DType::F32)};
  EXPECT_TRUE(run("biased", launchArguments(launch.view))) << messages;
}

} // namespace
