//===- GpuPerBatchTest.cpp - Offsets and lengths at level 3 ---------------===//
//
// Kernels that read offsets and lengths of each batch, against level 1.
//
//===----------------------------------------------------------------------===//

#include "GpuPipeline.h"

using namespace fovea;
using namespace fovea::test;

namespace {

class GpuPerBatch : public GpuPipeline {
protected:
  GpuPerBatch() { perBatch = true; }

  /// What lies beyond the lengths is not a number.
  static void poisonBeyond(TestLaunch &launch) {
    const Shape &s = launch.shape;
    auto poison = [&](const TensorView &tensor, int64_t b, int64_t from) {
      for (int64_t h = 0; h < tensor.sizes[1]; ++h)
        for (int64_t i = from; i < tensor.sizes[2]; ++i)
          for (int64_t e = 0; e < tensor.sizes[3]; ++e)
            tensor.storeFloat(tensor.offset({b, h, i, e}), NAN);
    };
    for (int64_t b = 0; b < s.B; ++b) {
      poison(launch.view.queries[0], b, launch.view.qLengths[b]);
      poison(launch.view.keys[0], b, launch.view.kvLengths[b]);
      poison(launch.view.value, b, launch.view.kvLengths[b]);
    }
  }

  /// As GpuPipeline::check, with poison beyond the lengths.
  void checkPoisoned(TestLaunch &launch, DType type = DType::BF16,
                     const std::string &schedule = "") {
    narrowed = [](TestLaunch &launch) { poisonBeyond(launch); };
    check(launch, type, schedule);
  }
};

TEST_F(GpuPerBatch, WholeSequences) {
  for (const char *text : {kNoop, kCausal, kWindow}) {
    TestLaunch launch(text, shapeOf(130, 200, 64, 1, 1, 2));
    check(launch);
  }
}

/// Queries before, within and behind the keys.
TEST_F(GpuPerBatch, Offsets) {
  for (const char *text : {kNoop, kCausal, kWindow}) {
    TestLaunch launch(text, shapeOf(100, 200, 64, 1, 1, 4));
    launch.view.qOffset = {130, 0, 1000, 70};
    launch.view.kvOffset = {0, 150, 777, 33};
    check(launch, DType::F16);
  }
}

/// Lengths of none, one, within a block, of whole blocks, of all.
TEST_F(GpuPerBatch, KeyLengths) {
  for (const char *text : {kNoop, kCausal, kWindow}) {
    TestLaunch launch(text, shapeOf(70, 330, 64, 1, 1, 6));
    launch.view.kvLengths = {0, 1, 100, 256, 290, 330};
    checkPoisoned(launch);
  }
}

TEST_F(GpuPerBatch, QueryLengths) {
  for (const char *text : {kNoop, kCausal}) {
    TestLaunch launch(text, shapeOf(300, 70, 64, 1, 1, 6));
    launch.view.qLengths = {0, 1, 128, 200, 192, 300};
    checkPoisoned(launch);
  }
}

TEST_F(GpuPerBatch, EdgesOfMasks) {
  for (const char *text : {kCausal, kWindow}) {
    TestLaunch launch(text, shapeOf(100, 300, 64, 1, 1, 4));
    launch.view.qOffset = {130, 0, 250, 70};
    launch.view.kvLengths = {100, 256, 290, 300};
    checkPoisoned(launch, DType::BF16, "\"edges=1\"");
  }
}

/// The last queries of sequences of their own lengths.
TEST_F(GpuPerBatch, QueriesAtTheEndOfTheirKeys) {
  for (int64_t D : {64, 128, 256}) {
    TestLaunch launch(D == 128 ? kCausal : kWindow,
                      shapeOf(70, 300, D, 2, 1, 3));
    launch.view.kvLengths = {70, 211, 290};
    launch.view.qLengths = {70, 1, 33};
    launch.view.qOffset = {0, 210, 257};
    checkPoisoned(launch);
  }
}

/// Scores and masks that read captures at true positions.
TEST_F(GpuPerBatch, Positions) {
  TestLaunch launch(
      "attention biased(slope: f32[H], key: f32[S], far: f32[S]) {\n"
      "  score = s - slope[h] * (q - kv) + key[kv] + far[q - kv]\n"
      "  mask = q >= kv and q - kv < 170\n}",
      shapeOf(140, 200, 128, 2, 2, 2));
  launch.view.captures = {launch.floats({0.05, 0.01}),
                          launch.random({400}, DType::F32),
                          launch.random({700}, DType::F32)};
  launch.view.qOffset = {60, 310};
  launch.view.kvOffset = {0, 150};
  launch.view.kvLengths = {200, 77};
  launch.view.qLengths = {140, 99};
  checkPoisoned(launch);
}

TEST_F(GpuPerBatch, Normalizers) {
  for (const char *text :
       {"attention sinks(sigma: f32[H]) {\n  mask = q >= kv\n"
        "  normalizer = sink(sigma)\n}",
        "attention free { mask = q >= kv\n  normalizer = sigmoid() }"}) {
    TestLaunch launch(text, shapeOf(150, 290, 64, 2, 1, 2));
    if (llvm::StringRef(text).contains("sigma"))
      launch.view.captures = {launch.floats({0.5, -1})};
    else
      launch.view.lse.reset();
    launch.view.kvLengths = {130, 290};
    launch.view.qLengths = {150, 20};
    launch.view.qOffset = {0, 250};
    checkPoisoned(launch);
  }
}

TEST_F(GpuPerBatch, EveryOrder) {
  TestLaunch launch(kCausal, shapeOf(140, 160, 64, 1, 1, 2));
  launch.view.kvLengths = {0, 150};
  launch.view.qLengths = {140, 64};
  launch.view.qOffset = {0, 80};
  explore(launch, "groups=1,n=64,stages=2,q_stages=1,ping_pong=0,staged=0");
}

TEST_F(GpuPerBatch, ListsAreRefused) {
  TestLaunch launch(kCausal, shapeOf(128, 128, 64));
  setBlocks(launch, 128, 128, {1});
  narrow(launch, DType::BF16);
  build(launch);
  EXPECT_FALSE(lower(withSchedule(kSteps[0], "")));
  EXPECT_NE(messages.find("sm_90a kernels do not have offsets and lengths "
                          "beside lists of tiles"),
            std::string::npos)
      << messages;
}

} // namespace
