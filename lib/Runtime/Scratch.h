//===- Scratch.h - Memory that kernels work in ------------------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_SCRATCH_H
#define FOVEA_LIB_RUNTIME_SCRATCH_H

#include <cstddef>

namespace fovea {

/// A block of 64-byte aligned memory; blocks of earlier calls are used again up
/// to a bound. Its content is undefined.
class Scratch {
public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(Scratch &&other) noexcept : data(other.data), bytes(other.bytes) {
    other.data = nullptr;
  }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  /// Null where the system has no memory.
  void *get() const { return data; }

private:
  void *data = nullptr;
  size_t bytes;
};

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_SCRATCH_H
