//===- Npy.h - NumPy's file format ------------------------------*- C++ -*-===//
#ifndef FOVEA_TOOLS_NPY_H
#define FOVEA_TOOLS_NPY_H

#include "fovea/Runtime/Launch.h"

#include "llvm/Support/Error.h"

#include <cstdlib>
#include <memory>

namespace fovea {

/// An array that owns its memory, aligned to 64 bytes.
struct OwnedArray {
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };

  TensorView view;
  std::unique_ptr<void, Free> storage;

  /// An array without values; the name is for the error of one that is larger
  /// than 64 GiB or than the memory there is.
  static llvm::Expected<OwnedArray> make(llvm::StringRef name, DType dtype,
                                         llvm::ArrayRef<int64_t> sizes);
};

/// Reads an array of a type that Fovea has, in C or Fortran order. bfloat16 is
/// what ml_dtypes writes: two bytes without a kind.
llvm::Expected<OwnedArray> readNpy(llvm::StringRef path);

/// Writes the elements of a view in C order.
llvm::Error writeNpy(llvm::StringRef path, const TensorView &view);

} // namespace fovea

#endif // FOVEA_TOOLS_NPY_H
