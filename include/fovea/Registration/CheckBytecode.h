//===- CheckBytecode.h - Bytecode that cannot be read -----------*- C++ -*-===//
#ifndef FOVEA_REGISTRATION_CHECKBYTECODE_H
#define FOVEA_REGISTRATION_CHECKBYTECODE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <chrono>
#include <optional>

namespace fovea {

/// Refuses MLIR bytecode that would end the process: MLIR's reader takes the
/// counts and indices in it for granted. The table of attributes and types,
/// beyond which it would write, is checked here; then a child process reads and
/// prints the whole, its processor time and memory limited by the size. What
/// that survives is left to the reader and its diagnostics. Error codes:
/// illegal_byte_sequence for damaged bytecode, another one where there was no
/// telling, because no process can be made or the child, which is waited for
/// with `patience` (by default a minute, more for large bytecode), does not
/// end.
llvm::Error
checkBytecode(llvm::StringRef bytes, llvm::StringRef name,
              std::optional<std::chrono::milliseconds> patience = std::nullopt);

} // namespace fovea

#endif // FOVEA_REGISTRATION_CHECKBYTECODE_H
