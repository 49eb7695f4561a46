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
  Value readOrigin(Tile &tile, Value use);
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
  Slice startFirst(Tile &tile, Value scores, Value use);
  Carried finishFirst(Slice slice);
  void finishTile(Tile &tile, Value out, ArrayRef<Value> state);
  SmallVector<Value> initialState(Tile &tile);
  void computeFloats(Tile &tile);
  SmallVector<Value> runBlocks(Tile &tile, Value use, const Carried &carried);

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
  return tile;
}

Tile ComputerBuilder::readRecord(Value use) {
  SmallVector<Type> types(stream.q.getChannel().getType().getRecords(),
                          b.getIndexType());
  auto record = RecordOp::create(b, loc, types, stream.q, use);
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
  return MmaStartOp::create(b, loc,
                            PendingType::get(b.getContext(), scores.getType()),
                            queries, keys, /*acc=*/Value(), b.getUnitAttr());
}

/// Where a listed block begins, as the loader says beside its keys; null
/// where the order says it.
Value ComputerBuilder::readOrigin(Tile &tile, Value use) {
  if (!tile.places.isListed())
    return {};
  return RecordOp::create(b, loc, b.getIndexType(), stream.k, use)
      .getRecords()
      .front();
}

Value ComputerBuilder::startOutputs(Value out, Value weights, Value use) {
  Value values = WaitOp::create(
      b, loc, stream.v.getChannel().getType().getTileType(), stream.v, use);
  return MmaStartOp::create(b, loc,
                            PendingType::get(b.getContext(), outputs.getType()),
                            weights, values, out, UnitAttr());
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
  slice.set(body.getArgument(2), block.full);
  unsigned next = 0;
  for (auto [index, argument] :
       llvm::enumerate(body.getArguments().drop_front(3)))
    if (index != outIndex)
      slice.set(argument, state[next++]);
  slice.set(scores.getResult(), scoresValue);
  for (Operation &op : body.without_terminator()) {
    bool isElsewhere = isa<WaitOp, ReleaseOp, MmaOp, DiagonalReadOp>(op);
    if (!isElsewhere && !llvm::is_contained(late, &op))
      slice.clone(b, &op);
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
Slice ComputerBuilder::startFirst(Tile &tile, Value scoresValue, Value use) {
  Places::Block block = tile.places.first(b, readOrigin(tile, use));
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

SmallVector<Value> ComputerBuilder::runBlocks(Tile &tile, Value use,
                                              const Carried &carried) {
  computeFloats(tile);
  SmallVector<Value> inits{ZeroOp::create(b, loc, outputs.getType())};
  llvm::append_range(inits, carried.flat());
  return createFor(b, loc, tile.places.total, inits,
                   [&](OpBuilder &inner, Value place, ValueRange x) {
                     OpBuilder::InsertionGuard guard(b);
                     b.restoreInsertionPoint(inner.saveInsertionPoint());
                     Carried previous = Carried::of(x.drop_front());
                     Value keyUse = add(Scalars(b, loc).add(use, place), -1);
                     Value valueUse = add(keyUse, -1);
                     Value pendingScores = startScores(tile.queries, keyUse);
                     Value pendingOut =
                         startOutputs(x[0], previous.weights, valueUse);
                     turn("pass");
                     // Three groups have not the registers to read early.
                     bool early = stream.schedule.getGroups() < 3;
                     if (early)
                       readDiagonal(tile, keyUse);
                     Value scoresValue = awaitResult(pendingScores);
                     if (!early)
                       readDiagonal(tile, keyUse);
                     Places::Block block =
                         tile.places.at(b, place, readOrigin(tile, keyUse));
                     release(stream.k, keyUse);
                     Slice slice =
                         cloneUpdate(tile, scoresValue, block, previous.state);
                     Value out = awaitResult(pendingOut, previous.weights);
                     release(stream.v, valueUse);
                     auto [scaled, next] = finishUpdate(slice, out);
                     SmallVector<Value> results{scaled};
                     llvm::append_range(results, next.flat());
                     inner.restoreInsertionPoint(b.saveInsertionPoint());
                     return results;
                   });
}

void ComputerBuilder::build() {
  findParts();
  Scalars s(b, loc);
  Value zero = s.index(0), one = s.index(1);
  Tile first = readRecord(zero);
  first.queries = waitQueries(zero);
  Value pending = startScores(first.queries, zero);
  turn("pass");
  Value scoresValue = awaitResult(pending);
  Carried carried = finishFirst(startFirst(first, scoresValue, zero));
  size_t records = first.records.size();

  // The next uses of K and of Q, the queries, what the first block left, the
  // record.
  SmallVector<Value> inits{one, zero, first.queries};
  llvm::append_range(inits, carried.flat());
  llvm::append_range(inits, first.records);
  size_t states = carried.flat().size();
  SmallVector<Value> last = createWhile(
      b, loc, inits,
      [&](OpBuilder &, ValueRange x) {
        Tile tile = makeTile(x.take_back(records), x[2]);
        SmallVector<Value> done =
            runBlocks(tile, x[0], Carried::of(x.slice(3, states)));
        release(stream.q, x[1]);
        Value nextUse = add(x[1], 1);
        Tile next = readRecord(nextUse);
        Scalars inner(b, loc);
        Value live = inner.cmp(arith::CmpIPredicate::ne, next.records.front(),
                               inner.index(0));
        SmallVector<Value> passed{add(inner.add(x[0], tile.places.total), -1),
                                  nextUse};
        llvm::append_range(passed, done);
        llvm::append_range(passed, tile.records);
        llvm::append_range(passed, next.records);
        return std::make_pair(live, passed);
      },
      [&](OpBuilder &, ValueRange x) {
        Tile next = makeTile(x.take_back(records), waitQueries(x[1]));
        Value pendingScores = startScores(next.queries, x[0]);
        Value lastUse = add(x[0], -1);
        Carried previous = Carried::of(x.slice(3, states));
        Value pendingOut = startOutputs(x[2], previous.weights, lastUse);
        turn("pass");
        Value scoresValue = awaitResult(pendingScores);
        Slice slice = startFirst(next, scoresValue, x[0]);
        Value out = awaitResult(pendingOut, previous.weights);
        release(stream.v, lastUse);
        Carried carried = finishFirst(slice);
        Tile old = makeTile(x.slice(3 + states, records), Value());
        finishTile(old, out, previous.state);
        SmallVector<Value> results{add(x[0], 1), x[1], next.queries};
        llvm::append_range(results, carried.flat());
        llvm::append_range(results, next.records);
        return results;
      });
  ValueRange x(last);
  Value lastUse = add(x[0], -1);
  Carried previous = Carried::of(x.slice(3, states));
  turn("take");
  Value pendingOut = startOutputs(x[2], previous.weights, lastUse);
  turn("pass");
  Value out = awaitResult(pendingOut, previous.weights);
  release(stream.v, lastUse);
  Tile old = makeTile(x.slice(3 + states, records), Value());
  finishTile(old, out, previous.state);
}

void mlir::attn_gpu::flattenComputer(Stream &stream) {
  ComputerBuilder(stream).build();
}
