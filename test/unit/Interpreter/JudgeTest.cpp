//===- JudgeTest.cpp - The judge passes what is good and nothing else -----===//

#include "fovea/Interpreter/Judge.h"
#include "TestLaunch.h"
#include "fovea/Interpreter/Interpreter.h"

#include <limits>

using namespace fovea;
using namespace fovea::test;

namespace {
/// Rows of one column: exact values, and a plain computation that is off by
/// `noise` units.
struct Values {
  explicit Values(DType type, size_t count = 10000) : type(type) {
    std::mt19937 engine(3);
    std::uniform_real_distribution<double> uniform(1, 2);
    for (size_t i = 0; i < count; ++i) {
      exact.push_back(uniform(engine));
      plain.push_back(exact.back() + (i % 2 ? noise : -noise));
      actual.push_back(exact.back());
    }
  }
  Judgement judged() {
    return judge({actual, exact, plain, 1, type, type, dead});
  }
  static constexpr double noise = 1e-3;
  DType type;
  std::vector<double> actual, exact, plain;
  std::vector<uint8_t> dead;
};

TEST(Judge, MeanErrorMayBeATenthAboveThePlainOneAt16Bits) {
  Values values(DType::BF16);
  for (size_t i = 0; i < values.actual.size(); ++i)
    values.actual[i] = values.exact[i] + 1.09e-3;
  EXPECT_TRUE(values.judged().passed) << values.judged().reason;
  // The floor is 0.05 units of a mean magnitude of 1.5: 2.9e-4.
  for (double &x : values.actual)
    x += 5e-4;
  Judgement result = values.judged();
  EXPECT_FALSE(result.passed);
  EXPECT_NE(result.reason.find("mean error"), std::string::npos);
}

TEST(Judge, FactorTenForF32) {
  Values values(DType::F32);
  for (size_t i = 0; i < values.actual.size(); ++i)
    values.actual[i] = values.exact[i] + 9.9e-3;
  EXPECT_TRUE(values.judged().passed);
  for (double &x : values.actual)
    x += 2e-4;
  EXPECT_FALSE(values.judged().passed);
}

TEST(Judge, F64HasAnAbsoluteFloor) {
  Values values(DType::F64);
  values.plain = values.exact;
  for (double &x : values.actual)
    x += 0.9e-13;
  EXPECT_TRUE(values.judged().passed);
  for (double &x : values.actual)
    x += 2e-13;
  EXPECT_FALSE(values.judged().passed);
}

TEST(Judge, FewOutputsHaveALargerFactor) {
  // 100 outputs: F = 1.1 + 0.4.
  Values values(DType::BF16, 100);
  for (double &x : values.actual)
    x += 1.45e-3;
  EXPECT_TRUE(values.judged().passed);
  Values many(DType::BF16, 10000);
  for (double &x : many.actual)
    x += 1.45e-3;
  EXPECT_FALSE(many.judged().passed);
}

TEST(Judge, OneBadRowIsFoundAmongManyGoodOnes) {
  Values values(DType::F32);
  values.actual[77] += 0.1; // below 10 times the mean error, above the row's 60
  Judgement result = values.judged();
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.worstRow, 77);
  EXPECT_NE(result.reason.find("row 77 is off by"), std::string::npos);
}

TEST(Judge, NoNaNThatTheFormulaDoesNotGive) {
  Values values(DType::F32);
  values.actual[5] = std::nan("");
  EXPECT_FALSE(values.judged().passed);
  values.exact[5] = values.plain[5] = std::nan("");
  EXPECT_TRUE(values.judged().passed);
  values.actual[5] = 1;
  EXPECT_FALSE(values.judged().passed);
  // Overflow of the working type is no fault.
  values.exact[5] = 1e300;
  values.plain[5] = values.actual[5] = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(values.judged().passed);
}

TEST(Judge, DeadRowsAreExact) {
  Values values(DType::F32);
  values.dead.assign(values.actual.size(), 0);
  values.dead[9] = 1;
  values.exact[9] = values.plain[9] = values.actual[9] = 0;
  EXPECT_TRUE(values.judged().passed);
  values.actual[9] = 1e-30;
  EXPECT_FALSE(values.judged().passed);
  EXPECT_EQ(values.judged().reason, "row 9 sees no key: must be 0, is 1e-30");
}

/// The plain computation itself passes, at each type; a result that is off by a
/// tenth does not.
TEST(Judge, Launches) {
  for (DType type : {DType::F16, DType::BF16, DType::F32, DType::F64}) {
    TestLaunch launch(
        "attention f(slope: f32[H]) {\n score = s - slope[h] * (q "
        "- kv)\n mask = q > kv\n}",
        {1, 2, 1, 40, 40, 16, 8});
    launch.program.dtype = type;
    launch.view.captures = {launch.floats({0.5, 0.25})};
    auto narrow = [&](TensorView &view, DType to) {
      TensorView narrowed = launch.tensor(view.sizes, to);
      for (int64_t i = 0; i < view.numElements(); ++i)
        narrowed.storeFloat(i, view.loadFloat(i));
      view = narrowed;
    };
    for (TensorView *view : {&launch.view.queries[0], &launch.view.keys[0],
                             &launch.view.value, &launch.view.out})
      narrow(*view, type);
    narrow(*launch.view.lse, type == DType::F64 ? type : DType::F32);
    ASSERT_FALSE(static_cast<bool>(interpretProgram(
        launch.program, launch.view, {Arithmetic::Plain, nullptr})));
    auto result = judgeLaunch(launch.program, launch.view);
    ASSERT_TRUE(static_cast<bool>(result));
    EXPECT_TRUE(result->passed())
        << stringify(type).str() << ": " << result->out.reason << " / "
        << result->lse.reason;
    for (int64_t i = 0; i < launch.view.out.numElements(); ++i)
      launch.view.out.storeFloat(i, 1.1 * launch.view.out.loadFloat(i));
    result = judgeLaunch(launch.program, launch.view);
    ASSERT_TRUE(static_cast<bool>(result));
    EXPECT_FALSE(result->out.passed);
    EXPECT_TRUE(result->lse.passed);
  }
}
} // namespace
