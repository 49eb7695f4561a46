//===- PrintAttnTest.cpp - Programs to .attn text and back ----------------===//

#include "RandomProgram.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"

#include "gtest/gtest.h"

using namespace fovea;

namespace {

Program parse(llvm::StringRef text) {
  std::string messages;
  llvm::raw_string_ostream os(messages);
  llvm::FailureOr<std::vector<Program>> programs =
      parseAttn(text, "t.attn", {}, os);
  if (failed(programs) || programs->size() != 1) {
    ADD_FAILURE() << messages << "\n" << text.str();
    return Program();
  }
  return programs->front();
}

std::string print(const Program &program) {
  llvm::Expected<std::string> text = printAttn(program);
  if (text)
    return *text;
  ADD_FAILURE() << llvm::toString(text.takeError());
  return "";
}

std::string format(llvm::StringRef text) { return print(parse(text)); }

/// What the language keeps of a program.
std::string getKept(Program program) {
  program.dtype.reset();
  program.headDims.clear();
  program.valueDim.reset();
  program.returnLse = program.blockMask = false;
  if (program.normalizer)
    program.normalizer->name = "x";
  canonicalize(program);
  return canonicalKey(program);
}

bool readsExtents(const Program &program) {
  for (unsigned kind = 0; kind < numRegionKinds; ++kind)
    if (const Region *region =
            getRegion(program, static_cast<RegionKind>(kind)))
      for (const Node &node : region->nodes)
        if (node.kind == NodeKind::Extent)
          return true;
  return false;
}

TEST(PrintAttn, LawTextIsAFixedPoint) {
  const char *text = getenv("FOVEA_FUZZ_SEED");
  unsigned first = text ? static_cast<unsigned>(atoi(text)) : 1;
  unsigned compared = 0;
  for (unsigned seed = first; seed < first + 2000; ++seed) {
    SCOPED_TRACE("FOVEA_FUZZ_SEED=" + std::to_string(seed));
    Program program = RandomProgram(seed).make();
    std::string once = print(program);
    Program again = parse(once);
    ASSERT_EQ(print(again), once);
    // Extents come back as the sizes that dimensions are named after.
    if (readsExtents(program))
      continue;
    ++compared;
    ASSERT_EQ(getKept(again), getKept(program)) << once;
  }
  EXPECT_GT(compared, 300u);
}

TEST(PrintAttn, TheFormat) {
  EXPECT_EQ(format(R"(
##   Packed documents.
##
## Second paragraph.
attention alibi ( slope : f32 [ H ] , doc : i32[S] in 0..S, flag: i1[], W:i64=0x10, c: f = 3 ) {
  let dist = q-kv
  let once = slope[h]*2
  scale = 1/D
  score = (s) - once*dist + c # why
  mask = ((dist>=0)) and ( doc[q]==doc[kv] or flag) and 0<=dist and dist<W
})"),
            R"(##   Packed documents.
##
## Second paragraph.
attention alibi(slope: f32[H], doc: i32[S] in 0..S, flag: bool[], W: int = 16, c: float = 3.0) {
  let once = slope[h] * 2.0
  let dist = q - kv
  scale = 1.0 / D
  score = s - once * dist + c
  mask = dist >= 0 and (doc[q] == doc[kv] or flag) and 0 <= dist and dist < W
}
)");
  EXPECT_EQ(format("attention x { mask = 0 <= q - kv < 5 }"),
            "attention x {\n  mask = 0 <= q - kv < 5\n}\n");
  EXPECT_EQ(format("attention x {}"), "attention x {\n}\n");
}

TEST(PrintAttn, Expressions) {
  for (const char *expr : {"s - (q - kv)",
                           "(s + q) * 2.0",
                           "s ** 2.0 ** q",
                           "(s ** 2.0) ** 3.0",
                           "-s ** 2.0",
                           "(-s) ** 2.0",
                           "s + -(1.0)",
                           "s + -1.0",
                           "s + -inf",
                           "s + -(inf)",
                           "s + (q - kv) / (h + 1)",
                           "float(q) * kv + s",
                           "float(q) + kv",
                           "s + q",
                           "where(q < kv, s, q)",
                           "where(q < kv, float(q), kv)",
                           "s + float(5)",
                           "s % (q / kv)",
                           "s + int(s)",
                           "s + int(float(q))",
                           "abs(s) + abs(q)",
                           "floor(q)",
                           "s + float(q < kv)",
                           "s + int(q < kv) * 2",
                           "minimum(s, q)",
                           "s + minimum(q, kv)",
                           "s + (q // 2 % 3 << 1 & 7 | 8 ^ ~b)",
                           "s + int(q == kv)",
                           "float(q) ** kv",
                           "sigmoid(s) + gelu(q)",
                           "s + 1e-05",
                           "s + 1e+30",
                           "s + 0.1",
                           "log(h + 1)",
                           "float(q) - kv"}) {
    std::string text =
        std::string("attention x {\n  score = ") + expr + "\n}\n";
    EXPECT_EQ(format(text), text);
  }
  for (const char *expr :
       {"not q < kv", "not (q < kv and h == 0)",
        "q < kv and (h == 0 or b == 1)", "(q < kv) != (h == 0)",
        "not (q < kv) != (h == 0)", "true", "float(q) < kv", "(q & 3) == 0",
        "where(q < kv, h == 0, b == 0)", "q < kv < h", "q != -(kv)"}) {
    std::string text = std::string("attention x {\n  mask = ") + expr + "\n}\n";
    std::string expected = text;
    if (llvm::StringRef(expr) == "(q & 3) == 0")
      expected = "attention x {\n  mask = q & 3 == 0\n}\n";
    if (llvm::StringRef(expr) == "q != -(kv)")
      expected = "attention x {\n  mask = q != -kv\n}\n";
    EXPECT_EQ(format(text), expected);
  }
}

TEST(PrintAttn, Normalizers) {
  for (const char *clause : {"sink(a)", "sink(a, w)", "softmax_plus_one",
                             "signed", "sigmoid", "relu", "softplus", "mean"}) {
    std::string text =
        std::string("attention x(a: f32[H], w: f32[H, E]) {\n") +
        "  score = s + a[h] + w[h, 0]\n  normalizer = " + clause + "\n}\n";
    EXPECT_EQ(format(text), text);
  }
  EXPECT_EQ(
      format(
          R"(attention urpe(C: f32[R], sigma: f32[H], vsig: f32[H, E], gain: f32[E]) {
  mask = q >= kv
  normalizer {
    let p  = exp(s - t)
    seed   = (sigma[h], 1, vsig[h, e])
    finish = gain[e] * o / l
    stat   = s
    weight = p * C[q - kv + N]
    denom  = p
  }
})"),
      R"(attention urpe(C: f32[R], sigma: f32[H], vsig: f32[H, E], gain: f32[E]) {
  mask = q >= kv
  normalizer {
    let p = exp(s - t)
    stat = s
    weight = p * C[q - kv + N]
    denom = p
    seed = (sigma[h], 1.0, vsig[h, e])
    finish = gain[e] * o / l
  }
}
)");
}

TEST(PrintAttn, NamesAreMadeFit) {
  llvm::Expected<Program> program = parseProgram(
      R"({"fovea":1,"name":"<lambda>","captures":[)"
      R"({"name":"self.bias","dtype":"f32","rank":1},)"
      R"({"name":"q","dtype":"f32","rank":0},)"
      R"({"name":"self_bias","dtype":"f32","rank":0}],)"
      R"("normalizer":"softmax","mask":null,"score":{"args":)"
      R"(["s","b","h","q","kv"],"nodes":[["extent",0,0],["read",0,0],)"
      R"(["read",1],["read",2],["fadd",1,2],["fadd",4,3]],"results":[5]}})");
  ASSERT_TRUE(bool(program)) << llvm::toString(program.takeError());
  std::string text = print(*program);
  EXPECT_EQ(text, "attention _lambda_(self_bias: f32[self_bias_0], q_1: f32[], "
                  "self_bias_1: f32[]) {\n"
                  "  score = self_bias[self_bias_0] + q_1 + self_bias_1\n}\n");
  EXPECT_EQ(format(text), text);
}

TEST(PrintAttn, NaNHasNoSpelling) {
  llvm::Expected<Program> program = parseProgram(
      R"({"fovea":1,"name":"x","captures":[],"normalizer":"softmax",)"
      R"("mask":null,"score":{"args":["s","b","h","q","kv"],)"
      R"("nodes":[["const","f","nan"]],"results":[0]}})");
  ASSERT_TRUE(bool(program)) << llvm::toString(program.takeError());
  llvm::Expected<std::string> text = printAttn(*program);
  ASSERT_FALSE(bool(text));
  EXPECT_EQ(llvm::toString(text.takeError()),
            "variant 'x': a constant is NaN, which .attn cannot write");
}

} // namespace
