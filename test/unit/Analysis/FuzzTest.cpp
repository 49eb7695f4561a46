//===- FuzzTest.cpp - Never a wrong full or empty -------------------------===//
#include "AnalysisTestSupport.h"

#include "gtest/gtest.h"

using namespace fovea;
using namespace fovea::test;
using K = NodeKind;

namespace {

constexpr int64_t length = 40;

/// Random regions over everything that S8 and S13 have.
class Generator {
public:
  Generator(std::mt19937 &random, RegionKind kind) : random(random), b(kind) {
    if (kind == RegionKind::Score)
      floats.push_back(b.arg("s"));
    for (const char *name : {"q", "kv", "h", "b"})
      ints.push_back(b.arg(name));
    for (int64_t c : {-3, 0, 1, 2, 5, 16, 40})
      ints.push_back(b.constant(c));
    ints.push_back(b.constant(choose<int64_t>({INT64_MIN, INT64_MAX, -1, 7})));
    for (double c : {0.0, -0.5, 2.0, -HUGE_VAL})
      floats.push_back(b.real(c));
    bools.push_back(b.boolean(random() % 2));
  }

  Region make(bool onlyIntegers) {
    bool score = b.region.args.front() == "s";
    for (int i = 0, count = 6 + random() % 24; i < count; ++i) {
      switch (random() % (onlyIntegers ? 6 : 10)) {
      case 0:
      case 1:
      case 2:
        addInteger();
        break;
      case 3:
      case 4:
        addCondition();
        break;
      case 5:
        addSelect();
        break;
      case 6:
        ints.push_back(b.op(K::ToInt, {recent(floats)}));
        break;
      case 7:
        addConversion();
        break;
      default:
        addFloat();
      }
    }
    if (score)
      return b.finish(
          b.op(K::Select, {recent(bools), recent(floats), recent(floats)}));
    addCondition();
    return b.finish(
        b.op(random() % 2 ? K::BOr : K::BAnd, {recent(bools), bools.back()}));
  }

private:
  template <typename T> T choose(std::initializer_list<T> from) {
    return from.begin()[random() % from.size()];
  }
  unsigned recent(const std::vector<unsigned> &from) {
    size_t span = random() % 2 ? std::min<size_t>(from.size(), 4) : from.size();
    return from[from.size() - 1 - random() % span];
  }
  void addInteger() {
    if (random() % 4 == 0) {
      bool plane = random() % 2;
      ints.push_back(
          plane ? b.read(1, ValueType::I64, {recent(ints), recent(ints)})
                : b.read(0, ValueType::I64, {recent(ints)}));
      return;
    }
    auto kind =
        static_cast<K>(unsigned(K::IAdd) +
                       random() % (unsigned(K::Shr) - unsigned(K::IAdd) + 1));
    ints.push_back(getSignature(kind).operands.size() == 1
                       ? b.op(kind, {recent(ints)})
                       : b.op(kind, {recent(ints), recent(ints)}));
  }
  void addCondition() {
    switch (random() % 4) {
    case 0:
      bools.push_back(b.op(choose({K::BAnd, K::BOr, K::BXor}),
                           {recent(bools), recent(bools)}));
      return;
    case 1:
      if (floats.size() > 6) {
        bools.push_back(
            b.op(choose({K::FEq, K::FNe, K::FLt, K::FLe, K::FGt, K::FGe}),
                 {recent(floats), recent(floats)}));
        return;
      }
      bools.push_back(b.op(K::BNot, {recent(bools)}));
      return;
    default:
      bools.push_back(
          b.op(choose({K::IEq, K::INe, K::ILt, K::ILe, K::IGt, K::IGe}),
               {recent(ints), recent(ints)}));
    }
  }
  void addSelect() {
    unsigned condition = recent(bools);
    if (random() % 2)
      ints.push_back(b.op(K::Select, {condition, recent(ints), recent(ints)}));
    else
      bools.push_back(
          b.op(K::Select, {condition, recent(bools), recent(bools)}));
  }
  void addConversion() {
    switch (random() % 3) {
    case 0:
      floats.push_back(b.op(K::I64ToF, {recent(ints)}));
      return;
    case 1:
      floats.push_back(b.op(K::I1ToF, {recent(bools)}));
      return;
    default:
      ints.push_back(b.op(K::I1ToI64, {recent(bools)}));
    }
  }
  void addFloat() {
    if (random() % 5 == 0) {
      floats.push_back(b.read(2, ValueType::F, {recent(ints)}));
      return;
    }
    auto first = unsigned(K::FAdd), count = unsigned(K::Pow) - first + 1;
    auto maths = unsigned(K::Exp), more = unsigned(K::Silu) - maths + 1;
    unsigned pick = random() % (2 * count + more + 2);
    if (pick < 2 * count) {
      auto kind = static_cast<K>(first + pick % count);
      floats.push_back(getSignature(kind).operands.size() == 1
                           ? b.op(kind, {recent(floats)})
                           : b.op(kind, {recent(floats), recent(floats)}));
    } else if (pick < 2 * count + more) {
      floats.push_back(
          b.op(static_cast<K>(maths + pick - 2 * count), {recent(floats)}));
    } else {
      floats.push_back(
          b.op(K::Select, {recent(bools), recent(floats), recent(floats)}));
    }
  }

  std::mt19937 &random;
  Builder b;
  std::vector<unsigned> ints, bools, floats;
};

struct Tables {
  explicit Tables(std::mt19937 &random) {
    for (int i = 0; i < 300; ++i)
      line.push_back(int32_t(random() % 60) - 10);
    for (int i = 0; i < 12 * 20; ++i)
      plane.push_back(int64_t(random() % 50) - 5);
    for (int i = 0; i < 90; ++i)
      real.push_back(float(int(random() % 40) - 20) / 4);
    real[17] = -HUGE_VALF;
    real[40] = NAN;
    views = {viewOf(line, DType::I32, {300}),
             viewOf(plane, DType::I64, {12, 20}),
             viewOf(real, DType::F32, {90})};
    captures = {{"line", DType::I32, 1, {}, std::nullopt},
                {"plane", DType::I64, 2, {}, std::nullopt},
                {"real", DType::F32, 1, {}, std::nullopt}};
  }
  std::vector<int32_t> line;
  std::vector<int64_t> plane;
  std::vector<float> real;
  std::vector<TensorView> views;
  std::vector<Capture> captures;
};

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
      Generator(random, score ? RegionKind::Score : RegionKind::Mask)
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
    Region region = Generator(random, RegionKind::Score).make(false);
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
