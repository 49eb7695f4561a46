//===- AttnAST.h - Syntax trees of .attn ------------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNAST_H
#define FOVEA_LIB_FRONTEND_ATTNAST_H

#include "AttnLexer.h"

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/SmallVector.h"

#include <deque>
#include <map>
#include <optional>
#include <string>

namespace fovea {

struct Expr {
  enum Kind : uint8_t {
    Integer,     ///< token.integer, negative
    Float,       ///< token.real
    Bool,        ///< token.integer
    Name,        ///< token.text
    Unary,       ///< token: - + ~ not
    Chain,       ///< operands joined left to right by the operators
    Compare,     ///< chained comparison
    Logic,       ///< operands joined by "and" or by "or" (token)
    Power,       ///< operands[0] ** operands[1]
    Conditional, ///< operands: value, condition, other
    Call,        ///< token.text(operands)
    Index        ///< token.text[operands]
  };
  Kind kind;
  Token token;
  bool negative = false;
  bool parenthesized = false;
  llvm::SmallVector<Expr *, 2> operands;
  llvm::SmallVector<Token, 1> operators;
};

struct LetDecl {
  Token name;
  Expr *value;
};

struct ArgDecl {
  Token name; ///< kind End for a positional argument
  Expr *value;
};

/// A clause `name = value`; the token is the name.
struct Clause {
  Token token;
  Expr *value = nullptr;
  explicit operator bool() const { return value != nullptr; }
};

struct NormalizerDecl {
  Token token;
  /// A built-in one by name, or a block.
  bool isBlock = false;
  Token name;
  std::vector<ArgDecl> args;
  std::vector<LetDecl> lets;
  Clause stat, weight, denom, finish;
  Token seedToken;
  llvm::SmallVector<Expr *, 3> seed;
};

struct BoundDecl {
  Token token; ///< a number or a size name
  Bound bound;
};

struct ParamDecl {
  Token name;
  Token type;
  bool hasDims = false;
  llvm::SmallVector<Token, 4> dims;
  std::optional<std::pair<BoundDecl, BoundDecl>> range;
  Token equals; ///< kind End where there is no default
  Expr *value = nullptr;
};

struct FnDecl {
  Token name;
  std::vector<Token> params;
  Expr *body = nullptr;
};

struct ConstDecl {
  Token name;
  Token type;
  Expr *value = nullptr;
};

struct VariantDecl {
  Token name;
  std::string doc;
  std::vector<ParamDecl> params;
  std::vector<LetDecl> lets;
  Clause scale, score, mask;
  std::optional<NormalizerDecl> normalizer;
};

struct FileDecl {
  std::vector<FnDecl> fns;
  std::vector<ConstDecl> consts;
  std::vector<VariantDecl> variants;
  std::deque<Expr> exprs; ///< owns all expressions
};

/// Tokens to trees; stops at the first error.
llvm::LogicalResult parseAttnFile(llvm::ArrayRef<Token> tokens,
                                  AttnDiagnostics &diagnostics, FileDecl &file);

/// Parses the inside of a normaliser block, for the built-in ones.
llvm::LogicalResult parseAttnNormalizer(llvm::ArrayRef<Token> tokens,
                                        AttnDiagnostics &diagnostics,
                                        std::deque<Expr> &exprs,
                                        NormalizerDecl &normalizer);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNAST_H
