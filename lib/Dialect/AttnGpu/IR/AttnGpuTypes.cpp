//===- AttnGpuTypes.cpp - Types and attributes of attn_gpu ----------------===//

#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn_gpu;

//===----------------------------------------------------------------------===//
// 128x64xbf16
//===----------------------------------------------------------------------===//

static ParseResult parseShape(AsmParser &parser, int64_t &rows,
                              int64_t &columns, Type &elementType) {
  SmallVector<int64_t> dims;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(dims, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return failure();
  if (dims.size() != 2)
    return parser.emitError(loc, "expected rows x columns, got ")
           << dims.size() << " dims";
  rows = dims[0];
  columns = dims[1];
  return success();
}

static void printShape(AsmPrinter &printer, int64_t rows, int64_t columns,
                       Type elementType) {
  printer << rows << 'x' << columns << 'x' << elementType;
}

#define GET_TYPEDEF_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuAttrs.cpp.inc"

void AttnGpuDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "fovea/Dialect/AttnGpu/IR/AttnGpuTypes.cpp.inc"
      >();
}

void AttnGpuDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "fovea/Dialect/AttnGpu/IR/AttnGpuAttrs.cpp.inc"
      >();
}

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Tiles, fragments, row vectors
//===----------------------------------------------------------------------===//

static bool isHalf(Type type) { return type.isF16() || type.isBF16(); }

// T1
static LogicalResult verifyTile(EmitError emitError, int64_t rows,
                                int64_t columns, Type elementType) {
  if (rows < 8 || rows > 256 || rows % 8 != 0)
    return emitError() << "a tile has 8 to 256 rows, a multiple of 8, got "
                       << rows;
  if (columns < 64 || columns > 256 || columns % 64 != 0)
    return emitError() << "a tile has 64 to 256 columns, a multiple of 64, got "
                       << columns;
  if (!isHalf(elementType))
    return emitError() << "a tile holds f16 or bf16, got " << elementType;
  return success();
}

LogicalResult TileType::verify(EmitError emitError, int64_t rows,
                               int64_t columns, Type elementType) {
  return verifyTile(emitError, rows, columns, elementType);
}

LogicalResult FragType::verify(EmitError emitError, int64_t rows,
                               int64_t columns, Type elementType,
                               Layout layout) {
  // T2
  int64_t unit = layout == Layout::Quad ? 8 : 16;
  if (rows != kGroupRows)
    return emitError() << "a fragment has " << kGroupRows << " rows, got "
                       << rows;
  if (columns < unit || columns > 256 || columns % unit != 0)
    return emitError() << "a fragment of layout " << stringifyLayout(layout)
                       << " has " << unit << " to 256 columns, a multiple of "
                       << unit << ", got " << columns;
  // T3
  bool fits =
      layout == Layout::Quad ? elementType.isF32() : isHalf(elementType);
  if (!fits)
    return emitError() << "a fragment of layout " << stringifyLayout(layout)
                       << " holds "
                       << (layout == Layout::Quad ? "f32" : "f16 or bf16")
                       << ", got " << elementType;
  return success();
}

Type RowvecType::parse(AsmParser &parser) {
  SmallVector<int64_t> dims;
  Type element;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(dims, /*allowDynamic=*/false) ||
      parser.parseType(element))
    return {};
  if (dims.size() != 1) {
    parser.emitError(loc, "expected one dim, got ") << dims.size();
    return {};
  }
  bool partial = succeeded(parser.parseOptionalComma());
  if ((partial && parser.parseKeyword("partial")) || parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    dims[0], element, partial);
}

void RowvecType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getElementType()
          << (getPartial() ? ", partial>" : ">");
}

// T4
LogicalResult RowvecType::verify(EmitError emitError, int64_t rows,
                                 Type elementType, bool) {
  if (rows != kGroupRows || !elementType.isF32())
    return emitError() << "a rowvec is " << kGroupRows << "xf32, got " << rows
                       << "x" << elementType;
  return success();
}

// T5
LogicalResult PendingType::verify(EmitError emitError, Type result) {
  auto frag = dyn_cast<FragType>(result);
  if (!frag || frag.getLayout() != Layout::Quad)
    return emitError() << "a pending value holds a quad fragment, got "
                       << result;
  return success();
}

// T7
static LogicalResult verifyDiagonal(EmitError emitError, int64_t rows,
                                    int64_t columns) {
  if (rows < kGroupRows || rows > 256 || rows % kGroupRows != 0)
    return emitError() << "a diagvec has whole groups of " << kGroupRows
                       << " rows up to 256, got " << rows;
  if (columns < 8 || columns > 256 || columns % 8 != 0)
    return emitError()
           << "a diagvec has 8 to 256 columns, a multiple of 8, got "
           << columns;
  return success();
}

LogicalResult DiagvecType::verify(EmitError emitError, int64_t rows,
                                  int64_t columns, Type elementType) {
  if (!elementType.isF32())
    return emitError() << "a diagvec holds f32, got " << elementType;
  return verifyDiagonal(emitError, rows, columns);
}

DiagvecType ChannelType::getDiagonalType() const {
  return DiagvecType::get(getContext(), getDiagonal(), getRows(),
                          Float32Type::get(getContext()));
}

// T6
LogicalResult ChannelType::verify(EmitError emitError, int64_t rows,
                                  int64_t columns, Type elementType,
                                  int64_t stages, int64_t records,
                                  int64_t diagonal, int64_t cluster) {
  if (failed(verifyTile(emitError, rows, columns, elementType)))
    return failure();
  if (stages < 1 || stages > 8)
    return emitError() << "a channel has 1 to 8 stages, got " << stages;
  if (records < 0 || records > 32)
    return emitError() << "a channel has 0 to 32 records, got " << records;
  if (cluster != 1 && cluster != 2)
    return emitError() << "cluster must be 1 or 2, got " << cluster;
  if (cluster == 2 && rows % 16 != 0)
    return emitError() << "a channel of a cluster has a multiple of 16 rows, "
                          "got "
                       << rows;
  return diagonal ? verifyDiagonal(emitError, diagonal, rows) : success();
}

//===----------------------------------------------------------------------===//
// #attn_gpu.schedule
//===----------------------------------------------------------------------===//

// C1
LogicalResult ScheduleAttr::verify(EmitError emitError, int64_t groups,
                                   int64_t n, int64_t stages, int64_t qStages,
                                   bool pingPong, int64_t pin, bool,
                                   bool branch, bool ownRows, int64_t cluster,
                                   bool edges) {
  if (groups < 1 || groups > 3)
    return emitError() << "groups must be 1 to 3, got " << groups;
  if (n < 16 || n > 256 || n % 16 != 0)
    return emitError() << "n must be a multiple of 16 from 16 to 256, got "
                       << n;
  if (stages < 2 || stages > 8)
    return emitError() << "stages must be 2 to 8, got " << stages;
  if (qStages < 1 || qStages > 2)
    return emitError() << "q_stages must be 1 or 2, got " << qStages;
  if (pin != 0 && pin != 1 && pin != 4 && pin != 5)
    return emitError() << "pin must be 0, 1, 4 or 5, got " << pin;
  if (ownRows && (groups < 2 || pingPong))
    return emitError() << "own_rows takes 2 or 3 groups without ping_pong, got "
                       << groups << (groups == 1 ? " group" : " groups")
                       << (pingPong ? " with ping_pong" : "");
  if (cluster != 1 && cluster != 2)
    return emitError() << "cluster must be 1 or 2, got " << cluster;
  if (cluster == 2 && ownRows)
    return emitError() << "own_rows takes no clusters";
  // What is read of the rings between two elements of a group's own.
  if (ownRows && groups == 3 && stages < 3)
    return emitError() << "own_rows with 3 groups takes at least 3 stages, got "
                       << stages;
  if (edges && (branch || ownRows))
    return emitError() << "edges goes without branch and own_rows";
  return success();
}

int64_t ScheduleAttr::getQueryTile() const {
  return getOwnRows() ? kGroupRows : getQueryRows();
}
int64_t ScheduleAttr::getKeyTile() const { return getN(); }

int64_t ScheduleAttr::footprint(StringRef resource, int64_t headDim,
                                int64_t valueDim, unsigned elementBytes) const {
  // A thread's scores, their rounded copy, its outputs, and addresses.
  if (resource == "registers")
    return getN() / 2 + getN() / 4 + valueDim / 2 + 25;
  if (resource != "shared_memory")
    return 0;
  int64_t queries = getQueryRows() * headDim * getQStages();
  int64_t keys = getN() * (headDim * getStages() + valueDim * getValueStages());
  int64_t staging = getStaged() ? getQueryRows() * valueDim : 0;
  // Barriers and records.
  return (queries + keys + staging) * elementBytes + 1024;
}

LogicalResult ScheduleAttr::verifySchedule(const fovea::TargetModel &target,
                                           int64_t headDim, int64_t valueDim,
                                           unsigned elementBytes,
                                           EmitError emitError) const {
  for (StringRef resource : {"shared_memory", "registers"}) {
    StringRef name = resource;
    std::optional<int64_t> limit = target.getLimit(name);
    if (resource == "registers" && limit)
      // 65536 registers less the loader's, in 1 to 3 groups of 128 threads.
      limit = getGroups() == 3 ? 160 : std::min<int64_t>(*limit, 240);
    int64_t asked = footprint(name, headDim, valueDim, elementBytes);
    if (limit && asked > *limit)
      return emitError() << "asks for " << asked << " of " << name
                         << ", the limit of '" << target.getName() << "' is "
                         << *limit;
  }
  return success();
}
