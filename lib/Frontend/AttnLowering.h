//===- AttnLowering.h - Expressions to nodes --------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNLOWERING_H
#define FOVEA_LIB_FRONTEND_ATTNLOWERING_H

#include "AttnScope.h"
#include "RegionBuilder.h"

namespace fovea {

/// What an expression gives. An integer literal takes the type of its partner,
/// so it becomes a node only where it is used.
struct Value {
  ValueType type = ValueType::I64;
  bool isLiteral = false;
  int64_t literal = 0;
  unsigned node = 0;
};

/// The names that hold inside a normaliser besides those of the variant.
struct NormalizerScope {
  llvm::ArrayRef<LetDecl> lets;
  llvm::StringMap<unsigned> letMap;
  /// Built-in normalisers: lets see nothing of the variant, and these names
  /// stand for the caller's expressions.
  bool isTemplate = false;
  llvm::StringMap<const Expr *> args;
};

/// Lowers the expressions of one region.
class RegionLowering {
public:
  RegionLowering(VariantScope &scope, RegionKind kind,
                 const NormalizerScope *normalizer = nullptr)
      : scope(scope), diagnostics(scope.file.diagnostics), kind(kind),
        normalizer(normalizer), builder(kind) {}

  /// One result per expression, converted to what the region must give.
  std::optional<Region> run(llvm::ArrayRef<const Expr *> exprs);

  /// Reports what is wrong in expressions that no region needs.
  llvm::LogicalResult check(llvm::ArrayRef<const Expr *> exprs);

  /// Lowers a constant's expression, which sees constants only.
  llvm::LogicalResult checkConst(unsigned index);

private:
  using Result = std::optional<Value>;
  /// Whose names are visible: the variant's, the normaliser's, a function's.
  enum class Mode : uint8_t { Variant, Normalizer, Function };

  llvm::LogicalResult lowerLets(llvm::ArrayRef<const Expr *> exprs);
  void collectLets(llvm::ArrayRef<const Expr *> exprs, std::vector<bool> &inner,
                   std::vector<bool> &outer);
  Result lowerLet(const LetDecl &let);

  Result lower(const Expr *expr);
  Result lowerKind(const Expr *expr);
  Result lowerUnary(const Expr *expr);
  Result lowerChain(const Expr *expr);
  Result lowerBinary(const Token &token, Value a, Value b);
  Result lowerBitwise(const Token &token, Value a, Value b);
  Result lowerPower(const Expr *expr);
  Result lowerIntegerPower(Value base, uint64_t exponent);
  Result lowerCompare(const Expr *expr);
  unsigned lowerComparison(llvm::StringRef symbol, Value a, Value b);
  Result lowerLogic(const Expr *expr);
  Result lowerSelect(const Token &token, const Expr *condition, const Expr *x,
                     const Expr *y);
  Result lowerCall(const Expr *expr);
  Result lowerFnCall(const Expr *expr, const FnDecl &fn);
  Result lowerBuiltin(const Expr *expr, llvm::ArrayRef<Value> args);
  Result lowerIndex(const Expr *expr);
  Result readDefaultElement(const Expr *expr, unsigned capture);

  Result lowerName(const Expr *expr);
  Result lowerFunctionName(const Token &token);
  Result lowerVariantName(const Token &token);
  bool isParameter(llvm::StringRef name) const;
  Result lowerParameter(const Token &token);
  Result lowerLetName(const Token &token, bool &found);
  Result lowerArgument(const Token &token);
  Result lowerCapture(const Token &token, unsigned index);
  Result lowerConst(unsigned index);
  Result unknownName(const Token &token);
  const Expr *findTemplateArg(llvm::StringRef name) const;

  Result fail(const Token &token, const llvm::Twine &message) {
    (void)diagnostics.error(token.offset, message);
    return std::nullopt;
  }
  static Value makeValue(ValueType type, unsigned node) {
    Value value;
    value.type = type;
    value.node = node;
    return value;
  }
  Value fromNode(unsigned node) { return makeValue(builder[node].type, node); }
  unsigned toNode(const Value &value);
  unsigned toFloat(const Value &value);
  /// Bools count 0 and 1; not for floats.
  unsigned toInteger(const Value &value);
  /// Both floats if one is, else both ints.
  std::pair<unsigned, unsigned> promote(const Value &a, const Value &b);
  std::optional<unsigned> convertResult(const Expr *expr, const Value &value,
                                        ValueType type);
  void locate(const Token &token) {
    auto [line, column] = diagnostics.getLineAndColumn(token.offset);
    builder.setLocation(line, column);
  }

  VariantScope &scope;
  AttnDiagnostics &diagnostics;
  RegionKind kind;
  const NormalizerScope *normalizer;
  RegionBuilder builder;
  Mode mode = Mode::Variant;
  const llvm::StringMap<Value> *fnParams = nullptr;
  llvm::StringMap<Value> outerLets, innerLets;
  unsigned operations = 0;
  unsigned depth = 0;
};

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNLOWERING_H
