//===- Launch.h - One call of a kernel, checked -----------------*- C++ -*-===//
//
// A LaunchView is what every engine (compiled kernels, the interpreters) gets:
// the C ABI's fovea_launch after all checks, with every default filled in.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_LAUNCH_H
#define FOVEA_RUNTIME_LAUNCH_H

#include "fovea-c/fovea.h"
#include "fovea/Runtime/TensorView.h"
#include "fovea/Runtime/TileRuns.h"

#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace fovea {

struct LaunchView {
  int64_t batch = 0, queryHeads = 0, kvHeads = 0;
  int64_t queryLength = 0, kvLength = 0, valueDim = 0;
  llvm::SmallVector<TensorView, 1> queries; ///< [B,Hq,M,D], one per pair
  llvm::SmallVector<TensorView, 1> keys; ///< [B,Hk,N,D]; stride 0 for 1 batch
  TensorView value;                      ///< [B,Hk,N,E]; stride 0 for 1 batch
  TensorView out;                        ///< [B,Hq,M,E]
  std::optional<TensorView> lse;         ///< [B,Hq,M], score type
  llvm::SmallVector<TensorView, 4> captures;
  llvm::SmallVector<double, 1> scales;
  /// All of length B: lengths within 0…M and 0…N.
  llvm::SmallVector<int64_t, 4> qOffset, kvOffset, qLengths, kvLengths;
  /// A block mask: i8 [B,Hq,Qb,KVb], broadcast by stride, or its runs. Without
  /// one the runs are what is known of the mask in this call, if anything is.
  std::optional<TensorView> blockClasses;
  std::optional<TileRuns> tileRuns;
  int64_t blockQ = 0, blockKV = 0;
  /// With pages keys and value are [pages,Hk,pageLength,D], and key n of batch
  /// b is in page pageTable[b · pageStride + n / pageLength]; the table has the
  /// pages of the longest sequence.
  int64_t pageLength = 0, pageStride = 0;
  llvm::ArrayRef<int64_t> pageTable;
  std::shared_ptr<int64_t> pageMemory;
  int deviceId = 0;       ///< of all tensors, on a GPU
  void *stream = nullptr; ///< a GPU's
  int (*shouldCancel)(void *) = nullptr;
  void *cancelContext = nullptr;

  RegionSizes sizes() const {
    return {batch,    queryHeads,          kvHeads, queryLength,
            kvLength, queries[0].sizes[3], valueDim};
  }
  bool cancelled() const { return shouldCancel && shouldCancel(cancelContext); }
};

} // namespace fovea

#endif // FOVEA_RUNTIME_LAUNCH_H
