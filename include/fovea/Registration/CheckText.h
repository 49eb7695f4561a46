//===- CheckText.h - MLIR text that cannot be parsed ------------*- C++ -*-===//
#ifndef FOVEA_REGISTRATION_CHECKTEXT_H
#define FOVEA_REGISTRATION_CHECKTEXT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace fovea {

/// What MLIR's parser is asked for at most.
struct TextLimits {
  /// Brackets within each other, each of which is a few frames of its stack.
  static constexpr unsigned depth = 1000;
  /// Results that `%name#number` names, for all of which it makes room.
  static constexpr uint64_t result = 65535;
};

/// Refuses MLIR text that would end the process: MLIR's parser calls itself for
/// each bracket and each sign, and makes room for as many results as a number
/// says. All else is left to the parser and its diagnostics. The error is one
/// line with the place in the file.
llvm::Error checkText(llvm::StringRef text, llvm::StringRef name);

} // namespace fovea

#endif // FOVEA_REGISTRATION_CHECKTEXT_H
