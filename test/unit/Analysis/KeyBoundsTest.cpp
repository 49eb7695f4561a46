//===- KeyBoundsTest.cpp - Closed forms against points --------------------===//
#include "AnalysisTestSupport.h"

#include "fovea/Frontend/Attn.h"
#include "gtest/gtest.h"

using namespace fovea;
using namespace fovea::test;

namespace {

constexpr int64_t size = 12;

/// A mask of q, kv and the numbers p and w.
class MaskCase {
public:
  MaskCase(llvm::StringRef mask, int64_t p, int64_t w) : p{p}, w{w} {
    std::string text =
        "attention t(p: i64[], w: i64[]) {\n  mask = " + mask.str() + "\n}\n";
    auto parsed = parseAttn(text, "t.attn", {}, llvm::nulls());
    EXPECT_TRUE(llvm::succeeded(parsed)) << text;
    program = parsed->front();
    for (const Capture &capture : program.captures)
      views.push_back(
          viewOf(capture.name == "p" ? this->p : this->w, DType::I64, {}));
    sizes.B = sizes.H = sizes.Hk = 1;
    sizes.M = sizes.N = size;
  }

  Program program;
  std::vector<int64_t> p, w;
  std::vector<TensorView> views;
  RegionSizes sizes;
};

/// Checks soundness for all small row ranges; returns how many of the keys
/// inside the parts are seen by no row at all, over all of them.
int64_t checkBounds(MaskCase &mask, bool isClosedForm) {
  Oracle oracle(mask.program, *mask.program.mask, false, mask.views,
                mask.sizes);
  EXPECT_EQ(findKeyBounds(mask.program, *mask.program.mask, KeyDomain::of(true))
                .isClosedForm,
            isClosedForm);
  BoundsCheck check(mask.program, mask.views, mask.sizes, /*narrow=*/true);
  int64_t wasted = 0;
  for (int64_t first = 0; first < size; ++first)
    for (int64_t last = first; last < size; ++last) {
      BoundsCheck::Result result =
          check.run(oracle, 0, 0, {first, last}, {1, size - 1});
      EXPECT_EQ(result.error, "");
      wasted += result.wasted;
    }
  return wasted;
}

struct Example {
  const char *mask;
  bool isClosedForm = true;
  /// Whether the parts hold no key that no row sees.
  bool isTight = true;
};

TEST(KeyBounds, SoundAndTight) {
  const Example examples[] = {
      {"q >= kv"},
      {"q < kv"},
      {"q == kv"},
      {"not (q < kv)"},
      {"q - kv < w"},
      {"abs(q - kv) <= w"},
      {"abs(kv - q) > w", true, false},
      // prefix or causal
      {"kv < p or q >= kv"},
      // sinks and window
      {"q >= kv and (kv < p or q - kv < w)"},
      // chunks
      {"q // 4 == kv // 4"},
      {"(kv - int(p * 1.0)) // 3 >= q // 3", false, false},
      {"(kv - clamp(p, -50, 200)) // 3 >= q // 3"},
      {"kv // 2 // 3 <= q // 6"},
      // coefficients
      {"kv * 3 - clamp(w, -50, 200) <= q"},
      {"-2 * kv + clamp(w, -50, 200) <= q"},
      {"maximum(q, p) >= kv"},
      {"minimum(q, kv) > p"},
      // a window that is moved at the border
      {"clamp(q - 2, 0, N - 5) <= kv and kv < clamp(q - 2, 0, N - 5) + 5"},
      // rows alone, and numbers alone
      {"q > p"},
      {"p > w"},
      {"(q >= kv) if p > w else (kv >= w)", true, false},
      {"(q >= kv) if q < p else (kv >= w)", false, false},
      // all keys or a window, by a number
      {"(p >= w or q - kv < w) and q >= kv"},
      // always so on the positions of a launch
      {"kv >= 0"},
      {"kv + q >= 0 and q >= kv"},
      // not understood: inside the bounds of the rest
      {"(q - kv) % 3 == 0 and q >= kv", false, false},
      {"q * kv <= w", false, false},
      // of the parts between the gaps some are empty, at any place
      {"q - kv != 3 and kv != clamp(p, -50, 200) and (q - kv) % 2 == 0", false,
       false},
  };
  for (const Example &example : examples)
    for (auto [p, w] : {std::pair<int64_t, int64_t>{4, 3},
                        {0, 1},
                        {9, 7},
                        {-3, -2},
                        {100, 100}}) {
      SCOPED_TRACE(std::string(example.mask) + ", p = " + std::to_string(p) +
                   ", w = " + std::to_string(w));
      MaskCase mask(example.mask, p, w);
      int64_t wasted = checkBounds(mask, example.isClosedForm);
      if (example.isTight && w >= 0)
        EXPECT_EQ(wasted, 0);
    }
}

/// Sums that wrap are not taken for sums (S8).
TEST(KeyBounds, WrappingSums) {
  constexpr int64_t big = INT64_MAX;
  for (int64_t w : {big, big - 5, -big, -big - 1, int64_t(1) << 62})
    for (const char *text : {"q - kv <= w", "q - kv >= w"}) {
      MaskCase mask(text, 0, w);
      SCOPED_TRACE(w);
      EXPECT_EQ(checkBounds(mask, true), 0);
    }
  // Beyond what sums hold, all keys are asked.
  for (int64_t w : {big, big - 5, -big - 1, -big + 7, int64_t(1) << 58,
                    -(int64_t(1) << 58), int64_t(3), int64_t(-3)})
    for (const char *text :
         {"kv + w <= q", "kv >= q - w", "kv - w - p < q", "-w - kv > 2 * q",
          "kv >= q - w and kv < q + w", "kv < p or kv >= q - w",
          "not (q - w == kv)", "abs(kv) <= q - w"}) {
      MaskCase mask(text, 4, w);
      SCOPED_TRACE(std::string(text) + ", w = " + std::to_string(w));
      int64_t wasted = checkBounds(mask, true);
      if (w == 3)
        EXPECT_EQ(wasted, 0);
    }
  for (const char *text :
       {"kv * w <= q", "(kv - w) // 2 <= q", "maximum(kv, q - w) > p"}) {
    MaskCase mask(text, 0, big);
    checkBounds(mask, false);
  }
  MaskCase constants("q - kv <= 9223372036854775807", 0, 0);
  EXPECT_EQ(checkBounds(constants, true), 0);
}

/// What keeps a mask from a closed form, in words.
TEST(KeyBounds, Reasons) {
  auto reason = [](llvm::StringRef body) {
    std::string text = ("attention t(doc: i32[S], table: i32[S, T]) {\n  mask "
                        "= " +
                        body + "\n}\n")
                           .str();
    auto parsed = parseAttn(text, "t.attn", {}, llvm::nulls());
    EXPECT_TRUE(llvm::succeeded(parsed));
    KeyBounds bounds = findKeyBounds(parsed->front(), *parsed->front().mask,
                                     KeyDomain::of(true));
    EXPECT_FALSE(bounds.isClosedForm);
    return bounds.reason;
  };
  EXPECT_EQ(reason("doc[q] == doc[kv]"),
            "the mask reads a capture at key positions");
  EXPECT_EQ(reason("doc[q] <= kv"),
            "the mask reads a capture at query positions");
  EXPECT_EQ(reason("table[q, kv] == 1"),
            "the mask reads a capture at (query, key) positions");
  EXPECT_EQ(reason("(q - kv) % 3 == 0"), "the mask divides key positions");
  EXPECT_EQ(reason("q * kv <= 5"),
            "the mask has no closed form of few intervals a row");
}

/// A mask of thousands of operations costs little on every tile, and still
/// keeps what one operand of a conjunction says.
TEST(KeyBounds, LargeMasksStaySmall) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned mask = b.op(NodeKind::IGe, {q, kv});
  for (int64_t i = 0; i < 3000; ++i) {
    unsigned other = b.op(
        NodeKind::INe, {b.op(NodeKind::ISub, {q, kv}), b.constant(1000 + i)});
    mask = b.op(NodeKind::BAnd, {mask, other});
  }
  Program program;
  program.mask = b.finish(mask);
  KeyBounds bounds = findKeyBounds(program, *program.mask, KeyDomain::of(true));
  EXPECT_FALSE(bounds.isClosedForm);
  EXPECT_LT(bounds.expressions.list().size(), 600u);
  ASSERT_EQ(bounds.parts.size(), 1u);
  std::vector<int64_t> values =
      evaluate(bounds.expressions, [](const BoundExpression &leaf) {
        return leaf.kind == BoundExpression::FirstKey ? 0
               : leaf.kind == BoundExpression::EndKey ? 5000
                                                      : 7;
      });
  EXPECT_EQ(values[bounds.parts[0].end], 8);
}

TEST(KeyBounds, FarPositionsHaveClosedFormsToo) {
  constexpr int64_t far = int64_t(1) << 56;
  for (const char *text :
       {"0 <= q - kv < w", "kv < p or q >= kv", "abs(q - kv) <= w",
        "q >= kv and (kv < 4 or q - kv < w)"}) {
    SCOPED_TRACE(text);
    MaskCase mask(text, 3, 4);
    Oracle oracle(mask.program, *mask.program.mask, false, mask.views,
                  mask.sizes);
    BoundsCheck check(mask.program, mask.views, mask.sizes, /*narrow=*/false);
    EXPECT_TRUE(check.isClosedForm());
    for (int64_t at : {-far, -int64_t(20), far})
      for (int64_t shift : {-5, 0, 5}) {
        BoundsCheck::Result result = check.run(oracle, 0, 0, {at, at + 9},
                                               {at + shift, at + shift + 30});
        EXPECT_EQ(result.error, "");
      }
  }
}

} // namespace
