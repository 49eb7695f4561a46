//===- CudaPlans.h - Launches, kept packed ----------------------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_CUDAPLANS_H
#define FOVEA_LIB_RUNTIME_CUDAPLANS_H

#include "CudaFunctions.h"
#include "CudaMaps.h"
#include "fovea/Runtime/LaunchKey.h"

#include <array>
#include <optional>

namespace fovea {

/// The kernels of one launch, with their arguments in the form that the driver
/// reads.
class PackedLaunch {
public:
  struct Kernel {
    void *function;
    unsigned grid, threads, sharedMemory;
    unsigned first; ///< of its arguments
    bool isProgrammatic;
  };
  /// With `waits` it waits for the kernel ahead itself, and begins beside that
  /// if it is one of this launch. Beside another launch it would keep
  /// multiprocessors from those of other streams.
  void begin(void *function, int64_t grid, unsigned threads,
             unsigned sharedMemory, bool waits) {
    kernels.push_back({function, static_cast<unsigned>(grid), threads,
                       sharedMemory, static_cast<unsigned>(arguments.size()),
                       waits && !kernels.empty()});
  }
  template <typename T> void add(T value) { add(&value, sizeof value, 8); }
  void add(const TensorMap &map) { add(map.bytes, sizeof map.bytes, 64); }
  void add(const void *bytes, size_t size) { add(bytes, size, 8); }
  /// The argument added last is, or is a map of, this tensor's address, which
  /// is another one in a later launch.
  void follow(unsigned tensor, int64_t address, bool isMap) {
    addresses.push_back(
        {tensor, arguments.back(), static_cast<uintptr_t>(address), isMap});
  }
  /// The first status that is not 0.
  int run(const CudaFunctions &cuda, void *stream);

private:
  friend class LaunchPlans;
  struct Address {
    unsigned tensor;
    unsigned offset; ///< of the argument in the bytes
    uintptr_t address;
    bool isMap;
  };
  struct alignas(64) Chunk {
    char bytes[64];
  };
  char *data() { return reinterpret_cast<char *>(chunks.data()); }
  void add(const void *bytes, size_t size, size_t alignment);

  llvm::SmallVector<Kernel, 2> kernels;
  llvm::SmallVector<unsigned, 24> arguments; ///< offsets
  llvm::SmallVector<Address, 12> addresses;
  std::vector<Chunk> chunks;
  size_t end = 0;
};

/// The last launches of a kernel by their keys. A launch that is found has been
/// checked and is packed; only its addresses are put in. No lock is held while
/// the driver works, and launches of other shapes or streams take other locks.
class LaunchPlans {
public:
  /// Runs the launch that has this key. False where none has, or the driver
  /// refuses it: it is then made anew.
  bool run(CudaDriver &driver, const LaunchKey &key);
  /// `scratch`: the CudaDriver::scratchVersion() of the memory in it, if any.
  void keep(const LaunchKey &key, CudaDriver &driver, PackedLaunch packed,
            std::optional<uint64_t> scratch);

private:
  static constexpr size_t maxBytes = 4096, maxArguments = 128, maxKernels = 4;
  struct Slot {
    std::mutex mutex;
    std::vector<uint64_t> key;
    CudaDriver *driver = nullptr;
    PackedLaunch packed;
    std::optional<uint64_t> scratch;
    bool move(const LaunchKey &key);
  };
  struct Copy;
  static bool find(CudaDriver &driver, const LaunchKey &key, Slot &slot,
                   Copy &out);
  // A launch lies in one of two slots.
  Slot &first(uint64_t hash) { return slots[hash % slots.size()]; }
  Slot &second(uint64_t hash) { return slots[(hash >> 32) % slots.size()]; }

  std::array<Slot, 64> slots;
};

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_CUDAPLANS_H
