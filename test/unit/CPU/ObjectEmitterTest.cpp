//===- ObjectEmitterTest.cpp - From LLVM IR to machine code ---------------===//

#include "fovea/Target/CPU/ObjectEmitter.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/Support/SourceMgr.h"
#include "gtest/gtest.h"

using namespace fovea;

/// One dot product of pairs of bf16, whatever the target.
static std::unique_ptr<llvm::Module> makePairs(llvm::LLVMContext &context) {
  auto module = std::make_unique<llvm::Module>("pairs", context);
  llvm::IRBuilder<> b(context);
  auto *sums = llvm::FixedVectorType::get(b.getFloatTy(), 16);
  auto *pairs = llvm::FixedVectorType::get(b.getBFloatTy(), 32);
  auto *type = llvm::FunctionType::get(sums, {sums, pairs}, false);
  auto *function = llvm::Function::Create(type, llvm::Function::ExternalLinkage,
                                          "dot", module.get());
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
  llvm::Value *x = function->getArg(1);
  b.CreateRet(b.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512,
                                {function->getArg(0), x, x}));
  return module;
}

TEST(ObjectEmitter, PairsNeedTheFeature) {
  for (const char *name : {"x86-64-v4", "x86-64-v4+avx512bf16"}) {
    llvm::LLVMContext context;
    auto module = makePairs(context);
    auto target = resolveCPUTarget(name, /*mustRun=*/false);
    ASSERT_TRUE(bool(target));
    std::string message = llvm::toString(optimizeForCPU(*module, *target));
    if (target->features.empty())
      EXPECT_NE(message.find("takes bf16 in pairs, which needs avx512bf16"),
                std::string::npos)
          << message;
    else
      EXPECT_EQ(message, "");
  }
}

TEST(ObjectEmitter, TilesNeedTheFeature) {
  for (const char *name :
       {"x86-64-v4+avx512bf16", "x86-64-v4+amx-tile+amx-bf16"}) {
    llvm::LLVMContext context;
    llvm::Module module("tiles", context);
    llvm::IRBuilder<> b(context);
    auto *function =
        llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), false),
                               llvm::Function::ExternalLinkage, "dot", module);
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
    b.CreateIntrinsic(llvm::Intrinsic::x86_tdpbf16ps,
                      {b.getInt8(0), b.getInt8(1), b.getInt8(2)});
    b.CreateRetVoid();
    auto target = resolveCPUTarget(name, /*mustRun=*/false);
    ASSERT_TRUE(bool(target));
    std::string message = llvm::toString(optimizeForCPU(module, *target));
    if (target->features == "+avx512bf16")
      EXPECT_NE(message.find("multiplies tiles of bf16, which needs amx-bf16"),
                std::string::npos)
          << message;
    else
      EXPECT_EQ(message, "");
  }
}

/// A loop that asks at its top, with a sum twice and one of nothing.
static const char *const loopText = R"(
define void @f(ptr %p, i64 %n, i64 %a) {
entry:
  br label %head
head:
  %i = phi i64 [0, %entry], [%next, %body]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %done
body:
  %x = add i64 %i, %a
  %y = add i64 %i, %a
  %z = add i64 %y, 0
  %sum = mul i64 %x, %z
  %at = getelementptr i64, ptr %p, i64 %i
  store i64 %sum, ptr %at
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}
)";

TEST(ObjectEmitter, TheShortPassesRotateLoopsAndJoinWhatIsEqual) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseAssemblyString(loopText, diagnostic, context);
  ASSERT_TRUE(bool(module));
  auto target = resolveCPUTarget("x86-64-v3", /*mustRun=*/false);
  ASSERT_TRUE(bool(target));
  ASSERT_EQ(llvm::toString(optimizeForCPU(*module, *target)), "");
  unsigned sums = 0, loops = 0;
  for (llvm::BasicBlock &block : *module->getFunction("f")) {
    loops += llvm::is_contained(llvm::successors(&block), &block);
    sums += llvm::count_if(block, [](llvm::Instruction &inst) {
      return inst.getOpcode() == llvm::Instruction::Add;
    });
  }
  EXPECT_EQ(loops, 1u); // body and question are one block
  EXPECT_EQ(sums, 2u);  // i + a and i + 1
}

/// Notes the passes that ask whether they may run.
class NotePasses : public llvm::OptPassGate {
public:
  bool shouldRunPass(llvm::StringRef name, llvm::StringRef) const override {
    names.insert(name);
    return true;
  }
  bool isEnabled() const override { return true; }
  mutable llvm::StringSet<> names;
};

/// The loop as assembly for a processor; what is asked of the gate, if any, are
/// the passes that make code of it. Empty after a failure.
static std::string assembleLoop(llvm::StringRef name, Optimization level,
                                llvm::OptPassGate *gate = nullptr) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseAssemblyString(loopText, diagnostic, context);
  auto target = resolveCPUTarget(name, /*mustRun=*/false);
  if (!module || !target) {
    ADD_FAILURE() << name.str();
    return "";
  }
  EXPECT_EQ(llvm::toString(optimizeForCPU(*module, *target, level)), "");
  if (gate)
    context.setOptPassGate(*gate);
  auto code = emitForCPU(*module, *target, CodeKind::Assembly, level);
  if (!code) {
    ADD_FAILURE() << llvm::toString(code.takeError());
    return "";
  }
  return (*code)->getBuffer().str();
}

TEST(ObjectEmitter, ShortCodeOfX86IsMadeWithoutStrengthReduction) {
  for (auto [level, reduces] : {std::pair(Optimization::Short, false),
                                std::pair(Optimization::Full, true)}) {
    NotePasses gate;
    EXPECT_NE(assembleLoop("x86-64-v3", level, &gate), "");
    EXPECT_FALSE(gate.names.empty());
    EXPECT_EQ(gate.names.contains("Loop Strength Reduction"), reduces);
  }
}

TEST(ObjectEmitter, LoopsOfNarrowRegistersBeginALine) {
  for (Optimization level : {Optimization::Short, Optimization::Full}) {
    const std::string aligned = ".p2align\t6";
    EXPECT_NE(assembleLoop("x86-64-v3", level).find(aligned),
              std::string::npos);
    std::string wide = assembleLoop("x86-64-v4", level);
    EXPECT_NE(wide, "");
    EXPECT_EQ(wide.find(aligned), std::string::npos);
  }
}

// Compiling a kernel is held below 150 ms by this list, which costs a fifth of
// O1: a pass more needs a figure in docs/cpu-kernels.md.
TEST(ObjectEmitter, TheShortPassesAreFive) {
  EXPECT_EQ(shortPasses.count(','), 4u);
  EXPECT_EQ(shortPasses.count("function("), 1u);
  EXPECT_EQ(shortPasses.count("cgscc"), 0u);
}
