//===- OnlineTypes.cpp - Types of online ----------------------------------===//

#include "fovea/Dialect/Online/IR/Online.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::online;

#define GET_TYPEDEF_CLASSES
#include "fovea/Dialect/Online/IR/OnlineTypes.cpp.inc"

void OnlineDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "fovea/Dialect/Online/IR/OnlineTypes.cpp.inc"
      >();
}

/// Reads `, a, b` where each of the words may stand once, then `>`.
static ParseResult parseFlags(AsmParser &parser, StringRef first,
                              StringRef second, bool &hasFirst,
                              bool &hasSecond) {
  while (succeeded(parser.parseOptionalComma())) {
    SMLoc loc = parser.getCurrentLocation();
    StringRef word;
    if (parser.parseKeyword(&word))
      return failure();
    if (word != first && word != second)
      return parser.emitError(loc, "expected '")
             << first << "' or '" << second << "', got '" << word << "'";
    bool &flag = word == first ? hasFirst : hasSecond;
    if (flag)
      return parser.emitError(loc, "'") << word << "' is given twice";
    flag = true;
  }
  return parser.parseGreater();
}

static void printFlag(AsmPrinter &printer, StringRef word, bool flag) {
  if (flag)
    printer << ", " << word;
}

//===----------------------------------------------------------------------===//
// !online.view<?x128xbf16, paged, ragged>
//===----------------------------------------------------------------------===//

Type ViewType::parse(AsmParser &parser) {
  SmallVector<int64_t> dims;
  Type element;
  bool paged = false, ragged = false;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(dims) || parser.parseType(element) ||
      parseFlags(parser, "paged", "ragged", paged, ragged))
    return {};
  if (dims.empty() || dims.size() > 2 || !ShapedType::isDynamic(dims[0])) {
    parser.emitError(loc, "expected '?' rows and at most one column count");
    return {};
  }
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    dims.size() == 2 ? dims[1] : kScalars, element, paged,
                    ragged);
}

void ViewType::print(AsmPrinter &printer) const {
  printer << "<?x";
  if (hasColumns())
    printer << getColumns() << 'x';
  printer << getElementType();
  printFlag(printer, "paged", getPaged());
  printFlag(printer, "ragged", getRagged());
  printer << '>';
}

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t columns, Type elementType, bool, bool) {
  if (columns != kScalars && columns < 0)
    return emitError() << "a view needs a static column count";
  if (!elementType.isIntOrFloat())
    return emitError() << "a view holds integers or floats, got "
                       << elementType;
  return success();
}

//===----------------------------------------------------------------------===//
// !online.state<128x64xf32, t, l>
//===----------------------------------------------------------------------===//

Type StateType::parse(AsmParser &parser) {
  SmallVector<int64_t> dims;
  Type score;
  bool hasT = false, hasL = false;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(dims, /*allowDynamic=*/false) ||
      parser.parseType(score) || parseFlags(parser, "t", "l", hasT, hasL))
    return {};
  if (dims.size() != 2) {
    parser.emitError(loc, "expected rows x columns, got ")
        << dims.size() << " dims";
    return {};
  }
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    dims[0], dims[1], score, hasT, hasL);
}

void StateType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << 'x' << getScoreType();
  printFlag(printer, "t", getHasT());
  printFlag(printer, "l", getHasL());
  printer << '>';
}

LogicalResult StateType::verify(function_ref<InFlightDiagnostic()> emitError,
                                int64_t rows, int64_t columns, Type scoreType,
                                bool, bool) {
  if (rows < 1)
    return emitError() << "a state needs at least one row, got " << rows;
  if (columns < 0)
    return emitError() << "a state needs a static column count";
  if (!scoreType.isF32() && !scoreType.isF64())
    return emitError() << "a state has score type f32 or f64, got "
                       << scoreType;
  return success();
}
