//===- LayoutsTest.cpp - Every lane and register of every layout ----------===//

#include "fovea/Target/NVVM/Layouts.h"
#include "gtest/gtest.h"

#include <map>
#include <set>

using namespace fovea::layouts;

namespace {
using Pair = std::pair<int64_t, int64_t>;

template <typename Body> void forThreads(Body body) {
  for (int64_t warp = 0; warp < kWarps; ++warp)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      body(warp, lane);
}
} // namespace

TEST(Layouts, QuadHoldsEveryElementOnce) {
  for (int64_t columns = 8; columns <= 256; columns += 8) {
    std::set<Pair> seen;
    forThreads([&](int64_t warp, int64_t lane) {
      for (int64_t i = 0; i < columns / 2; ++i) {
        Element element = quad(warp, lane, i);
        EXPECT_TRUE(element.row >= 0 && element.row < 64);
        EXPECT_TRUE(element.column >= 0 && element.column < columns);
        seen.insert({element.row, element.column});
      }
    });
    EXPECT_EQ(seen.size(), size_t(64 * columns));
  }
}

TEST(Layouts, RowsOfAQuadAgree) {
  // A row's elements lie in the four lanes of one quad, as reductions assume.
  forThreads([&](int64_t warp, int64_t lane) {
    for (int64_t i = 0; i < 128; ++i)
      for (int64_t other = lane / 4 * 4; other < lane / 4 * 4 + 4; ++other)
        EXPECT_EQ(quad(warp, lane, i).row, quad(warp, other, i).row);
  });
}

TEST(Layouts, SlicesSayWhichValuesRegistersShare) {
  // The lane's first element and what its slices add are the layout's; equal
  // slices are equal rows, columns and differences, other slices others.
  forThreads([&](int64_t warp, int64_t lane) {
    Element first = quad(warp, lane, 0);
    std::set<int64_t> rows, columns;
    std::map<Pair, int64_t> differences;
    for (int64_t i = 0; i < 64; ++i) {
      Slices slices = slicesOf(i);
      Element element = quad(warp, lane, i);
      EXPECT_EQ(element.row, first.row + slices.rowOffset());
      EXPECT_EQ(element.column, first.column + slices.columnOffset());
      rows.insert(element.row);
      columns.insert(element.column);
      auto [found, isNew] = differences.insert(
          {{slices.difference(), slices.pair}, element.row - element.column});
      EXPECT_EQ(found->second, element.row - element.column);
    }
    // What a rowvec, a column's constants and a diagvec take of 128 columns.
    EXPECT_EQ(rows.size(), 2u);
    EXPECT_EQ(columns.size(), 32u);
    EXPECT_EQ(differences.size(), 34u);
    std::set<int64_t> values;
    for (auto &[slice, value] : differences)
      values.insert(value);
    EXPECT_EQ(values.size(), differences.size());
  });
}

TEST(Layouts, PackingNeighboursMakesTheOperand) {
  // attn_gpu.convert: register i of quad_a packs registers 2i, 2i + 1 of quad.
  forThreads([&](int64_t warp, int64_t lane) {
    for (int64_t i = 0; i < 64; ++i)
      for (int64_t half = 0; half < 2; ++half)
        EXPECT_EQ(quadA(warp, lane, i, half), quad(warp, lane, 2 * i + half));
  });
}

TEST(Layouts, SwizzleIsAPermutationOfTheTile) {
  for (int64_t rows : {8, 64, 80, 128, 256})
    for (int64_t columns : {64, 128, 256}) {
      std::set<int64_t> bytes;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column)
          bytes.insert(swizzled({row, column}, rows));
      EXPECT_EQ(bytes.size(), size_t(rows * columns));
      EXPECT_EQ(*bytes.begin(), 0);
      EXPECT_EQ(*bytes.rbegin(), rows * columns * 2 - 2);
    }
}

TEST(Layouts, SwizzleIsTheMachines) {
  // Bits 4 to 6 of an address are exclusive-ored with bits 7 to 9.
  for (int64_t row = 0; row < 64; ++row)
    for (int64_t column = 0; column < 64; ++column) {
      int64_t plain = row * 128 + column * 2;
      EXPECT_EQ(swizzled({row, column}, 64), plain ^ ((plain >> 7 & 7) << 4));
    }
}

TEST(Layouts, StepsLeadToTheirColumns) {
  // Bases lie at multiples of 1024 bytes: a step counts before the swizzle.
  for (int64_t rows : {64, 80, 128})
    for (int64_t k = 0; k < 16; ++k) {
      EXPECT_EQ(columnStep(k, rows) << 4, swizzled({0, 16 * k}, rows));
      if (16 * k < rows) {
        EXPECT_EQ(rowStep(k) << 4, swizzled({16 * k, 0}, rows));
      }
    }
}

TEST(Layouts, DescriptorFields) {
  uint64_t bits = descriptor(128);
  EXPECT_EQ(bits & 0x3FFF, 0u);           // the address comes here
  EXPECT_EQ(bits >> 16 & 0x3FFF, 0x400u); // 128 rows of 128 bytes
  EXPECT_EQ(bits >> 32 & 0x3FFF, 0x40u);  // eight rows
  EXPECT_EQ(bits >> 62, 1u);              // 128-byte swizzle
  EXPECT_EQ(bits >> 32, 0x40000040u);
}

TEST(Layouts, StmatrixPutsRegistersWhereTheyBelong) {
  // Matrix j of four takes its row addresses from lanes 8j … 8j + 7; the value
  // of lane l, register j lands in row l / 4 of it, columns 2 · (l % 4).
  const int64_t rows = 64;
  forThreads([&](int64_t warp, int64_t lane) {
    for (int64_t k = 0; k < 16; ++k)
      for (int64_t j = 0; j < 4; ++j)
        for (int64_t half = 0; half < 2; ++half) {
          int64_t addressLane = 8 * j + lane / 4;
          int64_t at = stmatrixOffset(warp, addressLane, k, rows) +
                       (2 * (lane % 4) + half) * 2;
          EXPECT_EQ(at, swizzled(quadA(warp, lane, 4 * k + j, half), rows));
        }
  });
}
