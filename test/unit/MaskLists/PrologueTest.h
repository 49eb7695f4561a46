//===- PrologueTest.h - What runs ahead of a kernel -------------*- C++ -*-===//
//
// On the host, without a GPU.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TEST_UNIT_MASKLISTS_PROLOGUETEST_H
#define FOVEA_TEST_UNIT_MASKLISTS_PROLOGUETEST_H

#include "../Interpreter/TestLaunch.h"
#include "KernelEmulator.h"

#include "fovea/Frontend/AttnModule.h"
#include "fovea/Pipelines/Pipelines.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Target/NVVM/Manifest.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <array>

namespace fovea::test {

class PrologueTest : public testing::Test {
protected:
  PrologueTest() {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
  }

  /// The kernels that run ahead of a program's; false where there are none.
  bool compile(Program program, const std::string &schedule = "") {
    program.dtype = DType::BF16;
    program.headDims = {64};
    program.valueDim = 64;
    program.returnLse = false;
    auto built = buildAttnModule(program, context);
    EXPECT_TRUE(bool(built)) << llvm::toString(built.takeError());
    HopperCompileOptions options;
    options.schedule = schedule;
    if (failed(lowerAttnToNVVM(**built, options))) {
      ADD_FAILURE() << "does not lower";
      return false;
    }
    std::string text;
    (*built)->walk([&](mlir::LLVM::LLVMFuncOp function) {
      if (auto found =
              function->getAttrOfType<mlir::StringAttr>("fovea.manifest"))
        text = found.str();
    });
    auto parsed = parseManifest(text);
    EXPECT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
    manifest = std::move(*parsed);
    kernels.clear();
    for (const KernelPrologue &kernel : manifest.before)
      if (!llvm::StringRef(kernel.symbol).ends_with("_sign"))
        kernels.push_back(kernel.symbol);
    if (kernels.empty())
      return false;
    auto compiled = KernelEmulator::compile(**built, kernels);
    EXPECT_TRUE(bool(compiled)) << llvm::toString(compiled.takeError());
    if (!compiled)
      return false;
    emulator = std::move(*compiled);
    return true;
  }

  /// Runs them. A launch's tensors have no memory but captures and the classes
  /// of a block mask.
  void run(const TestLaunch &launch) {
    LaunchValues values = valuesOf(launch);
    scratch.assign((manifest.scratch.evaluate(values) + 15) / 16 + 1,
                   {untouched, untouched, untouched, untouched});
    auto base = reinterpret_cast<uint64_t>(scratch.data());
    grid = manifest.before.back().grid.evaluate(values);
    for (const KernelPrologue &kernel : manifest.before) {
      if (!llvm::is_contained(kernels, kernel.symbol))
        continue;
      std::vector<uint64_t> arguments;
      for (const KernelArgument &argument : kernel.arguments) {
        bool isScratch = argument.kind == KernelArgument::Kind::Scratch;
        bool isPointer = argument.kind == KernelArgument::Kind::Pointer;
        uint64_t value = isPointer
                             ? uint64_t(values.tensors[argument.tensor].address)
                             : uint64_t(argument.value.evaluate(values));
        arguments.push_back(isScratch ? base + value : value);
      }
      std::string problem =
          emulator->run(kernel.symbol, kernel.grid.evaluate(values),
                        kernel.threads, arguments);
      ASSERT_EQ(problem, "");
    }
    EXPECT_EQ(scratch.back()[0], untouched) << "written behind its end";
  }

  const int32_t *words() const {
    return reinterpret_cast<const int32_t *>(scratch.data());
  }

  mlir::MLIRContext context;
  KernelManifest manifest;
  std::unique_ptr<KernelEmulator> emulator;
  /// Blocks of threads of the kernel that ran last.
  int64_t grid = 0;

private:
  static LaunchValues valuesOf(const TestLaunch &launch) {
    const Shape &s = launch.shape;
    LaunchValues values;
    int64_t sizes[] = {s.B,
                       s.H,
                       s.Hk,
                       s.M,
                       s.N,
                       64,
                       64,
                       132,
                       launch.view.blockQ,
                       launch.view.blockKV,
                       1};
    std::copy(std::begin(sizes), std::end(sizes), values.sizes);
    values.tensors.resize(FirstCapture);
    auto describe = [](LaunchValues::Tensor &tensor, const TensorView &view) {
      tensor.address = reinterpret_cast<int64_t>(view.data);
      tensor.sizes.assign(view.sizes.begin(), view.sizes.end());
      tensor.strides.assign(view.strides.begin(), view.strides.end());
    };
    if (launch.view.blockClasses)
      describe(values.tensors[BlockMaskTensor], *launch.view.blockClasses);
    for (const TensorView &capture : launch.view.captures)
      describe(values.tensors.emplace_back(), capture);
    return values;
  }

  static constexpr int32_t untouched = 0x5a5a5a5a;
  std::vector<std::string> kernels;
  /// With 16 bytes more than asked for.
  std::vector<std::array<int32_t, 4>> scratch;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_MASKLISTS_PROLOGUETEST_H
