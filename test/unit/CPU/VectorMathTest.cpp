//===- VectorMathTest.cpp - Errors of the vector functions against libm ---===//
//
// Each function is compiled for 32- and 64-byte vectors, run on arguments from
// all of f32 at a fixed distance of bit patterns (all of them with
// FOVEA_EXHAUSTIVE=1), and compared with libm's f64 function in units of the
// last place. The bounds below are the documented errors.
//
//===----------------------------------------------------------------------===//

#include "fovea/Target/CPU/VectorMath.h"
#include "fovea/Conversion/OnlineToCPU/OnlineToCPU.h"
#include "fovea/Target/CPU/HostInfo.h"
#include "fovea/Target/CPU/JIT.h"
#include "fovea/Target/CPU/ObjectEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>

using namespace mlir;
using fovea::cpu::VectorMath;

namespace {
using Build = std::function<Value(VectorMath &, ValueRange)>;

/// A compiled elementwise function: run(inputs, first, last, outputs).
class Compiled {
public:
  Compiled(const Build &build, int64_t lanes, bool wide, unsigned arity,
           bool f64)
      : lanes(lanes) {
    context.loadDialect<arith::ArithDialect, LLVM::LLVMDialect, scf::SCFDialect,
                        vector::VectorDialect>();
    ModuleOp module = ModuleOp::create(UnknownLoc::get(&context));
    emit(module, build, wide, arity, f64);
    PassManager passes(&context, ModuleOp::getOperationName());
    fovea::buildCPUToLLVMPipeline(passes);
    if (failed(passes.run(module)))
      return;
    auto target =
        fovea::resolveCPUTarget(wide ? "x86-64-v4" : "x86-64-v3", true);
    if (!target) {
      llvm::consumeError(target.takeError());
      return;
    }
    llvm::LLVMContext llvmContext;
    auto translated = fovea::translateForCPU(module, llvmContext, *target);
    auto object =
        fovea::emitForCPU(**translated, *target, fovea::CodeKind::Object);
    code = llvm::cantFail(fovea::loadObject((*object)->getMemBufferRef(), "f"));
    module.erase();
  }
  explicit operator bool() const { return code != nullptr; }
  template <typename T> void run(const T *in, T *out, int64_t count) const {
    code->run(reinterpret_cast<const fovea_cpu_args *>(in), 0, count / lanes, 0,
              out);
  }

private:
  void emit(ModuleOp module, const Build &build, bool wide, unsigned arity,
            bool f64) {
    OpBuilder b(module.getBodyRegion());
    Location loc = module.getLoc();
    Type ptr = LLVM::LLVMPointerType::get(&context), i64 = b.getI64Type();
    auto plan = LLVM::LLVMFuncOp::create(
        b, loc, "f_plan", LLVM::LLVMFunctionType::get(i64, {ptr, ptr}));
    auto run = LLVM::LLVMFuncOp::create(
        b, loc, "f_run",
        LLVM::LLVMFunctionType::get(i64, {ptr, i64, i64, i64, ptr}));
    Value zero;
    auto finish = [&] {
      zero = arith::ConstantIntOp::create(b, loc, 0, 64);
      LLVM::ReturnOp::create(b, loc, zero);
    };
    b.setInsertionPointToStart(plan.addEntryBlock(b));
    finish();
    Block *entry = run.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    auto type =
        VectorType::get({lanes}, f64 ? Type(b.getF64Type()) : b.getF32Type());
    Value one = arith::ConstantIntOp::create(b, loc, 1, 64);
    Value many = arith::ConstantIntOp::create(b, loc, arity, 64);
    scf::ForOp::create(
        b, loc, entry->getArgument(1), entry->getArgument(2), one, {},
        [&](OpBuilder &inner, Location, Value i, ValueRange) {
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToEnd(inner.getInsertionBlock());
          SmallVector<Value> in;
          Value first = arith::MulIOp::create(b, loc, i, many);
          for (unsigned k = 0; k < arity; ++k) {
            Value address =
                LLVM::GEPOp::create(b, loc, ptr, type, entry->getArgument(0),
                                    ArrayRef<LLVM::GEPArg>{first});
            address = LLVM::GEPOp::create(b, loc, ptr, type, address,
                                          ArrayRef<LLVM::GEPArg>{int32_t(k)});
            in.push_back(LLVM::LoadOp::create(b, loc, type, address, 4));
          }
          VectorMath math(b, loc, wide ? 64 : 32);
          Value out =
              LLVM::GEPOp::create(b, loc, ptr, type, entry->getArgument(4),
                                  ArrayRef<LLVM::GEPArg>{i});
          LLVM::StoreOp::create(b, loc, build(math, in), out, 4);
          scf::YieldOp::create(b, loc);
        });
    finish();
  }

  MLIRContext context;
  int64_t lanes;
  std::unique_ptr<fovea::LoadedCode> code;
};

float fromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

/// The distance of a result from the true value in units of the last place of
/// f32, infinities counted as one step beyond the largest number.
double ulps(float got, double want) {
  if (std::isnan(want) || std::isnan(got))
    return std::isnan(want) == std::isnan(got) ? 0 : INFINITY;
  float rounded = float(want);
  if (got == rounded)
    return 0;
  if (std::isinf(got) || std::isinf(rounded))
    want = std::isinf(got) ? std::copysign(3.4028236692093846e38, got) : want;
  if (std::isinf(rounded))
    return std::fabs(got) > 3.4e38f ? 1 : INFINITY;
  int exponent;
  std::frexp(std::fabs(want), &exponent);
  double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  double value =
      std::isinf(got) ? std::copysign(3.4028236692093846e38, got) : got;
  return std::fabs(value - want) / unit;
}

/// The largest error over the bit patterns in [first, last].
void checkFunction(const char *name, const Build &build,
                   double (*reference)(double), double bound,
                   std::function<bool(float)> inDomain = nullptr) {
  bool exhaustive = std::getenv("FOVEA_EXHAUSTIVE") != nullptr;
  uint64_t step = exhaustive ? 1 : 2039;
  for (bool wide : {true, false}) {
    Compiled function(build, wide ? 16 : 8, wide, 1, false);
    if (!function)
      continue;
    double worst = 0;
    float at = 0;
    constexpr int64_t count = 4096;
    std::vector<float> in(count), out(count);
    for (uint64_t bits = 0; bits < (uint64_t(1) << 32);) {
      for (int64_t i = 0; i < count; ++i, bits += step)
        in[i] = fromBits(uint32_t(std::min<uint64_t>(bits, UINT32_MAX)));
      function.run(in.data(), out.data(), count);
      for (int64_t i = 0; i < count; ++i) {
        if (inDomain && !inDomain(in[i]))
          continue;
        double error = ulps(out[i], reference(in[i]));
        if (error > worst || std::isnan(error)) {
          worst = error;
          at = in[i];
        }
      }
    }
    EXPECT_LE(worst, bound)
        << name << (wide ? " (64 bytes)" : " (32 bytes)") << " at " << at;
    if (exhaustive)
      printf("%s %d: %.3f ulp at %a\n", name, wide ? 512 : 256, worst, at);
  }
}

#define UNARY(method) [](VectorMath &m, ValueRange v) { return m.method(v[0]); }
#define LIBM(function) [](double x) { return std::function(x); }

TEST(VectorMath, Exp2) { checkFunction("exp2", UNARY(exp2), LIBM(exp2), 1.0); }
TEST(VectorMath, Exp) { checkFunction("exp", UNARY(exp), LIBM(exp), 1.5); }
TEST(VectorMath, Log2) { checkFunction("log2", UNARY(log2), LIBM(log2), 4.0); }
TEST(VectorMath, Log) { checkFunction("log", UNARY(log), LIBM(log), 3.0); }
TEST(VectorMath, Log1p) {
  checkFunction("log1p", UNARY(log1p), LIBM(log1p), 3.5);
}
TEST(VectorMath, Tanh) { checkFunction("tanh", UNARY(tanh), LIBM(tanh), 4.0); }
/// The factor of a soft-cap goes into the function's own product.
TEST(VectorMath, TanhOfProduct) {
  checkFunction(
      "tanh", [](VectorMath &m, ValueRange v) { return m.tanh(v[0], v[0]); },
      [](double x) { return std::tanh(x * x); }, 4.5,
      [](float x) { return std::fabs(x) > 1e-18f; });
}
TEST(VectorMath, Erf) { checkFunction("erf", UNARY(erf), LIBM(erf), 3.5); }
TEST(VectorMath, Sin) { checkFunction("sin", UNARY(sin), LIBM(sin), 2); }
TEST(VectorMath, Cos) { checkFunction("cos", UNARY(cos), LIBM(cos), 2); }

/// Zero where no number is small enough, at −inf too; NaN stays.
void checkFlushes(const Build &build) {
  for (bool wide : {true, false}) {
    Compiled function(build, wide ? 16 : 8, wide, 1, false);
    if (!function)
      continue;
    std::vector<float> in = {-INFINITY, NAN,   -1e30f, -200,   -1e4f, -3e5f,
                             -1e6f,     -9e6f, -1e7f,  -1e13f, -2e13f};
    in.push_back(-std::numeric_limits<float>::max());
    in.resize(16, 0);
    std::vector<float> out(16, -1);
    function.run(in.data(), out.data(), 16);
    for (int i = 0; i < 16; ++i)
      if (i == 1)
        EXPECT_TRUE(std::isnan(out[i]));
      else
        EXPECT_EQ(out[i], i < 12 ? 0.0f : 1.0f) << in[i];
  }
}

TEST(VectorMath, Exp2NonPositiveFlushes) {
  checkFunction("exp2NonPositive", UNARY(exp2NonPositive), LIBM(exp2), 1.0,
                [](float x) { return x <= 0 && x >= -126; });
  checkFlushes(UNARY(exp2NonPositive));
}

TEST(VectorMath, Exp2Flushed) {
  checkFunction("exp2Flushed", UNARY(exp2Flushed), LIBM(exp2), 1.0,
                [](float x) { return x <= 0 && x >= -126; });
  checkFlushes(UNARY(exp2Flushed));
}

TEST(VectorMath, Exp2ByTable) {
  checkFunction("exp2ByTable", UNARY(exp2ByTable), LIBM(exp2), 1.0,
                [](float x) { return x <= 0 && x >= -126; });
  checkFlushes(UNARY(exp2ByTable));
}

/// 8.7e-5 relative are 1460 units.
TEST(VectorMath, Exp2ForPairs) {
  checkFunction("exp2ForPairs", UNARY(exp2ForPairs), LIBM(exp2), 1460,
                [](float x) { return x <= 0 && x >= -126; });
  checkFlushes(UNARY(exp2ForPairs));
}

/// Between the smallest normal number and the bound: none that is larger.
void checkBelowNormal(const Build &build) {
  for (bool wide : {true, false}) {
    Compiled function(build, wide ? 16 : 8, wide, 1, false);
    if (!function)
      continue;
    std::vector<float> in(4096), out(in.size());
    for (size_t i = 0; i < in.size(); ++i)
      in[i] = -126.0f - 2.0f * float(i + 1) / float(in.size());
    function.run(in.data(), out.data(), in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      EXPECT_GE(out[i], 0.0f) << in[i];
      EXPECT_LT(out[i], std::ldexp(1.0f, -126)) << in[i];
      if (wide && in[i] < -126.5f)
        EXPECT_EQ(out[i], 0.0f) << in[i];
    }
  }
}

TEST(VectorMath, WeightsStayBelowNormal) {
  checkBelowNormal(UNARY(exp2ByTable));
  checkBelowNormal(UNARY(exp2ForPairs));
  checkBelowNormal(UNARY(exp2Flushed));
}

/// Every pair of special and ordinary values against libm.
TEST(VectorMath, Pow) {
  std::vector<float> values = {
      0.0f, -0.0f,  1,     -1,     2,           -2,          3,
      -3,   0.5f,   -0.5f, 1.5f,   -1.5f,       INFINITY,    -INFINITY,
      NAN,  1e-40f, 1e30f, -1e30f, 16777217.0f, 0.99999994f, 1.0000001f};
  for (int i = 0; i < 200; ++i) {
    values.push_back(std::ldexp(1.0f + i * 0.00371f, (i * 37) % 60 - 30));
    values.push_back(float(i % 25 - 12));
  }
  for (bool wide : {true, false}) {
    int64_t lanes = wide ? 16 : 8;
    Compiled function(
        [](VectorMath &m, ValueRange v) { return m.pow(v[0], v[1]); }, lanes,
        wide, 2, false);
    if (!function)
      continue;
    std::vector<float> xs, ys;
    for (float x : values)
      for (float y : values) {
        xs.push_back(x);
        ys.push_back(y);
      }
    while (xs.size() % lanes) {
      xs.push_back(1);
      ys.push_back(1);
    }
    std::vector<float> in, out(xs.size());
    for (size_t i = 0; i < xs.size(); i += lanes) {
      in.insert(in.end(), xs.begin() + i, xs.begin() + i + lanes);
      in.insert(in.end(), ys.begin() + i, ys.begin() + i + lanes);
    }
    function.run(in.data(), out.data(), xs.size());
    for (size_t i = 0; i < xs.size(); ++i)
      EXPECT_LE(ulps(out[i], std::pow(double(xs[i]), double(ys[i]))), 1.0)
          << xs[i] << " ** " << ys[i] << " gives " << out[i];
  }
}

/// The softmax exponential of f64 kernels.
TEST(VectorMath, Exp2InF64) {
  for (bool wide : {true, false}) {
    Compiled function(UNARY(exp2), wide ? 8 : 4, wide, 1, true);
    if (!function)
      continue;
    std::vector<double> in, out;
    for (int i = 0; i < 80000; ++i)
      in.push_back(-1080 + i * 0.02637);
    in.insert(in.end(),
              {0.0, -INFINITY, INFINITY, NAN, -1074, 1023.5, -1e300, 1e300});
    out.resize(in.size());
    function.run(in.data(), out.data(), in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      double want = std::exp2(in[i]);
      if (std::isnan(want))
        EXPECT_TRUE(std::isnan(out[i]));
      else if (want == 0 || std::isinf(want))
        EXPECT_EQ(out[i], want) << in[i];
      else
        EXPECT_NEAR(out[i], want, 4e-16 * want + 5e-324) << in[i];
    }
  }
}
} // namespace
