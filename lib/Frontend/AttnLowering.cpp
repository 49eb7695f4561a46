//===- AttnLowering.cpp - Operators and calls to nodes -------------------===//

#include "AttnLowering.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"

#include <limits>

using namespace llvm;

namespace fovea {

//===----------------------------------------------------------------------===//
// Conversions (S13)
//===----------------------------------------------------------------------===//

unsigned RegionLowering::toNode(const Value &value) {
  return value.isLiteral ? builder.addInteger(value.literal) : value.node;
}

unsigned RegionLowering::toFloat(const Value &value) {
  if (value.isLiteral)
    return builder.addReal(static_cast<double>(value.literal));
  switch (value.type) {
  case ValueType::I1:
    return builder.addOp(NodeKind::I1ToF, {value.node});
  case ValueType::I64:
    return builder.addOp(NodeKind::I64ToF, {value.node});
  case ValueType::F:
    return value.node;
  }
  llvm_unreachable("unknown value type");
}

unsigned RegionLowering::toInteger(const Value &value) {
  if (value.type == ValueType::I1)
    return builder.addOp(NodeKind::I1ToI64, {value.node});
  return toNode(value);
}

std::pair<unsigned, unsigned> RegionLowering::promote(const Value &a,
                                                      const Value &b) {
  if (a.type == ValueType::F || b.type == ValueType::F) {
    unsigned x = toFloat(a);
    return {x, toFloat(b)};
  }
  unsigned x = toInteger(a);
  return {x, toInteger(b)};
}

std::optional<unsigned> RegionLowering::convertResult(const Expr *expr,
                                                      const Value &value,
                                                      ValueType type) {
  if (type == ValueType::F)
    return toFloat(value);
  if (value.type == type)
    return toNode(value);
  (void)fail(expr->token, stringify(kind) + " must be of type " +
                              describe(type) + ", got a value of type " +
                              describe(value.type));
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

RegionLowering::Result RegionLowering::lower(const Expr *expr) {
  // What the stack bears: syntax nests up to a limit of its own, calls
  // multiply it.
  constexpr unsigned maxDepth = 1000;
  if (depth >= maxDepth)
    return fail(expr->token, "expressions and calls nest too deeply");
  if (++operations > AttnLimits::operations)
    return fail(expr->token, "the clause expands to more than " +
                                 Twine(AttnLimits::operations) + " operations");
  ++depth;
  scope_exit restore([&] { --depth; });
  return lowerKind(expr);
}

RegionLowering::Result RegionLowering::lowerKind(const Expr *expr) {
  switch (expr->kind) {
  case Expr::Integer: {
    if (!expr->negative && expr->token.integer >= uint64_t(1) << 63)
      return fail(expr->token, "integer does not fit 64 bits");
    Value value;
    value.isLiteral = true;
    value.literal = static_cast<int64_t>(
        expr->negative ? 0 - expr->token.integer : expr->token.integer);
    return value;
  }
  case Expr::Float:
    return fromNode(builder.addReal(expr->token.real));
  case Expr::Bool:
    return fromNode(builder.addBool(expr->token.integer));
  case Expr::Name:
    return lowerName(expr);
  case Expr::Unary:
    return lowerUnary(expr);
  case Expr::Chain:
    return lowerChain(expr);
  case Expr::Compare:
    return lowerCompare(expr);
  case Expr::Logic:
    return lowerLogic(expr);
  case Expr::Power:
    return lowerPower(expr);
  case Expr::Conditional:
    return lowerSelect(expr->token, expr->operands[1], expr->operands[0],
                       expr->operands[2]);
  case Expr::Call:
    return lowerCall(expr);
  case Expr::Index:
    return lowerIndex(expr);
  }
  llvm_unreachable("unknown expression kind");
}

RegionLowering::Result RegionLowering::lowerUnary(const Expr *expr) {
  Result operand = lower(expr->operands[0]);
  if (!operand)
    return std::nullopt;
  locate(expr->token);
  StringRef symbol = expr->token.text;
  bool isFloat = operand->type == ValueType::F;
  if (symbol == "not") {
    if (operand->type != ValueType::I1)
      return fail(expr->token, "'not' is for bools, got a value of type " +
                                   describe(operand->type) +
                                   "; write a comparison, or '~' for the bits "
                                   "of an int");
    return fromNode(builder.addOp(NodeKind::BNot, {operand->node}));
  }
  if (symbol == "~") {
    if (operand->type == ValueType::I1)
      return fail(expr->token, "'~' is for ints; write 'not' for a bool");
    if (isFloat)
      return fail(expr->token, "'~' is for ints, got a float");
    return fromNode(builder.addOp(NodeKind::INot, {toNode(*operand)}));
  }
  if (symbol == "+")
    return isFloat ? *operand : fromNode(toInteger(*operand));
  const Expr *inner = expr->operands[0];
  if (inner->kind == Expr::Name && inner->token.is("inf") &&
      !inner->parenthesized)
    return fromNode(builder.addReal(-std::numeric_limits<double>::infinity()));
  if (isFloat)
    return fromNode(builder.addOp(NodeKind::FNeg, {operand->node}));
  return fromNode(builder.addOp(NodeKind::INeg, {toInteger(*operand)}));
}

RegionLowering::Result RegionLowering::lowerChain(const Expr *expr) {
  Result value = lower(expr->operands[0]);
  for (size_t i = 0; value && i < expr->operators.size(); ++i) {
    Result next = lower(expr->operands[i + 1]);
    if (!next)
      return std::nullopt;
    value = lowerBinary(expr->operators[i], *value, *next);
  }
  return value;
}

RegionLowering::Result RegionLowering::lowerBitwise(const Token &token, Value a,
                                                    Value b) {
  StringRef symbol = token.text;
  for (const Value &value : {a, b}) {
    if (value.type == ValueType::I64)
      continue;
    StringRef instead = StringSwitch<StringRef>(symbol)
                            .Case("&", "; write 'and'")
                            .Case("|", "; write 'or'")
                            .Case("^", "; write '!='")
                            .Default("");
    if (value.type == ValueType::F)
      instead = "";
    return fail(token, "'" + symbol + "' is for ints, got a " +
                           describe(value.type) + instead);
  }
  NodeKind op = StringSwitch<NodeKind>(symbol)
                    .Case("&", NodeKind::IAnd)
                    .Case("|", NodeKind::IOr)
                    .Case("^", NodeKind::IXor)
                    .Case("<<", NodeKind::Shl)
                    .Default(NodeKind::Shr);
  unsigned x = toNode(a);
  return fromNode(builder.addOp(op, {x, toNode(b)}));
}

RegionLowering::Result RegionLowering::lowerBinary(const Token &token, Value a,
                                                   Value b) {
  locate(token);
  StringRef symbol = token.text;
  if (is_contained({"&", "|", "^", "<<", ">>"}, symbol))
    return lowerBitwise(token, a, b);
  if (symbol == "/") {
    unsigned x = toFloat(a);
    return fromNode(builder.addOp(NodeKind::FDiv, {x, toFloat(b)}));
  }
  std::pair<unsigned, unsigned> sides = promote(a, b);
  auto [x, y] = sides;
  bool isFloat = builder[x].type == ValueType::F;
  auto pick = [&](NodeKind onFloats, NodeKind onIntegers) {
    return fromNode(builder.addOp(isFloat ? onFloats : onIntegers,
                                  {sides.first, sides.second}));
  };
  if (symbol == "+")
    return pick(NodeKind::FAdd, NodeKind::IAdd);
  if (symbol == "-")
    return pick(NodeKind::FSub, NodeKind::ISub);
  if (symbol == "*")
    return pick(NodeKind::FMul, NodeKind::IMul);
  if (symbol == "%")
    return pick(NodeKind::FMod, NodeKind::Mod);
  if (!isFloat)
    return fromNode(builder.addOp(NodeKind::FloorDiv, {x, y}));
  unsigned quotient = builder.addOp(NodeKind::FDiv, {x, y});
  return fromNode(builder.addOp(NodeKind::Floor, {quotient}));
}

RegionLowering::Result RegionLowering::lowerIntegerPower(Value base,
                                                         uint64_t exponent) {
  std::optional<unsigned> result;
  for (unsigned square = toInteger(base); exponent != 0; exponent >>= 1) {
    if (exponent & 1)
      result =
          result ? builder.addOp(NodeKind::IMul, {*result, square}) : square;
    if (exponent > 1)
      square = builder.addOp(NodeKind::IMul, {square, square});
  }
  return fromNode(result ? *result : builder.addInteger(1));
}

RegionLowering::Result RegionLowering::lowerPower(const Expr *expr) {
  Result base = lower(expr->operands[0]);
  Result exponent = base ? lower(expr->operands[1]) : std::nullopt;
  if (!exponent)
    return std::nullopt;
  locate(expr->token);
  if (base->type != ValueType::F && exponent->type == ValueType::I64) {
    std::optional<int64_t> constant;
    if (exponent->isLiteral)
      constant = exponent->literal;
    else if (builder[exponent->node].kind == NodeKind::Const)
      constant = builder[exponent->node].integer;
    if (constant && *constant >= 0)
      return lowerIntegerPower(*base, static_cast<uint64_t>(*constant));
  }
  unsigned x = toFloat(*base);
  return fromNode(builder.addOp(NodeKind::Pow, {x, toFloat(*exponent)}));
}

unsigned RegionLowering::lowerComparison(StringRef symbol, Value a, Value b) {
  bool isEquality = symbol == "==" || symbol == "!=";
  if (isEquality && a.type == ValueType::I1 && b.type == ValueType::I1) {
    unsigned differs = builder.addOp(NodeKind::BXor, {a.node, b.node});
    return symbol == "!=" ? differs : builder.addOp(NodeKind::BNot, {differs});
  }
  auto [x, y] = promote(a, b);
  bool isFloat = builder[x].type == ValueType::F;
  auto pick = [&](NodeKind onFloats, NodeKind onIntegers) {
    return isFloat ? onFloats : onIntegers;
  };
  NodeKind op = StringSwitch<NodeKind>(symbol)
                    .Case("<", pick(NodeKind::FLt, NodeKind::ILt))
                    .Case("<=", pick(NodeKind::FLe, NodeKind::ILe))
                    .Case(">", pick(NodeKind::FGt, NodeKind::IGt))
                    .Case(">=", pick(NodeKind::FGe, NodeKind::IGe))
                    .Case("==", pick(NodeKind::FEq, NodeKind::IEq))
                    .Default(pick(NodeKind::FNe, NodeKind::INe));
  return builder.addOp(op, {x, y});
}

RegionLowering::Result RegionLowering::lowerCompare(const Expr *expr) {
  Result left = lower(expr->operands[0]);
  std::optional<unsigned> all;
  for (size_t i = 0; left && i < expr->operators.size(); ++i) {
    Result right = lower(expr->operands[i + 1]);
    if (!right)
      return std::nullopt;
    locate(expr->operators[i]);
    unsigned one = lowerComparison(expr->operators[i].text, *left, *right);
    all = all ? builder.addOp(NodeKind::BAnd, {*all, one}) : one;
    left = right;
  }
  if (!all || !left)
    return std::nullopt;
  return fromNode(*all);
}

RegionLowering::Result RegionLowering::lowerLogic(const Expr *expr) {
  bool isAnd = expr->token.is("and");
  std::optional<unsigned> all;
  for (auto [index, operand] : enumerate(expr->operands)) {
    Result value = lower(operand);
    if (!value)
      return std::nullopt;
    const Token &word = expr->operators[index == 0 ? 0 : index - 1];
    if (value->type != ValueType::I1) {
      std::string instead = "; write a comparison";
      if (value->type == ValueType::I64)
        instead += isAnd ? ", or '&' for the bits of ints"
                         : ", or '|' for the bits of ints";
      return fail(word, "'" + word.text + "' is for bools, got a value of " +
                            "type " + describe(value->type) + instead);
    }
    locate(word);
    all = all ? builder.addOp(isAnd ? NodeKind::BAnd : NodeKind::BOr,
                              {*all, value->node})
              : value->node;
  }
  return fromNode(*all);
}

RegionLowering::Result RegionLowering::lowerSelect(const Token &token,
                                                   const Expr *condition,
                                                   const Expr *x,
                                                   const Expr *y) {
  Result c = lower(condition);
  Result a = c ? lower(x) : std::nullopt;
  Result b = a ? lower(y) : std::nullopt;
  if (!b)
    return std::nullopt;
  if (c->type != ValueType::I1)
    return fail(condition->token, "the condition must be a bool, got a value "
                                  "of type " +
                                      describe(c->type));
  locate(token);
  if (a->type == ValueType::I1 && b->type == ValueType::I1)
    return fromNode(builder.addSelect(c->node, a->node, b->node));
  auto [u, w] = promote(*a, *b);
  return fromNode(builder.addSelect(c->node, u, w));
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Functions of one float.
static std::optional<NodeKind> getFloatFunction(StringRef name) {
  return StringSwitch<std::optional<NodeKind>>(name)
      .Case("exp", NodeKind::Exp)
      .Case("exp2", NodeKind::Exp2)
      .Case("log", NodeKind::Log)
      .Case("log2", NodeKind::Log2)
      .Case("log1p", NodeKind::Log1p)
      .Case("tanh", NodeKind::Tanh)
      .Case("sin", NodeKind::Sin)
      .Case("cos", NodeKind::Cos)
      .Case("sqrt", NodeKind::Sqrt)
      .Case("rsqrt", NodeKind::Rsqrt)
      .Case("erf", NodeKind::Erf)
      .Case("floor", NodeKind::Floor)
      .Case("sigmoid", NodeKind::Sigmoid)
      .Case("softplus", NodeKind::Softplus)
      .Case("gelu", NodeKind::Gelu)
      .Case("silu", NodeKind::Silu)
      .Default(std::nullopt);
}

static constexpr StringRef builtinFunctions[] = {
    "where", "clamp", "minimum", "maximum", "abs",  "exp",      "exp2",
    "log",   "log2",  "log1p",   "tanh",    "sin",  "cos",      "sqrt",
    "rsqrt", "erf",   "floor",   "sigmoid", "gelu", "softplus", "silu",
    "pow",   "int",   "to_int",  "float"};

ArrayRef<StringRef> getBuiltinFunctions() { return builtinFunctions; }
bool isBuiltinFunction(StringRef name) {
  return is_contained(builtinFunctions, name);
}

static unsigned getArity(StringRef name) {
  return StringSwitch<unsigned>(name)
      .Cases({"where", "clamp"}, 3)
      .Cases({"minimum", "maximum", "pow"}, 2)
      .Default(1);
}

RegionLowering::Result RegionLowering::lowerCall(const Expr *expr) {
  const Token &name = expr->token;
  bool isBuiltin = isBuiltinFunction(name.text);
  auto it = scope.file.fns.find(name.text);
  if (!isBuiltin && it == scope.file.fns.end()) {
    SmallVector<StringRef> known(getBuiltinFunctions());
    for (const auto &entry : scope.file.fns)
      known.push_back(entry.first());
    return fail(name, "unknown function '" + name.text + "'" +
                          suggest(name.text, known));
  }
  size_t arity = isBuiltin ? getArity(name.text) : it->second->params.size();
  if (expr->operands.size() != arity) {
    (void)fail(name, "'" + name.text + "' takes " + Twine(arity) +
                         (arity == 1 ? " argument" : " arguments") + ", got " +
                         Twine(expr->operands.size()));
    if (!isBuiltin)
      diagnostics.note(it->second->name.offset, "defined here");
    return std::nullopt;
  }
  if (!isBuiltin)
    return lowerFnCall(expr, *it->second);
  if (name.text == "where")
    return lowerSelect(name, expr->operands[0], expr->operands[1],
                       expr->operands[2]);
  SmallVector<Value> args;
  for (const Expr *operand : expr->operands) {
    Result value = lower(operand);
    if (!value)
      return std::nullopt;
    args.push_back(*value);
  }
  locate(name);
  return lowerBuiltin(expr, args);
}

RegionLowering::Result RegionLowering::lowerBuiltin(const Expr *expr,
                                                    ArrayRef<Value> args) {
  StringRef name = expr->token.text;
  if (std::optional<NodeKind> function = getFloatFunction(name))
    return fromNode(builder.addOp(*function, {toFloat(args[0])}));
  bool isFloat = args[0].type == ValueType::F;
  if (name == "pow") {
    unsigned x = toFloat(args[0]);
    return fromNode(builder.addOp(NodeKind::Pow, {x, toFloat(args[1])}));
  }
  if (name == "float")
    return fromNode(isFloat ? args[0].node
                    : args[0].isLiteral
                        ? builder.addOp(NodeKind::I64ToF, {toNode(args[0])})
                        : toFloat(args[0]));
  if (name == "int" || name == "to_int")
    return fromNode(isFloat ? builder.addOp(NodeKind::ToInt, {args[0].node})
                            : toInteger(args[0]));
  if (name == "abs")
    return fromNode(isFloat
                        ? builder.addOp(NodeKind::FAbs, {args[0].node})
                        : builder.addOp(NodeKind::IAbs, {toInteger(args[0])}));
  auto extreme = [&](bool isMax, Value a, Value b) {
    auto [x, y] = promote(a, b);
    bool onFloats = builder[x].type == ValueType::F;
    NodeKind op = isMax ? (onFloats ? NodeKind::FMax : NodeKind::IMax)
                        : (onFloats ? NodeKind::FMin : NodeKind::IMin);
    return fromNode(builder.addOp(op, {x, y}));
  };
  if (name == "clamp")
    return extreme(false, extreme(true, args[0], args[1]), args[2]);
  return extreme(name == "maximum", args[0], args[1]);
}

RegionLowering::Result RegionLowering::lowerFnCall(const Expr *expr,
                                                   const FnDecl &fn) {
  StringMap<Value> params;
  for (auto [param, operand] : zip(fn.params, expr->operands)) {
    Result value = lower(operand);
    if (!value)
      return std::nullopt;
    params[param.text] = *value;
  }
  unsigned errorsBefore = diagnostics.getNumErrors();
  Mode outerMode = mode;
  const StringMap<Value> *outerParams = fnParams;
  mode = Mode::Function;
  fnParams = &params;
  Result result = lower(fn.body);
  mode = outerMode;
  fnParams = outerParams;
  // The innermost calls are the ones that explain an error.
  if (!result && diagnostics.getNumErrors() > errorsBefore && depth < 64)
    diagnostics.note(expr->token.offset,
                     "in this call of '" + expr->token.text + "'");
  return result;
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

std::optional<Region> RegionLowering::run(ArrayRef<const Expr *> exprs) {
  if (failed(lowerLets(exprs)))
    return std::nullopt;
  mode = normalizer ? Mode::Normalizer : Mode::Variant;
  SmallVector<unsigned> results;
  for (auto [expr, type] : zip(exprs, getRegionResults(kind))) {
    Result value = lower(expr);
    if (!value)
      return std::nullopt;
    locate(expr->token);
    std::optional<unsigned> node = convertResult(expr, *value, type);
    if (!node)
      return std::nullopt;
    results.push_back(*node);
  }
  return builder.take(results);
}

LogicalResult RegionLowering::check(ArrayRef<const Expr *> exprs) {
  if (failed(lowerLets(exprs)))
    return failure();
  mode = Mode::Variant;
  return success(
      all_of(exprs, [&](const Expr *expr) { return lower(expr).has_value(); }));
}

LogicalResult RegionLowering::checkConst(unsigned index) {
  mode = Mode::Function;
  StringMap<Value> none;
  fnParams = &none;
  return success(lowerConst(index).has_value());
}

} // namespace fovea
