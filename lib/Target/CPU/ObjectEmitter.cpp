//===- ObjectEmitter.cpp - LLVM dialect to machine code -------------------===//
#include "fovea/Target/CPU/ObjectEmitter.h"
#include "fovea/Runtime/Error.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Pass.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

using namespace fovea;

namespace {
/// Turns LLVM's error diagnostics, which would otherwise exit the process, into
/// text that the caller reports.
class CollectDiagnostics : public llvm::DiagnosticHandler {
public:
  explicit CollectDiagnostics(std::string &errors) : errors(errors) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() != llvm::DS_Error)
      return true;
    llvm::raw_string_ostream os(errors);
    llvm::DiagnosticPrinterRawOStream printer(os);
    os << (errors.empty() ? "" : "; ");
    info.print(printer);
    return true;
  }

private:
  std::string &errors;
};

/// Installs the handler for one scope.
class DiagnosticScope {
public:
  explicit DiagnosticScope(llvm::LLVMContext &context)
      : context(context), previous(context.getDiagnosticHandler()) {
    context.setDiagnosticHandler(std::make_unique<CollectDiagnostics>(errors));
  }
  ~DiagnosticScope() { context.setDiagnosticHandler(std::move(previous)); }
  llvm::Error take(llvm::StringRef phase) {
    if (errors.empty())
      return llvm::Error::success();
    return makeError(FOVEA_COMPILE_ERROR, phase + ": " + errors);
  }

private:
  llvm::LLVMContext &context;
  std::unique_ptr<llvm::DiagnosticHandler> previous;
  std::string errors;
};

void initializeTargetOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
  });
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
makeTargetMachine(const CPUTarget &target) {
  initializeTargetOnce();
  llvm::Triple triple(target.triple);
  std::string error;
  const llvm::Target *llvmTarget =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!llvmTarget)
    return makeError(FOVEA_COMPILE_ERROR, error);
  llvm::TargetOptions options;
  // Only what the IR marks may be contracted: rounding is decided above.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(llvmTarget->createTargetMachine(
      triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, /*JIT=*/false));
  if (!machine)
    return makeError(FOVEA_COMPILE_ERROR,
                     "no code generator for " + target.triple);
  // LLVM only warns on standard error where it does not know the name.
  if (!machine->getMCSubtargetInfo()->isCPUStringValid(target.cpu))
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "target: unknown processor '" + target.cpu + "'");
  // Loops of few registers are as short as eight multiply-adds, four clocks:
  // what they take then depends on how many lines of code they touch.
  if (triple.isX86() &&
      !machine->getMCSubtargetInfo()->checkFeatures("+avx512f"))
    machine->Options.LoopAlignment = 64;
  return std::move(machine);
}

void setFunctionTargets(llvm::Module &module, const CPUTarget &target) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty())
      function.addFnAttr("target-features", target.features);
    // Vectors of the width that the code generator asked for, not narrower.
    function.addFnAttr("prefer-vector-width", "512");
    function.setDoesNotThrow();
    function.setUWTableKind(llvm::UWTableKind::None);
  }
}

/// Instructions that a kernel's schedule asks for by name.
llvm::Error checkIntrinsics(const llvm::Module &module, const CPUTarget &target,
                            const llvm::TargetMachine &machine) {
  constexpr struct {
    const char *prefix, *what, *feature;
  } known[] = {
      {"llvm.x86.avx512bf16.", "takes bf16 in pairs", "avx512bf16"},
      {"llvm.x86.tdpbf16ps", "multiplies tiles of bf16", "amx-bf16"},
  };
  for (const llvm::Function &function : module)
    for (auto [prefix, what, feature] : known)
      if (function.getName().starts_with(prefix) &&
          !machine.getMCSubtargetInfo()->checkFeatures(std::string("+") +
                                                       feature))
        return makeError(FOVEA_COMPILE_ERROR,
                         llvm::Twine("the kernel's schedule ") + what +
                             ", which needs " + feature + "; '" + target.cpu +
                             "' with features '" + target.features +
                             "' has not");
  return llvm::Error::success();
}

/// Registers of 32 bytes look numbers up in a table of four by an instruction
/// of AVX; processors without have two of 16 bytes in their place, and selects.
void replaceLookups(llvm::Module &module, const llvm::TargetMachine &machine) {
  llvm::Function *lookup = module.getFunction("llvm.x86.avx.vpermilvar.ps.256");
  if (!lookup || machine.getMCSubtargetInfo()->checkFeatures("+avx"))
    return;
  for (llvm::User *user : llvm::make_early_inc_range(lookup->users())) {
    auto *call = llvm::cast<llvm::CallInst>(user);
    llvm::IRBuilder<> b(call);
    llvm::Value *table = call->getArgOperand(0),
                *index = call->getArgOperand(1);
    auto entry = [&](int i) {
      return b.CreateShuffleVector(table,
                                   {i, i, i, i, 4 + i, 4 + i, 4 + i, 4 + i});
    };
    auto isSet = [&](int64_t bit) {
      auto *mask = llvm::ConstantInt::getSigned(index->getType(), bit);
      return b.CreateICmpEQ(b.CreateAnd(index, mask), mask);
    };
    llvm::Value *odd = isSet(1);
    llvm::Value *lower = b.CreateSelect(odd, entry(1), entry(0));
    llvm::Value *upper = b.CreateSelect(odd, entry(3), entry(2));
    call->replaceAllUsesWith(b.CreateSelect(isSet(2), upper, lower));
    call->eraseFromParent();
  }
}

llvm::Error runPasses(llvm::Module &module, llvm::TargetMachine &machine,
                      Optimization level) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopUnrolling = false;
  tuning.LoopInterleaving = false;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.MergeFunctions = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  llvm::ModulePassManager passes;
  if (level == Optimization::Full)
    passes = builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O1);
  else if (llvm::Error error = builder.parsePassPipeline(passes, shortPasses))
    return error;
  passes.run(module, modules);
  return llvm::Error::success();
}

/// The code generator's passes, on x86 without the reduction of loops' strength
/// for modules that are optimised shortly: a tenth of their time, and addresses
/// there are as cheap as what it makes of them.
class CodePasses final : public llvm::legacy::PassManager {
public:
  CodePasses(const llvm::TargetMachine &machine, Optimization level)
      : reducesLoops(level == Optimization::Full ||
                     !machine.getTargetTriple().isX86()) {}
  void add(llvm::Pass *pass) override {
    if (reducesLoops || pass->getPassName() != "Loop Strength Reduction")
      llvm::legacy::PassManager::add(pass);
    else
      delete pass;
  }

private:
  bool reducesLoops;
};
} // namespace

llvm::Error fovea::optimizeForCPU(llvm::Module &module, const CPUTarget &target,
                                  Optimization level) {
  auto machine = makeTargetMachine(target);
  if (!machine)
    return machine.takeError();
  module.setTargetTriple(llvm::Triple(target.triple));
  module.setDataLayout((*machine)->createDataLayout());
  setFunctionTargets(module, target);
  std::string broken;
  llvm::raw_string_ostream os(broken);
  if (llvm::verifyModule(module, &os))
    return makeError(FOVEA_COMPILE_ERROR, "invalid LLVM IR: " + broken);
  if (llvm::Error error = checkIntrinsics(module, target, **machine))
    return error;
  replaceLookups(module, **machine);
  DiagnosticScope scope(module.getContext());
  if (llvm::Error error = runPasses(module, **machine, level))
    return error;
  return scope.take("optimising");
}

llvm::Expected<std::unique_ptr<llvm::Module>>
fovea::translateForCPU(mlir::ModuleOp module, llvm::LLVMContext &context,
                       const CPUTarget &target, Optimization level) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  auto translated = mlir::translateModuleToLLVMIR(module, context, "kernel",
                                                  /*disableVerification=*/true);
  if (!translated)
    return makeError(FOVEA_COMPILE_ERROR, "translation to LLVM IR failed");
  if (llvm::Error error = optimizeForCPU(*translated, target, level))
    return std::move(error);
  return std::move(translated);
}

llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
fovea::emitForCPU(llvm::Module &module, const CPUTarget &target, CodeKind kind,
                  Optimization level) {
  auto machine = makeTargetMachine(target);
  if (!machine)
    return machine.takeError();
  llvm::SmallVector<char, 0> code;
  llvm::raw_svector_ostream os(code);
  CodePasses passes(**machine, level);
  auto fileType = kind == CodeKind::Object
                      ? llvm::CodeGenFileType::ObjectFile
                      : llvm::CodeGenFileType::AssemblyFile;
  if ((*machine)->addPassesToEmitFile(passes, os, nullptr, fileType,
                                      /*DisableVerify=*/true))
    return makeError(
        FOVEA_COMPILE_ERROR,
        "the target emits no " +
            llvm::Twine(kind == CodeKind::Object ? "objects" : "assembly"));
  DiagnosticScope scope(module.getContext());
  passes.run(module);
  if (llvm::Error error = scope.take("code generation"))
    return std::move(error);
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(
      std::move(code), "kernel", /*RequiresNullTerminator=*/false);
}
