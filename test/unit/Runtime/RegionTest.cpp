//===- RegionTest.cpp - Regions run on many points, and masks -------------===//

#include "fovea/Interpreter/MaskEvaluator.h"
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Support/TotalArithmetic.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>
#include <random>

using namespace fovea;

namespace {

constexpr int64_t least = std::numeric_limits<int64_t>::min();

/// Builds a mask or score region node by node.
struct Builder {
  Region region;
  Builder(bool score = false) {
    region.args = {"b", "h", "q", "kv"};
    if (score)
      region.args.insert(region.args.begin(), "s");
  }
  unsigned add(Node node) {
    region.nodes.push_back(std::move(node));
    return region.nodes.size() - 1;
  }
  unsigned arg(const char *name) {
    Node node;
    node.kind = NodeKind::Arg;
    node.type = getArgType(name);
    node.symbol = name;
    return add(node);
  }
  unsigned constant(int64_t value) {
    Node node;
    node.kind = NodeKind::Const;
    node.integer = value;
    return add(node);
  }
  unsigned op(NodeKind kind, std::initializer_list<unsigned> operands) {
    Node node;
    node.kind = kind;
    node.type = kind == NodeKind::Select
                    ? region.nodes[*(operands.begin() + 1)].type
                    : getSignature(kind).result;
    node.operands.assign(operands);
    return add(node);
  }
  unsigned read(unsigned capture, ValueType type,
                std::initializer_list<unsigned> operands) {
    Node node;
    node.kind = NodeKind::Read;
    node.type = type;
    node.capture = capture;
    node.operands.assign(operands);
    return add(node);
  }
};

TensorView viewOf(std::vector<int32_t> &values) {
  TensorView view;
  view.data = values.data();
  view.dtype = DType::I32;
  view.sizes = {static_cast<int64_t>(values.size())};
  view.strides = {1};
  return view;
}

int64_t evaluate(NodeKind kind, int64_t x, int64_t y) {
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  bool unary = getSignature(kind).operands.size() == 1;
  unsigned r = unary ? b.op(kind, {kv}) : b.op(kind, {q, kv});
  b.region.results = {r};
  RegionProgram program = RegionProgram::compile({}, b.region, {"kv"});
  RegionFrame frame(program, {}, {});
  frame.setInt(program.findArg("q"), x);
  frame.laneInts(program.findArg("kv"))[0] = unary ? x : y;
  frame.run(1);
  return frame.resultInt(0, 0);
}

TEST(Region, IntegersAreTotal) { // S8
  EXPECT_EQ(evaluate(NodeKind::FloorDiv, -7, 2), -4);
  EXPECT_EQ(evaluate(NodeKind::FloorDiv, 7, 0), 0);
  EXPECT_EQ(evaluate(NodeKind::FloorDiv, least, -1), least);
  EXPECT_EQ(evaluate(NodeKind::Mod, -7, 3), 2);
  EXPECT_EQ(evaluate(NodeKind::Mod, 7, -3), -2);
  EXPECT_EQ(evaluate(NodeKind::Mod, 7, 0), 0);
  EXPECT_EQ(evaluate(NodeKind::Mod, least, -1), 0);
  EXPECT_EQ(evaluate(NodeKind::Shl, 1, 64), 0);
  EXPECT_EQ(evaluate(NodeKind::Shl, 1, -1), 0);
  EXPECT_EQ(evaluate(NodeKind::Shr, -5, 99), -1);
  EXPECT_EQ(evaluate(NodeKind::Shr, -5, 1), -3);
  EXPECT_EQ(evaluate(NodeKind::IMul, least, -1), least);
  EXPECT_EQ(evaluate(NodeKind::IAdd, least, -1), -(least + 1));
  EXPECT_EQ(evaluate(NodeKind::INeg, least, 0), least);
  EXPECT_EQ(evaluate(NodeKind::IAbs, least, 0), least);
  EXPECT_EQ(evaluate(NodeKind::INot, 5, 0), -6);
}

TEST(Region, FloatToIntSaturates) { // S8
  for (auto [in, out] :
       {std::pair(1e300, std::numeric_limits<int64_t>::max()),
        std::pair(-1e300, least), std::pair(double(NAN), int64_t(0)),
        std::pair(-2.9, int64_t(-2))}) {
    Builder b(/*score=*/true);
    b.region.results = {b.op(NodeKind::ToInt, {b.arg("s")})};
    RegionProgram program = RegionProgram::compile({}, b.region, {"s"});
    RegionFrame frame(program, {}, {});
    frame.laneFloats(program.findArg("s"))[0] = in;
    frame.run(1);
    EXPECT_EQ(frame.resultInt(0, 0), out);
  }
}

/// Shared values, registers used again, uniform and varying operands mixed: a
/// random DAG of integer operations against one evaluated by hand.
TEST(Region, RandomProgramsAgreeWithOneByOneEvaluation) {
  const NodeKind kinds[] = {NodeKind::IAdd, NodeKind::ISub, NodeKind::IMul,
                            NodeKind::IMin, NodeKind::IMax, NodeKind::FloorDiv,
                            NodeKind::Mod,  NodeKind::IXor, NodeKind::Shl,
                            NodeKind::Shr};
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Builder b;
    b.arg("q");
    b.arg("kv");
    b.constant(int64_t(random() % 9) - 4);
    for (int i = 0; i < 60; ++i)
      b.op(kinds[random() % std::size(kinds)],
           {unsigned(random() % b.region.nodes.size()),
            unsigned(random() % b.region.nodes.size())});
    b.region.results = {unsigned(b.region.nodes.size() - 1)};
    RegionProgram program = RegionProgram::compile({}, b.region, {"kv"});
    RegionFrame frame(program, {}, {});
    for (int64_t q : {int64_t(-3), int64_t(12)}) {
      frame.setInt(program.findArg("q"), q);
      frame.fillIota(program.findArg("kv"), -5, 100);
      frame.run(100);
      for (unsigned lane = 0; lane < 100; ++lane) {
        std::vector<int64_t> values = {q, int64_t(lane) - 5,
                                       b.region.nodes[2].integer};
        for (size_t i = 3; i < b.region.nodes.size(); ++i) {
          const Node &node = b.region.nodes[i];
          values.push_back(evaluate(node.kind, values[node.operands[0]],
                                    values[node.operands[1]]));
        }
        ASSERT_EQ(frame.resultInt(0, lane), values.back());
      }
    }
  }
}

TEST(Region, ReadsAreClampedAndReported) { // S7
  std::vector<int32_t> table = {10, 20, 30};
  TensorView view = viewOf(table);
  Program owner;
  owner.captures.push_back({"table", DType::I32, 1, {}, std::nullopt});
  Builder b;
  b.region.results = {b.read(0, ValueType::I64, {b.arg("kv")})};
  RegionProgram program = RegionProgram::compile(owner, b.region, {"kv"});
  RegionFrame frame(program, view, {});
  frame.watchReads(true);
  frame.fillIota(program.findArg("kv"), -1, 6);
  frame.run(6);
  int64_t expected[] = {10, 10, 20, 30, 30, 30};
  for (unsigned i = 0; i < 6; ++i) {
    EXPECT_EQ(frame.resultInt(0, i), expected[i]);
    EXPECT_EQ(frame.badRead(i) != nullptr, i == 0 || i > 3) << i;
  }
  EXPECT_EQ(frame.badRead(5)->index, 4);
  EXPECT_EQ(frame.badRead(5)->extent, 3);
}

TEST(Region, NaNWinsInMinAndMax) {
  for (NodeKind kind : {NodeKind::FMin, NodeKind::FMax}) {
    Builder b(/*score=*/true);
    unsigned s = b.arg("s");
    Node zero;
    zero.kind = NodeKind::Const;
    zero.type = ValueType::F;
    b.region.results = {b.op(kind, {s, b.add(zero)})};
    RegionProgram program = RegionProgram::compile({}, b.region, {"s"});
    RegionFrame frame(program, {}, {});
    frame.laneFloats(program.findArg("s"))[0] = NAN;
    frame.run(1);
    EXPECT_TRUE(std::isnan(frame.resultFloat(0, 0)));
  }
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

Program causalDocuments() {
  Program program;
  program.captures.push_back({"doc", DType::I32, 1, {}, std::nullopt});
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned causal = b.op(NodeKind::IGe, {q, kv});
  unsigned same = b.op(NodeKind::IEq, {b.read(0, ValueType::I64, {q}),
                                       b.read(0, ValueType::I64, {kv})});
  b.region.results = {b.op(NodeKind::BAnd, {causal, same})};
  program.mask = b.region;
  return program;
}

TEST(Mask, DenseAndClassesAgreeWithTheFormula) {
  Program program = causalDocuments();
  std::vector<int32_t> doc(700);
  for (size_t i = 0; i < doc.size(); ++i)
    doc[i] = static_cast<int32_t>(i / 150);
  TensorView view = viewOf(doc);
  MaskDomain domain;
  domain.batch = 1;
  domain.heads = 2;
  domain.queries = 600;
  domain.keys = 650;
  domain.queryOffset = 20;
  MaskEvaluator evaluator(program, view, domain);
  std::vector<uint8_t> dense(2 * 600 * 650, 9);
  ASSERT_TRUE(evaluator.dense(dense.data(), {}));
  auto visible = [&](int64_t m, int64_t n) {
    return m < 600 && n < 650 && m + 20 >= n && doc[m + 20] == doc[n];
  };
  for (int64_t i = 0; i < 2 * 600 * 650; ++i)
    ASSERT_EQ(dense[i], visible(i / 650 % 600, i % 650)) << i;
  for (auto [rows, columns] :
       {std::pair(128, 128), std::pair(1, 1), std::pair(64, 300),
        std::pair(1000, 1000), std::pair(7, 13)}) {
    int64_t tm = (600 + rows - 1) / rows, tn = (650 + columns - 1) / columns;
    std::vector<int8_t> classes(2 * tm * tn, 9);
    ASSERT_TRUE(evaluator.classes(classes.data(), rows, columns, {}));
    for (int64_t t = 0; t < 2 * tm * tn; ++t) {
      int64_t m0 = t / tn % tm * rows, n0 = t % tn * columns, on = 0;
      for (int64_t m = m0; m < m0 + rows; ++m)
        for (int64_t n = n0; n < n0 + columns; ++n)
          on += visible(m, n);
      ASSERT_EQ(classes[t], on == 0 ? 0 : on == rows * columns ? 2 : 1) << t;
    }
  }
}

TEST(Mask, AScoreIsVisibleWhereItIsNotMinusInfinity) {
  Program program;
  Builder b(/*score=*/true);
  unsigned s = b.arg("s"), q = b.arg("q"), kv = b.arg("kv");
  Node infinity;
  infinity.kind = NodeKind::Const;
  infinity.type = ValueType::F;
  infinity.real = -HUGE_VAL;
  unsigned off = b.add(infinity);
  b.region.results = {
      b.op(NodeKind::Select, {b.op(NodeKind::IGe, {q, kv}), s, off})};
  program.score = b.region;
  MaskDomain domain;
  domain.queries = domain.keys = 9;
  MaskEvaluator evaluator(program, {}, domain);
  std::vector<uint8_t> dense(81);
  ASSERT_TRUE(evaluator.dense(dense.data(), {}));
  for (int i = 0; i < 81; ++i)
    EXPECT_EQ(dense[i], i / 9 >= i % 9);
}

TEST(Mask, NoMaskIsFullButForTheTails) {
  MaskDomain domain;
  domain.queries = 3;
  domain.keys = 5;
  MaskEvaluator evaluator({}, {}, domain);
  int8_t classes[4];
  ASSERT_TRUE(evaluator.classes(classes, 2, 4, {}));
  int8_t expected[] = {2, 1, 1, 1};
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(classes[i], expected[i]);
  domain.queries = 0;
  EXPECT_TRUE(MaskEvaluator({}, {}, domain).classes(nullptr, 2, 4, {}));
}

} // namespace
