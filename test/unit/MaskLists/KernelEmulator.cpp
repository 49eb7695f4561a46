//===- KernelEmulator.cpp -------------------------------------------------===//

#include "KernelEmulator.h"
#include "Block.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>

using namespace fovea::test;
using namespace llvm::orc;

struct KernelEmulator::Code {
  std::unique_ptr<LLJIT> jit;
};

KernelEmulator::KernelEmulator(std::unique_ptr<Code> code)
    : code(std::move(code)) {}
KernelEmulator::~KernelEmulator() = default;

//===----------------------------------------------------------------------===//
// What replaces the intrinsics
//===----------------------------------------------------------------------===//

static int32_t lowerLanes() {
  return int32_t((1u << Block::thread() % 32) - 1);
}
/// Of an i1 argument the lowest bit alone says something.
static int32_t vote(int32_t, uint8_t condition) {
  return int32_t(Block::meet(Meeting::Vote, condition & 1, 0));
}
static int32_t shuffleBy(Meeting kind, int32_t value, int32_t lanes) {
  return int32_t(Block::meet(kind, uint32_t(value), lanes));
}
static int32_t butterfly(int32_t, int32_t value, int32_t lanes, int32_t) {
  return shuffleBy(Meeting::Butterfly, value, lanes);
}
static int32_t up(int32_t, int32_t value, int32_t lanes, int32_t) {
  return shuffleBy(Meeting::Up, value, lanes);
}
static int32_t fromLane(int32_t, int32_t value, int32_t lane, int32_t) {
  return shuffleBy(Meeting::FromLane, value, lane);
}
static int32_t reduceMin(int32_t value, int32_t) {
  return shuffleBy(Meeting::Min, value, 0);
}
static int32_t reduceMax(int32_t value, int32_t) {
  return shuffleBy(Meeting::Max, value, 0);
}
static void nothing() {} // launches follow each other
static void barrier(int32_t) { Block::meet(Meeting::Barrier, 0, 0); }
static float inverse(float x) { return 1 / x; }
static float inverseRoot(float x) { return 1 / std::sqrt(x); }

static llvm::StringMap<void *> intrinsics() {
  auto of = [](auto *function) { return reinterpret_cast<void *>(function); };
  using Unary = float(float);
  return {{"read.ptx.sreg.ctaid.x", of(&Block::index)},
          {"read.ptx.sreg.tid.x", of(&Block::thread)},
          {"read.ptx.sreg.lanemask.lt", of(&lowerLanes)},
          {"vote.ballot.sync", of(&vote)},
          {"shfl.sync.bfly.i32", of(&butterfly)},
          {"shfl.sync.up.i32", of(&up)},
          {"shfl.sync.idx.i32", of(&fromLane)},
          {"redux.sync.min", of(&reduceMin)},
          {"redux.sync.max", of(&reduceMax)},
          {"barrier.cta.sync.aligned.all", of(&barrier)},
          {"griddepcontrol.wait", of(&nothing)},
          {"griddepcontrol.launch.dependents", of(&nothing)},
          {"ex2.approx.ftz.f32", of(static_cast<Unary *>(&std::exp2))},
          {"lg2.approx.ftz.f", of(static_cast<Unary *>(&std::log2))},
          {"sin.approx.ftz.f", of(static_cast<Unary *>(&std::sin))},
          {"cos.approx.ftz.f", of(static_cast<Unary *>(&std::cos))},
          {"rcp.approx.ftz.f", of(&inverse)},
          {"rsqrt.approx.ftz.f", of(&inverseRoot)}};
}

/// Each by a function of the host, whose symbol is its name.
static llvm::Error replaceIntrinsics(llvm::Module &module, SymbolMap &symbols,
                                     LLJIT &jit) {
  llvm::StringMap<void *> known = intrinsics();
  for (llvm::Function &function : llvm::make_early_inc_range(module)) {
    llvm::StringRef name = function.getName();
    if (!name.consume_front("llvm.nvvm."))
      continue;
    auto found = known.find(name);
    if (found == known.end())
      return llvm::createStringError("no " + function.getName().str());
    std::string symbol = ("emulated." + name).str();
    auto *other =
        llvm::Function::Create(function.getFunctionType(),
                               llvm::Function::ExternalLinkage, symbol, module);
    function.replaceAllUsesWith(other);
    function.eraseFromParent();
    symbols[jit.mangleAndIntern(symbol)] = {
        ExecutorAddr::fromPtr(found->second), llvm::JITSymbolFlags::Exported};
  }
  return llvm::Error::success();
}

/// A function that takes a kernel's arguments from an array.
static void addEntry(llvm::Module &module, llvm::Function &kernel) {
  llvm::IRBuilder<> builder(module.getContext());
  llvm::Type *pointer = builder.getPtrTy();
  auto *type = llvm::FunctionType::get(builder.getVoidTy(), {pointer}, false);
  auto *entry = llvm::Function::Create(type, llvm::Function::ExternalLinkage,
                                       kernel.getName() + "_entry", module);
  builder.SetInsertPoint(
      llvm::BasicBlock::Create(module.getContext(), "", entry));
  std::vector<llvm::Value *> arguments;
  for (llvm::Argument &argument : kernel.args()) {
    llvm::Value *place = builder.CreateConstGEP1_64(
        builder.getInt64Ty(), entry->getArg(0), argument.getArgNo());
    arguments.push_back(builder.CreateLoad(argument.getType(), place));
  }
  builder.CreateCall(&kernel, arguments);
  builder.CreateRetVoid();
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

static void eraseOthers(mlir::ModuleOp module,
                        llvm::ArrayRef<std::string> kernels) {
  auto functions = module.getOps<mlir::LLVM::LLVMFuncOp>();
  for (auto function : llvm::make_early_inc_range(functions)) {
    bool isKernel = function->hasAttr("nvvm.kernel");
    if (isKernel && !llvm::is_contained(kernels, function.getName()))
      function.erase();
  }
}

llvm::Expected<std::unique_ptr<KernelEmulator>>
KernelEmulator::compile(mlir::ModuleOp module,
                        llvm::ArrayRef<std::string> kernels) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  eraseOthers(module, kernels);
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  mlir::registerNVVMDialectTranslation(*module.getContext());
  auto context = std::make_unique<llvm::LLVMContext>();
  auto translated = mlir::translateModuleToLLVMIR(module, *context, "kernels");
  if (!translated)
    return llvm::createStringError("no LLVM IR");
  auto code = std::make_unique<Code>();
  auto host = JITTargetMachineBuilder::detectHost();
  if (!host)
    return host.takeError();
  auto jit = LLJITBuilder().setJITTargetMachineBuilder(*host).create();
  if (!jit)
    return jit.takeError();
  code->jit = std::move(*jit);
  translated->setDataLayout(code->jit->getDataLayout());
  translated->setTargetTriple(code->jit->getTargetTriple());
  SymbolMap symbols;
  if (llvm::Error error = replaceIntrinsics(*translated, symbols, *code->jit))
    return std::move(error);
  for (const std::string &name : kernels) {
    llvm::Function *kernel = translated->getFunction(name);
    kernel->setCallingConv(llvm::CallingConv::C);
    kernel->setAttributes({});
    addEntry(*translated, *kernel);
  }
  JITDylib &library = code->jit->getMainJITDylib();
  if (llvm::Error error = library.define(absoluteSymbols(std::move(symbols))))
    return std::move(error);
  if (llvm::Error error = code->jit->addIRModule(
          ThreadSafeModule(std::move(translated), std::move(context))))
    return std::move(error);
  return std::unique_ptr<KernelEmulator>(new KernelEmulator(std::move(code)));
}

std::string KernelEmulator::run(llvm::StringRef kernel, int64_t grid,
                                unsigned threads,
                                llvm::ArrayRef<uint64_t> arguments) {
  auto entry = code->jit->lookup((kernel + "_entry").str());
  if (!entry)
    return llvm::toString(entry.takeError());
  std::vector<uint64_t> copy(arguments.begin(), arguments.end());
  auto *function = entry->toPtr<void(const uint64_t *)>();
  Block block(threads, [&] { function(copy.data()); });
  for (int64_t i = 0; i < grid; ++i)
    if (std::string problem = block.run(int32_t(i)); !problem.empty())
      return (kernel + ", block " + std::to_string(i) + ": " + problem).str();
  votes += block.votes;
  return "";
}
