//===- FakeDriverTest.h - A driver that takes notes -------------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_CUDA_FAKEDRIVERTEST_H
#define FOVEA_TEST_UNIT_CUDA_FAKEDRIVERTEST_H

#include "fovea/Runtime/Error.h"

#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <dlfcn.h>
#include <string>

namespace fovea {

inline std::string textOf(llvm::Error error) {
  return takeStatus(std::move(error)).second;
}

/// FakeCuda.c in place of libcuda; its variables by their names.
class FakeDriverTest : public testing::Test {
protected:
  explicit FakeDriverTest(int parameterCount)
      : parameterCount(parameterCount) {}

  static void SetUpTestSuite() {
    ::setenv("FOVEA_LIBCUDA", FAKE_CUDA, 1);
    library = ::dlopen(FAKE_CUDA, RTLD_NOW);
    ASSERT_NE(library, nullptr) << ::dlerror();
  }
  void SetUp() override {
    get<char>("fakeLog")[0] = 0;
    *get<const char *>("fakeFailing") = "";
    *get<int>("fakeRegisters") = 168;
    *get<int>("fakeLocalBytes") = 0;
    *get<int>("fakeParameterCount") = parameterCount;
  }
  template <typename T> static T *get(const char *name) {
    return static_cast<T *>(::dlsym(library, name));
  }
  static unsigned count(llvm::StringRef what) {
    return llvm::StringRef(get<char>("fakeLog")).count(what);
  }

  static inline void *library = nullptr;

private:
  int parameterCount;
};

} // namespace fovea

#endif // FOVEA_TEST_UNIT_CUDA_FAKEDRIVERTEST_H
