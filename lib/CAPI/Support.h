//===- Support.h - What every function of the C ABI does --------*- C++ -*-===//
#ifndef FOVEA_LIB_CAPI_SUPPORT_H
#define FOVEA_LIB_CAPI_SUPPORT_H

#include "fovea-c/fovea.h"
#include "fovea/Runtime/CompileService.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fovea::capi {

/// Runs the body of an entry point in the default floating-point environment;
/// turns its error, or an exception of the C++ library, into status and text.
fovea_status guard(fovea_message *message,
                   llvm::function_ref<llvm::Error()> body);

/// Cut to fit, between characters of UTF-8.
void fill(fovea_message *message, const std::string &text);

// A `fovea_kernel *` is a number that is never used twice, so that a kernel
// that was freed, and a pointer that never was one, are told from the others.
fovea_kernel *makeHandle(std::shared_ptr<Kernel> kernel);
llvm::Expected<std::shared_ptr<Kernel>> findKernel(const fovea_kernel *handle);
void dropHandle(const fovea_kernel *handle);

/// "argument: must not be null", "argument: struct_size must be …".
template <typename T>
llvm::Error checkStruct(const T *given, const char *name) {
  if (!given)
    return invalid(llvm::Twine(name) + ": must not be null");
  if (given->struct_size != sizeof(T))
    return invalid(llvm::Twine(name) + ": struct_size must be " +
                   llvm::Twine(sizeof(T)) + ", got " +
                   llvm::Twine(given->struct_size));
  return llvm::Error::success();
}

/// Hands out a copy of the bytes; `out` has been checked.
llvm::Error giveString(llvm::StringRef bytes, fovea_string *out);

/// Splits "W=64" items.
llvm::Expected<std::vector<std::pair<std::string, std::string>>>
readDefines(const char *const *defines, size_t count);

/// Whether the system still gives `bytes` of memory. LLVM ends the process
/// where it gets none, so compiling asks beforehand.
llvm::Error probeMemory(size_t bytes);

} // namespace fovea::capi

#endif // FOVEA_LIB_CAPI_SUPPORT_H
