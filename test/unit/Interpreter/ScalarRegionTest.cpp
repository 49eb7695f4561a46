//===- ScalarRegionTest.cpp - Scalar regions as register programs ---------===//

#include "OnlineTestSupport.h"

#include "fovea/Dialect/Online/IR/Online.h"

using namespace fovea;
using namespace fovea::test;
using namespace mlir;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

class ScalarRegionTest : public OnlineTest {
protected:
  /// Compiles the body of a region of (i64, i64, f64, f64) that yields one
  /// value, with @f's memref argument bound to `table`.
  ScalarFrame compile(llvm::StringRef body, llvm::StringRef type) {
    parse(("func.func @f(%t: memref<?x?xf64>, %c: i64, %i: index, %x: "
           "tensor<1x1xf64>) {\n"
           "  %r = online.map tile(%i, %i) ins(%x, %x : tensor<1x1xf64>, "
           "tensor<1x1xf64>) {\n  ^bb0(%a: i64, %b: i64, %u: f64, %v: f64):\n" +
           body + "\n    online.yield %r1 : " + type + "\n  } -> tensor<1x1x" +
           type + ">\n  return\n}")
              .str());
    if (!module)
      return {};
    module->walk([&](online::MapOp map) {
      auto compiled = ScalarProgram::compile(map.getBody());
      EXPECT_TRUE(succeeded(compiled)) << messages;
      if (succeeded(compiled))
        program = std::move(*compiled);
    });
    auto getTensor = [&](Value) { return &table; };
    auto getScalar = [&](Value) { return ScalarValue::ofInt(100); };
    ScalarBindings bindings{getTensor, getScalar, &sizes};
    llvm::Expected<ScalarFrame> frame = program.bind(bindings);
    EXPECT_TRUE(bool(frame));
    return std::move(*frame);
  }

  int64_t integer(llvm::StringRef body, int64_t a, int64_t b,
                  llvm::StringRef type = "i64") {
    return compile(body, type)
        .run({ScalarValue::ofInt(a), ScalarValue::ofInt(b),
              ScalarValue::ofFloat(0), ScalarValue::ofFloat(0)})[0]
        .i;
  }
  double real(llvm::StringRef body, double u, double v) {
    return compile(body, "f64")
        .run({ScalarValue::ofInt(0), ScalarValue::ofInt(0),
              ScalarValue::ofFloat(u), ScalarValue::ofFloat(v)})[0]
        .f;
  }

  ScalarProgram program;
  ScalarSizes sizes{1, 2, 3, 4, 5, 6, 7};
  std::vector<double> data{1, 2, 3, 4, 5, 6};
  TensorView table = [this] {
    TensorView view;
    view.data = data.data();
    view.dtype = DType::F64;
    view.sizes = {2, 3};
    view.strides = {3, 1};
    return view;
  }();
};

TEST_F(ScalarRegionTest, IntegersWrap) {
  int64_t min = std::numeric_limits<int64_t>::min(), max = -(min + 1);
  EXPECT_EQ(integer("%r1 = arith.addi %a, %b : i64", max, 1), min);
  EXPECT_EQ(integer("%r1 = arith.muli %a, %b : i64", min, -1), min);
  EXPECT_EQ(integer("%r1 = attn.floordiv %a, %b", min, -1), min);
  EXPECT_EQ(integer("%r1 = attn.mod %a, %b", -7, 3), 2);
  EXPECT_EQ(integer("%r1 = attn.shl %a, %b", 1, 64), 0);
  EXPECT_EQ(integer("%r1 = attn.shr %a, %b", -5, -1), -1);
  EXPECT_EQ(integer("%r1 = math.absi %a : i64", min, 0), min);
  EXPECT_EQ(integer("%r1 = arith.minsi %a, %b : i64", -3, 2), -3);
  EXPECT_EQ(integer("%r1 = arith.xori %a, %b : i64", 12, 10), 6);
}

TEST_F(ScalarRegionTest, ComparisonsOfIntegers) {
  const char *ult = "%r1 = arith.cmpi ult, %a, %b : i64";
  EXPECT_EQ(integer(ult, 1, -1, "i1"), 1);
  EXPECT_EQ(integer("%r1 = arith.cmpi slt, %a, %b : i64", 1, -1, "i1"), 0);
  EXPECT_EQ(integer("%r1 = arith.cmpi sge, %a, %b : i64", 2, 2, "i1"), 1);
}

// i1 is held as 0 or 1, and true is -1 where an op is signed.
TEST_F(ScalarRegionTest, BoolsInArithmetic) {
  const std::string p = "%p = arith.cmpi eq, %a, %b : i64\n"
                        "%q = arith.cmpi ne, %a, %b : i64\n";
  EXPECT_EQ(integer(p + "%r1 = arith.addi %p, %p : i1", 1, 1, "i1"), 0);
  EXPECT_EQ(integer(p + "%r1 = arith.cmpi slt, %p, %q : i1", 1, 1, "i1"), 1);
  EXPECT_EQ(integer(p + "%r1 = arith.maxsi %p, %q : i1", 1, 1, "i1"), 0);
  EXPECT_EQ(integer(p + "%r1 = arith.extui %p : i1 to i64", 1, 1), 1);
  EXPECT_EQ(real(p + "%r1 = arith.uitofp %p : i1 to f64", 0, 0), 1);
  EXPECT_EQ(real(p + "%r1 = arith.sitofp %p : i1 to f64", 0, 0), -1);
}

TEST_F(ScalarRegionTest, NaNWinsInMinAndMax) {
  double nan = std::nan("");
  EXPECT_TRUE(std::isnan(real("%r1 = arith.maximumf %u, %v : f64", nan, 1)));
  EXPECT_TRUE(std::isnan(real("%r1 = arith.minimumf %u, %v : f64", 1, nan)));
  EXPECT_EQ(real("%r1 = arith.maximumf %u, %v : f64", -kInf, 1), 1);
}

TEST_F(ScalarRegionTest, ComparisonsOfFloats) {
  auto compare = [&](const std::string &predicate, double u, double v) {
    return compile("%r1 = arith.cmpf " + predicate + ", %u, %v : f64", "i1")
        .run({ScalarValue(), ScalarValue(), ScalarValue::ofFloat(u),
              ScalarValue::ofFloat(v)})[0]
        .i;
  };
  double nan = std::nan("");
  EXPECT_EQ(compare("oeq", 1, 1), 1);
  EXPECT_EQ(compare("oeq", nan, nan), 0);
  EXPECT_EQ(compare("ueq", nan, 1), 1);
  EXPECT_EQ(compare("one", nan, 1), 0);
  EXPECT_EQ(compare("une", nan, 1), 1);
  EXPECT_EQ(compare("ogt", 2, 1), 1);
  EXPECT_EQ(compare("ole", 2, 1), 0);
  EXPECT_EQ(compare("ult", nan, 1), 1);
  EXPECT_EQ(compare("ord", nan, 1), 0);
  EXPECT_EQ(compare("uno", nan, 1), 1);
}

TEST_F(ScalarRegionTest, MathOfOneArgument) {
  auto of = [&](const std::string &op, double x) {
    return real("%r1 = math." + op + " %u : f64", x, 0);
  };
  EXPECT_EQ(of("exp", -kInf), 0);
  EXPECT_DOUBLE_EQ(of("exp2", 3), 8);
  EXPECT_DOUBLE_EQ(of("log2", 8), 3);
  EXPECT_DOUBLE_EQ(of("log1p", 1e-20), 1e-20);
  EXPECT_DOUBLE_EQ(of("rsqrt", 4), 0.5);
  EXPECT_DOUBLE_EQ(of("floor", -1.5), -2);
  EXPECT_DOUBLE_EQ(of("erf", 0.5), std::erf(0.5));
  EXPECT_DOUBLE_EQ(of("tanh", 0.5), std::tanh(0.5));
  EXPECT_DOUBLE_EQ(of("absf", -2), 2);
}

TEST_F(ScalarRegionTest, ReadsAreClampedAndKept) {
  ScalarFrame frame =
      compile("%r1 = attn.read %t[%a, %b] : memref<?x?xf64> -> f64", "f64");
  auto at = [&](int64_t a, int64_t b) {
    return frame
        .run({ScalarValue::ofInt(a), ScalarValue::ofInt(b), ScalarValue(),
              ScalarValue()})[0]
        .f;
  };
  EXPECT_EQ(at(1, 2), 6);
  EXPECT_EQ(frame.badRead(), nullptr);
  EXPECT_EQ(at(1, 3), 6);
  ASSERT_NE(frame.badRead(), nullptr);
  EXPECT_EQ(describeBadRead(*frame.badRead(), "table"),
            "'table' dimension 1: index 3 is outside 0..2");
  EXPECT_EQ(at(std::numeric_limits<int64_t>::min(), 0), 1);
  EXPECT_EQ(frame.badRead()->dim, 0u);
  EXPECT_EQ(at(0, 0), 1);
  EXPECT_EQ(frame.badRead(), nullptr);
}

TEST_F(ScalarRegionTest, AnEmptyTensorReadsAsZero) {
  table.sizes = {0, 3};
  ScalarFrame frame =
      compile("%r1 = attn.read %t[%a, %b] : memref<?x?xf64> -> f64", "f64");
  EXPECT_EQ(
      frame.run({ScalarValue(), ScalarValue(), ScalarValue(), ScalarValue()})[0]
          .f,
      0);
  EXPECT_NE(frame.badRead(), nullptr);
}

TEST_F(ScalarRegionTest, ValuesFromAbove) {
  EXPECT_EQ(integer("%r1 = attn.extent %t, 1 : memref<?x?xf64>", 0, 0), 3);
  EXPECT_EQ(integer("%r1 = attn.size N", 0, 0), 5);
  EXPECT_EQ(integer("%r1 = arith.addi %a, %c : i64", 7, 0), 107);
  EXPECT_EQ(integer("%r1 = attn.param \"W\" = 64 : i64", 0, 0), 64);
}

TEST_F(ScalarRegionTest, MarksFollowTheValuesThatCount) {
  ScalarFrame frame = compile("%p = arith.cmpi slt, %a, %b : i64\n"
                              "%s = arith.addf %v, %v : f64\n"
                              "%r1 = arith.select %p, %u, %s : f64",
                              "f64");
  auto run = [&](int64_t a, llvm::ArrayRef<uint32_t> marks) {
    (void)frame.run({ScalarValue::ofInt(a), ScalarValue::ofInt(1),
                     ScalarValue::ofFloat(1), ScalarValue::ofFloat(2)});
    return frame.carry(marks)[0];
  };
  EXPECT_EQ(run(0, {0, 0, 7, 9}), 7u);
  EXPECT_EQ(run(1, {0, 0, 7, 9}), 9u);
  EXPECT_EQ(run(1, {0, 0, 7, 0}), 0u);
  EXPECT_EQ(run(1, {0, 5, 7, 9}), 5u);
}

TEST_F(ScalarRegionTest, OtherOpsAreRefusedAtTheOp) {
  parse("func.func @f(%a: i64) -> i64 {\n"
        "  %x = arith.constant dense<1.0> : tensor<2xf64>\n"
        "  return %a : i64\n}");
  auto function = module->lookupSymbol<func::FuncOp>("f");
  EXPECT_TRUE(failed(ScalarProgram::compile(function.getBody())));
  EXPECT_NE(
      messages.find("'arith.constant' cannot be interpreted as a scalar op"),
      std::string::npos)
      << messages;
}

} // namespace
