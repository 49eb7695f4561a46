//===- AheadOfTime.h - Objects and headers for other programs ----*- C++
//-*-===//
#ifndef FOVEA_AHEADOFTIME_AHEADOFTIME_H
#define FOVEA_AHEADOFTIME_AHEADOFTIME_H

#include "fovea/Frontend/Program.h"
#include "fovea/Target/CPU/HostInfo.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace fovea {

struct AheadOfTimeOutput {
  std::string object; /// relocatable, all forms for all targets
  std::string header; /// C; needs nothing of Fovea where it is used
};

/// Whether C or C++, or a header that these headers include, takes the name.
bool isTakenInC(llvm::StringRef name);

/// Whether the C library has a function of this name, or the header's includes
/// declare one: no kernel may take it.
bool isFunctionOfC(llvm::StringRef name);

/// Compiles a complete program for each target. The header defines one function
/// `name`, which takes the best version that the processor runs.
llvm::Expected<AheadOfTimeOutput>
compileAheadOfTime(const Program &program, llvm::ArrayRef<CPUTarget> targets,
                   llvm::StringRef name);

/// The C header of such an object; targets in the order of their versions.
std::string writeHeader(const Program &program,
                        llvm::ArrayRef<CPUTarget> targets,
                        llvm::StringRef name);

} // namespace fovea

#endif // FOVEA_AHEADOFTIME_AHEADOFTIME_H
