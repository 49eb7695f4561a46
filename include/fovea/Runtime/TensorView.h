//===- TensorView.h - A strided array in memory -----------------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_TENSORVIEW_H
#define FOVEA_RUNTIME_TENSORVIEW_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace fovea {

int64_t getBytes(DType dtype);

/// Strides count elements and may be zero or negative.
struct TensorView {
  void *data = nullptr;
  DType dtype = DType::F32;
  llvm::SmallVector<int64_t, 4> sizes;
  llvm::SmallVector<int64_t, 4> strides;

  int64_t rank() const { return static_cast<int64_t>(sizes.size()); }
  int64_t numElements() const;
  int64_t offset(llvm::ArrayRef<int64_t> index) const;
  /// Element access by value, converted; i1 reads "byte is not 0".
  double loadFloat(int64_t offset) const;
  int64_t loadInt(int64_t offset) const;
  void storeFloat(int64_t offset, double value) const;
  /// Keeps the low bits; i1 stores "is not 0".
  void storeInt(int64_t offset, int64_t value) const;
};

/// The sizes that regions can name.
struct RegionSizes {
  int64_t B = 0, H = 0, Hk = 0, M = 0, N = 0, D = 0, E = 0;
  int64_t get(llvm::StringRef name) const;
};

} // namespace fovea

#endif // FOVEA_RUNTIME_TENSORVIEW_H
