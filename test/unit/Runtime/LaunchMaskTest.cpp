//===- LaunchMaskTest.cpp - The mask of one call, analysed ----------------===//
#include "fovea/Interpreter/LaunchMask.h"
#include "fovea/Runtime/Error.h"

#include "gtest/gtest.h"

#include <atomic>
#include <functional>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace fovea;

namespace {

constexpr int64_t length = 500, itemRows = 64;

Program parse(const std::string &regions) {
  std::string text = R"({"D":[8],"E":8,"block_mask":false,"captures":)"
                     R"([{"dtype":"i32","name":"doc","rank":1}],"dtype":"f32",)"
                     R"("fovea":1,"name":"t","normalizer":"softmax",)"
                     R"("params":[],"return_lse":false,"scale":null,)" +
                     regions + "}";
  auto program = parseProgram(text);
  EXPECT_TRUE(bool(program));
  return program ? std::move(*program) : Program();
}

/// doc[q] == doc[kv], or that and h == kv // 250.
Program documents(bool byHead = false) {
  return parse(
      R"("score":null,"mask":{"args":["b","h","q","kv"],"nodes":[["arg","q"],)"
      R"(["read",0,0],["arg","kv"],["read",0,2],["ieq",1,3],["arg","h"],)"
      R"(["const","i64",250],["floordiv",2,6],["ieq",5,7],["band",4,8]],)"
      R"("results":[)" +
      std::string(byHead ? "9" : "4") + "]}");
}

/// s where q >= kv, else -inf.
Program hidingScore() {
  return parse(R"("mask":null,"score":{"args":["s","b","h","q","kv"],"nodes":[)"
               R"(["arg","s"],["arg","q"],["arg","kv"],["ige",1,2],)"
               R"(["const","f","-inf"],["select",3,0,4]],"results":[5]})");
}

struct Call {
  Call() {
    for (int64_t i = 0; i < 1100; ++i)
      doc.push_back(static_cast<int32_t>(i / 100));
    view.batch = view.queryHeads = 2;
    view.kvHeads = 1;
    view.queryLength = view.kvLength = length;
    view.valueDim = 8;
    TensorView query;
    query.sizes = {2, 2, length, 8};
    view.queries.push_back(query);
    TensorView capture;
    capture.data = doc.data();
    capture.dtype = DType::I32;
    capture.sizes = {static_cast<int64_t>(doc.size())};
    capture.strides = {1};
    view.captures.push_back(capture);
    view.qOffset = view.kvOffset = {0, 0};
    view.qLengths = view.kvLengths = {length, length};
  }

  /// As a kernel of its own, or as one that remembers its last mask.
  fovea_status analyze(const Program &program, LastRuns *known = nullptr) {
    LastRuns none;
    view.tileRuns.reset();
    return takeStatus(analyzeLaunchMask(program, itemRows, view,
                                        known ? *known : none, runs))
        .first;
  }

  /// Counts the classes of all tiles after checking what they promise of the
  /// pairs within the lengths.
  std::array<int64_t, 3>
  check(std::function<bool(int64_t, int64_t, int64_t, int64_t)> visible) {
    std::array<int64_t, 3> counts = {};
    const TileRuns &found = *view.tileRuns;
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t h = 0; h < 2; ++h)
        for (int64_t m = 0; m < view.qLengths[b]; ++m)
          for (int64_t n = 0; n < view.kvLengths[b]; ++n) {
            int kind = found.classAt(found.row(b, h, m / view.blockQ),
                                     n / view.blockKV);
            bool seen =
                visible(b, h, m + view.qOffset[b], n + view.kvOffset[b]);
            EXPECT_TRUE(kind == 1 || (kind == 2) == seen)
                << b << ", " << h << ", " << m << ", " << n;
            if (m % view.blockQ == 0 && n % view.blockKV == 0)
              ++counts[kind];
          }
    return counts;
  }

  std::vector<int32_t> doc;
  LaunchView view;
  std::shared_ptr<const KnownRuns> runs;
};

TEST(LaunchMask, ReadsTheCapturesOfTheMoment) {
  Call call;
  Program program = documents();
  auto same = [&](int64_t, int64_t, int64_t m, int64_t n) {
    return call.doc[m] == call.doc[n];
  };
  ASSERT_EQ(call.analyze(program), FOVEA_OK);
  EXPECT_EQ(call.view.blockQ, itemRows);
  EXPECT_EQ(call.view.tileRuns->batchStride, 0); // one plane for all
  EXPECT_EQ(call.view.tileRuns->headStride, 0);
  EXPECT_GT(call.check(same)[0], 4 * 30);
  std::fill(call.doc.begin(), call.doc.end(), 7);
  ASSERT_EQ(call.analyze(program), FOVEA_OK);
  EXPECT_EQ(call.check(same)[2], 4 * 49); // ragged tiles may be partial
}

TEST(LaunchMask, IsAnalysedAnewWhereSomethingChanged) {
  Call call;
  LastRuns last;
  Program program = documents();
  auto analyzeAgain = [&]() {
    auto before = call.runs;
    EXPECT_EQ(call.analyze(program, &last), FOVEA_OK);
    call.check([&](int64_t, int64_t, int64_t m, int64_t n) {
      return call.doc[m] == call.doc[n];
    });
    return call.runs != before;
  };
  EXPECT_TRUE(analyzeAgain());
  EXPECT_FALSE(analyzeAgain());
  call.doc[300] = 7;
  EXPECT_TRUE(analyzeAgain());
  EXPECT_FALSE(analyzeAgain());
  call.view.qOffset = {0, 300};
  EXPECT_TRUE(analyzeAgain());
  call.view.kvLengths = {300, 300};
  EXPECT_TRUE(analyzeAgain());
  EXPECT_FALSE(analyzeAgain());
  // Captures that do not lie in one piece are not compared.
  std::vector<int32_t> apart(2 * call.doc.size());
  for (size_t i = 0; i < call.doc.size(); ++i)
    apart[2 * i] = call.doc[i];
  call.view.captures[0].data = apart.data();
  call.view.captures[0].strides = {2};
  EXPECT_TRUE(analyzeAgain());
  EXPECT_TRUE(analyzeAgain());
}

TEST(LaunchMask, ManyTilesAreNotKept) {
  Call call;
  LastRuns last;
  constexpr int64_t many = 32768; // 512 x 512 tiles, none like its neighbours
  call.doc.resize(many);
  for (int64_t i = 0; i < many; ++i)
    call.doc[i] = static_cast<int32_t>(i / 64 % 2);
  call.view.captures[0].data = call.doc.data();
  call.view.captures[0].sizes = {many};
  call.view.queryLength = call.view.kvLength = many;
  call.view.qLengths = call.view.kvLengths = {many, many};
  ASSERT_EQ(call.analyze(documents(), &last), FOVEA_OK);
  EXPECT_GE(call.runs->runs.size(), size_t(512) * 512);
  EXPECT_EQ(last.get(), nullptr);
}

TEST(LaunchMask, ForkedChildrenDoNotWaitForThreadsOfTheParent) {
  LastRuns last;
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done)
      last.set(last.get());
  });
  int stuck = 0;
  for (int i = 0; i < 50 && !stuck; ++i) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(10);
      last.get();
      last.set(nullptr);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    stuck += status != 0;
  }
  done = true;
  other.join();
  EXPECT_EQ(stuck, 0);
}

TEST(LaunchMask, HeadsOffsetsAndLengths) {
  Call call;
  call.view.qOffset = {0, 300};
  call.view.kvOffset = {40, 0};
  call.view.qLengths = {64, 410};
  call.view.kvLengths = {300, 499};
  ASSERT_EQ(call.analyze(documents()), FOVEA_OK);
  EXPECT_NE(call.view.tileRuns->batchStride, 0);
  call.check([&](int64_t, int64_t, int64_t m, int64_t n) {
    return call.doc[m] == call.doc[n];
  });
  ASSERT_EQ(call.analyze(documents(/*byHead=*/true)), FOVEA_OK);
  EXPECT_NE(call.view.tileRuns->headStride, 0);
  auto counts = call.check([&](int64_t, int64_t h, int64_t m, int64_t n) {
    return call.doc[m] == call.doc[n] && h == n / 250;
  });
  EXPECT_GT(counts[0], 80);
}

TEST(LaunchMask, AScoreHidesWhateverTheProducts) {
  Call call;
  ASSERT_EQ(call.analyze(hidingScore()), FOVEA_OK);
  auto counts =
      call.check([](int64_t, int64_t, int64_t m, int64_t n) { return m >= n; });
  EXPECT_EQ(counts[0], 4 * 28);
  EXPECT_EQ(counts[2], 0); // a product may be -inf itself
}

TEST(LaunchMask, SmallCallsAreLeftAlone) {
  Call call;
  call.view.queryLength = 8;
  call.view.qLengths = {8, 8};
  ASSERT_EQ(call.analyze(documents()), FOVEA_OK);
  EXPECT_FALSE(call.view.tileRuns);
  Call empty;
  empty.view.kvLengths = {0, 0};
  ASSERT_EQ(empty.analyze(documents()), FOVEA_OK);
  EXPECT_FALSE(empty.view.tileRuns);
}

} // namespace
