//===- CheckBytecodeTest.cpp - Damaged bytecode is refused ----------------===//
#include "fovea/Runtime/CheckBytecode.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Error.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace fovea;

namespace {

std::string writeBytecode() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"(
    !t = tensor<?x?x?x8xf32>
    func.func @f(%q: !t, %k: !t, %v: !t, %bias: tensor<?x?xf32>, %c: f32) -> !t {
      %o = attn.attention query(%q) key(%k) value(%v) captures(%bias)
          normalizer #attn.softmax scale(%c)
      score {
      ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %t: tensor<?x?xf32>):
        %x = attn.read %t[%h, %n] : tensor<?x?xf32> -> f32
        %y = arith.addf %s, %x : f32
        attn.yield %y : f32
      }
      mask {
      ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: tensor<?x?xf32>):
        %keep = arith.cmpi sge, %m, %n : i64
        attn.yield %keep : i1
      } : (!t, !t, !t, tensor<?x?xf32>, f32) -> !t
      return %o : !t
    })",
                                                        &context);
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  EXPECT_TRUE(module && succeeded(mlir::writeBytecodeToFile(*module, os)));
  return bytes;
}

std::string messageOf(llvm::Error error) {
  return error ? takeStatus(std::move(error)).second : "";
}

TEST(CheckBytecodeTest, SoundBytecodePasses) {
  std::string bytes = writeBytecode();
  EXPECT_EQ(messageOf(checkBytecode(bytes, "f")), "");
  auto programs = readMLIRPrograms(bytes, "f");
  ASSERT_TRUE(bool(programs)) << messageOf(programs.takeError());
  EXPECT_EQ(programs->front().name, "f");
}

TEST(CheckBytecodeTest, FlippedBitsAreErrorsOrHarmless) {
  std::string bytes = writeBytecode();
  size_t refused = 0, unsound = 0, deadly = 0;
  // Not all of them: each is a process.
  for (size_t i = 5; i < bytes.size(); i += 4) {
    std::string damaged = bytes;
    damaged[i] ^= 1 << (i % 8);
    std::string message = messageOf(checkBytecode(damaged, "f"));
    if (message == "f:0:0: error: damaged bytecode: it cannot be read") {
      ++deadly;
    } else if (!message.empty()) {
      EXPECT_EQ(message, "f:0:0: error: damaged bytecode: its attributes and "
                         "types do not add up");
      ++unsound;
    }
    auto programs = readMLIRPrograms(damaged, "f");
    if (programs)
      continue;
    EXPECT_NE(messageOf(programs.takeError()), "");
    ++refused;
  }
  EXPECT_GT(unsound, 0u);
  EXPECT_GT(deadly, 0u);
  EXPECT_GT(refused, unsound + deadly);
}

TEST(CheckBytecodeTest, TruncatedBytecodeIsAnError) {
  std::string bytes = writeBytecode();
  for (size_t size = 4; size < bytes.size(); size += 9) {
    auto programs = readMLIRPrograms(bytes.substr(0, size), "f");
    ASSERT_FALSE(bool(programs)) << size;
    EXPECT_NE(messageOf(programs.takeError()), "");
  }
}

} // namespace
