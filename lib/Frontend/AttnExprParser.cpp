//===- AttnExprParser.cpp - Tokens to expressions ------------------------===//

#include "AttnParser.h"

using namespace llvm;

namespace fovea {

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Expr *AttnParser::parseExpr() {
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

/// What follows the first operand of operators of one rank; that operand where
/// there is none.
Expr *AttnParser::parseOperands(Expr::Kind kind,
                                ArrayRef<StringLiteral> operators, Expr *first,
                                function_ref<Expr *()> parseOperand) {
  if (!first || !atOperator(operators))
    return first;
  Expr *expr = make(kind, peek());
  expr->operands.push_back(first);
  while (atOperator(operators)) {
    expr->operators.push_back(take());
    Expr *operand = parseOperand();
    if (!operand)
      return nullptr;
    expr->operands.push_back(operand);
  }
  return expr;
}

Expr *AttnParser::parseLogic(StringRef word) {
  auto parseOperand = [&] {
    return word == "or" ? parseLogic("and") : parseNot();
  };
  StringLiteral operators[] = {word == "or" ? StringLiteral("or")
                                            : StringLiteral("and")};
  return parseOperands(Expr::Logic, operators, parseOperand(), parseOperand);
}

Expr *AttnParser::parseNot() {
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

Expr *AttnParser::parseComparison() {
  static constexpr StringLiteral comparisons[] = {"<",  "<=", ">",
                                                  ">=", "==", "!="};
  Expr *first = parseChain(0);
  if (first && atOperator({"="}) && brackets > 0)
    return fail(peek(), "unexpected '='; write '==' to compare");
  return parseOperands(Expr::Compare, comparisons, first,
                       [&] { return parseChain(0); });
}

Expr *AttnParser::parseChain(unsigned level) {
  static const std::vector<std::vector<StringLiteral>> levels = {
      {"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%"}};
  auto parseOperand = [&] {
    return level + 1 < levels.size() ? parseChain(level + 1) : parseUnary();
  };
  return parseOperands(Expr::Chain, levels[level], parseOperand(),
                       parseOperand);
}

Expr *AttnParser::parseUnary() {
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

Expr *AttnParser::parsePower() {
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

bool AttnParser::parseList(StringRef close, SmallVectorImpl<Expr *> &list) {
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

Expr *AttnParser::parseParenthesized() {
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

Expr *AttnParser::parseNameOrCall() {
  Token name = take();
  bool isTruth = name.text == "true" || name.text == "false";
  if (isGrammarWord(name.text) && !isTruth)
    return fail(name, "expected an expression, got '" + name.text + "'");
  if (isTruth) {
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

Expr *AttnParser::parsePrimary() {
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

} // namespace fovea
