//===- ParseAttnTest.cpp - .attn text to programs -------------------------===//

#include "fovea/Frontend/Attn.h"

#include "gtest/gtest.h"

#include <random>

using namespace fovea;

namespace {

using Defines = std::vector<std::pair<std::string, std::string>>;

std::vector<Program> parse(llvm::StringRef text, std::string &messages,
                           const Defines &defines = {}) {
  llvm::raw_string_ostream os(messages);
  llvm::FailureOr<std::vector<Program>> programs =
      parseAttn(text, "t.attn", defines, os);
  return llvm::succeeded(programs) ? *programs : std::vector<Program>();
}

Program parseOne(llvm::StringRef text, const Defines &defines = {}) {
  std::string messages;
  std::vector<Program> programs = parse(text, messages, defines);
  EXPECT_EQ(messages, "");
  if (programs.size() != 1) {
    ADD_FAILURE() << "not one variant";
    return Program();
  }
  llvm::Expected<Program> again = parseProgram(printProgram(programs[0]));
  EXPECT_TRUE(bool(again)) << llvm::toString(again.takeError());
  return std::move(programs[0]);
}

/// The nodes of one region, without the rest.
std::string nodes(const Program &program, RegionKind kind) {
  const Region *region = getRegion(program, kind);
  if (!region)
    return "absent";
  Program only;
  only.name = "x";
  only.captures = program.captures;
  only.params = program.params;
  if (kind == RegionKind::Mask)
    only.mask = *region;
  else
    only.score = *region;
  std::string text = canonicalKey(only);
  size_t begin = text.find("\"nodes\":") + 8;
  return text.substr(begin, text.find(",\"results\"") - begin);
}

std::string score(llvm::StringRef expr) {
  return nodes(parseOne(("attention x { score = " + expr + "\n}").str()),
               RegionKind::Score);
}
std::string mask(llvm::StringRef expr) {
  return nodes(parseOne(("attention x { mask = " + expr + "\n}").str()),
               RegionKind::Mask);
}

std::string messagesOf(llvm::StringRef text, const Defines &defines = {}) {
  std::string messages;
  EXPECT_TRUE(parse(text, messages, defines).empty()) << text.str();
  return messages;
}

const char samples[] = R"(
## Packed documents with ALiBi (Press et al. 2022).
attention alibi_document(slope: f32[H], doc: i32[S] in 0..S) {
  let dist = q - kv
  score = s - slope[h] * dist
  mask  = dist >= 0 and doc[q] == doc[kv]
}
## Sliding window of W keys, one learned sink logit a head.
attention window_sink(sigma: f32[H], W: int = 4096) {
  mask       = 0 <= q - kv < W
  normalizer = sink(sigma)
}
## URPE with a value at the sink: weights carry a positional factor, the denominator does not.
attention urpe_sentinel(C: f32[R], sigma: f32[H], vsig: f32[H, E], gain: f32[E]) {
  mask = q >= kv
  normalizer {
    let p  = exp(s - t)
    stat   = s
    weight = p * C[q - kv + N]
    denom  = p
    seed   = (sigma[h], 1, vsig[h, e])
    finish = gain[e] * o / l
  }
}
)";

TEST(ParseAttn, TheContractsExamples) {
  std::string messages;
  std::vector<Program> programs = parse(samples, messages);
  EXPECT_EQ(messages, "");
  ASSERT_EQ(programs.size(), 3u);
  EXPECT_EQ(programs[0].doc,
            "Packed documents with ALiBi (Press et al. 2022).");
  EXPECT_EQ(nodes(programs[0], RegionKind::Score),
            R"([["arg","s"],["arg","h"],["read",0,1],["arg","q"],["arg","kv"],)"
            R"(["isub",3,4],["i64_to_f",5],["fmul",2,6],["fsub",0,7]])");
  EXPECT_EQ(nodes(programs[0], RegionKind::Mask),
            R"([["arg","q"],["arg","kv"],["isub",0,1],["const","i64",0],)"
            R"(["ige",2,3],["read",1,0],["read",1,1],["ieq",5,6],)"
            R"(["band",4,7]])");
  EXPECT_EQ(nodes(programs[1], RegionKind::Seed),
            R"([["arg","h"],["read",0,0],["const","f",)"
            R"("0x1.0000000000000p+0"]])");
  EXPECT_EQ(programs[1].normalizer->name, "sink");
  EXPECT_EQ(programs[1].normalizer->finishKind, FinishKind::OverL);
  EXPECT_EQ(programs[2].normalizer->finishKind, FinishKind::Custom);
  EXPECT_TRUE(programs[2].normalizer->seedValue.has_value());
}

TEST(ParseAttn, Defines) {
  std::string messages;
  std::vector<Program> programs = parse(samples, messages, {{"W", "64"}});
  ASSERT_EQ(programs.size(), 3u) << messages;
  EXPECT_EQ(programs[1].params[0].integer, 64);
}

TEST(ParseAttn, PythonsPrecedence) {
  EXPECT_EQ(score("s + q * kv"), score("s + (q * kv)"));
  EXPECT_EQ(score("s - q - kv"), score("(s - q) - kv"));
  EXPECT_EQ(score("-s ** 2"), score("-(s ** 2)"));
  EXPECT_EQ(score("s ** 2 ** 3"), score("s ** (2 ** 3)"));
  EXPECT_EQ(score("s ** -q"), score("s ** (-q)"));
  EXPECT_EQ(score("s + (q | kv & h << 1 + b)"),
            score("s + (q | (kv & (h << (1 + b))))"));
  EXPECT_EQ(score("s + (q | kv ^ h)"), score("s + (q | (kv ^ h))"));
  EXPECT_EQ(mask("q < kv or q > h and not q == b"),
            mask("(q < kv) or ((q > h) and (not (q == b)))"));
  EXPECT_EQ(mask("not q < kv"), mask("not (q < kv)"));
  EXPECT_EQ(mask("0 <= q - kv < 5"), mask("0 <= q - kv and q - kv < 5"));
  EXPECT_EQ(mask("q & 3 == kv"), mask("(q & 3) == kv"));
  EXPECT_EQ(score("s if q < kv else s + 1 if q > h else s + 2"),
            score("s if q < kv else (s + 1 if q > h else s + 2)"));
  EXPECT_EQ(score("s if q < kv else 0"), score("where(q < kv, s, 0.0)"));
}

TEST(ParseAttn, TypesFollowTheContract) {
  EXPECT_EQ(score("q / kv"),
            R"([["arg","q"],["i64_to_f",0],["arg","kv"],["i64_to_f",2],)"
            R"(["fdiv",1,3]])");
  EXPECT_EQ(score("s + 1"), score("s + 1.0"));
  EXPECT_EQ(score("s + (q < kv)"),
            R"([["arg","s"],["arg","q"],["arg","kv"],["ilt",1,2],)"
            R"(["i1_to_f",3],["fadd",0,4]])");
  EXPECT_EQ(score("s // 2"),
            R"([["arg","s"],["const","f","0x1.0000000000000p+1"],["fdiv",0,1],)"
            R"(["floor",2]])");
  EXPECT_EQ(mask("q ** 3 == kv"), mask("q * (q * q) == kv"));
  EXPECT_EQ(mask("q ** 0 == kv"), mask("1 == kv"));
  EXPECT_EQ(score("q ** -1"), score("pow(q, -1.0)"));
  EXPECT_EQ(mask("(q < kv) == (h < b)"),
            R"([["arg","q"],["arg","kv"],["ilt",0,1],["arg","h"],["arg","b"],)"
            R"(["ilt",3,4],["bxor",2,5],["bnot",6]])");
}

TEST(ParseAttn, FunctionsConstantsAndSizes) {
  Program program = parseOne(R"(
const C: float = 30
const K: int = 1 << 4
fn cap(x, c) = c * tanh(x / c)
fn bucket(d) = d if d < K else min2(K + int(log(d / K)), 31)
fn min2(a, b) = minimum(a, b)
attention t5(table: f32[H, R], n: i32[]) {
  scale = 1 / sqrt(D)
  score = cap(s + table[h, bucket(maximum(q - kv, 0))], C) + n + R
  mask  = q >= kv
}
)");
  EXPECT_EQ(program.captures[1].rank, 0u);
  EXPECT_EQ(nodes(program, RegionKind::Scale),
            R"([["const","f","0x1.0000000000000p+0"],["size","D"],)"
            R"(["i64_to_f",1],["sqrt",2],["fdiv",0,3]])");
  EXPECT_NE(nodes(program, RegionKind::Score).find(R"(["extent",0,1])"),
            std::string::npos);
}

TEST(ParseAttn, NegativeLiteralIndexCountsFromTheEnd) {
  Program program =
      parseOne("attention x(a: f32[R]) { score = s + a[-2] + a[-(2)] }");
  EXPECT_EQ(nodes(program, RegionKind::Score),
            R"([["arg","s"],["extent",0,0],["const","i64",2],["isub",1,2],)"
            R"(["read",0,3],["fadd",0,4],["const","i64",-2],["read",0,6],)"
            R"(["fadd",5,7]])");
}

TEST(ParseAttn, EveryBuiltinNormalizer) {
  for (const char *clause :
       {"softmax", "softmax()", "sink(a)", "sink(sigma=a)", "sink(0.5)",
        "sink(a[b])", "sink(a, w)", "softmax_plus_one", "signed", "sigmoid",
        "sigmoid(0.5)", "sigmoid(a[h] + 1)", "relu", "softplus", "softplus(a)",
        "positional_product(a, N)", "positional_product(a, offset=3)", "mean",
        "mean(n=N)"}) {
    std::string text = std::string("attention x(a: f32[H], w: f32[H, E]) {\n"
                                   "score = s + a[h] + w[h, h]\n"
                                   "normalizer = ") +
                       clause + "\n}";
    Program program = parseOne(text);
    if (llvm::StringRef(clause).starts_with("softmax") &&
        clause != llvm::StringRef("softmax_plus_one"))
      EXPECT_FALSE(program.normalizer.has_value());
    else
      EXPECT_TRUE(program.normalizer.has_value()) << clause;
  }
}

TEST(ParseAttn, LinesAndComments) {
  EXPECT_EQ(mask("(q\n  >= kv)"), mask("q >= kv"));
  EXPECT_EQ(mask("q >=\n  kv # why"), mask("q >= kv"));
  parseOne("attention x {\r\n  mask = q >= kv\r\n}\r\n");
  parseOne("# caf\xC3\xA9\nattention x {} # end");
}

/// Hostile input: a message with a place, never a crash.
void expectMessage(llvm::StringRef text, llvm::StringRef expected) {
  std::string messages = messagesOf(text);
  EXPECT_TRUE(llvm::StringRef(messages).starts_with("t.attn:")) << messages;
  EXPECT_NE(messages.find(expected), std::string::npos)
      << "expected: " << expected.str() << "\ngot: " << messages.substr(0, 500);
}

std::string repeat(llvm::StringRef text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i)
    result += text;
  return result;
}

TEST(ParseAttnHostile, Bytes) {
  expectMessage("", "the file defines no attention variant");
  expectMessage(llvm::StringRef("atten\0tion", 10), ":1:6: error: NUL byte");
  expectMessage("\xEF\xBB\xBF", ":1:1: error: byte order mark");
  expectMessage("# \xC3\n", ":1:3: error: invalid UTF-8");
  expectMessage("# \xED\xA0\x80\n", "invalid UTF-8");
  expectMessage("attention x { mask = q \xE2\x89\xA5 kv }",
                ":1:24: error: characters beyond ASCII");
  expectMessage("attention x { mask = q \x01 }", "control character");
  expectMessage("attention x {\r mask = q }", "carriage return");
  expectMessage(repeat(" ", (1 << 20) + 1), "at most 1048576 are read");
}

TEST(ParseAttnHostile, Counts) {
  std::string names = "a0", captures = "a0: f32[]";
  for (size_t i = 1; i <= ProgramLimits::captures; ++i) {
    captures += ", a" + std::to_string(i) + ": f32[]";
    if (i <= AttnLimits::fnParams)
      names += ", a" + std::to_string(i);
  }
  expectMessage("fn f(" + names + ") = a0",
                ": error: a function has at most 256 parameters");
  expectMessage(
      "attention x(" + captures + ") {}",
      ":1:11: error: at most 4096 parameters are supported, got 4097");
  expectMessage("attention x(a: f32[_" + repeat(", _", 64) + "]) {}",
                ":1:13: error: at most 64 dimensions are supported, got 65");
}

TEST(ParseAttnHostile, Nesting) {
  for (const char *open : {"(", "-(", "not ", "-", "~", "exp(", "s ** ",
                           "where(", "1 if q else ", "a[", "2 ** -"})
    expectMessage("attention x { score = " + repeat(open, 80000),
                  "expression nests deeper than 256");
  expectMessage("attention x { mask = " + repeat("(", 100000),
                "expression nests deeper than 256");
  expectMessage("attention x " + repeat("{", 100000), "expected let");
  expectMessage("attention x" + repeat("(", 100000), "expected the name");
  auto nested = [](unsigned depth) {
    return "attention x { score = " + repeat("(", depth) + "s" +
           repeat(")", depth) + "}";
  };
  parseOne(nested(256));
  expectMessage(nested(257), "expression nests deeper than 256");
  parseOne("attention x { mask = " + repeat("not ", 256) + "q < kv }");
  parseOne("attention x { mask = " + repeat("not ", 255) + "(q < kv) }");
  parseOne("attention x { score = " + repeat("- ", 256) + "s }");
}

TEST(ParseAttnHostile, LongChainsAreFine) {
  Program program =
      parseOne("attention x { score = s" + repeat(" + q * 0.5", 16000) + " }");
  EXPECT_GT(program.score->nodes.size(), 16000u);
  parseOne("attention x { mask = q < kv" + repeat(" < kv", 16000) + " }");
  parseOne("attention x { mask = q < kv" + repeat(" or q < kv", 16000) + " }");
  std::string lets = "attention x {\n let a0 = s\n";
  for (unsigned i = 1; i < 10000; ++i)
    lets += "let a" + std::to_string(i) + " = a" + std::to_string(i - 1) +
            " + 1.5\n";
  parseOne(lets + "score = a9999\n}");
}

TEST(ParseAttnHostile, Expansion) {
  std::string text = "fn f0(x) = x + 1\n";
  for (unsigned i = 1; i < 60; ++i)
    text += "fn f" + std::to_string(i) + "(x) = f" + std::to_string(i - 1) +
            "(f" + std::to_string(i - 1) + "(x))\n";
  expectMessage(text + "attention x { score = s + f59(q) }",
                "the clause expands to more than");
  text = "fn f0(x) = x + 1\n";
  for (unsigned i = 1; i < 5000; ++i)
    text += "fn f" + std::to_string(i) + "(x) = f" + std::to_string(i - 1) +
            "(x)\n";
  expectMessage(text + "attention x { score = s + f4999(q) }",
                "expressions and calls nest too deeply");
}

TEST(ParseAttnHostile, Numbers) {
  expectMessage("attention x { score = s + " + repeat("9", 400) + " }",
                "integer does not fit 64 bits");
  expectMessage("attention x { score = s + 1" + repeat("0", 400) + ".0 }",
                "number does not fit a 64-bit float");
  expectMessage("attention x { score = s + 1e999999999999 }",
                "number does not fit a 64-bit float");
  expectMessage("attention x { score = s + 9223372036854775808 }",
                "integer does not fit 64 bits");
  parseOne("attention x { score = s + -9223372036854775808 }");
  parseOne("attention x { score = s + 0." + repeat("1", 400) + " }");
  expectMessage("attention x { score = s + " + repeat("x", 400) + " }",
                "name must have at most 128 characters");
}

TEST(ParseAttnHostile, RandomAndDamagedText) {
  unsigned seed = 12345;
  if (const char *text = getenv("FOVEA_FUZZ_SEED"))
    seed = static_cast<unsigned>(atoi(text));
  RecordProperty("seed", static_cast<int>(seed));
  SCOPED_TRACE("FOVEA_FUZZ_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (unsigned round = 0; round < 3000; ++round) {
    std::string text = samples;
    unsigned edits = 1 + random() % 4;
    for (unsigned i = 0; i < edits && !text.empty(); ++i) {
      size_t at = random() % text.size();
      switch (random() % 4) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, random() % 20);
        break;
      case 2:
        text.insert(at, text.substr(random() % text.size(), random() % 20));
        break;
      default:
        text.resize(at + 1);
      }
    }
    std::string messages;
    llvm::raw_string_ostream os(messages);
    llvm::FailureOr<std::vector<Program>> programs =
        parseAttn(text, "t.attn", {}, os);
    if (failed(programs))
      EXPECT_NE(messages.find("error: "), std::string::npos);
    else
      for (const Program &program : *programs)
        EXPECT_FALSE(bool(verifyProgram(program)));
  }
}

} // namespace
