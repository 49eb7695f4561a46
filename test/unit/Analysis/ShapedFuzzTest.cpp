//===- ShapedFuzzTest.cpp - Masks as people write them --------------------===//
//
// FuzzTest makes regions of anything; what it makes of everything at once is
// seldom a mask. These are built of what masks are made of, and what they hold
// is counted, so that nothing falls out of the generator unseen.
//
//===----------------------------------------------------------------------===//
#include "AnalysisTestSupport.h"

#include "gtest/gtest.h"

#include <list>
#include <map>
#include <set>

using namespace fovea;
using namespace fovea::test;
using K = NodeKind;

namespace {

constexpr int64_t length = 48, batches = 2, heads = 3;

enum Feature : unsigned {
  DivideByConstant,
  DivideBySymbol,
  ModByConstant,
  ModBySymbol,
  PlaneIndex, ///< i // W and i % W of one i and W
  Minimum,
  Maximum,
  Absolute,
  Clamped,
  LineRead,
  NestedRead,
  HeadRead,
  BatchRead,
  HeadLineRead,
  TableRead,
  ScalarRead,
  SizeUsed,
  QueryOffset,
  KeyOffset,
  QueryLength,
  KeyLength,
  Selected,
  Negated,
  HiddenBySelect,
  HiddenBySum,
  NumFeatures
};

/// Captures: a line of positions, documents, a number a head, a batch, a line a
/// head, a table, numbers, offsets and lengths.
struct Tables {
  explicit Tables(std::mt19937 &random) : random(random) {
    auto fill = [&](size_t count, int64_t low, int64_t high) {
      std::vector<int64_t> values(count);
      for (int64_t &value : values)
        value = low + int64_t(random() % uint64_t(high - low + 1));
      return values;
    };
    add("line", fill(length, -4, length + 4), {length});
    std::vector<int64_t> documents = fill(length, 0, 5);
    if (random() % 4 != 0)
      llvm::sort(documents);
    add("documents", documents, {length});
    add("start", fill(6, 0, length), {6});
    add("byHead", fill(heads, -1, 20), {heads});
    add("byBatch", fill(batches, 0, length), {batches});
    add("headLine", fill(heads * length, 0, length), {heads, length});
    add("table", fill(length * length, 0, 3), {length, length});
    add("width", fill(1, 1, 9), {});
    add("number", fill(1, -5, length), {});
    add("qOffset", fill(batches, 0, 20), {batches});
    add("kvOffset", fill(batches, 0, 20), {batches});
    add("qLength", fill(batches, 0, length), {batches});
    add("kvLength", fill(batches, 0, length), {batches});
  }
  void add(llvm::StringRef name, std::vector<int64_t> values,
           std::initializer_list<int64_t> sizes) {
    DType dtype = random() % 3 != 0 ? DType::I32 : DType::I64;
    if (dtype == DType::I32) {
      narrow.emplace_back(values.begin(), values.end());
      views.push_back(viewOf(narrow.back(), dtype, sizes));
    } else {
      if (values.size() <= 6 && random() % 4 == 0)
        values[random() % values.size()] = extreme();
      wide.push_back(std::move(values));
      views.push_back(viewOf(wide.back(), dtype, sizes));
    }
    captures.push_back({name.str(),
                        dtype,
                        static_cast<unsigned>(sizes.size()),
                        {},
                        std::nullopt});
  }
  /// Beyond what sums of positions hold, or just within.
  int64_t extreme() {
    constexpr int64_t limits[] = {INT64_MIN, INT64_MAX, int64_t(1) << 58,
                                  -(int64_t(1) << 58), int64_t(1) << 61};
    int64_t near = int64_t(random() % 121) - 60;
    return static_cast<int64_t>(uint64_t(limits[random() % 5]) +
                                uint64_t(near));
  }
  unsigned find(llvm::StringRef name) const {
    auto it = llvm::find_if(
        captures, [&](const Capture &capture) { return capture.name == name; });
    return static_cast<unsigned>(it - captures.begin());
  }
  std::mt19937 &random;
  std::list<std::vector<int64_t>> wide;
  std::list<std::vector<int32_t>> narrow;
  std::vector<TensorView> views;
  std::vector<Capture> captures;
};

class Generator {
public:
  Generator(std::mt19937 &random, RegionKind kind, const Tables &tables)
      : random(random), tables(tables), b(kind) {
    if (kind == RegionKind::Score)
      s = b.arg("s");
    batch = b.arg("b");
    head = b.arg("h");
    q = b.arg("q");
    kv = b.arg("kv");
  }

  Region make() {
    simple = chance(3);
    unsigned visible = condition(simple ? 1 : 2 + random() % 3);
    if (random() % 3 == 0)
      visible = b.op(K::BAnd, {visible, lengths()});
    return b.finish(s ? hide(visible) : visible);
  }
  std::set<Feature> features;

private:
  bool chance(unsigned in) { return random() % in == 0; }
  unsigned found(Feature feature, unsigned node) {
    features.insert(feature);
    return node;
  }
  unsigned read(llvm::StringRef name, llvm::ArrayRef<unsigned> indices) {
    return b.read(tables.find(name), ValueType::I64, indices);
  }
  unsigned size() {
    Node node;
    node.kind = K::Size;
    node.symbol = chance(2) ? "N" : "M";
    return b.add(node);
  }
  unsigned position() {
    switch (random() % 8) {
    case 0:
      return found(QueryOffset, b.op(K::IAdd, {q, read("qOffset", {batch})}));
    case 1:
      return found(KeyOffset, b.op(K::IAdd, {kv, read("kvOffset", {batch})}));
    default:
      return chance(2) ? q : kv;
    }
  }
  /// Depends on neither position.
  unsigned uniform() {
    switch (random() % 6) {
    case 0:
      return found(HeadRead, read("byHead", {head}));
    case 1:
      return found(BatchRead, read("byBatch", {batch}));
    case 2:
      return found(ScalarRead, read("number", {}));
    case 3:
      return found(SizeUsed, size());
    default:
      return b.constant(int64_t(random() % 30) - 6);
    }
  }
  unsigned divided() {
    unsigned of = chance(2) ? position() : term(1);
    bool symbol = chance(2);
    unsigned by = symbol ? found(ScalarRead, read("width", {}))
                         : b.constant(2 + random() % 9);
    bool quotient = chance(2);
    features.insert(symbol ? (quotient ? DivideBySymbol : ModBySymbol)
                           : (quotient ? DivideByConstant : ModByConstant));
    if (!chance(3))
      return b.op(quotient ? K::FloorDiv : K::Mod, {of, by});
    // |Δ(i // W)| + |Δ(i % W)| and the like.
    unsigned y = b.op(K::FloorDiv, {of, by}), x = b.op(K::Mod, {of, by});
    features.insert({PlaneIndex, symbol ? DivideBySymbol : DivideByConstant,
                     symbol ? ModBySymbol : ModByConstant});
    return b.op(chance(2) ? K::IAdd : K::ISub, {y, x});
  }
  unsigned captured() {
    switch (random() % 5) {
    case 0:
      return found(LineRead, read("line", {position()}));
    case 1:
      return found(NestedRead,
                   read("start", {read("documents", {position()})}));
    case 2:
      return found(HeadLineRead, read("headLine", {head, position()}));
    case 3:
      return chance(2) ? found(TableRead, read("table", {q, kv}))
                       : found(LineRead, read("documents", {position()}));
    default:
      return found(LineRead, read("documents", {chance(2) ? q : kv}));
    }
  }
  unsigned term(unsigned depth) {
    if (depth == 0)
      return chance(3) ? uniform() : position();
    unsigned x, y;
    switch (random() % 9) {
    case 0:
      return divided();
    case 1:
      return captured();
    case 2:
      x = term(depth - 1), y = term(depth - 1);
      return chance(2) ? found(Minimum, b.op(K::IMin, {x, y}))
                       : found(Maximum, b.op(K::IMax, {x, y}));
    case 3:
      return found(Absolute, b.op(K::IAbs, {term(depth - 1)}));
    case 4:
      x = b.op(K::IMax, {term(depth - 1), uniform()});
      return found(Clamped, b.op(K::IMin, {x, uniform()}));
    case 5:
      return b.op(K::Select,
                  {compare(0), term(depth - 1), found(Selected, term(0))});
    case 6:
      return b.op(K::IMul, {term(depth - 1), b.constant(random() % 5 - 2)});
    default:
      x = term(depth - 1), y = term(depth - 1);
      return b.op(chance(2) ? K::IAdd : K::ISub, {x, y});
    }
  }
  unsigned compare(unsigned depth) {
    const K kinds[] = {K::IEq, K::INe, K::ILt, K::ILe, K::IGt, K::IGe};
    // A distance and a bound, or any two.
    if (simple)
      depth = 0;
    unsigned x = chance(3) ? b.op(K::ISub, {q, kv}) : term(depth);
    unsigned y = chance(2) ? uniform() : term(depth);
    return b.op(kinds[random() % 6], {x, y});
  }
  unsigned condition(unsigned depth) {
    if (depth == 0)
      return compare(2);
    unsigned x, y;
    switch (random() % 6) {
    case 0:
      return found(Negated, b.op(K::BNot, {condition(depth - 1)}));
    case 1:
      x = chance(2) ? b.op(K::IEq, {uniform(), uniform()}) : compare(1);
      y = condition(depth - 1);
      return found(Selected, b.op(K::Select, {x, y, condition(depth - 1)}));
    case 2:
      x = condition(depth - 1), y = compare(1);
      return b.op(K::BXor, {x, y});
    default:
      x = condition(depth - 1), y = condition(depth - 1);
      return b.op(chance(2) ? K::BAnd : K::BOr, {x, y});
    }
  }
  unsigned lengths() {
    features.insert({QueryLength, KeyLength});
    return b.op(K::BAnd, {b.op(K::ILt, {q, read("qLength", {batch})}),
                          b.op(K::ILt, {kv, read("kvLength", {batch})})});
  }
  unsigned hide(unsigned visible) {
    unsigned none = b.real(-HUGE_VAL);
    unsigned score = chance(2) ? *s : b.op(K::Tanh, {*s});
    if (chance(2))
      return found(HiddenBySelect, b.op(K::Select, {visible, score, none}));
    unsigned bias = b.op(K::Select, {visible, b.real(0.5), none});
    return found(HiddenBySum, b.op(K::FAdd, {score, bias}));
  }

  std::mt19937 &random;
  const Tables &tables;
  Builder b;
  std::optional<unsigned> s;
  /// Few comparisons of positions and numbers: what has closed forms.
  bool simple = false;
  unsigned batch, head, q, kv;
};

struct Tally {
  std::map<Feature, int> features;
  int full = 0, empty = 0, partial = 0, affine = 0, fullKeys = 0, closed = 0;
};

TileClass truth(Oracle &oracle, int64_t b, int64_t h, Interval q, Interval kv) {
  bool on = false, off = false;
  for (int64_t i = q.low; i <= q.high; ++i)
    for (int64_t j = kv.low; j <= kv.high; ++j)
      (oracle.isVisible(b, h, i, j) ? on : off) = true;
  return on && off ? TileClass::Partial
         : on      ? TileClass::Full
                   : TileClass::Empty;
}

/// Sound with limits of any size, exact where polyhedra answer.
void checkClasses(MaskAnalysis &analysis, TileClass expected,
                  const MaskRectangle &tile, Tally &tally) {
  TileClass rough = analysis.classifyByBounds(tile);
  ASSERT_TRUE(rough == TileClass::Partial || rough == expected);
  TileClass found = analysis.classify(tile);
  ASSERT_TRUE(found == TileClass::Partial || found == expected);
  if (AffineMask *mask = analysis.affine())
    if (std::optional<TileClass> exact = mask->classify(tile))
      ASSERT_EQ(int(*exact), int(expected));
  ++(found == TileClass::Full    ? tally.full
     : found == TileClass::Empty ? tally.empty
                                 : tally.partial);
}

void checkRow(MaskAnalysis &analysis, Oracle &oracle, int64_t b, int64_t h,
              int64_t q) {
  AffineMask *mask = analysis.affine();
  std::optional<std::vector<Interval>> keys =
      mask ? mask->keysOf(q) : std::nullopt;
  if (!keys)
    return;
  for (int64_t j = 0; j < length; ++j)
    ASSERT_EQ(
        llvm::any_of(*keys, [&](Interval part) { return part.contains(j); }),
        oracle.isVisible(b, h, q, j))
        << "row " << q << " key " << j;
}

void check(unsigned seed, bool score, Tally &tally) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Tables tables(random);
  Program program;
  program.captures = tables.captures;
  Generator generator(random, score ? RegionKind::Score : RegionKind::Mask,
                      tables);
  Region region = generator.make();
  (score ? program.score : program.mask) = region;
  for (Feature feature : generator.features)
    ++tally.features[feature];
  RegionSizes sizes;
  sizes.B = batches;
  sizes.H = sizes.Hk = heads;
  sizes.M = sizes.N = length;
  RegionEnvironment environment;
  environment.captures = tables.views;
  environment.sizes = sizes;
  AffineLimits limits;
  if (seed % 3 == 0) { // the fall-back
    limits.buildSteps = 1 + random() % 200;
    limits.answerSteps = random() % 20000;
    limits.conjunctions = 1 + random() % 12;
  }
  MaskAnalysis analysis(program, environment, limits);
  Oracle oracle(program, region, score, tables.views, sizes);
  int64_t b = random() % batches, h = random() % heads;
  analysis.enter(b, h);
  tally.affine += analysis.affine() != nullptr;
  auto side = [&]() -> Interval {
    int64_t low = int64_t(random() % length);
    return {low, std::min<int64_t>(length - 1, low + random() % 9)};
  };
  for (int round = 0; round < 6; ++round) {
    MaskRectangle tile{side(), side()};
    ASSERT_NO_FATAL_FAILURE(checkClasses(
        analysis, truth(oracle, b, h, tile.q, tile.kv), tile, tally));
    ASSERT_NO_FATAL_FAILURE(checkRow(analysis, oracle, b, h, tile.q.low));
  }
  if (score)
    return;
  BoundsCheck bounds(program, tables.views, sizes, /*narrow=*/seed % 2 == 0);
  tally.closed += bounds.isClosedForm();
  for (int round = 0; round < 4; ++round) {
    auto result = bounds.run(oracle, random() % batches, random() % heads,
                             side(), side());
    ASSERT_EQ(result.error, "") << printProgram(program);
    tally.fullKeys += result.full;
  }
}

TEST(ShapedFuzz, ClassesRowsAndBoundsAreSound) {
  const int rounds = static_cast<int>(fuzzRounds());
  Tally tally;
  for (unsigned seed = fuzzSeed(); seed < fuzzSeed() + fuzzRounds(); ++seed)
    for (bool score : {false, true}) {
      check(seed, score, tally);
      if (HasFatalFailure())
        return;
    }
  // Nothing that is claimed falls out of the generator.
  for (unsigned feature = 0; feature < NumFeatures; ++feature)
    EXPECT_GT(tally.features[Feature(feature)], rounds / 25)
        << "feature " << feature;
  EXPECT_GT(tally.full, rounds / 2);
  EXPECT_GT(tally.empty, rounds / 2);
  EXPECT_GT(tally.partial, rounds / 2);
  EXPECT_GT(tally.affine, rounds / 10);
  EXPECT_GT(tally.closed, rounds / 20);
  EXPECT_GT(tally.fullKeys, rounds / 2);
}

} // namespace
