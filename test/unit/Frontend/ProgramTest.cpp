//===- ProgramTest.cpp - The JSON form ------------------------------------===//

#include "fovea/Frontend/Program.h"

#include "gtest/gtest.h"

using namespace fovea;

namespace {

const char header[] = R"({"D":[64],"E":64,"block_mask":false,"captures":[)"
                      R"({"dtype":"f32","name":"slope","rank":1}],)"
                      R"("dtype":"f32","fovea":1,"mask":null,"name":"alibi",)"
                      R"("normalizer":"softmax","params":[],)"
                      R"("return_lse":false,"scale":null,"score":)";

std::string wrap(llvm::StringRef score) { return (header + score + "}").str(); }

std::string region(llvm::StringRef nodes, llvm::StringRef results = "[0]") {
  return wrap((R"({"args":["s","b","h","q","kv"],"nodes":[)" + nodes +
               R"(],"results":)" + results + "}")
                  .str());
}

std::string errorOf(llvm::StringRef json) {
  llvm::Expected<Program> program = parseProgram(json);
  if (program)
    return "";
  return llvm::toString(program.takeError());
}

TEST(Program, RoundTripIsByteIdentical) {
  std::string text =
      region(R"(["arg","s"],["arg","h"],["read",0,1],["arg","q"],["arg","kv"],)"
             R"(["isub",4,3],["i64_to_f",5],["fmul",2,6],["fadd",0,7])",
             "[8]");
  llvm::Expected<Program> program = parseProgram(text);
  ASSERT_TRUE(bool(program)) << llvm::toString(program.takeError());
  EXPECT_EQ(printProgram(*program), text);
  EXPECT_EQ(canonicalKey(*program), text);
  canonicalize(*program);
  EXPECT_EQ(program->score->nodes.size(), 9u);
}

TEST(Program, KeyLeavesOutDocAndLocations) {
  std::string text = wrap("null");
  std::string full = text;
  full.insert(full.find("\"dtype\":\"f32\",\"fovea\""),
              R"("doc":"caf\u00e9",)");
  full.insert(full.find("\"mask\""),
              R"("locations":{"file":"a.py","x":[1.5]},)");
  llvm::Expected<Program> program = parseProgram(full);
  ASSERT_TRUE(bool(program)) << llvm::toString(program.takeError());
  EXPECT_EQ(program->doc, "caf\xC3\xA9");
  EXPECT_EQ(printProgram(*program), full);
  EXPECT_EQ(canonicalKey(*program), text);
}

TEST(Program, CanonicalFormSharesAndDrops) {
  llvm::Expected<Program> program = parseProgram(
      region(R"(["const","f","0x1.8p+0"],["arg","s"],["const","f",)"
             R"("0x1.8000000000000p+0"],["fmul",1,2],["fmul",1,0],["exp",1],)"
             R"(["fadd",3,4])",
             "[6]"));
  ASSERT_TRUE(bool(program)) << llvm::toString(program.takeError());
  canonicalize(*program);
  EXPECT_EQ(printProgram(*program),
            region(R"(["arg","s"],["const","f","0x1.8000000000000p+0"],)"
                   R"(["fmul",0,1],["fadd",2,2])",
                   "[3]"));
}

TEST(Program, HexFloatsAreThoseOfPython) {
  const std::pair<double, const char *> cases[] = {
      {0.0, "0x0.0p+0"},
      {-0.0, "-0x0.0p+0"},
      {1.0, "0x1.0000000000000p+0"},
      {0.1, "0x1.999999999999ap-4"},
      {-1e300, "-0x1.7e43c8800759cp+996"},
      {5e-324, "0x0.0000000000001p-1022"}};
  for (auto [value, text] : cases) {
    EXPECT_EQ(formatHexFloat(value), text);
    EXPECT_EQ(formatHexFloat(*parseHexFloat(text)), text);
  }
  for (const char *bad :
       {"", "0x", "0x1", "0x1.p", "0x2.0p+0", "1.5", "0x1.0p+", "0x1.0p++1",
        "0x1.0p+-1", "0x1.gp+0", "0x1.0p+9999", "0x1.00000000000000p+0",
        "0x0.8p+0", "0x1.0p +1"})
    EXPECT_FALSE(parseHexFloat(bad)) << bad;
}

TEST(Program, ErrorsNameRegionAndNode) {
  std::string many = R"(["arg","s"])";
  for (size_t i = 0; i < ProgramLimits::nodes; ++i)
    many += R"(,["arg","s"])";
  const std::pair<std::string, const char *> cases[] = {
      {"[1,2]", "program: must be a JSON object, got an array"},
      {"{\"fovea\":2}", "\"fovea\" must be 1"},
      {std::string(100000, '['), "program: JSON nests deeper than 64"},
      {"{", "program: not JSON"},
      {region(many), "score: at most 16384 nodes are supported, got 16385"},
      {region(R"(["frobnicate",0])"),
       "score: node 0: unknown operation 'frobnicate'"},
      {region(R"(["arg","e"])"), "score: node 0 (arg): unknown argument 'e'"},
      {region(R"(["arg","q"])"), "score: result 0 must be f, got i64"},
      {region(R"(["arg","s"],["iadd",0,0])", "[1]"),
       "score: node 1 (iadd): operand 0 must be i64, got f (node 0)"},
      {region(R"(["exp",0])"),
       "score: node 0 (exp): operand 0 must be an earlier node, got 0"},
      {region(R"(["exp",-1])"),
       "score: node 0 (exp): operand 0 must be an earlier node, got -1"},
      {region(R"(["arg","s"],["fadd",0])", "[1]"),
       "score: node 1 (fadd): must have 2 operand(s), got 1"},
      {region(R"(["read",1])"),
       "score: node 0 (read): capture must be within 0 to 0, got 1"},
      {region(R"(["read",0])"),
       "score: node 0 (read): capture 'slope' has rank 1, got 0 index(es)"},
      {region(R"(["extent",0,1])"),
       "score: node 0 (extent): dimension must be below the capture's rank 1"},
      {region(R"(["size","Q"])"), "score: node 0 (size): unknown size 'Q'"},
      {region(R"(["param","W"])"),
       "score: node 0 (param): unknown parameter 'W'"},
      {region(R"(["const","i64",18446744073709551615])"),
       "score: node 0 (const): value must be an integer within 64 bits"},
      {region(R"(["const","f","1.5"])"),
       "value must be a string that float.hex() writes"},
      {region(R"(["const","i1",1])"), "value must be a bool, got a number"},
      {region(R"(["arg","s"])", "[1]"),
       "score: result must name a node below 1, got 1"},
      {region(R"(["arg","s"])", "[]"), "score: must have 1 result(s), got 0"},
      {region(R"([])"), "node 0: must begin with the name of an operation"},
      {region(R"(5)"), "score: node 0: must be an array, got a number"},
      {wrap(R"({"args":["s"],"nodes":[],"results":[]})"),
       "score: args must be [s, b, h, q, kv], got [s]"},
      {wrap(R"(7)"), "score: must be a region, got a number"},
      {wrap(R"(null,"colour":1)"), "program: unknown key 'colour'"}};
  for (const auto &[json, expected] : cases) {
    std::string error = errorOf(json);
    EXPECT_NE(error.find(expected), std::string::npos)
        << "expected: " << expected << "\ngot: " << error;
  }
}

TEST(Program, CutAndFlippedTextNeverCrashes) {
  std::string text =
      region(R"(["arg","s"],["arg","h"],["read",0,1],["fadd",0,2])", "[3]");
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_NE(errorOf(text.substr(0, i)), "");
    for (unsigned char flip : {1, 2, 16, 128}) {
      std::string damaged = text;
      damaged[i] ^= flip;
      llvm::Expected<Program> program = parseProgram(damaged);
      if (!program) {
        llvm::consumeError(program.takeError());
        continue;
      }
      llvm::Expected<Program> again = parseProgram(printProgram(*program));
      ASSERT_TRUE(bool(again)) << llvm::toString(again.takeError());
      EXPECT_EQ(printProgram(*again), printProgram(*program));
    }
  }
}

} // namespace
