//===- Source.h - Variants from files, for the tools ------------*- C++ -*-===//
#ifndef FOVEA_SOURCE_SOURCE_H
#define FOVEA_SOURCE_SOURCE_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fovea {

/// Reads one argument "NAME=VALUE" into a pair; the name is not empty.
llvm::Expected<std::pair<std::string, std::string>>
splitAssignment(llvm::StringRef text, llvm::StringRef option);

/// What a command line says about the variant that it names.
struct SourceOptions {
  /// FILE[:variant]; `-` is standard input. The file is .attn, MLIR text or
  /// bytecode, told apart by content.
  std::string file;
  std::vector<std::pair<std::string, std::string>> defines;
  std::optional<DType> dtype;      ///< else the file's, else f32
  std::optional<int64_t> headDim;  ///< else the file's
  std::optional<int64_t> valueDim; ///< else the file's, else the head dim
};

/// A complete program: dtype and dims are set, everything is verified. What the
/// front end has to say goes to `diagnostics`, as file:line:col; the error then
/// is empty text.
llvm::Expected<Program> loadVariant(const SourceOptions &options,
                                    llvm::raw_ostream &diagnostics);

} // namespace fovea

#endif // FOVEA_SOURCE_SOURCE_H
