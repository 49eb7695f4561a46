//===- MaskListsTest.cpp - Lists of masks that GPUs make for themselves ---===//
//
// The kernels that run ahead of attention under a mask without a closed form,
// on the host, against the mask's own points: lists are exact, ranges sound.
//
//===----------------------------------------------------------------------===//

#include "../Analysis/RandomMask.h"
#include "PrologueTest.h"

#include "fovea/Interpreter/RegionEvaluator.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <set>

using namespace fovea;
using namespace fovea::test;

namespace {

/// Elements of a row of tiles, by their first keys.
struct Row {
  std::vector<int64_t> whole, others;
};

/// A launch's lists as the kernel that attends reads them: how many are whole,
/// how many there are, two words on a range (the first negative: none), then
/// the elements.
class Lists {
public:
  Lists(const int32_t *words, int64_t pitch, int64_t step)
      : words(words), pitch(pitch), step(step) {}

  bool isRange(int64_t row) const { return at(row)[2] >= 0; }
  Row get(int64_t row) const {
    const int32_t *word = at(row);
    Row out;
    for (int64_t i = 0; i < word[1]; ++i)
      (i < word[0] ? out.whole : out.others).push_back(element(word, i));
    return out;
  }

private:
  const int32_t *at(int64_t row) const { return words + row * pitch; }
  int64_t element(const int32_t *word, int64_t i) const {
    if (word[2] < 0)
      return word[4 + i];
    if (i < word[0])
      return word[3] + i * step;
    int64_t place = word[2] + (i - word[0]) * step;
    return place >= word[3] ? place + word[0] * step : place;
  }

  const int32_t *words;
  int64_t pitch, step;
};

class MaskLists : public PrologueTest {
protected:
  Lists lists(int64_t plane) const {
    int64_t elements = (keys() + step - 1) / step;
    int64_t pitch = 5 + std::min<int64_t>(elements, 512);
    return {words() + plane * rows() * pitch, pitch, step};
  }
  int64_t keys() const { return shape.N; }
  int64_t rows() const { return (shape.M + tileRows - 1) / tileRows; }

  /// All rows against the mask's points.
  void check(TestLaunch &launch, const std::string &schedule = "") {
    if (!compile(launch.program, schedule))
      return;
    ++checked;
    shape = launch.shape;
    readTiles();
    run(launch);
    if (HasFatalFailure())
      return;
    // Planes of batches and heads that the mask tells apart. (In these shapes B
    // is no multiple of H.)
    int64_t planes = grid / rows();
    int64_t heads = planes % shape.H == 0 ? shape.H : 1;
    for (int64_t b = 0; b < shape.B; ++b)
      for (int64_t h = 0; h < shape.H; ++h)
        checkPlane(launch, b, h,
                   lists(b % (planes / heads) * heads + h % heads));
  }

  void readTiles() {
    auto value = llvm::json::parse(manifest.text);
    ASSERT_TRUE(bool(value));
    const llvm::json::Object *tile = value->getAsObject()->getObject("tile");
    tileRows = *tile->getInteger("m");
    step = *tile->getInteger("n");
  }

  void checkPlane(TestLaunch &launch, int64_t b, int64_t h, Lists found) {
    RegionSizes sizes{shape.B, shape.H, shape.Hk, shape.M, shape.N, 64, 64};
    RegionProgram compiled =
        RegionProgram::compile(launch.program, *launch.program.mask, {"kv"});
    RegionFrame frame(compiled, launch.view.captures, sizes);
    frame.setInt(compiled.findArg("b"), b);
    frame.setInt(compiled.findArg("h"), h);
    for (int64_t row = 0; row < rows(); ++row) {
      Row exact = classify(compiled, frame, row), given = found.get(row);
      std::string where = "batch " + std::to_string(b) + ", head " +
                          std::to_string(h) + ", row " + std::to_string(row);
      if (!found.isRange(row)) {
        ASSERT_EQ(given.whole, exact.whole) << where;
        ASSERT_EQ(given.others, exact.others) << where;
        continue;
      }
      ++ranges;
      std::set<int64_t> all(given.whole.begin(), given.whole.end());
      all.insert(given.others.begin(), given.others.end());
      ASSERT_EQ(all.size(), given.whole.size() + given.others.size()) << where;
      for (int64_t key : given.whole)
        ASSERT_TRUE(llvm::is_contained(exact.whole, key)) << where;
      for (const auto &list : {exact.whole, exact.others})
        for (int64_t key : list)
          ASSERT_TRUE(all.count(key)) << where << ", key " << key;
    }
  }

  Row classify(const RegionProgram &compiled, RegionFrame &frame, int64_t row) {
    int64_t elements = (keys() + step - 1) / step;
    std::vector<int64_t> visible(elements);
    int64_t first = row * tileRows, end = std::min(first + tileRows, shape.M);
    for (int64_t m = first; m < end; ++m) {
      frame.setInt(compiled.findArg("q"), m);
      for (int64_t n = 0; n < keys(); n += RegionFrame::lanes) {
        auto count =
            unsigned(std::min<int64_t>(RegionFrame::lanes, keys() - n));
        frame.fillIota(compiled.findArg("kv"), n, count);
        frame.run(count);
        for (unsigned lane = 0; lane < count; ++lane)
          visible[(n + lane) / step] += frame.resultInt(0, lane);
      }
    }
    Row out;
    for (int64_t i = 0; i < elements; ++i)
      if (visible[i] == (end - first) * step)
        out.whole.push_back(i * step);
      else if (visible[i] > 0)
        out.others.push_back(i * step);
    return out;
  }

  int64_t tileRows = 0, step = 0;
  Shape shape;
  int checked = 0, ranges = 0;
};

/// Captures of the sizes that their dims name, in their ranges: sorted values,
/// or any.
void fillCaptures(TestLaunch &launch, bool sorted, unsigned seed) {
  std::mt19937 random(seed);
  const Shape &s = launch.shape;
  for (const Capture &capture : launch.program.captures) {
    std::vector<int64_t> sizes;
    for (unsigned dim = 0; dim < capture.rank; ++dim) {
      Dim named = dim < capture.dims.size() ? capture.dims[dim] : Dim();
      sizes.push_back(named.size == "H"   ? s.H
                      : named.size == "B" ? s.B
                      : named.value > 0   ? named.value
                                          : std::max(s.M, s.N));
    }
    TensorView tensor = launch.tensor(sizes, capture.dtype);
    bool isFloat = capture.dtype == DType::F32;
    int64_t high = 7;
    if (capture.range)
      high = capture.range->second.size.empty() ? capture.range->second.value
                                                : s.N;
    int64_t count = tensor.numElements();
    int64_t last = sizes.empty() ? 1 : sizes.back();
    for (int64_t i = 0; i < count; ++i) {
      if (isFloat)
        tensor.storeFloat(i, int(random() % 100) / 8.0 - 6);
      else if (sorted)
        tensor.storeInt(i, (i % last) * high / last);
      else
        tensor.storeInt(i, random() % high);
    }
    launch.view.captures.push_back(tensor);
  }
}

TEST_F(MaskLists, OfTheZooAreExact) {
  std::error_code error;
  int files = 0;
  for (llvm::sys::fs::directory_iterator it(FOVEA_ZOO_MASKS, error), end;
       it != end && !error; it.increment(error)) {
    if (llvm::sys::path::extension(it->path()) != ".attn")
      continue;
    ++files;
    SCOPED_TRACE(it->path());
    auto text = llvm::MemoryBuffer::getFile(it->path());
    ASSERT_TRUE(bool(text));
    for (bool sorted : {true, false}) {
      TestLaunch launch((*text)->getBuffer(), {2, 3, 1, 300, 500, 4, 4});
      fillCaptures(launch, sorted, 5);
      check(launch);
      if (HasFatalFailure())
        return;
    }
  }
  EXPECT_GE(files, 20);
  EXPECT_GE(checked, 24); // the others have closed forms
}

TEST_F(MaskLists, OfRandomMasksAreExact) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Tables tables(random);
    auto upTo = [&](int64_t most) { return 1 + int64_t(random() % most); };
    TestLaunch launch("attention random { mask = true }",
                      {1, 2, 1, upTo(250), upTo(400), 4, 4});
    launch.program.captures = tables.captures;
    launch.program.mask =
        RandomRegion(random, RegionKind::Mask).make(/*onlyIntegers=*/true);
    canonicalize(launch.program);
    launch.view.captures.assign(tables.views.begin(), tables.views.end());
    check(launch, "groups=1,n=64");
    if (HasFatalFailure())
      return;
  }
  EXPECT_GE(checked, 35); // the others have closed forms
}

/// Values of a capture of one dimension, by position.
template <typename F>
TensorView table(TestLaunch &launch, DType type, int64_t size, F value) {
  TensorView tensor = launch.tensor({size}, type);
  for (int64_t i = 0; i < size; ++i)
    if (isFloat(type))
      tensor.storeFloat(i, value(i));
    else
      tensor.storeInt(i, value(i));
  return tensor;
}

TEST_F(MaskLists, TakeFloatsThatAreNone) {
  TestLaunch launch(R"(attention floats(x: f32[S], y: f32[S]) {
    let far = x[q] * y[kv] - x[kv] / (1 + y[q] * y[q]) > 0.5
    mask = exp(-abs(x[q] - x[kv])) < 0.7 and far or y[kv] == y[q]
  })",
                    {1, 1, 1, 300, 900, 4, 4});
  auto special = [](int64_t i, double value) {
    return i == 200 ? NAN : i == 420 ? HUGE_VAL : i == 650 ? -HUGE_VAL : value;
  };
  launch.view.captures = {
      table(launch, DType::F32, 900,
            [&](int64_t i) { return special(i, i / 64 % 7 - 2.25); }),
      table(launch, DType::F32, 900,
            [&](int64_t i) { return special(i + 37, i / 100 % 5 - 2.0); })};
  check(launch);
  EXPECT_EQ(checked, 1);
}

TEST_F(MaskLists, TakeIntegersAtTheirEnds) {
  TestLaunch launch(R"(attention ends(x: i64[S]) {
    mask = x[q] - x[kv] < 3 or x[q] * x[kv] == 9 or abs(x[q] + x[kv]) < 5
  })",
                    {1, 1, 1, 200, 700, 4, 4});
  launch.view.captures = {table(launch, DType::I64, 700, [](int64_t i) {
    constexpr int64_t values[] = {INT64_MIN, -3, INT64_MAX,
                                  3,         1,  INT64_MIN + 1};
    return values[i / 110 % 6];
  })};
  check(launch);
  EXPECT_EQ(checked, 1);
}

TEST_F(MaskLists, TakeFunctionsExtentsAndShifts) {
  TestLaunch launch(R"(attention functions(x: f32[S], near: i1[T]) {
    let phase = sin(x[q]) + cos(x[kv]) / 3 + sqrt(abs(x[q])) * erf(x[kv])
    let close = phase < tanh(x[q % S]) or near[q - kv + T // 2]
    mask = close and q >> 1 != kv << 1 and log1p(abs(x[kv])) < 2.5
  })",
                    {1, 1, 1, 260, 500, 4, 4});
  launch.view.captures = {
      table(launch, DType::F32, 500,
            [](int64_t i) { return i / 130 % 3 * 7.5 + i % 130 / 1000.0; }),
      table(launch, DType::I1, 97, [](int64_t i) { return i % 3 == 0; })};
  check(launch);
  EXPECT_EQ(checked, 1);
}

TEST_F(MaskLists, OfManyKeysAreRanges) {
  TestLaunch launch(R"(attention ranges(limit: i32[S], gap: i32[S]) {
    mask = kv < limit[q] or kv >= gap[q]
  })",
                    {1, 1, 1, 300, 90000, 4, 4});
  // A row of few elements, one of a run of whole ones, one of two runs.
  launch.view.captures = {
      table(launch, DType::I32, 300,
            [](int64_t i) { return i < 128 ? 900 + i : 66000 + i; }),
      table(launch, DType::I32, 300,
            [](int64_t i) { return i < 256 ? 90000 : 80003; })};
  check(launch, "groups=2,n=128");
  EXPECT_EQ(ranges, 2);
  Lists found = lists(0);
  EXPECT_EQ(found.get(1).whole.size(), size_t(66128 / 128));
  EXPECT_EQ(found.get(1).others.size(), 2u);
  EXPECT_EQ(found.get(2).whole.size(), 0u);
}

TEST_F(MaskLists, AskFewPairs) {
  TestLaunch launch(R"(attention documents(doc: i32[S]) {
    mask = doc[q] == doc[kv] and 0 <= q - kv < 4096
  })",
                    {1, 1, 1, 256, 65536, 4, 4});
  launch.view.captures = {
      table(launch, DType::I32, 65536, [](int64_t i) { return i / 777; })};
  check(launch, "groups=2,n=128");
  // Two rows of 512 tiles: 32 spans, of which some are open, and their tiles.
  EXPECT_LT(emulator->votes, 200);
}

/// The last queries of a sequence, as in decoding and in shards of it: tiles
/// far from them are not looked at.
TEST_F(MaskLists, OfTheLastQueriesAreShort) {
  for (int64_t M : {1, 70, 300}) {
    SCOPED_TRACE(M);
    TestLaunch launch(R"(attention shard(doc: i32[S]) {
      let at = q + N - M
      mask = doc[at] == doc[kv] and 0 <= at - kv < 2000
    })",
                      {1, 1, 1, M, 50000, 4, 4});
    launch.view.captures = {
        table(launch, DType::I32, 50000, [](int64_t i) { return i / 1234; })};
    check(launch, "groups=1,n=64");
    ASSERT_FALSE(HasFatalFailure());
    // Of 782 tiles.
    Row last = lists(0).get(rows() - 1);
    EXPECT_LE(last.whole.size() + last.others.size(), 22u);
    EXPECT_LT(emulator->votes, 60 * rows());
  }
  EXPECT_EQ(checked, 3);
}

} // namespace
