//===- TileRuns.h - Classes of tiles as runs of equal tiles ------*- C++-*-===//
#ifndef FOVEA_RUNTIME_TILERUNS_H
#define FOVEA_RUNTIME_TILERUNS_H

#include "fovea/Runtime/TensorView.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace fovea {

/// As KernelABI.h lays them out: a run is 4 · end + class.
struct TileRuns {
  llvm::ArrayRef<int64_t> offsets;
  llvm::ArrayRef<int32_t> runs;
  /// Rows of tiles from one batch, and from one head, to the next.
  int64_t batchStride = 0, headStride = 0;

  static constexpr int64_t maxKeyTiles = INT32_MAX / 4;
  static int64_t endOf(int32_t run) { return run >> 2; }
  static int classOf(int32_t run) { return run & 3; }

  int64_t numRows() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t row(int64_t b, int64_t h, int64_t tile) const {
    return b * batchStride + h * headStride + tile;
  }
  llvm::ArrayRef<int32_t> ofRow(int64_t row) const {
    return runs.slice(static_cast<size_t>(offsets[row]),
                      static_cast<size_t>(offsets[row + 1] - offsets[row]));
  }
  /// 0 empty, 1 partial, 2 full.
  int classAt(int64_t row, int64_t keyTile) const;
};

/// What the mask of a call came out as, and all that it follows from.
struct KnownRuns {
  std::vector<char> key;
  std::vector<int64_t> offsets;
  std::vector<int32_t> runs;
  int64_t batchStride = 0, headStride = 0;
};

/// The last mask that a kernel has met; calls may run side by side. None waits:
/// in a forked child the lock may be held by a thread that it does not have.
class LastRuns {
public:
  std::shared_ptr<const KnownRuns> get() {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    return lock ? last : nullptr;
  }
  void set(std::shared_ptr<const KnownRuns> known) {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (lock)
      last.swap(known);
  }

private:
  std::mutex mutex;
  std::shared_ptr<const KnownRuns> last;
};

/// The runs of an array of classes, i8 [B,H,Qb,KVb] with fewer key tiles than
/// maxKeyTiles; batches and heads of stride 0 share theirs.
TileRuns collectRuns(const TensorView &classes, std::vector<int64_t> &offsets,
                     std::vector<int32_t> &runs);

} // namespace fovea

#endif // FOVEA_RUNTIME_TILERUNS_H
