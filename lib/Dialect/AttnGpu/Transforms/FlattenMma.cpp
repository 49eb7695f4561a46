//===- FlattenMma.cpp - The computing role as a stream --------------------===//

#include "Flatten.h"

using namespace mlir;
using namespace mlir::attn_gpu;

namespace {
/// A tile as the computing role sees it: scalars from its record.
struct Tile {
  SmallVector<Value> records;
  Slice slice;
  Places places;
  Value queries;
};

/// What a block hands to the next one: its weights, and the carried values
/// other than the outputs.
struct Carried {
  Value weights;
  SmallVector<Value> state;

  SmallVector<Value> flat() const {
    SmallVector<Value> list{weights};
    llvm::append_range(list, state);
    return list;
  }
  static Carried of(ValueRange list) {
    return {list.front(), SmallVector<Value>(list.drop_front())};
  }
};

/// Which uses of the key channel come next: numbered one by one, or where a
/// joint list says so.
struct Uses {
  /// Counted: of the block to come. Joint: of the tile's first element.
  Value base;
  /// Joint: of the block before, whose outputs are to come, and of the next.
  Value last, next;

  SmallVector<Value> flat() const {
    return last ? SmallVector<Value>{base, last, next}
                : SmallVector<Value>{base};
  }
  static Uses of(ValueRange list) {
    return list.size() == 1 ? Uses{list[0], {}, {}}
                            : Uses{list[0], list[1], list[2]};
  }
};

/// A tile whose first block is done but for its outputs.
struct Begun {
  Uses uses; // behind that block
  Value queryUse, queries;
  Carried carried;
  SmallVector<Value> records;

  SmallVector<Value> flat() const {
    SmallVector<Value> list = uses.flat();
    list.append({queryUse, queries});
    llvm::append_range(list, carried.flat());
    llvm::append_range(list, records);
    return list;
  }
};

/// A tile whose blocks are done but for the last one's outputs.
struct Ended {
  Uses uses;      // where the next tile begins; joint: the last use
  Value queryUse; // of the next tile
  Value out;
  Carried carried;
  SmallVector<Value> records, nextRecords;
};

class ComputerBuilder {
public:
  explicit ComputerBuilder(Stream &stream)
      : stream(stream), loc(stream.mmaTiles.getLoc()),
        b(stream.computer.getBody().front().getTerminator()),
        body(stream.mmaBlocks.getBody().front()) {}
  void build();

private:
  void findParts();
  Tile readRecord(Value use);
  Tile makeTile(ValueRange records, Value queries);
  Value waitQueries(Value use);
  Value startScores(Value queries, Value use);
  Places::Listed readElement(Tile &tile, Value use);
  bool isJoint() const { return bool(stream.mmaBlocks.getQueryTile()); }
  /// The use of a tile's first block, of the last block so far, and what
  /// follows the first block.
  Value firstUse(const Uses &uses, Tile &tile);
  Value lastUse(const Uses &uses) {
    return isJoint() ? uses.last : add(uses.base, -1);
  }
  Uses usesBehind(const Uses &uses, Value first, Value link);
  Value startOutputs(Value out, Value weights, Value use);
  Value awaitResult(Value pending, Value held = Value());
  void turn(StringRef kind);
  void readDiagonal(Tile &tile, Value use);
  void release(ChannelOp channel, Value use) {
    ReleaseOp::create(b, loc, channel, use);
  }
  /// The body of a block but for its products, up to the outputs' await.
  Slice cloneUpdate(Tile &tile, Value scores, Places::Block block,
                    ArrayRef<Value> state);
  /// What follows that await: the outputs rescaled, the weights packed.
  std::pair<Value, Carried> finishUpdate(Slice slice, Value out);
  Slice startFirst(Tile &tile, Value scores, Value use, Value &link);
  Carried finishFirst(Slice slice);
  void finishTile(Tile &tile, Value out, ArrayRef<Value> state);
  SmallVector<Value> initialState(Tile &tile);
  void computeFloats(Tile &tile);
  SmallVector<Value> runBlocks(Tile &tile, const Uses &uses,
                               const Carried &carried);
  Begun restoreBegun(ValueRange x) const;
  Ended restoreEnded(ValueRange x) const;
  /// The other blocks of a tile; whether another one follows, and an `Ended`.
  std::pair<Value, SmallVector<Value>> runTile(const Begun &begun);
  /// The next tile's first block, then this tile's results.
  Begun beginNext(const Ended &ended);
  void finishLast(const Ended &ended);

  Value add(Value value, int64_t amount) {
    Scalars s(b, loc);
    return amount < 0 ? s.sub(value, s.index(-amount))
                      : s.add(value, s.index(amount));
  }

  Stream &stream;
  Location loc;
  OpBuilder b;
  Block &body;
  MmaOp scores, outputs;
  DiagonalReadOp diagonal;
  /// Ops that wait for the outputs of the block before.
  SmallVector<Operation *> late;
  /// Position of the outputs among the loop's carried values.
  unsigned outIndex = 0;
  /// How many values a `Carried` and a record are.
  size_t states = 0, records = 0;
};
} // namespace

void ComputerBuilder::findParts() {
  for (auto mma : body.getOps<MmaOp>())
    (mma.getTransposed() ? scores : outputs) = mma;
  for (auto read : body.getOps<DiagonalReadOp>())
    diagonal = read;
  auto yield = cast<YieldOp>(body.getTerminator());
  outIndex = llvm::find(yield.getResults(), outputs.getResult()) -
             yield.getResults().begin();
  for (Operation &op : body) {
    auto rescale = dyn_cast<RescaleOp>(op);
    bool ofOutputs =
        rescale && rescale.getSource() == body.getArgument(3 + outIndex);
    if (ofOutputs || isa<ConvertOp>(op))
      late.push_back(&op);
  }
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

Tile ComputerBuilder::makeTile(ValueRange records, Value queries) {
  Tile tile{SmallVector<Value>(records), Slice(stream.mmaTiles), Places(),
            queries};
  Slice scratch(stream.mmaTiles);
  for (auto [value, record] : llvm::zip(stream.records, records.drop_front())) {
    tile.slice.set(value, record);
    scratch.set(value, record);
  }
  tile.places = Places::restore(b, stream.mmaBlocks, stream.facts, scratch,
                                records.drop_front(1 + stream.records.size()));
  if (stream.origin)
    tile.slice.set(stream.origin, tile.places.origin);
  return tile;
}

Tile ComputerBuilder::readRecord(Value use) {
  int64_t own = isJoint() ? Places::kOwn : 0;
  SmallVector<Type> types(stream.q.getChannel().getType().getRecords() -
                              (stream.schedule.getGroups() - 1) * own,
                          b.getIndexType());
  auto record = RecordOp::create(b, loc, types, stream.q, use, own);
  return makeTile(record.getRecords(), Value());
}

Value ComputerBuilder::waitQueries(Value use) {
  return WaitOp::create(b, loc, stream.q.getChannel().getType().getTileType(),
                        stream.q, use);
}

void ComputerBuilder::finishTile(Tile &tile, Value out, ArrayRef<Value> state) {
  Slice slice = tile.slice;
  unsigned next = 0;
  for (auto [index, result] : llvm::enumerate(stream.mmaBlocks.getResults()))
    slice.set(result, index == outIndex ? out : state[next++]);
  for (Operation &op : stream.mmaTiles.getBody().front())
    if (isa<StoreTileOp, StoreRowsOp>(op))
      slice.clone(b, &op);
}

SmallVector<Value> ComputerBuilder::initialState(Tile &tile) {
  SmallVector<Value> state;
  for (auto [index, init] : llvm::enumerate(stream.mmaBlocks.getInits()))
    if (index != outIndex)
      state.push_back(tile.slice.get(b, init));
  return state;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value ComputerBuilder::startScores(Value queries, Value use) {
  Value keys = WaitOp::create(
      b, loc, stream.k.getChannel().getType().getTileType(), stream.k, use);
  turn("take");
  return MmaStartOp::create(
      b, loc, PendingType::get(b.getContext(), scores.getType()), queries, keys,
      /*acc=*/Value(), /*keys=*/Value(), b.getUnitAttr());
}

/// What the loader says of a listed block beside its keys; null where the order
/// says it.
Places::Listed ComputerBuilder::readElement(Tile &tile, Value use) {
  if (!tile.places.isListed())
    return {};
  SmallVector<Type> types(isJoint() ? 2 : 1, b.getIndexType());
  auto record =
      RecordOp::create(b, loc, types, stream.k, use, /*own=*/isJoint());
  return {record.getRecords().front(),
          isJoint() ? record.getRecords().back() : Value()};
}

Value ComputerBuilder::firstUse(const Uses &uses, Tile &tile) {
  return isJoint() ? Scalars(b, loc).add(uses.base, tile.places.start)
                   : uses.base;
}

Uses ComputerBuilder::usesBehind(const Uses &uses, Value first, Value link) {
  if (!isJoint())
    return {add(first, 1), {}, {}};
  return {uses.base, first,
          Scalars(b, loc).add(first, Places::distance(b, link))};
}

Value ComputerBuilder::startOutputs(Value out, Value weights, Value use) {
  Value values = WaitOp::create(
      b, loc, stream.v.getChannel().getType().getTileType(), stream.v, use);
  return MmaStartOp::create(b, loc,
                            PendingType::get(b.getContext(), outputs.getType()),
                            weights, values, out, /*keys=*/Value(), UnitAttr());
}

Value ComputerBuilder::awaitResult(Value pending, Value held) {
  Type type = cast<PendingType>(pending.getType()).getResult();
  return AwaitOp::create(b, loc, type, pending, held, IntegerAttr());
}

void ComputerBuilder::turn(StringRef kind) {
  if (stream.schedule.getPingPong())
    TurnOp::create(b, loc, b.getStringAttr(kind));
}

/// Sets the diagonal's values of a use, which the next block reads.
void ComputerBuilder::readDiagonal(Tile &tile, Value use) {
  if (diagonal)
    tile.slice.set(
        diagonal.getResult(),
        DiagonalReadOp::create(b, loc, diagonal.getType(), stream.k, use));
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

Slice ComputerBuilder::cloneUpdate(Tile &tile, Value scoresValue,
                                   Places::Block block, ArrayRef<Value> state) {
  Slice slice = tile.slice;
  slice.set(body.getArgument(0), block.n0);
  slice.set(body.getArgument(1), block.count);
  slice.set(body.getArgument(2), block.isVisible);
  unsigned next = 0;
  for (auto [index, argument] :
       llvm::enumerate(body.getArguments().drop_front(3)))
    if (index != outIndex)
      slice.set(argument, state[next++]);
  slice.set(scores.getResult(), scoresValue);
  for (Operation &op : body.without_terminator()) {
    bool isElsewhere = isa<WaitOp, ReleaseOp, MmaOp, DiagonalReadOp>(op);
    if (isElsewhere || llvm::is_contained(late, &op))
      continue;
    Operation *clone = slice.clone(b, &op);
    if (auto mask = dyn_cast<MaskOp>(clone))
      mask.getFullMutable().assign(block.full);
  }
  return slice;
}

std::pair<Value, Carried> ComputerBuilder::finishUpdate(Slice slice,
                                                        Value out) {
  slice.set(body.getArgument(3 + outIndex), out);
  for (Operation *op : late)
    slice.clone(b, op);
  Carried carried;
  carried.weights = slice.get(b, outputs.getLhs());
  for (auto [index, value] :
       llvm::enumerate(body.getTerminator()->getOperands()))
    if (index != outIndex)
      carried.state.push_back(slice.get(b, value));
  return {slice.get(b, outputs.getAcc()), carried};
}

/// The first block of a tile up to the outputs' await: its outputs are zero so
/// far, but those of the tile before may be in flight, and the weights that
/// they are made of in the registers that this block's go to.
Slice ComputerBuilder::startFirst(Tile &tile, Value scoresValue, Value use,
                                  Value &link) {
  Places::Listed listed = readElement(tile, use);
  link = listed.link;
  Places::Block block = tile.places.first(b, listed);
  readDiagonal(tile, use);
  release(stream.k, use);
  return cloneUpdate(tile, scoresValue, block, initialState(tile));
}

Carried ComputerBuilder::finishFirst(Slice slice) {
  Value none = ZeroOp::create(b, loc, outputs.getType());
  return finishUpdate(slice, none).second;
}

/// Floats of a tile that its blocks read, captures among them, before the loop.
void ComputerBuilder::computeFloats(Tile &tile) {
  Region *region = &stream.mmaTiles.getBody();
  body.walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (isa<FloatType>(operand.getType()) &&
          operand.getParentRegion() == region)
        tile.slice.get(b, operand);
  });
}

/// The outputs, what the last block left and, of a joint list, its use.
SmallVector<Value> ComputerBuilder::runBlocks(Tile &tile, const Uses &uses,
                                              const Carried &carried) {
  computeFloats(tile);
  SmallVector<Value> inits{ZeroOp::create(b, loc, outputs.getType())};
  llvm::append_range(inits, carried.flat());
  size_t width = inits.size();
  if (isJoint())
    inits.append({uses.last, uses.next});
  SmallVector<Value> done = createFor(
      b, loc, Scalars(b, loc).index(1), tile.places.total, inits,
      [&](OpBuilder &inner, Value place, ValueRange x) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        Carried previous = Carried::of(x.slice(1, width - 1));
        Value keyUse = isJoint()
                           ? x[width + 1]
                           : add(Scalars(b, loc).add(uses.base, place), -1);
        Value valueUse = isJoint() ? x[width] : add(keyUse, -1);
        Value pendingScores = startScores(tile.queries, keyUse);
        Value pendingOut = startOutputs(x[0], previous.weights, valueUse);
        turn("pass");
        // Three groups have not the registers to read early.
        bool early = stream.schedule.getGroups() < 3;
        if (early)
          readDiagonal(tile, keyUse);
        Value scoresValue = awaitResult(pendingScores);
        if (!early)
          readDiagonal(tile, keyUse);
        Places::Listed listed = readElement(tile, keyUse);
        Places::Block block = tile.places.at(b, place, listed);
        release(stream.k, keyUse);
        Slice slice = cloneUpdate(tile, scoresValue, block, previous.state);
        Value out = awaitResult(pendingOut, previous.weights);
        release(stream.v, valueUse);
        auto [scaled, next] = finishUpdate(slice, out);
        SmallVector<Value> results{scaled};
        llvm::append_range(results, next.flat());
        if (isJoint()) {
          Uses behind = usesBehind(uses, keyUse, listed.link);
          results.append({behind.last, behind.next});
        }
        inner.restoreInsertionPoint(b.saveInsertionPoint());
        return results;
      });
  done.truncate(isJoint() ? width + 1 : width);
  return done;
}

Begun ComputerBuilder::restoreBegun(ValueRange x) const {
  size_t counters = isJoint() ? 3 : 1;
  ValueRange rest = x.drop_front(counters);
  return {Uses::of(x.take_front(counters)), rest[0], rest[1],
          Carried::of(rest.slice(2, states)), x.take_back(records)};
}

Ended ComputerBuilder::restoreEnded(ValueRange x) const {
  ValueRange rest = x.drop_front(isJoint() ? 2 : 1);
  return {{x[0], isJoint() ? x[1] : Value(), {}},
          rest[0],
          rest[1],
          Carried::of(rest.slice(2, states)),
          rest.slice(2 + states, records),
          x.take_back(records)};
}

std::pair<Value, SmallVector<Value>>
ComputerBuilder::runTile(const Begun &begun) {
  Tile tile = makeTile(begun.records, begun.queries);
  SmallVector<Value> done = runBlocks(tile, begun.uses, begun.carried);
  release(stream.q, begun.queryUse);
  Value nextUse = add(begun.queryUse, 1);
  Tile next = readRecord(nextUse);
  Scalars s(b, loc);
  Value live =
      s.cmp(arith::CmpIPredicate::ne, next.records.front(), s.index(0));
  SmallVector<Value> passed;
  if (isJoint())
    passed = {s.add(begun.uses.base, tile.places.uses), done.pop_back_val()};
  else
    passed = {add(s.add(begun.uses.base, tile.places.total), -1)};
  passed.push_back(nextUse);
  llvm::append_range(passed, done);
  llvm::append_range(passed, tile.records);
  llvm::append_range(passed, next.records);
  return {live, passed};
}

Begun ComputerBuilder::beginNext(const Ended &ended) {
  // Where the weights of this tile's last block are in the registers that the
  // next tile's go to, ptxas serialises the products (version 13.0 at D 256 and
  // in kernels that read lengths) or spills.
  bool packsEarly = stream.v.getChannel().getType().getColumns() < 256 &&
                    !stream.mmaBlocks.getList() &&
                    !stream.mmaBlocks.getCutFront();
  Tile next = makeTile(ended.nextRecords, waitQueries(ended.queryUse));
  Value use = firstUse(ended.uses, next), link;
  Value pendingScores = startScores(next.queries, use);
  Value before = lastUse(ended.uses);
  Value pendingOut = startOutputs(ended.out, ended.carried.weights, before);
  turn("pass");
  Value scoresValue = awaitResult(pendingScores);
  Slice slice = startFirst(next, scoresValue, use, link);
  Carried carried;
  if (packsEarly)
    carried = finishFirst(slice);
  Value out = awaitResult(pendingOut, ended.carried.weights);
  release(stream.v, before);
  if (!packsEarly)
    carried = finishFirst(slice);
  Tile old = makeTile(ended.records, Value());
  finishTile(old, out, ended.carried.state);
  return {usesBehind(ended.uses, use, link), ended.queryUse, next.queries,
          carried, next.records};
}

void ComputerBuilder::finishLast(const Ended &ended) {
  Value before = lastUse(ended.uses);
  turn("take");
  Value pending = startOutputs(ended.out, ended.carried.weights, before);
  turn("pass");
  Value out = awaitResult(pending, ended.carried.weights);
  release(stream.v, before);
  Tile tile = makeTile(ended.records, Value());
  finishTile(tile, out, ended.carried.state);
}

void ComputerBuilder::build() {
  findParts();
  Value zero = Scalars(b, loc).index(0);
  Tile first = readRecord(zero);
  first.queries = waitQueries(zero);
  Value use = firstUse({zero, {}, {}}, first), link;
  Value pending = startScores(first.queries, use);
  turn("pass");
  Value scoresValue = awaitResult(pending);
  Carried carried = finishFirst(startFirst(first, scoresValue, use, link));
  states = carried.flat().size();
  records = first.records.size();
  Begun begun{usesBehind({zero, {}, {}}, use, link), zero, first.queries,
              carried, first.records};
  SmallVector<Value> last = createWhile(
      b, loc, begun.flat(),
      [&](OpBuilder &, ValueRange x) { return runTile(restoreBegun(x)); },
      [&](OpBuilder &, ValueRange x) {
        return beginNext(restoreEnded(x)).flat();
      });
  finishLast(restoreEnded(last));
}

void mlir::attn_gpu::flattenComputer(Stream &stream) {
  ComputerBuilder(stream).build();
}
