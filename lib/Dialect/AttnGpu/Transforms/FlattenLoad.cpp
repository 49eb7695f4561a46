//===- FlattenLoad.cpp - The loading role as a stream ---------------------===//

#include "Flatten.h"

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
/// Fills in the order K0 Q | K1 V0 | K2 V1 | …; a tile's last V follows the
/// next tile's first K, which the computing role starts on before it.
class LoaderBuilder {
public:
  explicit LoaderBuilder(Stream &stream)
      : stream(stream), loc(stream.loadTiles.getLoc()),
        b(stream.loader.getBody().front().getTerminator()) {}
  void build();

private:
  /// One tile's scalars.
  struct Tile {
    Slice load, mma;
    Places places;
  };
  /// Batch, head and query tile of a number.
  SmallVector<Value, 3> decode(Value number);
  Tile makeTile(ValueRange indices);
  /// What of a tile travels round the loop, computed once, and the tile again.
  SmallVector<Value> carry(Tile &tile);
  Tile restoreTile(ValueRange carried);
  FillOp findFill(ChannelOp channel);
  void fill(Tile &tile, ChannelOp channel, Value use, Value n0,
            ValueRange records = {});
  void fillKeys(Tile &tile, Value use, Value n0);
  SmallVector<Value> fillBlocks(Tile &tile, Value use, Value before);
  void fillQueries(Tile &tile, Value use);
  void setRecordTypes(Tile &tile);
  SmallVector<Value> getRecords(Tile &tile);

  Value index(int64_t value) { return Scalars(b, loc).index(value); }
  Value increment(Value value) { return Scalars(b, loc).add(value, index(1)); }
  Value decrement(Value value) { return Scalars(b, loc).sub(value, index(1)); }

  Stream &stream;
  Location loc;
  OpBuilder b;
  /// Index values of the tile that the fills of its blocks read.
  llvm::SetVector<Value> ofBlocks;
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
  Value batch = s.div(head, bounds[1]);
  return {batch, s.sub(head, s.mul(batch, bounds[1])),
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

/// The fill of a block: what its row reads is computed for the block's n0.
void LoaderBuilder::fill(Tile &tile, ChannelOp channel, Value use, Value n0,
                         ValueRange records) {
  FillOp fill = findFill(channel);
  Slice slice = tile.load;
  slice.set(stream.loadBlocks.getBody().getArgument(0), n0);
  auto filled = cast<FillOp>(slice.clone(b, fill));
  filled.getUseMutable().assign(use);
  filled.getRecordsMutable().assign(records);
}

/// Where a listed block begins travels beside its keys.
void LoaderBuilder::fillKeys(Tile &tile, Value use, Value n0) {
  fill(tile, stream.k, use, n0,
       tile.places.isListed() ? ValueRange(n0) : ValueRange());
}

SmallVector<Value> LoaderBuilder::getRecords(Tile &tile) {
  SmallVector<Value> records{index(1)};
  for (Value value : stream.records)
    records.push_back(tile.mma.get(b, value));
  for (Value *value : tile.places.values())
    records.push_back(*value);
  return records;
}

void LoaderBuilder::fillQueries(Tile &tile, Value use) {
  FillOp fill = findFill(stream.q);
  FillOp::create(b, loc, stream.q, use, tile.load.get(b, fill.getView()),
                 tile.load.get(b, fill.getRow()), getRecords(tile));
}

void LoaderBuilder::setRecordTypes(Tile &tile) {
  auto set = [&](ChannelOp channel, int64_t records) {
    ChannelType old = channel.getChannel().getType();
    channel.getChannel().setType(ChannelType::get(
        b.getContext(), old.getRows(), old.getColumns(), old.getElementType(),
        old.getStages(), records, old.getDiagonal()));
  };
  set(stream.q, 1 + stream.records.size() + tile.places.values().size());
  set(stream.k, tile.places.isListed() ? 1 : 0);
}

/// The blocks of a tile but for the first one: K of each, V of the one before,
/// which begins at `before`. Where a listed one begins is read a round ahead,
/// as a copy should not wait for it.
SmallVector<Value> LoaderBuilder::fillBlocks(Tile &tile, Value use,
                                             Value before) {
  SmallVector<Value> inits{use, before};
  if (tile.places.isListed())
    inits.push_back(tile.places.element(b, index(0)));
  return createFor(
      b, loc, tile.places.total, inits,
      [&](OpBuilder &inner, Value place, ValueRange carried) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        bool isListed = tile.places.isListed();
        Value n0 = tile.places.at(b, place, isListed ? carried[2] : Value()).n0;
        SmallVector<Value> result{increment(carried[0]), n0};
        if (isListed)
          result.push_back(tile.places.element(b, place));
        fillKeys(tile, carried[0], n0);
        fill(tile, stream.v, decrement(carried[0]), carried[1]);
        inner.restoreInsertionPoint(b.saveInsertionPoint());
        return result;
      });
}

void LoaderBuilder::build() {
  // Elements of a list are read for each block.
  SmallVector<Value> ofList(stream.loadBlocks.getRow());
  if (stream.loadBlocks.getList())
    ofList.push_back(stream.loadBlocks.getKeyTile());
  for (Value index : ofList)
    ofBlocks.insert(index);
  stream.loadBlocks.getBody().walk(
      [&](Operation *op) { collectRecords(stream.loadTiles, op, ofBlocks); });
  Value zero = index(0), one = index(1);
  Tile tile = makeTile(decode(TileFirstOp::create(b, loc)));
  setRecordTypes(tile);
  Value n0 = tile.places.first(b).n0;
  fillKeys(tile, zero, n0);
  fillQueries(tile, zero);
  // Next uses of K and Q, the tile's last block so far, the tile.
  SmallVector<Value> inits{one, one, n0};
  llvm::append_range(inits, carry(tile));
  SmallVector<Value> last = createWhile(
      b, loc, inits,
      [&](OpBuilder &, ValueRange x) {
        Value next = TileFetchOp::create(b, loc, stream.tiles);
        Tile tile = restoreTile(x.drop_front(3));
        SmallVector<Value> passed = fillBlocks(tile, x[0], x[2]);
        passed.truncate(2);
        Value more = Scalars(b, loc).slt(next, stream.tiles);
        passed.append({x[1], next});
        llvm::append_range(passed, x.drop_front(3));
        return std::make_pair(more, passed);
      },
      [&](OpBuilder &, ValueRange x) {
        Tile old = restoreTile(x.drop_front(4)), tile = makeTile(decode(x[3]));
        Value n0 = tile.places.first(b).n0;
        fillQueries(tile, x[2]);
        fillKeys(tile, x[0], n0);
        fill(old, stream.v, decrement(x[0]), x[1]);
        SmallVector<Value> next{increment(x[0]), increment(x[2]), n0};
        llvm::append_range(next, carry(tile));
        return next;
      });
  Tile old = restoreTile(ValueRange(last).drop_front(4));
  fill(old, stream.v, decrement(last[0]), last[1]);
  SmallVector<Value> end(stream.q.getChannel().getType().getRecords(),
                         index(0));
  PublishOp::create(b, loc, stream.q, last[2], end);
}

void mlir::attn_gpu::flattenLoader(Stream &stream) {
  LoaderBuilder(stream).build();
}
