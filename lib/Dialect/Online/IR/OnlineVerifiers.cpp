//===- OnlineVerifiers.cpp - Checks of grids, memory, walks and tiles -----===//

#include "../../WholeBlock.h"
#include "OnlineRegions.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::online;

LogicalResult mlir::online::verifyScalarRegion(Operation *op, Region &region,
                                               ArrayRef<Type> arguments,
                                               ArrayRef<Type> results) {
  Block &block = region.front();
  if (block.getArgumentTypes() != TypeRange(arguments))
    return op->emitOpError() << "region must take (" << TypeRange(arguments)
                             << "), got (" << block.getArgumentTypes() << ")";
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return op->emitOpError("region must end with 'online.yield'");
  if (!fovea::hasAllOperands(block))
    return success();
  if (yield.getOperandTypes() != TypeRange(results))
    return op->emitOpError() << "region must yield (" << TypeRange(results)
                             << "), got (" << yield.getOperandTypes() << ")";
  // C23
  for (Operation &inner : block.without_terminator())
    if (!attn::isAllowedInRegion(&inner)) {
      InFlightDiagnostic diag = inner.emitOpError(
          "is not allowed in a scalar region: only scalar ops "
          "on i1, i64 and the score type, with total integer "
          "arithmetic");
      diag.attachNote(op->getLoc()) << "region of this op";
      return diag;
    }
  return success();
}

//===----------------------------------------------------------------------===//
// The grid and its memory
//===----------------------------------------------------------------------===//

LogicalResult GridOp::verify() {
  // C1
  if (getBounds().empty())
    return emitOpError("needs at least one bound");
  if (getBody().getNumArguments() != getBounds().size() ||
      !llvm::all_of(getBody().getArgumentTypes(),
                    [](Type type) { return type.isIndex(); }))
    return emitOpError() << "needs one index argument per bound, got ("
                         << getBody().getArgumentTypes() << ") for "
                         << getBounds().size() << " bounds";
  Block &body = getBody().front();
  if (body.empty() || body.back().getNumOperands() != 0)
    return emitOpError("body must yield nothing");
  // C2
  if (Attribute schedule = getScheduleAttr();
      schedule && !isa<ScheduleAttrInterface>(schedule))
    return emitOpError() << "schedule must be a schedule attribute, got "
                         << schedule;
  return success();
}

LogicalResult ViewOp::verify() {
  auto memref = getSource().getType();
  ViewType view = getView().getType();
  int64_t indices = getIndices().size(), rank = memref.getRank();
  int64_t columns = view.hasColumns() ? 1 : 0;
  // C3
  int64_t expected = getPageTable() ? 3 + columns : indices + 1 + columns;
  if (rank != expected)
    return emitOpError() << "source must have rank " << expected << " for "
                         << view << " and " << indices << " indices"
                         << (getPageTable() ? " with pages" : "") << ", got "
                         << rank;
  if (getPageTable() && indices != 1)
    return emitOpError() << "takes the head as its one index with pages, got "
                         << indices << " indices";
  // C4
  if (view.getPaged() != bool(getPageTable()))
    return emitOpError() << "type " << view << " does not agree with "
                         << (getPageTable() ? "pages" : "no pages");
  if (view.getRagged() != bool(getLength()))
    return emitOpError() << "type " << view << " does not agree with "
                         << (getLength() ? "a length" : "no length");
  // C5
  if (view.getElementType() != memref.getElementType())
    return emitOpError() << "view has element type " << view.getElementType()
                         << ", source has " << memref.getElementType();
  if (view.hasColumns() && memref.getShape().back() != view.getColumns() &&
      !ShapedType::isDynamic(memref.getShape().back()))
    return emitOpError() << "view has " << view.getColumns()
                         << " columns, source has " << memref.getShape().back();
  return success();
}

/// The tile is `rows` or `rows x columns` as the view is.
static LogicalResult verifyRows(Operation *op, Type tileType, ViewType view) {
  auto tile = cast<RankedTensorType>(tileType);
  int64_t rank = view.hasColumns() ? 2 : 1;
  if (tile.getRank() != rank)
    return op->emitOpError() << "tile must have rank " << rank << " for "
                             << view << ", got " << tile;
  if (view.hasColumns() && tile.getDimSize(1) != view.getColumns())
    return op->emitOpError() << "tile has " << tile.getDimSize(1)
                             << " columns, view has " << view.getColumns();
  return success();
}

LogicalResult LoadOp::verify() {
  // C6
  ViewType view = getView().getType();
  if (failed(verifyRows(*this, getTile().getType(), view)))
    return failure();
  Type element = cast<ShapedType>(getTile().getType()).getElementType();
  if (element != view.getElementType())
    return emitOpError() << "tile has element type " << element << ", view has "
                         << view.getElementType();
  return success();
}

/// A tile that is written converts between floats, or between integers.
static LogicalResult verifyWrite(Operation *op, Type tile, ViewType view) {
  if (failed(verifyRows(op, tile, view)))
    return failure();
  Type element = cast<ShapedType>(tile).getElementType();
  if (isa<FloatType>(element) != isa<FloatType>(view.getElementType()))
    return op->emitOpError()
           << "cannot convert element type " << element << " of the tile to "
           << view.getElementType() << " of the view";
  return success();
}

LogicalResult StoreOp::verify() {
  // C7
  return verifyWrite(*this, getTile().getType(), getView().getType());
}

LogicalResult ReduceIntoOp::verify() {
  // C8
  return verifyWrite(*this, getTile().getType(), getView().getType());
}

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

static LogicalResult verifyPositive(Operation *op, StringRef name,
                                    int64_t value) {
  if (value < 1)
    return op->emitOpError() << name << " must be positive, got " << value;
  return success();
}

LogicalResult WalkSegmentsOp::verify() {
  // C9
  if (getOperation()->getNumOperands() % 2 != 0 ||
      getClasses().size() != getBegins().size())
    return emitOpError()
           << "needs a begin, an end and a class per segment, got "
           << getOperation()->getNumOperands() << " positions and "
           << getClasses().size() << " classes";
  for (int32_t kind : getClasses())
    if (!symbolizeClassKind(kind))
      return emitOpError() << "class must be 1 (partial) or 2 (full), got "
                           << kind;
  return verifyPositive(*this, "step", getStep());
}

LogicalResult WalkListOp::verify() {
  // C10
  if (getIndices().size() != 3)
    return emitOpError() << "needs 3 indices (batch, head, query tile), got "
                         << getIndices().size();
  return verifyPositive(*this, "step", getStep());
}

LogicalResult WalkScanOp::verify() {
  // C11
  Type i64 = IntegerType::get(getContext(), 64);
  if (failed(verifyPositive(*this, "rows", getRows())) ||
      failed(verifyPositive(*this, "step", getStep())))
    return failure();
  return verifyScalarRegion(*this, getMask(), {i64, i64},
                            IntegerType::get(getContext(), 1));
}

namespace {
/// Checks the A/B/C normal form of a sweep's body.
class NormalForm {
public:
  explicit NormalForm(SweepOp sweep) : body(sweep.getBody().front()) {}

  LogicalResult verify() {
    for (Operation &op : body)
      if (failed(visit(op)))
        return failure();
    return success();
  }

private:
  /// The first op of phase B and of phase C that a value depends on.
  struct Origins {
    Operation *b = nullptr, *c = nullptr;
  };

  LogicalResult visit(Operation &op) {
    Origins origins;
    auto take = [&](Value value) {
      Origins from = known.lookup(value);
      origins.b = origins.b ? origins.b : from.b;
      origins.c = origins.c ? origins.c : from.c;
    };
    op.walk(
        [&](Operation *inner) { llvm::for_each(inner->getOperands(), take); });
    bool isA = isa<DotOp>(op), isStep = isa<StepOp>(op);
    bool isB = isStep || isa<MapOp, MaskOp, WeightsOp>(op);
    bool isC = isStep || isa<AccumulateOp, StoreOp, ReduceIntoOp>(op);
    // C13
    Operation *later =
        origins.c && (isA || isB) ? origins.c : (isA ? origins.b : nullptr);
    if (later) {
      InFlightDiagnostic diag =
          op.emitOpError() << "of phase " << (isA ? 'A' : 'B')
                           << " depends on '" << later->getName()
                           << "' of phase " << (later == origins.c ? 'C' : 'B')
                           << " in the same iteration";
      diag.attachNote(later->getLoc()) << "the later phase is here";
      return diag;
    }
    if (isB && !isStep)
      origins.b = &op;
    if (isC)
      origins.c = &op;
    for (Value result : op.getResults())
      known[result] = origins;
    return success();
  }

  Block &body;
  DenseMap<Value, Origins> known;
};
} // namespace

LogicalResult SweepOp::verify() {
  // C12
  SmallVector<Type> expected{IndexType::get(getContext()),
                             ClassType::get(getContext())};
  llvm::append_range(expected, getInits().getTypes());
  Block &block = getBody().front();
  if (block.getArgumentTypes() != TypeRange(expected))
    return emitOpError() << "body must take (" << TypeRange(expected)
                         << "), got (" << block.getArgumentTypes() << ")";
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return emitOpError("body must end with 'online.yield'");
  if (!fovea::hasAllOperands(block))
    return success();
  if (yield.getOperandTypes() != getInits().getTypes())
    return emitOpError() << "body must yield (" << getInits().getTypes()
                         << "), got (" << yield.getOperandTypes() << ")";
  if (getResultTypes() != getInits().getTypes())
    return emitOpError() << "must give (" << getInits().getTypes() << "), got ("
                         << getResultTypes() << ")";
  return NormalForm(*this).verify();
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

static LogicalResult verifyContraction(Operation *op, Type lhsType,
                                       Type rhsType, Type resultType,
                                       ArrayRef<int64_t> contract) {
  auto lhs = cast<RankedTensorType>(lhsType);
  auto rhs = cast<RankedTensorType>(rhsType);
  auto result = cast<RankedTensorType>(resultType);
  for (RankedTensorType tile : {lhs, rhs, result})
    if (tile.getRank() != 2 || !isa<FloatType>(tile.getElementType()))
      return op->emitOpError()
             << "needs tiles of rank 2 and of floats, got " << tile;
  if (contract.size() != 2 ||
      llvm::any_of(contract, [](int64_t dim) { return dim != 0 && dim != 1; }))
    return op->emitOpError()
           << "contract must be two dims of 0 or 1, got [" << contract << "]";
  if (lhs.getDimSize(contract[0]) != rhs.getDimSize(contract[1]))
    return op->emitOpError() << "contracts " << lhs.getDimSize(contract[0])
                             << " elements of lhs with "
                             << rhs.getDimSize(contract[1]) << " of rhs";
  int64_t shape[] = {lhs.getDimSize(1 - contract[0]),
                     rhs.getDimSize(1 - contract[1])};
  if (result.getShape() != ArrayRef(shape))
    return op->emitOpError() << "result must have shape " << shape[0] << "x"
                             << shape[1] << ", got " << result;
  return success();
}

LogicalResult DotOp::verify() {
  // C14
  return verifyContraction(*this, getLhs().getType(), getRhs().getType(),
                           getResult().getType(), getContract());
}

LogicalResult AccumulateOp::verify() {
  // C15
  return verifyContraction(*this, getLhs().getType(), getRhs().getType(),
                           getAcc().getType(), getContract());
}

/// Whether an input of a map may stand beside a result of this shape.
static bool fitsMap(MapKind kind, ArrayRef<int64_t> input,
                    ArrayRef<int64_t> result) {
  if (input == result)
    return true;
  if (kind != MapKind::Tile)
    return false;
  int64_t m = result[0], n = result[1];
  return input == ArrayRef<int64_t>{m} || input == ArrayRef<int64_t>{m, 1} ||
         input == ArrayRef<int64_t>{1, n} ||
         input == ArrayRef<int64_t>{m + n - 1};
}

static LogicalResult verifyMapShapes(MapOp op, MapKind kind) {
  auto first = cast<RankedTensorType>(op.getResultTypes().front());
  bool oneDim = kind == MapKind::Rows || kind == MapKind::Diag;
  if (first.getRank() != (oneDim ? 1 : 2) ||
      (kind == MapKind::Cols && first.getDimSize(0) != 1))
    return op.emitOpError()
           << "of kind " << stringifyMapKind(kind) << " cannot give " << first;
  for (Type type : op.getResultTypes())
    if (cast<ShapedType>(type).getShape() != first.getShape())
      return op.emitOpError() << "results must have one shape, got " << type
                              << " beside " << first;
  for (Type type : op.getInputs().getTypes())
    if (!fitsMap(kind, cast<ShapedType>(type).getShape(), first.getShape()))
      return op.emitOpError() << "of kind " << stringifyMapKind(kind)
                              << " cannot read " << type << " for " << first;
  int64_t columns = op.getColumns().value_or(1);
  if (columns < 1 || columns > first.getDimSize(0))
    return op.emitOpError() << "columns must be within 1 and "
                            << first.getDimSize(0) << ", got " << columns;
  return success();
}

LogicalResult MapOp::verify() {
  // C16
  MapKind kind = getKind();
  size_t origins = kind == MapKind::Rows || kind == MapKind::Cols ? 1 : 2;
  if (getOrigins().size() != origins)
    return emitOpError() << "of kind " << stringifyMapKind(kind) << " needs "
                         << origins << " origins, got " << getOrigins().size();
  if (getResults().empty())
    return emitOpError("needs at least one result");
  if (getColumns().has_value() != (kind == MapKind::Diag))
    return emitOpError() << "of kind " << stringifyMapKind(kind)
                         << (getColumns() ? " takes no columns"
                                          : " needs its columns");
  if (kind == MapKind::Diag && !getInputs().empty())
    return emitOpError() << "of kind diag takes no inputs, got "
                         << getInputs().size();
  if (failed(verifyMapShapes(*this, kind)))
    return failure();
  SmallVector<Type> arguments(kind == MapKind::Tile ? 2 : 1,
                              IntegerType::get(getContext(), 64));
  // Regions compute in the score type: narrower floats are read as f32.
  for (Type type : getInputs().getTypes()) {
    Type element = cast<ShapedType>(type).getElementType();
    bool isNarrow = element.isF16() || element.isBF16();
    arguments.push_back(isNarrow ? Float32Type::get(getContext()) : element);
  }
  SmallVector<Type> results;
  for (Type type : getResultTypes())
    results.push_back(cast<ShapedType>(type).getElementType());
  return verifyScalarRegion(*this, getBody(), arguments, results);
}

LogicalResult MaskOp::verify() {
  // C17
  auto visible = cast<RankedTensorType>(getVisible().getType());
  if (visible.getRank() != 2)
    return emitOpError() << "needs a result of rank 2, got " << visible;
  if (getBody().empty())
    return success();
  Type i64 = IntegerType::get(getContext(), 64);
  return verifyScalarRegion(*this, getBody(), {i64, i64},
                            IntegerType::get(getContext(), 1));
}
