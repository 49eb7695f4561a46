//===- CheckBytecode.h - Bytecode that cannot be read -----------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_CHECKBYTECODE_H
#define FOVEA_RUNTIME_CHECKBYTECODE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace fovea {

/// Refuses MLIR bytecode that would end the process: MLIR's reader takes the
/// counts and indices in it for granted. The table of attributes and types,
/// beyond which it would write, is checked here; then a child process reads the
/// whole. What that survives is left to the reader and its diagnostics.
llvm::Error checkBytecode(llvm::StringRef bytes, llvm::StringRef name);

} // namespace fovea

#endif // FOVEA_RUNTIME_CHECKBYTECODE_H
