//===- GpuPipeline.h - Variants lowered to level 3 and run ----------------===//
//
// A variant is lowered for sm_90a and run at level 3 after every step, its
// roles in several orders; the judge compares the results with level 1. Without
// data all orders of the roles are explored for few blocks a tile.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_TEST_UNIT_INTERPRETER_GPUPIPELINE_H
#define FOVEA_TEST_UNIT_INTERPRETER_GPUPIPELINE_H

#include "OnlineTestSupport.h"
#include "TestLaunch.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Interpreter/GpuInterpreter.h"
#include "fovea/Interpreter/Judge.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

namespace fovea::test {

/// What runs from one check to the next.
inline const char *const kSteps[] = {
    ("attn-bind-params,canonicalize,cse,"
     "convert-attn-to-online{target=sm_90a},canonicalize,cse,"
     "convert-online-to-attn-gpu,canonicalize,cse"),
    "func.func(attn-gpu-split-roles,cse)",
    "func.func(attn-gpu-flatten-stream,canonicalize,cse)",
    "func.func(attn-gpu-place-awaits)",
    "func.func(attn-gpu-classify-uniform,canonicalize,cse,"
    "attn-gpu-narrow-edges,attn-gpu-budget)"};

class GpuPipeline : public OnlineTest {
protected:
  GpuPipeline() {
    static bool registered = [] {
      registerPasses();
      mlir::registerTransformsPasses();
      return true;
    }();
    (void)registered;
    context.printOpOnDiagnostic(false);
  }

  bool lower(llvm::StringRef passes) {
    mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
    std::string errors;
    llvm::raw_string_ostream os(errors);
    if (failed(mlir::parsePassPipeline(passes, manager, os))) {
      ADD_FAILURE() << passes.str() << ": " << errors;
      return false;
    }
    return succeeded(manager.run(*module));
  }

  static Shape shapeOf(int64_t M, int64_t N, int64_t D, int64_t H = 2,
                       int64_t Hk = 1, int64_t B = 1) {
    return {B, H, Hk, M, N, D, D};
  }

  /// The launch in 16-bit inputs.
  static void narrow(TestLaunch &launch, DType type) {
    const Shape &s = launch.shape;
    launch.program.dtype = type;
    launch.program.returnLse = launch.view.lse.has_value();
    launch.view.queries = {launch.random({s.B, s.H, s.M, s.D}, type)};
    launch.view.keys = {launch.random({s.B, s.Hk, s.N, s.D}, type)};
    launch.view.value = launch.random({s.B, s.Hk, s.N, s.E}, type);
    launch.view.out = launch.tensor({s.B, s.H, s.M, s.E}, type);
    if (launch.view.lse)
      launch.view.lse = launch.tensor({s.B, s.H, s.M}, DType::F32);
  }

  void build(TestLaunch &launch) {
    auto built = buildAttnModule(launch.program, context);
    ASSERT_TRUE(bool(built)) << llvm::toString(built.takeError());
    module = std::move(*built);
    reference.reset();
  }

  static void poison(const TensorView &tensor) {
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.storeFloat(i, NAN);
  }

  bool interpret(TestLaunch &launch, GpuOptions options) {
    const Shape &s = launch.shape;
    options.sizes = {s.B, s.H, s.Hk, s.M, s.N, s.D, s.E};
    // Any order of batches will do.
    for (int64_t b = s.B; b-- > 0;)
      options.batches.push_back(b);
    auto function =
        module->lookupSymbol<mlir::func::FuncOp>(launch.program.name);
    return succeeded(interpretGpu(function, launchArguments(launch.view),
                                  options, &summary));
  }

  void expectRight(TestLaunch &launch, const GpuOptions &options,
                   const std::string &when) {
    poison(launch.view.out);
    if (launch.view.lse)
      poison(*launch.view.lse);
    messages.clear();
    ASSERT_TRUE(interpret(launch, options)) << when << ": " << messages;
    if (!reference) {
      auto computed = LaunchReference::compute(launch.program, launch.view);
      ASSERT_TRUE(bool(computed)) << llvm::toString(computed.takeError());
      reference = std::move(*computed);
    }
    LaunchJudgement judged = reference->judge(launch.view);
    EXPECT_TRUE(judged.out.passed) << when << ": " << judged.out.reason;
    if (launch.view.lse)
      EXPECT_TRUE(judged.lse.passed) << when << ": " << judged.lse.reason;
  }

  std::string withSchedule(std::string passes, const std::string &schedule) {
    if (size_t at = passes.find("sm_90a}"); at != std::string::npos)
      passes.replace(at, 7,
                     std::string("sm_90a per-batch=") +
                         (perBatch ? "true" : "false") +
                         " schedule=" + schedule + "}");
    return passes;
  }

  void lowerAll(const std::string &schedule = "") {
    for (const char *passes : kSteps)
      ASSERT_TRUE(lower(withSchedule(passes, schedule))) << messages;
  }

  /// All orders of the roles at the end of the pipeline; N keys make 0, 1, …
  /// blocks a tile.
  void explore(const char *text, Shape shape, const std::string &schedule) {
    TestLaunch launch(text, shape);
    explore(launch, schedule);
  }
  void explore(TestLaunch &launch, const std::string &schedule) {
    narrow(launch, DType::BF16);
    build(launch);
    lowerAll(schedule);
    if (HasFatalFailure())
      return;
    GpuOptions options;
    options.order = GpuOrder::Exhaustive;
    options.data = false;
    options.blocks = cluster;
    options.section = cluster;
    options.eagerReaders = cluster > 1;
    EXPECT_TRUE(interpret(launch, options)) << messages;
    EXPECT_GT(summary.states, 100u);
  }

  /// Classes of tiles, row by row, for all heads of the launch.
  static void setBlocks(TestLaunch &launch, int64_t q, int64_t kv,
                        llvm::ArrayRef<int8_t> classes) {
    const Shape &s = launch.shape;
    int64_t rows = (s.M + q - 1) / q, columns = (s.N + kv - 1) / kv;
    TensorView tensor = launch.tensor({1, 1, rows, columns}, DType::I8);
    ASSERT_EQ(rows * columns, int64_t(classes.size()));
    llvm::copy(classes, static_cast<int8_t *>(tensor.data));
    tensor.sizes[0] = s.B;
    tensor.sizes[1] = s.H;
    tensor.strides[0] = tensor.strides[1] = 0;
    launch.program.blockMask = true;
    launch.view.blockClasses = tensor;
    launch.view.blockQ = q;
    launch.view.blockKV = kv;
  }

  /// All steps; after the roles have split also by chance and in several blocks
  /// of threads.
  void check(TestLaunch &launch, DType type = DType::BF16,
             const std::string &schedule = "") {
    narrow(launch, type);
    if (narrowed)
      narrowed(launch);
    build(launch);
    for (auto [index, passes] : llvm::enumerate(kSteps)) {
      ASSERT_TRUE(lower(withSchedule(passes, schedule))) << messages;
      std::string when = "step " + std::to_string(index);
      GpuOptions options;
      // Loops over tiles are not in pairs, those of roles are.
      if (index > 0)
        options.blocks = options.section = cluster;
      expectRight(launch, options, when);
      if (HasFatalFailure() || index == 0)
        continue;
      options.order = GpuOrder::Random;
      options.seed = index;
      options.blocks = 2;
      options.section = launch.shape.H;
      expectRight(launch, options, when + ", by chance");
    }
  }

  GpuSummary summary;
  /// Of the launch that was built last, whose inputs stay as they were then.
  std::optional<LaunchReference> reference;
  /// What is done to the inputs of a check.
  void (*narrowed)(TestLaunch &) = nullptr;
  /// Blocks of threads of a cluster.
  int64_t cluster = 1;
  /// Kernels read offsets and lengths.
  bool perBatch = false;
};

inline constexpr const char *kNoop = "attention noop { score = s }";
inline constexpr const char *kCausal = "attention causal { mask = q >= kv }";
inline constexpr const char *kAlibi =
    "attention alibi(slope: f32[H]) {\n"
    "  score = s - slope[h] * (q - kv)\n  mask = q >= kv\n}";
inline constexpr const char *kWindow =
    "attention window { mask = q >= kv and q - kv < 100 }";

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_INTERPRETER_GPUPIPELINE_H
