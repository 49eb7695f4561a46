//===- AttnNormalizers.cpp - Normaliser clauses to regions ---------------===//

#include "AttnNormalizers.h"

#include "AttnLowering.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"

using namespace llvm;

namespace fovea {

namespace {
/// A built-in normaliser, written in the language itself. Arguments stand for
/// the caller's expressions; the text depends on how many are given.
struct Builtin {
  StringRef name;
  ArrayRef<StringRef> params;
  unsigned numRequired;
  StringRef shortText; ///< the required arguments only
  StringRef fullText;
};
} // namespace

static constexpr StringRef sinkParams[] = {"sigma", "value"};
static constexpr StringRef biasParams[] = {"bias"};
static constexpr StringRef coefParams[] = {"coef"};
static constexpr StringRef tableParams[] = {"table", "offset"};
static constexpr StringRef countParams[] = {"n"};

static const std::vector<Builtin> &getBuiltins() {
  static const std::vector<Builtin> builtins = {
      {"sink", sinkParams, 1,
       "let p = exp(s - t)\nstat = s\nweight = p\ndenom = p\n"
       "seed = (sigma, 1)\n",
       "let p = exp(s - t)\nstat = s\nweight = p\ndenom = p\n"
       "seed = (sigma, 1, value)\n"},
      {"softmax_plus_one",
       {},
       0,
       "let p = exp(s - t)\nstat = s\nweight = p\ndenom = p\nseed = (0, 1)\n",
       ""},
      {"signed",
       {},
       0,
       "let a = abs(s)\nlet p = exp(a - t)\nstat = a\n"
       "weight = where(s > 0, p, where(s < 0, -p, 0))\ndenom = p\n",
       ""},
      {"sigmoid", biasParams, 0, "weight = sigmoid(s)\n",
       "weight = sigmoid(s + bias)\n"},
      {"relu", {}, 0, "weight = maximum(s, 0)\n", ""},
      {"softplus", coefParams, 0,
       "let p = softplus(s)\nweight = p\ndenom = p\n",
       "let p = softplus(coef * s)\nweight = p\ndenom = p\n"},
      {"positional_product", tableParams, 2, "",
       "let p = exp(s - t)\nstat = s\nweight = p * table[q - kv + offset]\n"
       "denom = p\n"},
      {"mean", countParams, 0, "weight = s / N\n", "weight = s / n\n"}};
  return builtins;
}

ArrayRef<StringRef> getPlainNormalizers() {
  static constexpr StringRef names[] = {
      "softmax_plus_one", "signed", "sigmoid", "relu", "softplus", "mean"};
  return names;
}

namespace {
class NormalizerLowering {
public:
  NormalizerLowering(VariantScope &scope, const NormalizerDecl &decl)
      : scope(scope), diagnostics(scope.file.diagnostics), decl(decl) {}

  LogicalResult run() {
    if (!decl.isBlock)
      return lowerBuiltin();
    normalizer.lets = decl.lets;
    if (failed(declareLets(scope, decl.lets, normalizer.letMap)))
      return failure();
    return lowerClauses(decl, blockNormalizerName);
  }

private:
  LogicalResult lowerBuiltin();
  LogicalResult bindArguments(const Builtin &builtin);
  LogicalResult lowerClauses(const NormalizerDecl &clauses, StringRef name);
  LogicalResult lowerRegion(RegionKind kind, ArrayRef<const Expr *> exprs,
                            Region &region) {
    std::optional<Region> result =
        RegionLowering(scope, kind, &normalizer).run(exprs);
    if (!result)
      return failure();
    region = std::move(*result);
    return success();
  }
  LogicalResult lowerClause(RegionKind kind, const Clause &clause,
                            std::optional<Region> &region) {
    if (!clause)
      return success();
    return lowerRegion(kind, {clause.value}, region.emplace());
  }

  VariantScope &scope;
  AttnDiagnostics &diagnostics;
  const NormalizerDecl &decl;
  NormalizerScope normalizer;
};
} // namespace

LogicalResult NormalizerLowering::bindArguments(const Builtin &builtin) {
  StringRef name = builtin.name;
  bool seenNamed = false;
  for (auto [index, arg] : enumerate(decl.args)) {
    bool isNamed = arg.name.kind != Token::End;
    if (!isNamed && seenNamed)
      return diagnostics.error(arg.value->token.offset,
                               "a positional argument follows a named one");
    seenNamed |= isNamed;
    if (!isNamed && index >= builtin.params.size())
      return diagnostics.error(
          arg.value->token.offset,
          "'" + name + "' takes at most " + Twine(builtin.params.size()) +
              " argument(s), got " + Twine(decl.args.size()));
    StringRef param = isNamed ? arg.name.text : builtin.params[index];
    if (!is_contained(builtin.params, param))
      return diagnostics.error(arg.name.offset,
                               "'" + name + "' has no argument '" + param +
                                   "'" + suggest(param, builtin.params));
    if (!normalizer.args.try_emplace(param, arg.value).second)
      return diagnostics.error(arg.value->token.offset,
                               "argument '" + param + "' is given twice");
  }
  for (StringRef param : builtin.params.take_front(builtin.numRequired))
    if (!normalizer.args.contains(param))
      return diagnostics.error(decl.name.offset, "'" + name +
                                                     "' needs the argument '" +
                                                     param + "'");
  return success();
}

LogicalResult NormalizerLowering::lowerBuiltin() {
  StringRef name = decl.name.text;
  if (name == "softmax") {
    if (!decl.args.empty())
      return diagnostics.error(decl.args.front().value->token.offset,
                               "'softmax' takes no arguments");
    return success();
  }
  auto builtin =
      find_if(getBuiltins(), [&](const Builtin &b) { return b.name == name; });
  if (builtin == getBuiltins().end()) {
    SmallVector<StringRef> known = {"softmax"};
    for (const Builtin &candidate : getBuiltins())
      known.push_back(candidate.name);
    std::string tail = suggest(name, known);
    if (tail.empty())
      tail = ", there are: " + join(known, ", ");
    return diagnostics.error(decl.name.offset,
                             "unknown normalizer '" + name + "'" + tail);
  }
  if (failed(bindArguments(*builtin)))
    return failure();
  bool isShort = normalizer.args.size() == builtin->numRequired &&
                 !builtin->shortText.empty();
  StringRef text = isShort ? builtin->shortText : builtin->fullText;
  // Whatever goes wrong in it is the caller's argument: it all stands there.
  std::vector<Token> tokens;
  NormalizerDecl clauses;
  std::deque<Expr> exprs;
  AttnDiagnostics internal(text, name, errs());
  if (failed(lexAttn(text, internal, tokens)))
    llvm_unreachable("built-in normalizer does not lex");
  for (Token &token : tokens)
    token.offset = decl.name.offset;
  if (failed(parseAttnNormalizer(tokens, internal, exprs, clauses)))
    llvm_unreachable("built-in normalizer does not parse");
  normalizer.isTemplate = true;
  normalizer.lets = clauses.lets;
  for (auto [index, let] : enumerate(clauses.lets))
    normalizer.letMap[let.name.text] = index;
  return lowerClauses(clauses, name);
}

LogicalResult NormalizerLowering::lowerClauses(const NormalizerDecl &clauses,
                                               StringRef name) {
  NormalizerSpec &spec = scope.program.normalizer.emplace();
  spec.name = name.str();
  if (!clauses.weight)
    return diagnostics.error(decl.token.offset,
                             "a normalizer needs a 'weight'");
  bool ok = succeeded(
      lowerRegion(RegionKind::Weight, {clauses.weight.value}, spec.weight));
  ok &= succeeded(lowerClause(RegionKind::Stat, clauses.stat, spec.stat));
  ok &= succeeded(lowerClause(RegionKind::Denom, clauses.denom, spec.denom));
  if (!clauses.seed.empty()) {
    ok &= succeeded(lowerRegion(RegionKind::Seed,
                                {clauses.seed[0], clauses.seed[1]},
                                spec.seed.emplace()));
    if (clauses.seed.size() == 3)
      ok &= succeeded(lowerRegion(RegionKind::SeedValue, {clauses.seed[2]},
                                  spec.seedValue.emplace()));
  }
  spec.finishKind = spec.denom ? FinishKind::OverL : FinishKind::Plain;
  if (clauses.finish) {
    spec.finishKind = FinishKind::Custom;
    ok &= succeeded(
        lowerRegion(RegionKind::Finish, {clauses.finish.value}, spec.finish));
  }
  if (ok && !normalizer.isTemplate)
    for (const LetDecl &let : normalizer.lets)
      if (!scope.used.contains(let.name.text))
        diagnostics.warning(let.name.offset,
                            "unused let '" + let.name.text + "'");
  return success(ok);
}

LogicalResult lowerNormalizer(VariantScope &scope, const NormalizerDecl &decl) {
  return NormalizerLowering(scope, decl).run();
}

} // namespace fovea
