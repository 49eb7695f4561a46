//===- MaskBoundsTest.cpp - Bounds against masks evaluated point by point -===//

#include "fovea/Analysis/MaskBounds.h"
#include "fovea/Registration/Registration.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace fovea;
using namespace mlir;

namespace {
/// A mask region read from text; the values p and w come from above it.
class MaskCase {
public:
  MaskCase(StringRef body, int64_t p, int64_t w) {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    std::string text =
        "func.func @f() {\n %p = arith.constant " + std::to_string(p) +
        " : i64\n %w = arith.constant " + std::to_string(w) +
        " : i64\n %m0 = arith.constant 0 : index\n"
        "%s = online.walk.scan rows 8 step 16 at(%m0) shift(%m0) [%m0, %m0) {\n"
        "^bb0(%m: i64, %n: i64):\n" +
        body.str() + "\nonline.yield %r : i1\n}\nreturn\n}";
    module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    EXPECT_TRUE(module) << text;
    if (module)
      module->walk([&](Operation *op) {
        if (op->getName().getStringRef() == "online.walk.scan")
          region = &op->getRegion(0);
      });
  }

  /// By folding, one op after the other.
  bool holds(int64_t m, int64_t n) {
    OpBuilder builder(region->getParentOp());
    IRMapping mapping;
    Block &block = region->front();
    mapping.map(block.getArgument(0), constant(builder, m));
    mapping.map(block.getArgument(1), constant(builder, n));
    for (Operation &op : block.without_terminator()) {
      Operation *clone = builder.clone(op, mapping);
      SmallVector<Value> folded;
      if (succeeded(builder.tryFold(clone, folded)) && !folded.empty())
        mapping.map(op.getResult(0), folded[0]);
    }
    return number(mapping.lookup(block.getTerminator()->getOperand(0))) != 0;
  }

  Value constant(OpBuilder &builder, int64_t value) {
    return arith::ConstantIntOp::create(builder, builder.getUnknownLoc(), value,
                                        64);
  }
  static int64_t number(Value value) {
    APInt result;
    bool isConstant = matchPattern(value, m_ConstantInt(&result));
    EXPECT_TRUE(isConstant);
    return isConstant ? result.getSExtValue() : 0;
  }

  MLIRContext context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> module;
  Region *region = nullptr;
};

struct Span {
  int64_t begin, end;
  bool contains(int64_t n) const { return begin <= n && n < end; }
};

/// Checks soundness for all small row ranges; returns how many of the keys
/// inside the parts are seen by no row at all, over all of them.
int64_t checkBounds(MaskCase &mask, bool isClosedForm) {
  constexpr int64_t size = 12;
  bool seen[size][size];
  for (int64_t m = 0; m < size; ++m)
    for (int64_t n = 0; n < size; ++n)
      seen[m][n] = mask.holds(m, n);
  MaskBounds analysis(*mask.region, 30);
  int64_t wasted = 0;
  for (int64_t first = 0; first < size; ++first)
    for (int64_t last = first; last < size; ++last) {
      OpBuilder builder(mask.region->getParentOp());
      KeyBounds bounds = analysis.emit(
          builder, builder.getUnknownLoc(), mask.constant(builder, first),
          mask.constant(builder, last), mask.constant(builder, 1),
          mask.constant(builder, 11));
      EXPECT_EQ(bounds.isClosedForm, isClosedForm);
      std::vector<Span> parts, fulls;
      for (const KeyInterval &part : bounds.parts) {
        parts.push_back(
            {MaskCase::number(part.begin), MaskCase::number(part.end)});
        EXPECT_LE(parts.back().begin, parts.back().end);
        if (parts.size() > 1 && parts.back().begin < parts.back().end)
          EXPECT_LE(parts[parts.size() - 2].end, parts.back().begin);
        if (part.fullBegin)
          fulls.push_back({MaskCase::number(part.fullBegin),
                           MaskCase::number(part.fullEnd)});
      }
      for (int64_t n = 1; n < 11; ++n) {
        bool any = false, all = true;
        for (int64_t m = first; m <= last; ++m) {
          any |= seen[m][n];
          all &= seen[m][n];
        }
        auto within = [&](const Span &span) { return span.contains(n); };
        bool inside = llvm::any_of(parts, within);
        EXPECT_TRUE(inside || !any)
            << "rows " << first << "…" << last << ", key " << n << " is lost";
        EXPECT_TRUE(all || !llvm::any_of(fulls, within))
            << "rows " << first << "…" << last << ", key " << n
            << " is not full";
        wasted += inside && !any;
      }
    }
  return wasted;
}

struct Example {
  const char *body;
  bool isClosedForm = true;
  /// Whether the parts hold no key that no row sees.
  bool isTight = true;
};

TEST(MaskBounds, SoundAndTight) {
  const Example examples[] = {
      {"%r = arith.cmpi sge, %m, %n : i64"},
      {"%r = arith.cmpi slt, %m, %n : i64"},
      {"%r = arith.cmpi eq, %m, %n : i64"},
      {"%d = arith.subi %m, %n : i64\n %r = arith.cmpi slt, %d, %w : i64"},
      {"%d = arith.subi %m, %n : i64\n %a = math.absi %d : i64\n"
       "%r = arith.cmpi sle, %a, %w : i64"},
      {"%d = arith.subi %n, %m : i64\n %a = math.absi %d : i64\n"
       "%r = arith.cmpi sgt, %a, %w : i64",
       true, false},
      // prefix or causal
      {"%a = arith.cmpi slt, %n, %p : i64\n %b = arith.cmpi sge, %m, %n : i64\n"
       "%r = arith.ori %a, %b : i1"},
      // sinks and window
      {"%a = arith.cmpi slt, %n, %p : i64\n %b = arith.cmpi sge, %m, %n : i64\n"
       "%d = arith.subi %m, %n : i64\n %c = arith.cmpi slt, %d, %w : i64\n"
       "%e = arith.ori %a, %c : i1\n %r = arith.andi %b, %e : i1"},
      // chunks
      {"%c = arith.constant 4 : i64\n %x = attn.floordiv %m, %c\n"
       "%y = attn.floordiv %n, %c\n %r = arith.cmpi eq, %x, %y : i64"},
      {"%c = arith.constant 3 : i64\n %x = attn.floordiv %m, %c\n"
       "%d = arith.subi %n, %p : i64\n %y = attn.floordiv %d, %c\n"
       "%r = arith.cmpi sge, %y, %x : i64"},
      // coefficients
      {"%c = arith.constant 3 : i64\n %x = arith.muli %n, %c : i64\n"
       "%y = arith.subi %x, %w : i64\n %r = arith.cmpi sle, %y, %m : i64"},
      {"%c = arith.constant -2 : i64\n %x = arith.muli %n, %c : i64\n"
       "%y = arith.addi %x, %w : i64\n %r = arith.cmpi sle, %y, %m : i64"},
      {"%x = arith.maxsi %m, %p : i64\n %r = arith.cmpi sge, %x, %n : i64"},
      {"%x = arith.minsi %m, %n : i64\n %r = arith.cmpi sgt, %x, %p : i64"},
      // rows alone, and values from above alone
      {"%r = arith.cmpi sgt, %m, %p : i64"},
      {"%r = arith.cmpi sgt, %p, %w : i64"},
      {"%t = arith.constant true\n %a = arith.cmpi sge, %m, %n : i64\n"
       "%r = arith.xori %a, %t : i1"},
      {"%c = arith.cmpi slt, %m, %p : i64\n %a = arith.cmpi sge, %m, %n : i64\n"
       "%b = arith.cmpi sge, %n, %w : i64\n"
       "%r = arith.select %c, %a, %b : i1",
       false, false},
      // all keys or a window, by a value from above
      {"%a = arith.cmpi sge, %p, %w : i64\n %d = arith.subi %m, %n : i64\n"
       "%b = arith.cmpi slt, %d, %w : i64\n %c = arith.cmpi sge, %m, %n : i64\n"
       "%e = arith.ori %a, %b : i1\n %r = arith.andi %e, %c : i1"},
      // not understood: inside the bounds of the rest
      {"%c = arith.constant 3 : i64\n %d = arith.subi %m, %n : i64\n"
       "%x = attn.mod %d, %c\n %z = arith.constant 0 : i64\n"
       "%a = arith.cmpi eq, %x, %z : i64\n %b = arith.cmpi sge, %m, %n : i64\n"
       "%r = arith.andi %a, %b : i1",
       false, false},
      {"%d = arith.muli %m, %n : i64\n %r = arith.cmpi sle, %d, %w : i64",
       false, false},
      {"%a = arith.cmpi ult, %n, %m : i64\n %r = arith.andi %a, %a : i1", false,
       false},
  };
  for (const Example &example : examples)
    for (auto [p, w] : {std::pair<int64_t, int64_t>{4, 3},
                        {0, 1},
                        {9, 7},
                        {-3, -2},
                        {100, 100}}) {
      SCOPED_TRACE(std::string(example.body) + "\np = " + std::to_string(p) +
                   ", w = " + std::to_string(w));
      MaskCase mask(example.body, p, w);
      ASSERT_TRUE(mask.region);
      int64_t wasted = checkBounds(mask, example.isClosedForm);
      if (example.isTight && w >= 0)
        EXPECT_EQ(wasted, 0);
    }
}

/// Sums that wrap are not taken for sums (S8).
TEST(MaskBounds, WrappingSums) {
  constexpr int64_t big = std::numeric_limits<int64_t>::max();
  for (int64_t w : {big, big - 5, -big, -big - 1, int64_t(1) << 62})
    for (const char *body :
         {"%d = arith.subi %m, %n : i64\n %r = arith.cmpi sle, %d, %w : i64",
          "%d = arith.subi %m, %n : i64\n %r = arith.cmpi sge, %d, %w : i64"}) {
      MaskCase mask(body, 0, w);
      ASSERT_TRUE(mask.region);
      SCOPED_TRACE(w);
      EXPECT_EQ(checkBounds(mask, true), 0);
    }
  for (int64_t w : {big, big - 5, -big - 1}) {
    MaskCase mask("%d = arith.addi %n, %w : i64\n"
                  "%r = arith.cmpi sle, %d, %m : i64",
                  0, w);
    ASSERT_TRUE(mask.region);
    SCOPED_TRACE(w);
    checkBounds(mask, false);
  }
}
} // namespace
