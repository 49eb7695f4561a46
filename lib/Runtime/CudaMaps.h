//===- CudaMaps.h - Tensor maps, kept ---------------------------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_CUDAMAPS_H
#define FOVEA_LIB_RUNTIME_CUDAMAPS_H

#include "fovea/Runtime/Cuda.h"

#include <array>
#include <map>

namespace fovea {

inline constexpr size_t tensorMapBytes = 128;

struct alignas(64) TensorMap {
  char bytes[tensorMapBytes];
};

/// Maps of one kernel by address, sizes and strides.
class TensorMapCache {
public:
  llvm::Error find(CudaDriver &driver, const KernelManifest &manifest,
                   const KernelArgument &argument, const LaunchValues &values,
                   TensorMap &out);

private:
  using Key = std::vector<int64_t>;
  std::mutex mutex;
  std::map<Key, TensorMap> maps;
};

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_CUDAMAPS_H
