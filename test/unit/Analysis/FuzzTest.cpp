//===- FuzzTest.cpp - Never a wrong full or empty -------------------------===//
#include "RandomMask.h"

#include "gtest/gtest.h"

using namespace fovea;
using namespace fovea::test;

namespace {

constexpr int64_t length = 40;

struct Tally {
  int full = 0, empty = 0, partial = 0, affine = 0;
};

/// One region on random rectangles; every point is asked. With polyhedra the
/// class is exact.
void check(unsigned seed, bool score, bool onlyIntegers, Tally &tally) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Tables tables(random);
  Program program;
  program.captures = tables.captures;
  Region region =
      RandomRegion(random, score ? RegionKind::Score : RegionKind::Mask)
          .make(onlyIntegers);
  (score ? program.score : program.mask) = region;
  RegionSizes sizes;
  sizes.B = sizes.H = sizes.Hk = 2;
  sizes.M = sizes.N = length;
  RegionEnvironment environment;
  environment.captures = tables.views;
  environment.sizes = sizes;
  MaskAnalysis analysis(program, environment);
  Oracle oracle(program, region, score, tables.views, sizes);
  analysis.enter(1, seed % 2);
  tally.affine += analysis.affine() != nullptr;
  auto side = [&]() -> Interval {
    int64_t low = int64_t(random() % length) - 4;
    return {low, low + int64_t(random() % 9)};
  };
  Interval q = side(), kv = side();
  for (int round = 0; round < 12; ++round) {
    // Like halving, keep a side now and then.
    if (unsigned kept = random() % 4; kept != 0)
      (kept == 1 ? q : kv) = side();
    else
      q = side(), kv = side();
    bool on = false, off = false;
    for (int64_t i = q.low; i <= q.high; ++i)
      for (int64_t j = kv.low; j <= kv.high; ++j)
        (oracle.isVisible(1, seed % 2, i, j) ? on : off) = true;
    for (bool bounds : {true, false}) {
      TileClass found = bounds ? analysis.classifyByBounds({q, kv})
                               : analysis.classify({q, kv});
      bool exact = !bounds && analysis.isExact();
      switch (found) {
      case TileClass::Full:
        ASSERT_FALSE(off) << q.low << " " << q.high << " " << kv.low << " "
                          << kv.high;
        ++tally.full;
        break;
      case TileClass::Empty:
        ASSERT_FALSE(on) << q.low << " " << q.high << " " << kv.low << " "
                         << kv.high;
        ++tally.empty;
        break;
      case TileClass::Partial:
        ASSERT_TRUE(!exact || (on && off));
        ++tally.partial;
      }
    }
    if (analysis.affine())
      if (auto keys = analysis.affine()->keysOf(q.low))
        for (int64_t j = kv.low; j <= kv.high; ++j)
          ASSERT_EQ(llvm::any_of(
                        *keys, [&](Interval part) { return part.contains(j); }),
                    oracle.isVisible(1, seed % 2, q.low, j))
              << q.low << " " << j;
  }
}

TEST(Fuzz, ClassesAreSound) {
  Tally masks, scores, integers;
  for (unsigned seed = fuzzSeed(); seed < fuzzSeed() + fuzzRounds(); ++seed) {
    check(seed, /*score=*/false, /*onlyIntegers=*/false, masks);
    check(seed, /*score=*/true, /*onlyIntegers=*/false, scores);
    check(seed, /*score=*/false, /*onlyIntegers=*/true, integers);
    if (HasFatalFailure())
      return;
  }
  for (const Tally &tally : {masks, scores, integers}) { // not all one class
    EXPECT_GT(tally.full, int(fuzzRounds()));
    EXPECT_GT(tally.empty, int(fuzzRounds()));
    EXPECT_GT(tally.partial, int(fuzzRounds()));
  }
  EXPECT_GT(integers.affine, int(fuzzRounds()) / 10);
}

/// Every value of every node lies within its bounds.
TEST(Fuzz, FactsHold) {
  for (unsigned seed = fuzzSeed(); seed < fuzzSeed() + fuzzRounds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Tables tables(random);
    Program program;
    program.captures = tables.captures;
    Region region = RandomRegion(random, RegionKind::Score).make(false);
    program.score = region;
    RegionSizes sizes;
    sizes.M = sizes.N = length;
    RegionEnvironment environment;
    environment.captures = tables.views;
    environment.sizes = sizes;
    environment.score = {-3, 3};
    FactDomain domain;
    domain.batch = {0, 1};
    domain.head = {0, 1};
    domain.q = domain.kv = {0, length - 1};
    RegionFacts facts(program, region, environment, domain);
    RegionProgram compiled = RegionProgram::compile(program, region, {});
    RegionFrame frame(compiled, tables.views, sizes);
    frame.watchReads(true);
    for (int point = 0; point < 60; ++point) {
      frame.setFloat(compiled.findArg("s"), double(random() % 7) - 3);
      for (const char *name : {"b", "h"})
        frame.setInt(compiled.findArg(name), random() % 2);
      for (const char *name : {"q", "kv"})
        frame.setInt(compiled.findArg(name), random() % length);
      frame.run(1);
      double value = frame.resultFloat(0, 0);
      ASSERT_TRUE(facts.floatsOf(region.results[0]).contains(value)) << value;
      if (facts.isAboveMinusInfinity())
        ASSERT_NE(value, -HUGE_VAL);
      if (facts.isPositive())
        ASSERT_GT(value, 0);
      if (facts.areIndicesInRange())
        ASSERT_EQ(frame.badRead(0), nullptr);
    }
  }
}

} // namespace
