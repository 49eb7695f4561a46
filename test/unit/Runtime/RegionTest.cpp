//===- RegionTest.cpp - Regions run on many points, and masks -------------===//

#include "fovea/Analysis/RegionBounds.h"
#include "fovea/Interpreter/MaskEvaluator.h"
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Support/TotalArithmetic.h"

#include "gtest/gtest.h"

#include <chrono>
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

TEST(Mask, HalvesOfTheLargestLengthsAreDecided) {
  Program program;
  Builder b;
  b.region.results = {b.op(NodeKind::IGe, {b.arg("q"), b.arg("kv")})};
  program.mask = b.region;
  MaskDomain domain;
  domain.queries = domain.keys = int64_t(1) << 62;
  MaskStatistics found;
  ASSERT_TRUE(MaskEvaluator(program, {}, domain)
                  .counts(found, int64_t(1) << 61, int64_t(1) << 61, {}));
  EXPECT_EQ(found.full, 1);
  EXPECT_EQ(found.partial, 2);
  EXPECT_EQ(found.empty, 1);
}

/// Seconds that a call takes whose caller wants no more when it is first asked.
double secondsToCancel(const Program &program, const MaskDomain &domain,
                       int64_t block) {
  int asked = 0;
  ParallelOptions options;
  options.cancelContext = &asked;
  options.shouldCancel = [](void *context) {
    ++*static_cast<int *>(context);
    return 1;
  };
  auto begin = std::chrono::steady_clock::now();
  MaskRuns runs;
  MaskStatistics found;
  EXPECT_FALSE(MaskEvaluator(program, {}, domain)
                   .runs(runs, found, block, block, options));
  EXPECT_EQ(asked, 1);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

TEST(Mask, ALongTileIsCancelled) {
  Program program;
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned product = b.op(NodeKind::IMul, {q, kv});
  unsigned mixed =
      b.op(NodeKind::IXor, {b.op(NodeKind::IXor, {product, q}), kv});
  b.region.results = {b.op(NodeKind::INe, {mixed, b.constant(12345678901)})};
  program.mask = b.region;
  MaskDomain domain;
  domain.queries = domain.keys = 1 << 18;
  EXPECT_LT(secondsToCancel(program, domain, 1 << 17), 1);
}

TEST(Mask, ManyTilesAreCancelled) {
  Program program;
  Builder b;
  unsigned q = b.arg("q"), kv = b.arg("kv");
  unsigned sum = b.op(NodeKind::IAdd, {b.op(NodeKind::IMul, {q, q}),
                                       b.op(NodeKind::IMul, {kv, kv})});
  b.region.results = {
      b.op(NodeKind::IEq,
           {b.op(NodeKind::Mod, {sum, b.constant(7)}), b.constant(0)})};
  program.mask = b.region;
  MaskDomain domain;
  domain.queries = domain.keys = 1 << 20;
  EXPECT_LT(secondsToCancel(program, domain, 128), 0.5);
}

TEST(Mask, ManyPlanesAreCancelled) {
  Program program;
  Builder b;
  b.region.results = {b.op(NodeKind::IGe, {b.arg("b"), b.arg("h")})};
  program.mask = b.region;
  MaskDomain domain;
  domain.batch = domain.heads = 1 << 14;
  domain.queries = domain.keys = 1;
  EXPECT_LT(secondsToCancel(program, domain, 1), 1);
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

TEST(Bounds, LinesGiveMinimaAndMaximaOfRanges) {
  std::mt19937 random(3);
  std::vector<int32_t> values(10000);
  for (int32_t &value : values)
    value = static_cast<int32_t>(random() % 1000000) - 500000;
  LineSummary<IntBounds> line(viewOf(values), 0, 0);
  for (int round = 0; round < 500; ++round) {
    int64_t first = random() % values.size(), last = random() % values.size();
    if (round < 100)
      last = std::min<int64_t>(first + round, values.size() - 1);
    if (first > last)
      std::swap(first, last);
    auto [low, high] =
        std::minmax_element(values.begin() + first, values.begin() + last + 1);
    IntBounds bounds = line.query(first, last);
    ASSERT_EQ(bounds.low, *low) << first << " " << last;
    ASSERT_EQ(bounds.high, *high) << first << " " << last;
  }
}

/// A random mask over integers, comparisons and a table.
Region randomMask(std::mt19937 &random) {
  const NodeKind integers[] = {
      NodeKind::IAdd, NodeKind::ISub,     NodeKind::IMul, NodeKind::IMin,
      NodeKind::IMax, NodeKind::FloorDiv, NodeKind::Mod,  NodeKind::IAnd,
      NodeKind::IOr,  NodeKind::IXor,     NodeKind::Shl,  NodeKind::Shr,
      NodeKind::INeg, NodeKind::IAbs,     NodeKind::INot};
  const NodeKind compares[] = {NodeKind::IEq, NodeKind::INe, NodeKind::ILt,
                               NodeKind::ILe, NodeKind::IGt, NodeKind::IGe};
  Builder b;
  std::vector<unsigned> ints = {b.arg("q"), b.arg("kv"), b.arg("h")}, bools;
  for (int64_t c : {-3, 0, 2, 5})
    ints.push_back(b.constant(c + int64_t(random() % 3)));
  auto pick = [&](std::vector<unsigned> &from) {
    return from[random() % from.size()];
  };
  for (int i = 0; i < 12; ++i) {
    if (random() % 4 == 0) {
      ints.push_back(b.read(0, ValueType::I64, {pick(ints)}));
    } else {
      NodeKind kind = integers[random() % std::size(integers)];
      unsigned x = pick(ints), y = pick(ints);
      ints.push_back(getSignature(kind).operands.size() == 1
                         ? b.op(kind, {x})
                         : b.op(kind, {x, y}));
    }
    bools.push_back(b.op(compares[random() % std::size(compares)],
                         {pick(ints), pick(ints)}));
  }
  for (NodeKind kind : {NodeKind::BAnd, NodeKind::BOr, NodeKind::BXor})
    bools.push_back(b.op(kind, {pick(bools), pick(bools)}));
  bools.push_back(b.op(NodeKind::BNot, {pick(bools)}));
  b.region.results = {b.op(NodeKind::BOr, {pick(bools), bools.back()})};
  return b.region;
}

TEST(Bounds, ClassesOfRandomMasksAreExact) {
  std::mt19937 random(11);
  std::vector<int32_t> table(40);
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<int32_t>(random() % 50) - 10;
  TensorView view = viewOf(table);
  int counts[3] = {0, 0, 0};
  for (int round = 0; round < 300; ++round) {
    Program program;
    program.captures.push_back({"table", DType::I32, 1, {}, std::nullopt});
    program.mask = randomMask(random);
    MaskDomain domain;
    domain.heads = 2;
    domain.queries = 45;
    domain.keys = 50;
    domain.queryOffset = int64_t(random() % 20) - 10;
    domain.keyOffset = int64_t(random() % 20) - 10;
    MaskEvaluator evaluator(program, view, domain);
    std::vector<uint8_t> dense(2 * 45 * 50);
    ASSERT_TRUE(evaluator.dense(dense.data(), {}));
    int64_t rows = 1 + random() % 9, columns = 1 + random() % 9;
    int64_t tm = (45 + rows - 1) / rows, tn = (50 + columns - 1) / columns;
    std::vector<int8_t> classes(2 * tm * tn, 9);
    ASSERT_TRUE(evaluator.classes(classes.data(), rows, columns, {}));
    for (int64_t t = 0; t < 2 * tm * tn; ++t) {
      int64_t h = t / (tm * tn), m0 = t / tn % tm * rows, n0 = t % tn * columns;
      int64_t on = 0;
      for (int64_t m = m0; m < std::min<int64_t>(m0 + rows, 45); ++m)
        for (int64_t n = n0; n < std::min<int64_t>(n0 + columns, 50); ++n)
          on += dense[(h * 45 + m) * 50 + n];
      int8_t expected = on == 0 ? 0 : on == rows * columns ? 2 : 1;
      ASSERT_EQ(classes[t], expected) << "round " << round << " tile " << t;
      ++counts[expected];
    }
  }
  for (int count : counts) // the masks are of all kinds
    EXPECT_GT(count, 1000);
}

TEST(Bounds, AMillionTokensNeedNoPoints) {
  Program program = causalDocuments();
  std::vector<int32_t> doc(1 << 20);
  for (size_t i = 0; i < doc.size(); ++i)
    doc[i] = static_cast<int32_t>(i / 65536);
  TensorView view = viewOf(doc);
  MaskDomain domain;
  domain.queries = domain.keys = 1 << 20;
  int64_t tiles = 256;
  std::vector<int8_t> classes(tiles * tiles);
  ASSERT_TRUE(MaskEvaluator(program, view, domain)
                  .classes(classes.data(), 4096, 4096, {}));
  for (int64_t t = 0; t < tiles * tiles; ++t) {
    int64_t m = t / tiles, n = t % tiles;
    ASSERT_EQ(classes[t], n > m || m / 16 != n / 16 ? 0 : n == m ? 1 : 2);
  }
}

TEST(Bounds, HugeTilesAndLengthsDoNotOverflow) {
  Program program = causalDocuments();
  std::vector<int32_t> doc = {0};
  TensorView view = viewOf(doc);
  MaskDomain domain;
  domain.queries = domain.keys = int64_t(1) << 40;
  int8_t classes[4] = {};
  ASSERT_TRUE(MaskEvaluator(program, view, domain)
                  .classes(classes, int64_t(1) << 39, INT64_MAX, {}));
  EXPECT_EQ(classes[0], 1);
  EXPECT_EQ(classes[1], 1);
}

} // namespace
