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
    info.empty = offset + 8 * stages;
    info.records = offset + 16 * stages;
    offset =
        info.records + llvm::alignTo(info.type.getRecords() * 4, 16) * stages;
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

std::pair<Value, Value> KernelEmitter::slotAndPhase(ChannelInfo &channel,
                                                    Value use) {
  int64_t stages = channel.type.getStages();
  if (stages == 1)
    return {e.c(0), e.land(use, 1)};
  if (llvm::isPowerOf2_64(stages))
    return {e.land(use, stages - 1),
            e.land(e.lshr(use, llvm::Log2_64(stages)), 1)};
  Value round = e.udiv(use, e.c(stages));
  return {e.sub(use, e.mul(round, stages)), e.land(round, 1)};
}

Value KernelEmitter::address(int64_t offset, Value slot, int64_t stride) {
  Value base = e.add(smem, offset);
  if (llvm::isPowerOf2_64(stride))
    return e.add(base, e.shl(slot, llvm::Log2_64(stride)));
  return e.add(base, e.mul(slot, stride));
}

void KernelEmitter::waitBarrier(Value barrier, Value phase) {
  e.assembly("{\n.reg .pred p;\nWL:\n"
             "mbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1;\n"
             "@p bra.uni WD;\nbra.uni WL;\nWD:\n}",
             "r,r,~{memory}", {barrier, phase});
}

/// Coordinates of rows of one (batch, head) in a tensor map.
FailureOr<Values> KernelEmitter::coordinates(Operation *op, online::ViewOp view,
                                             Value row) {
  auto length = view.getLength()
                    ? view.getLength().getDefiningOp<memref::DimOp>()
                    : memref::DimOp();
  if (view.getIndices().size() != 2 || view.getPageTable() ||
      (view.getLength() && (!length || length.getConstantIndex() != 2)))
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
    e.assembly("st.shared.v4.b32 [$0], {$1, $2, $3, $4};",
               "r,r,r,r,r,~{memory}", words);
  }
}

LogicalResult KernelEmitter::emitFill(FillOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  auto view = op.getView().getDefiningOp<online::ViewOp>();
  FailureOr<Values> place = coordinates(op, view, op.getRow());
  if (failed(place))
    return failure();
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  waitBarrier(address(channel.empty, slot, 8), e.lxor(phase, e.c(1)));
  writeRecords(channel, slot, op.getRecords());
  Value full = address(channel.full, slot, 8);
  int64_t bytes = channel.type.getTileBytes();
  e.assembly("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;",
             "r,r,~{memory}", {full, e.c(bytes)});
  Values operands{address(channel.tiles, slot, bytes),
                  tensorMaps.at(tensorNumber(view.getSource()))};
  llvm::append_range(operands, *place);
  operands.push_back(full);
  e.assembly("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::"
             "complete_tx::bytes [$0], [$1, {$2, $3, $4, $5, $6}], [$7];",
             "r,l,r,r,r,r,r,r,~{memory}", operands);
  return success();
}

void KernelEmitter::emitPublish(PublishOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  waitBarrier(address(channel.empty, slot, 8), e.lxor(phase, e.c(1)));
  writeRecords(channel, slot, op.getRecords());
  e.assembly("mbarrier.arrive.shared::cta.b64 _, [$0];", "r,~{memory}",
             address(channel.full, slot, 8));
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
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  if (!channel.hasEnd && !waitsBefore(op))
    return op.emitError("reads the records of a use that it has not waited "
                        "for in this block");
  if (channel.hasEnd)
    waitBarrier(address(channel.full, slot, 8), phase);
  int64_t bytes = llvm::alignTo(channel.type.getRecords() * 4, 16);
  Value base = address(channel.records, slot, bytes);
  for (auto [index, record] : llvm::enumerate(op.getRecords())) {
    if (record.use_empty())
      continue;
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
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  // Where the stream may end, the records of the use have been read before, to
  // know that there is a tile.
  if (!channel.hasEnd)
    waitBarrier(address(channel.full, slot, 8), phase);
  Value descriptor = channel.descriptor;
  if (channel.type.getStages() > 1)
    descriptor = e.add(descriptor,
                       e.zext(e.mul(slot, channel.type.getTileBytes() >> 4)));
  registers[op] = {descriptor};
}

void KernelEmitter::emitRelease(ReleaseOp op) {
  ChannelInfo &channel = channels[op.getChannel()];
  auto [slot, phase] = slotAndPhase(channel, known[op.getUse()].value);
  e.assembly("{\n.reg .pred p;\nsetp.eq.s32 p, $1, 0;\n"
             "@p mbarrier.arrive.shared::cta.b64 _, [$0];\n}",
             "r,r,~{memory}", {address(channel.empty, slot, 8), lane});
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

void KernelEmitter::emitFetch(TileFetchOp op) {
  Value taken = e.assembly1("atom.global.add.u32 $0, [$1], 1;",
                            "=r,l,~{memory}", counter, e.i32);
  Value blocks = e.intrinsic("llvm.nvvm.read.ptx.sreg.nctaid.x", e.i32, {});
  known[op] = scalars.index(e.add(taken, blocks));
  Value last = e.add(known[op.getTiles()].value, -1);
  afterFetch = [this, taken, last] {
    e.assembly("{\n.reg .pred p;\nsetp.eq.u32 p, $1, $2;\n"
               "@p st.global.b32 [$0], 0;\n}",
               "l,r,r,~{memory}", {counter, taken, last});
  };
}
