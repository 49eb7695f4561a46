//===- Channels.cpp - Barriers, copies, records ---------------------------===//

#include "Kernel.h"
#include "llvm/Support/MathExtras.h"

using namespace fovea::gpu;

/// Barriers and records follow the tiles, in the order of the channels.
void KernelEmitter::layOutChannels() {
  int64_t offset =
      func->getAttrOfType<IntegerAttr>("attn_gpu.barriers").getInt();
  for (auto channel : func.getBody().front().getOps<ChannelOp>()) {
    ChannelInfo info;
    info.type = channel.getChannel().getType();
    int64_t stages = info.type.getStages();
    info.tiles = *channel.getOffset();
    info.full = offset;
    info.fullBarriers = stages * getFullBarriers(channel);
    info.empty = offset + 8 * info.fullBarriers;
    info.records = offset + llvm::alignTo(8 * (info.fullBarriers + stages), 16);
    info.diagonals =
        info.records + llvm::alignTo(info.type.getRecords() * 4, 16) * stages;
    offset = info.diagonals + info.type.getDiagonalBytes() * stages;
    loadsByWarp |= info.type.getDiagonal() != 0;
    for (Operation *user : channel->getUsers())
      info.hasEnd |= isa<PublishOp>(user);
    for (Operation *user : channel->getUsers())
      if (auto wait = dyn_cast<WaitOp>(user))
        for (OpOperand &use : wait->getUses()) {
          auto start = dyn_cast<MmaStartOp>(use.getOwner());
          info.isLhs |= start && use.get() == start.getLhs();
        }
    channels[channel.getChannel()] = info;
  }
}

/// A use's place in a ring, and the parity of the round.
std::pair<Value, Value> KernelEmitter::placeInRing(int64_t stages, Value use) {
  if (stages == 1)
    return {e.c(0), e.land(use, 1)};
  if (llvm::isPowerOf2_64(stages))
    return {e.land(use, stages - 1),
            e.land(e.lshr(use, llvm::Log2_64(stages)), 1)};
  Value round = e.udiv(use, e.c(stages));
  return {e.sub(use, e.mul(round, stages)), e.land(round, 1)};
}

std::pair<Value, Value> KernelEmitter::slotAndPhase(ChannelInfo &channel,
                                                    Value use) {
  return placeInRing(channel.type.getStages(), use);
}

/// The barrier that says that a use is full, and its parity.
std::pair<Value, Value> KernelEmitter::fullBarrier(ChannelInfo &channel,
                                                   Value use) {
  auto [place, phase] = placeInRing(channel.fullBarriers, use);
  return {address(channel.full, place, 8), phase};
}

Value KernelEmitter::address(int64_t offset, Value slot, int64_t stride) {
  Value base = e.add(smem, offset);
  if (llvm::isPowerOf2_64(stride))
    return e.add(base, e.shl(slot, llvm::Log2_64(stride)));
  return e.add(base, e.mul(slot, stride));
}

void KernelEmitter::waitBarrier(Value barrier, Value phase, StringRef scope) {
  e.assembly(("{\n.reg .pred p;\nWL:\nmbarrier.try_wait.parity" + scope +
              ".shared::cta.b64 p, [$0], $1;\n"
              "@p bra.uni WD;\nbra.uni WL;\nWD:\n}")
                 .str(),
             "r,r,~{memory}", {barrier, phase});
}

/// Coordinates of rows of one (batch, head) in a tensor map, whose copies clip
/// at the tensor's end.
FailureOr<Values> KernelEmitter::coordinates(Operation *op, online::ViewOp view,
                                             Value row, bool clips) {
  auto length = view.getLength()
                    ? view.getLength().getDefiningOp<memref::DimOp>()
                    : memref::DimOp();
  if (view.getIndices().size() != 2 || view.getPageTable() ||
      (view.getLength() && clips &&
       (!length || length.getConstantIndex() != 2)))
    return op->emitError("sm_90a kernels take whole sequences of (batch, head) "
                         "alone");
  Values list{e.c(0), known[row].value, e.c(0)};
  for (Value index : llvm::reverse(view.getIndices()))
    list.push_back(known[index].value);
  return list;
}

void KernelEmitter::writeRecords(ChannelInfo &channel, Value slot,
                                 ValueRange records) {
  int64_t bytes = llvm::alignTo(channel.type.getRecords() * 4, 16);
  Value base = address(channel.records, slot, bytes);
  for (size_t i = 0; i < records.size(); i += 4) {
    Values words{e.add(base, int64_t(4 * i))};
    for (size_t j = i; j < i + 4; ++j)
      words.push_back(j < records.size() ? known[records[j]].value : e.c(0));
    byOne("@p st.shared.v4.b32 [$0], {$1, $2, $3, $4};", "r,r,r,r,r", words);
  }
}

/// Runs instructions of the loading role in its first lane. They are
/// predicated,
/// `@p`, and their operands are $0, $1, …
void KernelEmitter::byOne(StringRef instructions, StringRef constraints,
                          ValueRange operands) {
  std::string text = instructions.str();
  Values all(operands);
  if (!loadsByWarp) {
    for (size_t at; (at = text.find("@p ")) != std::string::npos;)
      text.erase(at, 3);
    e.assembly(text, (constraints + ",~{memory}").str(), all);
    return;
  }
  text = "{\n.reg .pred p;\nsetp.eq.s32 p, $" + std::to_string(all.size()) +
         ", 0;\n" + text + "\n}";
  all.push_back(lane);
  e.assembly(text, (constraints + ",r,~{memory}").str(), all);
}

/// A cluster's blocks copy a part each, to the same place in all of them.
void KernelEmitter::startShare(ChannelType type, Value tile, Value map,
                               Values place, Value full) {
  int64_t bytes = type.getTileBytes() / type.getCluster();
  tile = e.add(tile, loadRank * bytes);
  if (type.halvesColumns())
    place[2] = e.c(loadRank * type.getPartColumns() / 64);
  else
    place[1] = e.add(place[1], loadRank * type.getPartRows());
  Values operands{tile, map};
  llvm::append_range(operands, place);
  operands.push_back(full);
  operands.push_back(e.c((1 << type.getCluster()) - 1, e.b.getI16Type()));
  byOne("@p cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::"
        "complete_tx::bytes.multicast::cluster [$0], "
        "[$1, {$2, $3, $4, $5, $6}], [$7], $8;",
        "r,l,r,r,r,r,r,r,h", operands);
}

void KernelEmitter::startCopy(ChannelType type, Value tile, Value map,
                              ArrayRef<Value> coordinates, Value full) {
  if (type.getCluster() > 1)
    return startShare(type, tile, map, Values(coordinates), full);
  Values operands{tile, map};
  llvm::append_range(operands, coordinates);
  operands.push_back(full);
  byOne("@p cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::"
        "complete_tx::bytes [$0], [$1, {$2, $3, $4, $5, $6}], [$7];",
        "r,l,r,r,r,r,r,r", operands);
}

/// The lane's values of a diagonal: every 32nd from its own on. Beyond the last
/// one there is room for more.
FailureOr<Values> KernelEmitter::evaluateDiagonal(FillOp op) {
  ChannelType type = op.getChannel().getType();
  Block &block = op.getDiagonal().front();
  Value first =
      e.sub(known[op.getOrigins()[0]].value, known[op.getOrigins()[1]].value);
  first = e.add(e.add(first, lane), 1 - type.getRows());
  Values values;
  for (int64_t i = 0; i < type.getDiagonalBytes() / 128; ++i) {
    known[block.getArgument(0)] =
        scalars.index(e.add(first, 32 * i), -kMaxPosition, kMaxPosition + 256);
    if (failed(emitBlock(block)))
      return failure();
    FailureOr<Scalar> value = scalarOf(block.getTerminator()->getOperand(0));
    if (failed(value))
      return failure();
    values.push_back(value->value);
  }
  return values;
}

/// The rows of a tile from one place in one copy, else each part's 64 columns
/// in one.
LogicalResult KernelEmitter::startCopies(FillOp op, Value tile, Value full) {
  ChannelType type = op.getChannel().getType();
  auto view = op.getView().getDefiningOp<online::ViewOp>();
  Value map = tensorMaps.at(tensorNumber(view.getSource()));
  int64_t parts = op.getRows().size();
  int64_t boxes = parts == 1 ? 1 : type.getColumns() / 64;
  for (auto [part, row] : llvm::enumerate(op.getRows())) {
    FailureOr<Values> place = coordinates(op, view, row);
    if (failed(place))
      return failure();
    for (int64_t box = 0; box < boxes; ++box) {
      (*place)[2] = e.c(box);
      int64_t rows = type.getRows() * box + type.getRows() / parts * part;
      startCopy(type, e.add(tile, 128 * rows), map, *place, full);
    }
  }
  return success();
}

LogicalResult KernelEmitter::emitFill(FillOp op) {
  if (int64_t(op.getWarp()) != loadWarp)
    return success();
  ChannelInfo &channel = channels[op.getChannel()];
  bool hasDiagonal = channel.type.getDiagonal() != 0;
  Values diagonal;
  if (hasDiagonal) {
    // Before the wait, so that its reads end in the meantime.
    FailureOr<Values> values = evaluateDiagonal(op);
    if (failed(values))
      return failure();
    diagonal = *values;
  }
  Value use = known[op.getUse()].value;
  auto [slot, phase] = slotAndPhase(channel, use);
  Value full = fullBarrier(channel, use).first;
  Value tile = address(channel.tiles, slot, channel.type.getTileBytes());
  Value bytes = e.c(channel.type.getTileBytes());
  waitBarrier(address(channel.empty, slot, 8), e.lxor(phase, e.c(1)));
  writeRecords(channel, slot, op.getRecords());
  if (!hasDiagonal) {
    byOne("@p mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r",
          {full, bytes});
    if (failed(startCopies(op, tile, full)))
      return failure();
    releaseForOthers(op, slot);
    return success();
  }
  // The copy is on its way before the values are there.
  byOne("@p mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [$0], $1;", "r,r",
        {full, bytes});
  if (failed(startCopies(op, tile, full)))
    return failure();
  Value base =
      address(channel.diagonals, slot, channel.type.getDiagonalBytes());
  base = e.add(base, e.shl(lane, 2));
  for (auto [index, value] : llvm::enumerate(diagonal))
    e.assembly("st.shared.f32 [$0], $1;", "r,f,~{memory}",
               {e.add(base, int64_t(128 * index)), value});
  e.assembly("bar.warp.sync 0xffffffff;", "~{memory}", {});
  byOne("@p mbarrier.arrive.shared::cta.b64 _, [$0];", "r", full);
  releaseForOthers(op, slot);
  return success();
}

/// Groups that do not read a use need not come for it: what their four warps
/// would do is done here.
void KernelEmitter::releaseForOthers(FillOp op, Value slot) {
  Value empty = address(channels[op.getChannel()].empty, slot, 8);
  for (Value reader : op.getReaders()) {
    Value isAway = e.zextTo32(
        e.icmp(LLVM::ICmpPredicate::eq, known[reader].value, e.c(0)));
    if (loadsByWarp)
      isAway = e.land(
          isAway, e.zextTo32(e.icmp(LLVM::ICmpPredicate::eq, lane, e.c(0))));
    e.assembly("{\n.reg .pred p;\nsetp.ne.s32 p, $1, 0;\n"
               "@p mbarrier.arrive.shared::cta.b64 _, [$0], 4;\n}",
               "r,r,~{memory}", {empty, isAway});
  }
}

void KernelEmitter::emitPublish(PublishOp op) {
  if (loadWarp != 0)
    return;
  ChannelInfo &channel = channels[op.getChannel()];
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  waitBarrier(address(channel.empty, slot, 8), e.lxor(phase, e.c(1)));
  writeRecords(channel, slot, op.getRecords());
  byOne("@p mbarrier.arrive.shared::cta.b64 _, [$0];", "r",
        fullBarrier(channel, known[op.getUse()].value).first);
}

/// Whether the tile of a record's use was waited for above it.
static bool waitsBefore(RecordOp record) {
  for (auto wait : record->getBlock()->getOps<WaitOp>())
    if (wait.getChannel() == record.getChannel() &&
        wait.getUse() == record.getUse())
      return wait->isBeforeInBlock(record);
  return false;
}

/// A reduction over the warp puts what all lanes read into uniform registers.
LogicalResult KernelEmitter::emitRecord(RecordOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  Value use = known[op.getUse()].value;
  Value slot = slotAndPhase(channel, use).first;
  if (!channel.hasEnd && !waitsBefore(op))
    return op.emitError("reads the records of a use that it has not waited "
                        "for in this block");
  if (channel.hasEnd) {
    auto [full, phase] = fullBarrier(channel, use);
    waitBarrier(full, phase);
  }
  int64_t bytes = llvm::alignTo(channel.type.getRecords() * 4, 16);
  Value base = address(channel.records, slot, bytes);
  size_t forAll = op.getNumResults() - op.getOwn();
  for (auto [index, record] : llvm::enumerate(op.getRecords())) {
    if (record.use_empty())
      continue;
    if (index == forAll)
      base = e.add(base, e.mul(group, int64_t(4 * op.getOwn())));
    Value value =
        e.assembly1("{\n.reg .b32 x;\nld.shared.b32 x, [$1];\n"
                    "redux.sync.max.u32 $0, x, 0xffffffff;\n}",
                    "=r,r,~{memory}", e.add(base, int64_t(4 * index)), e.i32);
    known[record] = scalars.index(value);
  }
  return success();
}

void KernelEmitter::emitWait(WaitOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  Value use = known[op.getUse()].value, slot = slotAndPhase(channel, use).first;
  // Where the stream may end, the records of the use have been read before, to
  // know that there is a tile.
  if (!channel.hasEnd) {
    auto [full, phase] = fullBarrier(channel, use);
    waitBarrier(full, phase);
  }
  Value descriptor = channel.descriptor;
  if (channel.type.getStages() > 1)
    descriptor = e.add(descriptor,
                       e.zext(e.mul(slot, channel.type.getTileBytes() >> 4)));
  registers[op] = {descriptor};
}

/// The thread's values in the order of Key for diagonals: of row − box from 1
/// down, each for both columns of a pair. All lanes read different banks.
void KernelEmitter::emitDiagonalRead(DiagonalReadOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  DiagvecType type = op.getType();
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  Value base =
      address(channel.diagonals, slot, channel.type.getDiagonalBytes());
  Value first = e.add(e.sub(row, column), type.getColumns() - 1);
  base = e.add(base, e.shl(first, 2));
  Values values;
  for (int64_t box = -1; box < type.getColumns() / 8; ++box)
    for (int64_t pair : {0, 1})
      values.push_back(e.assembly1("ld.shared.f32 $0, [$1+" +
                                       std::to_string(-32 * box - 4 * pair) +
                                       "];",
                                   "=f,r,~{memory}", base, e.f32));
  registers[op] = values;
}

void KernelEmitter::emitRelease(ReleaseOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  Value empty = address(channel.empty, slot, 8);
  if (channel.type.getCluster() == 1) {
    e.assembly("{\n.reg .pred p;\nsetp.eq.s32 p, $1, 0;\n"
               "@p mbarrier.arrive.shared::cta.b64 _, [$0];\n}",
               "r,r,~{memory}", {empty, lane});
    return;
  }
  // One lane tells this block, one the other. Said with .release.cluster it
  // would be a fence of all memory; the reads of the tile have ended.
  e.assembly("{\n.reg .pred p, q;\n.reg .b32 a;\nsetp.eq.s32 p, $1, 0;\n"
             "setp.eq.s32 q, $1, 1;\nadd.u32 a, $0, $2;\n"
             "@p mbarrier.arrive.shared::cta.b64 _, [$0];\n"
             "@q mbarrier.arrive.shared::cluster.b64 _, [a];\n}",
             "r,r,r,~{memory}", {empty, lane, peer});
}

/// Named barriers 1 … groups: a group's own turn.
void KernelEmitter::emitTurn(TurnOp op) {
  if (groups == 1)
    return;
  if (op.getKind() == "take") {
    e.assembly("bar.sync $0, 256;", "r,~{memory}", e.add(group, 1));
    return;
  }
  Value last = e.icmp(LLVM::ICmpPredicate::eq, group, e.c(groups - 1));
  Value next = e.select(last, e.c(1), e.add(group, 2));
  e.assembly("bar.arrive $0, 256;", "r,~{memory}", next);
}

Value KernelEmitter::gridSize() {
  return e.intrinsic("llvm.nvvm.read.ptx.sreg.nctaid.x", e.i32, {});
}

/// Where the first loading warp says which tile it has taken: the tile and its
/// number, which is that of no other tile there.
Value KernelEmitter::toldTile(TileFetchOp op) {
  int64_t offset = func->getAttrOfType<IntegerAttr>("attn_gpu.told").getInt();
  return address(offset, e.land(known[op.getNumber()].value, kToldTiles - 1),
                 8);
}

void KernelEmitter::emitFetch(TileFetchOp op) {
  if (loadWarp != 0) {
    known[op] = scalars.index(e.assembly1(
        "{\n.reg .pred p;\n.reg .b32 n;\nTL:\n"
        "ld.volatile.shared.v2.b32 {$0, n}, [$1];\nsetp.eq.u32 p, n, $2;\n"
        "@p bra.uni TD;\nbra.uni TL;\nTD:\n}",
        "=r,r,r,~{memory}", {toldTile(op), known[op.getNumber()].value},
        e.i32));
    return;
  }
  if (loadRank != 0) { // is told by the op that shares it
    known[op] = scalars.index(e.c(0));
    return;
  }
  Value taken;
  if (loadsByWarp) {
    taken = e.assembly1("{\n.reg .pred p;\nsetp.eq.s32 p, $2, 0;\n"
                        "mov.b32 $0, 0;\n"
                        "@p atom.global.add.u32 $0, [$1], 1;\n}",
                        "=&r,l,r,~{memory}", {counter, lane}, e.i32);
    taken = e.intrinsic("llvm.nvvm.shfl.sync.idx.i32", e.i32,
                        {e.c(-1), taken, e.c(0), e.c(31)});
  } else {
    taken = e.assembly1("atom.global.add.u32 $0, [$1], 1;", "=r,l,~{memory}",
                        counter, e.i32);
  }
  Value next = e.add(e.mul(taken, op.getCluster()), gridSize());
  known[op] = scalars.index(next);
  if (loadWarps > 1)
    byOne("@p st.volatile.shared.v2.b32 [$0], {$1, $2};", "r,r,r",
          {toldTile(op), next, known[op.getNumber()].value});
  Value tiles = known[op.getTiles()].value;
  int64_t cluster = op.getCluster();
  // `taken` itself would be one register more during the loop.
  afterFetch = [this, next, tiles, cluster] {
    e.assembly("{\n.reg .pred p;\nsetp.eq.u32 p, $1, $2;\n"
               "@p st.global.b32 [$0], 0;\n}",
               "l,r,r,~{memory}",
               {counter, next, e.add(e.add(tiles, -cluster), gridSize())});
  };
}

/// The first block of a cluster writes what it has taken to the other one's
/// memory, whose barrier says so.
void KernelEmitter::emitShare(TileShareOp op) {
  int64_t offset =
      func->getAttrOfType<IntegerAttr>("attn_gpu.shared_tiles").getInt();
  Value number = e.add(known[op.getNumber()].value, -1);
  auto [slot, phase] = placeInRing(kSharedTiles, number);
  Value barrier = address(offset, slot, kSharedTileBytes);
  if (loadRank == 0) {
    Value fetched = known[op.getFetched()].value;
    byOne("{\n.reg .b32 a;\nmapa.shared::cluster.u32 a, $0, 1;\n"
          "@p st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 "
          "[a+8], $1, [a];\n}",
          "r,r", {barrier, fetched});
    known[op] = scalars.index(fetched);
    return;
  }
  byOne("@p mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 4;", "r",
        barrier);
  waitBarrier(barrier, phase, ".acquire.cluster");
  Value first = e.assembly1("ld.shared.b32 $0, [$1+8];", "=r,r,~{memory}",
                            barrier, e.i32);
  known[op] = scalars.index(e.add(first, 1));
}
