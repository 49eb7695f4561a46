//===- AttentionOp.cpp - attn.attention -----------------------------------===//

#include "AttnRegions.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

namespace {
using UnresolvedList = SmallVector<OpAsmParser::UnresolvedOperand>;
} // namespace

static ParseResult parseGroup(OpAsmParser &parser, UnresolvedList &operands) {
  return parser.parseOperandList(operands, OpAsmParser::Delimiter::Paren);
}

static ParseResult parseNormalizer(OpAsmParser &parser, OperationState &result,
                                   UnresolvedList &captures) {
  Attribute normalizer;
  if (parser.parseKeyword("normalizer") || parser.parseAttribute(normalizer))
    return failure();
  result.addAttribute("normalizer", normalizer);
  return parser.parseOperandList(captures,
                                 OpAsmParser::Delimiter::OptionalParen);
}

static ParseResult parseOptionalRegion(OpAsmParser &parser, StringRef keyword,
                                       Region &region) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return parser.parseRegion(region);
}

ParseResult AttentionOp::parse(OpAsmParser &parser, OperationState &result) {
  // queries, keys, value, captures, scales, normalizer captures, q_offset,
  // kv_offset, q_lengths, kv_lengths, block_mask
  UnresolvedList groups[11];
  if (parser.parseKeyword("query") || parseGroup(parser, groups[0]) ||
      parser.parseKeyword("key") || parseGroup(parser, groups[1]) ||
      parser.parseKeyword("value") || parseGroup(parser, groups[2]))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("captures")) &&
      parseGroup(parser, groups[3]))
    return failure();
  // An attribute takes a following `: type` for its own: the scale, which is
  // always there, keeps them apart.
  if (parseNormalizer(parser, result, groups[5]) ||
      parser.parseKeyword("scale") || parseGroup(parser, groups[4]))
    return failure();
  static constexpr StringLiteral keywords[] = {
      "q_offset", "kv_offset", "q_lengths", "kv_lengths", "block_mask"};
  for (auto [index, keyword] : llvm::enumerate(keywords))
    if (succeeded(parser.parseOptionalKeyword(keyword)) &&
        parseGroup(parser, groups[6 + index]))
      return failure();
  Region *score = result.addRegion(), *mask = result.addRegion();
  if (parseOptionalRegion(parser, "score", *score) ||
      parseOptionalRegion(parser, "mask", *mask) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  UnresolvedList operands;
  for (const UnresolvedList &group : groups)
    operands.append(group.begin(), group.end());
  if (parser.parseColonType(type) ||
      parser.resolveOperands(operands, type.getInputs(), loc, result.operands))
    return failure();
  result.addTypes(type.getResults());
  SmallVector<int32_t> sizes;
  for (const UnresolvedList &group : groups)
    sizes.push_back(group.size());
  result.addAttribute(getOperandSegmentSizeAttr(),
                      parser.getBuilder().getDenseI32ArrayAttr(sizes));
  return success();
}

void AttentionOp::print(OpAsmPrinter &printer) {
  auto group = [&](StringRef keyword, ValueRange values) {
    if (!values.empty())
      printer << ' ' << keyword << '(' << values << ')';
  };
  auto optional = [&](StringRef keyword, Value value) {
    if (value)
      printer << ' ' << keyword << '(' << value << ')';
  };
  auto region = [&](StringRef keyword, Region &region) {
    if (region.empty())
      return;
    printer.printNewline();
    printer << "  " << keyword << ' ';
    printer.printRegion(region, /*printEntryBlockArgs=*/true);
  };
  group("query", getQueries());
  group("key", getKeys());
  optional("value", getValue());
  group("captures", getCaptures());
  printer << " normalizer " << getNormalizer();
  if (!getNormalizerCaptures().empty())
    printer << '(' << getNormalizerCaptures() << ')';
  group("scale", getScales());
  optional("q_offset", getQOffset());
  optional("kv_offset", getKvOffset());
  optional("q_lengths", getQLengths());
  optional("kv_lengths", getKvLengths());
  optional("block_mask", getBlockMask());
  region("score", getScore());
  region("mask", getMask());
  printer.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getOperandSegmentSizeAttr(), getNormalizerAttrName()});
  printer << " : ";
  printer.printFunctionalType(*this);
}

void AttentionOp::getAsmBlockArgumentNames(Region &region,
                                           OpAsmSetValueNameFn setName) {
  nameArguments(region, &region == &getScore() ? "s b h m n" : "b h m n",
                setName);
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

Type AttentionOp::getScoreTypeFor(Type elementType) {
  return elementType.isF64() ? elementType
                             : Type(Float32Type::get(elementType.getContext()));
}

Type AttentionOp::getElementType() {
  return cast<ShapedType>(getValue().getType()).getElementType();
}

Type AttentionOp::getScoreType() { return getScoreTypeFor(getElementType()); }

static int64_t dim(Value value, unsigned index) {
  return cast<ShapedType>(value.getType()).getDimSize(index);
}

/// Two sizes that contradict each other; a dynamic one fits everything.
static bool differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

static LogicalResult verifyPairs(AttentionOp op) {
  if (op.getQueries().empty() || op.getQueries().size() != op.getKeys().size())
    return op.emitOpError("needs one key per query and at least one pair, got ")
           << op.getQueries().size() << " queries and " << op.getKeys().size()
           << " keys";
  Type element = op.getElementType();
  for (auto [index, pair] :
       llvm::enumerate(llvm::zip(op.getQueries(), op.getKeys()))) {
    auto [query, key] = pair;
    for (auto [name, value] :
         {std::pair<StringRef, Value>{"query", query}, {"key", key}}) {
      // C1
      Type type = cast<ShapedType>(value.getType()).getElementType();
      if (type != element)
        return op.emitOpError() << name << " #" << index << " has element type "
                                << type << ", value has " << element;
      // C2
      if (ShapedType::isDynamic(dim(value, 3)))
        return op.emitOpError()
               << name << " #" << index << " must have a static feature dim";
    }
    if (dim(query, 3) != dim(key, 3))
      return op.emitOpError()
             << "query #" << index << " has feature dim " << dim(query, 3)
             << ", its key has " << dim(key, 3);
  }
  return success();
}

/// C10: static sizes agree.
static LogicalResult verifySizes(AttentionOp op) {
  Value query = op.getQueries()[0], key = op.getKeys()[0];
  auto agree = [&](StringRef what, Value a, unsigned i, StringRef other,
                   Value b, unsigned j) -> LogicalResult {
    if (differ(dim(a, i), dim(b, j)))
      return op.emitOpError() << what << " has size " << dim(a, i) << " in dim "
                              << i << ", " << other << " has " << dim(b, j);
    return success();
  };
  for (Value q : op.getQueries())
    for (unsigned i = 0; i < 3; ++i)
      if (failed(agree("query", q, i, "the first query", query, i)))
        return failure();
  for (Value k : op.getKeys())
    for (unsigned i = 0; i < 3; ++i)
      if (failed(agree("key", k, i, "the first key", key, i)))
        return failure();
  for (unsigned i : {1u, 2u})
    if (failed(agree("value", op.getValue(), i, "key", key, i)))
      return failure();
  for (unsigned i = 0; i < 3; ++i)
    if (failed(agree("out", op.getOut(), i, "query", query, i)) ||
        (op.getLse() &&
         failed(agree("lse", op.getLse(), i, "query", query, i))))
      return failure();
  for (auto [name, kv] :
       {std::pair<StringRef, Value>{"key", key}, {"value", op.getValue()}})
    if (dim(kv, 0) != 1 && differ(dim(kv, 0), dim(query, 0)))
      return op.emitOpError() << name << " has batch size " << dim(kv, 0)
                              << ", query has " << dim(query, 0);
  int64_t heads = dim(query, 1), keyHeads = dim(key, 1);
  if (!ShapedType::isDynamic(heads) && !ShapedType::isDynamic(keyHeads) &&
      (keyHeads == 0 || heads % keyHeads != 0))
    return op.emitOpError()
           << "query heads must be a multiple of key heads, got " << heads
           << " and " << keyHeads;
  // C11
  for (Value perBatch :
       {op.getQOffset(), op.getKvOffset(), op.getQLengths(), op.getKvLengths()})
    if (perBatch && differ(dim(perBatch, 0), dim(query, 0)))
      return op.emitOpError()
             << "offsets and lengths need one entry a batch, got "
             << dim(perBatch, 0) << " for " << dim(query, 0) << " batches";
  return success();
}

static LogicalResult verifyResults(AttentionOp op) {
  // C3
  int64_t valueDim = dim(op.getValue(), 3);
  if (ShapedType::isDynamic(valueDim))
    return op.emitOpError("value must have a static feature dim");
  if (dim(op.getOut(), 3) != valueDim)
    return op.emitOpError() << "out has feature dim " << dim(op.getOut(), 3)
                            << ", value has " << valueDim;
  // C7
  Type outElement = cast<ShapedType>(op.getOut().getType()).getElementType();
  if (outElement != op.getElementType())
    return op.emitOpError() << "out has element type " << outElement
                            << ", value has " << op.getElementType();
  if (!op.getLse())
    return success();
  Type lseElement = cast<ShapedType>(op.getLse().getType()).getElementType();
  if (lseElement != op.getScoreType())
    return op.emitOpError() << "lse has element type " << lseElement
                            << ", the score type is " << op.getScoreType();
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyPairs(*this)) || failed(verifySizes(*this)) ||
      failed(verifyResults(*this)))
    return failure();
  // C4
  if (getScales().size() != getQueries().size())
    return emitOpError("needs one scale per pair, got ")
           << getScales().size() << " scales for " << getQueries().size()
           << " pairs";
  Type score = getScoreType();
  for (Value scale : getScales())
    if (scale.getType() != score)
      return emitOpError() << "scale has type " << scale.getType()
                           << ", the score type is " << score;
  // C8
  if (!isa<SoftmaxAttr, FlatSymbolRefAttr>(getNormalizer()))
    return emitOpError() << "normalizer must be #attn.softmax or a symbol, got "
                         << getNormalizer();
  if (isa<SoftmaxAttr>(getNormalizer()) && !getNormalizerCaptures().empty())
    return emitOpError() << "#attn.softmax takes no captures, got "
                         << getNormalizerCaptures().size();
  // C5
  Type i64 = IntegerType::get(getContext(), 64),
       i1 = IntegerType::get(getContext(), 1);
  SmallVector<Type> mask(4, i64);
  llvm::append_range(mask, getCaptures().getTypes());
  SmallVector<Type> scoreArguments{score};
  llvm::append_range(scoreArguments, mask);
  if (hasScore() && failed(verifyScalarRegion(*this, "score", getScore(),
                                              scoreArguments, score, score)))
    return failure();
  if (hasMask() &&
      failed(verifyScalarRegion(*this, "mask", getMask(), mask, i1, score)))
    return failure();
  return success();
}

NormalizerOp AttentionOp::lookupNormalizer() {
  auto symbol = dyn_cast<FlatSymbolRefAttr>(getNormalizer());
  return symbol
             ? SymbolTable::lookupNearestSymbolFrom<NormalizerOp>(*this, symbol)
             : NormalizerOp();
}

LogicalResult
AttentionOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto symbol = dyn_cast<FlatSymbolRefAttr>(getNormalizer());
  if (!symbol)
    return success();
  // C8
  auto normalizer =
      symbolTable.lookupNearestSymbolFrom<NormalizerOp>(*this, symbol);
  if (!normalizer)
    return emitOpError() << symbol << " does not name an 'attn.normalizer'";
  auto refuse = [&](const Twine &what, auto here, auto there) {
    InFlightDiagnostic diag = emitOpError()
                              << what << " of " << symbol << " is " << there
                              << ", needs " << here;
    diag.attachNote(normalizer.getLoc()) << "normalizer declared here";
    return diag;
  };
  if (normalizer.getScoreType() != getScoreType())
    return refuse("score type", getScoreType(), normalizer.getScoreType());
  SmallVector<Attribute> types;
  for (Type type : getNormalizerCaptures().getTypes())
    types.push_back(TypeAttr::get(type));
  Attribute here = ArrayAttr::get(getContext(), types);
  if (normalizer.getCaptureTypesAttr() != here)
    return refuse("capture list", here,
                  Attribute(normalizer.getCaptureTypesAttr()));
  // C9
  if (getLse() && !normalizer.hasDenom())
    return emitOpError() << "lse needs a normalizer with a denominator, "
                         << symbol << " has none";
  return success();
}

//===----------------------------------------------------------------------===//
// Canonicalisation
//===----------------------------------------------------------------------===//

namespace {
/// A score region that yields its score, or a mask region that yields true, is
/// the same as none.
struct DropIdentityRegions : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto yielded = [](Region &region) {
      return region.front().getTerminator()->getOperand(0);
    };
    bool dropScore = op.hasScore() && yielded(op.getScore()) ==
                                          op.getScore().front().getArgument(0);
    bool dropMask =
        op.hasMask() && matchPattern(yielded(op.getMask()), m_One());
    if (!dropScore && !dropMask)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      if (dropScore)
        rewriter.eraseBlock(&op.getScore().front());
      if (dropMask)
        rewriter.eraseBlock(&op.getMask().front());
    });
    return success();
  }
};

/// A capture that no region reads need not be an operand.
struct DropUnusedCaptures : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto isUsed = [&](unsigned index) {
      return (op.hasScore() &&
              !op.getScore().front().getArgument(5 + index).use_empty()) ||
             (op.hasMask() &&
              !op.getMask().front().getArgument(4 + index).use_empty());
    };
    llvm::BitVector unused(op.getCaptures().size());
    for (unsigned index = 0; index < unused.size(); ++index)
      if (!isUsed(index))
        unused.set(index);
    if (unused.none())
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      for (unsigned index = unused.size(); index-- > 0;) {
        if (!unused.test(index))
          continue;
        op.getCapturesMutable().erase(index);
        if (op.hasScore())
          op.getScore().front().eraseArgument(5 + index);
        if (op.hasMask())
          op.getMask().front().eraseArgument(4 + index);
      }
    });
    return success();
  }
};
} // namespace

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<DropIdentityRegions, DropUnusedCaptures>(context);
}
