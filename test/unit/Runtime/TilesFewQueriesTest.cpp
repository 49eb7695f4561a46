//===- TilesFewQueriesTest.cpp - Few queries by AMX tiles -----------------===//
//
// The form for few queries. Keys and values end where memory does.
//
//===----------------------------------------------------------------------===//
#if defined(__x86_64__) && defined(__linux__)

#include "TilesFixture.h"

#include "llvm/Support/MathExtras.h"

#include <deque>
#include <limits>
#include <sys/mman.h>
#include <unistd.h>

using namespace fovea;
using namespace fovea::test;

namespace {

/// Memory that ends at a page without access.
class MemoryEnd {
public:
  explicit MemoryEnd(size_t bytes)
      : page(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
        room(llvm::alignTo(std::max<size_t>(bytes, 1), page)),
        base(static_cast<char *>(mmap(nullptr, room + page, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    if (base == MAP_FAILED || mprotect(base, room, PROT_READ | PROT_WRITE) != 0)
      std::abort();
    memory = base + room - bytes;
  }
  ~MemoryEnd() { munmap(base, room + page); }
  MemoryEnd(const MemoryEnd &) = delete;
  MemoryEnd &operator=(const MemoryEnd &) = delete;
  char *get() const { return memory; }

private:
  size_t page, room;
  char *base, *memory = nullptr;
};

class TilesFewQueries : public TilesFixture {
protected:
  TilesFewQueries() { form.fewQueries = true; }

  void moveToEnd(TensorView &tensor) {
    int64_t bytes = tensor.numElements() * getBytes(tensor.dtype);
    MemoryEnd &made = ends.emplace_back(static_cast<size_t>(bytes));
    std::memcpy(made.get(), tensor.data, static_cast<size_t>(bytes));
    tensor.data = made.get();
  }

  /// The launch in bf16, its keys and values at the end of memory.
  void prepare(TestLaunch &launch) override {
    narrow(launch);
    moveToEnd(launch.view.keys[0]);
    moveToEnd(launch.view.value);
  }

  /// The keys and values of a launch in pages of a pool, heads or tokens first.
  void usePages(TestLaunch &launch, int64_t length, bool tokensFirst) {
    const Shape &s = launch.shape;
    LaunchView &view = launch.view;
    int64_t each = llvm::divideCeil(s.N, length), pool = s.B * each + 1;
    form.paged = true;
    view.pageLength = length;
    view.kvLength = each * length;
    view.pageStride =
        llvm::divideCeil(*llvm::max_element(view.kvLengths), length);
    for (int64_t b = 0; b < s.B; ++b)
      for (int64_t page = 0; page < view.pageStride; ++page)
        table.push_back((b * each + page) * 7 % pool);
    view.pageTable = table;
    view.keys = {launch.random({pool, s.Hk, length, s.D}, DType::BF16)};
    view.value = launch.random({pool, s.Hk, length, s.E}, DType::BF16);
    for (TensorView *rows : {&view.keys[0], &view.value}) {
      moveToEnd(*rows);
      if (!tokensFirst)
        continue;
      rows->strides[1] = rows->sizes[3];
      rows->strides[2] = rows->sizes[3] * s.Hk;
    }
  }

  std::deque<MemoryEnd> ends;
  std::vector<int64_t> table;
};

TEST_F(TilesFewQueries, EveryNumberOfRows) {
  for (int64_t rows : {2, 3, 4, 7, 8, 15, 16, 17, 31, 32})
    check(kPlain, {1, rows, 1, 1, 75, 64, 64});
  for (int64_t queries : {2, 5, 8, 10})
    check(kCausal, {2, 6, 2, queries, 90, 64, 64});
  for (int64_t rows : {33, 48, 64})
    check(kPlain, {1, rows, 1, 1, 75, 64, 64}, "short=64");
}

TEST_F(TilesFewQueries, Dimensions) {
  for (int64_t dim : {16, 32, 40, 64, 80, 96, 128, 160, 192, 256})
    check(kCausal, {1, 8, 2, 2, 70, dim, dim});
  check(kPlain, {1, 4, 1, 1, 70, 128, 32});
  check(kPlain, {1, 4, 1, 1, 70, 32, 256});
  check(kPlain, {1, 4, 1, 1, 70, 5, 96});
  check(kPlain, {1, 4, 1, 1, 70, 96, 5});
  check(kPlain, {1, 4, 1, 1, 70, 1, 1});
}

TEST_F(TilesFewQueries, EveryNumberOfKeysInABlock) {
  for (int64_t keys = 1; keys <= 66; ++keys)
    check(kPlain, {1, 4, 1, 1, keys, 64, 32}, "block=32");
}

TEST_F(TilesFewQueries, PartsAreMerged) {
  for (const char *schedule :
       {"split=32", "split=64,block=64", "split=48,block=16"})
    check(kCausal, {2, 8, 2, 3, 300, 64, 64}, schedule);
}

TEST_F(TilesFewQueries, Masks) {
  for (const char *mask :
       {"q >= kv - 200", "q >= kv - 200 and q - kv < -100", "(q + kv) % 3 != 0",
        "kv == 30 * q", "q < kv - 400", "kv % 64 >= 33 or h == 1"})
    check(("attention m {\n  mask = " + std::string(mask) + "\n}").c_str(),
          {1, 6, 2, 5, 290, 64, 64}, "split=96");
}

TEST_F(TilesFewQueries, ScoreMods) {
  for (const char *score : {"s - 0.1 * (q - kv)", "30 * tanh(s / 30)",
                            "s * s if h == 1 else -s", "s + sin(q * kv)"})
    check(("attention m {\n  score = " + std::string(score) + "\n}").c_str(),
          {1, 8, 2, 2, 100, 64, 64});
}

TEST_F(TilesFewQueries, ScalesOfEverySign) {
  for (double scale : {-0.3, 0.0, 3.0}) {
    TestLaunch launch(kCausal, {1, 4, 1, 2, 75, 96, 64});
    prepare(launch);
    launch.view.scales = {scale};
    check(launch);
  }
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(TilesFewQueries, Normalizers) {
  for (const char *normalizer :
       {"sink(0.5)", "softmax_plus_one", "signed", "sigmoid(-1.0)", "relu"})
    check(("attention m {\n  mask = q >= kv - 60\n  normalizer = " +
           std::string(normalizer) + "\n}")
              .c_str(),
          {1, 8, 2, 3, 70, 48, 80}, "split=32");
}

TEST_F(TilesFewQueries, LengthsAndOffsets) {
  TestLaunch launch(kCausal, {3, 6, 2, 4, 90, 64, 64});
  prepare(launch);
  launch.view.qLengths = {4, 0, 3};
  launch.view.kvLengths = {90, 40, 33};
  launch.view.qOffset = {86, 0, 5};
  check(launch, "split=32");
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(TilesFewQueries, Pages) {
  for (int64_t length : {1, 3, 16, 64})
    for (bool tokensFirst : {false, true}) {
      SCOPED_TRACE(::testing::Message() << length << " " << tokensFirst);
      TestLaunch launch(kCausal, {2, 8, 2, 2, 150, 64, 96});
      narrow(launch);
      launch.view.kvLengths = {150, 71};
      launch.view.qOffset = {148, 69};
      usePages(launch, length, tokensFirst);
      check(launch, "split=96");
      table.clear();
    }
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(TilesFewQueries, LayoutsInPlaceAndCopied) {
  // Tokens with their heads together, then columns first.
  for (bool together : {true, false}) {
    TestLaunch launch(kCausal, {1, 8, 4, 3, 72, 64, 64});
    prepare(launch);
    launch.view.qOffset = {69};
    for (TensorView *tensor : {&launch.view.keys[0], &launch.view.value}) {
      tensor->strides[together ? 1 : 2] = together ? tensor->sizes[3] : 1;
      if (together)
        tensor->strides[2] = tensor->sizes[1] * tensor->sizes[3];
      else
        tensor->strides[3] = tensor->sizes[2];
    }
    check(launch);
  }
  EXPECT_EQ(exactCalls, 0);
}

/// Rows lie apart and hold garbage between, which no tile may take in.
TEST_F(TilesFewQueries, NothingBetweenRowsIsRead) {
  for (int64_t dim : {40, 64}) {
    TestLaunch launch(kPlain, {1, 4, 1, 2, 75, dim, dim});
    narrow(launch);
    layApart(launch);
    check(launch);
  }
  EXPECT_EQ(exactCalls, 0);
}

/// S11: what is not finite reaches the rows that see it and no other, and of
/// a value its own column alone: the exact kernel says so.
TEST_F(TilesFewQueries, NonFiniteElementsStayWhereTheyAreSeen) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  for (float number : {inf, -inf, float(NAN)})
    for (bool ofKeys : {false, true})
      for (int64_t key : {2, 60}) {
        SCOPED_TRACE(::testing::Message()
                     << number << " " << ofKeys << " " << key);
        TestLaunch launch(kCausal, {1, 4, 1, 3, 70, 64, 64});
        prepare(launch);
        launch.view.qOffset = {59};
        TensorView &rows = ofKeys ? launch.view.keys[0] : launch.view.value;
        rows.storeFloat(key * 64 + 3, number);
        int before = exactCalls;
        check(launch);
        EXPECT_EQ(exactCalls, before + 1);
      }
}

/// Keys beyond a length are no part of any group.
TEST_F(TilesFewQueries, NothingBeyondALengthIsRead) {
  TestLaunch launch(kPlain, {1, 4, 1, 2, 70, 64, 64});
  prepare(launch);
  launch.view.kvLengths = {37};
  for (TensorView *rows : {&launch.view.keys[0], &launch.view.value})
    for (int64_t i = 37 * 64; i < rows->numElements(); ++i)
      rows->storeFloat(i, NAN);
  check(launch);
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(TilesFewQueries, SeveralPairsOfQueriesAndKeys) {
  TestLaunch launch(kPlain, {1, 4, 2, 3, 70, 128, 64});
  prepare(launch);
  launch.program.headDims.push_back(32);
  launch.view.queries.push_back(launch.random({1, 4, 3, 32}, DType::BF16));
  launch.view.keys.push_back(launch.random({1, 2, 70, 32}, DType::BF16));
  launch.view.scales.push_back(0.2);
  check(launch);
  EXPECT_EQ(exactCalls, 0);
}

TEST_F(TilesFewQueries, OneRowDoesWithout) {
  form.oneRow = true;
  TestLaunch launch(kPlain, {1, 2, 2, 1, 70, 64, 64});
  prepare(launch);
  check(launch);
  EXPECT_EQ(TileEmulator::countProducts(), 0);
}

} // namespace

#endif
