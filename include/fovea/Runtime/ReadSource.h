//===- ReadSource.h - From a source text to a complete program ---*- C++
//-*-===//
#ifndef FOVEA_RUNTIME_READSOURCE_H
#define FOVEA_RUNTIME_READSOURCE_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <utility>
#include <vector>

namespace fovea {

enum class SourceKind { Program, Attn, MLIR };

/// What is to be read and what the user fixes beside it. Errors name the
/// options as fovea.h does.
struct ReadOptions {
  SourceKind kind = SourceKind::Attn;
  llvm::StringRef text;
  std::string name = "<source>"; ///< for diagnostics
  std::string variant;           ///< of several in a file; empty: the only one
  std::string dtype;             ///< empty: as the source says
  int64_t headDim = 0;           ///< 0: as the source says
  int64_t valueDim = -1;         ///< -1: as the source says, else headDim
  int wantLse = -1;              ///< -1: as the source says
  int wantBlockMask = -1;        ///< -1: as the source says
  std::vector<std::pair<std::string, std::string>> defines;
};

/// Reads, completes, verifies. Warnings of the front end go to `warnings`,
/// where that is given.
llvm::Expected<Program> readSource(const ReadOptions &options,
                                   std::string *warnings = nullptr);

/// Splits "W=64".
llvm::Expected<std::pair<std::string, std::string>>
splitDefine(llvm::StringRef define);

} // namespace fovea

#endif // FOVEA_RUNTIME_READSOURCE_H
