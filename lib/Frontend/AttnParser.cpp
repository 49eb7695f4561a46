//===- AttnParser.cpp - Tokens to syntax trees ---------------------------===//

#include "AttnAST.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace fovea {
namespace {

class Parser {
public:
  Parser(ArrayRef<Token> tokens, AttnDiagnostics &diagnostics,
         std::deque<Expr> &exprs)
      : tokens(tokens), diagnostics(diagnostics), exprs(exprs) {}

  LogicalResult parseFile(FileDecl &file);
  LogicalResult parseNormalizerBody(NormalizerDecl &normalizer);

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
  bool consume(StringRef spelling) {
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
  LogicalResult error(const Token &token, const Twine &message) {
    return diagnostics.error(token.offset, message);
  }
  LogicalResult expect(StringRef spelling, StringRef where) {
    if (consume(spelling))
      return success();
    return error(peek(), "expected '" + spelling + "' " + where + ", got " +
                             describe(peek()));
  }
  LogicalResult parseName(Token &name, StringRef what) {
    if (peek().kind != Token::Name)
      return error(peek(), "expected " + what + ", got " + describe(peek()));
    name = take();
    return success();
  }

  // Declarations.
  LogicalResult parseFn(FileDecl &file);
  LogicalResult parseConst(FileDecl &file);
  LogicalResult parseVariant(FileDecl &file, std::string doc);
  LogicalResult parseParams(VariantDecl &variant);
  LogicalResult parseParam(ParamDecl &param);
  LogicalResult parseDims(ParamDecl &param);
  LogicalResult parseBound(BoundDecl &bound);
  LogicalResult parseClause(VariantDecl &variant);
  LogicalResult parseLet(std::vector<LetDecl> &lets);
  LogicalResult parseAssignment(Clause &clause);
  LogicalResult parseNormalizer(VariantDecl &variant);
  LogicalResult parseNormalizerArgs(NormalizerDecl &normalizer);
  LogicalResult parseNormalizerClause(NormalizerDecl &normalizer);
  LogicalResult parseSeed(NormalizerDecl &normalizer);
  LogicalResult endClause();

  // Expressions, loosest first. Each returns null after an error.
  Expr *parseExpr();
  Expr *parseLogic(StringRef word);
  Expr *parseNot();
  Expr *parseComparison();
  Expr *parseChain(unsigned level);
  Expr *parseUnary();
  Expr *parsePower();
  Expr *parsePrimary();
  Expr *parseNameOrCall();
  Expr *parseParenthesized();
  bool parseList(StringRef close, SmallVectorImpl<Expr *> &list);

  Expr *make(Expr::Kind kind, const Token &token) {
    exprs.push_back(Expr{kind, token, false, false, {}, {}});
    return &exprs.back();
  }
  Expr *fail(const Token &token, const Twine &message) {
    (void)error(token, message);
    return nullptr;
  }
  /// An operator continues a clause only on its line, or inside brackets.
  bool atOperator(ArrayRef<StringLiteral> spellings) const {
    const Token &token = peek();
    if (token.startsLine && brackets == 0)
      return false;
    return any_of(spellings, [&](StringRef s) { return token.is(s); });
  }

  /// Counts what recurses, so that no input overflows the stack.
  class Nest {
  public:
    explicit Nest(Parser &parser) : parser(parser) { ++parser.nesting; }
    ~Nest() { --parser.nesting; }
    bool isTooDeep() const { return parser.nesting > AttnLimits::nesting; }

  private:
    Parser &parser;
  };
  Expr *failTooDeep() {
    return fail(peek(),
                "expression nests deeper than " + Twine(AttnLimits::nesting));
  }

  ArrayRef<Token> tokens;
  AttnDiagnostics &diagnostics;
  std::deque<Expr> &exprs;
  size_t position = 0;
  unsigned brackets = 0;
  unsigned nesting = 0;
};

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Expr *Parser::parseExpr() {
  Nest nest(*this);
  if (nest.isTooDeep())
    return failTooDeep();
  Expr *value = parseLogic("or");
  if (!value || !atOperator({"if"}))
    return value;
  Expr *expr = make(Expr::Conditional, take());
  Expr *condition = parseLogic("or");
  if (!condition)
    return nullptr;
  if (!atOperator({"else"}))
    return fail(peek(), "expected 'else' after 'if', got " + describe(peek()));
  take();
  Expr *other = parseExpr();
  if (!other)
    return nullptr;
  expr->operands = {value, condition, other};
  return expr;
}

Expr *Parser::parseLogic(StringRef word) {
  auto parseOperand = [&] {
    return word == "or" ? parseLogic("and") : parseNot();
  };
  Expr *first = parseOperand();
  bool isOr = word == "or";
  if (!first ||
      !atOperator({isOr ? StringLiteral("or") : StringLiteral("and")}))
    return first;
  Expr *expr = make(Expr::Logic, peek());
  expr->operands.push_back(first);
  while (atOperator({isOr ? StringLiteral("or") : StringLiteral("and")})) {
    expr->operators.push_back(take());
    Expr *operand = parseOperand();
    if (!operand)
      return nullptr;
    expr->operands.push_back(operand);
  }
  return expr;
}

Expr *Parser::parseNot() {
  if (!peek().is("not"))
    return parseComparison();
  Nest nest(*this);
  if (nest.isTooDeep())
    return failTooDeep();
  Expr *expr = make(Expr::Unary, take());
  Expr *operand = parseNot();
  if (!operand)
    return nullptr;
  expr->operands = {operand};
  return expr;
}

Expr *Parser::parseComparison() {
  static constexpr StringLiteral comparisons[] = {"<",  "<=", ">",
                                                  ">=", "==", "!="};
  Expr *first = parseChain(0);
  if (!first)
    return nullptr;
  if (!atOperator(comparisons)) {
    if (atOperator({"="}) && brackets > 0)
      return fail(peek(), "unexpected '='; write '==' to compare");
    return first;
  }
  Expr *expr = make(Expr::Compare, peek());
  expr->operands.push_back(first);
  while (atOperator(comparisons)) {
    expr->operators.push_back(take());
    Expr *operand = parseChain(0);
    if (!operand)
      return nullptr;
    expr->operands.push_back(operand);
  }
  return expr;
}

Expr *Parser::parseChain(unsigned level) {
  static const std::vector<std::vector<StringLiteral>> levels = {
      {"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%"}};
  auto parseOperand = [&] {
    return level + 1 < levels.size() ? parseChain(level + 1) : parseUnary();
  };
  Expr *first = parseOperand();
  if (!first || !atOperator(levels[level]))
    return first;
  Expr *expr = make(Expr::Chain, peek());
  expr->operands.push_back(first);
  while (atOperator(levels[level])) {
    expr->operators.push_back(take());
    Expr *operand = parseOperand();
    if (!operand)
      return nullptr;
    expr->operands.push_back(operand);
  }
  return expr;
}

Expr *Parser::parseUnary() {
  if (!peek().is("-") && !peek().is("+") && !peek().is("~"))
    return parsePower();
  Nest nest(*this);
  if (nest.isTooDeep())
    return failTooDeep();
  Token sign = take();
  Expr *operand = parseUnary();
  if (!operand)
    return nullptr;
  // "-5" is a number, "-(5)" an operation on one.
  if (sign.is("-") && !operand->parenthesized && !operand->negative) {
    if (operand->kind == Expr::Integer || operand->kind == Expr::Float) {
      operand->negative = true;
      operand->token.real = -operand->token.real;
      operand->token.offset = sign.offset;
      return operand;
    }
  }
  Expr *expr = make(Expr::Unary, sign);
  expr->operands = {operand};
  return expr;
}

Expr *Parser::parsePower() {
  Expr *base = parsePrimary();
  if (!base || !atOperator({"**"}))
    return base;
  Nest nest(*this);
  if (nest.isTooDeep())
    return failTooDeep();
  Expr *expr = make(Expr::Power, take());
  Expr *exponent = parseUnary();
  if (!exponent)
    return nullptr;
  expr->operands = {base, exponent};
  return expr;
}

bool Parser::parseList(StringRef close, SmallVectorImpl<Expr *> &list) {
  ++brackets;
  skipDocs();
  while (!peek().is(close)) {
    Expr *element = parseExpr();
    if (!element)
      return false;
    list.push_back(element);
    skipDocs();
    if (!consume(","))
      break;
    skipDocs();
  }
  --brackets;
  return succeeded(expect(close, "after the arguments"));
}

Expr *Parser::parseParenthesized() {
  Token open = take();
  ++brackets;
  skipDocs();
  Expr *inner = parseExpr();
  if (!inner)
    return nullptr;
  skipDocs();
  --brackets;
  if (!consume(")")) {
    (void)error(peek(), "expected ')', got " + describe(peek()));
    diagnostics.note(open.offset, "to match this '('");
    return nullptr;
  }
  inner->parenthesized = true;
  return inner;
}

Expr *Parser::parseNameOrCall() {
  static constexpr StringLiteral reserved[] = {"if",    "else",     "and", "or",
                                               "not",   "in",       "let", "fn",
                                               "const", "attention"};
  Token name = take();
  if (any_of(reserved, [&](StringRef word) { return name.text == word; }))
    return fail(name, "expected an expression, got '" + name.text + "'");
  if (name.text == "true" || name.text == "false") {
    Expr *expr = make(Expr::Bool, name);
    expr->token.integer = name.text == "true";
    return expr;
  }
  if (name.text == "True" || name.text == "False")
    return fail(name, "unknown name '" + name.text + "'; write '" +
                          name.text.lower() + "'");
  bool isCall = peek().is("(");
  // An opening bracket on the next line begins something else.
  if ((!isCall && !peek().is("[")) || (peek().startsLine && brackets == 0))
    return make(Expr::Name, name);
  take();
  Expr *expr = make(isCall ? Expr::Call : Expr::Index, name);
  if (!parseList(isCall ? ")" : "]", expr->operands))
    return nullptr;
  if (peek().is("[") && !peek().startsLine)
    return fail(peek(), "one bracket holds all indices; write a[i, j]");
  return expr;
}

Expr *Parser::parsePrimary() {
  const Token &token = peek();
  switch (token.kind) {
  case Token::Integer:
    return make(Expr::Integer, take());
  case Token::Float:
    return make(Expr::Float, take());
  case Token::Name:
    return parseNameOrCall();
  default:
    if (token.is("("))
      return parseParenthesized();
    return fail(token, "expected an expression, got " + describe(token));
  }
}

//===----------------------------------------------------------------------===//
// Clauses
//===----------------------------------------------------------------------===//

LogicalResult Parser::endClause() {
  const Token &token = peek();
  if (token.startsLine || token.is("}") || token.kind == Token::End) {
    static constexpr StringLiteral operators[] = {
        "+",  "-",  "*", "/", "//", "%",  "**", "<",  ">",  "<=", ">=",
        "==", "!=", "|", "^", "&",  "<<", ">>", "if", "or", "and"};
    if (any_of(operators, [&](StringRef s) { return token.is(s); }))
      return error(token, "a line ends a clause; put '" + token.text +
                              "' at the end of the line before, or the "
                              "expression in brackets");
    return success();
  }
  if (token.is("="))
    return error(token, "unexpected '='; write '==' to compare");
  return error(token, "expected the end of the line, got " + describe(token));
}

LogicalResult Parser::parseAssignment(Clause &clause) {
  Token token = take();
  if (clause) {
    (void)error(token, "'" + token.text + "' is given twice");
    diagnostics.note(clause.token.offset, "first given here");
    return failure();
  }
  if (failed(expect("=", ("after '" + token.text + "'").str())))
    return failure();
  clause.token = token;
  clause.value = parseExpr();
  return clause.value ? endClause() : failure();
}

LogicalResult Parser::parseLet(std::vector<LetDecl> &lets) {
  take();
  LetDecl let;
  if (failed(parseName(let.name, "a name after 'let'")) ||
      failed(expect("=", "after the name")))
    return failure();
  let.value = parseExpr();
  if (!let.value)
    return failure();
  lets.push_back(let);
  return endClause();
}

LogicalResult Parser::parseSeed(NormalizerDecl &normalizer) {
  Token token = take();
  if (!normalizer.seed.empty()) {
    (void)error(token, "'seed' is given twice");
    diagnostics.note(normalizer.seedToken.offset, "first given here");
    return failure();
  }
  normalizer.seedToken = token;
  if (failed(expect("=", "after 'seed'")) ||
      failed(expect("(", "to begin the seed (t0, l0) or (t0, l0, o0)")))
    return failure();
  if (!parseList(")", normalizer.seed))
    return failure();
  if (normalizer.seed.size() != 2 && normalizer.seed.size() != 3)
    return error(token, "a seed is (t0, l0) or (t0, l0, o0), got " +
                            Twine(normalizer.seed.size()) + " value(s)");
  return endClause();
}

LogicalResult Parser::parseNormalizerClause(NormalizerDecl &normalizer) {
  const Token &token = peek();
  if (token.is("let"))
    return parseLet(normalizer.lets);
  if (token.is("stat"))
    return parseAssignment(normalizer.stat);
  if (token.is("weight"))
    return parseAssignment(normalizer.weight);
  if (token.is("denom"))
    return parseAssignment(normalizer.denom);
  if (token.is("finish"))
    return parseAssignment(normalizer.finish);
  if (token.is("seed"))
    return parseSeed(normalizer);
  return error(token, "expected let, stat, weight, denom, seed, finish or '}', "
                      "got " +
                          describe(token));
}

LogicalResult Parser::parseNormalizerBody(NormalizerDecl &normalizer) {
  normalizer.isBlock = true;
  skipDocs();
  while (!peek().is("}") && peek().kind != Token::End) {
    if (failed(parseNormalizerClause(normalizer)))
      return failure();
    skipDocs();
  }
  return success();
}

LogicalResult Parser::parseNormalizerArgs(NormalizerDecl &normalizer) {
  if (!peek().is("(") || peek().startsLine)
    return success();
  take();
  ++brackets;
  skipDocs();
  while (!peek().is(")")) {
    ArgDecl arg;
    if (peek().kind == Token::Name && peekNext().is("=")) {
      arg.name = take();
      take();
    }
    arg.value = parseExpr();
    if (!arg.value)
      return failure();
    normalizer.args.push_back(arg);
    skipDocs();
    if (!consume(","))
      break;
    skipDocs();
  }
  --brackets;
  return expect(")", "after the arguments");
}

LogicalResult Parser::parseNormalizer(VariantDecl &variant) {
  Token token = take();
  if (variant.normalizer) {
    (void)error(token, "'normalizer' is given twice");
    diagnostics.note(variant.normalizer->token.offset, "first given here");
    return failure();
  }
  NormalizerDecl &normalizer = variant.normalizer.emplace();
  normalizer.token = token;
  if (consume("{")) {
    if (failed(parseNormalizerBody(normalizer)))
      return failure();
    return expect("}", "to end the normalizer");
  }
  if (!consume("="))
    return error(peek(), "expected '=' or '{' after 'normalizer', got " +
                             describe(peek()));
  if (failed(parseName(normalizer.name, "the name of a normalizer")) ||
      failed(parseNormalizerArgs(normalizer)))
    return failure();
  return endClause();
}

LogicalResult Parser::parseClause(VariantDecl &variant) {
  const Token &token = peek();
  if (token.is("let"))
    return parseLet(variant.lets);
  if (token.is("scale"))
    return parseAssignment(variant.scale);
  if (token.is("score"))
    return parseAssignment(variant.score);
  if (token.is("mask"))
    return parseAssignment(variant.mask);
  if (token.is("normalizer"))
    return parseNormalizer(variant);
  return error(token, "expected let, scale, score, mask, normalizer or '}', "
                      "got " +
                          describe(token));
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

LogicalResult Parser::parseDims(ParamDecl &param) {
  param.hasDims = true;
  while (!peek().is("]")) {
    if (peek().kind != Token::Name && peek().kind != Token::Integer)
      return error(peek(), "expected a size, got " + describe(peek()));
    param.dims.push_back(take());
    if (!consume(","))
      break;
  }
  return expect("]", "after the sizes");
}

LogicalResult Parser::parseBound(BoundDecl &bound) {
  bool negative = consume("-");
  bound.token = take();
  if (bound.token.kind == Token::Name && !negative) {
    bound.bound.size = bound.token.text.str();
    return success();
  }
  if (bound.token.kind != Token::Integer)
    return error(bound.token,
                 "expected an integer or a size, got " + describe(bound.token));
  if (bound.token.integer >= uint64_t(1) << 63)
    return error(bound.token, "integer does not fit 64 bits");
  int64_t value = static_cast<int64_t>(bound.token.integer);
  bound.bound.value = negative ? -value : value;
  return success();
}

LogicalResult Parser::parseParam(ParamDecl &param) {
  if (failed(parseName(param.name, "the name of a parameter")) ||
      failed(expect(":", "after the parameter's name")) ||
      failed(parseName(param.type, "a type")))
    return failure();
  if (consume("[") && failed(parseDims(param)))
    return failure();
  if (consume("in")) {
    auto &range = param.range.emplace();
    if (failed(parseBound(range.first)) ||
        failed(expect("..", "between the ends of the range")) ||
        failed(parseBound(range.second)))
      return failure();
  }
  if (peek().is("=")) {
    param.equals = take();
    param.value = parseExpr();
    return success(param.value != nullptr);
  }
  return success();
}

LogicalResult Parser::parseParams(VariantDecl &variant) {
  if (!consume("("))
    return success();
  ++brackets;
  skipDocs();
  while (!peek().is(")")) {
    ParamDecl param;
    if (failed(parseParam(param)))
      return failure();
    variant.params.push_back(std::move(param));
    skipDocs();
    if (!consume(","))
      break;
    skipDocs();
  }
  --brackets;
  return expect(")", "after the parameters");
}

LogicalResult Parser::parseVariant(FileDecl &file, std::string doc) {
  take();
  VariantDecl variant;
  variant.doc = std::move(doc);
  if (failed(parseName(variant.name, "a name after 'attention'")) ||
      failed(parseParams(variant)) ||
      failed(expect("{", "to begin the variant")))
    return failure();
  skipDocs();
  while (!peek().is("}")) {
    if (failed(parseClause(variant)))
      return failure();
    skipDocs();
  }
  take();
  file.variants.push_back(std::move(variant));
  return success();
}

LogicalResult Parser::parseFn(FileDecl &file) {
  take();
  FnDecl fn;
  if (failed(parseName(fn.name, "a name after 'fn'")) ||
      failed(expect("(", "after the name")))
    return failure();
  while (!peek().is(")")) {
    Token name;
    if (failed(parseName(name, "a parameter")))
      return failure();
    fn.params.push_back(name);
    if (fn.params.size() > AttnLimits::fnParams)
      return error(name, "a function has at most " +
                             Twine(AttnLimits::fnParams) + " parameters");
    if (!consume(","))
      break;
  }
  if (failed(expect(")", "after the parameters")) ||
      failed(expect("=", "before the body")))
    return failure();
  fn.body = parseExpr();
  if (!fn.body || failed(endClause()))
    return failure();
  file.fns.push_back(std::move(fn));
  return success();
}

LogicalResult Parser::parseConst(FileDecl &file) {
  take();
  ConstDecl constant;
  if (failed(parseName(constant.name, "a name after 'const'")) ||
      failed(expect(":", "after the name")) ||
      failed(parseName(constant.type, "a type")) ||
      failed(expect("=", "before the value")))
    return failure();
  constant.value = parseExpr();
  if (!constant.value || failed(endClause()))
    return failure();
  file.consts.push_back(constant);
  return success();
}

LogicalResult Parser::parseFile(FileDecl &file) {
  std::string doc;
  while (peek().kind != Token::End) {
    const Token &token = peek();
    if (token.kind == Token::Doc) {
      StringRef line = token.text.drop_front(2).rtrim();
      line.consume_front(" ");
      doc += (doc.empty() ? "" : "\n") + line.str();
      take();
      continue;
    }
    LogicalResult result = token.is("fn")      ? parseFn(file)
                           : token.is("const") ? parseConst(file)
                           : token.is("attention")
                               ? parseVariant(file, std::move(doc))
                               : error(token, "expected fn, const or "
                                              "attention, got " +
                                                  describe(token));
    if (failed(result))
      return failure();
    doc.clear();
  }
  return success();
}

} // namespace

LogicalResult parseAttnFile(ArrayRef<Token> tokens,
                            AttnDiagnostics &diagnostics, FileDecl &file) {
  return Parser(tokens, diagnostics, file.exprs).parseFile(file);
}

LogicalResult parseAttnNormalizer(ArrayRef<Token> tokens,
                                  AttnDiagnostics &diagnostics,
                                  std::deque<Expr> &exprs,
                                  NormalizerDecl &normalizer) {
  return Parser(tokens, diagnostics, exprs).parseNormalizerBody(normalizer);
}

} // namespace fovea
