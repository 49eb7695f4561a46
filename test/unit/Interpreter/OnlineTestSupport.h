//===- OnlineTestSupport.h - Modules and data of level 2 --------*- C++ -*-===//

#ifndef FOVEA_TEST_UNIT_INTERPRETER_ONLINETESTSUPPORT_H
#define FOVEA_TEST_UNIT_INTERPRETER_ONLINETESTSUPPORT_H

#include "../LaunchArguments.h"
#include "fovea/Registration/Registration.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

namespace fovea::test {

/// A contiguous f64 array with an index operator.
class Array {
public:
  explicit Array(std::vector<int64_t> sizes) : sizes(std::move(sizes)) {
    int64_t count = 1;
    for (int64_t size : this->sizes)
      count *= size;
    data.resize(count);
  }

  template <typename... I> double &operator()(I... index) {
    int64_t at[] = {static_cast<int64_t>(index)...};
    int64_t offset = 0;
    for (size_t dim = 0; dim < sizes.size(); ++dim)
      offset = offset * sizes[dim] + at[dim];
    return data[offset];
  }

  Array &random(unsigned seed) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    for (double &x : data)
      x = normal(engine);
    return *this;
  }

  OnlineArgument argument() {
    TensorView view;
    view.data = data.data();
    view.dtype = DType::F64;
    view.sizes.assign(sizes.begin(), sizes.end());
    view.strides.resize(sizes.size());
    int64_t stride = 1;
    for (size_t dim = sizes.size(); dim-- > 0; stride *= sizes[dim])
      view.strides[dim] = stride;
    return OnlineArgument::ofTensor(view);
  }

  std::vector<int64_t> sizes;
  std::vector<double> data;
};

/// A context with Fovea's dialects that collects the diagnostics.
class OnlineTest : public ::testing::Test {
protected:
  OnlineTest()
      : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED),
        handler(&context, [this](mlir::Diagnostic &diag) {
          messages += diag.str() + "\n";
          for (mlir::Diagnostic &note : diag.getNotes())
            messages += "note: " + note.str() + "\n";
          return mlir::success();
        }) {}

  void parse(llvm::StringRef text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module) << messages;
  }
  void parseExample(const std::string &name) {
    module =
        mlir::parseSourceFile<mlir::ModuleOp>(FOVEA_EXAMPLES + name, &context);
    ASSERT_TRUE(module) << messages;
  }

  bool run(llvm::StringRef name, llvm::ArrayRef<OnlineArgument> arguments,
           OnlineOptions options = {}) {
    auto function = module->lookupSymbol<mlir::func::FuncOp>(name);
    if (!function)
      return false;
    OnlineInterpreter interpreter(std::move(options));
    llvm::SmallVector<OnlineArgument> results;
    return mlir::succeeded(interpreter.run(function, arguments, results));
  }

  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  mlir::MLIRContext context;
  std::string messages;
  mlir::ScopedDiagnosticHandler handler;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

inline void expectNear(const Array &got, const Array &want, double tolerance) {
  ASSERT_EQ(got.data.size(), want.data.size());
  for (size_t i = 0; i < got.data.size(); ++i) {
    if (std::isinf(want.data[i]))
      EXPECT_EQ(got.data[i], want.data[i]) << "element " << i;
    else
      EXPECT_NEAR(got.data[i], want.data[i], tolerance) << "element " << i;
  }
}

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_INTERPRETER_ONLINETESTSUPPORT_H
