//===- PTX.cpp - LLVM dialect to PTX --------------------------------------===//

#include "fovea/Target/NVVM/PTX.h"
#include "fovea/Runtime/Error.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

using namespace fovea;

static constexpr const char *kTriple = "nvptx64-nvidia-cuda";

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
makeMachine(bool hasClusters) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple(kTriple);
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return makeError(FOVEA_COMPILE_ERROR, error);
  // Products and sums in users' regions may be fused (S10: rounding is the
  // target's).
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  // The lowest PTX version that has all of sm_90a, and stores that another
  // block's barrier counts.
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, "sm_90a", hasClusters ? "+ptx81" : "+ptx80", options,
      std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return makeError(FOVEA_COMPILE_ERROR, "LLVM has no code generator for PTX");
  return std::move(machine);
}

static llvm::Expected<std::string> findManifest(mlir::ModuleOp module) {
  std::string manifest;
  unsigned kernels = 0;
  for (auto func : module.getOps<mlir::LLVM::LLVMFuncOp>())
    if (auto text = func->getAttrOfType<mlir::StringAttr>("fovea.manifest")) {
      manifest = text.str();
      ++kernels;
      func->removeAttr("fovea.manifest");
    }
  if (kernels != 1)
    return makeError(FOVEA_COMPILE_ERROR,
                     "the module holds " + llvm::Twine(kernels) +
                         " kernels with a manifest, PTX is made of one");
  return manifest;
}

llvm::Error fovea::checkKernelName(llvm::StringRef name) {
  auto isOfName = [](char c) {
    return llvm::isAlnum(c) || c == '_' || c == '$';
  };
  bool begins = !name.empty() && (llvm::isAlpha(name[0]) ||
                                  (name.size() > 1 && !llvm::isDigit(name[0])));
  if (begins && llvm::all_of(name, isOfName) && name != "WARP_SZ")
    return llvm::Error::success();
  std::string shown;
  llvm::raw_string_ostream os(shown);
  llvm::printEscapedString(name, os);
  return makeError(FOVEA_COMPILE_ERROR,
                   "function '" + llvm::Twine(shown) +
                       "': a kernel's name in PTX is a letter, or _ or $ and "
                       "more, then letters, digits, _ and $");
}

llvm::Expected<PTXKernel> fovea::emitPTX(mlir::ModuleOp module) {
  for (auto func : module.getOps<mlir::LLVM::LLVMFuncOp>())
    if (func->hasAttr("fovea.manifest"))
      if (llvm::Error error = checkKernelName(func.getName()))
        return error;
  auto manifest = findManifest(module);
  if (!manifest)
    return manifest.takeError();
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  mlir::registerNVVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  auto translated = mlir::translateModuleToLLVMIR(module, context, "kernel");
  if (!translated)
    return makeError(FOVEA_COMPILE_ERROR, "translation to LLVM IR failed");
  bool hasClusters =
      llvm::any_of(module.getOps<mlir::LLVM::LLVMFuncOp>(),
                   [](auto func) { return func->hasAttr("nvvm.cluster_dim"); });
  auto machine = makeMachine(hasClusters);
  if (!machine)
    return machine.takeError();
  translated->setTargetTriple(llvm::Triple(kTriple));
  translated->setDataLayout((*machine)->createDataLayout());
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, os, nullptr,
                                      llvm::CodeGenFileType::AssemblyFile))
    return makeError(FOVEA_COMPILE_ERROR, "LLVM writes no PTX");
  passes.run(*translated);
  return PTXKernel{text.str().str(), *manifest};
}
