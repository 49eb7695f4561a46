//===- FlattenLoad.cpp - The loading role as a stream ---------------------===//

#include "Flatten.h"

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
/// Fills in the order K0 Q | K1 V0 | K2 V1 | …; a tile's last V follows the
/// next tile's first K, which the computing role starts on before it, and the
/// next tile's Q comes last, as it has the most time.
class LoaderBuilder {
public:
  explicit LoaderBuilder(Stream &stream)
      : stream(stream), loc(stream.loadTiles.getLoc()),
        b(stream.loader.getBody().front().getTerminator()) {
    stream.loadTiles.walk([&](memref::LoadOp) { readsBatches = true; });
  }
  void build();

private:
  /// One tile's scalars.
  struct Tile {
    Slice load, mma;
    Places places;
  };
  /// A tile whose fills are done but for the last block's values.
  struct Ended {
    Value keyUse, queryUse; // the next ones
    Value number;           // of the next tile
    ValueRange element;     // the last block
    Tile tile;
  };
  /// Batch, head and query tile of a number.
  SmallVector<Value, 3> decode(Value number);
  Tile makeTile(ValueRange indices);
  /// What of a tile travels round the loop, computed once, and the tile again.
  SmallVector<Value> carry(Tile &tile);
  Tile restoreTile(ValueRange carried);
  FillOp findFill(ChannelOp channel);
  void fill(Tile &tile, ChannelOp channel, Value use, ValueRange element,
            ValueRange records = {});
  void fillKeys(Tile &tile, Value use, ValueRange element);
  SmallVector<Value> firstElement(Tile &tile);
  SmallVector<Value> fillBlocks(Tile &tile, Value use, ValueRange before,
                                function_ref<void()> takeTile);
  void fillQueries(Tile &tile, Value use);
  void setRecordTypes(Tile &tile);
  SmallVector<Value> getRecords(Tile &tile);
  void findValuesOfBlocks();
  /// The other blocks of a tile, of which are given the next uses of K and Q,
  /// the first block and what travels; whether a tile follows, and an `Ended`.
  std::pair<Value, SmallVector<Value>> fillTile(ValueRange begun);
  Ended readEnded(ValueRange x);
  SmallVector<Value> beginNext(Ended ended);

  Value index(int64_t value) { return Scalars(b, loc).index(value); }
  Value increment(Value value) { return Scalars(b, loc).add(value, index(1)); }
  Value decrement(Value value) { return Scalars(b, loc).sub(value, index(1)); }

  Stream &stream;
  Location loc;
  OpBuilder b;
  /// Whether batches have offsets and lengths of their own, and an order.
  bool readsBatches = false;
  /// Index values of the tile that the fills of its blocks read.
  llvm::SetVector<Value> ofBlocks;
  /// How many values a block's element is.
  size_t width = 0;
};
} // namespace

/// Heads in sections, the last one of its own size; inside one the last query
/// tile of each head first, as it sees the most keys under a causal mask.
SmallVector<Value, 3> LoaderBuilder::decode(Value number) {
  Scalars s(b, loc);
  ValueRange bounds = stream.loadTiles.getBounds();
  Value queryTiles = bounds[2];
  auto sections = SectionOp::create(b, loc);
  Value before = s.sub(s.mul(bounds[0], bounds[1]), sections.getLast());
  Value tilesBefore = s.mul(before, queryTiles);
  Value isBefore = s.slt(number, tilesBefore);
  auto choose = [&](Value x, Value y) { return s.select(isBefore, x, y); };
  Value heads = choose(sections.getHeads(), sections.getLast());
  Value inPart = choose(number, s.sub(number, tilesBefore));
  Value perSection = s.mul(queryTiles, heads);
  Value section = s.div(inPart, perSection);
  Value rest = s.sub(inPart, s.mul(section, perSection));
  Value row = s.div(rest, heads);
  Value inSection = s.sub(rest, s.mul(row, heads));
  Value firstHead = choose(s.mul(section, heads), before);
  Value head = s.add(firstHead, inSection);
  Value place = s.div(head, bounds[1]), batch = place;
  if (readsBatches)
    batch = BatchOp::create(b, loc, place);
  return {batch, s.sub(head, s.mul(place, bounds[1])),
          s.sub(s.sub(queryTiles, s.index(1)), row)};
}

LoaderBuilder::Tile LoaderBuilder::makeTile(ValueRange indices) {
  Tile tile{Slice(stream.loadTiles), Slice(stream.mmaTiles), Places()};
  for (int i = 0; i < 3; ++i) {
    tile.load.set(stream.loadTiles.getBody().getArgument(i), indices[i]);
    tile.mma.set(stream.mmaTiles.getBody().getArgument(i), indices[i]);
  }
  tile.places = Places::compute(b, stream.loadBlocks, stream.facts, tile.load);
  return tile;
}

SmallVector<Value> LoaderBuilder::carry(Tile &tile) {
  SmallVector<Value> list;
  for (Value value : ofBlocks)
    list.push_back(tile.load.get(b, value));
  for (Value *value : tile.places.values())
    list.push_back(*value);
  return list;
}

LoaderBuilder::Tile LoaderBuilder::restoreTile(ValueRange carried) {
  Tile tile{Slice(stream.loadTiles), Slice(stream.mmaTiles), Places()};
  for (auto [value, travelled] : llvm::zip(ofBlocks, carried))
    tile.load.set(value, travelled);
  tile.places = Places::restore(b, stream.loadBlocks, stream.facts, tile.load,
                                carried.drop_front(ofBlocks.size()));
  return tile;
}

FillOp LoaderBuilder::findFill(ChannelOp channel) {
  FillOp found;
  stream.loadTiles.walk([&](FillOp fill) {
    if (fill.getChannel() == channel.getChannel())
      found = fill;
  });
  return found;
}

/// The fill of a block: what its row reads is computed for the block's n0. Its
/// links say who reads it.
void LoaderBuilder::fill(Tile &tile, ChannelOp channel, Value use,
                         ValueRange element, ValueRange records) {
  FillOp fill = findFill(channel);
  Slice slice = tile.load;
  slice.set(stream.loadBlocks.getBody().getArgument(0), element.front());
  auto filled = cast<FillOp>(slice.clone(b, fill));
  filled.getUseMutable().assign(use);
  filled.getRecordsMutable().assign(records);
  filled.getReadersMutable().assign(element.drop_front());
  // A thread that fills for several warpgroups in turns is too slow for all.
  if (tile.places.isJoint() && channel == stream.v)
    filled.setWarp(1);
}

/// What is known of a listed block travels beside its keys.
void LoaderBuilder::fillKeys(Tile &tile, Value use, ValueRange element) {
  fill(tile, stream.k, use, element,
       tile.places.isListed() ? element : ValueRange());
}

SmallVector<Value> LoaderBuilder::firstElement(Tile &tile) {
  if (tile.places.isJoint())
    return tile.places.element(b, index(0));
  return {tile.places.first(b).n0};
}

SmallVector<Value> LoaderBuilder::getRecords(Tile &tile) {
  SmallVector<Value> records{index(1)};
  for (Value value : stream.records)
    records.push_back(tile.mma.get(b, value));
  for (Value *value : tile.places.values())
    records.push_back(*value);
  // A fragment's rows say which group's they are.
  Scalars s(b, loc);
  for (auto [i, value] : llvm::enumerate(tile.places.own)) {
    bool isQuery = int64_t(i) % Places::kOwn == Places::kOwn - 1;
    int64_t before = int64_t(i) / Places::kOwn * kGroupRows;
    records.push_back(isQuery ? s.sub(value, s.index(before)) : value);
  }
  return records;
}

void LoaderBuilder::fillQueries(Tile &tile, Value use) {
  FillOp fill = findFill(stream.q);
  Value view = tile.load.get(b, fill.getView());
  SmallVector<Value> rows;
  if (stream.origin)
    for (size_t i = Places::kOwn - 1; i < tile.places.own.size();
         i += Places::kOwn)
      rows.push_back(tile.places.own[i]);
  else
    rows = {tile.load.get(b, fill.getRows().front())};
  FillOp::create(b, loc, stream.q, use, view, rows, getRecords(tile));
}

void LoaderBuilder::setRecordTypes(Tile &tile) {
  auto set = [&](ChannelOp channel, int64_t records) {
    ChannelType old = channel.getChannel().getType();
    channel.getChannel().setType(ChannelType::get(
        b.getContext(), old.getRows(), old.getColumns(), old.getElementType(),
        old.getStages(), records, old.getDiagonal(), old.getCluster()));
  };
  set(stream.q, 1 + stream.records.size() + tile.places.values().size() +
                    tile.places.own.size());
  bool isJoint = tile.places.isJoint();
  set(stream.k,
      isJoint ? 1 + stream.schedule.getGroups() : tile.places.isListed());
}

/// The blocks of a tile but for the first one: K of each, V of the one before.
/// Listed ones are read a round ahead, as a copy should not wait for that.
/// The next tile is taken before the last block: one that waits behind a long
/// tile is missing elsewhere in the end.
SmallVector<Value> LoaderBuilder::fillBlocks(Tile &tile, Value use,
                                             ValueRange before,
                                             function_ref<void()> takeTile) {
  SmallVector<Value> inits{use};
  llvm::append_range(inits, before);
  bool isListed = tile.places.isListed(), isJoint = tile.places.isJoint();
  size_t width = before.size();
  if (isListed)
    llvm::append_range(inits, tile.places.element(b, index(isJoint)));
  auto fillBlock = [&](OpBuilder &inner, Value place, ValueRange carried) {
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(inner.saveInsertionPoint());
    SmallVector<Value> element(carried.drop_front(1 + width));
    if (!isJoint)
      element = {
          tile.places.at(b, place, {isListed ? element[0] : Value(), Value()})
              .n0};
    SmallVector<Value> result{increment(carried[0])};
    llvm::append_range(result, element);
    if (isListed)
      llvm::append_range(
          result, tile.places.element(b, isJoint ? increment(place) : place));
    fillKeys(tile, carried[0], element);
    fill(tile, stream.v, decrement(carried[0]), carried.slice(1, width));
    inner.restoreInsertionPoint(b.saveInsertionPoint());
    return result;
  };
  Value end = isJoint ? tile.places.uses : tile.places.total;
  Value last = Scalars(b, loc).max(decrement(end), index(1));
  SmallVector<Value> passed =
      createFor(b, loc, index(1), last, inits, fillBlock);
  takeTile();
  return createFor(b, loc, last, end, passed, fillBlock);
}

/// Elements of a list are read for each block.
void LoaderBuilder::findValuesOfBlocks() {
  SmallVector<Value> ofList(stream.loadBlocks.getRow());
  if (stream.loadBlocks.getList())
    ofList.push_back(stream.loadBlocks.getKeyTile());
  for (Value index : ofList)
    ofBlocks.insert(index);
  stream.loadBlocks.getBody().walk(
      [&](Operation *op) { collectRecords(stream.loadTiles, op, ofBlocks); });
}

std::pair<Value, SmallVector<Value>> LoaderBuilder::fillTile(ValueRange begun) {
  ValueRange carried = begun.drop_front(2 + width);
  Tile tile = restoreTile(carried);
  int64_t cluster = stream.schedule.getCluster();
  Value next;
  auto takeTile = [&] {
    next = TileFetchOp::create(
        b, loc, stream.tiles,
        stream.loadBlocks.getQueryTile() ? begun[1] : Value(), cluster);
  };
  SmallVector<Value> passed =
      fillBlocks(tile, begun[0], begun.slice(2, width), takeTile);
  passed.truncate(1 + width);
  if (cluster > 1)
    next = TileShareOp::create(b, loc, next, begun[1]);
  Value more = Scalars(b, loc).slt(next, stream.tiles);
  passed.append({begun[1], next});
  llvm::append_range(passed, carried);
  return {more, passed};
}

LoaderBuilder::Ended LoaderBuilder::readEnded(ValueRange x) {
  ValueRange rest = x.drop_front(1 + width);
  return {x[0], rest[0], rest[1], x.slice(1, width),
          restoreTile(rest.drop_front(2))};
}

SmallVector<Value> LoaderBuilder::beginNext(Ended ended) {
  Tile tile = makeTile(decode(ended.number));
  SmallVector<Value> element = firstElement(tile);
  fillKeys(tile, ended.keyUse, element);
  fill(ended.tile, stream.v, decrement(ended.keyUse), ended.element);
  fillQueries(tile, ended.queryUse);
  SmallVector<Value> begun{increment(ended.keyUse), increment(ended.queryUse)};
  llvm::append_range(begun, element);
  llvm::append_range(begun, carry(tile));
  return begun;
}

void LoaderBuilder::build() {
  findValuesOfBlocks();
  Value zero = index(0), one = index(1);
  Tile tile = makeTile(decode(TileFirstOp::create(b, loc)));
  setRecordTypes(tile);
  SmallVector<Value> element = firstElement(tile);
  width = element.size();
  fillKeys(tile, zero, element);
  fillQueries(tile, zero);
  SmallVector<Value> begun{one, one};
  llvm::append_range(begun, element);
  llvm::append_range(begun, carry(tile));
  SmallVector<Value> last = createWhile(
      b, loc, begun, [&](OpBuilder &, ValueRange x) { return fillTile(x); },
      [&](OpBuilder &, ValueRange x) { return beginNext(readEnded(x)); });
  Ended ended = readEnded(last);
  fill(ended.tile, stream.v, decrement(ended.keyUse), ended.element);
  SmallVector<Value> end(stream.q.getChannel().getType().getRecords(),
                         index(0));
  PublishOp::create(b, loc, stream.q, ended.queryUse, end);
}

void mlir::attn_gpu::flattenLoader(Stream &stream) {
  LoaderBuilder(stream).build();
}
