//===- ModuleTest.cpp - Programs to level 1 and back ----------------------===//

#include "RandomProgram.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/AttnModule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "gtest/gtest.h"

using namespace fovea;

namespace {

class ModuleTest : public ::testing::Test {
protected:
  ModuleTest() : context(mlir::MLIRContext::Threading::DISABLED) {
    context.loadDialect<mlir::attn::AttnDialect, mlir::func::FuncDialect,
                        mlir::arith::ArithDialect, mlir::math::MathDialect>();
  }

  static std::string print(mlir::ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream os(text);
    mlir::OpPrintingFlags flags;
    flags.enableDebugInfo(/*enable=*/true, /*prettyForm=*/false);
    module.print(os, flags);
    return text;
  }

  std::string errorOfMLIR(llvm::StringRef text) {
    mlir::ParserConfig config(&context);
    auto module =
        mlir::parseSourceString<mlir::ModuleOp>(text, config, "t.mlir");
    if (!module)
      return "does not parse";
    llvm::Expected<Program> program = exportProgram(*module);
    return program ? "" : llvm::toString(program.takeError());
  }

  mlir::MLIRContext context;
};

unsigned getSeed() {
  const char *text = getenv("FOVEA_FUZZ_SEED");
  return text ? static_cast<unsigned>(atoi(text)) : 1;
}

/// Import of an export is the identity on modules that programs make.
TEST_F(ModuleTest, LawImportOfExport) {
  for (unsigned seed = getSeed(); seed < getSeed() + 1000; ++seed) {
    SCOPED_TRACE("FOVEA_FUZZ_SEED=" + std::to_string(seed));
    Program program = RandomProgram(seed).make();
    ASSERT_FALSE(bool(verifyProgram(program)));
    auto module = buildAttnModule(program, context);
    // A zero statistic may cancel t: the verifier then refuses, with a text.
    ASSERT_TRUE(bool(module)) << llvm::toString(module.takeError());
    llvm::Expected<Program> exported = exportProgram(**module);
    ASSERT_TRUE(bool(exported)) << llvm::toString(exported.takeError());
    auto again = buildAttnModule(*exported, context);
    ASSERT_TRUE(bool(again)) << llvm::toString(again.takeError());
    ASSERT_EQ(print(**again), print(**module));
    Program canonical = *exported;
    canonicalize(canonical);
    EXPECT_EQ(printProgram(canonical), printProgram(*exported));
  }
}

TEST_F(ModuleTest, CompositesComeBack) {
  llvm::Expected<Program> program = parseProgram(
      R"({"fovea":1,"name":"x","captures":[],"normalizer":"softmax",)"
      R"("dtype":"f32","D":[64],"E":64,"score":{"args":)"
      R"(["s","b","h","q","kv"],"nodes":[["arg","s"],["sigmoid",0],)"
      R"(["silu",1],["softplus",2],["gelu",3],["fmod",4,0],["fmod",5,5]],)"
      R"("results":[6]},"mask":null})");
  ASSERT_TRUE(bool(program)) << llvm::toString(program.takeError());
  auto module = buildAttnModule(*program, context);
  ASSERT_TRUE(bool(module)) << llvm::toString(module.takeError());
  llvm::Expected<Program> exported = exportProgram(**module);
  ASSERT_TRUE(bool(exported)) << llvm::toString(exported.takeError());
  EXPECT_EQ(canonicalKey(*exported), canonicalKey(*program));
}

TEST_F(ModuleTest, WhatAProgramNeeds) {
  Program program;
  program.name = "x";
  auto errorOf = [&] {
    auto module = buildAttnModule(program, context);
    return module ? "" : llvm::toString(module.takeError());
  };
  EXPECT_EQ(errorOf(), "program 'x': dtype is missing");
  program.dtype = DType::F32;
  EXPECT_EQ(errorOf(), "program 'x': D is missing");
  program.headDims = {64};
  EXPECT_EQ(errorOf(), "program 'x': E is missing");
  program.valueDim = 64;
  EXPECT_EQ(errorOf(), "");
  auto two = buildAttnModule({program, program}, context);
  ASSERT_FALSE(bool(two));
  EXPECT_EQ(llvm::toString(two.takeError()), "two variants are named 'x'");
}

const char prologue[] =
    "func.func @f(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, "
    "%v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {\n";
const char operation[] = "%o = attn.attention query(%q) key(%k) value(%v) "
                         "normalizer #attn.softmax scale(%c) mask {\n"
                         "^bb0(%b: i64, %h: i64, %m: i64, %n: i64):\n";
const char epilogue[] =
    "attn.yield %keep : i1\n} : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, "
    "tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>\n";
const char end[] = "return %o : tensor<?x?x?x8xf32>\n}\n";

TEST_F(ModuleTest, ExportNamesOpAndLocation) {
  std::string start = std::string(prologue) + operation;
  std::string finish = std::string(epilogue) + end;
  EXPECT_EQ(
      errorOfMLIR(start + "%keep = arith.cmpi sge, %m, %n : i64\n" + finish),
      "");
  EXPECT_EQ(
      errorOfMLIR(start + "%keep = arith.cmpi uge, %m, %n : i64\n" + finish),
      "t.mlir:4:9: error: 'arith.cmpi' in mask cannot be written as a program");
  EXPECT_EQ(
      errorOfMLIR(start +
                  "%x = arith.cmpi sge, %m, %n : i64\n"
                  "%keep = arith.addi %x, %x : i1\n" +
                  finish),
      "t.mlir:5:9: error: 'arith.addi' in mask cannot be written as a program");
  std::string body = start + "%keep = arith.cmpi sge, %m, %n : i64\n";
  EXPECT_EQ(errorOfMLIR(std::string(prologue) +
                        "return %q : tensor<?x?x?x8xf32>\n}\n"),
            "t.mlir:1:1: error: 'func.func' holds no 'attn.attention'");
  EXPECT_EQ(
      errorOfMLIR(body + epilogue + "return %q : tensor<?x?x?x8xf32>\n}"),
      "t.mlir:7:1: error: 'func.return' must return what 'attn.attention' "
      "gives");
  EXPECT_EQ(errorOfMLIR(""), "the module holds no variant");
  std::string other = body + finish;
  other.replace(other.find("@f"), 2, "@g");
  EXPECT_EQ(errorOfMLIR(body + finish + other),
            "the module holds 2 variants, expected one");
  EXPECT_EQ(errorOfMLIR("func.func private @f()"),
            "t.mlir:1:1: error: 'func.func' has no body");
}

} // namespace
