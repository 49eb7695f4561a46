//===- AttnNormalizers.h - Normaliser clauses to regions --------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNNORMALIZERS_H
#define FOVEA_LIB_FRONTEND_ATTNNORMALIZERS_H

#include "AttnScope.h"

namespace fovea {

/// The name of normalisers that are written as a block.
constexpr llvm::StringLiteral blockNormalizerName = "normalizer";

/// Fills program.normalizer from the variant's clause, built-in or block.
llvm::LogicalResult lowerNormalizer(VariantScope &scope,
                                    const NormalizerDecl &decl);

/// Built-in normalisers that need no arguments, by name.
llvm::ArrayRef<llvm::StringRef> getPlainNormalizers();

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNNORMALIZERS_H
