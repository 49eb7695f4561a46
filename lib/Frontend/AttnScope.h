//===- AttnScope.h - What names mean in .attn -------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNSCOPE_H
#define FOVEA_LIB_FRONTEND_ATTNSCOPE_H

#include "AttnAST.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace fovea {

using Defines = llvm::ArrayRef<std::pair<std::string, std::string>>;

/// Functions and constants of a file.
struct FileScope {
  const FileDecl &file;
  AttnDiagnostics &diagnostics;
  llvm::StringMap<const FnDecl *> fns;
  llvm::StringMap<unsigned> consts;
  std::vector<ValueType> constTypes;
};

/// Checks what stands outside variants: redefinition, recursion, names.
llvm::LogicalResult checkFile(FileScope &scope);

struct SizeBinding {
  unsigned capture, dim;
  size_t offset;
};

/// Parameters and sizes of one variant.
struct VariantScope {
  FileScope &file;
  const VariantDecl &decl;
  Program &program;
  llvm::StringMap<unsigned> captures; ///< index in program.captures
  llvm::StringMap<unsigned> params;   ///< index in program.params
  llvm::StringMap<SizeBinding> sizes;
  llvm::StringMap<unsigned> lets; ///< index in decl.lets
  llvm::StringSet<> used;         ///< parameters and lets that are read
};

/// Declares parameters, sizes and lets of `scope.decl`.
llvm::LogicalResult declareVariant(VariantScope &scope, Defines defines);
/// Adds the lets of `lets` to `map`; refuses what is already defined.
llvm::LogicalResult declareLets(VariantScope &scope,
                                llvm::ArrayRef<LetDecl> lets,
                                llvm::StringMap<unsigned> &map);

/// The spelling among `known` that is nearest to `name`, as a message tail
/// "; did you mean 'x'?", or nothing.
std::string suggest(llvm::StringRef name,
                    llvm::ArrayRef<llvm::StringRef> known);

/// "bool", "int" or "float".
llvm::StringRef describe(ValueType type);
/// bool, int, float and their short names.
std::optional<ValueType> parseScalarType(llvm::StringRef name);

/// Names that have a meaning of their own everywhere.
bool isReservedName(llvm::StringRef name);
/// Those of them that a parameter may have where there is no normaliser.
bool isNormalizerName(llvm::StringRef name);
/// Names of functions that every file knows; calls resolve to them first.
bool isBuiltinFunction(llvm::StringRef name);
llvm::ArrayRef<llvm::StringRef> getBuiltinFunctions();

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNSCOPE_H
