//===- AttnOps.cpp - The other ops of attn --------------------------------===//

#include "AttnRegions.h"
#include "fovea/Support/TotalArithmetic.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::attn;

/// Types of `attn.merge`: one for the outs, one for the lses.
static ParseResult parseMergeTypes(
    OpAsmParser &parser, SmallVectorImpl<Type> &outs,
    SmallVectorImpl<Type> &lses, Type &out, Type &lse,
    const SmallVectorImpl<OpAsmParser::UnresolvedOperand> &outParts,
    const SmallVectorImpl<OpAsmParser::UnresolvedOperand> &lseParts) {
  if (parser.parseType(out) || parser.parseComma() || parser.parseType(lse))
    return failure();
  outs.assign(outParts.size(), out);
  lses.assign(lseParts.size(), lse);
  return success();
}

static void printMergeTypes(OpAsmPrinter &printer, Operation *, TypeRange,
                            TypeRange, Type out, Type lse, ValueRange,
                            ValueRange) {
  printer << out << ", " << lse;
}

#define GET_OP_CLASSES
#include "fovea/Dialect/Attn/IR/AttnOps.cpp.inc"

//===----------------------------------------------------------------------===//
// attn.normalizer
//===----------------------------------------------------------------------===//

namespace {
struct NormalizerRegion {
  StringLiteral name;
  StringLiteral arguments;
};
} // namespace

static constexpr NormalizerRegion normalizerRegions[] = {
    {"stat", "s"},     {"weight", "s t b h m n"}, {"denom", "s t b h m n"},
    {"seed", "b h m"}, {"seed_value", "b h m e"}, {"finish", "o l t b h m e"}};

ParseResult NormalizerOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  Type scoreType;
  SmallVector<Type> captures;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name),
                             result.attributes) ||
      parser.parseKeyword("score_type") || parser.parseType(scoreType))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("captures")) &&
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, [&] {
        return parser.parseType(captures.emplace_back());
      }))
    return failure();
  result.addAttribute(getScoreTypeAttrName(result.name),
                      TypeAttr::get(scoreType));
  result.addAttribute(getCaptureTypesAttrName(result.name),
                      parser.getBuilder().getTypeArrayAttr(captures));
  for (const NormalizerRegion &region : normalizerRegions) {
    Region *body = result.addRegion();
    if (succeeded(parser.parseOptionalKeyword(region.name)) &&
        parser.parseRegion(*body))
      return failure();
  }
  return parser.parseOptionalAttrDictWithKeyword(result.attributes);
}

void NormalizerOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << " score_type " << getScoreType();
  if (!getCaptureTypes().empty()) {
    printer << " captures [";
    llvm::interleaveComma(getCaptureTypes().getAsValueRange<TypeAttr>(),
                          printer);
    printer << ']';
  }
  for (auto [region, body] :
       llvm::zip(normalizerRegions, (*this)->getRegions())) {
    if (body.empty())
      continue;
    printer.printNewline();
    printer << "  " << region.name << ' ';
    printer.printRegion(body, /*printEntryBlockArgs=*/true);
  }
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getScoreTypeAttrName(),
                            getCaptureTypesAttrName()});
}

void NormalizerOp::getAsmBlockArgumentNames(Region &region,
                                            OpAsmSetValueNameFn setName) {
  nameArguments(region, normalizerRegions[region.getRegionNumber()].arguments,
                setName);
}

LogicalResult NormalizerOp::verify() {
  Type s = getScoreType(), i = IntegerType::get(getContext(), 64);
  if (!s.isF32() && !s.isF64())
    return emitOpError("score type must be f32 or f64, got ") << s;
  if (getWeight().empty())
    return emitOpError("needs a weight region");
  SmallVector<Type> arguments[] = {
      {s},       {s, s, i, i, i, i}, {s, s, i, i, i, i},
      {i, i, i}, {i, i, i, i},       {s, s, s, i, i, i, i}};
  SmallVector<Type> results[] = {{s}, {s}, {s}, {s, s}, {s}, {s}};
  // C12, C14
  for (auto [index, body] : llvm::enumerate((*this)->getRegions())) {
    if (body.empty())
      continue;
    llvm::append_range(arguments[index],
                       getCaptureTypes().getAsValueRange<TypeAttr>());
    if (failed(verifyScalarRegion(*this, normalizerRegions[index].name, body,
                                  arguments[index], results[index], s)))
      return failure();
  }
  if (failed(verifyRescalable(*this, "weight", getWeight(), hasStat())))
    return failure();
  if (hasDenom())
    return verifyRescalable(*this, "denom", getDenom(), hasStat());
  return success();
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::verify() {
  auto type = cast<ShapedType>(getSource().getType());
  // C15
  if (static_cast<int64_t>(getIndices().size()) != type.getRank())
    return emitOpError("needs one index per dimension: ")
           << type << " has " << type.getRank() << ", got "
           << getIndices().size();
  // C16
  Type result = getResult().getType();
  Type expected = getReadResultType(type.getElementType(),
                                    isa<FloatType>(result) ? result : Type());
  if (result != expected) {
    InFlightDiagnostic diag = emitOpError("of ")
                              << type.getElementType() << " elements gives ";
    return expected ? diag << expected << ", not " << result
                    : diag << "the score type, not " << result;
  }
  return success();
}

LogicalResult ExtentOp::verify() {
  // C17
  int64_t rank = cast<ShapedType>(getSource().getType()).getRank();
  if (static_cast<int64_t>(getDim()) >= rank ||
      static_cast<int64_t>(getDim()) < 0)
    return emitOpError("dimension ")
           << static_cast<int64_t>(getDim()) << " is not within rank " << rank;
  return success();
}

OpFoldResult ExtentOp::fold(FoldAdaptor) {
  int64_t size = cast<ShapedType>(getSource().getType()).getDimSize(getDim());
  if (ShapedType::isDynamic(size))
    return {};
  return IntegerAttr::get(getType(), size);
}

LogicalResult ParamOp::verify() {
  // C18
  Type type = getValue().getType();
  if (!type.isInteger(1) && !type.isInteger(64) && !type.isF32() &&
      !type.isF64())
    return emitOpError("value must be an i1, an i64, an f32 or an f64, got ")
           << type;
  return success();
}

static OpFoldResult foldBinary(ArrayRef<Attribute> operands,
                               int64_t (*compute)(int64_t, int64_t)) {
  auto lhs = dyn_cast_if_present<IntegerAttr>(operands[0]);
  auto rhs = dyn_cast_if_present<IntegerAttr>(operands[1]);
  if (!lhs || !rhs)
    return {};
  return IntegerAttr::get(lhs.getType(), compute(lhs.getInt(), rhs.getInt()));
}

OpFoldResult FloorDivOp::fold(FoldAdaptor adaptor) {
  if (matchPattern(getRhs(), m_One()))
    return getLhs();
  return foldBinary(adaptor.getOperands(), fovea::floorDiv);
}

OpFoldResult ModOp::fold(FoldAdaptor adaptor) {
  if (matchPattern(getRhs(), m_One()))
    return IntegerAttr::get(getType(), 0);
  return foldBinary(adaptor.getOperands(), fovea::floorMod);
}

OpFoldResult ShlOp::fold(FoldAdaptor adaptor) {
  if (matchPattern(getRhs(), m_Zero()))
    return getLhs();
  return foldBinary(adaptor.getOperands(), fovea::shiftLeft);
}

OpFoldResult ShrOp::fold(FoldAdaptor adaptor) {
  if (matchPattern(getRhs(), m_Zero()))
    return getLhs();
  return foldBinary(adaptor.getOperands(), fovea::shiftRight);
}

OpFoldResult ToIntOp::fold(FoldAdaptor adaptor) {
  auto source = dyn_cast_if_present<FloatAttr>(adaptor.getSource());
  if (!source)
    return {};
  return IntegerAttr::get(getType(), fovea::toInt(source.getValueAsDouble()));
}

//===----------------------------------------------------------------------===//
// Block masks and merge
//===----------------------------------------------------------------------===//

LogicalResult BlockMaskCreateOp::verify() {
  // C19
  SmallVector<Type> arguments(4, IntegerType::get(getContext(), 64));
  llvm::append_range(arguments, getCaptures().getTypes());
  return verifyScalarRegion(*this, "mask", getMask(), arguments,
                            Type(IntegerType::get(getContext(), 1)), Type());
}

LogicalResult BlockMaskFromListsOp::verify() {
  // C20
  if (!getFullNum() != !getFullIndices())
    return emitOpError("full counts and full indices come together");
  return success();
}

LogicalResult BlockMaskTransposeOp::verify() {
  // C21
  BlockMaskType source = getSource().getType(), result = getResult().getType();
  if (source.getQueryTile() != result.getKeyTile() ||
      source.getKeyTile() != result.getQueryTile())
    return emitOpError(
               "result tile must be the source's with its axes swapped, got ")
           << source << " and " << result;
  return success();
}

LogicalResult MergeOp::verify() {
  // C22
  if (getOuts().empty())
    return emitOpError("needs at least one part");
  auto differs = [](Type type) { return [type](Type t) { return t != type; }; };
  if (llvm::any_of(getOuts().getTypes(), differs(getOut().getType())) ||
      llvm::any_of(getLses().getTypes(), differs(getLse().getType())))
    return emitOpError("all parts must have the type of the result");
  return success();
}
