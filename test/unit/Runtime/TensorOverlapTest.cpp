//===- TensorOverlapTest.cpp - Tensors in the same memory -----------------===//

#include "fovea-c/fovea.h"
#include "fovea/Runtime/Overlap.h"

#include "gtest/gtest.h"

#include <cstdlib>
#include <random>
#include <set>
#include <vector>

namespace {

/// A tensor of made-up memory, which nothing reads.
struct Placed {
  Placed(uintptr_t address, int32_t dtype, std::vector<int64_t> sizes,
         std::vector<int64_t> strides)
      : sizes(std::move(sizes)), strides(std::move(strides)) {
    tensor.data = reinterpret_cast<void *>(address);
    tensor.dtype = dtype;
    tensor.rank = static_cast<int32_t>(this->sizes.size());
    tensor.sizes = this->sizes.data();
    tensor.strides = this->strides.data();
  }

  std::set<uintptr_t> bytes() const {
    std::set<uintptr_t> starts = {reinterpret_cast<uintptr_t>(tensor.data)};
    const int64_t width = fovea_element_bytes(tensor.dtype);
    for (size_t dim = 0; dim < sizes.size(); ++dim) {
      std::set<uintptr_t> next;
      for (uintptr_t start : starts)
        for (int64_t i = 0; i < sizes[dim]; ++i)
          next.insert(start + i * strides[dim] * width);
      starts = std::move(next);
    }
    std::set<uintptr_t> all;
    for (uintptr_t start : starts)
      for (int64_t i = 0; i < width; ++i)
        all.insert(start + i);
    return all;
  }

  std::vector<int64_t> sizes, strides;
  fovea_tensor tensor = {};
};

bool overlap(const Placed &a, const Placed &b) {
  bool found = fovea_overlap(&a.tensor, &b.tensor);
  EXPECT_EQ(found, bool(fovea_overlap(&b.tensor, &a.tensor)));
  return found;
}

TEST(Overlap, IsWhatAllBytesSay) {
  const char *given = std::getenv("FOVEA_FUZZ_SEED");
  unsigned seed = given ? std::atoi(given) : 1;
  SCOPED_TRACE(::testing::Message() << "FOVEA_FUZZ_SEED=" << seed);
  std::mt19937 random(seed);
  auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const int32_t dtypes[] = {FOVEA_F32, FOVEA_BF16, FOVEA_F64, FOVEA_I8};
  int together = 0, apart = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<Placed> pair;
    for (int i = 0; i < 2; ++i) {
      int32_t dtype = dtypes[pick(0, 3)];
      std::vector<int64_t> sizes, strides;
      for (int dim = pick(0, 4); dim > 0; --dim) {
        sizes.push_back(pick(0, 19) == 0 ? 0 : pick(1, 5));
        strides.push_back(pick(-40, 40));
      }
      uintptr_t place = 4096 + pick(0, 100) * fovea_element_bytes(dtype);
      pair.emplace_back(place, dtype, sizes, strides);
    }
    std::set<uintptr_t> first = pair[0].bytes(), second = pair[1].bytes();
    bool meet = false;
    for (uintptr_t byte : first)
      meet |= second.count(byte) != 0;
    EXPECT_EQ(overlap(pair[0], pair[1]), meet) << "round " << round;
    ++(meet ? together : apart);
  }
  EXPECT_GT(together, 500);
  EXPECT_GT(apart, 500);
}

TEST(Overlap, OfRowsWovenIntoEachOther) {
  // Rows of 16 every 40 elements.
  Placed keys(1 << 20, FOVEA_F32, {1, 2, 400, 16}, {32000, 16000, 40, 1});
  for (auto [offset, meets] : {std::pair<int, bool>{0, true},
                               {15, true},
                               {16, false},
                               {24, false},
                               {25, true},
                               {30, true},
                               {39, true}}) {
    Placed out((1 << 20) + 4 * offset, FOVEA_F32, {1, 2, 400, 16},
               {32000, 16000, 40, 1});
    EXPECT_EQ(overlap(keys, out), meets) << offset;
  }
}

TEST(Overlap, OfLargeTensors) {
  // q, k and v of one array, and a result in a fourth part of its rows.
  std::vector<int64_t> sizes = {64, 32, 1 << 17, 128};
  std::vector<int64_t> strides = {int64_t(1) << 31, 128, 1 << 14, 1};
  auto part = [&](int number, int64_t shift) {
    uintptr_t address = (uintptr_t(1) << 44) + 2 * (number * 4096 + shift);
    return Placed(address, FOVEA_BF16, sizes, strides);
  };
  EXPECT_FALSE(overlap(part(0, 0), part(3, 0)));
  EXPECT_TRUE(overlap(part(0, 0), part(3, 1)));
  EXPECT_TRUE(overlap(part(2, 0), part(2, 0)));
  // Strides without a common measure.
  Placed odd(uintptr_t(1) << 44, FOVEA_F32, {1 << 20, 4}, {41, 1});
  Placed other((uintptr_t(1) << 44) + 20, FOVEA_F32, {1 << 20, 4}, {43, 1});
  EXPECT_TRUE(overlap(odd, other));
  // The stride of a dim with one element is never taken.
  Placed one(uintptr_t(1) << 44, FOVEA_F64, {1, 3}, {INT64_MAX, 2});
  Placed gaps((uintptr_t(1) << 44) + 8, FOVEA_F64, {1, 2}, {INT64_MIN, 2});
  EXPECT_FALSE(overlap(one, gaps));
}

TEST(Overlap, IsTakenForGrantedWhereLookingTakesTooLong) {
  // Even numbers of bytes from an odd one: never, but by far too many ways.
  std::vector<int64_t> sizes(10, 50), strides;
  for (int64_t i = 0; i < 10; ++i)
    strides.push_back(2000 + 14 * i * i);
  const uintptr_t place = uintptr_t(1) << 44;
  EXPECT_TRUE(overlap(Placed(place, FOVEA_I8, sizes, strides),
                      Placed(place + 100001, FOVEA_I8, {1}, {1})));
}

} // namespace
