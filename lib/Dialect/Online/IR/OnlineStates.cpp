//===- OnlineStates.cpp - Checks of the ops on states ---------------------===//

#include "OnlineRegions.h"

using namespace mlir;
using namespace mlir::online;

//===----------------------------------------------------------------------===//
// The normaliser of an op (C18)
//===----------------------------------------------------------------------===//

/// What can be checked of a normaliser without its symbol.
static LogicalResult verifyNormalizerAttr(Operation *op, Attribute normalizer,
                                          ValueRange captures) {
  if (!isa<attn::SoftmaxAttr, FlatSymbolRefAttr>(normalizer))
    return op->emitOpError()
           << "normalizer must be #attn.softmax or a symbol, got "
           << normalizer;
  if (isa<attn::SoftmaxAttr>(normalizer) && !captures.empty())
    return op->emitOpError()
           << "#attn.softmax takes no captures, got " << captures.size();
  return success();
}

namespace {
/// What an op says about its normaliser.
struct NormalizerUse {
  Operation *op;
  Attribute normalizer;
  ValueRange captures;
  Type scoreType;
  std::optional<bool> hasT, hasL;
};
} // namespace

static LogicalResult verifyParts(const NormalizerUse &use, bool hasT,
                                 bool hasL) {
  auto check = [&](std::optional<bool> has, bool wants,
                   StringRef what) -> LogicalResult {
    if (!has || *has == wants)
      return success();
    return use.op->emitOpError()
           << (*has ? "has " : "lacks ") << what << ", normalizer "
           << use.normalizer << (wants ? " has one" : " has none");
  };
  return success(succeeded(check(use.hasT, hasT, "a running maximum t")) &&
                 succeeded(check(use.hasL, hasL, "a denominator l")));
}

static LogicalResult verifyCaptures(const NormalizerUse &use,
                                    attn::NormalizerOp normalizer) {
  auto types = normalizer.getCaptureTypes().getAsValueRange<TypeAttr>();
  SmallVector<Type> expected(types.begin(), types.end());
  auto refuse = [&](const Twine &message) {
    InFlightDiagnostic diag = use.op->emitOpError() << message;
    diag.attachNote(normalizer.getLoc()) << "the normalizer is here";
    return diag;
  };
  if (expected.size() != use.captures.size())
    return refuse("passes " + Twine(use.captures.size()) +
                  " captures, its normalizer takes " + Twine(expected.size()));
  for (auto [index, type, capture] : llvm::enumerate(expected, use.captures)) {
    auto wants = cast<ShapedType>(type);
    auto has = cast<ShapedType>(capture.getType());
    if (wants.getElementType() == has.getElementType() &&
        wants.getRank() == has.getRank())
      continue;
    return refuse("capture #" + Twine(index))
           << " has type " << has << ", its normalizer takes " << wants;
  }
  return success();
}

static LogicalResult verifyNormalizer(const NormalizerUse &use,
                                      SymbolTableCollection &symbols) {
  // C18
  auto symbol = dyn_cast<FlatSymbolRefAttr>(use.normalizer);
  if (!symbol)
    return verifyParts(use, /*hasT=*/true, /*hasL=*/true);
  auto normalizer =
      symbols.lookupNearestSymbolFrom<attn::NormalizerOp>(use.op, symbol);
  if (!normalizer)
    return use.op->emitOpError()
           << symbol << " does not name an 'attn.normalizer'";
  if (normalizer.getScoreType() != use.scoreType)
    return use.op->emitOpError()
           << "has score type " << use.scoreType << ", its normalizer "
           << symbol << " has " << normalizer.getScoreType();
  if (failed(verifyParts(use, normalizer.hasStat(), normalizer.hasDenom())))
    return failure();
  return verifyCaptures(use, normalizer);
}

static NormalizerUse getUse(Operation *op, Attribute normalizer,
                            ValueRange captures, StateType state) {
  return {op,
          normalizer,
          captures,
          state.getScoreType(),
          state.getHasT(),
          state.getHasL()};
}

LogicalResult InitOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyNormalizer(
      getUse(*this, getNormalizer(), getCaptures(), getState().getType()),
      symbols);
}

LogicalResult StepOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // C20
  return verifyNormalizer(
      getUse(*this, getNormalizer(), getCaptures(), getState().getType()),
      symbols);
}

LogicalResult FinishOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyNormalizer(
      getUse(*this, getNormalizer(), getCaptures(), getState().getType()),
      symbols);
}

LogicalResult WeightsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // C22
  Type score = cast<ShapedType>(getScores().getType()).getElementType();
  return verifyNormalizer({*this, getNormalizer(), getCaptures(), score,
                           bool(getStat()), std::nullopt},
                          symbols);
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Checks a tile operand against a shape and an element type (null: any).
static LogicalResult verifyTile(Operation *op, StringRef name, Value value,
                                ArrayRef<int64_t> shape, Type element) {
  if (!value)
    return success();
  auto tile = cast<RankedTensorType>(value.getType());
  auto expected =
      RankedTensorType::get(shape, element ? element : tile.getElementType());
  if (tile == expected)
    return success();
  return op->emitOpError() << name << " must be " << expected << ", got "
                           << tile;
}

LogicalResult InitOp::verify() {
  return verifyNormalizerAttr(*this, getNormalizer(), getCaptures());
}

LogicalResult StepOp::verify() {
  // C19
  StateType state = getState().getType();
  int64_t m = state.getRows();
  Type score = state.getScoreType();
  auto scores = cast<RankedTensorType>(getScores().getType());
  if (scores.getRank() != 2)
    return emitOpError() << "scores must have rank 2, got " << scores;
  int64_t n = scores.getDimSize(1);
  Type i1 = IntegerType::get(getContext(), 1);
  if (failed(verifyTile(*this, "scores", getScores(), {m, n}, score)) ||
      failed(verifyTile(*this, "values", getValues(), {n, state.getColumns()},
                        Type())) ||
      failed(verifyTile(*this, "visible", getVisible(), {m, n}, i1)) ||
      failed(verifyTile(*this, "row", getRow(), {m}, score)) ||
      failed(verifyTile(*this, "col", getCol(), {1, n}, score)))
    return failure();
  if (Type element = cast<ShapedType>(getValues().getType()).getElementType();
      !isa<FloatType>(element))
    return emitOpError() << "values must hold floats, got " << element;
  if (getScale() && getScale().getType() != score)
    return emitOpError() << "scale has type " << getScale().getType()
                         << ", the state has " << score;
  return verifyNormalizerAttr(*this, getNormalizer(), getCaptures());
}

LogicalResult FinishOp::verify() {
  // C21
  StateType state = getState().getType();
  Type score = state.getScoreType();
  if (failed(verifyTile(*this, "out", getOut(),
                        {state.getRows(), state.getColumns()}, score)) ||
      failed(verifyTile(*this, "lse", getLse(), {state.getRows()}, score)))
    return failure();
  if (getLse() && !state.getHasL())
    return emitOpError() << "cannot give lse: " << state
                         << " has no denominator l";
  return verifyNormalizerAttr(*this, getNormalizer(), getCaptures());
}

LogicalResult WeightsOp::verify() {
  // C22
  auto scores = cast<RankedTensorType>(getScores().getType());
  if (scores.getRank() != 2)
    return emitOpError() << "scores must have rank 2, got " << scores;
  int64_t m = scores.getDimSize(0), n = scores.getDimSize(1);
  Type i1 = IntegerType::get(getContext(), 1);
  if (failed(verifyTile(*this, "visible", getVisible(), {m, n}, i1)) ||
      failed(
          verifyTile(*this, "stat", getStat(), {m}, scores.getElementType())))
    return failure();
  return verifyNormalizerAttr(*this, getNormalizer(), getCaptures());
}
