//===- AttnLexer.h - Tokens of .attn ----------------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNLEXER_H
#define FOVEA_LIB_FRONTEND_ATTNLEXER_H

#include "AttnDiagnostics.h"

namespace fovea {

struct Token {
  enum Kind : uint8_t { End, Name, Integer, Float, Symbol, Doc };
  Kind kind = End;
  /// First token on its line: outside brackets it may end a clause.
  bool startsLine = false;
  llvm::StringRef text;
  size_t offset = 0;
  uint64_t integer = 0;
  double real = 0;

  bool is(llvm::StringRef spelling) const {
    return (kind == Symbol || kind == Name) && text == spelling;
  }
};

/// Splits the whole text. Comments vanish, doc comments stay as tokens.
llvm::LogicalResult lexAttn(llvm::StringRef text, AttnDiagnostics &diagnostics,
                            std::vector<Token> &tokens);

/// Reads a number as the language writes it (no sign); false where it is none
/// or does not fit, with the reason.
bool parseNumber(llvm::StringRef text, Token &token, std::string &reason);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNLEXER_H
