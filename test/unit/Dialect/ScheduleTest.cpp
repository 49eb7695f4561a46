//===- ScheduleTest.cpp - #online.cpu_schedule against targets ------------===//

#include "fovea/Dialect/Online/IR/Online.h"

#include "mlir/IR/Diagnostics.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::online;

namespace {

class Schedule : public ::testing::Test {
protected:
  Schedule()
      : handler(&context, [this](Diagnostic &diag) {
          message = diag.str();
          return success();
        }) {
    context.loadDialect<OnlineDialect>();
    target.setLimit("vector_bytes", 64);
    target.setLimit("l2_bytes", 1 << 20);
  }

  ScheduleAttrInterface get(int64_t m, int64_t n, int64_t lanes) {
    return cast<ScheduleAttrInterface>(Attribute(CPUScheduleAttr::get(
        &context, m, n, lanes, false, 32, false, false, 0, 0)));
  }

  bool fits(ScheduleAttrInterface schedule, unsigned elementBytes,
            int64_t dim = 64) {
    return succeeded(
        schedule.verifySchedule(target, dim, dim, elementBytes, [&] {
          return emitError(UnknownLoc::get(&context));
        }));
  }

  MLIRContext context;
  std::string message;
  ScopedDiagnosticHandler handler;
  fovea::TargetModel target{"test-cpu"};
};

TEST_F(Schedule, TilesAreTheSchedules) {
  ScheduleAttrInterface schedule = get(192, 256, 16);
  EXPECT_EQ(schedule.getQueryTile(), 192);
  EXPECT_EQ(schedule.getKeyTile(), 256);
}

TEST_F(Schedule, FootprintCountsWhatAnItemHolds) {
  ScheduleAttrInterface schedule = get(192, 256, 16);
  EXPECT_EQ(schedule.footprint("vector_bytes", 64, 64, 4), 64);
  EXPECT_EQ(schedule.footprint("vector_bytes", 64, 64, 8), 128);
  int64_t rows = 192 * (64 + 64 + 2), scores = 256 * 16, block = 256 * 128;
  EXPECT_EQ(schedule.footprint("l2_bytes", 64, 64, 4), 4 * (rows + scores));
  EXPECT_EQ(schedule.footprint("l2_bytes", 64, 64, 8), 8 * (rows + scores));
  EXPECT_EQ(schedule.footprint("l2_bytes", 64, 64, 2),
            4 * (rows + scores + block));
  EXPECT_EQ(schedule.footprint("shared_memory", 64, 64, 4), 0);
}

TEST_F(Schedule, DiagnosticsNameResourceAskedAndLimit) {
  EXPECT_TRUE(fits(get(192, 256, 16), 4));
  EXPECT_FALSE(fits(get(192, 256, 32), 4));
  EXPECT_NE(message.find("asks for 128 of vector_bytes, the limit of "
                         "'test-cpu' is 64"),
            std::string::npos)
      << message;
  EXPECT_FALSE(fits(get(4096, 256, 16), 4));
  EXPECT_NE(message.find("asks for 2146304 of l2_bytes, the limit of "
                         "'test-cpu' is 1048576"),
            std::string::npos)
      << message;
}

TEST_F(Schedule, TilesOfTheProcessorTakeWhatIsInPairs) {
  auto make = [&](bool pairs, bool exact, int64_t split) {
    int64_t wide = split ? 16 : 0;
    return succeeded(CPUScheduleAttr::verify(
        [&] { return emitError(UnknownLoc::get(&context)); }, 32, 64, 16, exact,
        32, pairs, /*amx=*/true, split, wide));
  };
  EXPECT_TRUE(make(true, false, 0));
  EXPECT_FALSE(make(false, false, 0));
  EXPECT_EQ(message, "amx needs pairs, and has no exact form");
  EXPECT_FALSE(make(true, true, 0));
  EXPECT_TRUE(make(true, false, 1024));
}

TEST_F(Schedule, ATargetWithoutTheResourceHasNoLimit) {
  target = fovea::TargetModel("bare");
  EXPECT_TRUE(fits(get(4096, 4096, 64), 8));
}

} // namespace
