//===- AttnParser.h - Tokens to syntax trees -------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNPARSER_H
#define FOVEA_LIB_FRONTEND_ATTNPARSER_H

#include "AttnAST.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"

namespace fovea {

/// Recursive descent over the tokens of a file.
class AttnParser {
public:
  AttnParser(llvm::ArrayRef<Token> tokens, AttnDiagnostics &diagnostics,
             std::deque<Expr> &exprs)
      : tokens(tokens), diagnostics(diagnostics), exprs(exprs) {}

  llvm::LogicalResult parseFile(FileDecl &file);
  llvm::LogicalResult parseNormalizerBody(NormalizerDecl &normalizer);

private:
  // Tokens.
  const Token &peek() const { return tokens[position]; }
  const Token &peekNext() const {
    return tokens[std::min(position + 1, tokens.size() - 1)];
  }
  Token take() {
    Token token = tokens[position];
    if (position + 1 < tokens.size())
      ++position;
    return token;
  }
  bool consume(llvm::StringRef spelling) {
    if (!peek().is(spelling))
      return false;
    take();
    return true;
  }
  void skipDocs() {
    while (peek().kind == Token::Doc)
      take();
  }
  static std::string describe(const Token &token) {
    if (token.kind == Token::End)
      return "end of file";
    if (token.kind == Token::Doc)
      return "a doc comment";
    return ("'" + token.text.take_front(40) + "'").str();
  }
  llvm::LogicalResult error(const Token &token, const llvm::Twine &message) {
    return diagnostics.error(token.offset, message);
  }
  llvm::LogicalResult expect(llvm::StringRef spelling, llvm::StringRef where) {
    if (consume(spelling))
      return llvm::success();
    return error(peek(), "expected '" + spelling + "' " + where + ", got " +
                             describe(peek()));
  }
  llvm::LogicalResult parseName(Token &name, llvm::StringRef what) {
    if (peek().kind != Token::Name)
      return error(peek(), "expected " + what + ", got " + describe(peek()));
    name = take();
    return llvm::success();
  }

  /// The name of something new: no word of the grammar, which could not be used
  /// in an expression.
  llvm::LogicalResult parseNewName(Token &name, llvm::StringRef what) {
    if (failed(parseName(name, what)))
      return llvm::failure();
    if (isGrammarWord(name.text))
      return error(name, "'" + name.text +
                             "' has a meaning of its own and cannot be "
                             "redefined");
    return llvm::success();
  }
  static bool isGrammarWord(llvm::StringRef text) {
    static constexpr llvm::StringLiteral words[] = {
        "if",  "else", "and",   "or",        "not",  "in",
        "let", "fn",   "const", "attention", "true", "false"};
    return llvm::is_contained(words, text);
  }

  // Declarations.
  llvm::LogicalResult parseFn(FileDecl &file);
  llvm::LogicalResult parseConst(FileDecl &file);
  llvm::LogicalResult parseVariant(FileDecl &file, std::string doc);
  llvm::LogicalResult parseParams(VariantDecl &variant);
  llvm::LogicalResult parseParam(ParamDecl &param);
  llvm::LogicalResult parseDims(ParamDecl &param);
  llvm::LogicalResult parseBound(BoundDecl &bound);
  llvm::LogicalResult parseClause(VariantDecl &variant);
  llvm::LogicalResult parseLet(std::vector<LetDecl> &lets);
  llvm::LogicalResult parseAssignment(Clause &clause);
  llvm::LogicalResult parseNormalizer(VariantDecl &variant);
  llvm::LogicalResult parseNormalizerArgs(NormalizerDecl &normalizer);
  llvm::LogicalResult parseNormalizerClause(NormalizerDecl &normalizer);
  llvm::LogicalResult parseSeed(NormalizerDecl &normalizer);
  llvm::LogicalResult endClause();

  // Expressions, loosest first. Each returns null after an error.
  Expr *parseExpr();
  Expr *parseOperands(Expr::Kind kind,
                      llvm::ArrayRef<llvm::StringLiteral> operators,
                      Expr *first, llvm::function_ref<Expr *()> parseOperand);
  Expr *parseLogic(llvm::StringRef word);
  Expr *parseNot();
  Expr *parseComparison();
  Expr *parseChain(unsigned level);
  Expr *parseUnary();
  Expr *parsePower();
  Expr *parsePrimary();
  Expr *parseNameOrCall();
  Expr *parseParenthesized();
  bool parseList(llvm::StringRef close, llvm::SmallVectorImpl<Expr *> &list);

  Expr *make(Expr::Kind kind, const Token &token) {
    exprs.push_back(Expr{kind, token, false, false, {}, {}});
    return &exprs.back();
  }
  Expr *fail(const Token &token, const llvm::Twine &message) {
    (void)error(token, message);
    return nullptr;
  }
  /// An operator continues a clause only on its line, or inside brackets.
  bool atOperator(llvm::ArrayRef<llvm::StringLiteral> spellings) const {
    const Token &token = peek();
    if (token.startsLine && brackets == 0)
      return false;
    return llvm::any_of(spellings,
                        [&](llvm::StringRef s) { return token.is(s); });
  }

  /// Counts what recurses, so that no input overflows the stack.
  class Nest {
  public:
    explicit Nest(AttnParser &parser) : parser(parser) { ++parser.nesting; }
    ~Nest() { --parser.nesting; }
    /// The expression of a clause nests in nothing yet.
    bool isTooDeep() const { return parser.nesting > AttnLimits::nesting + 1; }

  private:
    AttnParser &parser;
  };
  Expr *failTooDeep() {
    return fail(peek(), "expression nests deeper than " +
                            llvm::Twine(AttnLimits::nesting));
  }

  llvm::ArrayRef<Token> tokens;
  AttnDiagnostics &diagnostics;
  std::deque<Expr> &exprs;
  size_t position = 0;
  unsigned brackets = 0;
  unsigned nesting = 0;
};

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNPARSER_H
