//===- CheckBytecodeTest.cpp - Damaged bytecode is refused ----------------===//
#include "fovea/Registration/CheckBytecode.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Error.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <csignal>
#include <cstdio>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

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
    } else if (!message.empty() &&
               message !=
                   "f:0:0: error: damaged bytecode: a type has a negative "
                   "size") {
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

TEST(CheckBytecodeTest, WhatCannotBePrintedIsNotRead) {
  mlir::MLIRContext context;
  mlir::OpBuilder builder(&context);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(builder.getUnknownLoc());
  // Damage may give an array elements that have no width.
  char data[4] = {};
  module->getOperation()->setAttr(
      "some.array", mlir::DenseArrayAttr::get(
                        &context, mlir::NoneType::get(&context), 1, data));
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  ASSERT_TRUE(succeeded(mlir::writeBytecodeToFile(*module, os)));
  EXPECT_EQ(messageOf(checkBytecode(bytes, "f")),
            "f:0:0: error: damaged bytecode: it cannot be read");
}

TEST(CheckBytecodeTest, NegativeSizesAreDamage) {
  mlir::MLIRContext context;
  mlir::OpBuilder builder(&context);
  // Of an attribute, and within another type.
  mlir::Type negative =
      mlir::RankedTensorType::get({2, -5}, builder.getF32Type());
  mlir::Type unknown = mlir::RankedTensorType::get(
      {2, mlir::ShapedType::kDynamic}, builder.getF32Type());
  for (mlir::Type type :
       {negative,
        mlir::Type(builder.getFunctionType({builder.getI64Type()}, negative)),
        unknown}) {
    mlir::OwningOpRef<mlir::ModuleOp> module =
        mlir::ModuleOp::create(builder.getUnknownLoc());
    module->getOperation()->setAttr("some.type", mlir::TypeAttr::get(type));
    std::string bytes;
    llvm::raw_string_ostream os(bytes);
    ASSERT_TRUE(succeeded(mlir::writeBytecodeToFile(*module, os)));
    EXPECT_EQ(messageOf(checkBytecode(bytes, "f")),
              type == unknown ? ""
                              : "f:0:0: error: damaged bytecode: a type has a "
                                "negative size");
  }
}

TEST(CheckBytecodeTest, ParentsThatIgnoreTheirChildrenAreAnswered) {
  std::string bytes = writeBytecode();
  void (*before)(int) = std::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(messageOf(checkBytecode(bytes, "f")), "");
  bytes.resize(bytes.size() / 2);
  EXPECT_EQ(messageOf(checkBytecode(bytes, "f")), "");
  std::signal(SIGCHLD, before);
}

TEST(CheckBytecodeTest, LargeBytecodePasses) {
  mlir::MLIRContext context;
  mlir::OpBuilder builder(&context);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToEnd(module->getBody());
  for (int i = 0; i < 100000; ++i)
    mlir::ModuleOp::create(builder, builder.getUnknownLoc(),
                           "a_module_with_a_long_name_" + std::to_string(i));
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  ASSERT_TRUE(succeeded(mlir::writeBytecodeToFile(*module, os)));
  EXPECT_GT(bytes.size(), size_t(3) << 20);
  EXPECT_EQ(messageOf(checkBytecode(bytes, "f")), "");
}

/// Ends with the message where a user who may have no more processes asks.
[[noreturn]] void askWithoutProcesses(const std::string &bytes) {
  rlimit none = {0, 0};
  if (setrlimit(RLIMIT_NPROC, &none) != 0 ||
      (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
    _exit(1);
  auto programs = readMLIRPrograms(bytes, "f");
  auto [status, text] = takeStatus(programs.takeError());
  std::fprintf(stderr, "status %d, %s\n", int(status), text.c_str());
  _exit(0);
}

TEST(CheckBytecodeTest, WithoutAProcessBytecodeIsNotRead) {
  EXPECT_EXIT(
      askWithoutProcesses(writeBytecode()), testing::ExitedWithCode(0),
      "status 9, f:0:0: error: bytecode is first read by a process of "
      "its own, and none can be made: Resource temporarily unavailable");
}

/// Children stop before they read anything; what the parent says comes out.
[[noreturn]] void askWithStoppedChildren(const std::string &bytes) {
  pthread_atfork(nullptr, nullptr, [] { pause(); });
  llvm::Error error = checkBytecode(bytes, "f", std::chrono::milliseconds(200));
  std::fprintf(stderr, "%s\n", llvm::toString(std::move(error)).c_str());
  _exit(0);
}

TEST(CheckBytecodeTest, StoppedChildrenAreNotWaitedForForEver) {
  EXPECT_EXIT(askWithStoppedChildren(writeBytecode()),
              testing::ExitedWithCode(0),
              "f:0:0: error: bytecode is first read by a process of its own, "
              "which does not end");
}

} // namespace
