//===- Handles.cpp - C ABI: what a fovea_kernel * stands for --------------===//
#include "Support.h"

#include <mutex>
#include <pthread.h>
#include <unordered_map>

using namespace fovea;

namespace {
class Handles {
public:
  static Handles &get() {
    static Handles *handles = [] {
      // A child must not find the lock held by a thread that it has not got.
      pthread_atfork([] { get().mutex.lock(); }, [] { get().mutex.unlock(); },
                     [] { get().mutex.unlock(); });
      return new Handles;
    }();
    return *handles;
  }

  uint64_t add(std::shared_ptr<Kernel> kernel) {
    std::lock_guard<std::mutex> lock(mutex);
    last += step;
    kernels[last] = std::move(kernel);
    return last;
  }
  std::shared_ptr<Kernel> find(uint64_t handle) {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = kernels.find(handle);
    return found == kernels.end() ? nullptr : found->second;
  }
  /// What a handle stood for; destroyed outside the lock.
  std::shared_ptr<Kernel> take(uint64_t handle) {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = kernels.find(handle);
    if (found == kernels.end())
      return nullptr;
    std::shared_ptr<Kernel> kernel = std::move(found->second);
    kernels.erase(found);
    return kernel;
  }

private:
  /// Aligned as pointers are, for callers that keep bits in them.
  static constexpr uint64_t step = 16;

  std::mutex mutex;
  uint64_t last = 0;
  std::unordered_map<uint64_t, std::shared_ptr<Kernel>> kernels;
};

uint64_t numberOf(const fovea_kernel *handle) {
  return reinterpret_cast<uintptr_t>(handle);
}
} // namespace

fovea_kernel *capi::makeHandle(std::shared_ptr<Kernel> kernel) {
  return reinterpret_cast<fovea_kernel *>(
      static_cast<uintptr_t>(Handles::get().add(std::move(kernel))));
}

llvm::Expected<std::shared_ptr<Kernel>>
capi::findKernel(const fovea_kernel *handle) {
  if (!handle)
    return invalid("kernel: must not be null");
  if (std::shared_ptr<Kernel> kernel = Handles::get().find(numberOf(handle)))
    return kernel;
  return invalid(
      "kernel: must be one that fovea_compile gave and nobody freed");
}

void capi::dropHandle(const fovea_kernel *handle) {
  if (handle)
    Handles::get().take(numberOf(handle));
}
