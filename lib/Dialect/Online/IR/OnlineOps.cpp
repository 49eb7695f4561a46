//===- OnlineOps.cpp - Assembly and folders of online ---------------------===//

#include "../../PrintNames.h"
#include "fovea/Dialect/Online/IR/Online.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::online;

//===----------------------------------------------------------------------===//
// Normaliser: `#attn.softmax` or `@name`
//===----------------------------------------------------------------------===//

static ParseResult parseNormalizer(OpAsmParser &parser, Attribute &normalizer) {
  return parser.parseAttribute(normalizer);
}

static void printNormalizer(OpAsmPrinter &printer, Operation *,
                            Attribute normalizer) {
  printer << normalizer;
}

#define GET_OP_CLASSES
#include "fovea/Dialect/Online/IR/OnlineOps.cpp.inc"

//===----------------------------------------------------------------------===//
// GridOp: (%b, %h) in (%B, %H) schedule(#…) { … }
//===----------------------------------------------------------------------===//

ParseResult GridOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> bounds;
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren) ||
      parser.parseKeyword("in") ||
      parser.parseOperandList(bounds, OpAsmParser::Delimiter::Paren) ||
      parser.resolveOperands(bounds, builder.getIndexType(), result.operands))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("schedule"))) {
    Attribute schedule;
    if (parser.parseLParen() || parser.parseAttribute(schedule) ||
        parser.parseRParen())
      return failure();
    result.addAttribute(getScheduleAttrName(result.name), schedule);
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  for (OpAsmParser::Argument &argument : arguments)
    argument.type = builder.getIndexType();
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, arguments))
    return failure();
  ensureTerminator(*body, builder, result.location);
  return success();
}

void GridOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  fovea::printNames(printer, getBody().getArguments());
  printer << " in ";
  fovea::printNames(printer, getBounds());
  if (Attribute schedule = getScheduleAttr())
    printer << " schedule(" << schedule << ')';
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {getScheduleAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false,
                      /*printBlockTerminators=*/false);
}

//===----------------------------------------------------------------------===//
// WalkSegmentsOp: reverse step 256 [%a, %b) full, [%b, %c) partial
//===----------------------------------------------------------------------===//

ParseResult WalkSegmentsOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  if (succeeded(parser.parseOptionalKeyword("reverse")))
    result.addAttribute(getReverseAttrName(result.name), builder.getUnitAttr());
  int64_t step;
  if (parser.parseKeyword("step") || parser.parseInteger(step))
    return failure();
  result.addAttribute(getStepAttrName(result.name),
                      builder.getI64IntegerAttr(step));

  SmallVector<OpAsmParser::UnresolvedOperand> begins, ends;
  SmallVector<int32_t> classes;
  auto parseSegment = [&]() -> ParseResult {
    if (parser.parseOperand(begins.emplace_back()) || parser.parseComma() ||
        parser.parseOperand(ends.emplace_back()) || parser.parseRParen())
      return failure();
    SMLoc loc = parser.getCurrentLocation();
    StringRef word;
    if (parser.parseKeyword(&word))
      return failure();
    std::optional<ClassKind> kind = symbolizeClassKind(word);
    if (!kind)
      return parser.emitError(loc, "expected 'full' or 'partial', got '")
             << word << "'";
    classes.push_back(static_cast<int32_t>(*kind));
    return success();
  };
  if (succeeded(parser.parseOptionalLSquare())) {
    if (parseSegment())
      return failure();
    while (succeeded(parser.parseOptionalComma()))
      if (parser.parseLSquare() || parseSegment())
        return failure();
  }
  result.addAttribute(getClassesAttrName(result.name),
                      builder.getDenseI32ArrayAttr(classes));
  Type type;
  Type index = builder.getIndexType();
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(begins, index, result.operands) ||
      parser.resolveOperands(ends, index, result.operands))
    return failure();
  result.addTypes(type);
  return success();
}

void WalkSegmentsOp::print(OpAsmPrinter &printer) {
  if (getReverse())
    printer << " reverse";
  printer << " step " << getStep();
  for (auto [index, begin, end] : llvm::enumerate(getBegins(), getEnds()))
    printer << (index == 0 ? " [" : ", [") << begin << ", " << end << ") "
            << stringifyClassKind(getSegmentClass(index));
  printer.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getReverseAttrName(), getStepAttrName(), getClassesAttrName()});
  printer << " : " << getType();
}

//===----------------------------------------------------------------------===//
// WalkSliceOp
//===----------------------------------------------------------------------===//

OpFoldResult WalkSliceOp::fold(FoldAdaptor adaptor) {
  // The only part is the whole.
  auto part = dyn_cast_or_null<IntegerAttr>(adaptor.getPart());
  auto parts = dyn_cast_or_null<IntegerAttr>(adaptor.getParts());
  if (part && parts && part.getValue().isZero() && parts.getValue().isOne())
    return getSource();
  return {};
}

//===----------------------------------------------------------------------===//
// SweepOp: (%n0, %cls) in %w iter(%s = %init) -> (types) { … }
//===----------------------------------------------------------------------===//

ParseResult SweepOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  SmallVector<OpAsmParser::Argument> arguments;
  OpAsmParser::UnresolvedOperand walk;
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren))
    return failure();
  if (arguments.size() != 2)
    return parser.emitError(arguments.empty()
                                ? parser.getCurrentLocation()
                                : arguments.front().ssaName.location,
                            "expected (origin, class) before 'in', got ")
           << arguments.size() << " names";
  arguments[0].type = builder.getIndexType();
  arguments[1].type = ClassType::get(parser.getContext());
  if (parser.parseKeyword("in") || parser.parseOperand(walk) ||
      parser.resolveOperand(walk, WalkType::get(parser.getContext()),
                            result.operands))
    return failure();

  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  if (succeeded(parser.parseOptionalKeyword("iter"))) {
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseAssignmentList(arguments, inits) ||
        parser.parseArrowTypeList(result.types) ||
        parser.resolveOperands(inits, result.types, loc, result.operands))
      return failure();
  }
  for (auto [argument, type] :
       llvm::zip(MutableArrayRef(arguments).drop_front(2), result.types))
    argument.type = type;
  return failure(parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
                 parser.parseRegion(*result.addRegion(), arguments));
}

void SweepOp::print(OpAsmPrinter &printer) {
  auto arguments = getBody().getArguments();
  printer << ' ';
  fovea::printNames(printer, arguments.take_front(2));
  printer << " in " << getWalk();
  fovea::printIter(printer, arguments.drop_front(2), getInits(),
                   getResultTypes());
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs());
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}
