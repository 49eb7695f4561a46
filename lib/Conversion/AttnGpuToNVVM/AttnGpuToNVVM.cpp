//===- AttnGpuToNVVM.cpp - -convert-attn-gpu-to-nvvm ----------------------===//

#include "fovea/Conversion/AttnGpuToNVVM/AttnGpuToNVVM.h"
#include "Kernel.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace {
class ConvertAttnGpuToNVVM
    : public PassWrapper<ConvertAttnGpuToNVVM, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertAttnGpuToNVVM)

  StringRef getArgument() const final { return "convert-attn-gpu-to-nvvm"; }
  StringRef getDescription() const final {
    return "Lower attn_gpu kernels to the LLVM and NVVM dialects";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  }

  void runOnOperation() final {
    SmallVector<func::FuncOp> done;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal())
        continue;
      auto kernels = func.getBody().getOps<attn_gpu::SpecializeOp>();
      if (kernels.empty())
        continue;
      if (failed(fovea::gpu::KernelEmitter(func, *kernels.begin()).run()))
        return signalPassFailure();
      if (func::FuncOp visible = fovea::gpu::findVisible(func))
        done.push_back(visible);
      done.push_back(func);
    }
    for (func::FuncOp func : done)
      func.erase();
  }
};
} // namespace

std::unique_ptr<Pass> fovea::createConvertAttnGpuToNVVMPass() {
  return std::make_unique<ConvertAttnGpuToNVVM>();
}

void fovea::registerAttnGpuToNVVMPasses() {
  PassRegistration<ConvertAttnGpuToNVVM>();
}
