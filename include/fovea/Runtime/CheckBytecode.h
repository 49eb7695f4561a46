//===- CheckBytecode.h - Bytecode that cannot be read ------------*- C++
//-*-===//
#ifndef FOVEA_RUNTIME_CHECKBYTECODE_H
#define FOVEA_RUNTIME_CHECKBYTECODE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace fovea {

/// Refuses MLIR bytecode whose table of attributes and types does not add up:
/// MLIR's reader takes the table's counts for granted and would write beyond
/// its arrays. Everything else that may be wrong is left to that reader.
llvm::Error checkBytecode(llvm::StringRef bytes, llvm::StringRef name);

} // namespace fovea

#endif // FOVEA_RUNTIME_CHECKBYTECODE_H
