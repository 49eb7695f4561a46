//===- AttnInterpreterTest.cpp - S1 to S13, one row at a time -------------===//

#include "TestLaunch.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Runtime/Error.h"

#include <functional>
#include <limits>

using namespace fovea;
using namespace fovea::test;

namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();

void run(TestLaunch &launch) {
  llvm::Error error = interpretProgram(launch.program, launch.view);
  EXPECT_FALSE(static_cast<bool>(error));
  if (error)
    llvm::errs() << llvm::toString(std::move(error)) << "\n";
}

/// A softmax row written out: keys where `score` is not -inf.
void expectSoftmax(
    TestLaunch &launch,
    const std::function<double(int64_t, int64_t, int64_t, int64_t)> &score) {
  run(launch);
  const Shape &shape = launch.shape;
  for (int64_t b = 0; b < shape.B; ++b)
    for (int64_t h = 0; h < shape.H; ++h)
      for (int64_t m = 0; m < shape.M; ++m) {
        double sum = 0;
        std::vector<double> out(shape.E, 0);
        for (int64_t n = 0; n < shape.N; ++n) {
          double weight = std::exp(score(b, h, m, n));
          sum += weight;
          for (int64_t e = 0; e < shape.E; ++e)
            out[e] += weight * launch.value(b, h, n, e);
        }
        for (int64_t e = 0; e < shape.E; ++e)
          EXPECT_NEAR(launch.out(b, h, m, e), sum ? out[e] / sum : 0, 1e-13);
        if (sum)
          EXPECT_NEAR(launch.lse(b, h, m), std::log(sum), 1e-13);
        else
          EXPECT_EQ(launch.lse(b, h, m), -infinity);
      }
}

TEST(AttnInterpreter, PlainSoftmaxWithGroupedHeads_S1_S5) {
  TestLaunch launch("attention f { score = s }", {2, 4, 2, 5, 300, 4, 3});
  expectSoftmax(launch, [&](auto... at) { return launch.score(at...); });
}

TEST(AttnInterpreter, MaskAfterTheScore_S2) {
  TestLaunch launch("attention f {\n score = s - 0.5 * (q - kv)\n"
                    " mask = q >= kv\n}");
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    return m >= n ? launch.score(b, h, m, n) - 0.5 * double(m - n) : -infinity;
  });
}

TEST(AttnInterpreter, AScoreOfMinusInfinityIsInvisible_S2) {
  TestLaunch launch("attention f { score = s if kv != 3 else -inf }");
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    return n != 3 ? launch.score(b, h, m, n) : -infinity;
  });
}

TEST(AttnInterpreter, DeadRowsAreZero_S3) {
  TestLaunch launch("attention f { mask = q != 2 }");
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    return m != 2 ? launch.score(b, h, m, n) : -infinity;
  });
  std::vector<uint8_t> dead;
  EXPECT_FALSE(static_cast<bool>(interpretProgram(launch.program, launch.view,
                                                  {Arithmetic::Exact, &dead})));
  EXPECT_EQ(dead, (std::vector<uint8_t>{0, 0, 1, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(AttnInterpreter, OffsetsAndLengths_S6) {
  TestLaunch launch("attention f { mask = q >= kv }", {2, 2, 1, 5, 9, 4, 3});
  launch.view.qOffset = {3, 0};
  launch.view.kvOffset = {0, 1};
  launch.view.qLengths = {5, 3};
  launch.view.kvLengths = {4, 9};
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    bool seen = m < launch.view.qLengths[b] && n < launch.view.kvLengths[b] &&
                m + launch.view.qOffset[b] >= n + launch.view.kvOffset[b];
    return seen ? launch.score(b, h, m, n) : -infinity;
  });
}

TEST(AttnInterpreter, CapturesAreClamped_S7) {
  // Row 0 reads index -5 and 9 for keys that it does not see: no error.
  TestLaunch launch(
      "attention f(bias: f32[R]) {\n score = s + bias[5 * (q - kv)]\n"
      " mask = q == kv\n}");
  launch.view.captures = {launch.floats({0.25, 7})};
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    return m == n ? launch.score(b, h, m, n) + 0.25 : -infinity;
  });
}

TEST(AttnInterpreter, ABadIndexOfAVisiblePairIsAnError_S7) {
  TestLaunch launch("attention f(bias: f32[R]) {\n score = s + bias[q + kv]\n"
                    " mask = q >= kv\n}");
  launch.view.captures = {launch.floats({1, 2, 3, 4})};
  auto [status, text] =
      takeStatus(interpretProgram(launch.program, launch.view));
  EXPECT_EQ(status, FOVEA_INDEX_ERROR);
  EXPECT_EQ(text, "index 4 of capture 'bias' (dim 0) is out of range [0, 4) at "
                  "b=0, h=0, q=2, kv=2");
}

TEST(AttnInterpreter, ABadIndexOfTheMaskItself_S7) {
  TestLaunch launch("attention f(doc: i32[R]) { mask = doc[q] == doc[kv] }");
  launch.view.captures = {launch.ints({1, 1, 1, 1, 1, 1})};
  launch.view.qOffset = {2};
  auto [status, text] =
      takeStatus(interpretProgram(launch.program, launch.view));
  EXPECT_EQ(status, FOVEA_INDEX_ERROR);
  EXPECT_EQ(text, "index 6 of capture 'doc' (dim 0) is out of range [0, 6) at "
                  "b=0, h=0, q=2, kv=6");
}

TEST(AttnInterpreter, TotalIntegers_S8) {
  TestLaunch launch("attention f {\n let zero = q - q\n"
                    " score = s + q // zero + q % zero + (q << 64) + ((-1 - q) "
                    ">> 99) + (kv - 9) // 4\n}");
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    double quotient = std::floor(double(n - 9) / 4);
    return launch.score(b, h, m, n) - 1 + quotient;
  });
}

TEST(AttnInterpreter, SinkIsASeed_S9) {
  TestLaunch launch("attention f(sigma: f32[H]) {\n mask = q > kv\n"
                    " normalizer = sink(sigma)\n}");
  launch.view.captures = {launch.floats({0.5, -1})};
  run(launch);
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t m = 0; m < 5; ++m) {
      double sink = std::exp(h ? -1.0 : 0.5), sum = sink, out = 0;
      for (int64_t n = 0; n < m; ++n) {
        double weight = std::exp(launch.score(0, h, m, n));
        sum += weight;
        out += weight * launch.value(0, h, n, 1);
      }
      EXPECT_NEAR(launch.out(0, h, m, 1), out / sum, 1e-13);
      EXPECT_NEAR(launch.lse(0, h, m), std::log(sum), 1e-13);
    }
}

/// Beside a sink at +inf no key weighs anything, one at -inf is none to rows
/// with a key, NaN takes all of them; a row without a key gives its value.
TEST(AttnInterpreter, SinksThatAreNotFinite_S3_S9) {
  TestLaunch launch(
      "attention f(sigma: f32[H], held: f32[H]) {\n mask = q > kv\n"
      " normalizer = sink(sigma[h], held[h])\n}",
      {1, 3, 1, 5, 7, 4, 3});
  launch.view.captures = {launch.floats({infinity, -infinity, NAN}),
                          launch.floats({2, 3, 4})};
  run(launch);
  for (int64_t m = 0; m < 5; ++m) {
    EXPECT_EQ(launch.out(0, 0, m, 1), 2);
    EXPECT_EQ(launch.lse(0, 0, m), infinity);
    EXPECT_TRUE(std::isnan(launch.lse(0, 2, m)));
    if (m > 0)
      EXPECT_TRUE(std::isnan(launch.out(0, 2, m, 1)));
  }
  EXPECT_EQ(launch.out(0, 1, 0, 1), 3);
  EXPECT_EQ(launch.out(0, 2, 0, 1), 4);
  EXPECT_EQ(launch.lse(0, 1, 0), -infinity);
  EXPECT_NEAR(launch.out(0, 1, 1, 1), launch.value(0, 1, 0, 1), 1e-13);
  EXPECT_NEAR(launch.lse(0, 1, 1), launch.score(0, 1, 1, 0), 1e-13);
}

/// Nothing is weighed where l = 0, whatever t is.
TEST(AttnInterpreter, AnInfiniteSeedWithoutWeight_S4) {
  TestLaunch launch("attention f {\n normalizer {\n stat = s\n"
                    "  weight = exp(s - t)\n denom = exp(s - t)\n"
                    "  seed = (inf, 0)\n }\n}");
  run(launch);
  EXPECT_EQ(launch.out(0, 0, 0, 0), 0);
  EXPECT_EQ(launch.lse(0, 0, 0), -infinity);
}

TEST(AttnInterpreter, SeedValueFinishAndFactor_S9) {
  TestLaunch launch(R"(
attention urpe(C: f32[R], sigma: f32[H], vsig: f32[H, E], gain: f32[E]) {
  mask = q >= kv and q != 0
  normalizer {
    let p  = exp(s - t)
    stat   = s
    weight = p * C[q - kv + N]
    denom  = p
    seed   = (sigma[h], 1, vsig[h, e])
    finish = gain[e] * o / l
  }
})");
  std::vector<double> table(14);
  for (int i = 0; i < 14; ++i)
    table[i] = std::sin(i);
  launch.view.captures = {launch.floats(table, DType::F64),
                          launch.floats({0.5, -1}), launch.random({2, 3}),
                          launch.floats({1, 2, 3})};
  run(launch);
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t m = 0; m < 5; ++m)
      for (int64_t e = 0; e < 3; ++e) {
        double sink = std::exp(h ? -1.0 : 0.5), sum = sink;
        double out = sink * launch.at(launch.view.captures[2], {h, e});
        for (int64_t n = 0; n <= m && m; ++n) {
          double weight = std::exp(launch.score(0, h, m, n));
          sum += weight;
          out += weight * table[m - n + 7] * launch.value(0, h, n, e);
        }
        EXPECT_NEAR(launch.out(0, h, m, e), double(e + 1) * out / sum, 1e-12);
      }
}

/// out of a row that sees nothing, where the parts give this normalizer.
double deadRow(llvm::StringRef parts) {
  TestLaunch launch(("attention f {\n mask = q > 1000\n normalizer {\n"
                     "  stat = s\n  weight = exp(s - t)\n" +
                     parts + " }\n}")
                        .str());
  if (!launch.program.normalizer->denom)
    launch.view.lse.reset();
  run(launch);
  return launch.out(0, 1, 2, 1);
}

TEST(AttnInterpreter, DeadRowsOfAUsersFinish_S3_S9) {
  std::string denom = "  denom = exp(s - t)\n";
  // Where l is 0 the result is, whatever finish is.
  EXPECT_EQ(deadRow(denom + "  finish = (o + 3) / (l + 1)\n"), 0);
  EXPECT_EQ(deadRow(denom + "  finish = 2 * o / l\n"), 0);
  // A seed's l is not 0, and without a denominator there is none.
  EXPECT_EQ(
      deadRow(denom + "  seed = (0, 1, 5)\n  finish = (o + 3) / (l + 1)\n"), 4);
  EXPECT_EQ(deadRow("  finish = o + 3\n"), 3);
}

TEST(AttnInterpreter, RowsWithoutWeightOfAUsersFinish_S9) {
  // They see keys, but the denominator is 0 all the same.
  TestLaunch launch("attention f {\n normalizer {\n  weight = 1.0\n"
                    "  denom = 0.0\n  finish = o + 3\n }\n}");
  run(launch);
  EXPECT_EQ(launch.out(0, 1, 2, 1), 0);
}

TEST(AttnInterpreter, MinimumAndMaximumOfZeros_S13) {
  // 1 / x tells -0 from +0; the zeros come from the data, not from constants.
  for (auto [text, want] :
       {std::pair("1 / maximum(o * 0, -(o * 0))", INFINITY),
        std::pair("1 / maximum(-(o * 0), o * 0)", INFINITY),
        std::pair("1 / minimum(o * 0, -(o * 0))", -INFINITY),
        std::pair("1 / minimum(-(o * 0), o * 0)", -INFINITY)}) {
    TestLaunch launch((llvm::Twine("attention f {\n normalizer {\n"
                                   "  weight = s\n  finish = ") +
                       text + "\n }\n}")
                          .str());
    launch.view.lse.reset();
    run(launch);
    for (int64_t e = 0; e < 3; ++e)
      EXPECT_EQ(launch.out(0, 1, 2, e), want) << text;
  }
}

TEST(AttnInterpreter, NoStatNoDenominator_S9) {
  TestLaunch launch("attention f {\n normalizer {\n  weight = s if s > 0 else "
                    "0\n }\n}");
  launch.view.lse.reset();
  run(launch);
  for (int64_t m = 0; m < 5; ++m) {
    double out = 0;
    for (int64_t n = 0; n < 7; ++n)
      out += std::max(0.0, launch.score(0, 1, m, n)) * launch.value(0, 1, n, 2);
    EXPECT_NEAR(launch.out(0, 1, m, 2), out, 1e-13);
  }
}

TEST(AttnInterpreter, NonFiniteInputsTouchOnlyWhoSeesThem_S11) {
  TestLaunch launch("attention f { mask = q >= kv }");
  launch.view.value.storeFloat(launch.view.value.offset({0, 0, 3, 0}),
                               std::nan(""));
  launch.view.value.storeFloat(launch.view.value.offset({0, 0, 4, 1}),
                               infinity);
  run(launch);
  for (int64_t m = 0; m < 5; ++m) {
    EXPECT_EQ(std::isnan(launch.out(0, 0, m, 0)), m >= 3);
    EXPECT_EQ(std::isinf(launch.out(0, 0, m, 1)), m >= 4);
    EXPECT_TRUE(std::isfinite(launch.out(0, 0, m, 2)));
  }
}

TEST(AttnInterpreter, EmptySizes_S12) {
  for (Shape shape : {Shape{0, 2, 1, 5, 7, 4, 3}, Shape{1, 2, 1, 0, 7, 4, 3},
                      Shape{1, 2, 1, 5, 0, 4, 3}, Shape{1, 2, 1, 5, 7, 4, 0}}) {
    TestLaunch launch("attention f { mask = q >= kv }", shape);
    expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
      return m >= n ? launch.score(b, h, m, n) : -infinity;
    });
  }
}

TEST(AttnInterpreter, BlockMaskClasses) {
  // Tiles of 2 x 3: empty, partial (asks the mask), full (does not).
  TestLaunch launch("attention f { mask = q >= kv }");
  TensorView classes = launch.tensor({1, 2, 3, 3}, DType::I8);
  const int8_t row[] = {1, 2, 0, 0, 1, 2, 2, 0, 1};
  for (int h = 0; h < 2; ++h)
    std::copy_n(row, 9, static_cast<int8_t *>(classes.data) + 9 * h);
  launch.view.blockClasses = classes;
  launch.view.blockQ = 2;
  launch.view.blockKV = 3;
  expectSoftmax(launch, [&](int64_t b, int64_t h, int64_t m, int64_t n) {
    int kind = row[m / 2 * 3 + n / 3];
    bool seen = kind == 2 || (kind == 1 && m >= n);
    return seen ? launch.score(b, h, m, n) : -infinity;
  });
}

TEST(AttnInterpreter, StridesAndTypes) {
  TestLaunch launch("attention f { mask = q >= kv }");
  // Keys backwards, values broadcast over the positions, results in bf16.
  TensorView &keys = launch.view.keys[0];
  keys.data = static_cast<double *>(keys.data) + 6 * keys.strides[2];
  keys.strides[2] = -keys.strides[2];
  launch.view.value.strides[2] = 0;
  launch.view.out = launch.tensor({1, 2, 5, 3}, DType::BF16);
  run(launch);
  for (int64_t e = 0; e < 3; ++e)
    EXPECT_EQ(launch.out(0, 1, 4, e),
              roundToType(launch.value(0, 1, 0, e), DType::BF16));
}

TEST(AttnInterpreter, CancelledLaunch) {
  TestLaunch launch("attention f { mask = q >= kv }", {1, 2, 1, 5000, 500});
  launch.view.shouldCancel = [](void *) { return 1; };
  auto [status, text] =
      takeStatus(interpretProgram(launch.program, launch.view));
  EXPECT_EQ(status, FOVEA_CANCELLED);
}
} // namespace
