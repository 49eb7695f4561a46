//===- CompileProgram.h - One way through the compiler ----------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_COMPILEPROGRAM_H
#define FOVEA_RUNTIME_COMPILEPROGRAM_H

#include "fovea/Frontend/Program.h"
#include "fovea/Pipelines/Pipelines.h"
#include "fovea/Runtime/CompileService.h"

#include "llvm/Support/Error.h"

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace fovea {

/// Lowers a complete program to optimised LLVM IR for the CPU.
llvm::Expected<std::unique_ptr<llvm::Module>>
compileProgramToLLVM(const Program &program, const CPUTarget &target,
                     llvm::StringRef schedule, KernelForm form,
                     llvm::LLVMContext &context,
                     CPUCompileReport *report = nullptr);

/// Compiles a complete program to an object for the CPU. Everything MLIR is
/// made and dropped inside.
llvm::Expected<Artifact> compileProgram(const Program &program,
                                        const CPUTarget &target,
                                        llvm::StringRef schedule,
                                        KernelForm form);

/// The text of a level: "attn", and with a target "online", "target", "llvm",
/// "asm".
llvm::Expected<std::string> printLevel(const Program &program,
                                       const CPUTarget *target,
                                       llvm::StringRef schedule,
                                       llvm::StringRef level);

/// Reads the variants of MLIR text or bytecode, one or more.
llvm::Expected<std::vector<Program>> readMLIRPrograms(llvm::StringRef source,
                                                      llvm::StringRef name);

} // namespace fovea

#endif // FOVEA_RUNTIME_COMPILEPROGRAM_H
