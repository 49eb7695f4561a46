//===- ReadSource.h - From a source to a complete program -------*- C++ -*-===//
//
// The one reader of sources, for the C interface (texts) and the tools (files).
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_READSOURCE_H
#define FOVEA_RUNTIME_READSOURCE_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fovea {

enum class SourceKind { Program, Attn, MLIR };

using Assignments = std::vector<std::pair<std::string, std::string>>;

/// What is to be read and what the user fixes beside it. Errors name the
/// options as fovea.h does.
struct ReadOptions {
  SourceKind kind = SourceKind::Attn;
  llvm::StringRef text;
  std::string name = "<source>"; ///< for diagnostics
  std::string variant;           ///< of several in a file; empty: the only one
  std::string dtype;             ///< empty: as the source says
  std::optional<DType> defaultDType; ///< where the source says none
  std::optional<int64_t> headDim;    ///< else as the source says
  std::optional<int64_t> valueDim;   ///< else as the source says, else headDim
  int wantLse = -1;                  ///< -1: as the source says
  int wantBlockMask = -1;            ///< -1: as the source says
  Assignments defines;
  /// How the user gives them, for errors.
  llvm::StringRef defineOption = "defines",
                  headDimOption = "head_dim:", valueDimOption = "value_dim:";
};

/// Reads, completes, verifies. Warnings of the front end go to `warnings`,
/// where that is given; its errors are FOVEA_PARSE_ERROR with file:line:col.
llvm::Expected<Program> readSource(const ReadOptions &options,
                                   std::string *warnings = nullptr);

/// A file and the variant in it that is meant.
struct SourceFile {
  std::string name, variant;
  SourceKind kind;
  std::unique_ptr<llvm::MemoryBuffer> buffer;
};

/// Whether a text with this file name is MLIR, not .attn.
bool isMLIR(llvm::StringRef text, llvm::StringRef name);

/// Whether the path is a device such as /dev/zero, which may never end.
bool isEndless(llvm::StringRef path);

/// Opens FILE[:variant]; `-` is standard input. The file is .attn, MLIR text
/// or bytecode, told apart by content.
llvm::Expected<SourceFile> openSource(llvm::StringRef file);

/// readSource of FILE[:variant], for tools: `options` gives the rest. What the
/// front end has to say goes to `diagnostics`; the error then is empty text.
llvm::Expected<Program> readSourceFile(llvm::StringRef file,
                                       ReadOptions options,
                                       llvm::raw_ostream &diagnostics);

/// A type that q, k and v may have, given as `option`.
llvm::Expected<DType> parseInputDType(llvm::StringRef text,
                                      llvm::StringRef option);

/// Splits "W=64", given as `option`; neither part is empty.
llvm::Expected<std::pair<std::string, std::string>>
splitAssignment(llvm::StringRef text, llvm::StringRef option);

/// Adds one, whose name must be new.
llvm::Error addAssignment(Assignments &assignments, llvm::StringRef text,
                          llvm::StringRef option);

/// Whether the dims that the user gives lie within the limits.
llvm::Error checkDims(const ReadOptions &options);

/// Prints what a tool's error says. One that names a place in a .attn file gets
/// the line with a caret below and no `prefix`.
void printToolError(llvm::StringRef text, llvm::StringRef prefix,
                    llvm::raw_ostream &os);

} // namespace fovea

#endif // FOVEA_RUNTIME_READSOURCE_H
