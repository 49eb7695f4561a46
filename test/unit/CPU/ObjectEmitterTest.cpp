//===- ObjectEmitterTest.cpp - From LLVM IR to machine code ---------------===//

#include "fovea/Target/CPU/ObjectEmitter.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
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
