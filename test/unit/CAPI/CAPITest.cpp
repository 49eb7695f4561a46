//===- CAPITest.cpp - Runs test/capi --------------------------------------===//

#include "gtest/gtest.h"

#include <cstdlib>

extern "C" {
/// The tests of test/capi/capi.c; a null name ends the list. Each returns the
/// line of the first check that does not hold, or 0.
struct capi_test {
  const char *name;
  int (*run)(void);
};
extern const capi_test capi_tests[];
/// What the failing check says.
extern char capi_failure[];
}

TEST(CAPI, WrittenInC) {
  for (const capi_test *test = capi_tests; test->name; ++test) {
    int line = test->run();
    EXPECT_EQ(line, 0) << test->name << " at capi.c:" << line << ": "
                       << capi_failure;
  }
}

TEST(CAPI, ClosedAndOpenedAgain) {
  // Compiled anew both times, not read from the disk.
  EXPECT_EQ(std::system("FOVEA_CACHE=0 '" CAPI_RELOAD "' '" CAPI_LIBRARY "'"),
            0);
}
