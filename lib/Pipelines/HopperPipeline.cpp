//===- HopperPipeline.cpp - From level 1 to kernels for sm_90a ------------===//
#include "fovea/Conversion/AttnGpuToNVVM/AttnGpuToNVVM.h"
#include "fovea/Conversion/AttnToOnline/AttnToOnline.h"
#include "fovea/Conversion/OnlineToAttnGpu/OnlineToAttnGpu.h"
#include "fovea/Dialect/Attn/Transforms/Passes.h"
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h"
#include "fovea/Pipelines/Pipelines.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace fovea;
using namespace mlir;

static void simplify(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void fovea::addAttnToAttnGpuPasses(OpPassManager &passes,
                                   const HopperCompileOptions &options,
                                   llvm::ArrayRef<std::string> params) {
  attn::AttnBindParamsOptions bind;
  llvm::append_range(bind.params, params);
  passes.addPass(attn::createAttnBindParams(bind));
  simplify(passes);
  ConvertAttnToOnlineOptions convert;
  convert.target = "sm_90a";
  convert.schedule = options.schedule;
  convert.perBatch = options.perBatch;
  passes.addPass(createConvertAttnToOnline(convert));
  passes.addPass(attn::createAttnVerifyLowered());
  simplify(passes);
  passes.addPass(createConvertOnlineToAttnGpu());
  simplify(passes);
  OpPassManager &functions = passes.nest<func::FuncOp>();
  functions.addPass(attn_gpu::createAttnGpuSplitRoles());
  functions.addPass(createCSEPass());
  functions.addPass(attn_gpu::createAttnGpuFlattenStream());
  simplify(functions);
  functions.addPass(attn_gpu::createAttnGpuClassifyUniform());
  simplify(functions);
  functions.addPass(attn_gpu::createAttnGpuPlaceAwaits());
  functions.addPass(attn_gpu::createAttnGpuNarrowEdges());
  functions.addPass(attn_gpu::createAttnGpuBudget());
}

llvm::LogicalResult
fovea::lowerAttnToNVVM(ModuleOp module, const HopperCompileOptions &options) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  addAttnToAttnGpuPasses(passes, options);
  passes.addPass(createConvertAttnGpuToNVVMPass());
  return passes.run(module);
}
