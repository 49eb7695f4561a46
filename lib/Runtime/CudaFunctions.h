//===- CudaFunctions.h - Entry points of libcuda ----------------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_CUDAFUNCTIONS_H
#define FOVEA_LIB_RUNTIME_CUDAFUNCTIONS_H

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fovea {

/// Name in libcuda, name here, parameters. Every function returns a CUresult.
#define FOVEA_CUDA_FUNCTIONS(F)                                                \
  F(cuInit, init, (unsigned))                                                  \
  F(cuGetErrorName, getErrorName, (int, const char **))                        \
  F(cuDeviceGetCount, deviceGetCount, (int *))                                 \
  F(cuDeviceGet, deviceGet, (int *, int))                                      \
  F(cuDeviceGetName, deviceGetName, (char *, int, int))                        \
  F(cuDeviceGetAttribute, deviceGetAttribute, (int *, int, int))               \
  F(cuDevicePrimaryCtxRetain, primaryContextRetain, (void **, int))            \
  F(cuCtxGetCurrent, contextGet, (void **))                                    \
  F(cuCtxPushCurrent_v2, contextPush, (void *))                                \
  F(cuCtxPopCurrent_v2, contextPop, (void **))                                 \
  F(cuModuleLoadData, moduleLoad, (void **, const void *))                     \
  F(cuModuleUnload, moduleUnload, (void *))                                    \
  F(cuModuleGetFunction, moduleGetFunction, (void **, void *, const char *))   \
  F(cuFuncGetAttribute, functionGetAttribute, (int *, int, void *))            \
  F(cuFuncSetAttribute, functionSetAttribute, (void *, int, int))              \
  F(cuMemAlloc_v2, memoryAllocate, (uint64_t *, size_t))                       \
  F(cuMemFree_v2, memoryFree, (uint64_t))                                      \
  F(cuMemsetD8Async, memorySet, (uint64_t, unsigned char, size_t, void *))     \
  F(cuTensorMapEncodeTiled, encodeTensorMap,                                   \
    (void *, int, uint32_t, void *, const uint64_t *, const uint64_t *,        \
     const uint32_t *, const uint32_t *, int, int, int, int))                  \
  F(cuTensorMapReplaceAddress, replaceAddress, (void *, uint64_t))             \
  F(cuLaunchKernel, launchKernel,                                              \
    (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,       \
     unsigned, void *, void **, void **))

/// A launch's attribute and what cuLaunchKernelEx takes, as the driver's
/// interface has them.
struct CudaLaunchAttribute {
  int number;
  union alignas(8) {
    int value;
    char bytes[64];
  };
};
struct CudaLaunchConfig {
  unsigned grid[3], block[3], sharedMemory;
  void *stream;
  CudaLaunchAttribute *attributes;
  unsigned numAttributes;
};
static_assert(sizeof(CudaLaunchAttribute) == 72 &&
              sizeof(CudaLaunchConfig) == 56);

/// What drivers may lack; null there.
#define FOVEA_CUDA_LATER_FUNCTIONS(F)                                          \
  F(cuDriverGetVersion, driverGetVersion, (int *))                             \
  F(cuLaunchKernelEx, launchKernelEx,                                          \
    (const CudaLaunchConfig *, void *, void **, void **))

struct CudaFunctions {
#define FOVEA_DECLARE(symbol, name, parameters) int(*name) parameters = nullptr;
  FOVEA_CUDA_FUNCTIONS(FOVEA_DECLARE)
  FOVEA_CUDA_LATER_FUNCTIONS(FOVEA_DECLARE)
#undef FOVEA_DECLARE
  /// Whether a kernel may be launched so that it begins beside the one ahead.
  /// False once a driver has refused that.
  mutable std::atomic<bool> launchesProgrammatically{false};
};

/// Attributes of devices and functions by their numbers in the driver's
/// interface.
enum : int {
  deviceProcessors = 16,
  deviceMajor = 75,
  deviceMinor = 76,
  functionLocalBytes = 3,
  functionRegisters = 4,
  functionMaxSharedBytes = 8,
  launchProgrammatic = 6,
};

/// Statuses by which a driver refuses an attribute of a launch.
enum : int { statusInvalidValue = 1, statusNotSupported = 801 };

/// From this version on launches that begin beside others can be captured into
/// graphs, as all launches can.
inline constexpr int kProgrammaticVersion = 12030;

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_CUDAFUNCTIONS_H
