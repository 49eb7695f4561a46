//===- FactsTest.cpp - What is proved of regions --------------------------===//
#include "AnalysisTestSupport.h"

#include "gtest/gtest.h"

using namespace fovea;
using namespace fovea::test;
using K = NodeKind;

namespace {

RegionFacts factsOf(const Program &program, const Region &region,
                    llvm::ArrayRef<TensorView> captures = {},
                    FactDomain domain = {}) {
  RegionEnvironment environment;
  environment.captures = captures;
  environment.score = finiteScores();
  return RegionFacts(program, region, environment, domain);
}

TEST(Facts, AboveMinusInfinity) {
  Builder b(RegionKind::Score);
  unsigned s = b.arg("s");
  unsigned distance =
      b.op(K::I64ToF, {b.op(K::ISub, {b.arg("kv"), b.arg("q")})});
  Region relative = b.finish(b.op(K::FAdd, {s, distance}));
  EXPECT_TRUE(factsOf({}, relative).isAboveMinusInfinity());
  unsigned capped = b.op(K::FMul, {b.real(30), b.op(K::Tanh, {s})});
  EXPECT_TRUE(factsOf({}, b.finish(capped)).isAboveMinusInfinity());
  unsigned hidden = b.op(K::Select, {b.op(K::IGe, {b.arg("q"), b.arg("kv")}), s,
                                     b.real(-HUGE_VAL)});
  EXPECT_FALSE(factsOf({}, b.finish(hidden)).isAboveMinusInfinity());
  EXPECT_FALSE(factsOf({}, b.finish(b.op(K::Log, {s}))).isAboveMinusInfinity());
}

TEST(Facts, Positive) {
  Builder b(RegionKind::Score);
  unsigned s = b.arg("s");
  unsigned square = b.op(K::FMul, {s, s});
  unsigned factor = b.op(K::FAdd, {b.op(K::FAbs, {s}), b.real(1)});
  EXPECT_TRUE(factsOf({}, b.finish(factor)).isPositive());
  EXPECT_FALSE(factsOf({}, b.finish(square)).isPositive());
  unsigned decay = b.op(K::Sigmoid, {b.op(K::Tanh, {s})});
  EXPECT_TRUE(factsOf({}, b.finish(decay)).isPositive());
}

TEST(Facts, FactorsReadFromCaptures) {
  std::vector<float> slope = {0.5F, 0.25F, 0.125F, 0};
  TensorView view = viewOf(slope, DType::F32, {4});
  Program program;
  program.captures = {{"slope", DType::F32, 1, {}, std::nullopt}};
  Builder b(RegionKind::Score);
  Region region = b.finish(b.read(0, ValueType::F, {b.arg("h")}));
  FactDomain domain;
  domain.head = {0, 2};
  EXPECT_TRUE(factsOf(program, region, view, domain).isPositive());
  domain.head = {0, 3};
  EXPECT_FALSE(factsOf(program, region, view, domain).isPositive());
  EXPECT_FALSE(factsOf(program, region).isPositive()); // nothing known
}

TEST(Facts, Indices) {
  std::vector<float> table(200);
  TensorView view = viewOf(table, DType::F32, {200});
  Program program;
  program.captures = {{"table", DType::F32, 1, {}, std::nullopt}};
  Builder b(RegionKind::Score);
  unsigned index =
      b.op(K::IAdd, {b.op(K::ISub, {b.arg("q"), b.arg("kv")}), b.constant(99)});
  Region region = b.finish(b.read(0, ValueType::F, {index}));
  FactDomain domain;
  domain.q = domain.kv = {0, 99};
  RegionFacts facts = factsOf(program, region, view, domain);
  ASSERT_EQ(facts.indices().size(), 1u);
  EXPECT_EQ(facts.indices()[0].range.low, 0);
  EXPECT_EQ(facts.indices()[0].range.high, 198);
  EXPECT_TRUE(facts.areIndicesInRange());
  domain.q = {0, 101};
  EXPECT_FALSE(factsOf(program, region, view, domain).areIndicesInRange());
}

/// What infinities make is exact, and no more than that.
TEST(Facts, Infinities) {
  auto at = [](K kind, FloatBounds a, FloatBounds b = FloatBounds::of(0)) {
    return evaluateFloat(kind, a, b);
  };
  const FloatBounds inf = FloatBounds::of(HUGE_VAL),
                    minus = FloatBounds::of(-HUGE_VAL),
                    zero = FloatBounds::of(0), finite = {-5, 7};
  auto isPoint = [](const FloatBounds &found, double value) {
    return found.isPoint() && found.low == value;
  };
  EXPECT_TRUE(isPoint(at(K::Exp, minus), 0));
  EXPECT_TRUE(isPoint(at(K::Exp, inf), HUGE_VAL));
  EXPECT_TRUE(isPoint(at(K::FAdd, minus, finite), -HUGE_VAL));
  EXPECT_TRUE(isPoint(at(K::FSub, minus, inf), -HUGE_VAL));
  EXPECT_TRUE(at(K::FSub, minus, minus).nan);
  EXPECT_TRUE(at(K::FAdd, minus, FloatBounds()).nan);
  EXPECT_TRUE(isPoint(at(K::FDiv, FloatBounds::of(1), inf), 0));
  EXPECT_FALSE(at(K::FDiv, inf, inf).isPoint());
  EXPECT_TRUE(isPoint(at(K::FMul, inf, {-3, -2}), -HUGE_VAL));
  EXPECT_TRUE(at(K::FMul, inf, {0, 2}).nan);
  EXPECT_TRUE(isPoint(at(K::FMul, zero, finite), 0));
  EXPECT_FALSE(isPoint(at(K::FMul, zero, {0, HUGE_VAL}), 0));
  EXPECT_FALSE(at(K::Exp, FloatBounds::of(-200)).isPoint());
}

TEST(Facts, Congruences) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned even = b.op(K::IMul, {q, b.constant(4)});
  unsigned odd =
      b.op(K::IAdd, {b.op(K::IMul, {kv, b.constant(6)}), b.constant(3)});
  Region apart = b.finish(b.op(K::IEq, {even, odd}));
  EXPECT_EQ(factsOf({}, apart).constantCondition(), false);
  unsigned rest =
      b.op(K::Mod, {b.op(K::IMax, {even, b.constant(8)}), b.constant(4)});
  Region zero = b.finish(b.op(K::IEq, {rest, b.constant(0)}));
  EXPECT_EQ(factsOf({}, zero).constantCondition(), true);
}

} // namespace
