//===- AttnNames.cpp - Names, lets and captures to nodes -----------------===//

#include "AttnLowering.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"

#include <limits>

using namespace llvm;

namespace fovea {

//===----------------------------------------------------------------------===//
// Lets
//===----------------------------------------------------------------------===//

/// Which lets the expressions need, directly or through other lets. Functions
/// see none.
void RegionLowering::collectLets(ArrayRef<const Expr *> exprs,
                                 std::vector<bool> &inner,
                                 std::vector<bool> &outer) {
  struct Item {
    const Expr *expr;
    bool inVariant;
  };
  SmallVector<Item> stack;
  for (const Expr *expr : exprs)
    stack.push_back({expr, normalizer == nullptr});
  while (!stack.empty()) {
    auto [expr, inVariant] = stack.pop_back_val();
    for (const Expr *operand : expr->operands)
      stack.push_back({operand, inVariant});
    if (expr->kind != Expr::Name && expr->kind != Expr::Index)
      continue;
    StringRef name = expr->token.text;
    if (!inVariant) {
      auto it = normalizer->letMap.find(name);
      if (it != normalizer->letMap.end() && !inner[it->second]) {
        inner[it->second] = true;
        stack.push_back({normalizer->lets[it->second].value, false});
      }
      if (const Expr *arg = findTemplateArg(name))
        stack.push_back({arg, true});
      if (normalizer->isTemplate)
        continue;
    }
    auto it = scope.lets.find(name);
    if (it != scope.lets.end() && !outer[it->second]) {
      outer[it->second] = true;
      stack.push_back({scope.decl.lets[it->second].value, true});
    }
  }
}

RegionLowering::Result RegionLowering::lowerLet(const LetDecl &let) {
  Result value = lower(let.value);
  // Leaves are written out wherever they are used; operations keep the name.
  if (value && !value->isLiteral) {
    Node &node = builder[value->node];
    if (!node.operands.empty() && node.name.empty())
      node.name = let.name.text.str();
  }
  return value;
}

/// In order of definition, so that chains of lets need no recursion.
LogicalResult RegionLowering::lowerLets(ArrayRef<const Expr *> exprs) {
  std::vector<bool> outer(scope.decl.lets.size());
  std::vector<bool> inner(normalizer ? normalizer->lets.size() : 0);
  collectLets(exprs, inner, outer);
  mode = Mode::Variant;
  for (auto [index, let] : enumerate(scope.decl.lets)) {
    if (!outer[index])
      continue;
    scope.used.insert(let.name.text);
    Result value = lowerLet(let);
    if (!value)
      return failure();
    outerLets[let.name.text] = *value;
  }
  if (!normalizer)
    return success();
  mode = Mode::Normalizer;
  for (auto [index, let] : enumerate(normalizer->lets)) {
    if (!inner[index])
      continue;
    scope.used.insert(let.name.text);
    Result value = lowerLet(let);
    if (!value)
      return failure();
    innerLets[let.name.text] = *value;
  }
  return success();
}

RegionLowering::Result RegionLowering::lowerLetName(const Token &token,
                                                    bool &found) {
  StringRef name = token.text;
  bool isInner = mode == Mode::Normalizer && normalizer->letMap.contains(name);
  bool seesOuter = mode == Mode::Variant || !normalizer->isTemplate;
  found = isInner || (seesOuter && scope.lets.contains(name));
  if (!found)
    return std::nullopt;
  const StringMap<Value> &values = isInner ? innerLets : outerLets;
  auto it = values.find(name);
  if (it != values.end())
    return it->second;
  size_t place =
      isInner ? normalizer->lets[normalizer->letMap.lookup(name)].name.offset
              : scope.decl.lets[scope.lets.lookup(name)].name.offset;
  (void)fail(token, "'" + name + "' is used before its definition");
  diagnostics.note(place, "defined here");
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

const Expr *RegionLowering::findTemplateArg(StringRef name) const {
  if (!normalizer || !normalizer->isTemplate)
    return nullptr;
  return normalizer->args.lookup(name);
}

RegionLowering::Result RegionLowering::lowerName(const Expr *expr) {
  const Token &token = expr->token;
  locate(token);
  if (mode == Mode::Function)
    return lowerFunctionName(token);
  const Expr *arg =
      mode == Mode::Normalizer ? findTemplateArg(token.text) : nullptr;
  if (!arg)
    return lowerVariantName(token);
  // An argument of a built-in normaliser: a capture means its element.
  auto it = scope.captures.find(arg->token.text);
  if (arg->kind == Expr::Name && it != scope.captures.end() &&
      scope.program.captures[it->second].rank > 0)
    return readDefaultElement(expr, it->second);
  mode = Mode::Variant;
  scope_exit restore([&] { mode = Mode::Normalizer; });
  return lower(arg);
}

/// sink(sigma): sigma is [H] or [B,H]; its value [H,E], [B,H,E] or [B,H,M,E];
/// softplus(coef): [M].
RegionLowering::Result RegionLowering::readDefaultElement(const Expr *expr,
                                                          unsigned capture) {
  const Capture &source = scope.program.captures[capture];
  StringRef role = expr->token.text;
  StringRef indices = StringSwitch<StringRef>((role + Twine(source.rank)).str())
                          .Case("sigma1", "h")
                          .Case("sigma2", "b h")
                          .Case("value2", "h e")
                          .Case("value3", "b h e")
                          .Case("value4", "b h q e")
                          .Case("coef1", "q")
                          .Default("");
  if (indices.empty())
    return fail(expr->token, "wrong rank: '" + source.name + "' has rank " +
                                 Twine(source.rank) +
                                 ", which does not fit the normalizer's '" +
                                 role + "'; write its index");
  scope.used.insert(source.name);
  SmallVector<StringRef> names;
  indices.split(names, ' ');
  SmallVector<unsigned> ids;
  for (StringRef name : names)
    ids.push_back(builder.addSymbol(NodeKind::Arg, getArgType(name), name));
  return fromNode(builder.addRead(capture, source.dtype, ids));
}

RegionLowering::Result RegionLowering::lowerFunctionName(const Token &token) {
  StringRef name = token.text;
  auto param = fnParams->find(name);
  if (param != fnParams->end())
    return param->second;
  if (isSizeName(name))
    return fromNode(builder.addSymbol(NodeKind::Size, ValueType::I64, name));
  if (name == "inf")
    return fromNode(builder.addReal(std::numeric_limits<double>::infinity()));
  if (name == "pi")
    return fromNode(builder.addReal(3.141592653589793));
  // Checked before: everything else is a constant.
  return lowerConst(scope.file.consts.lookup(name));
}

RegionLowering::Result RegionLowering::lowerConst(unsigned index) {
  const ConstDecl &decl = scope.file.file.consts[index];
  Mode outerMode = mode;
  const StringMap<Value> *outerParams = fnParams;
  StringMap<Value> none;
  mode = Mode::Function;
  fnParams = &none;
  Result value = lower(decl.value);
  mode = outerMode;
  fnParams = outerParams;
  if (!value)
    return std::nullopt;
  ValueType type = scope.file.constTypes[index];
  if (type == ValueType::F)
    return fromNode(toFloat(*value));
  if (value->type == type)
    return value;
  return fail(decl.value->token, "'" + decl.name.text + "' must be of type " +
                                     describe(type) + ", got a value of type " +
                                     describe(value->type));
}

/// Arguments of regions are in the language everywhere, but not all are
/// visible in each of them.
RegionLowering::Result RegionLowering::lowerArgument(const Token &token) {
  StringRef name = token.text;
  ArrayRef<StringLiteral> visible = getRegionArgs(kind);
  bool isVisible = is_contained(visible, name);
  // In a normaliser, lets of the variant do not see the normaliser's values.
  bool isOwn = getArgType(name) == ValueType::F;
  if (isVisible && normalizer && mode == Mode::Variant && isOwn)
    return fail(token, "'" + name +
                           "' is not visible here: a normalizer sees "
                           "it only in its own clauses and lets");
  if (isVisible)
    return fromNode(builder.addSymbol(NodeKind::Arg, getArgType(name), name));
  std::string list;
  for (StringRef arg : visible)
    list += (list.empty() ? "" : " ") + arg.str();
  return fail(token, "'" + name + "' is not visible in " + stringify(kind) +
                         (list.empty() ? ", which sees sizes, constants and "
                                         "compile-time parameters only"
                                       : ", which sees " + list));
}

static bool isArgumentName(StringRef name) {
  return is_contained({"s", "b", "h", "q", "kv", "t", "l", "o", "e"}, name);
}

RegionLowering::Result RegionLowering::lowerCapture(const Token &token,
                                                    unsigned index) {
  const Capture &capture = scope.program.captures[index];
  scope.used.insert(capture.name);
  if (kind == RegionKind::Scale)
    return fail(token, "'" + token.text +
                           "' cannot be read in scale, which "
                           "sees sizes, constants and "
                           "compile-time parameters only");
  if (capture.rank == 0)
    return fromNode(builder.addRead(index, capture.dtype, {}));
  std::string indices;
  for (unsigned i = 0; i < std::min(capture.rank, 4u); ++i)
    indices += i == 0 ? "…" : ", …";
  return fail(token, "wrong rank: '" + token.text + "' has rank " +
                         Twine(capture.rank) + " and needs an index; write " +
                         token.text + "[" + indices + "]");
}

RegionLowering::Result RegionLowering::lowerVariantName(const Token &token) {
  StringRef name = token.text;
  bool isLet = false;
  Result let = lowerLetName(token, isLet);
  if (isLet)
    return let;
  bool isOwn = mode == Mode::Variant && isParameter(name);
  if (isArgumentName(name) && !isOwn)
    return lowerArgument(token);
  bool isTemplate = mode == Mode::Normalizer && normalizer->isTemplate;
  if (!isTemplate)
    if (Result value = lowerParameter(token); value || isParameter(name))
      return value;
  if (isSizeName(name) || name == "inf" || name == "pi" ||
      scope.file.consts.contains(name)) {
    StringMap<Value> none;
    const StringMap<Value> *outerParams = fnParams;
    fnParams = &none;
    Result value = lowerFunctionName(token);
    fnParams = outerParams;
    return value;
  }
  return unknownName(token);
}

bool RegionLowering::isParameter(StringRef name) const {
  return scope.captures.contains(name) || scope.params.contains(name) ||
         scope.sizes.contains(name);
}

RegionLowering::Result RegionLowering::lowerParameter(const Token &token) {
  StringRef name = token.text;
  if (auto it = scope.captures.find(name); it != scope.captures.end())
    return lowerCapture(token, it->second);
  if (auto it = scope.params.find(name); it != scope.params.end()) {
    scope.used.insert(name);
    ValueType type = scope.program.params[it->second].type;
    return fromNode(builder.addSymbol(NodeKind::Param, type, name));
  }
  if (auto it = scope.sizes.find(name); it != scope.sizes.end()) {
    const SizeBinding &size = it->second;
    scope.used.insert(scope.program.captures[size.capture].name);
    if (kind == RegionKind::Scale)
      return fail(token, "size '" + name +
                             "' is read from a capture and not "
                             "visible in scale");
    return fromNode(builder.addExtent(size.capture, size.dim));
  }
  return std::nullopt;
}

RegionLowering::Result RegionLowering::unknownName(const Token &token) {
  if (isBuiltinFunction(token.text) || scope.file.fns.contains(token.text))
    return fail(token, "'" + token.text + "' is a function; write " +
                           token.text + "(…)");
  SmallVector<StringRef> known = {"inf", "pi"};
  for (StringRef arg : getRegionArgs(kind))
    known.push_back(arg);
  auto addAll = [&](const auto &map) {
    for (const auto &entry : map)
      known.push_back(entry.first());
  };
  addAll(scope.captures);
  addAll(scope.params);
  addAll(scope.sizes);
  addAll(scope.lets);
  addAll(scope.file.consts);
  if (mode == Mode::Normalizer)
    addAll(normalizer->letMap);
  return fail(token,
              "unknown name '" + token.text + "'" + suggest(token.text, known));
}

//===----------------------------------------------------------------------===//
// Reads
//===----------------------------------------------------------------------===//

RegionLowering::Result RegionLowering::lowerIndex(const Expr *expr) {
  StringRef name = expr->token.text;
  if (mode == Mode::Normalizer)
    if (const Expr *arg = findTemplateArg(name))
      name = arg->kind == Expr::Name ? arg->token.text : StringRef();
  auto it = scope.captures.find(name);
  if (it == scope.captures.end() || mode == Mode::Function) {
    SmallVector<StringRef> known;
    for (const auto &entry : scope.captures)
      known.push_back(entry.first());
    return fail(expr->token, "'" + expr->token.text +
                                 "' is not a capture that can be indexed" +
                                 suggest(expr->token.text, known));
  }
  unsigned index = it->second;
  const Capture &capture = scope.program.captures[index];
  scope.used.insert(capture.name);
  if (kind == RegionKind::Scale)
    return lowerCapture(expr->token, index);
  if (expr->operands.size() != capture.rank)
    return fail(expr->token,
                "wrong rank: '" + capture.name + "' has rank " +
                    Twine(capture.rank) + ", got " +
                    Twine(expr->operands.size()) +
                    (expr->operands.size() == 1 ? " index" : " indices"));
  SmallVector<unsigned> indices;
  for (auto [dim, operand] : enumerate(expr->operands)) {
    Result value = lower(operand);
    if (!value)
      return std::nullopt;
    if (value->type != ValueType::I64)
      return fail(operand->token, "index " + Twine(dim) + " of '" +
                                      capture.name +
                                      "' must be an int, got a value of type " +
                                      describe(value->type) + "; write int(…)");
    locate(operand->token);
    // A negative literal counts from the end; a computed index never does.
    bool wraps = operand->kind == Expr::Integer && !operand->parenthesized &&
                 value->isLiteral && value->literal < 0 &&
                 value->literal != std::numeric_limits<int64_t>::min();
    if (!wraps) {
      indices.push_back(toNode(*value));
      continue;
    }
    unsigned extent = builder.addExtent(index, dim);
    indices.push_back(builder.addOp(
        NodeKind::ISub, {extent, builder.addInteger(-value->literal)}));
  }
  locate(expr->token);
  return fromNode(builder.addRead(index, capture.dtype, indices));
}

} // namespace fovea
