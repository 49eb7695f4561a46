//===- BlockListsTest.cpp - Lists of block masks --------------------------===//
//
// The kernels that sort the classes of tiles ahead of attention, on the host:
// what each query tile's list says is what its rows of tiles have.
//
//===----------------------------------------------------------------------===//

#include "PrologueTest.h"

#include <map>
#include <set>

using namespace fovea;
using namespace fovea::test;

namespace {

constexpr const char *kCausal = "attention causal { mask = q >= kv }";
constexpr const char *kNoop = "attention noop {}";

/// What a row of tiles has of an element.
struct Element {
  bool isFull, isCut;
  bool isWhole() const { return isFull && !isCut; }
};
/// By their first keys.
using Elements = std::map<int64_t, Element>;

class BlockLists : public PrologueTest {
protected:
  /// Classes by chance for tiles of (q, kv), of all heads or of each.
  TestLaunch makeLaunch(const char *text, int64_t M, int64_t N, int64_t q,
                        int64_t kv, bool byHead, unsigned seed) {
    TestLaunch launch(text, {2, 3, 1, M, N, 4, 4});
    std::minstd_rand random(seed);
    int64_t planes = byHead ? 6 : 1, rows = (M + q - 1) / q,
            columns = (N + kv - 1) / kv;
    TensorView tensor = launch.tensor({2, 3, rows, columns}, DType::I8);
    for (int64_t row = 0; row < planes * rows; ++row) {
      uint32_t density = random() % 5;
      for (int64_t tile = 0; tile < columns; ++tile)
        tensor.storeInt(row * columns + tile,
                        random() % 4 < density ? 1 + random() % 2 : 0);
    }
    if (!byHead)
      tensor.strides[0] = tensor.strides[1] = 0;
    launch.program.blockMask = true;
    launch.view.blockClasses = tensor;
    launch.view.blockQ = q;
    launch.view.blockKV = kv;
    return launch;
  }

  /// Elements of `step` keys of row `row` of a plane.
  Elements elementsOf(const TestLaunch &launch, int64_t plane, int64_t row,
                      int64_t step) {
    const TensorView &classes = *launch.view.blockClasses;
    Elements found;
    if (row >= classes.sizes[2])
      return found;
    int64_t heads = launch.shape.H, N = launch.shape.N;
    int64_t first = plane / heads * classes.strides[0] +
                    plane % heads * classes.strides[1] +
                    row * classes.strides[2];
    for (int64_t n0 = 0; n0 < N; n0 += step) {
      int64_t tile = n0 / launch.view.blockKV;
      int64_t kind = classes.loadInt(first + tile * classes.strides[3]);
      bool isFull = kind == 2 || !launch.program.mask;
      if (kind != 0)
        found[n0] = {isFull, n0 + step > N};
    }
    return found;
  }

  int64_t planesOf(const TestLaunch &launch) {
    return launch.view.blockClasses->strides[0] ? 6 : 1;
  }

  void checkRows(TestLaunch &launch, int64_t step);
  void checkJoint(TestLaunch &launch, int64_t step, int64_t groups);
  std::vector<int64_t> rowsOf(const TestLaunch &launch, int64_t plane,
                              int64_t tile, int64_t tiles, int64_t step,
                              int64_t groups);
  void checkElements(const int32_t *list, llvm::ArrayRef<Elements> rows);
  void checkGroup(const int32_t *list, int64_t group, int64_t reach,
                  llvm::ArrayRef<Elements> rows);
};

/// How many are whole, how many there are, whether the last one is of a full
/// tile and cut, the elements, the length.
void BlockLists::checkRows(TestLaunch &launch, int64_t step) {
  ASSERT_TRUE(compile(launch.program, "groups=2,n=" + std::to_string(step)));
  run(launch);
  int64_t rows = launch.view.blockClasses->sizes[2];
  int64_t pitch = 4 + (launch.shape.N + step - 1) / step;
  ASSERT_EQ(grid, planesOf(launch) * rows);
  for (int64_t i = 0; i < grid; ++i) {
    SCOPED_TRACE(i);
    Elements elements = elementsOf(launch, i / rows, i % rows, step);
    std::vector<int32_t> whole, others;
    bool isCut = false;
    for (auto [n0, element] : elements) {
      (element.isWhole() ? whole : others).push_back(int32_t(n0));
      isCut |= element.isFull && element.isCut;
    }
    std::vector<int32_t> expected{int32_t(whole.size()),
                                  int32_t(elements.size()), isCut};
    expected.insert(expected.end(), whole.begin(), whole.end());
    expected.insert(expected.end(), others.begin(), others.end());
    expected.push_back(int32_t(launch.shape.N));
    const int32_t *list = words() + i * pitch;
    EXPECT_EQ(std::vector<int32_t>(list, list + expected.size()), expected);
  }
}

/// Follows a group's links: every element of its row once, the first one ahead
/// of the whole ones and those ahead of the rest, to which belongs what is
/// whole but not so in another row; no two further apart than `reach`, nor the
/// last one and where the next tile's first may lie.
void BlockLists::checkGroup(const int32_t *list, int64_t group, int64_t reach,
                            llvm::ArrayRef<Elements> rows) {
  int64_t groups = rows.size(), head = groups == 2 ? 12 : 16;
  int64_t slack = groups == 2 ? 1 : 5;
  int64_t uses = list[0], place = list[1 + 4 * group],
          whole = list[2 + 4 * group], total = list[3 + 4 * group];
  EXPECT_LE(place, slack);
  const Elements &expected = rows[group];
  auto isWholeInAll = [&](int64_t n0) {
    return llvm::all_of(rows, [&](const Elements &row) {
      auto found = row.find(n0);
      return found == row.end() || found->second.isWhole();
    });
  };
  Elements met;
  for (int64_t i = 0; i < total; ++i) {
    ASSERT_LT(place, uses);
    const int32_t *element = list + head + 4 * place;
    int64_t n0 = element[0], link = element[1 + group];
    ASSERT_TRUE(link & 1) << "not the group's";
    auto own = expected.find(n0);
    bool isOwn = own != expected.end();
    EXPECT_EQ(bool(link & 4), !isOwn) << n0;
    EXPECT_EQ(bool(link & 2), isOwn && own->second.isFull) << n0;
    if (i > 0)
      EXPECT_EQ(i <= whole, isOwn && isWholeInAll(n0)) << n0;
    if (isOwn)
      EXPECT_TRUE(met.insert(*own).second) << n0 << " comes twice";
    EXPECT_EQ(link / 8 == 0, i == total - 1) << n0;
    EXPECT_LE(link / 8, reach);
    if (link / 8 == 0)
      EXPECT_LE(uses + slack - place, reach);
    place += link / 8;
  }
  EXPECT_EQ(met.size(), expected.size());
}

/// No element is there twice or for nobody.
void BlockLists::checkElements(const int32_t *list,
                               llvm::ArrayRef<Elements> rows) {
  std::set<int64_t> expected, found;
  for (const Elements &row : rows)
    for (auto [n0, element] : row)
      expected.insert(n0);
  for (int64_t i = 0; i < list[0] && !expected.empty(); ++i)
    found.insert(list[(rows.size() == 2 ? 12 : 16) + 4 * i]);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(list[0], std::max<int64_t>(expected.size(), 1));
}

/// Numbers of a tile's rows of 64 queries: those of eight tiles, shared out by
/// how many elements they have, first those behind the last query.
std::vector<int64_t> BlockLists::rowsOf(const TestLaunch &launch, int64_t plane,
                                        int64_t tile, int64_t tiles,
                                        int64_t step, int64_t groups) {
  int64_t begin = tile / 8 * 8, end = std::min(begin + 8, tiles);
  std::vector<std::pair<int64_t, int64_t>> byLength;
  for (int64_t number = begin * groups; number < end * groups; ++number) {
    int64_t row = 64 * number / launch.view.blockQ;
    bool exists = row < launch.view.blockClasses->sizes[2];
    int64_t length = elementsOf(launch, plane, row, step).size();
    byLength.emplace_back(exists ? length : -1, number);
  }
  std::sort(byLength.begin(), byLength.end());
  std::vector<int64_t> numbers;
  for (int64_t g = 0; g < groups; ++g)
    numbers.push_back(byLength[(tile - begin) * groups + g].second);
  return numbers;
}

void BlockLists::checkJoint(TestLaunch &launch, int64_t step, int64_t groups) {
  int64_t stages = groups == 2 ? 2 : 3, reach = 2 * stages + 1;
  ASSERT_TRUE(compile(launch.program,
                      "ping_pong=0,pin=0,own_rows=1,q_stages=2,groups=" +
                          std::to_string(groups) +
                          ",n=" + std::to_string(step) +
                          ",stages=" + std::to_string(stages)));
  run(launch);
  int64_t queries = 64 * groups;
  int64_t tiles = (launch.shape.M + queries - 1) / queries;
  int64_t pitch =
      (groups == 2 ? 12 : 16) + 4 * (2 + (launch.shape.N + step - 1) / step);
  int64_t planes = planesOf(launch);
  ASSERT_EQ(grid, planes * tiles);
  for (int64_t i = 0; i < planes * tiles; ++i) {
    std::vector<int64_t> numbers =
        rowsOf(launch, i / tiles, i % tiles, tiles, step, groups);
    std::vector<Elements> rows;
    for (int64_t g = 0; g < groups; ++g) {
      int64_t first = 64 * numbers[g];
      EXPECT_EQ(words()[i * pitch + 4 + 4 * g], first);
      rows.push_back(
          elementsOf(launch, i / tiles, first / launch.view.blockQ, step));
      // Whose keys lie left of all of a group's rows.
      for (auto &[n0, element] : rows[g])
        element.isFull |= n0 + step - 1 <= first;
    }
    checkElements(words() + i * pitch, rows);
    for (int64_t g = 0; g < groups; ++g) {
      SCOPED_TRACE(std::to_string(i) + ", group " + std::to_string(g));
      checkGroup(words() + i * pitch, g, reach, rows);
    }
  }
}

TEST_F(BlockLists, OfOneRow) {
  unsigned seed = 1;
  for (const char *text : {kCausal, kNoop})
    for (int64_t keys : {1, 128, 5000, 5120})
      for (int64_t width : {128, 256}) {
        SCOPED_TRACE(std::to_string(keys) + " keys, tiles of " +
                     std::to_string(width));
        TestLaunch launch =
            makeLaunch(text, 900, keys, 128, width, seed % 2, seed);
        checkRows(launch, 128);
        ++seed;
      }
}

TEST_F(BlockLists, OfSeveralRows) {
  unsigned seed = 1;
  for (int64_t groups : {2, 3})
    for (const char *text : {kCausal, kNoop})
      for (int64_t keys : {1, 64, 2500, 2560})
        for (int64_t height : {64, 192}) {
          SCOPED_TRACE(std::to_string(groups) + " rows, " +
                       std::to_string(keys) + " keys, tiles of " +
                       std::to_string(height));
          TestLaunch launch =
              makeLaunch(text, 1700, keys, height, 64, seed % 2, seed);
          checkJoint(launch, 64, groups);
          ++seed;
        }
}

/// A block's warps have several chunks of 32 elements each, the last ones fewer
/// than the others or none.
TEST_F(BlockLists, OfManyElements) {
  unsigned seed = 1;
  for (int64_t groups : {2, 3})
    for (int64_t keys : {17000, 33000}) {
      SCOPED_TRACE(std::to_string(groups) + " rows, " + std::to_string(keys) +
                   " keys");
      TestLaunch launch =
          makeLaunch(kCausal, 700, keys, 64, 64, seed % 2, seed);
      checkJoint(launch, 64, groups);
      ++seed;
    }
}

} // namespace
