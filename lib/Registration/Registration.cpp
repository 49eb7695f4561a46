//===- Registration.cpp - The one list of dialects and passes -------------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Analysis/Passes.h"
#include "fovea/Conversion/AttnGpuToNVVM/AttnGpuToNVVM.h"
#include "fovea/Conversion/AttnToOnline/AttnToOnline.h"
#include "fovea/Conversion/OnlineToAttnGpu/OnlineToAttnGpu.h"
#include "fovea/Conversion/OnlineToCPU/OnlineToCPU.h"
#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Dialect/Attn/Transforms/Passes.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"
#include "fovea/Dialect/Online/IR/Online.h"
#include "fovea/Pipelines/Pipelines.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/Passes.h"

void fovea::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::arith::ArithDialect, mlir::attn::AttnDialect,
                  mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                  mlir::math::MathDialect, mlir::memref::MemRefDialect,
                  mlir::NVVM::NVVMDialect, mlir::attn_gpu::AttnGpuDialect,
                  mlir::online::OnlineDialect, mlir::scf::SCFDialect,
                  mlir::tensor::TensorDialect, mlir::vector::VectorDialect>();
}

void fovea::registerPasses() {
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  mlir::registerSymbolDCEPass();
  registerAnalysisPasses();
  registerOnlineToCPUPasses();
  registerCPUToLLVMPipeline();
  registerAttnToOnlinePasses();
  registerOnlineToAttnGpuPasses();
  registerAttnGpuToNVVMPasses();
  mlir::attn_gpu::registerAttnGpuTransformsPasses();
  mlir::attn::registerAttnTransformsPasses();
  registerPipelines();
}
