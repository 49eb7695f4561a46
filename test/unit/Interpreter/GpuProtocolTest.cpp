//===- GpuProtocolTest.cpp - Barrier protocols of level 3 -----------------===//
//
// One kernel in the role form, written by hand: right as it stands in every
// order of its roles, and wrong in one place after another.
//
//===----------------------------------------------------------------------===//

#include "GpuProtocol.h"

using namespace fovea;
using namespace fovea::test;

namespace {

//===----------------------------------------------------------------------===//
// As it stands
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, EveryOrderOfSmallTripCounts) {
  load();
  // 0 … 2 · stages + 1 blocks.
  for (int64_t count = 0; count <= 5; ++count) {
    EXPECT_TRUE(explore({count})) << count << ": " << messages;
    EXPECT_EQ(summary.stores, 2u);
  }
  EXPECT_GT(summary.states, 500u);
  for (std::vector<int64_t> counts : {std::vector<int64_t>{2, 0, 1},
                                      {0, 0, 0},
                                      {0, 3},
                                      {3, 0, 0, 1},
                                      {1, 1, 1, 1, 1}}) {
    EXPECT_TRUE(explore(counts)) << messages;
    EXPECT_EQ(summary.stores, 2 * counts.size());
  }
}

TEST_F(GpuProtocol, SeveralBlocksShareTheCounter) {
  load();
  EXPECT_TRUE(explore({1, 0}, 2)) << messages;
  EXPECT_EQ(summary.stores, 4u);
  GpuOptions options;
  options.data = false;
  options.blocks = 3;
  options.order = GpuOrder::Random;
  for (options.seed = 0; options.seed < 200; ++options.seed) {
    EXPECT_TRUE(interpret({3, 0, 1, 7, 2, 0, 0, 5, 4}, options)) << messages;
    EXPECT_EQ(summary.stores, 18u);
  }
}

/// The values' fills in a warp of their own, which is told the tiles.
TEST_F(GpuProtocol, TwoWarpsLoad) {
  load({{"attn_gpu.fill %vc[%i], %V[%row] :",
         "attn_gpu.fill %vc[%i], %V[%row] warp 1 :"}});
  for (std::vector<int64_t> counts :
       {std::vector<int64_t>{3}, {2, 0, 1}, {0, 0, 2}}) {
    EXPECT_TRUE(explore(counts)) << messages;
    EXPECT_EQ(summary.stores, 2 * counts.size());
  }
  EXPECT_TRUE(explore({1, 0}, 2)) << messages;
}

/// Columns of scores that were left out are anything.
TEST_F(GpuProtocol, KeysThatAreLeftOutOfScoresAreNotTheirs) {
  load({{"%qt, %kt transposed :", "%qt, %kt transposed keys(%c4) :"}});
  EXPECT_TRUE(interpret({1}, GpuOptions())) << messages;
  EXPECT_TRUE(std::isnan(out.loadFloat(0)));
}

TEST_F(GpuProtocol, KeysThatAreLeftOutOfOutputsHaveNoWeight) {
  load({{"acc(%o : !o) :", "acc(%o : !o) keys(%c4) :"}});
  EXPECT_FALSE(interpret({1}, GpuOptions()));
  EXPECT_NE(messages.find("leaves out keys from 4 on, but the weight of key 4 "
                          "in row 0 is not zero"),
            std::string::npos)
      << messages;
}

TEST_F(GpuProtocol, DataInEveryOrder) {
  load();
  std::vector<int64_t> counts{3, 0, 12};
  allocate(3);
  for (unsigned seed = 0; seed < 4; ++seed) {
    GpuOptions options;
    options.order = seed ? GpuOrder::Random : GpuOrder::RoundRobin;
    options.seed = seed;
    options.blocks = 1 + seed % 2;
    for (int64_t i = 0; i < out.numElements(); ++i)
      out.storeFloat(i, NAN);
    ASSERT_TRUE(interpret(counts, options)) << messages;
    for (int64_t tile = 0; tile < 3; ++tile)
      for (int64_t m : {0, 1, 63, 64, 127})
        for (int64_t e : {0, 7, 8, 63}) {
          double sum = 0, size = 0;
          for (int64_t n = 0; n < counts[tile] * 16; ++n) {
            double s = 0;
            for (int64_t d = 0; d < 64; ++d)
              s += q.loadFloat(q.offset({0, tile, m, d})) *
                   k.loadFloat(k.offset({0, tile, n, d}));
            double term = roundToType(s, DType::BF16) *
                          v.loadFloat(v.offset({0, tile, n, e}));
            sum += term;
            size += std::fabs(term);
          }
          // Scores may round to the other neighbour; then the result rounds.
          EXPECT_NEAR(out.loadFloat(out.offset({0, tile, m, e})), sum,
                      size * 0x1p-9 + std::fabs(sum) * 0x1p-8);
        }
  }
}

TEST_F(GpuProtocol, TheNumberOfStatesIsBounded) {
  load();
  GpuOptions options;
  options.order = GpuOrder::Exhaustive;
  options.data = false;
  options.maxStates = 100;
  EXPECT_FALSE(interpret({5}, options));
  EXPECT_NE(messages.find("has more than 100 states"), std::string::npos)
      << messages;
}

//===----------------------------------------------------------------------===//
// Releases
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, MissingReleaseIsADeadlock) {
  expectError({{"attn_gpu.release %kc[%i] : !kc", ""}},
              "deadlock: role load waits for the release of use 0 of channel "
              "'k' (slot 0) by mma #0, mma #1\n"
              "note: role mma #0 waits for use 2 of channel 'k' (slot 0)\n"
              "note: role mma #1 waits for use 2 of channel 'k' (slot 0)");
}

TEST_F(GpuProtocol, MissingReleaseOfTheLastUses) {
  expectError({{"attn_gpu.release %kc[%i] : !kc", ""}},
              "ends without the release of use 0 of channel 'k' "
              "(slot 0)",
              {2});
  expectError({{"attn_gpu.release %qc[%qi] : !qc", ""}},
              "ends without the release of use 0 of channel 'q' (slot 0)", {2});
}

TEST_F(GpuProtocol, ReleaseWhileAProductReads) {
  expectError({{"%s = attn_gpu.await %ps keep 0 : !attn_gpu.pending<!s> -> !s\n"
                "          attn_gpu.release %kc[%i] : !kc",
                "attn_gpu.release %kc[%i] : !kc\n"
                "          %s = attn_gpu.await %ps keep 0 : "
                "!attn_gpu.pending<!s> -> !s"}},
              "releases use 0 of channel 'k' (slot 0) while a product in "
              "flight reads it\nnote: started here");
}

TEST_F(GpuProtocol, ReadAfterRelease) {
  expectError(
      {{"%ps = attn_gpu.mma.start", "attn_gpu.release %kc[%i] : !kc\n"
                                    "          %ps = attn_gpu.mma.start"}},
      "reads use 0 of channel 'k' (slot 0) after its release");
}

TEST_F(GpuProtocol, ReaderThatIsNone) {
  expectError(
      {{"attn_gpu.fill %kc[%i], %K[%row] :",
        "attn_gpu.fill %kc[%i], %K[%row] readers(%c1, %c0) :"}},
      "role mma #1 reads use 0 of channel 'k' (slot 0), whose reader it "
      "is not");
}

TEST_F(GpuProtocol, DiagonalAfterRelease) {
  const std::string region = " diagonal at(%c0, %c0) {\n"
                             "          ^bb0(%d: i64):\n"
                             "            %f = arith.sitofp %d : i64 to f32\n"
                             "            attn_gpu.yield %f : f32\n"
                             "          } : !kc, !view";
  expectError(
      {{"!kc = !attn_gpu.channel<16x64xbf16, stages = 2, records = 0>",
        "!kc = !attn_gpu.channel<16x64xbf16, stages = 2, records = 0, "
        "diagonal = 128>"},
       {"%K[%row] : !kc, !view", "%K[%row]" + region},
       {"%V[%row] : !kc, !view", "%V[%row]" + region},
       {"attn_gpu.release %kc[%i] : !kc",
        "attn_gpu.release %kc[%i] : !kc\n"
        "          %dv = attn_gpu.diagonal.read %kc[%i] : !kc -> "
        "!attn_gpu.diagvec<128x16xf32>"}},
      "reads the diagonal of use 0 of channel 'k' (slot 0), which it does not "
      "hold");
}

TEST_F(GpuProtocol, ReleasedTwice) {
  expectError({{"attn_gpu.release %vc[%i] : !kc",
                "attn_gpu.release %vc[%i] : !kc\n"
                "          attn_gpu.release %vc[%i] : !kc"}},
              "releases use 0 of channel 'v' twice");
}

TEST_F(GpuProtocol, ReleasedUnseen) {
  expectError({{"attn_gpu.release %qc[%qi] : !qc",
                "attn_gpu.release %qc[%qi] : !qc\n"
                "        attn_gpu.release %kc[%c16] : !kc"}},
              "releases use 16 of channel 'k', which it has not waited for");
}

//===----------------------------------------------------------------------===//
// Numbers of uses
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, WrongParityPassesForAnotherUse) {
  expectError({{"%ku = arith.addi %i, %c0 : index",
                "%ku = arith.addi %i, %c4 : index"}},
              "reads use 4 of channel 'k' (slot 0), which is not there: the "
              "slot has use 0, and the barrier's parity is the same");
}

TEST_F(GpuProtocol, WrongParityWaitsForEver) {
  expectError({{"%ku = arith.addi %i, %c0 : index",
                "%ku = arith.addi %i, %c2 : index"}},
              "deadlock: role load waits for the release of use 0 of channel "
              "'k' (slot 0) by mma #0, mma #1\n"
              "note: role mma #0 waits for use 2 of channel 'k' (slot 0)");
}

TEST_F(GpuProtocol, ReadBeforeTheFirstFill) {
  expectError({{"%qt = attn_gpu.wait %qc[%qi] : !qc -> !qt",
                "%minus = arith.subi %c0, %c1 : index\n"
                "        %qt = attn_gpu.wait %qc[%minus] : !qc -> !qt"}},
              "use -1 of channel 'q' does not exist");
  // The parity of a round that never was: only while nothing is there.
  expectErrorSomewhere({{"%ku = arith.addi %i, %c0 : index",
                         "%ku = arith.addi %i, %c2 : index"}},
                       "reads use 2 of channel 'k' (slot 0), which is not "
                       "there: nothing is",
                       {1});
}

TEST_F(GpuProtocol, FilledTwice) {
  expectError(
      {{"attn_gpu.fill %kc[%i], %K[%row]", "attn_gpu.fill %kc[%it], %K[%row]"}},
      "role load fills use 0 of channel 'k' (slot 0) while use 0 there "
      "is not released");
}

TEST_F(GpuProtocol, FilledOutOfOrder) {
  expectError({{"attn_gpu.fill %vc[%i], %V[%row]",
                "%far = arith.addi %i, %c4 : index\n"
                "          attn_gpu.fill %vc[%far], %V[%row]"}},
              "role load fills use 4 of channel 'v' (slot 0), whose next use "
              "is 0");
}

TEST_F(GpuProtocol, PublishedWithoutATile) {
  expectError({{"attn_gpu.release %qc[%end#0] : !qc",
                "%none = attn_gpu.wait %qc[%end#0] : !qc -> !qt\n"
                "      attn_gpu.release %qc[%end#0] : !qc"}},
              "use 2 of channel 'q' (slot 0) was published without a tile");
}

TEST_F(GpuProtocol, WaitAfterRelease) {
  expectError({{"attn_gpu.release %qc[%qi] : !qc",
                "attn_gpu.release %qc[%qi] : !qc\n"
                "        %again = attn_gpu.wait %qc[%qi] : !qc -> !qt"}},
              "waits for use 0 of channel 'q' (slot 0) after its release");
}

//===----------------------------------------------------------------------===//
// Roles against each other
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, SwappedFillsAreADeadlock) {
  std::string fill =
      "attn_gpu.fill %qc[%qi], %Q[%c0] records(%t, %sent) : !qc, !view";
  expectError({{fill, ""}, {"// Behind the blocks.", fill}},
              "deadlock: role load waits for the release of use 0 of channel "
              "'k' (slot 0) by mma #0, mma #1\n"
              "note: role mma #0 waits for use 0 of channel 'q' (slot 0)");
}

TEST_F(GpuProtocol, MoreBlocksReadThanFilled) {
  expectError({{"%sent = arith.addi %n, %c0 : index",
                "%sent = arith.addi %n, %c1 : index"}},
              "note: role load has ended: the roles disagree on the number of "
              "uses");
}

TEST_F(GpuProtocol, FewerBlocksReadThanFilled) {
  expectError({{"%sent = arith.addi %n, %c0 : index",
                "%sent = arith.subi %n, %c1 : index"}},
              "the roles disagree on the uses of channel 'k': 2 were filled, "
              "role mma #0 read 1",
              {2});
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, AwaitThatDoesNotWait) {
  expectError(
      {{"%s = attn_gpu.await %ps keep 0", "%s = attn_gpu.await %ps keep 1"}},
      "keeps 1 products in flight, but 0 were started after this one");
}

TEST_F(GpuProtocol, ReleaseBeforeTheAwait) {
  expectError({{"%s = attn_gpu.await %ps keep 0",
                "attn_gpu.release %kc[%i] : !kc\n"
                "          %s = attn_gpu.await %ps keep 0"}},
              "releases use 0 of channel 'k' (slot 0) while a product in "
              "flight reads it");
}

TEST_F(GpuProtocol, AnotherOperandIsHeld) {
  expectError({{"%o1 = attn_gpu.await %po keep 0 holds(%a : !a)",
                "%b = attn_gpu.convert %s : !s -> !a\n"
                "          %o1 = attn_gpu.await %po keep 0 holds(%b : !a)"}},
              "holds another fragment than the product reads");
}

//===----------------------------------------------------------------------===//
// Turns and tiles
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, TurnNotPassed) {
  expectError({{"attn_gpu.turn \"pass\"", ""}},
              "role mma #0 takes a turn that it has");
  expectError({{"attn_gpu.turn \"pass\"", ""}},
              "role mma #0 ends with a turn that it has taken", {1});
}

TEST_F(GpuProtocol, TurnNotTaken) {
  expectError({{"attn_gpu.turn \"take\"", ""}},
              "passes a turn that it has not");
}

TEST_F(GpuProtocol, CounterNotLeftAtZero) {
  expectError(
      {{"attn_gpu.tile.fetch of %tiles", "attn_gpu.tile.fetch of %c16"}},
      "leaves the tile counter at 1, not at zero", {1});
}

/// The second loading warp is told of a few tiles at once.
TEST_F(GpuProtocol, ToldOfTooManyTiles) {
  expectErrorSomewhere({{"attn_gpu.fill %vc[%i], %V[%row] :",
                         "attn_gpu.fill %vc[%i], %V[%row] warp 1 :"}},
                       "role load #1 is more than 16 tiles behind the first "
                       "warp",
                       std::vector<int64_t>(20, 0));
}

TEST_F(GpuProtocol, TileComputedTwice) {
  load({{"%next = attn_gpu.tile.fetch of %tiles",
         "%next = arith.addi %t, %c1 : index"}});
  EXPECT_FALSE(explore({1, 1}, 2));
  EXPECT_NE(messages.find("a second time"), std::string::npos) << messages;
}

//===----------------------------------------------------------------------===//
// Kernels that are none
//===----------------------------------------------------------------------===//

TEST_F(GpuProtocol, NoBlockOfThreads) {
  load();
  GpuOptions options;
  options.blocks = 0;
  EXPECT_FALSE(interpret({1}, options));
  EXPECT_NE(messages.find("needs a block of threads, got 0"), std::string::npos)
      << messages;
}

TEST_F(GpuProtocol, MeetingOutsideTheRoles) {
  expectError(
      {{"  attn_gpu.specialize {", "  %none = attn_gpu.tile.fetch of %tiles\n"
                                   "  attn_gpu.specialize {"}},
      "'attn_gpu.tile.fetch' outside the roles");
}

TEST_F(GpuProtocol, SecondSpecialize) {
  const std::string roles = "attn_gpu.specialize {\n"
                            "  attn_gpu.role load groups(1) {\n  }\n"
                            "  attn_gpu.role mma groups(2) {\n  }\n"
                            "}\n";
  expectError({{"  return\n}", roles + "  return\n}"}},
              "is the second in a kernel");
  expectError({{"%first = attn_gpu.tile.first",
                roles + "%first = attn_gpu.tile.first"}},
              "'attn_gpu.specialize' inside a role");
}

TEST_F(GpuProtocol, LoopsThatDoNotEnd) {
  expectError({{"%sent = arith.addi %n, %c0 : index",
                "%none = arith.subi %n, %n : index\n"
                "        scf.for %x = %c0 to %n step %none {\n        }\n"
                "        %sent = arith.addi %n, %c0 : index"}},
              "step must be positive, got 0");
  load({{"%sent = arith.addi %n, %c0 : index",
         "scf.for %x = %n to %tiles step %c1 {\n        }\n"
         "        %sent = arith.addi %n, %c0 : index"}});
  GpuOptions options;
  options.data = false;
  options.maxLocalOps = 50;
  EXPECT_TRUE(interpret({1, 2}, options)) << messages;
  EXPECT_FALSE(interpret(std::vector<int64_t>(60, 0), options));
  EXPECT_NE(messages.find("role load does not come to a barrier"),
            std::string::npos)
      << messages;
}

TEST_F(GpuProtocol, RowsBeforeAView) {
  expectError({{"attn_gpu.store_tile %r#1, %O[%c0]",
                "%before = arith.subi %c0, %c16 : index\n"
                "        attn_gpu.store_tile %r#1, %O[%before]"}},
              "row -16 lies before the view");
}

} // namespace
