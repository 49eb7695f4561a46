//===- MaskAnalysisTest.cpp - Sound, and exact where masks are affine -----===//
#include "AnalysisTestSupport.h"

#include "gtest/gtest.h"

using namespace fovea;
using namespace fovea::test;
using K = NodeKind;

namespace {

RegionSizes sizesOf(int64_t m, int64_t n) {
  RegionSizes sizes;
  sizes.B = sizes.H = sizes.Hk = 2;
  sizes.M = m;
  sizes.N = n;
  return sizes;
}

RegionEnvironment environmentOf(llvm::ArrayRef<TensorView> captures,
                                const RegionSizes &sizes) {
  RegionEnvironment environment;
  environment.captures = captures;
  environment.sizes = sizes;
  return environment;
}

TileClass trueClass(Oracle &oracle, int64_t b, int64_t h, Interval q,
                    Interval kv) {
  bool on = false, off = false;
  for (int64_t m = q.low; m <= q.high; ++m)
    for (int64_t n = kv.low; n <= kv.high; ++n)
      (oracle.isVisible(b, h, m, n) ? on : off) = true;
  return on && off ? TileClass::Partial
         : on      ? TileClass::Full
                   : TileClass::Empty;
}

/// Every tile of 0 … length - 1 has its exact class.
void expectExact(const Program &program, llvm::ArrayRef<TensorView> captures,
                 int64_t length, int64_t tileQ, int64_t tileKV,
                 bool isAffine = true) {
  RegionSizes sizes = sizesOf(length, length);
  MaskAnalysis analysis(program, environmentOf(captures, sizes));
  Oracle oracle(program, *analysis.getRegion(), analysis.isOfScore(), captures,
                sizes);
  for (int64_t h : {0, 1}) {
    analysis.enter(1, h);
    EXPECT_EQ(analysis.isExact(), isAffine);
    for (int64_t m = 0; m + tileQ <= length; m += tileQ)
      for (int64_t n = 0; n + tileKV <= length; n += tileKV) {
        Interval q{m, m + tileQ - 1}, kv{n, n + tileKV - 1};
        ASSERT_EQ(int(analysis.classify({q, kv})),
                  int(trueClass(oracle, 1, h, q, kv)))
            << "head " << h << " tile at " << m << ", " << n;
      }
  }
}

/// Both keys of every row and the classes.
void expectRows(const Program &program, int64_t length) {
  RegionSizes sizes = sizesOf(length, length);
  MaskAnalysis analysis(program, environmentOf({}, sizes));
  Oracle oracle(program, *analysis.getRegion(), false, {}, sizes);
  analysis.enter(0, 1);
  ASSERT_NE(analysis.affine(), nullptr);
  ASSERT_TRUE(analysis.affine()->isIntervals());
  for (int64_t q = 0; q < length; ++q) {
    auto keys = analysis.affine()->keysOf(q);
    ASSERT_TRUE(keys.has_value());
    for (int64_t kv = 0; kv < length; ++kv) {
      bool inside =
          llvm::any_of(*keys, [&](Interval part) { return part.contains(kv); });
      ASSERT_EQ(inside, oracle.isVisible(0, 1, q, kv)) << q << " " << kv;
    }
  }
}

Program sinkWindow(int64_t sinks, int64_t window) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned near = b.op(K::ILt, {b.op(K::ISub, {q, kv}), b.constant(window)});
  unsigned seen = b.op(K::BOr, {b.op(K::ILt, {kv, b.constant(sinks)}), near});
  Program program;
  program.mask = b.finish(b.op(K::BAnd, {b.op(K::IGe, {q, kv}), seen}));
  return program;
}

TEST(AffineMask, SinksAndWindow) {
  expectExact(sinkWindow(5, 19), {}, 128, 8, 8);
  expectExact(sinkWindow(5, 19), {}, 120, 7, 11);
  expectRows(sinkWindow(5, 19), 100);
}

/// q >= kv and kv >= 45 and q <= 40: no condition alone is empty on tiles round
/// the corner, all together are.
TEST(AffineMask, ConditionsTogether) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned a = b.op(K::IGe, {q, kv});
  unsigned c = b.op(K::IGe, {kv, b.constant(45)});
  unsigned d = b.op(K::ILe, {q, b.constant(40)});
  Program program;
  program.mask = b.finish(b.op(K::BAnd, {b.op(K::BAnd, {a, c}), d}));
  expectExact(program, {}, 128, 64, 64);
  MaskAnalysis analysis(program, environmentOf({}, sizesOf(128, 128)));
  analysis.enter(0, 0);
  MaskRectangle corner{{0, 63}, {0, 63}};
  EXPECT_EQ(analysis.classifyByBounds(corner), TileClass::Partial);
  EXPECT_EQ(analysis.classify(corner), TileClass::Empty);
}

TEST(AffineMask, ChunksAreIntervals) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv"), c = b.constant(24);
  unsigned same =
      b.op(K::IEq, {b.op(K::FloorDiv, {q, c}), b.op(K::FloorDiv, {kv, c})});
  Program program;
  program.mask = b.finish(b.op(K::BAnd, {b.op(K::IGe, {q, kv}), same}));
  expectExact(program, {}, 144, 16, 9);
  expectRows(program, 100);
}

TEST(AffineMask, Dilation) {
  Builder b;
  unsigned d = b.op(K::ISub, {b.arg("q"), b.arg("kv")});
  unsigned near = b.op(K::ILe, {b.op(K::IAbs, {d}), b.constant(30)});
  unsigned step =
      b.op(K::IEq, {b.op(K::Mod, {d, b.constant(7)}), b.constant(0)});
  Program program;
  program.mask = b.finish(b.op(K::BAnd, {near, step}));
  expectExact(program, {}, 96, 3, 4); // smaller than the step
  MaskAnalysis analysis(program, environmentOf({}, sizesOf(96, 96)));
  analysis.enter(0, 0);
  EXPECT_EQ(analysis.method(), MaskMethod::Polyhedra);
  EXPECT_FALSE(analysis.affine()->keysOf(5).has_value());
}

/// start = clamp(q - K / 2, 0, L - K); start <= kv < start + K.
unsigned inWindow(Builder &b, unsigned q, unsigned kv, int64_t length,
                  int64_t kernel) {
  unsigned start = b.op(K::ISub, {q, b.constant(kernel / 2)});
  start = b.op(K::IMin, {b.op(K::IMax, {start, b.constant(0)}),
                         b.constant(length - kernel)});
  unsigned end = b.op(K::IAdd, {start, b.constant(kernel)});
  return b.op(K::BAnd, {b.op(K::IGe, {kv, start}), b.op(K::ILt, {kv, end})});
}

TEST(AffineMask, Neighbourhoods) {
  Builder one;
  Program line;
  line.mask = one.finish(inWindow(one, one.arg("q"), one.arg("kv"), 100, 17));
  expectExact(line, {}, 100, 10, 10);
  expectRows(line, 100);
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv"), w = b.constant(12);
  unsigned x = inWindow(b, b.op(K::Mod, {q, w}), b.op(K::Mod, {kv, w}), 12, 5);
  unsigned y =
      inWindow(b, b.op(K::FloorDiv, {q, w}), b.op(K::FloorDiv, {kv, w}), 12, 3);
  Program plane;
  plane.mask = b.finish(b.op(K::BAnd, {x, y}));
  expectExact(plane, {}, 144, 16, 16);
  expectExact(plane, {}, 144, 5, 7);
}

TEST(AffineMask, PerHeadAndSelected) {
  std::vector<int32_t> width = {9, 40}, kind = {0, 1};
  Program program;
  program.captures = {{"width", DType::I32, 1, {}, std::nullopt},
                      {"kind", DType::I32, 1, {}, std::nullopt}};
  std::vector<TensorView> views = {viewOf(width, DType::I32, {2}),
                                   viewOf(kind, DType::I32, {2})};
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv"), h = b.arg("h");
  unsigned near =
      b.op(K::ILt, {b.op(K::ISub, {q, kv}), b.read(0, ValueType::I64, {h})});
  unsigned isSink =
      b.op(K::IEq, {b.read(1, ValueType::I64, {h}), b.constant(1)});
  unsigned sink = b.op(K::ILt, {kv, b.constant(4)});
  unsigned chosen = b.op(K::Select, {isSink, b.op(K::BOr, {sink, near}), near});
  program.mask = b.finish(b.op(K::BAnd, {b.op(K::IGe, {q, kv}), chosen}));
  expectExact(program, views, 128, 16, 16);
}

TEST(AffineMask, ScoresThatReturnMinusInfinity) {
  Builder b(RegionKind::Score);
  unsigned s = b.arg("s"), q = b.arg("q"), kv = b.arg("kv");
  unsigned bias =
      b.op(K::Select, {b.op(K::IGe, {q, kv}), b.real(0), b.real(-HUGE_VAL)});
  unsigned far = b.op(K::IGt, {b.op(K::ISub, {q, kv}), b.constant(20)});
  Program program;
  program.score = b.finish(
      b.op(K::Select, {far, b.real(-HUGE_VAL), b.op(K::FAdd, {s, bias})}));
  expectExact(program, {}, 96, 8, 8);
}

/// doc[q] == doc[kv] is not affine; its bounds are exact for sorted documents.
TEST(Bounds, Documents) {
  std::vector<int32_t> doc(128);
  for (size_t i = 0; i < doc.size(); ++i)
    doc[i] = int32_t(i / 24);
  Program program;
  program.captures = {{"doc", DType::I32, 1, {}, std::nullopt}};
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  program.mask = b.finish(b.op(K::IEq, {b.read(0, ValueType::I64, {q}),
                                        b.read(0, ValueType::I64, {kv})}));
  TensorView view = viewOf(doc, DType::I32, {128});
  expectExact(program, view, 128, 8, 8, /*isAffine=*/false);
}

TEST(AffineMask, LimitsFallBack) {
  AffineLimits limits;
  limits.conjunctions = 1;
  Program program = sinkWindow(5, 19);
  MaskAnalysis analysis(program, environmentOf({}, sizesOf(128, 128)), limits);
  analysis.enter(0, 0);
  EXPECT_EQ(analysis.affine(), nullptr);
  EXPECT_EQ(analysis.method(), MaskMethod::Bounds);
  EXPECT_EQ(analysis.classify({{64, 71}, {0, 127}}), TileClass::Partial);
  limits = AffineLimits();
  limits.buildSteps = 3;
  MaskAnalysis longer(program, environmentOf({}, sizesOf(128, 128)), limits);
  longer.enter(0, 0);
  EXPECT_EQ(longer.affine(), nullptr);
}

/// What is found depends on how much was asked, never on the machine.
TEST(AffineMask, AnswersAreCounted) {
  AffineLimits limits;
  limits.answerSteps = 1000;
  Program program = sinkWindow(5, 19);
  auto countAnswers = [&] {
    MaskAnalysis analysis(program, environmentOf({}, sizesOf(128, 128)),
                          limits);
    analysis.enter(0, 0);
    unsigned answers = 0;
    while (answers < 1000 && analysis.affine()->classify({{64, 71}, {64, 71}}))
      ++answers;
    return answers;
  };
  unsigned answers = countAnswers();
  EXPECT_GT(answers, 0u);
  EXPECT_LT(answers, 100u);
  EXPECT_EQ(countAnswers(), answers);
}

TEST(AffineMask, ClosedFormsInWords) {
  Program program = sinkWindow(4, 64);
  MaskAnalysis analysis(program, environmentOf({}, sizesOf(128, 128)));
  analysis.enter(0, 0);
  std::string text;
  llvm::raw_string_ostream os(text);
  analysis.affine()->print(os);
  EXPECT_EQ(text, "kv <= q, kv <= 3\nkv <= q, kv >= q - 63\n");
}

TEST(MaskAnalysis, TablesAreNamed) {
  Program program;
  program.captures = {{"table", DType::I1, 2, {}, std::nullopt}};
  Builder b;
  program.mask = b.finish(b.read(0, ValueType::I1, {b.arg("q"), b.arg("kv")}));
  std::vector<uint8_t> values(64 * 64, 1);
  TensorView view = viewOf(values, DType::I1, {64, 64});
  MaskAnalysis analysis(program, environmentOf(view, sizesOf(64, 64)));
  analysis.enter(0, 0);
  EXPECT_EQ(analysis.method(), MaskMethod::Table);
  EXPECT_EQ(analysis.classify({{0, 63}, {0, 63}}), TileClass::Partial);
  EXPECT_EQ(analysis.classify({{0, 63}, {7, 7}}), TileClass::Full); // a line
  EXPECT_EQ(MaskAnalysis(Program(), {}).method(), MaskMethod::Everything);
}

TEST(MaskAnalysis, DeepRegionsNeedNoStack) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv"), sum = q;
  unsigned condition = b.op(K::IGe, {q, kv});
  for (int i = 0; i < 200000; ++i) {
    sum = b.op(i % 2 ? K::IMax : K::IMin, {sum, kv});
    condition = b.op(K::BXor, {condition, b.op(K::ILt, {sum, q})});
  }
  Program program;
  program.mask = b.finish(condition);
  MaskAnalysis analysis(program, environmentOf({}, sizesOf(64, 64)));
  analysis.enter(0, 0);
  EXPECT_EQ(analysis.affine(), nullptr);
  EXPECT_EQ(analysis.classify({{3, 3}, {5, 5}}), TileClass::Empty);
}

} // namespace
