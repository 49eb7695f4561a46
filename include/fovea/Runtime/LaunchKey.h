//===- LaunchKey.h - What a launch on a GPU depends on ----------*- C++ -*-===//
//
// Two launches of a kernel with one key pass the same checks and differ in
// nothing but the addresses of their tensors.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_LAUNCHKEY_H
#define FOVEA_RUNTIME_LAUNCHKEY_H

#include "fovea-c/fovea.h"
#include "fovea/Target/NVVM/Manifest.h"

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>

namespace fovea {

/// Read from the C ABI's struct, which nothing has checked but its size.
class LaunchKey {
public:
  /// False where there is none: host memory, pages, several pairs, more numbers
  /// than fit, results woven into other tensors, what the checks will refuse.
  bool read(const fovea_launch &launch);

  llvm::ArrayRef<uint64_t> words() const { return {numbers, count}; }
  uint64_t hash() const;
  /// By LaunchTensor; null for a tensor that was not given.
  uintptr_t address(unsigned tensor) const { return addresses[tensor]; }
  int device() const { return deviceId; }
  void *stream() const { return launchStream; }

  /// The key tells addresses apart by these bits and by being null.
  static constexpr uintptr_t alignment = 64;

private:
  static constexpr size_t capacity = 224, maxRank = 8, maxCaptures = 24;
  bool add(uint64_t number) {
    if (count == capacity)
      return false;
    numbers[count++] = number;
    return true;
  }
  bool add(const int64_t *given, int64_t howMany);
  bool add(const fovea_tensor *tensor, unsigned place);

  uint64_t numbers[capacity];
  size_t count = 0;
  uintptr_t addresses[FirstCapture + maxCaptures];
  int deviceId = 0;
  void *launchStream = nullptr;
};

} // namespace fovea

#endif // FOVEA_RUNTIME_LAUNCHKEY_H
