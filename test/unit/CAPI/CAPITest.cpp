//===- CAPITest.cpp - Runs test/capi --------------------------------------===//

#include "gtest/gtest.h"

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
