//===- TilesFixture.h - Runs kernels of AMX tiles anywhere ------*- C++ -*-===//
//
// Objects of the usual path, loaded and run. Where the processor has no AMX its
// instructions are emulated one by one.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TEST_UNIT_RUNTIME_TILESFIXTURE_H
#define FOVEA_TEST_UNIT_RUNTIME_TILESFIXTURE_H

#include "../Interpreter/TestLaunch.h"
#include "TileEmulator.h"
#include "fovea/Interpreter/Judge.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Driver.h"
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Target/CPU/JIT.h"

#include <map>
#include <memory>

namespace fovea::test {

inline constexpr const char *kTilesTarget =
    "x86-64-v4+avx512bf16+amx-tile+amx-bf16";

inline constexpr const char *kPlain = "attention plain {\n}";
inline constexpr const char *kCausal =
    "attention causal {\n  mask = q >= kv\n}";

class TilesFixture : public ::testing::Test {
protected:
  void SetUp() override {
    auto target = resolveCPUTarget(kTilesTarget, /*mustRun=*/true);
    if (target)
      return;
    llvm::consumeError(target.takeError());
    auto rest = resolveCPUTarget("x86-64-v4+avx512bf16", /*mustRun=*/true);
    if (!rest) {
      llvm::consumeError(rest.takeError());
      GTEST_SKIP() << "AMX kernels need AVX512-BF16 beside it";
    }
    emulator.emplace();
  }

  static void poison(const TensorView &tensor) {
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.storeFloat(i, NAN);
  }

  /// The launch in bf16; results are NaN before they are computed.
  static void narrow(TestLaunch &launch) {
    const Shape &s = launch.shape;
    launch.program.dtype = DType::BF16;
    auto &normalizer = launch.program.normalizer;
    launch.program.returnLse = !normalizer || normalizer->denom;
    LaunchView &view = launch.view;
    view.queries = {launch.random({s.B, s.H, s.M, s.D}, DType::BF16)};
    view.keys = {launch.random({s.B, s.Hk, s.N, s.D}, DType::BF16)};
    view.value = launch.random({s.B, s.Hk, s.N, s.E}, DType::BF16);
    view.out = launch.tensor({s.B, s.H, s.M, s.E}, DType::BF16);
    view.lse.reset();
    if (launch.program.returnLse)
      view.lse = launch.tensor({s.B, s.H, s.M}, DType::F32);
    poison(view.out);
    if (view.lse)
      poison(*view.lse);
  }

  /// Rows of the only head's keys and values lie 80 columns apart, with garbage
  /// between.
  static void layApart(TestLaunch &launch) {
    constexpr int64_t columns = 80;
    for (TensorView *rows : {&launch.view.keys[0], &launch.view.value}) {
      int64_t keys = rows->sizes[2], dim = rows->sizes[3];
      TensorView wide = launch.tensor({1, 1, keys, columns}, DType::BF16);
      poison(wide);
      for (int64_t n = 0; n < keys; ++n)
        for (int64_t d = 0; d < dim; ++d)
          wide.storeFloat(n * columns + d, rows->loadFloat(n * dim + d));
      wide.sizes[3] = dim;
      *rows = wide;
    }
  }

  virtual void prepare(TestLaunch &launch) { narrow(launch); }

  llvm::Expected<KernelCode>
  makeCode(const Program &program, llvm::StringRef schedule, KernelForm form) {
    std::string key = canonicalKey(program) + schedule.str() + " " +
                      std::to_string(form.index());
    if (auto it = known.find(key); it != known.end())
      return it->second;
    auto target = resolveCPUTarget(kTilesTarget, /*mustRun=*/false);
    if (!target)
      return target.takeError();
    auto artifact = compileProgram(program, *target, schedule, form);
    if (!artifact)
      return artifact.takeError();
    remarks = artifact->remarks;
    auto code = loadObject({artifact->object, "tiles"}, program.name);
    if (!code)
      return code.takeError();
    KernelCode &made = known[key];
    made.plan = (*code)->plan;
    made.run = (*code)->run;
    made.itemRows = artifact->itemRows;
    made.scansKeys = artifact->scansKeys;
    made.otherItems = form.fewQueries;
    loaded.push_back(std::move(*code));
    return made;
  }

  void check(TestLaunch &launch, llvm::StringRef schedule = "") {
    auto code = makeCode(launch.program, schedule, form);
    ASSERT_TRUE(bool(code)) << llvm::toString(code.takeError());
    llvm::Error error = runKernel(launch.view, *code, [&]() {
      ++exactCalls;
      KernelForm exact;
      exact.exact = true;
      return makeCode(launch.program, schedule, exact);
    });
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    EXPECT_FALSE(TileEmulator::isConfigured());
    expectRight(launch);
  }

  static void expectRight(TestLaunch &launch) {
    LaunchView view = launch.view;
    std::optional<GatheredPages> whole;
    if (view.pageLength) {
      auto gathered = GatheredPages::make(view);
      ASSERT_TRUE(bool(gathered)) << llvm::toString(gathered.takeError());
      view = whole.emplace(std::move(*gathered)).view;
    }
    auto judged = judgeLaunch(launch.program, view);
    ASSERT_TRUE(bool(judged)) << llvm::toString(judged.takeError());
    EXPECT_TRUE(judged->out.passed) << judged->out.reason;
    if (launch.view.lse)
      EXPECT_TRUE(judged->lse.passed) << judged->lse.reason;
  }

  void check(const char *text, Shape shape, llvm::StringRef schedule = "") {
    SCOPED_TRACE(::testing::Message()
                 << text << " H " << shape.H << " Hk " << shape.Hk << " M "
                 << shape.M << " N " << shape.N << " D " << shape.D << " E "
                 << shape.E << " " << schedule.str());
    TestLaunch launch(text, shape);
    prepare(launch);
    int64_t before = TileEmulator::countProducts();
    check(launch, schedule);
    if (emulator)
      EXPECT_GT(TileEmulator::countProducts(), before);
    EXPECT_EQ(exactCalls, 0);
  }

  KernelForm form; // of the fast kernels
  std::optional<TileEmulator> emulator;
  std::vector<std::unique_ptr<LoadedCode>> loaded;
  std::map<std::string, KernelCode> known;
  std::string remarks; // of the kernel compiled last
  int exactCalls = 0;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_RUNTIME_TILESFIXTURE_H
