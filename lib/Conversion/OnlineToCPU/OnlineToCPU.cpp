//===- OnlineToCPU.cpp - The pass -----------------------------------------===//

#include "fovea/Conversion/OnlineToCPU/OnlineToCPU.h"
#include "Kernel.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

namespace fovea {
#define GEN_PASS_DEF_CONVERTONLINETOCPU
#include "fovea/Conversion/OnlineToCPU/Passes.h.inc"
} // namespace fovea

using namespace mlir;

namespace {
class ConvertOnlineToCPU
    : public fovea::impl::ConvertOnlineToCPUBase<ConvertOnlineToCPU> {
public:
  void runOnOperation() final {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> kernels;
    for (auto func : module.getOps<func::FuncOp>())
      if (!func.isExternal() &&
          !func.getBody().getOps<online::GridOp>().empty())
        kernels.push_back(func);
    for (func::FuncOp func : kernels)
      if (failed(lowerKernel(func, module)))
        return signalPassFailure();
    for (auto op :
         llvm::make_early_inc_range(module.getOps<attn::NormalizerOp>()))
      if (SymbolTable::symbolKnownUseEmpty(op, module))
        op.erase();
  }

private:
  LogicalResult lowerKernel(func::FuncOp func, ModuleOp module) {
    FailureOr<fovea::cpu::KernelSpec> spec = fovea::cpu::analyzeKernel(func);
    if (failed(spec))
      return failure();
    for (StringRef suffix :
         {"_plan", "_run", "_pack", "_unpack", "_transpose", "_interleave"})
      if (module.lookupSymbol((func.getName() + suffix).str()))
        return func.emitError("cannot be lowered: the module has a symbol '")
               << func.getName() << suffix << "' already";
    Operation *last = &module.getBody()->back();
    if (failed(fovea::cpu::KernelEmitter(*spec, module).run()))
      return failure();
    ++numKernels;
    for (Operation *op = last->getNextNode(); op; op = op->getNextNode())
      op->walk([&](Operation *) { ++numOps; });
    func.erase();
    return success();
  }
};
} // namespace

void fovea::buildCPUToLLVMPipeline(OpPassManager &pm) {
  // Emitting asks for addresses where they are needed, again and again.
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

void fovea::registerCPUToLLVMPipeline() {
  PassPipelineRegistration<>(
      "fovea-cpu-to-llvm", "CPU kernels to the LLVM dialect",
      [](OpPassManager &pm) { buildCPUToLLVMPipeline(pm); });
}
