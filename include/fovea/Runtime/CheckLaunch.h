//===- CheckLaunch.h - From the C ABI's launch to a LaunchView --*- C++ -*-===//
#ifndef FOVEA_RUNTIME_CHECKLAUNCH_H
#define FOVEA_RUNTIME_CHECKLAUNCH_H

#include "fovea-c/fovea.h"
#include "fovea/Frontend/ConstantIndices.h"
#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/Launch.h"

#include "llvm/Support/Error.h"

namespace fovea {

/// Checks every field of a launch against the program and fills in defaults.
/// All tensors must lie on `device`. The text of an error is "argument: rule,
/// got value".
llvm::Expected<LaunchView> checkLaunch(const Program &program,
                                       const fovea_launch &launch,
                                       fovea_device device = FOVEA_CPU);

/// Sizes or strides as messages write them: "(2, 3)".
std::string dims(llvm::ArrayRef<int64_t> sizes);

/// One tensor of the C ABI; `name` is what errors call it.
llvm::Expected<TensorView> checkTensor(const fovea_tensor &tensor,
                                       llvm::StringRef name, int64_t rank,
                                       fovea_device device = FOVEA_CPU);

/// Checks a program's captures, but their sizes.
llvm::Error checkCaptures(const Program &program, const fovea_tensor *captures,
                          size_t count, llvm::SmallVectorImpl<TensorView> &out,
                          fovea_device device = FOVEA_CPU);

/// Checks captures against the sizes that the program declares for them. One
/// that is not of q, k or v is bound by the first capture that has it.
llvm::Error checkDeclaredSizes(const Program &program,
                               llvm::ArrayRef<TensorView> captures,
                               const RegionSizes &sizes);

/// Refuses captures without elements that a (query, key) pair may read: not
/// without pairs, nor those of a dimension E where values have no features. One
/// zero takes the place of what nothing reads.
llvm::Error checkElements(const Program &program, bool hasPairs,
                          bool hasFeatures,
                          llvm::MutableArrayRef<TensorView> captures);

/// An error of FOVEA_INDEX_ERROR where a capture has no element at a constant
/// index.
llvm::Error checkConstantIndices(const Program &program,
                                 llvm::ArrayRef<ConstantIndex> indices,
                                 llvm::ArrayRef<TensorView> captures);

/// The score type: f64 for f64 inputs, else f32.
inline DType scoreType(const Program &program) {
  return program.dtype == DType::F64 ? DType::F64 : DType::F32;
}

} // namespace fovea

#endif // FOVEA_RUNTIME_CHECKLAUNCH_H
