//===- TileRuns.cpp - Classes of tiles as runs of equal tiles -------------===//
#include "fovea/Runtime/TileRuns.h"

#include "llvm/ADT/STLExtras.h"

using namespace fovea;

int TileRuns::classAt(int64_t row, int64_t keyTile) const {
  llvm::ArrayRef<int32_t> all = ofRow(row);
  const auto *run = llvm::partition_point(
      all, [&](int32_t run) { return endOf(run) <= keyTile; });
  return run == all.end() ? 0 : classOf(*run);
}

TileRuns fovea::collectRuns(const TensorView &classes,
                            std::vector<int64_t> &offsets,
                            std::vector<int32_t> &runs) {
  const auto *data = static_cast<const int8_t *>(classes.data);
  int64_t queryTiles = classes.sizes[2], keyTiles = classes.sizes[3];
  int64_t batches = classes.strides[0] == 0 ? 1 : classes.sizes[0];
  int64_t heads = classes.strides[1] == 0 ? 1 : classes.sizes[1];
  offsets.assign(1, 0);
  for (int64_t i = 0; i < batches * heads * queryTiles; ++i) {
    int64_t b = i / queryTiles / heads, h = i / queryTiles % heads;
    const int8_t *row = data + b * classes.strides[0] + h * classes.strides[1] +
                        i % queryTiles * classes.strides[2];
    for (int64_t n = 0; n < keyTiles; ++n) {
      int8_t value = row[n * classes.strides[3]];
      if (n + 1 == keyTiles || row[(n + 1) * classes.strides[3]] != value)
        runs.push_back(static_cast<int32_t>((n + 1) << 2 | (value & 3)));
    }
    offsets.push_back(static_cast<int64_t>(runs.size()));
  }
  return {offsets, runs, batches == 1 ? 0 : heads * queryTiles,
          heads == 1 ? 0 : queryTiles};
}
