//===- Kernel.cpp - The frame of a kernel and its control flow ------------===//

#include "Kernel.h"
#include "fovea/Target/NVVM/Layouts.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::gpu;

KernelEmitter::KernelEmitter(func::FuncOp func, SpecializeOp specialize)
    : func(func), specialize(specialize), e(func.getContext()),
      scalars(e, *this) {
  auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
  loadWarps = getLoadWarps(roles[0]);
  groups = roles[1].getGroups();
  roles[0].walk([&](FillOp fill) {
    cluster = std::max(cluster, fill.getChannel().getType().getCluster());
  });
  specialize.walk([&](MaskOp op) { isMasked |= !op.getBody().empty(); });
  specialize.walk([&](MapOp op) {
    isScored |= llvm::any_of(op->getUsers(), [](Operation *user) {
      auto reduce = dyn_cast<ReduceOp>(user);
      return isa<MaskOp>(user) ||
             (reduce && reduce.getKind() == ReduceKind::Max);
    });
  });
  // Measured: two chains are faster by 1 to 3 %, but slower by 1 % in plain
  // masked kernels and where three groups have few registers.
  if (!isMasked || (isScored && groups < 3))
    maximumChains = 2;
}

LogicalResult KernelEmitter::run() {
  if (failed(checkForm()))
    return failure();
  layOutChannels();
  if (failed(checkChannels()))
    return failure();
  collectArguments();
  createFunction();
  if (prologueFailed || failed(emitPrologue()))
    return failure();
  auto roles = llvm::to_vector(specialize.getBody().getOps<RoleOp>());
  Block *load = e.block(), *mma = e.block();
  Value isLoader = e.icmp(LLVM::ICmpPredicate::eq, group, e.c(0));
  e.condBr(isLoader, load, {}, mma, {});
  e.enter(load);
  if (failed(emitRole(roles[0])))
    return failure();
  e.enter(mma);
  if (failed(emitRole(roles[1])))
    return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Registers of values
//===----------------------------------------------------------------------===//

SmallVector<Type> KernelEmitter::registerTypes(Type type) {
  if (type.isIndex())
    return {e.i32};
  if (isa<TileType>(type))
    return {e.i64};
  if (isa<RowvecType>(type))
    return {e.f32, e.f32};
  if (auto pending = dyn_cast<PendingType>(type))
    return registerTypes(pending.getResult());
  if (auto frag = dyn_cast<FragType>(type))
    return SmallVector<Type>(frag.getRegisters(),
                             frag.getLayout() == Layout::Quad ? e.f32 : e.i32);
  return {type};
}

SmallVector<Type> KernelEmitter::registerTypes(TypeRange types) {
  SmallVector<Type> list;
  for (Type type : types)
    llvm::append_range(list, registerTypes(type));
  return list;
}

Values KernelEmitter::flat(ValueRange values) {
  Values list;
  for (Value value : values) {
    if (known.count(value))
      list.push_back(known[value].value);
    else
      llvm::append_range(list, registers[value]);
  }
  return list;
}

/// Gives values the registers of a block's arguments.
void KernelEmitter::bind(ValueRange values, ValueRange list) {
  for (Value value : values) {
    size_t count = registerTypes(value.getType()).size();
    if (value.getType().isIndex())
      known[value] = scalars.index(list.front());
    else if (isa<FloatType, IntegerType>(value.getType()))
      known[value] = {list.front(), {}};
    else
      registers[value] = Values(list.take_front(count));
    list = list.drop_front(count);
  }
}

FailureOr<Scalar> KernelEmitter::scalarOf(Value value) {
  auto it = known.find(value);
  if (it != known.end())
    return it->second;
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (argument.getOwner()->getParentOp() == func)
      return Scalar{scalarArguments[argument.getArgNumber()], {}};
  return value.getDefiningOp()->emitError("has not been computed here");
}

LogicalResult KernelEmitter::emitScalar(Operation *op) {
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    Value size = getSize(dim.getSource(), *dim.getConstantIndex());
    known[op->getResult(0)] = scalars.index(size, 0, kMaxPosition);
    return success();
  }
  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    known[load] = scalars.index(loadPerBatch(load), 0, kMaxPosition);
    return success();
  }
  SmallVector<Scalar> operands;
  for (Value operand : op->getOperands()) {
    if (isa<MemRefType>(operand.getType())) {
      operands.push_back({});
      continue;
    }
    FailureOr<Scalar> scalar = scalarOf(operand);
    if (failed(scalar))
      return failure();
    operands.push_back(*scalar);
  }
  FailureOr<Scalar> result = scalars.evaluate(op, operands);
  if (failed(result))
    return failure();
  known[op->getResult(0)] = *result;
  return success();
}

//===----------------------------------------------------------------------===//
// The frame
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitPrologue() {
  OpBuilder module(func);
  auto symbol = LLVM::GlobalOp::create(
      module, func.getLoc(), LLVM::LLVMArrayType::get(e.b.getI8Type(), 0),
      /*isConstant=*/false, LLVM::Linkage::External,
      (func.getName() + "_shared").str(), Attribute(), /*alignment=*/1024,
      /*addrSpace=*/3);
  Value base = LLVM::AddressOfOp::create(e.b, e.loc, symbol);
  smem = LLVM::PtrToIntOp::create(e.b, e.loc, e.i32, base);
  tid = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  lane = e.land(tid, 31);
  // A shuffle makes the group's number uniform for the assembler.
  group = e.intrinsic("llvm.nvvm.shfl.sync.idx.i32", e.i32,
                      {e.c(-1), e.lshr(tid, 7), e.c(0), e.c(31)});
  // Of index arguments there are the sizes of tiles.
  for (auto [number, value] : scalarArguments)
    if (func.getArgument(number).getType().isIndex())
      known[func.getArgument(number)] = scalars.index(value, 1, kMaxIndex);
  bool hasBarriers = false;
  auto makeBarriers = [&] {
    if (!std::exchange(hasBarriers, true))
      e.when(e.icmp(LLVM::ICmpPredicate::eq, tid, e.c(0)),
             [&] { initBarriers(); });
  };
  for (Operation &op : func.getBody().front()) {
    if (&op == specialize)
      break;
    if (isa<GridDependencyWaitOp>(op)) {
      makeBarriers(); // beside the kernel ahead
      e.waitForGrid();
    } else if (!isa<ChannelOp, online::ViewOp>(op) && failed(emitScalar(&op))) {
      return failure();
    }
  }
  makeBarriers();
  if (cluster > 1)
    e.assembly("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;",
               "~{memory}", {});
  else
    NVVM::Barrier0Op::create(e.b, e.loc);
  return success();
}

/// What one thread does before all others begin.
void KernelEmitter::initBarriers() {
  auto place = [&](StringRef name) {
    return func->getAttrOfType<IntegerAttr>(name).getInt();
  };
  auto init = [&](int64_t barrier, int64_t count, int64_t arrivals,
                  int64_t stride = 8) {
    for (int64_t i = 0; i < count; ++i)
      e.assembly("mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}",
                 {e.add(smem, barrier + stride * i), e.c(arrivals)});
  };
  for (auto channel : func.getBody().front().getOps<ChannelOp>()) {
    ChannelInfo &info = channels[channel.getChannel()];
    init(info.full, info.fullBarriers, 1);
    init(info.empty, info.type.getStages(),
         4 * groups * info.type.getCluster());
  }
  if (cluster > 1)
    init(place("attn_gpu.shared_tiles"), kSharedTiles, 1, kSharedTileBytes);
  for (int64_t i = 0; loadWarps > 1 && i < kToldTiles; ++i)
    e.assembly("st.shared.v2.b32 [$0], {$1, $1};", "r,r,~{memory}",
               {e.add(smem, place("attn_gpu.told") + 8 * i), e.c(0)});
  e.assembly("fence.mbarrier_init.release.cluster;", "~{memory}", {});
  for (auto &[number, map] : tensorMaps)
    e.assembly("prefetch.tensormap [$0];", "l,~{memory}", map);
}

Value KernelEmitter::clusterRank() {
  return e.intrinsic("llvm.nvvm.read.ptx.sreg.cluster.ctarank", e.i32, {});
}

/// The same program for each block of a cluster: what differs are constants, as
/// registers are scarce here.
LogicalResult KernelEmitter::emitRanks(RoleOp role) {
  for (loadRank = 0; loadRank < cluster; ++loadRank) {
    Block *others = loadRank + 1 < cluster ? e.block() : nullptr;
    if (others) {
      Block *mine = e.block();
      e.condBr(e.icmp(LLVM::ICmpPredicate::eq, clusterRank(), e.c(loadRank)),
               mine, {}, others, {});
      e.enter(mine);
    }
    if (failed(emitBlock(role.getBody().front())))
      return failure();
    LLVM::ReturnOp::create(e.b, e.loc, ValueRange());
    if (others)
      e.enter(others);
  }
  return success();
}

/// The same program for each loading warp, without what is another's business.
LogicalResult KernelEmitter::emitLoader(RoleOp role) {
  Value number = e.lshr(tid, 5);
  for (loadWarp = 0; loadWarp < loadWarps; ++loadWarp) {
    Block *mine = e.block(), *others = e.block();
    Value loads =
        loadsByWarp ? e.icmp(LLVM::ICmpPredicate::eq, number, e.c(loadWarp))
                    : e.icmp(LLVM::ICmpPredicate::eq, tid, e.c(32 * loadWarp));
    e.condBr(loads, mine, {}, others, {});
    e.enter(mine);
    if (failed(emitRanks(role)))
      return failure();
    e.enter(others);
  }
  LLVM::ReturnOp::create(e.b, e.loc, ValueRange());
  return success();
}

LogicalResult KernelEmitter::emitRole(RoleOp role) {
  int64_t count = *role.getRegisters();
  if (role.getKind() == RoleKind::Load) {
    e.assembly("setmaxnreg.dec.sync.aligned.u32 " + std::to_string(count) + ";",
               "", {});
    return emitLoader(role);
  }
  e.assembly("setmaxnreg.inc.sync.aligned.u32 " + std::to_string(count) + ";",
             "", {});
  group = e.add(group, -1);
  warp = e.land(e.lshr(tid, 5), 3);
  column = e.shl(e.land(lane, 3), 1);
  row =
      e.add(e.add(e.mul(group, kGroupRows), e.mul(warp, 16)), e.lshr(lane, 2));
  if (cluster > 1) {
    Value other = e.lxor(clusterRank(), e.c(1));
    peer = e.assembly1("mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r",
                       {smem, other}, e.i32, /*sideEffects=*/false);
    peer = e.sub(peer, smem);
  }
  for (auto channel : func.getBody().front().getOps<ChannelOp>()) {
    ChannelInfo &info = channels[channel.getChannel()];
    Value address = e.add(smem, info.tiles);
    if (info.isLhs)
      address = e.add(address, e.mul(group, kGroupRows * 128));
    int64_t bits = int64_t(layouts::descriptor(info.type.getRows()));
    Value low = e.lshr(e.land(address, 0x3FFFF), 4);
    info.descriptor = e.lor(e.zext(low), e.c(bits, e.i64));
  }
  bool turns = false, staged = false;
  role.walk([&](TurnOp) { turns = true; });
  role.walk([&](StoreTileOp store) { staged |= store.getStaged(); });
  if (turns && groups > 1)
    // The last group gives group 0 its first turn.
    e.when(e.icmp(LLVM::ICmpPredicate::eq, group, e.c(groups - 1)),
           [&] { e.assembly("bar.arrive $0, 256;", "r,~{memory}", e.c(1)); });
  if (failed(emitBlock(role.getBody().front())))
    return failure();
  if (staged)
    e.assembly("cp.async.bulk.wait_group 0;", "~{memory}", {});
  // A block stays until the other one is done with its memory; loading threads,
  // which count no more once they have ended, have waited for all that comes.
  if (cluster > 1)
    e.assembly("barrier.cluster.arrive;\nbarrier.cluster.wait;", "~{memory}",
               {});
  LLVM::ReturnOp::create(e.b, e.loc, ValueRange());
  return success();
}

//===----------------------------------------------------------------------===//
// Ops and control flow
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitBlock(Block &block) {
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>())
      continue;
    if (failed(emit(&op)))
      return failure();
  }
  return success();
}

LogicalResult KernelEmitter::emit(Operation *op) {
  e.loc = op->getLoc();
  auto done = [](auto &&) { return success(); };
  auto with = [&](auto method) {
    return [this, method](auto typed) {
      (this->*method)(typed);
      return success();
    };
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<online::ViewOp>(done)
      .Case([&](scf::ForOp loop) { return emitFor(loop); })
      .Case([&](scf::WhileOp loop) { return emitWhile(loop); })
      .Case([&](scf::IfOp branch) { return emitIf(branch); })
      .Case([&](FillOp fill) { return emitFill(fill); })
      .Case<PublishOp>(with(&KernelEmitter::emitPublish))
      .Case([&](RecordOp record) { return emitRecord(record); })
      .Case<WaitOp>(with(&KernelEmitter::emitWait))
      .Case<DiagonalReadOp>(with(&KernelEmitter::emitDiagonalRead))
      .Case<ReleaseOp>(with(&KernelEmitter::emitRelease))
      .Case<TurnOp>(with(&KernelEmitter::emitTurn))
      .Case<TileFetchOp>(with(&KernelEmitter::emitFetch))
      .Case<TileShareOp>(with(&KernelEmitter::emitShare))
      .Case<MmaStartOp>(with(&KernelEmitter::emitStart))
      .Case<AwaitOp>(with(&KernelEmitter::emitAwait))
      .Case<ConvertOp>(with(&KernelEmitter::emitConvert))
      .Case<ReduceOp>(with(&KernelEmitter::emitReduce))
      .Case<QuadReduceOp>(with(&KernelEmitter::emitQuadReduce))
      .Case<RescaleOp>(with(&KernelEmitter::emitRescale))
      .Case<PinOp>(with(&KernelEmitter::emitPin))
      .Case<ListCountOp>(with(&KernelEmitter::emitListCount))
      .Case<ListElementOp>(with(&KernelEmitter::emitListElement))
      .Case<JointCountOp>(with(&KernelEmitter::emitJointCount))
      .Case<JointElementOp>(with(&KernelEmitter::emitJointElement))
      .Case([&](MapOp map) { return emitMap(map); })
      .Case([&](MaskOp mask) { return emitMask(mask); })
      .Case([&](StoreTileOp store) { return emitStoreTile(store); })
      .Case([&](StoreRowsOp store) { return emitStoreRows(store); })
      .Case([&](TileFirstOp first) {
        known[first] = scalars.index(
            e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {}));
        return success();
      })
      .Case([&](GroupOp op) {
        known[op] = scalars.index(group, 0, groups - 1);
        return success();
      })
      .Case([&](SectionOp op) {
        known[op.getHeads()] = scalars.index(section);
        known[op.getLast()] = scalars.index(lastSection);
        return success();
      })
      .Case([&](BatchOp batch) { return emitBatch(batch); })
      .Case([&](ZeroOp zero) {
        registers[zero] = Values(registerTypes(zero.getType()).size(), e.cf(0));
        return success();
      })
      .Case([&](SplatOp splat) -> LogicalResult {
        FailureOr<Scalar> scalar = scalarOf(splat.getValue());
        if (failed(scalar))
          return failure();
        registers[splat] = Values(2, scalar->value);
        return success();
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (isa<AttnGpuDialect>(other->getDialect()))
          return other->emitError("is not of the form that "
                                  "-convert-attn-gpu-to-nvvm takes");
        return emitScalar(other);
      });
}

LogicalResult KernelEmitter::emitFor(scf::ForOp op) {
  SmallVector<Type> types{e.i32};
  llvm::append_range(types, registerTypes(op.getInitArgs().getTypes()));
  Block *head = e.block(types), *body = e.block(), *exit = e.block();
  Values inits{known[op.getLowerBound()].value};
  llvm::append_range(inits, flat(op.getInitArgs()));
  Value end = known[op.getUpperBound()].value;
  e.br(head, inits);
  e.enter(head);
  ValueRange arguments = head->getArguments();
  Value below = e.icmp(LLVM::ICmpPredicate::slt, arguments[0], end);
  e.condBr(below, body, {}, exit, {});
  e.enter(body);
  known[op.getInductionVar()] = scalars.index(arguments[0], 0, (1 << 30) - 1);
  bind(op.getRegionIterArgs(), arguments.drop_front());
  if (failed(emitBlock(*op.getBody())))
    return failure();
  Values next{e.add(arguments[0], known[op.getStep()].value)};
  llvm::append_range(next, flat(op.getBody()->getTerminator()->getOperands()));
  e.br(head, next);
  e.enter(exit);
  bind(op.getResults(), arguments.drop_front());
  return success();
}

LogicalResult KernelEmitter::emitIf(scf::IfOp op) {
  Block *yes = e.block(), *no = e.block();
  Block *join = e.block(registerTypes(op.getResultTypes()));
  e.condBr(known[op.getCondition()].value, yes, {}, no, {});
  for (auto [begin, block] :
       {std::pair(yes, op.thenBlock()), std::pair(no, op.elseBlock())}) {
    e.enter(begin);
    if (failed(emitBlock(*block)))
      return failure();
    Values results = flat(block->getTerminator()->getOperands());
    for (Value &result : results)
      result = keepHere(result);
    e.br(join, results);
  }
  e.enter(join);
  bind(op.getResults(), join->getArguments());
  return success();
}

/// A constant of an arm in a register that is written there: LLVM would write
/// it in front of the branch, where those of the other arm are alive.
Value KernelEmitter::keepHere(Value value) {
  FloatAttr constant;
  if (!value.getType().isF32() || !matchPattern(value, m_Constant(&constant)))
    return value;
  uint64_t bits = constant.getValue().bitcastToAPInt().getZExtValue();
  std::string text =
      "mov.f32 $0, 0f" + llvm::utohexstr(bits, false, /*Width=*/8) + ";";
  return e.assembly1(text, "=f", {}, e.f32);
}

LogicalResult KernelEmitter::emitWhile(scf::WhileOp op) {
  Block *before = e.block(registerTypes(op.getInits().getTypes()));
  Block *after = e.block(registerTypes(op.getResultTypes()));
  Block *exit = e.block(registerTypes(op.getResultTypes()));
  e.br(before, flat(op.getInits()));
  e.enter(before);
  bind(op.getBeforeArguments(), before->getArguments());
  if (failed(emitBlock(*op.getBeforeBody())))
    return failure();
  if (afterFetch) {
    afterFetch();
    afterFetch = nullptr;
  }
  scf::ConditionOp condition = op.getConditionOp();
  Values passed = flat(condition.getArgs());
  e.condBr(known[condition.getCondition()].value, after, passed, exit, passed);
  e.enter(after);
  bind(op.getAfterArguments(), after->getArguments());
  if (failed(emitBlock(*op.getAfterBody())))
    return failure();
  e.br(before, flat(op.getYieldOp().getOperands()));
  e.enter(exit);
  bind(op.getResults(), exit->getArguments());
  return success();
}
