//===- AheadOfTime.cpp - Objects for other programs -----------------------===//
#include "fovea/AheadOfTime/AheadOfTime.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Target/CPU/ObjectEmitter.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"

#include <numeric>
#include <tuple>

using namespace fovea;

bool fovea::isIdentifier(llvm::StringRef name) {
  return !name.empty() && !llvm::isDigit(name.front()) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

/// Gives the two functions of a kernel their names in the common object; what
/// else there is becomes private to its module.
static void renameKernel(llvm::Module &module, llvm::StringRef symbol,
                         const std::string &prefix) {
  for (llvm::GlobalValue &value : module.global_values()) {
    if (value.isDeclaration())
      continue;
    for (llvm::StringRef part : {"_plan", "_run"})
      if (value.getName() == (symbol + part).str())
        value.setName(prefix + part);
    if (!value.getName().starts_with(prefix))
      value.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
}

/// One form of a version, linked into `whole`.
static llvm::Error addForm(const Program &program, const CPUTarget &target,
                           const std::string &prefix, KernelForm form,
                           llvm::Module &whole, CPUCompileReport &report) {
  auto module = compileProgramToLLVM(program, target, /*schedule=*/"", form,
                                     whole.getContext(), &report);
  if (!module)
    return module.takeError();
  renameKernel(**module, program.name, prefix);
  if (llvm::Linker::linkModules(whole, std::move(*module)))
    return makeError(FOVEA_COMPILE_ERROR,
                     "cannot link the version for " + target.name);
  return llvm::Error::success();
}

/// All forms of one version, linked into `whole`.
static llvm::Error addVersion(const Program &program, const CPUTarget &target,
                              llvm::StringRef name, ObjectVersion &version,
                              llvm::Module &whole, KeySearch &keys) {
  for (int indexBits : {32, 64}) {
    std::string prefix =
        (name + "_" + version.name + "_i" + llvm::Twine(indexBits)).str();
    CPUCompileReport report, unused;
    if (llvm::Error error =
            addForm(program, target, prefix, {indexBits}, whole, report))
      return error;
    if (report.scansKeys) {
      keys.itemRows = std::lcm(keys.itemRows, report.itemRows);
      (indexBits == 32 ? keys.scanReason : keys.farReason) = report.scanReason;
    }
    if (llvm::Error error = addForm(program, target, prefix + "_exact",
                                    {indexBits, /*exact=*/true}, whole, unused))
      return error;
    version.fewRows = report.shortRows;
    version.oneRow = report.oneRow;
    KernelForm few = {indexBits, /*exact=*/false, /*fewQueries=*/true};
    if (version.fewRows > 0)
      if (llvm::Error error =
              addForm(program, target, prefix + "_few", few, whole, unused))
        return error;
    few.oneRow = true;
    if (version.oneRow != FOVEA_CPU_ONE_ROW_NONE)
      if (llvm::Error error =
              addForm(program, target, prefix + "_one", few, whole, unused))
        return error;
  }
  return llvm::Error::success();
}

llvm::Error fovea::checkObjectName(llvm::StringRef name) {
  if (!isIdentifier(name))
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "-o: NAME must be a C identifier, got '" + name + "'");
  if (llvm::StringRef rule = findRuleOfC(name); !rule.empty())
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "-o: NAME " + rule + ", got '" + name + "'");
  if (isNameOfLibrary(name))
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "-o: NAME must not be a name of the C library, got '" +
                         name + "'");
  return llvm::Error::success();
}

llvm::Expected<AheadOfTimeOutput>
fovea::compileAheadOfTime(const Program &program,
                          llvm::ArrayRef<CPUTarget> targets,
                          llvm::StringRef name) {
  if (llvm::Error error = checkObjectName(name))
    return std::move(error);
  assert(!targets.empty() && "an object has a version");
  if (program.blockMask)
    return invalid("'" + program.name +
                   "' takes a block mask, which calls of objects have none "
                   "for");
  // The version that asks for most is tried first.
  std::vector<CPUTarget> sorted(targets.begin(), targets.end());
  llvm::sort(sorted, [](const CPUTarget &a, const CPUTarget &b) {
    return std::tuple(llvm::StringRef(a.cpu), a.features.size(), a.name) >
           std::tuple(llvm::StringRef(b.cpu), b.features.size(), b.name);
  });

  llvm::LLVMContext context;
  llvm::Module whole(name, context);
  // Versions carry their features per function; the rest suits any processor.
  KeySearch keys;
  llvm::SmallVector<ObjectVersion> versions;
  for (const CPUTarget &target : sorted) {
    versions.push_back({target, "v" + std::to_string(versions.size())});
    if (llvm::Error error =
            addVersion(program, target, name, versions.back(), whole, keys))
      return std::move(error);
  }
  // The module has forms for few queries too.
  auto object = emitForCPU(whole, baselineCPUTarget(), CodeKind::Object,
                           Optimization::Full);
  if (!object)
    return object.takeError();
  return AheadOfTimeOutput{(*object)->getBuffer().str(),
                           writeHeader(program, versions, name, keys), keys};
}
