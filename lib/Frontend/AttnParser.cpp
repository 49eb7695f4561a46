//===- AttnParser.cpp - Tokens to syntax trees ---------------------------===//

#include "AttnParser.h"

using namespace llvm;

namespace fovea {

//===----------------------------------------------------------------------===//
// Clauses
//===----------------------------------------------------------------------===//

LogicalResult AttnParser::endClause() {
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

LogicalResult AttnParser::parseAssignment(Clause &clause) {
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

LogicalResult AttnParser::parseLet(std::vector<LetDecl> &lets) {
  take();
  LetDecl let;
  if (failed(parseNewName(let.name, "a name after 'let'")) ||
      failed(expect("=", "after the name")))
    return failure();
  let.value = parseExpr();
  if (!let.value)
    return failure();
  lets.push_back(let);
  return endClause();
}

LogicalResult AttnParser::parseSeed(NormalizerDecl &normalizer) {
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

LogicalResult AttnParser::parseNormalizerClause(NormalizerDecl &normalizer) {
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

LogicalResult AttnParser::parseNormalizerBody(NormalizerDecl &normalizer) {
  normalizer.isBlock = true;
  skipDocs();
  while (!peek().is("}") && peek().kind != Token::End) {
    if (failed(parseNormalizerClause(normalizer)))
      return failure();
    skipDocs();
  }
  return success();
}

LogicalResult AttnParser::parseNormalizerArgs(NormalizerDecl &normalizer) {
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

LogicalResult AttnParser::parseNormalizer(VariantDecl &variant) {
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

LogicalResult AttnParser::parseClause(VariantDecl &variant) {
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

LogicalResult AttnParser::parseDims(ParamDecl &param) {
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

LogicalResult AttnParser::parseBound(BoundDecl &bound) {
  bool negative = consume("-");
  bound.token = take();
  if (bound.token.kind == Token::Name && !negative) {
    bound.bound.size = bound.token.text.str();
    return success();
  }
  if (bound.token.kind != Token::Integer)
    return error(bound.token,
                 "expected an integer or a size, got " + describe(bound.token));
  uint64_t value = bound.token.integer;
  if (value > (uint64_t(1) << 63) - !negative)
    return error(bound.token, "integer does not fit 64 bits");
  bound.bound.value = static_cast<int64_t>(negative ? -value : value);
  return success();
}

LogicalResult AttnParser::parseParam(ParamDecl &param) {
  if (failed(parseNewName(param.name, "the name of a parameter")) ||
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

LogicalResult AttnParser::parseParams(VariantDecl &variant) {
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

LogicalResult AttnParser::parseVariant(FileDecl &file, std::string doc) {
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

LogicalResult AttnParser::parseFn(FileDecl &file) {
  take();
  FnDecl fn;
  if (failed(parseNewName(fn.name, "a name after 'fn'")) ||
      failed(expect("(", "after the name")))
    return failure();
  while (!peek().is(")")) {
    Token name;
    if (failed(parseNewName(name, "a parameter")))
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

LogicalResult AttnParser::parseConst(FileDecl &file) {
  take();
  ConstDecl constant;
  if (failed(parseNewName(constant.name, "a name after 'const'")) ||
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

LogicalResult AttnParser::parseFile(FileDecl &file) {
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

LogicalResult parseAttnFile(ArrayRef<Token> tokens,
                            AttnDiagnostics &diagnostics, FileDecl &file) {
  return AttnParser(tokens, diagnostics, file.exprs).parseFile(file);
}

LogicalResult parseAttnNormalizer(ArrayRef<Token> tokens,
                                  AttnDiagnostics &diagnostics,
                                  std::deque<Expr> &exprs,
                                  NormalizerDecl &normalizer) {
  return AttnParser(tokens, diagnostics, exprs).parseNormalizerBody(normalizer);
}

} // namespace fovea
