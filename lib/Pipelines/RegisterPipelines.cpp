//===- RegisterPipelines.cpp - Pipelines by name, for fovea-opt -----------===//

#include "fovea/Conversion/AttnGpuToNVVM/AttnGpuToNVVM.h"
#include "fovea/Conversion/OnlineToCPU/OnlineToCPU.h"
#include "fovea/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"

using namespace fovea;
using namespace mlir;

namespace {
struct CPUPipelineOptions : PassPipelineOptions<CPUPipelineOptions> {
  Option<std::string> cpu{*this, "cpu",
                          llvm::cl::desc("Processor in LLVM's spelling"),
                          llvm::cl::init("x86-64-v3")};
  Option<std::string> features{
      *this, "features",
      llvm::cl::desc("Processor features, as in \"+avx512bf16\"")};
  Option<std::string> schedule{
      *this, "schedule",
      llvm::cl::desc("Fixed entries of the schedule, as in \"m=192,n=256\"")};
  Option<bool> exact{*this, "exact",
                     llvm::cl::desc("The form that selects on v (S11)"),
                     llvm::cl::init(false)};
  Option<int> indexBits{*this, "index-bits",
                        llvm::cl::desc("Width of positions: 32 or 64"),
                        llvm::cl::init(32)};
  Option<bool> fewQueries{
      *this, "few-queries",
      llvm::cl::desc("The form for few queries and many keys"),
      llvm::cl::init(false)};
  Option<bool> paged{*this, "paged",
                     llvm::cl::desc("Keys and values are pools of pages"),
                     llvm::cl::init(false)};
  Option<bool> oneRow{*this, "one-row",
                      llvm::cl::desc("The form for one row, with few-queries"),
                      llvm::cl::init(false)};
  ListOption<std::string> params{
      *this, "params", llvm::cl::desc("Compile-time parameters, as in W=64")};

  CPUCompileOptions get() const {
    CPUCompileOptions options;
    options.cpu = cpu;
    options.features = features;
    options.schedule = schedule;
    options.exact = exact;
    options.indexBits = indexBits;
    options.fewQueries = fewQueries;
    options.paged = paged;
    options.oneRow = oneRow;
    return options;
  }
};
} // namespace

namespace {
struct HopperPipelineOptions : PassPipelineOptions<HopperPipelineOptions> {
  Option<std::string> schedule{
      *this, "schedule",
      llvm::cl::desc("Fixed entries of the schedule, as in \"n=128,pin=1\"")};
  Option<bool> perBatch{*this, "per-batch",
                        llvm::cl::desc("Read offsets and lengths per batch"),
                        llvm::cl::init(false)};
  ListOption<std::string> params{
      *this, "params", llvm::cl::desc("Compile-time parameters, as in W=64")};

  HopperCompileOptions get() const { return {schedule, perBatch}; }
};
} // namespace

void fovea::registerPipelines() {
  static PassPipelineRegistration<HopperPipelineOptions> toAttnGpu(
      "fovea-attn-gpu-pipeline",
      "Level 1 to level 3 in its role form for sm_90a",
      [](OpPassManager &passes, const HopperPipelineOptions &options) {
        addAttnToAttnGpuPasses(passes, options.get(), options.params);
      });
  static PassPipelineRegistration<HopperPipelineOptions> toNVVM(
      "fovea-sm90a-pipeline", "Level 1 to the LLVM dialect for sm_90a",
      [](OpPassManager &passes, const HopperPipelineOptions &options) {
        addAttnToAttnGpuPasses(passes, options.get(), options.params);
        passes.addPass(createConvertAttnGpuToNVVMPass());
      });
  static PassPipelineRegistration<CPUPipelineOptions> toOnline(
      "fovea-online-pipeline",
      "Level 1 to level 2 for a CPU: bind parameters, simplify, convert, check",
      [](OpPassManager &passes, const CPUPipelineOptions &options) {
        addAttnToOnlinePasses(passes, options.get(), options.params);
      });
  static PassPipelineRegistration<CPUPipelineOptions> toLLVM(
      "fovea-cpu-pipeline",
      "Level 1 to the LLVM dialect for a CPU, with the kernels' two functions",
      [](OpPassManager &passes, const CPUPipelineOptions &options) {
        addAttnToOnlinePasses(passes, options.get(), options.params);
        passes.addPass(createConvertOnlineToCPU());
        buildCPUToLLVMPipeline(passes);
      });
}
