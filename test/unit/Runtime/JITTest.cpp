//===- JITTest.cpp - Targets, objects, loading ----------------------------===//

#include "fovea/Target/CPU/JIT.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Target/CPU/HostInfo.h"
#include "fovea/Target/CPU/ObjectEmitter.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
#include "gtest/gtest.h"

#include <thread>
#include <vector>

using namespace fovea;

namespace {

const char kernelText[] = R"(
define i64 @k_plan(ptr %args, ptr %scratch) {
  store i64 128, ptr %scratch
  ret i64 7
}
define i64 @k_run(ptr %args, i64 %first, i64 %last, i64 %next, ptr %scratch) {
  %sum = add i64 %first, %last
  ret i64 %sum
}
)";

llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
build(const char *text, CodeKind kind = CodeKind::Object,
      llvm::StringRef name = "cpu") {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseAssemblyString(text, diagnostic, context);
  if (!module)
    return makeError(FOVEA_PARSE_ERROR, diagnostic.getMessage());
  auto target = resolveCPUTarget(name, true);
  if (!target)
    return target.takeError();
  if (llvm::Error error = optimizeForCPU(*module, *target))
    return std::move(error);
  return emitForCPU(*module, *target, kind);
}

std::string textOf(llvm::Error error) {
  return takeStatus(std::move(error)).second;
}

TEST(HostInfo, TheBestTargetComesFirst) {
  ASSERT_FALSE(hostTargets().empty());
  auto best = resolveCPUTarget("cpu", true);
  ASSERT_TRUE(bool(best));
  EXPECT_EQ(best->name, hostTargets().front());
  EXPECT_FALSE(best->cpu.empty());
}

TEST(HostInfo, UnknownTargetsAreToldWhatThereIs) {
  for (const char *name : {"x86-64-v9", "sm_90a", "avx2", "cpu+nonsense"}) {
    auto target = resolveCPUTarget(name, true);
    ASSERT_FALSE(bool(target)) << name;
    std::string text = textOf(target.takeError());
    EXPECT_NE(text.find(name), std::string::npos) << text;
    EXPECT_NE(text.find(hostTargets().front()), std::string::npos) << text;
  }
}

TEST(HostInfo, SomeTargetsServeAheadOfTimeOnly) {
#if defined(__x86_64__)
  for (const char *name : {"x86-64-v2", "x86-64"}) {
    EXPECT_FALSE(llvm::is_contained(hostTargets(), name));
    auto loaded = resolveCPUTarget(name, /*mustRun=*/true);
    ASSERT_FALSE(bool(loaded)) << name;
    EXPECT_EQ(textOf(loaded.takeError()),
              "target: only foveac makes kernels for '" + std::string(name) +
                  "'; this machine runs cpu, " +
                  llvm::join(hostTargets(), ", ") + ", interpreter");
    auto object = resolveCPUTarget(name, /*mustRun=*/false);
    ASSERT_TRUE(bool(object)) << textOf(object.takeError());
    EXPECT_EQ(object->cpu, name);
  }
  EXPECT_EQ(baselineCPUTarget().name, "x86-64");
  auto unknown = resolveCPUTarget("x86-64-v9", /*mustRun=*/false);
  ASSERT_FALSE(bool(unknown));
  EXPECT_EQ(textOf(unknown.takeError()),
            "target: unknown target 'x86-64-v9'; objects are made for cpu, "
            "x86-64-v4, x86-64-v3, x86-64-v2, x86-64, with features added: "
            "+avx512bf16, +avx512fp16, +amx-tile, +amx-bf16, +avxvnni");
#endif
}

TEST(HostInfo, EveryListedTargetLoadsAndRuns) {
  for (const std::string &name : hostTargets()) {
    auto object = build(kernelText, CodeKind::Object, name);
    ASSERT_TRUE(bool(object)) << textOf(object.takeError());
    auto code = loadObject(**object, "k");
    ASSERT_TRUE(bool(code)) << textOf(code.takeError());
    EXPECT_EQ((*code)->run(nullptr, 2, 3, 2, nullptr), 5);
  }
}

TEST(HostInfo, TilesNeedThePermissionOfTheSystem) {
  llvm::StringMap<bool> found;
  found["amx-tile"] = found["amx-bf16"] = found["avx2"] = true;
  found["avx512f"] = false;
  using Names = std::vector<std::string>;
  EXPECT_EQ(findUsableFeatures(found, [] { return true; }),
            (Names{"amx-bf16", "amx-tile", "avx2"}));
  EXPECT_EQ(findUsableFeatures(found, [] { return false; }), Names{"avx2"});
  // Not asked for where there are none.
  found["amx-tile"] = false;
  EXPECT_EQ(findUsableFeatures(found,
                               [] {
                                 ADD_FAILURE();
                                 return true;
                               }),
            Names{"avx2"});
}

TEST(HostInfo, FeaturesAreSortedAndNamedOnce) {
#if defined(__x86_64__)
  auto target = resolveCPUTarget("x86-64-v4+avxvnni+avx512bf16+avxvnni", false);
  ASSERT_TRUE(bool(target));
  EXPECT_EQ(target->name, "x86-64-v4+avx512bf16+avxvnni");
  EXPECT_EQ(target->features, "+avx512bf16,+avxvnni");
#endif
}

TEST(JIT, LoadsAndRuns) {
  auto object = build(kernelText);
  ASSERT_TRUE(bool(object)) << textOf(object.takeError());
  auto code = loadObject(**object, "k");
  ASSERT_TRUE(bool(code)) << textOf(code.takeError());
  fovea_cpu_plan plan = {};
  EXPECT_EQ((*code)->plan(nullptr, &plan), 7);
  EXPECT_EQ(plan.scratch_bytes, 128);
  EXPECT_EQ((*code)->run(nullptr, 2, 3, 2, nullptr), 5);
}

TEST(JIT, ThreadsLoadAtOnce) {
  auto object = build(kernelText);
  ASSERT_TRUE(bool(object));
  std::vector<int64_t> results(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 8; ++i)
        if (auto code = loadObject(**object, "k"))
          results[t] += (*code)->run(nullptr, t, i, t, nullptr);
        else
          llvm::consumeError(code.takeError());
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int t = 0; t < 4; ++t)
    EXPECT_EQ(results[t], 8 * t + 28);
}

TEST(JIT, UnknownFunctionsAreRefused) {
  auto object = build(R"(
declare void @system(ptr)
define i64 @k_plan(ptr %args, ptr %scratch) {
  call void @system(ptr %args)
  ret i64 0
}
define i64 @k_run(ptr %a, i64 %f, i64 %l, i64 %n, ptr %s) {
  ret i64 0
}
)");
  ASSERT_TRUE(bool(object));
  auto code = loadObject(**object, "k");
  ASSERT_FALSE(bool(code));
  EXPECT_NE(textOf(code.takeError()).find("cannot load the kernel"),
            std::string::npos);
}

TEST(JIT, DamagedObjectsAreRefused) {
  auto object = build(kernelText);
  ASSERT_TRUE(bool(object));
  llvm::StringRef bytes = (*object)->getBuffer();
  for (size_t size : {size_t(0), size_t(3), size_t(64), bytes.size() / 2}) {
    auto code = loadObject({bytes.take_front(size), "cut"}, "k");
    EXPECT_FALSE(bool(code)) << size;
    llvm::consumeError(code.takeError());
  }
  auto code = loadObject(**object, "another");
  EXPECT_FALSE(bool(code));
  llvm::consumeError(code.takeError());
}

TEST(ObjectEmitter, BadAssemblyIsAnErrorNotTheEnd) {
  auto object = build(R"(
define i64 @k_plan(ptr %args, ptr %scratch) {
  call void asm sideeffect "no such instruction", ""()
  ret i64 0
}
)");
  ASSERT_FALSE(bool(object));
  EXPECT_NE(textOf(object.takeError()).find("code generation"),
            std::string::npos);
}

TEST(ObjectEmitter, WritesAssembly) {
  auto text = build(kernelText, CodeKind::Assembly);
  ASSERT_TRUE(bool(text));
  EXPECT_NE((*text)->getBuffer().find("k_run:"), llvm::StringRef::npos);
}

} // namespace
