//===- AttnScope.cpp - Declarations of .attn files -----------------------===//

#include "AttnScope.h"
#include "CaptureRange.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

using namespace llvm;

namespace fovea {

StringRef describe(ValueType type) {
  switch (type) {
  case ValueType::I1:
    return "bool";
  case ValueType::I64:
    return "int";
  case ValueType::F:
    return "float";
  }
  llvm_unreachable("unknown value type");
}

std::optional<ValueType> parseScalarType(StringRef name) {
  if (name == "bool" || name == "i1")
    return ValueType::I1;
  if (name == "int" || name == "i64")
    return ValueType::I64;
  if (name == "float" || name == "f")
    return ValueType::F;
  return std::nullopt;
}

std::string suggest(StringRef name, ArrayRef<StringRef> known) {
  unsigned limit = static_cast<unsigned>(name.size() + 2) / 3;
  StringRef best;
  // Enough to help, few enough to stay quick on any input.
  for (StringRef candidate : known.take_front(2000)) {
    unsigned distance = name.edit_distance(candidate, true, limit);
    if (distance <= limit && (best.empty() || distance < limit)) {
      best = candidate;
      limit = distance;
    }
  }
  return best.empty() ? "" : ("; did you mean '" + best + "'?").str();
}

bool isReservedName(StringRef name) {
  static const StringSet<> words = {
      "s",   "b",    "h",   "q",  "kv",    "t",         "l",    "o",
      "e",   "true", "inf", "pi", "if",    "else",      "and",  "or",
      "not", "in",   "let", "fn", "const", "attention", "false"};
  return words.contains(name) || isSizeName(name);
}

bool isNormalizerName(StringRef name) {
  return is_contained({"t", "l", "o", "e"}, name);
}

static LogicalResult checkNewName(AttnDiagnostics &diagnostics,
                                  const Token &name) {
  if (!isReservedName(name.text))
    return success();
  return diagnostics.error(name.offset, "'" + name.text +
                                            "' has a meaning of its own and "
                                            "cannot be redefined");
}

static LogicalResult redefinition(AttnDiagnostics &diagnostics,
                                  const Token &name, size_t previous) {
  (void)diagnostics.error(name.offset, "redefinition of '" + name.text + "'");
  diagnostics.note(previous, "first defined here");
  return failure();
}

/// Visits an expression tree without recursion.
template <typename Fn> static void walk(const Expr *root, Fn &&visit) {
  SmallVector<const Expr *> stack = {root};
  while (!stack.empty()) {
    const Expr *expr = stack.pop_back_val();
    visit(expr);
    for (const Expr *operand : reverse(expr->operands))
      stack.push_back(operand);
  }
}

//===----------------------------------------------------------------------===//
// Functions and constants
//===----------------------------------------------------------------------===//

namespace {
class FileChecker {
public:
  explicit FileChecker(FileScope &scope)
      : scope(scope), diagnostics(scope.diagnostics) {}

  LogicalResult run() {
    bool ok = succeeded(declare());
    for (auto [index, constant] : enumerate(scope.file.consts))
      ok &= succeeded(checkNames(constant.value, {}, index));
    for (const FnDecl &fn : scope.file.fns)
      ok &= succeeded(checkNames(fn.body, fn.params, scope.file.consts.size()));
    return success(ok && succeeded(checkRecursion()));
  }

private:
  LogicalResult declareName(const Token &name) {
    if (failed(checkNewName(diagnostics, name)))
      return failure();
    auto [it, isNew] = places.try_emplace(name.text, name.offset);
    return isNew ? success() : redefinition(diagnostics, name, it->second);
  }

  LogicalResult declare() {
    bool ok = true;
    for (const FnDecl &fn : scope.file.fns) {
      if (isBuiltinFunction(fn.name.text)) {
        ok = false;
        (void)diagnostics.error(fn.name.offset,
                                "redefinition of the built-in function '" +
                                    fn.name.text + "'");
      }
      ok &= succeeded(declareName(fn.name));
      scope.fns.try_emplace(fn.name.text, &fn);
      StringMap<size_t> params;
      for (const Token &param : fn.params) {
        auto [it, isNew] = params.try_emplace(param.text, param.offset);
        if (!isNew)
          ok &= succeeded(redefinition(diagnostics, param, it->second));
      }
    }
    for (auto [index, constant] : enumerate(scope.file.consts)) {
      ok &= succeeded(declareName(constant.name));
      scope.consts.try_emplace(constant.name.text, index);
      std::optional<ValueType> type = parseScalarType(constant.type.text);
      if (!type) {
        ok = false;
        (void)diagnostics.error(constant.type.offset,
                                "a constant is a bool, an int or a float, got "
                                "type '" +
                                    constant.type.text + "'");
      }
      scope.constTypes.push_back(type.value_or(ValueType::I64));
    }
    StringMap<size_t> variants;
    for (const VariantDecl &variant : scope.file.variants) {
      auto [it, isNew] =
          variants.try_emplace(variant.name.text, variant.name.offset);
      if (!isNew)
        ok &= succeeded(redefinition(diagnostics, variant.name, it->second));
    }
    return success(ok);
  }

  /// A function sees its parameters, all constants and sizes; a constant sees
  /// the constants before it.
  LogicalResult checkNames(const Expr *body, ArrayRef<Token> params,
                           size_t numConsts) {
    bool ok = true;
    walk(body, [&](const Expr *expr) {
      if (diagnostics.hasTooManyErrors())
        return;
      if (expr->kind == Expr::Call)
        ok &= succeeded(checkCall(expr->token));
      if (expr->kind == Expr::Index)
        ok &= succeeded(diagnostics.error(
            expr->token.offset, "captures are read in variants; hand '" +
                                    expr->token.text +
                                    "[…]' to the function as an argument"));
      if (expr->kind == Expr::Name)
        ok &= succeeded(checkName(expr->token, params, numConsts));
    });
    return success(ok);
  }

  LogicalResult checkCall(const Token &name) {
    if (isBuiltinFunction(name.text) || scope.fns.contains(name.text))
      return success();
    SmallVector<StringRef> known(getBuiltinFunctions());
    for (const auto &entry : scope.fns)
      known.push_back(entry.first());
    return diagnostics.error(name.offset, "unknown function '" + name.text +
                                              "'" + suggest(name.text, known));
  }

  LogicalResult checkName(const Token &name, ArrayRef<Token> params,
                          size_t numConsts) {
    StringRef text = name.text;
    auto it = scope.consts.find(text);
    if (isSizeName(text) || text == "inf" || text == "pi" ||
        (it != scope.consts.end() && it->second < numConsts) ||
        any_of(params, [&](const Token &p) { return p.text == text; }))
      return success();
    if (it != scope.consts.end())
      return diagnostics.error(name.offset,
                               "'" + text + "' is used before its definition");
    SmallVector<StringRef> known = {"inf", "pi"};
    for (const Token &param : params)
      known.push_back(param.text);
    for (const auto &entry : scope.consts)
      known.push_back(entry.first());
    return diagnostics.error(name.offset, "unknown name '" + text + "'" +
                                              suggest(text, known));
  }

  /// Depth-first over the call graph, without recursion.
  LogicalResult checkRecursion() {
    enum State : uint8_t { New, Active, Done };
    StringMap<State> states;
    struct Frame {
      const FnDecl *fn;
      std::vector<Token> calls;
      size_t next = 0;
    };
    auto enter = [&](const FnDecl *fn) {
      states[fn->name.text] = Active;
      Frame frame{fn, {}, 0};
      walk(fn->body, [&](const Expr *expr) {
        if (expr->kind == Expr::Call && scope.fns.contains(expr->token.text))
          frame.calls.push_back(expr->token);
      });
      return frame;
    };
    for (const FnDecl &root : scope.file.fns) {
      if (states[root.name.text] != New)
        continue;
      std::vector<Frame> stack = {enter(&root)};
      while (!stack.empty()) {
        Frame &frame = stack.back();
        if (frame.next == frame.calls.size()) {
          states[frame.fn->name.text] = Done;
          stack.pop_back();
          continue;
        }
        Token call = frame.calls[frame.next++];
        if (states[call.text] == Active) {
          (void)diagnostics.error(call.offset,
                                  "recursion: '" + call.text +
                                      "' is called while it is computed");
          diagnostics.note(scope.fns[call.text]->name.offset,
                           "'" + call.text + "' is defined here");
          return failure();
        }
        if (states[call.text] == New)
          stack.push_back(enter(scope.fns[call.text]));
      }
    }
    return success();
  }

  FileScope &scope;
  AttnDiagnostics &diagnostics;
  StringMap<size_t> places;
};

//===----------------------------------------------------------------------===//
// Parameters and sizes
//===----------------------------------------------------------------------===//

class VariantDeclarer {
public:
  VariantDeclarer(VariantScope &scope, Defines defines)
      : scope(scope), diagnostics(scope.file.diagnostics), defines(defines) {}

  LogicalResult run() {
    bool ok = true;
    if (scope.decl.params.size() > ProgramLimits::captures)
      return diagnostics.error(scope.decl.name.offset,
                               "at most " + Twine(ProgramLimits::captures) +
                                   " parameters are supported, got " +
                                   Twine(scope.decl.params.size()));
    for (const ParamDecl &param : scope.decl.params)
      ok &= succeeded(declareParam(param));
    for (const ParamDecl &param : scope.decl.params)
      ok &= succeeded(checkSizes(param));
    return success(ok);
  }

private:
  LogicalResult declareParam(const ParamDecl &param) {
    bool isFree = !scope.decl.normalizer && isNormalizerName(param.name.text);
    if (!isFree && failed(checkNewName(diagnostics, param.name)))
      return failure();
    static constexpr StringLiteral taken[] = {"k", "v", "target", "return_lse"};
    if (is_contained(taken, param.name.text))
      return diagnostics.error(param.name.offset,
                               "a parameter may not be named '" +
                                   param.name.text +
                                   "': callers have an argument of that name");
    if (scope.file.consts.contains(param.name.text))
      return redefinition(
          diagnostics, param.name,
          scope.file.file.consts[scope.file.consts[param.name.text]]
              .name.offset);
    auto [it, isNew] = places.try_emplace(param.name.text, param.name.offset);
    if (!isNew)
      return redefinition(diagnostics, param.name, it->second);
    return param.value ? declareConstant(param) : declareCapture(param);
  }

  LogicalResult declareCapture(const ParamDecl &param) {
    std::optional<DType> dtype = parseDType(param.type.text);
    if (param.type.text == "bool")
      dtype = DType::I1;
    if (!dtype) {
      static constexpr StringLiteral known[] = {"bool", "i8",   "ui8",  "i16",
                                                "ui16", "i32",  "ui32", "i64",
                                                "f16",  "bf16", "f32",  "f64"};
      SmallVector<StringRef> names(std::begin(known), std::end(known));
      return diagnostics.error(param.type.offset,
                               "unknown type '" + param.type.text + "'" +
                                   suggest(param.type.text, names));
    }
    if (!param.hasDims)
      return diagnostics.error(
          param.name.offset, "'" + param.name.text +
                                 "' has neither sizes nor a default; write " +
                                 param.type.text +
                                 "[] for a number read at launch, '= …' for a "
                                 "compile-time parameter");
    if (param.dims.size() > ProgramLimits::rank)
      return diagnostics.error(param.name.offset,
                               "at most " + Twine(ProgramLimits::rank) +
                                   " dimensions are supported, got " +
                                   Twine(param.dims.size()));
    Capture capture;
    capture.name = param.name.text.str();
    capture.dtype = *dtype;
    capture.rank = param.dims.size();
    unsigned index = scope.program.captures.size();
    for (auto [dim, token] : enumerate(param.dims))
      if (failed(declareDim(token, index, dim, capture)))
        return failure();
    if (none_of(capture.dims, [](const Dim &dim) { return dim.isKnown(); }))
      capture.dims.clear();
    if (param.range)
      capture.range = {param.range->first.bound, param.range->second.bound};
    scope.captures[param.name.text] = index;
    scope.program.captures.push_back(std::move(capture));
    return success();
  }

  LogicalResult declareDim(const Token &token, unsigned index, unsigned dim,
                           Capture &capture) {
    Dim result;
    if (token.kind == Token::Integer) {
      if (token.integer > std::numeric_limits<int32_t>::max())
        return diagnostics.error(token.offset, "size is too large");
      result.value = static_cast<int64_t>(token.integer);
    } else if (token.text != "_") {
      if (!isSizeName(token.text)) {
        if (failed(checkNewName(diagnostics, token)))
          return failure();
        scope.sizes.try_emplace(token.text,
                                SizeBinding{index, dim, token.offset});
      }
      result.size = token.text.str();
    }
    capture.dims.push_back(result);
    return success();
  }

  std::optional<StringRef> findDefine(StringRef name) {
    for (const auto &[key, text] : defines)
      if (key == name)
        return StringRef(text);
    return std::nullopt;
  }

  /// A literal as -D gives it.
  LogicalResult parseDefine(StringRef text, const ParamDecl &decl,
                            Param &param) {
    auto fail = [&](const Twine &reason) {
      return diagnostics.error(decl.name.offset, "-D " + decl.name.text + "=" +
                                                     text.take_front(60) +
                                                     ": " + reason);
    };
    if (param.type == ValueType::I1) {
      if (text != "true" && text != "false")
        return fail("expected true or false");
      param.integer = text == "true";
      return success();
    }
    StringRef rest = text;
    bool negative = rest.consume_front("-");
    Token number;
    std::string reason;
    if (param.type == ValueType::F && rest == "inf") {
      number.kind = Token::Float;
      number.real = std::numeric_limits<double>::infinity();
    } else if (rest.empty() || !parseNumber(rest, number, reason)) {
      return fail(reason.empty() ? "expected a number" : reason);
    }
    return setNumber(number, negative, param)
               ? success()
               : fail("expected an int within 64 bits");
  }

  bool setNumber(const Token &number, bool negative, Param &param) {
    if (param.type == ValueType::F) {
      double magnitude = number.kind == Token::Float
                             ? number.real
                             : static_cast<double>(number.integer);
      param.real = negative ? -magnitude : magnitude;
      return true;
    }
    bool fits = number.integer < uint64_t(1) << 63 || negative;
    if (param.type != ValueType::I64 || number.kind != Token::Integer || !fits)
      return false;
    param.integer =
        static_cast<int64_t>(negative ? 0 - number.integer : number.integer);
    return true;
  }

  /// The default: a literal, possibly with a sign.
  LogicalResult readDefault(const ParamDecl &decl, Param &param) {
    const Expr *value = decl.value;
    bool negative = value->negative;
    if (value->kind == Expr::Unary && value->token.is("-")) {
      negative = true;
      value = value->operands[0];
    }
    Token number = value->token;
    if (value->kind == Expr::Name && number.text == "inf") {
      number.kind = Token::Float;
      number.real = std::numeric_limits<double>::infinity();
    } else if (value->kind == Expr::Bool && param.type == ValueType::I1) {
      param.integer = static_cast<int64_t>(number.integer);
      return success();
    } else if (value->kind == Expr::Float) {
      // The parser has put the sign into the number.
      negative = false;
    } else if (value->kind != Expr::Integer) {
      number.kind = Token::End;
    }
    if (number.kind != Token::End && setNumber(number, negative, param))
      return success();
    return diagnostics.error(decl.value->token.offset,
                             "the default of '" + decl.name.text +
                                 "' must be a literal of type " +
                                 describe(param.type));
  }

  LogicalResult declareConstant(const ParamDecl &decl) {
    std::optional<ValueType> type = parseScalarType(decl.type.text);
    if (!type)
      return diagnostics.error(decl.type.offset,
                               "a compile-time parameter is a bool, an int or "
                               "a float, got type '" +
                                   decl.type.text + "'");
    if (decl.hasDims || decl.range)
      return diagnostics.error(decl.name.offset,
                               "a compile-time parameter has neither sizes nor "
                               "a range");
    Param param;
    param.name = decl.name.text.str();
    param.type = *type;
    if (failed(readDefault(decl, param)))
      return failure();
    if (std::optional<StringRef> text = findDefine(decl.name.text))
      if (failed(parseDefine(*text, decl, param)))
        return failure();
    scope.params[decl.name.text] = scope.program.params.size();
    scope.program.params.push_back(std::move(param));
    return success();
  }

  /// Sizes and parameters share one set of names; ranges name known sizes.
  LogicalResult checkSizes(const ParamDecl &decl) {
    for (const Token &dim : decl.dims) {
      auto it = places.find(dim.text);
      if (dim.kind == Token::Name && it != places.end()) {
        (void)diagnostics.error(dim.offset, "size '" + dim.text +
                                                "' has the name of a "
                                                "parameter");
        diagnostics.note(it->second, "the parameter is defined here");
        return failure();
      }
    }
    if (!decl.range)
      return success();
    const auto &[low, high] = *decl.range;
    for (const BoundDecl *bound : {&low, &high}) {
      StringRef size = bound->bound.size;
      if (!size.empty() && !isSizeName(size) && !scope.sizes.contains(size))
        return diagnostics.error(bound->token.offset,
                                 "unknown size '" + size + "'");
    }
    if (low.bound.size.empty() && high.bound.size.empty() &&
        low.bound.value >= high.bound.value)
      return diagnostics.error(low.token.offset,
                               "empty range: the low end is included, the high "
                               "end is not");
    auto capture = scope.captures.find(decl.name.text);
    if (capture == scope.captures.end())
      return success();
    std::string fault = findRangeFault(scope.program.captures[capture->second]);
    if (!fault.empty())
      return diagnostics.error(low.token.offset,
                               "'" + decl.name.text + "': " + fault);
    return success();
  }

  VariantScope &scope;
  AttnDiagnostics &diagnostics;
  Defines defines;
  StringMap<size_t> places;
};
} // namespace

LogicalResult checkFile(FileScope &scope) { return FileChecker(scope).run(); }

LogicalResult declareLets(VariantScope &scope, ArrayRef<LetDecl> lets,
                          StringMap<unsigned> &map) {
  AttnDiagnostics &diagnostics = scope.file.diagnostics;
  bool ok = true;
  StringMap<size_t> params;
  for (const ParamDecl &param : scope.decl.params)
    params[param.name.text] = param.name.offset;
  for (auto [index, let] : enumerate(lets)) {
    StringRef name = let.name.text;
    std::optional<size_t> previous;
    if (auto it = params.find(name); it != params.end())
      previous = it->second;
    if (auto it = scope.sizes.find(name); it != scope.sizes.end())
      previous = it->second.offset;
    if (auto it = scope.file.consts.find(name); it != scope.file.consts.end())
      previous = scope.file.file.consts[it->second].name.offset;
    if (auto it = scope.lets.find(name); it != scope.lets.end())
      previous = scope.decl.lets[it->second].name.offset;
    if (auto it = map.find(name); it != map.end())
      previous = lets[it->second].name.offset;
    if (failed(checkNewName(diagnostics, let.name))) {
      ok = false;
    } else if (previous) {
      ok = false;
      (void)redefinition(diagnostics, let.name, *previous);
    } else {
      map[name] = index;
    }
  }
  return success(ok);
}

LogicalResult declareVariant(VariantScope &scope, Defines defines) {
  bool ok = succeeded(VariantDeclarer(scope, defines).run());
  ok &= succeeded(declareLets(scope, scope.decl.lets, scope.lets));
  return success(ok);
}

} // namespace fovea
