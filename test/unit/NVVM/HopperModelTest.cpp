//===- HopperModelTest.cpp - Schedules for Hopper -------------------------===//

#include "fovea/Target/NVVM/HopperModel.h"

#include <gtest/gtest.h>

using namespace fovea;

/// Groups of 64 rows divide a mask's rows of tiles in whatever a spilling
/// kernel gives way to; two of them where they do, as one is slower.
TEST(HopperModel, FallbacksDivideTheTilesOfABlockMask) {
  for (int64_t valueDim : {64, 128, 256}) {
    std::vector<std::string> plain;
    for (std::string &one : getHopperFallbacks(valueDim, true, ""))
      plain.push_back(one);
    for (llvm::StringRef text :
         {"block_q=128,block_kv=128", "block_q=256", "block_kv=64"}) {
      auto found = getHopperFallbacks(valueDim, true, text);
      ASSERT_EQ(found.size(), plain.size());
      for (auto [one, other] : llvm::zip(found, plain)) {
        EXPECT_EQ(one, (text + "," + other).str());
        EXPECT_EQ(one.find("groups"), std::string::npos);
      }
    }
    for (llvm::StringRef text : {"block_q=64", "block_kv=64, block_q = 192"})
      for (llvm::StringRef one : getHopperFallbacks(valueDim, true, text)) {
        EXPECT_TRUE(one.starts_with(text));
        EXPECT_TRUE(one.contains("groups=1,"));
      }
  }
}

TEST(HopperModel, SettingsAreReadAndSet) {
  EXPECT_EQ(readHopperSetting("n=64, pin = 5", "pin"), 5);
  EXPECT_EQ(readHopperSetting("n=64,pin=5", "groups"), std::nullopt);
  EXPECT_EQ(setHopperSetting("", "edges", 0), "edges=0");
  EXPECT_EQ(setHopperSetting("n=64,edges=1,pin=5", "edges", 0),
            "n=64,pin=5,edges=0");
}
