//===- Lowering.cpp - A variant as a sweep over key tiles -----------------===//

#include "Lowering.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace fovea;

namespace {
class BodyBuilder {
public:
  BodyBuilder(func::FuncOp lowered, attn::AttentionOp op,
              const LoweredArguments &arguments, IRMapping &mapping,
              const AttnToOnlineSchedule &schedule)
      : builder(OpBuilder::atBlockEnd(&lowered.getBody().front())),
        loc(op.getLoc()), op(op), arguments(arguments), mapping(mapping),
        schedule(schedule), rows(schedule.schedule.getQueryTile()),
        step(schedule.schedule.getKeyTile()), scoreType(op.getScoreType()) {}

  LogicalResult build();

private:
  // Prologue of the function.
  void readSizes();
  LogicalResult cloneScalars();
  void buildGrid();
  // Body of the grid.
  void readItem(Value tile);
  void readRows(Value tile);
  void buildViews();
  void buildMaskRegion(Region &region);
  Value buildWalk(Region &mask);
  Value buildSegments(ArrayRef<WalkInterval> parts);
  Value buildScan(ArrayRef<WalkInterval> parts, StringRef reason, Region &mask);
  Value buildSweep(Value walk, Value init, Region &mask);
  Value buildScores(ValueRange products, Value n0);
  void buildResults(Value state);

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  template <typename Op> Value make(Value lhs, Value rhs) {
    return builder.createOrFold<Op>(loc, lhs, rhs);
  }
  Value ceilDiv(Value value, Value by) {
    Value sum = make<arith::AddIOp>(value, make<arith::SubIOp>(by, index(1)));
    return make<arith::DivUIOp>(sum, by);
  }
  Value select(Value condition, Value a, Value b) {
    return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
  }
  Value below(Value a, Value b) {
    return builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt,
                                               a, b);
  }
  Value toInt(Value value) {
    return arith::IndexCastOp::create(builder, loc, builder.getI64Type(),
                                      value);
  }
  Value toIndex(Value value) {
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      value);
  }
  /// Query tiles of the mask begin anywhere in those of the schedule.
  bool cutsQueryTiles() { return arguments.classes && !schedule.dividesTiles; }
  bool hasQueryLengths() {
    return op.getQLengths() && !schedule.wholeSequences;
  }
  Value perBatch(Value operand, Value memref, Value otherwise) {
    if (!operand || schedule.wholeSequences)
      return otherwise;
    Value value =
        memref::LoadOp::create(builder, loc, memref, ValueRange{batch});
    return toIndex(value);
  }
  RankedTensorType tile(ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  }
  Value view(Value memref, ValueRange indices, Value length,
             Value pages = Value());
  Value keysOf(Value memref, Value pages);
  Value load(Value view, Value row, int64_t tileRows);
  IRMapping mapArguments(Region &source, ArrayRef<Value> leading);
  void inlineRegion(Region &source, ArrayRef<Value> leading);

  OpBuilder builder;
  Location loc;
  attn::AttentionOp op;
  const LoweredArguments &arguments;
  IRMapping &mapping;
  const AttnToOnlineSchedule &schedule;
  int64_t rows, step;
  Type scoreType;
  LoweredSizes sizes;
  LoweredNormalizer normalizer;
  DenseMap<attn::SizeKind, Value> sizeValues;
  Value zero, group, tilesPerRow;
  // Of the grid's item: index values, and b, h as i64.
  Value batch, head, batchInt, headInt;
  Value qOffset, kvOffset, qLength, kvLength;
  /// First row of the tile, local and global; where its rows end; where the
  /// keys that it may see end.
  Value row, m0, rowEnd, keyEnd, blockRow;
  SmallVector<Value, 1> queryTiles, keyViews;
  Value valueView;
  online::StateType stateType;
};
} // namespace

//===----------------------------------------------------------------------===//
// Before the grid
//===----------------------------------------------------------------------===//

void BodyBuilder::readSizes() {
  auto dim = [&](Value memref, int64_t i) -> Value {
    return memref::DimOp::create(builder, loc, memref, i);
  };
  zero = index(0);
  sizes.batch = dim(arguments.queries[0], 0);
  sizes.queryHeads = dim(arguments.queries[0], 1);
  sizes.queryLength = dim(arguments.queries[0], 2);
  sizes.keyHeads = dim(arguments.keys[0], 1);
  sizes.keyLength = dim(arguments.keys[0], 2);
  if (arguments.pageTable)
    sizes.keyLength =
        make<arith::MulIOp>(dim(arguments.pageTable, 1), sizes.keyLength);
  auto columns = [](Value memref) {
    return cast<MemRefType>(memref.getType()).getShape().back();
  };
  sizes.headDim = columns(arguments.queries[0]);
  sizes.valueDim = columns(arguments.value);
  using K = attn::SizeKind;
  std::pair<K, Value> dynamic[] = {{K::B, sizes.batch},
                                   {K::H, sizes.queryHeads},
                                   {K::Hk, sizes.keyHeads},
                                   {K::M, sizes.queryLength},
                                   {K::N, sizes.keyLength}};
  for (auto [kind, value] : dynamic)
    sizeValues[kind] = toInt(value);
  sizeValues[K::D] =
      arith::ConstantIntOp::create(builder, loc, sizes.headDim, 64);
  sizeValues[K::E] =
      arith::ConstantIntOp::create(builder, loc, sizes.valueDim, 64);
  // S5. No head at all means no item, but the division comes first.
  Value heads = make<arith::MaxSIOp>(sizes.keyHeads, index(1));
  group = make<arith::MaxSIOp>(make<arith::DivUIOp>(sizes.queryHeads, heads),
                               index(1));
}

/// What the function computes beside the op: scales from constants and sizes.
LogicalResult BodyBuilder::cloneScalars() {
  for (Operation &scalar : op->getBlock()->without_terminator()) {
    if (&scalar == op)
      continue;
    for (Value operand : scalar.getOperands())
      if (!mapping.contains(operand))
        return scalar.emitError("is computed from an argument that is not an "
                                "operand of 'attn.attention'");
    builder.clone(scalar, mapping);
  }
  return success();
}

LogicalResult BodyBuilder::build() {
  readSizes();
  if (failed(cloneScalars()))
    return failure();
  normalizer = lowerNormalizer(op, arguments, sizes, mapping);
  stateType =
      online::StateType::get(op.getContext(), rows, sizes.valueDim, scoreType,
                             normalizer.hasStat, normalizer.hasDenom);
  buildGrid();
  func::ReturnOp::create(builder, loc);
  return success();
}

/// Query tiles of a block mask are cut into tiles of the schedule; without one
/// the schedule's tile is the mask's. One tile more, as the rows past a
/// sequence's end begin a tile of their own.
void BodyBuilder::buildGrid() {
  Value tiles, one = index(1);
  if (cutsQueryTiles()) {
    tilesPerRow = ceilDiv(arguments.queryTile, index(rows));
    Value blockRows = ceilDiv(sizes.queryLength, arguments.queryTile);
    tiles = make<arith::AddIOp>(make<arith::MulIOp>(blockRows, tilesPerRow),
                                tilesPerRow);
  } else {
    tiles = ceilDiv(sizes.queryLength, index(rows));
  }
  if (hasQueryLengths())
    tiles = make<arith::AddIOp>(tiles, one);
  auto grid = online::GridOp::create(
      builder, loc, ValueRange{sizes.batch, sizes.queryHeads, tiles},
      schedule.schedule);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&grid.getBody());
  for (unsigned i = 0; i < 3; ++i)
    body->addArgument(builder.getIndexType(), loc);
  batch = body->getArgument(0);
  head = body->getArgument(1);
  readItem(body->getArgument(2));
  buildViews();
  Region mask;
  buildMaskRegion(mask);
  Value walk = buildWalk(mask);
  Value init =
      online::InitOp::create(builder, loc, stateType, batchInt, headInt, m0,
                             normalizer.symbol, normalizer.captures);
  Value state = buildSweep(walk, init, mask);
  buildResults(state);
  online::YieldOp::create(builder, loc);
}

//===----------------------------------------------------------------------===//
// One item
//===----------------------------------------------------------------------===//

void BodyBuilder::readItem(Value tileIndex) {
  batchInt = toInt(batch);
  headInt = toInt(head);
  qOffset = perBatch(op.getQOffset(), arguments.qOffset, zero);
  kvOffset = perBatch(op.getKvOffset(), arguments.kvOffset, zero);
  qLength = perBatch(op.getQLengths(), arguments.qLengths, sizes.queryLength);
  kvLength = perBatch(op.getKvLengths(), arguments.kvLengths, sizes.keyLength);
  readRows(tileIndex);
  m0 = make<arith::AddIOp>(row, qOffset);
}

void BodyBuilder::readRows(Value tileIndex) {
  Value tileRows = index(rows), liveTiles, end = qLength;
  if (cutsQueryTiles()) {
    blockRow = make<arith::DivUIOp>(tileIndex, tilesPerRow);
    Value first = make<arith::MulIOp>(blockRow, arguments.queryTile);
    Value part = make<arith::RemUIOp>(tileIndex, tilesPerRow);
    row = make<arith::AddIOp>(first, make<arith::MulIOp>(part, tileRows));
    end = make<arith::MinSIOp>(qLength,
                               make<arith::AddIOp>(first, arguments.queryTile));
    liveTiles =
        make<arith::MulIOp>(ceilDiv(qLength, arguments.queryTile), tilesPerRow);
  } else {
    row = make<arith::MulIOp>(tileIndex, tileRows);
    liveTiles = ceilDiv(qLength, tileRows);
    if (arguments.classes)
      blockRow = make<arith::DivUIOp>(row, arguments.queryTile);
  }
  rowEnd = end;
  if (schedule.wholeSequences && !cutsQueryTiles()) {
    keyEnd = kvLength; // every tile begins inside of the sequence
    return;
  }
  Value seesKeys = below(row, end);
  if (hasQueryLengths()) {
    // Dead rows (S3, S6): tiles from q_lengths[b] on that see no key.
    Value isLive = below(tileIndex, liveTiles);
    Value dead = make<arith::MulIOp>(make<arith::SubIOp>(tileIndex, liveTiles),
                                     tileRows);
    row = select(isLive, row, make<arith::AddIOp>(qLength, dead));
    rowEnd = select(isLive, end, sizes.queryLength);
    seesKeys = make<arith::AndIOp>(isLive, below(row, rowEnd));
    // A row of tiles that is not there is not looked up.
    if (blockRow)
      blockRow = select(isLive, blockRow, zero);
  }
  keyEnd = select(seesKeys, kvLength, zero);
}

Value BodyBuilder::view(Value memref, ValueRange indices, Value length,
                        Value pages) {
  auto type = cast<MemRefType>(memref.getType());
  int64_t leading = indices.size() + (pages ? 1 : 0);
  bool hasColumns = type.getRank() > leading + 1;
  int64_t columns =
      hasColumns ? type.getShape().back() : online::ViewType::kScalars;
  auto viewType = online::ViewType::get(builder.getContext(), columns,
                                        type.getElementType(),
                                        /*paged=*/pages != nullptr,
                                        /*ragged=*/true);
  return online::ViewOp::create(builder, loc, viewType, memref, indices, length,
                                pages);
}

/// The keys or values of the item's batch and key head.
Value BodyBuilder::keysOf(Value memref, Value pages) {
  Value keyHead = make<arith::DivUIOp>(head, group); // S5
  if (pages)
    return view(memref, keyHead, kvLength, pages);
  return view(memref, {batch, keyHead}, kvLength);
}

Value BodyBuilder::load(Value view, Value first, int64_t tileRows) {
  auto type = cast<online::ViewType>(view.getType());
  return online::LoadOp::create(
      builder, loc, tile({tileRows, type.getColumns()}, type.getElementType()),
      view, first);
}

void BodyBuilder::buildViews() {
  Value pages;
  if (arguments.pageTable) {
    OpFoldResult zeroIndex = builder.getIndexAttr(0),
                 one = builder.getIndexAttr(1);
    Value count = memref::DimOp::create(builder, loc, arguments.pageTable, 1);
    Type row = getStridedMemRef(builder.getI64Type(), 1, -1);
    pages = memref::SubViewOp::create(
        builder, loc, cast<MemRefType>(row), arguments.pageTable,
        ArrayRef<OpFoldResult>{batch, zeroIndex},
        ArrayRef<OpFoldResult>{one, count}, ArrayRef<OpFoldResult>{one, one});
  }
  for (auto [query, key] : llvm::zip(arguments.queries, arguments.keys)) {
    queryTiles.push_back(load(view(query, {batch, head}, rowEnd), row, rows));
    keyViews.push_back(keysOf(key, pages));
  }
  valueView = keysOf(arguments.value, pages);
}

/// What a region's arguments stand for, `leading`, then the captures, and the
/// sizes that it asks for. Null values stay open.
IRMapping BodyBuilder::mapArguments(Region &source, ArrayRef<Value> leading) {
  IRMapping inner = mapping;
  for (auto [index, argument] : llvm::enumerate(source.getArguments())) {
    Value value =
        index < leading.size()
            ? leading[index]
            : mapping.lookup(op.getCaptures()[index - leading.size()]);
    if (value)
      inner.map(argument, value);
  }
  for (attn::SizeOp size : source.getOps<attn::SizeOp>())
    inner.map(size.getResult(), sizeValues.lookup(size.getKind()));
  return inner;
}

/// Clones a region of the op.
void BodyBuilder::inlineRegion(Region &source, ArrayRef<Value> leading) {
  IRMapping inner = mapArguments(source, leading);
  Block &block = source.front();
  for (Operation &scalar : block.without_terminator())
    if (!isa<attn::SizeOp>(scalar))
      builder.clone(scalar, inner);
  SmallVector<Value> results;
  for (Value result : block.getTerminator()->getOperands())
    results.push_back(inner.lookup(result));
  online::YieldOp::create(builder, loc, results);
}

/// The mask of (m, n) with all else from above; stays empty where all is seen.
void BodyBuilder::buildMaskRegion(Region &region) {
  if (!op.hasMask())
    return;
  OpBuilder::InsertionGuard guard(builder);
  Type i64 = builder.getI64Type();
  Block *block = builder.createBlock(&region, {}, {i64, i64}, {loc, loc});
  inlineRegion(op.getMask(), {batchInt, headInt, block->getArgument(0),
                              block->getArgument(1)});
}

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

Value BodyBuilder::buildWalk(Region &mask) {
  Type type = online::WalkType::get(builder.getContext());
  if (arguments.classes)
    return online::WalkListOp::create(builder, loc, type, arguments.classes,
                                      ValueRange{batch, head, blockRow},
                                      arguments.keyTile, keyEnd, step);
  // Bounds hold for every row of the tile, also for those past its end.
  Value firstRow = toInt(m0);
  Value lastRow = toInt(make<arith::AddIOp>(m0, index(rows - 1)));
  Value firstKey = toInt(kvOffset);
  Value endKey = toInt(make<arith::AddIOp>(kvOffset, keyEnd));
  WalkBounds bounds(op, {schedule.indexBits, schedule.maxCases});
  SmallVector<WalkInterval, 2> parts = bounds.emit(
      builder, loc, {firstRow, lastRow, firstKey, endKey},
      mapArguments(op.getMask(), {batchInt, headInt, Value(), Value()}));
  auto toLocal = [&](Value &position) {
    if (position == firstKey)
      position = zero;
    else if (position == endKey)
      position = keyEnd;
    else if (position)
      position = make<arith::SubIOp>(toIndex(position), kvOffset);
  };
  for (WalkInterval &part : parts) {
    bool fromBegin = part.fullBegin == part.begin;
    bool toEnd = part.fullEnd == part.end;
    toLocal(part.begin);
    toLocal(part.end);
    toLocal(part.fullBegin);
    toLocal(part.fullEnd);
    if (fromBegin)
      part.fullBegin = part.begin;
    if (toEnd)
      part.fullEnd = part.end;
  }
  if (schedule.scansScores && hidesByScore(op))
    return buildScan(parts, "the score holds -inf", mask);
  return bounds.isClosedForm() ? buildSegments(parts)
                               : buildScan(parts, bounds.reason(), mask);
}

Value BodyBuilder::buildSegments(ArrayRef<WalkInterval> parts) {
  SmallVector<Value> begins, ends;
  SmallVector<int32_t> classes;
  auto add = [&](Value begin, Value end, online::ClassKind kind) {
    if (begin == end)
      return;
    begins.push_back(begin);
    ends.push_back(end);
    classes.push_back(static_cast<int32_t>(kind));
  };
  Value unit = index(schedule.segmentAlignment);
  auto alignDown = [&](Value value) {
    return make<arith::MulIOp>(make<arith::DivUIOp>(value, unit), unit);
  };
  for (const WalkInterval &part : parts) {
    if (!part.fullBegin) {
      add(part.begin, part.end, online::ClassKind::Partial);
      continue;
    }
    // What alignment takes from the full keys stays partial.
    Value fullBegin = part.fullBegin, fullEnd = part.fullEnd;
    if (fullBegin != part.begin) {
      Value up =
          make<arith::AddIOp>(fullBegin, index(schedule.segmentAlignment - 1));
      fullBegin = make<arith::MinSIOp>(alignDown(up), part.end);
    }
    if (fullEnd != part.end)
      fullEnd = make<arith::MaxSIOp>(alignDown(fullEnd), fullBegin);
    add(part.begin, fullBegin, online::ClassKind::Partial);
    add(fullBegin, fullEnd, online::ClassKind::Full);
    add(fullEnd, part.end, online::ClassKind::Partial);
  }
  return online::WalkSegmentsOp::create(
      builder, loc, online::WalkType::get(builder.getContext()), begins, ends,
      builder.getDenseI32ArrayAttr(classes), builder.getI64IntegerAttr(step),
      /*reverse=*/UnitAttr());
}

Value BodyBuilder::buildScan(ArrayRef<WalkInterval> parts, StringRef reason,
                             Region &mask) {
  auto scan = online::WalkScanOp::create(
      builder, loc, online::WalkType::get(builder.getContext()), m0, kvOffset,
      parts.front().begin, parts.back().end, rows, step,
      builder.getStringAttr(reason));
  IRMapping clone;
  mask.cloneInto(&scan.getMask(), clone);
  if (mask.empty()) {
    OpBuilder::InsertionGuard guard(builder);
    Type i64 = builder.getI64Type();
    builder.createBlock(&scan.getMask(), {}, {i64, i64}, {loc, loc});
    Value visible = arith::ConstantIntOp::create(builder, loc, 1, 1);
    online::YieldOp::create(builder, loc, visible);
  }
  return scan;
}

//===----------------------------------------------------------------------===//
// The sweep
//===----------------------------------------------------------------------===//

/// The scores that `step` does not make by itself: several pairs, or a score
/// region. Null where it does.
Value BodyBuilder::buildScores(ValueRange products, Value n0) {
  if (!op.hasScore() && products.size() == 1)
    return Value();
  Type scores = tile({rows, step}, scoreType);
  auto map = online::MapOp::create(builder, loc, TypeRange{scores},
                                   online::MapKind::Tile, ValueRange{m0, n0},
                                   products, /*columns=*/IntegerAttr());
  OpBuilder::InsertionGuard guard(builder);
  Type i64 = builder.getI64Type();
  SmallVector<Type> types{i64, i64};
  types.append(products.size(), scoreType);
  Block *block = builder.createBlock(&map.getBody(), {}, types,
                                     SmallVector<Location>(types.size(), loc));
  Value sum;
  for (auto [product, scale] :
       llvm::zip(block->getArguments().drop_front(2), op.getScales())) {
    Value scaled = make<arith::MulFOp>(product, mapping.lookup(scale));
    sum = sum ? make<arith::AddFOp>(sum, scaled) : scaled;
  }
  if (op.hasScore())
    inlineRegion(op.getScore(), {sum, batchInt, headInt, block->getArgument(0),
                                 block->getArgument(1)});
  else
    online::YieldOp::create(builder, loc, sum);
  return map.getResult(0);
}

Value BodyBuilder::buildSweep(Value walk, Value init, Region &mask) {
  auto sweep = online::SweepOp::create(builder, loc, TypeRange{stateType}, walk,
                                       ValueRange{init});
  OpBuilder::InsertionGuard guard(builder);
  Type types[] = {builder.getIndexType(),
                  online::ClassType::get(builder.getContext()), stateType};
  Block *block =
      builder.createBlock(&sweep.getBody(), {}, types, {loc, loc, loc});
  Value local = block->getArgument(0), cls = block->getArgument(1);
  SmallVector<Value, 1> products;
  RankedTensorType scores = tile({rows, step}, scoreType);
  for (auto [query, keys] : llvm::zip(queryTiles, keyViews))
    products.push_back(online::DotOp::create(
        builder, loc, scores, query, load(keys, local, step),
        builder.getDenseI64ArrayAttr({1, 1})));
  Value values = load(valueView, local, step);
  Value n0 = make<arith::AddIOp>(local, kvOffset);
  Value modified = buildScores(products, n0);
  auto visible = online::MaskOp::create(
      builder, loc, tile({rows, step}, builder.getI1Type()), m0, n0, cls);
  visible.getBody().takeBody(mask);
  Value scale = modified ? Value() : mapping.lookup(op.getScales()[0]);
  Value next = online::StepOp::create(
      builder, loc, stateType, block->getArgument(2),
      modified ? modified : products[0], values, visible, scale,
      /*row=*/Value(), /*col=*/Value(), batchInt, headInt, m0, n0,
      normalizer.symbol, normalizer.captures);
  online::YieldOp::create(builder, loc, next);
  return sweep.getResult(0);
}

void BodyBuilder::buildResults(Value state) {
  Type out = tile({rows, sizes.valueDim}, scoreType);
  Type lse = arguments.lse ? tile({rows}, scoreType) : RankedTensorType();
  auto finish =
      online::FinishOp::create(builder, loc, out, lse, state, batchInt, headInt,
                               m0, normalizer.symbol, normalizer.captures);
  online::StoreOp::create(builder, loc, finish.getOut(),
                          view(arguments.out, {batch, head}, rowEnd), row);
  if (arguments.lse)
    online::StoreOp::create(builder, loc, finish.getLse(),
                            view(arguments.lse, {batch, head}, rowEnd), row);
}

LogicalResult fovea::buildLoweredBody(func::FuncOp lowered,
                                      attn::AttentionOp op,
                                      const LoweredArguments &arguments,
                                      IRMapping &mapping,
                                      const AttnToOnlineSchedule &schedule) {
  return BodyBuilder(lowered, op, arguments, mapping, schedule).build();
}
