//===- CudaPlans.cpp - Launches, kept packed ------------------------------===//
#include "CudaPlans.h"

#include <cstring>

using namespace fovea;

void PackedLaunch::add(const void *bytes, size_t size, size_t alignment) {
  size_t at = (end + alignment - 1) / alignment * alignment;
  end = at + size;
  chunks.resize((end + sizeof(Chunk) - 1) / sizeof(Chunk));
  std::memcpy(data() + at, bytes, size);
  arguments.push_back(static_cast<unsigned>(at));
}

static int launchPlain(const CudaFunctions &cuda, void *stream,
                       const PackedLaunch::Kernel &kernel, void **arguments) {
  return cuda.launchKernel(kernel.function, kernel.grid, 1, 1, kernel.threads,
                           1, 1, kernel.sharedMemory, stream, arguments,
                           nullptr);
}

/// Beside the kernel ahead, for which it waits itself. A driver that refuses
/// this is not asked again: a plain launch does the same, and begins later.
static int launchOne(const CudaFunctions &cuda, void *stream,
                     const PackedLaunch::Kernel &kernel, void **arguments) {
  if (!kernel.isProgrammatic || !cuda.launchesProgrammatically)
    return launchPlain(cuda, stream, kernel, arguments);
  CudaLaunchAttribute attribute = {launchProgrammatic, {1}};
  CudaLaunchConfig config = {{kernel.grid, 1, 1}, {kernel.threads, 1, 1},
                             kernel.sharedMemory, stream,
                             &attribute,          1};
  int status =
      cuda.launchKernelEx(&config, kernel.function, arguments, nullptr);
  if (status != statusInvalidValue && status != statusNotSupported)
    return status;
  status = launchPlain(cuda, stream, kernel, arguments);
  if (status == 0)
    cuda.launchesProgrammatically = false;
  return status;
}

/// `pointers`: to the arguments of all kernels.
static int launchAll(const CudaFunctions &cuda, void *stream,
                     llvm::ArrayRef<PackedLaunch::Kernel> kernels,
                     void **pointers) {
  for (const PackedLaunch::Kernel &kernel : kernels)
    if (int status = launchOne(cuda, stream, kernel, pointers + kernel.first))
      return status;
  return 0;
}

int PackedLaunch::run(const CudaFunctions &cuda, void *stream) {
  llvm::SmallVector<void *, 32> pointers;
  for (unsigned offset : arguments)
    pointers.push_back(data() + offset);
  return launchAll(cuda, stream, kernels, pointers.data());
}

/// Puts the addresses of this launch into the arguments.
bool LaunchPlans::Slot::move(const LaunchKey &key) {
  for (PackedLaunch::Address &place : packed.addresses) {
    uintptr_t address = key.address(place.tensor);
    if (address == place.address)
      continue;
    char *argument = packed.data() + place.offset;
    if (!place.isMap)
      std::memcpy(argument, &address, sizeof address);
    else if (driver->functions().replaceAddress(argument, address) != 0)
      return false;
    place.address = address;
  }
  return true;
}

/// The bytes and the arguments of a launch that has been found, for a thread of
/// its own.
struct LaunchPlans::Copy {
  alignas(64) char bytes[maxBytes];
  void *pointers[maxArguments];
  PackedLaunch::Kernel kernels[maxKernels];
  size_t count = 0;
  std::optional<uint64_t> scratch;
};

bool LaunchPlans::find(CudaDriver &driver, const LaunchKey &key, Slot &slot,
                       Copy &out) {
  std::lock_guard<std::mutex> lock(slot.mutex);
  if (slot.driver != &driver || key.words() != llvm::ArrayRef(slot.key) ||
      !slot.move(key))
    return false;
  PackedLaunch &packed = slot.packed;
  std::memcpy(out.bytes, packed.data(), packed.end);
  for (auto [i, offset] : llvm::enumerate(packed.arguments))
    out.pointers[i] = out.bytes + offset;
  llvm::copy(packed.kernels, out.kernels);
  out.count = packed.kernels.size();
  out.scratch = slot.scratch;
  return true;
}

bool LaunchPlans::run(CudaDriver &driver, const LaunchKey &key) {
  Copy copy;
  uint64_t hash = key.hash();
  if (!find(driver, key, first(hash), copy) &&
      !find(driver, key, second(hash), copy))
    return false;
  std::unique_lock<std::mutex> lock(driver.scratchMutex(), std::defer_lock);
  if (copy.scratch) {
    lock.lock();
    if (driver.scratchVersion() != *copy.scratch)
      return false;
  }
  auto scope = driver.enter(key.device());
  if (!scope) {
    llvm::consumeError(scope.takeError());
    return false;
  }
  return launchAll(driver.functions(), key.stream(), {copy.kernels, copy.count},
                   copy.pointers) == 0;
}

void LaunchPlans::keep(const LaunchKey &key, CudaDriver &driver,
                       PackedLaunch packed, std::optional<uint64_t> scratch) {
  if (packed.end > maxBytes || packed.arguments.size() > maxArguments ||
      packed.kernels.size() > maxKernels)
    return;
  uint64_t hash = key.hash();
  auto put = [&](Slot &slot, bool anyway) {
    std::lock_guard<std::mutex> lock(slot.mutex);
    if (!anyway && !slot.key.empty() && key.words() != llvm::ArrayRef(slot.key))
      return false;
    slot.key.assign(key.words().begin(), key.words().end());
    slot.driver = &driver;
    slot.packed = std::move(packed);
    slot.scratch = scratch;
    return true;
  };
  if (!put(first(hash), /*anyway=*/false))
    put(second(hash), /*anyway=*/true);
}
