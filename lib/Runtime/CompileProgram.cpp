//===- CompileProgram.cpp - One way through the compiler ------------------===//
#include "fovea/Runtime/CompileProgram.h"
#include "Session.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Registration/CheckBytecode.h"
#include "fovea/Registration/CheckText.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Target/CPU/ObjectEmitter.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

namespace {
CPUCompileOptions makeOptions(const CPUTarget &target, llvm::StringRef schedule,
                              KernelForm form) {
  CPUCompileOptions options;
  options.cpu = target.cpu;
  options.features = target.features;
  options.schedule = schedule.str();
  options.exact = form.exact;
  options.indexBits = form.indexBits;
  options.fewQueries = form.fewQueries;
  options.paged = form.paged;
  options.oneRow = form.oneRow;
  return options;
}

/// Loops over a lone row are short enough for all of O1 to be felt.
Optimization optimizationOf(KernelForm form) {
  return form.fewQueries ? Optimization::Full : Optimization::Short;
}
} // namespace

llvm::Expected<std::unique_ptr<llvm::Module>> fovea::compileProgramToLLVM(
    const Program &program, const CPUTarget &target, llvm::StringRef schedule,
    KernelForm form, llvm::LLVMContext &context, CPUCompileReport *report) {
  Session session;
  auto module = buildAttnModule(program, session.get());
  if (!module)
    return module.takeError();
  if (failed(lowerAttnToCPU(**module, makeOptions(target, schedule, form),
                            report)))
    return session.error("lowering to the CPU");
  return translateForCPU(**module, context, target, optimizationOf(form));
}

llvm::Expected<Artifact> fovea::compileProgram(const Program &program,
                                               const CPUTarget &target,
                                               llvm::StringRef schedule,
                                               KernelForm form) {
  llvm::LLVMContext context;
  CPUCompileReport report;
  auto module =
      compileProgramToLLVM(program, target, schedule, form, context, &report);
  if (!module)
    return module.takeError();
  auto object =
      emitForCPU(**module, target, CodeKind::Object, optimizationOf(form));
  if (!object)
    return object.takeError();
  return Artifact{(*object)->getBuffer().str(),
                  report.schedule,
                  report.remarks,
                  /*manifest=*/"",
                  report.itemRows,
                  report.scansKeys,
                  report.shortRows,
                  report.oneRow};
}

llvm::Expected<std::string> fovea::printLevel(const Program &program,
                                              const CPUTarget *target,
                                              llvm::StringRef schedule,
                                              llvm::StringRef level) {
  Session session;
  auto built = buildAttnModule(program, session.get());
  if (!built)
    return built.takeError();
  mlir::ModuleOp module = **built;
  if (level == "attn")
    return printModule(module);
  if (!target)
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "level: the interpreter has 'program' and 'attn' only");
  CPUCompileOptions options = makeOptions(*target, schedule, {});
  if (failed(lowerAttnToOnlineForCPU(module, options)))
    return session.error("lowering to level 2");
  if (level == "online")
    return printModule(module);
  if (failed(lowerOnlineToCPU(module, options)))
    return session.error("lowering to the CPU");
  if (level == "target")
    return printModule(module);
  if (failed(lowerCPUToLLVM(module, options)))
    return session.error("lowering to LLVM");
  llvm::LLVMContext context;
  auto translated = translateForCPU(module, context, *target);
  if (!translated)
    return translated.takeError();
  if (level == "llvm") {
    std::string text;
    llvm::raw_string_ostream os(text);
    (*translated)->print(os, nullptr);
    return text;
  }
  auto assembly = emitForCPU(**translated, *target, CodeKind::Assembly);
  if (!assembly)
    return assembly.takeError();
  return (*assembly)->getBuffer().str();
}

/// What cannot be read is the source's fault, that it cannot be told the
/// system's.
static llvm::Error checkSource(llvm::StringRef source, llvm::StringRef name) {
  bool isBytecode = mlir::isBytecode(llvm::MemoryBufferRef(source, name));
  return llvm::handleErrors(
      isBytecode ? checkBytecode(source, name) : checkText(source, name),
      [](const llvm::StringError &error) {
        bool damaged =
            error.convertToErrorCode() == std::errc::illegal_byte_sequence;
        return makeError(damaged ? FOVEA_PARSE_ERROR : FOVEA_IO_ERROR,
                         error.getMessage());
      });
}

llvm::Expected<std::vector<Program>>
fovea::readMLIRPrograms(llvm::StringRef source, llvm::StringRef name) {
  if (llvm::Error error = checkSource(source, name))
    return std::move(error);
  Session session;
  mlir::ParserConfig config(&session.get(), /*verifyAfterParse=*/true);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(source, config, name);
  if (!module)
    return makeError(FOVEA_PARSE_ERROR, session.text().empty()
                                            ? name + ": not MLIR"
                                            : session.text());
  return exportPrograms(*module);
}
