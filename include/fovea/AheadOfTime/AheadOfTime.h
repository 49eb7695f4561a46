//===- AheadOfTime.h - Objects and headers for other programs ---*- C++ -*-===//
#ifndef FOVEA_AHEADOFTIME_AHEADOFTIME_H
#define FOVEA_AHEADOFTIME_AHEADOFTIME_H

#include "fovea/Frontend/Program.h"
#include "fovea/Target/CPU/HostInfo.h"
#include "fovea/Target/CPU/KernelABI.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace fovea {

/// How the kernels of an object find the keys of a row. There is no analysis of
/// masks at a call where Fovea is not.
struct KeySearch {
  /// Why all keys are looked at, in words; empty: intervals in closed form.
  std::string scanReason;
  /// The same of the form for positions outside 0 … 2^30.
  std::string farReason;
  /// What the query rows of all items of kernels that scan divide.
  int64_t itemRows = 1;
  /// What query tiles have to be multiples of; 0: no scan.
  int64_t tileRows() const { return scanReason.empty() ? 0 : itemRows; }
};

/// The kernels for one target in an object.
struct ObjectVersion {
  CPUTarget target;
  std::string name; ///< in the names of its functions
  /// Rows a key head up to which a call takes the form for few queries; 0: the
  /// object has none.
  int64_t fewRows = 0;
  /// Which of these take that for one row.
  fovea_cpu_one_row oneRow = FOVEA_CPU_ONE_ROW_NONE;
};

struct AheadOfTimeOutput {
  std::string object; ///< relocatable, all forms for all targets
  std::string header; ///< C; needs nothing of Fovea where it is used
  KeySearch keys;
};

/// Letters, digits and underscores, of which a digit is not the first.
bool isIdentifier(llvm::StringRef name);

/// What C and C++ ask of an identifier that the name is not, in words: it is
/// one of theirs, or may be a macro of their headers. Empty: it is free.
llvm::StringRef findRuleOfC(llvm::StringRef name);

/// Whether the C library has a function, an object or a type of this name, or
/// the header's includes declare one: no kernel may take it.
bool isNameOfLibrary(llvm::StringRef name);

/// Whether an object may have this name.
llvm::Error checkObjectName(llvm::StringRef name);

/// Compiles a complete program for each target. The header defines one function
/// `name`, which takes the best version that the processor runs.
llvm::Expected<AheadOfTimeOutput>
compileAheadOfTime(const Program &program, llvm::ArrayRef<CPUTarget> targets,
                   llvm::StringRef name);

/// The C header of such an object; versions in the order in which they are
/// tried.
std::string writeHeader(const Program &program,
                        llvm::ArrayRef<ObjectVersion> versions,
                        llvm::StringRef name, const KeySearch &keys);

} // namespace fovea

#endif // FOVEA_AHEADOFTIME_AHEADOFTIME_H
