//===- ObjectEmitter.h - LLVM dialect to machine code ------------*- C++
//-*-===//
#ifndef FOVEA_TARGET_CPU_OBJECTEMITTER_H
#define FOVEA_TARGET_CPU_OBJECTEMITTER_H

#include "fovea/Target/CPU/HostInfo.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm
namespace mlir {
class ModuleOp;
} // namespace mlir

namespace fovea {

/// Translates a module in the LLVM dialect and optimises it for the target:
/// inlining, redundancy and loop-invariant code, but neither unrolling nor
/// vectorisation, which the code generator of the level above has decided.
llvm::Expected<std::unique_ptr<llvm::Module>>
translateForCPU(mlir::ModuleOp module, llvm::LLVMContext &context,
                const CPUTarget &target);

/// The same for a module that is LLVM IR already.
llvm::Error optimizeForCPU(llvm::Module &module, const CPUTarget &target);

enum class CodeKind { Object, Assembly };

/// Emits the optimised module; consumes it.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
emitForCPU(llvm::Module &module, const CPUTarget &target, CodeKind kind);

} // namespace fovea

#endif // FOVEA_TARGET_CPU_OBJECTEMITTER_H
