//===- AttnToOnlineTest.cpp - Level 2 computes what level 1 does ----------===//

#include "../Interpreter/TestLaunch.h"
#include "../LaunchArguments.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Interpreter/OnlineInterpreter.h"
#include "fovea/Pipelines/Pipelines.h"
#include "fovea/Registration/Registration.h"

#include "mlir/IR/MLIRContext.h"

using namespace fovea;
using namespace fovea::test;

namespace {
std::vector<double> gather(const TensorView &view) {
  std::vector<double> values;
  for (int64_t i = 0; i < view.numElements(); ++i)
    values.push_back(view.loadFloat(i));
  return values;
}

/// Runs both levels and compares. Level 2 checks the promises of the classes
/// where they reach a stored element.
void expectSame(TestLaunch &launch, int indexBits = 32) {
  llvm::StringRef schedule = "m=8,n=16";
  launch.program.returnLse = launch.view.lse.has_value();
  launch.program.blockMask = launch.view.blockClasses.has_value();
  ASSERT_FALSE(
      static_cast<bool>(interpretProgram(launch.program, launch.view)));
  std::vector<double> out = gather(launch.view.out), lse;
  if (launch.view.lse)
    lse = gather(*launch.view.lse);
  for (int64_t i = 0; i < launch.view.out.numElements(); ++i)
    launch.view.out.storeFloat(i, 77);

  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = buildAttnModule(launch.program, context);
  ASSERT_TRUE(static_cast<bool>(module));
  CPUCompileOptions options;
  options.schedule = schedule.str();
  options.indexBits = indexBits;
  CPUCompileReport report;
  ASSERT_TRUE(succeeded(lowerAttnToOnlineForCPU(**module, options, &report)));
  EXPECT_EQ(report.schedule, schedule);
  auto function =
      (*module)->lookupSymbol<mlir::func::FuncOp>(launch.program.name);
  ASSERT_TRUE(function);
  OnlineInterpreter interpreter;
  llvm::SmallVector<OnlineArgument> results;
  ASSERT_TRUE(succeeded(
      interpreter.run(function, launchArguments(launch.view), results)));
  std::vector<double> out2 = gather(launch.view.out);
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_NEAR(out[i], out2[i], 1e-12) << "element " << i << " of out";
  if (launch.view.lse) {
    std::vector<double> lse2 = gather(*launch.view.lse);
    for (size_t i = 0; i < lse.size(); ++i)
      if (lse[i] != lse2[i])
        EXPECT_NEAR(lse[i], lse2[i], 1e-12) << "element " << i << " of lse";
  }
}

constexpr Shape shape{2, 4, 2, 21, 50, 4, 3};

TEST(AttnToOnline, Masks) {
  for (const char *mask : {"true",
                           "q >= kv",
                           "q <= kv",
                           "0 <= q - kv < 5",
                           "abs(q - kv) <= 3",
                           "kv < 4 or q >= kv",
                           "q >= kv and (kv < 2 or q - kv < 6)",
                           "q // 8 == kv // 8 and q >= kv",
                           "q != 5",
                           "q >= 7 and kv >= 11",
                           "(q - kv) % 3 == 0",
                           "h == 1 or q >= kv",
                           "kv < N - 7 and b == 0",
                           "not (q >= kv or kv > 30)",
                           "maximum(q, 9) >= kv",
                           "minimum(q, kv) > 4",
                           "2 * q >= 3 * kv - 5",
                           "q >= kv if h < 2 else q < kv",
                           "kv - 3 <= q and -kv > -q - 4",
                           "false",
                           "q == kv",
                           "q != kv"}) {
    SCOPED_TRACE(mask);
    TestLaunch launch(std::string("attention f { mask = ") + mask + " }",
                      shape);
    expectSame(launch);
  }
}

TEST(AttnToOnline, OffsetsAndLengths) {
  for (const char *mask : {"true", "q >= kv", "0 <= q - kv < 5"}) {
    SCOPED_TRACE(mask);
    TestLaunch launch(std::string("attention f { mask = ") + mask + " }",
                      shape);
    launch.view.qOffset = {0, 13};
    launch.view.kvOffset = {2, 0};
    launch.view.qLengths = {21, 9};
    launch.view.kvLengths = {33, 50};
    expectSame(launch);
    launch.view.qLengths = {0, 16};
    launch.view.kvLengths = {0, 1};
    expectSame(launch);
  }
}

TEST(AttnToOnline, FarAndNegativePositions) {
  for (int64_t far : {int64_t(1) << 40, int64_t(1) << 58, -(int64_t(1) << 58)})
    for (const char *mask :
         {"q >= kv", "0 <= q - kv < 5", "q // 8 == kv // 8 and q >= kv",
          "2 * q >= 2 * kv - 5", "abs(q - kv) <= 3 or kv % 7 == 0",
          "q + 9223372036854775807 > kv"}) {
      SCOPED_TRACE(mask);
      TestLaunch launch(std::string("attention f { mask = ") + mask + " }",
                        shape);
      launch.view.qOffset = {far, far + 3};
      launch.view.kvOffset = {far - 7, far};
      expectSame(launch, 64);
    }
}

TEST(AttnToOnline, CapturesAndSizes) {
  TestLaunch documents(
      "attention f(doc: i32[S], len: i32[B]) {\n mask = doc[q] "
      "== doc[kv] and kv < len[b]\n}",
      {2, 2, 1, 50, 50, 4, 3});
  std::vector<int32_t> doc(50);
  for (int i = 0; i < 50; ++i)
    doc[i] = i / 19;
  documents.view.captures = {documents.ints(doc), documents.ints({31, 50})};
  expectSame(documents);

  TestLaunch relative(
      "attention f(bias: f32[H, R]) {\n score = s + bias[h, q - "
      "kv + N] * (N + M + E + D + H + Hk + B)\n}",
      shape);
  relative.view.captures = {relative.random({4, 100}, DType::F32)};
  expectSame(relative);
}

TEST(AttnToOnline, Normalizers) {
  const char *texts[] = {
      "attention f(sigma: f32[H], vsig: f32[H, E]) {\n mask = q > kv\n "
      "normalizer {\n stat = s\n weight = exp(s - t)\n denom = exp(s - t)\n "
      "seed "
      "= (sigma[h], 1, vsig[h, e])\n finish = o / l + e\n }\n}",
      "attention f(sigma: f32[H], vsig: f32[H, E]) {\n normalizer {\n weight = "
      "s / N if s > sigma[h] else vsig[h, 0] * (q - kv)\n }\n}"};
  for (const char *text : texts) {
    SCOPED_TRACE(text);
    TestLaunch launch(text, shape);
    launch.view.captures = {launch.random({4}, DType::F32),
                            launch.random({4, 3}, DType::F32)};
    if (!launch.program.normalizer->denom)
      launch.view.lse.reset();
    launch.view.qLengths = {21, 12};
    expectSame(launch);
  }
}

TEST(AttnToOnline, SeveralPairs) {
  TestLaunch launch("attention f { mask = q >= kv }", shape);
  launch.program.headDims.push_back(2);
  launch.view.queries.push_back(launch.random({2, 4, 21, 2}));
  launch.view.keys.push_back(launch.random({2, 2, 50, 2}));
  launch.view.scales.push_back(-0.7);
  expectSame(launch);
}

TEST(AttnToOnline, BlockMasks) {
  // Query tiles of 5 and 20 rows against schedule tiles of 8.
  for (int64_t blockQ : {5, 20}) {
    TestLaunch launch("attention f { mask = q >= kv }", shape);
    int64_t rows = (21 + blockQ - 1) / blockQ;
    TensorView classes = launch.tensor({2, 4, rows, 4}, DType::I8);
    // A tile is full only where causality holds on all of it.
    for (int64_t i = 0; i < classes.numElements(); ++i) {
      bool isCausal = i / 4 % rows * blockQ >= i % 4 * 14 + 13;
      static_cast<int8_t *>(classes.data)[i] =
          std::min<int64_t>(i * 7 % 5 % 3, isCausal ? 2 : 1);
    }
    classes.strides[1] = 0; // one pattern for all heads
    launch.view.blockClasses = classes;
    launch.view.blockQ = blockQ;
    launch.view.blockKV = 14;
    expectSame(launch);
    launch.view.qLengths = {6, 20};
    launch.view.kvLengths = {50, 20};
    expectSame(launch);
  }
}

TEST(AttnToOnline, EmptySizes) {
  for (Shape empty : {Shape{0, 2, 1, 5, 7, 4, 3}, Shape{1, 2, 1, 0, 7, 4, 3},
                      Shape{1, 2, 1, 5, 0, 4, 3}, Shape{1, 2, 1, 5, 7, 4, 0},
                      Shape{1, 1, 1, 1, 1, 1, 1}}) {
    TestLaunch launch("attention f { mask = q >= kv }", empty);
    expectSame(launch);
  }
}
} // namespace
