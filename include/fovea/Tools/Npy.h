//===- Npy.h - NumPy's file format ------------------------------*- C++ -*-===//
#ifndef FOVEA_TOOLS_NPY_H
#define FOVEA_TOOLS_NPY_H

#include "fovea/Runtime/Launch.h"

#include "llvm/Support/Error.h"

#include <vector>

namespace fovea {

/// An array that owns its memory, aligned to 64 bytes.
struct OwnedArray {
  TensorView view;
  std::vector<char> storage;

  static OwnedArray make(DType dtype, llvm::ArrayRef<int64_t> sizes);
};

/// Reads an array of a type that Fovea has, in C or Fortran order. bfloat16 is
/// what ml_dtypes writes: two bytes without a kind.
llvm::Expected<OwnedArray> readNpy(llvm::StringRef path);

/// Writes the elements of a view in C order.
llvm::Error writeNpy(llvm::StringRef path, const TensorView &view);

} // namespace fovea

#endif // FOVEA_TOOLS_NPY_H
