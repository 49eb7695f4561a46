//===- OnlineToCPU.cpp - The pass -----------------------------------------===//

#include "fovea/Conversion/OnlineToCPU/OnlineToCPU.h"
#include "Kernel.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace {
class ConvertOnlineToCPU
    : public PassWrapper<ConvertOnlineToCPU, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertOnlineToCPU)

  StringRef getArgument() const final { return "convert-online-to-cpu"; }
  StringRef getDescription() const final {
    return "Lower online grids to CPU kernels";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() final {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> kernels;
    for (auto func : module.getOps<func::FuncOp>())
      if (!func.isExternal() &&
          !func.getBody().getOps<online::GridOp>().empty())
        kernels.push_back(func);
    for (func::FuncOp func : kernels) {
      FailureOr<fovea::cpu::KernelSpec> spec = fovea::cpu::analyzeKernel(func);
      if (failed(spec) ||
          failed(fovea::cpu::KernelEmitter(*spec, module).run()))
        return signalPassFailure();
    }
    for (func::FuncOp func : kernels)
      func.erase();
    for (auto op :
         llvm::make_early_inc_range(module.getOps<attn::NormalizerOp>()))
      op.erase();
  }
};
} // namespace

std::unique_ptr<Pass> fovea::createConvertOnlineToCPUPass() {
  return std::make_unique<ConvertOnlineToCPU>();
}

void fovea::buildCPUToLLVMPipeline(OpPassManager &pm) {
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

void fovea::registerOnlineToCPUPasses() {
  PassRegistration<ConvertOnlineToCPU>();
  PassPipelineRegistration<>(
      "fovea-cpu-to-llvm", "CPU kernels to the LLVM dialect",
      [](OpPassManager &pm) { buildCPUToLLVMPipeline(pm); });
}
