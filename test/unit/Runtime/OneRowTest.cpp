//===- OneRowTest.cpp - Which calls take the form for one row -------------===//

#include "fovea/Target/CPU/KernelABI.h"
#include "gtest/gtest.h"

namespace {
bool takes(fovea_cpu_one_row which, int64_t rows, int64_t heads, int64_t head,
           int64_t token, bool paged = false) {
  return fovea_cpu_takes_one_row(which, rows, heads, head, token, paged) != 0;
}

TEST(OneRow, IsForCallsOfOneRow) {
  EXPECT_TRUE(takes(FOVEA_CPU_ONE_ROW_ALL, 1, 1, 4096, 64));
  EXPECT_FALSE(takes(FOVEA_CPU_ONE_ROW_ALL, 2, 1, 4096, 64));
  EXPECT_FALSE(takes(FOVEA_CPU_ONE_ROW_ALL, 0, 1, 4096, 64));
  EXPECT_FALSE(takes(FOVEA_CPU_ONE_ROW_NONE, 1, 8, 64, 512));
}

TEST(OneRow, MayBeForHeadsThatAreReadTogether) {
  auto together = FOVEA_CPU_ONE_ROW_OF_HEADS;
  EXPECT_TRUE(takes(together, 1, 8, 64, 512));
  EXPECT_TRUE(takes(together, 1, 8, -64, -512));
  EXPECT_TRUE(takes(together, 1, 8, 4096, 64, /*paged=*/true));
  EXPECT_FALSE(takes(together, 1, 8, 4096, 64));
  EXPECT_FALSE(takes(together, 1, 8, 0, 64));
  EXPECT_FALSE(takes(together, 1, 1, 64, 512));
  EXPECT_FALSE(takes(together, 1, 1, 64, 512, /*paged=*/true));
  EXPECT_FALSE(takes(together, 2, 8, 64, 512));
}
} // namespace
