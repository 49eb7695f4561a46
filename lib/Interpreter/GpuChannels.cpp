//===- GpuChannels.cpp - Where coroutines of level 3 meet -----------------===//
//
// A slot has two barriers. Each knows one bit of how many of its phases have
// ended; a wait gives the bit of the phase that it wants and passes while the
// barrier's bit says so, right or wrong. The interpreter counts phases in full
// and so sees a wait that passes for a phase of another use.
//
//===----------------------------------------------------------------------===//

#include "GpuEngine.h"

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::attn_gpu;

std::string GpuChannel::name(int64_t use) const {
  return llvm::formatv("channel '{0}' (slot {1})",
                       ChannelOp(op).getLabel().str(), use % stages());
}

static Value channelOf(Operation *op) { return op->getOperand(0); }

/// What the blocks of a cluster have copied of one tile: each its half.
static MatrixRef joinParts(ChannelType type,
                           const std::array<MatrixRef, 2> &parts) {
  if (!parts[0]) // a run without data
    return nullptr;
  const GpuMatrix &first = *parts[0], &second = *parts[1];
  auto joined = std::make_shared<GpuMatrix>(first);
  for (int64_t row = 0; row < first.rows; ++row)
    for (int64_t column = 0; column < first.columns; ++column) {
      if (row < type.getPartRows() && column < type.getPartColumns())
        continue;
      size_t at = row * first.columns + column;
      joined->data[at] = second.data[at];
    }
  return joined;
}

void GpuState::land(size_t position) {
  GpuCopy copy = copies[position];
  copies.erase(copies.begin() + position);
  GpuChannel &ring = channels[copy.channel];
  GpuSlot &slot = ring.slot(copy.use);
  if (ring.cluster > 1) {
    slot.parts[copy.part] = copy.contents;
    slot.landed |= 1u << copy.part;
    if (llvm::popcount(slot.landed) < ring.cluster)
      return;
    slot.landed = 0;
    copy.contents = joinParts(ChannelOp(ring.op).getType(), slot.parts);
  }
  slot.contents = copy.contents;
  ++ring.fullPhases(copy.use);
}

int64_t GpuState::channelOf(int64_t block, int64_t channel) const {
  int64_t perBlock = channels.size() / kernels.size();
  return block * perBlock + channel % perBlock;
}

/// The use that an op names, or the coroutine's next one.
int64_t GpuCoroutine::getUse(const GpuState &state, Operation *op) const {
  int64_t channel = getGpu(channelOf(op)).channel;
  auto reading = readings.find(channel);
  auto named = [&](Value use, int64_t otherwise) {
    return use ? getInt(use) : otherwise;
  };
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case<FillOp>([&](auto op) {
        return named(op.getUse(), state.channels[channel].nextFill);
      })
      .Case<WaitOp>([&](auto op) {
        return named(op.getUse(),
                     reading == readings.end() ? 0 : reading->second.next);
      })
      .Case<ReleaseOp>([&](auto op) {
        bool holds = reading != readings.end() && !reading->second.held.empty();
        return named(op.getUse(),
                     holds ? reading->second.held.begin()->first : 0);
      })
      .Case<DiagonalReadOp>([&](auto op) {
        return named(op.getUse(),
                     reading == readings.end() ? 0 : reading->second.next - 1);
      })
      .Case<PublishOp, RecordOp>([&](auto op) { return getInt(op.getUse()); });
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

std::string GpuCoroutine::fillWaitsFor(const GpuState &state, int64_t channel,
                                       int64_t use) const {
  const GpuChannel &ring = state.channels[channel];
  const GpuSlot &slot = ring.slot(use);
  int64_t round = use / ring.stages();
  // The first round waits for the phase before the first, which counts as over.
  if ((slot.freePhases & 1) == (round & 1))
    return {};
  std::string who;
  for (int64_t i = 0; i < ring.cluster; ++i)
    for (int64_t reader = 0; reader < state.groups[block]; ++reader)
      if (!(slot.arrivals >> (i * kReadersOfBlock + reader) & 1))
        who += (who.empty() ? "" : ", ") + ("mma #" + std::to_string(reader)) +
               (i == block % ring.cluster ? "" : " of the other block");
  return llvm::formatv("waits for the release of use {0} of {1} by {2}",
                       slot.use, ring.name(use), who);
}

/// Whether an op of the loading role is the business of another of its warps.
bool GpuCoroutine::isElsewhere(Operation *op) const {
  if (auto fill = dyn_cast<FillOp>(op))
    return int64_t(fill.getWarp()) != group;
  return isa<PublishOp>(op) && group != 0;
}

std::string GpuCoroutine::waitsFor(const GpuState &state) const {
  Operation *op = nextOp();
  if (isElsewhere(op))
    return {};
  if (isa<TileShareOp>(op) && isTold() &&
      shared == int64_t(state.shared[block - 1].size()))
    return "waits for the tile that the other block takes";
  if (isa<TileFetchOp>(op) && group != 0 &&
      told == int64_t(state.fetched[block].size()))
    return "waits for the tile that the first warp takes";
  if (auto turn = dyn_cast<TurnOp>(op)) {
    bool free = state.turns[block] == group && !state.turnHeld[block];
    if (turn.getKind() == "pass" || free || hasTurn)
      return {};
    return llvm::formatv("waits for its turn, which mma #{0} has",
                         state.turns[block]);
  }
  if (!isa<FillOp, PublishOp, WaitOp, RecordOp>(op))
    return {};
  int64_t channel = getGpu(channelOf(op)).channel, use = getUse(state, op);
  if (use < 0)
    return {};
  if (isa<FillOp, PublishOp>(op))
    return fillWaitsFor(state, channel, use);
  const GpuChannel &ring = state.channels[channel];
  if ((ring.fullPhases(use) & 1) != (ring.phase(use) & 1))
    return {};
  return llvm::formatv("waits for use {0} of {1}", use, ring.name(use));
}

//===----------------------------------------------------------------------===//
// Meeting
//===----------------------------------------------------------------------===//

void GpuCoroutine::remember(uint64_t value) {
  hash = llvm::hash_combine(hash, value);
}

LogicalResult GpuCoroutine::meet(GpuState &state) {
  Operation *op = nextOp();
  skip();
  remember(0);
  if (isElsewhere(op))
    return success();
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<FillOp>([&](auto op) { return meetFill(state, op); })
      .Case<PublishOp>([&](auto op) { return meetPublish(state, op); })
      .Case<WaitOp, RecordOp>([&](auto op) { return meetReader(state, op); })
      .Case<ReleaseOp>([&](auto op) { return meetRelease(state, op); })
      .Case<TurnOp>([&](auto op) { return meetTurn(state, op); })
      .Case<TileFetchOp>([&](auto op) { return meetFetch(state, op); })
      .Case<TileShareOp>([&](auto op) { return meetShare(state, op); })
      .Default([&](Operation *op) {
        return op->emitError() << "'" << op->getName() << "' inside a role";
      });
}

/// The loader's side of a use, after its wait.
LogicalResult GpuCoroutine::beginUse(GpuState &state, Operation *op,
                                     int64_t channel, int64_t use,
                                     ValueRange records) {
  GpuChannel &ring = state.channels[channel];
  if (use < 0)
    return op->emitError() << "use " << use << " of channel '"
                           << ring.op.getLabel() << "' does not exist";
  GpuSlot &slot = ring.slot(use);
  int64_t round = use / ring.stages();
  if (slot.fills > slot.freePhases)
    return op->emitError() << name() << " fills use " << use << " of "
                           << ring.name(use) << " while use " << slot.use
                           << " there is not released";
  if (slot.fills != round)
    return op->emitError() << name() << " fills use " << use << " of "
                           << ring.name(use) << ", whose next use is "
                           << slot.fills * ring.stages() + use % ring.stages();
  ++slot.fills;
  slot.use = use;
  slot.hasTile = isa<FillOp>(op);
  slot.records.clear();
  for (Value record : records)
    slot.records.push_back(getInt(record));
  ring.nextFill = use + 1;
  return success();
}

/// The rows of a tile, in equal parts from where each begins.
FailureOr<MatrixRef> GpuCoroutine::readParts(FillOp op, ChannelType type) {
  int64_t length = type.getRows() / op.getRows().size();
  std::vector<float> data;
  for (Value row : op.getRows()) {
    FailureOr<MatrixRef> part =
        readRows(op, op.getView(), getInt(row), length, type.getColumns(),
                 type.getElementType());
    if (failed(part) || !*part)
      return part;
    data.insert(data.end(), (*part)->data.begin(), (*part)->data.end());
  }
  auto all = std::make_shared<GpuMatrix>(type.getRows(), type.getColumns());
  all->data = std::move(data);
  return MatrixRef(all);
}

LogicalResult GpuCoroutine::meetFill(GpuState &state, FillOp op) {
  GpuCopy copy;
  copy.channel = getGpu(op.getChannel()).channel;
  copy.use = getUse(state, op);
  if (failed(beginUse(state, op, copy.channel, copy.use, op.getRecords())))
    return failure();
  ChannelType type = op.getChannel().getType();
  FailureOr<MatrixRef> contents = readParts(op, type);
  if (failed(contents))
    return failure();
  copy.contents = *contents;
  for (auto [group, reader] : llvm::enumerate(op.getReaders()))
    if (getInt(reader) == 0) {
      arrive(state, copy.channel, copy.use, group);
      ++state.channels[copy.channel].skipped[group];
    }
  // Neither the old contents nor the new until the copy has ended.
  GpuSlot &slot = state.channels[copy.channel].slot(copy.use);
  slot.contents = nullptr;
  slot.diagonal = nullptr;
  if (gpu->data && !op.getDiagonal().empty()) {
    // The notes are the reader's to make.
    std::vector<NoteInfo> own;
    own.swap(notes);
    FailureOr<MatrixRef> diagonal = evaluateDiagonal(
        op, op.getDiagonal(), type.getDiagonalType(),
        getInt(op.getOrigins()[0]), getInt(op.getOrigins()[1]));
    own.swap(notes);
    if (failed(diagonal))
      return failure();
    slot.diagonal = *diagonal;
    slot.diagonalNotes = std::move(own);
  }
  copyToAll(state, std::move(copy));
  return success();
}

/// A copy to the block's own slot, or to those of all blocks of a cluster.
void GpuCoroutine::copyToAll(GpuState &state, GpuCopy copy) {
  int64_t cluster = state.channels[copy.channel].cluster;
  int64_t first = block - block % cluster;
  copy.part = block % cluster;
  for (int64_t to = first; to < first + cluster; ++to) {
    copy.channel = state.channelOf(to, copy.channel);
    state.copies.push_back(copy);
  }
}

LogicalResult GpuCoroutine::meetPublish(GpuState &state, PublishOp op) {
  int64_t channel = getGpu(op.getChannel()).channel;
  int64_t use = getUse(state, op);
  if (failed(beginUse(state, op, channel, use, op.getRecords())))
    return failure();
  ++state.channels[channel].fullPhases(use);
  return success();
}

LogicalResult GpuCoroutine::meetReader(GpuState &state, Operation *op) {
  int64_t channel = getGpu(channelOf(op)).channel, use = getUse(state, op);
  GpuChannel &ring = state.channels[channel];
  if (use < 0)
    return op->emitError() << "use " << use << " of channel '"
                           << ring.op.getLabel() << "' does not exist";
  GpuSlot &slot = ring.slot(use);
  GpuReading &reading = readings[channel];
  bool held = reading.held.count(use);
  if (!held && use < reading.released)
    return op->emitError() << name() << " waits for use " << use << " of "
                           << ring.name(use) << " after its release";
  if (ring.fullPhases(use) != ring.phase(use) + 1) {
    InFlightDiagnostic diag = op->emitError()
                              << name() << " reads use " << use << " of "
                              << ring.name(use) << ", which is not there: ";
    if (slot.use < 0)
      diag << "nothing is";
    else
      diag << "the slot has use " << slot.use
           << ", and the barrier's parity is the same";
    return diag;
  }
  if (!held && (slot.arrivals >> readerOf(ring, group) & 1))
    return op->emitError() << name() << " reads use " << use << " of "
                           << ring.name(use) << ", whose reader it is not";
  if (!held) {
    ++reading.count;
    reading.held[use] = op;
  }
  reading.next = std::max(reading.next, use + 1);
  if (auto record = dyn_cast<RecordOp>(op)) {
    // The group's own follow those for all and those of the groups before.
    size_t results = record.getNumResults(), own = record.getOwn();
    for (auto [index, result] : llvm::enumerate(record.getRecords())) {
      size_t before = index < results - own ? 0 : group * own;
      int64_t value = slot.records[before + index];
      set(result, ScalarValue::ofInt(value));
      remember(value);
    }
    return success();
  }
  if (!slot.hasTile)
    return op->emitError() << "use " << use << " of " << ring.name(use)
                           << " was published without a tile";
  GpuValue tile;
  tile.channel = channel;
  tile.use = use;
  set(op->getResult(0), std::make_shared<const GpuValue>(std::move(tile)));
  return success();
}

/// Whether a product still reads a slot's tile.
static bool reads(const OnlineValue &operand, int64_t channel, int64_t use) {
  auto *value = std::get_if<GpuValueRef>(&operand);
  return value && (*value)->channel == channel && (*value)->use == use;
}

LogicalResult GpuCoroutine::meetRelease(GpuState &state, ReleaseOp op) {
  int64_t channel = getGpu(op.getChannel()).channel, use = getUse(state, op);
  GpuChannel &ring = state.channels[channel];
  GpuReading &reading = readings[channel];
  auto held = reading.held.find(use);
  if (held == reading.held.end())
    return op.emitError() << name() << " releases use " << use
                          << " of channel '" << ring.op.getLabel()
                          << (use < reading.released
                                  ? "' twice"
                                  : "', which it has not waited for");
  for (GpuProduct &product : products)
    if (!product.done && (reads(product.lhs, channel, use) ||
                          reads(product.rhs, channel, use))) {
      InFlightDiagnostic diag = op.emitError()
                                << name() << " releases use " << use << " of "
                                << ring.name(use)
                                << " while a product in flight reads it";
      diag.attachNote(product.op.getLoc()) << "started here";
      return diag;
    }
  reading.held.erase(held);
  reading.released = std::max(reading.released, use + 1);
  arrive(state, channel, use, group);
  return success();
}

/// A group, or the loading role for one that does not read, gives a use back.
void GpuCoroutine::arrive(GpuState &state, int64_t channel, int64_t use,
                          int64_t reader) {
  int64_t cluster = state.channels[channel].cluster;
  int64_t first = block - block % cluster;
  for (int64_t to = first; to < first + cluster; ++to) {
    GpuChannel &ring = state.channels[state.channelOf(to, channel)];
    GpuSlot &slot = ring.slot(use);
    slot.arrivals |= 1u << readerOf(ring, reader);
    if (llvm::popcount(slot.arrivals) == cluster * state.groups[block]) {
      slot.arrivals = 0;
      ++slot.freePhases;
    }
  }
}

/// Which of a slot's readers a group of this block is.
int64_t GpuCoroutine::readerOf(const GpuChannel &channel,
                               int64_t reader) const {
  return block % channel.cluster * kReadersOfBlock + reader;
}

LogicalResult GpuCoroutine::meetTurn(GpuState &state, TurnOp op) {
  bool take = op.getKind() == "take";
  if (take == hasTurn)
    return op.emitError() << name()
                          << (take ? " takes a turn that it has"
                                   : " passes a turn that it has not");
  hasTurn = take;
  state.turnHeld[block] = take;
  if (!take)
    state.turns[block] = (group + 1) % state.groups[block];
  return success();
}

LogicalResult GpuCoroutine::meetFetch(GpuState &state, TileFetchOp op) {
  std::vector<int64_t> &fetched = state.fetched[block];
  if (group != 0) {
    if (told + kToldTiles < int64_t(fetched.size()))
      return op.emitError() << name() << " is more than " << kToldTiles
                            << " tiles behind the first warp";
    int64_t tile = fetched[told++];
    set(op, ScalarValue::ofInt(tile));
    remember(tile);
    return success();
  }
  int64_t tiles = getInt(op.getTiles()), cluster = op.getCluster();
  if (tiles % cluster != 0)
    return op.emitError() << "takes " << cluster << " tiles at a time, of "
                          << tiles;
  if (block % cluster != 0) {
    set(op, ScalarValue::ofInt(-1));
    return success();
  }
  int64_t old = state.counter++;
  // Who takes the last number leaves zero for the next launch.
  if (old == tiles / cluster - 1)
    state.counter = 0;
  state.fetch = op;
  int64_t tile = old * cluster + gpu->blocks;
  fetched.push_back(tile);
  set(op, ScalarValue::ofInt(tile));
  remember(tile);
  return success();
}

/// A cluster's first block tells, the other one is told.
LogicalResult GpuCoroutine::meetShare(GpuState &state, TileShareOp op) {
  int64_t number = getInt(op.getNumber());
  if (number != shared + 1)
    return op.emitError() << name() << " shares tile " << number
                          << ", the next one is " << shared + 1;
  if (!isTold()) {
    state.shared[block].push_back(getInt(op.getFetched()));
    set(op, ScalarValue::ofInt(state.shared[block][shared++]));
    return success();
  }
  const std::vector<int64_t> &all = state.shared[block - 1];
  if (shared + kSharedTiles < int64_t(all.size()))
    return op.emitError() << name() << " is more than " << kSharedTiles
                          << " tiles behind the first block";
  int64_t tile = all[shared++] + 1;
  set(op, ScalarValue::ofInt(tile));
  remember(tile);
  return success();
}

//===----------------------------------------------------------------------===//
// The end of a role
//===----------------------------------------------------------------------===//

LogicalResult GpuCoroutine::checkEnd(const GpuState &state) {
  if (hasTurn)
    return role.emitError() << name() << " ends with a turn that it has taken";
  for (auto &[index, reading] : readings)
    for (auto [use, op] : reading.held)
      // What ends the stream need not come back.
      if (state.channels[index].slot(use).hasTile)
        return op->emitError()
               << name() << " ends without the release of use " << use << " of "
               << state.channels[index].name(use);
  return success();
}

LogicalResult GpuCoroutine::checkUses(const GpuState &state) {
  if (role.getKind() != RoleKind::Mma)
    return success();
  for (auto [index, channel] : llvm::enumerate(state.channels)) {
    if (channel.block != block)
      continue;
    int64_t filled = -channel.skipped[group], read = readings[index].count;
    for (const GpuSlot &slot : channel.slots)
      filled += slot.fills;
    ChannelOp op = channel.op;
    if (read != filled)
      return op.emitError() << "the roles disagree on the uses of channel '"
                            << op.getLabel() << "': " << filled
                            << " were filled, " << name() << " read " << read;
  }
  return success();
}
