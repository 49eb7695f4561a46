//===- ObjectEmitter.h - LLVM dialect to machine code -----------*- C++ -*-===//
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

/// What of LLVM's optimiser and code generator a module takes. Kernels are
/// emitted as they are to run: nothing is left to inline, to unroll or to
/// vectorise.
enum class Optimization {
  Short, ///< `shortPasses`: kernels run as fast as after all of O1; on x86 no
         ///< strength reduction of loops
  Full,  ///< O1, without unrolling and vectorisation
};

/// The passes of `Optimization::Short`, in the spelling of `opt`. Where a
/// second instcombine would find more it ends the process, unless told.
constexpr llvm::StringLiteral shortPasses =
    "function(simplifycfg,early-cse,loop(loop-rotate),"
    "instcombine<no-verify-fixpoint>,simplifycfg)";

/// Translates a module in the LLVM dialect and optimises it for the target.
llvm::Expected<std::unique_ptr<llvm::Module>>
translateForCPU(mlir::ModuleOp module, llvm::LLVMContext &context,
                const CPUTarget &target,
                Optimization level = Optimization::Short);

/// The same for a module that is LLVM IR already.
llvm::Error optimizeForCPU(llvm::Module &module, const CPUTarget &target,
                           Optimization level = Optimization::Short);

enum class CodeKind { Object, Assembly };

/// Emits the optimised module; consumes it.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
emitForCPU(llvm::Module &module, const CPUTarget &target, CodeKind kind,
           Optimization level = Optimization::Short);

} // namespace fovea

#endif // FOVEA_TARGET_CPU_OBJECTEMITTER_H
