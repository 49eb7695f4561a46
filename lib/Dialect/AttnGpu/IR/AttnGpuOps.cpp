//===- AttnGpuOps.cpp - Assembly and folders of attn_gpu ------------------===//

#include "../../PrintNames.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::attn_gpu;

#define GET_OP_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuOps.cpp.inc"

//===----------------------------------------------------------------------===//
// for_tiles (%b, %h, %mt) in (%B, %H, %MT) schedule(#…) { … }
//===----------------------------------------------------------------------===//

ParseResult ForTilesOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> bounds;
  ScheduleAttr schedule;
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren) ||
      parser.parseKeyword("in") ||
      parser.parseOperandList(bounds, OpAsmParser::Delimiter::Paren) ||
      parser.resolveOperands(bounds, builder.getIndexType(), result.operands) ||
      parser.parseKeyword("schedule") || parser.parseLParen() ||
      parser.parseAttribute(schedule) || parser.parseRParen() ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  result.addAttribute(getScheduleAttrName(result.name), schedule);
  for (OpAsmParser::Argument &argument : arguments)
    argument.type = builder.getIndexType();
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, arguments))
    return failure();
  ensureTerminator(*body, builder, result.location);
  return success();
}

void ForTilesOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  fovea::printNames(printer, getBody().getArguments());
  printer << " in ";
  fovea::printNames(printer, getBounds());
  printer << " schedule(" << getSchedule() << ')';
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {getScheduleAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false,
                      /*printBlockTerminators=*/false);
}

//===----------------------------------------------------------------------===//
// for_blocks (%n0, %count, %full) in [%a, %b) full step 128 iter(…) -> … { … }
//===----------------------------------------------------------------------===//

using Operands = SmallVector<OpAsmParser::UnresolvedOperand>;

static ParseResult parseSegments(OpAsmParser &parser, Operands &begins,
                                 Operands &ends,
                                 SmallVectorImpl<int32_t> &classes) {
  do {
    if (parser.parseLSquare() || parser.parseOperand(begins.emplace_back()) ||
        parser.parseComma() || parser.parseOperand(ends.emplace_back()) ||
        parser.parseRParen())
      return failure();
    SMLoc loc = parser.getCurrentLocation();
    StringRef word;
    if (parser.parseKeyword(&word))
      return failure();
    std::optional<online::ClassKind> kind = online::symbolizeClassKind(word);
    if (!kind)
      return parser.emitError(loc, "expected 'full' or 'partial', got '")
             << word << "'";
    classes.push_back(static_cast<int32_t>(*kind));
  } while (succeeded(parser.parseOptionalComma()));
  return success();
}

/// `list %classes[%b, %h, %row] tile(%kt) length(%n) : memref<…>`, or with
/// `joint(%qt)` before the tile.
static ParseResult parseList(OpAsmParser &parser, Operands &operands,
                             unsigned &indices, bool &isJoint, Type &type) {
  Operands row;
  if (parser.parseOperand(operands.emplace_back()) ||
      parser.parseOperandList(row, OpAsmParser::Delimiter::Square))
    return failure();
  indices = row.size();
  llvm::append_range(operands, row);
  auto parseOne = [&]() -> ParseResult {
    return failure(parser.parseLParen() ||
                   parser.parseOperand(operands.emplace_back()) ||
                   parser.parseRParen());
  };
  isJoint = succeeded(parser.parseOptionalKeyword("joint"));
  if (isJoint && parseOne())
    return failure();
  for (StringRef word : {"tile", "length"})
    if (parser.parseKeyword(word) || parseOne())
      return failure();
  return parser.parseColonType(type);
}

ParseResult ForBlocksOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  Type index = builder.getIndexType();
  SmallVector<OpAsmParser::Argument> arguments;
  Operands begins, ends, list, inits;
  SmallVector<int32_t> classes;
  unsigned indices = 0;
  bool isJoint = false;
  Type listType;
  int64_t step;
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren))
    return failure();
  if (arguments.size() != 3)
    return parser.emitError(parser.getCurrentLocation(),
                            "expected (origin, count, full) before 'in', got ")
           << arguments.size() << " names";
  if (parser.parseKeyword("in"))
    return failure();
  bool isList = succeeded(parser.parseOptionalKeyword("list"));
  if (isList ? parseList(parser, list, indices, isJoint, listType)
             : parseSegments(parser, begins, ends, classes))
    return failure();
  if (parser.parseKeyword("step") || parser.parseInteger(step))
    return failure();
  arguments[0].type = arguments[1].type = index;
  arguments[2].type = builder.getI1Type();
  SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword("iter")) &&
      (parser.parseAssignmentList(arguments, inits) ||
       parser.parseArrowTypeList(result.types)))
    return failure();
  for (auto [argument, type] :
       llvm::zip(MutableArrayRef(arguments).drop_front(3), result.types))
    argument.type = type;
  if (parser.resolveOperands(begins, index, result.operands) ||
      parser.resolveOperands(ends, index, result.operands) ||
      (isList &&
       parser.resolveOperand(list.front(), listType, result.operands)) ||
      parser.resolveOperands(ArrayRef(list).drop_front(isList), index,
                             result.operands) ||
      parser.resolveOperands(inits, result.types, loc, result.operands))
    return failure();
  auto count = [](const Operands &list) { return int32_t(list.size()); };
  result.addAttribute("operandSegmentSizes",
                      builder.getDenseI32ArrayAttr(
                          {count(begins), count(ends), isList, int32_t(indices),
                           isJoint, isList, isList, count(inits)}));
  result.addAttribute(getClassesAttrName(result.name),
                      builder.getDenseI32ArrayAttr(classes));
  result.addAttribute(getStepAttrName(result.name),
                      builder.getI64IntegerAttr(step));
  return failure(parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
                 parser.parseRegion(*result.addRegion(), arguments));
}

void ForBlocksOp::print(OpAsmPrinter &printer) {
  auto arguments = getBody().getArguments();
  printer << ' ';
  fovea::printNames(printer, arguments.take_front(3));
  printer << " in ";
  for (auto [index, begin, end] : llvm::enumerate(getBegins(), getEnds()))
    printer << (index ? ", [" : "[") << begin << ", " << end << ") "
            << online::stringifyClassKind(
                   static_cast<online::ClassKind>(getClasses()[index]));
  if (getList()) {
    printer << "list " << getList() << '[';
    printer.printOperands(getRow());
    printer << ']';
    if (getQueryTile())
      printer << " joint(" << getQueryTile() << ')';
    printer << " tile(" << getKeyTile() << ") length(" << getLength()
            << ") : " << getList().getType();
  }
  printer << " step " << getStep();
  fovea::printIter(printer, arguments.drop_front(3), getInits(),
                   getResultTypes());
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getClassesAttrName(), getStepAttrName(), "operandSegmentSizes"});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

ArrayRef<int64_t> mlir::attn_gpu::getJointTurns(int64_t groups) {
  static constexpr int64_t ofTwo[] = {0b01, 0b10};
  // What two have and what the third has: all go on at the same pace.
  static constexpr int64_t ofThree[] = {0b011, 0b100, 0b101,
                                        0b010, 0b110, 0b001};
  return groups == 2 ? ArrayRef(ofTwo) : ArrayRef(ofThree);
}

int64_t mlir::attn_gpu::getFullBarriers(ChannelOp channel) {
  bool skips = llvm::any_of(channel->getUsers(), [](Operation *user) {
    auto fill = dyn_cast<FillOp>(user);
    return fill && !fill.getReaders().empty();
  });
  return skips ? kSkippedBarriers : 1;
}

int64_t mlir::attn_gpu::getLoadWarps(RoleOp loader) {
  int64_t warps = 1;
  loader.walk([&](FillOp fill) {
    warps = std::max<int64_t>(warps, fill.getWarp() + 1);
  });
  return warps;
}

OpFoldResult MaskOp::fold(FoldAdaptor adaptor) {
  if (auto full = dyn_cast_if_present<BoolAttr>(adaptor.getFull()))
    if (full.getValue())
      return getScores();
  return {};
}

OpFoldResult RescaleOp::fold(FoldAdaptor) {
  if (!getSource().getDefiningOp<ZeroOp>())
    return {};
  return getAddend() ? getAddend() : getSource();
}
