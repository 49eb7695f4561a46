//===- Masks.cpp - Which keys of a block a panel sees ---------------------===//
//
// A panel's live keys are a list of runs: [first key, end) in the block, at
// group granularity. Groups of keys that no lane sees are in no run, whatever
// the mask; the mask is applied only in groups that some lane does not see
// whole.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

static Value byte(Emitter &e, int64_t value) {
  return arith::ConstantIntOp::create(e.b, e.loc, value, 8);
}

/// Where the runs of a kind begin; null: of live groups.
Value KernelEmitter::runsOf(Value kind) {
  Value runs = ofPanel(at_.runs);
  int64_t bytes = blockKeys() / e.group * runBytes;
  return kind ? e.gep(runs, e.mul(kind, e.c(bytes)), e.i8) : runs;
}

std::pair<Value, Value> KernelEmitter::loadRun(Value run, Value kind) {
  Value entry = e.gep(runsOf(kind), e.mul(run, e.c(runBytes)), e.i8);
  return {e.load(e.i64, entry), e.load(e.i64, e.gep(entry, 8))};
}

/// How many runs of a kind the panel has.
Value KernelEmitter::runCountOf(Value kind) {
  return e.load(e.i64, e.gep(at(at_.runCounts), kind, e.i64));
}

Value KernelEmitter::groupClass(Value group) {
  Value index = e.udiv(group, e.c(e.group));
  return e.load(e.i8, e.gep(at(at_.classes), index, e.i8), 1);
}

/// The class of a group, by the bits that some key of it has.
Value KernelEmitter::classify(Value some, Value full) {
  Value none =
      arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.word, 0));
  auto isNone = [&](Value bits) { return e.icmp(P::eq, bits, none); };
  Value cls = e.select(full, byte(e, Full), byte(e, Partial));
  if (hasHalves()) {
    auto lanes = [&](int64_t mask) {
      return e.land(some, arith::ConstantOp::create(
                              e.b, e.loc, e.b.getIntegerAttr(e.word, mask)));
    };
    int64_t low = (int64_t(1) << e.native) - 1;
    cls = e.select(isNone(lanes(low)), byte(e, HighHalf), cls);
    cls = e.select(isNone(lanes(low << e.native)), byte(e, LowHalf), cls);
  }
  return e.select(isNone(some), byte(e, Dead), cls);
}

/// All keys of a full element in one run. An incomplete last group is masked:
/// its padding keys are never visible.
void KernelEmitter::emitFullRuns() {
  for (int64_t kind : {LiveRuns, WholeRuns}) {
    if (kind >= runKinds())
      break;
    Value runs = runsOf(e.c(kind));
    e.store(e.c(0), runs);
    e.store(count, e.gep(runs, 8));
  }
  e.loop(e.c(0), e.c(blockKeys() / e.group), 1, [&](Value g) {
    Value whole = e.icmp(P::sle, e.mul(e.add(g, e.c(1)), e.c(e.group)), count);
    e.store(e.select(whole, byte(e, 2), byte(e, 1)),
            e.gep(at(at_.classes), g, e.i8), 1);
  });
  unsigned wordBytes = e.word.getIntOrFloatBitWidth() / 8;
  Value all = e.maskToWord(e.splat(e.cbool(true)));
  Value start = e.mul(e.udiv(count, e.c(e.group)), e.c(e.group));
  e.loop(start, count, 1, [&](Value key) {
    e.store(all, e.gep(at(at_.words), key, e.word), wordBytes);
  });
}

/// Evaluates the mask of a panel: a word of lanes per key, a class per group,
/// the runs. Returns their number.
LogicalResult KernelEmitter::emitMaskedRuns(Value panel, Value &runs) {
  LogicalResult status = success();
  unsigned wordBytes = e.word.getIntOrFloatBitWidth() / 8;
  Value none =
      arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.word, 0));
  Value all = e.maskToWord(e.splat(e.cbool(true)));
  bool hasRegion = spec.mask && !spec.mask.getBody().empty();
  Value groups = e.ceilDiv(count, e.group);
  e.loop(e.c(0), groups, 1, [&](Value g) {
    Value from = e.mul(g, e.c(e.group));
    Value to = e.min(e.add(from, e.c(e.group)), count);
    Values bits =
        e.loop(from, to, e.c(1), {none, all},
               [&](Value key, ValueRange carried) -> Values {
                 Value word = all;
                 if (hasRegion) {
                   s->push();
                   bindKey(key);
                   Block &body = spec.mask.getBody().front();
                   if (failed(s->run(body, OnBlock | OnRow | OnKey)))
                     status = failure();
                   else
                     word = e.maskToWord(
                         s->vector(body.getTerminator()->getOperand(0)));
                   s->pop();
                 }
                 e.store(word, e.gep(at(at_.words), key, e.word), wordBytes);
                 return {e.lor(carried[0], word), e.land(carried[1], word)};
               });
    Value whole = e.icmp(P::sle, e.add(from, e.c(e.group)), count);
    Value full = e.land(whole, e.icmp(P::eq, bits[1], all));
    e.store(classify(bits[0], full), e.gep(at(at_.classes), g, e.i8), 1);
  });
  if (!hasHalves()) {
    runs = emitRunList(groups, Value());
    return status;
  }
  e.loop(e.c(0), e.c(NumRunKinds), 1, [&](Value kind) {
    e.store(emitRunList(groups, kind), e.gep(at(at_.runCounts), kind, e.i64));
  });
  runs = runCountOf(e.c(LiveRuns));
  return status;
}

/// Whether the runs of a kind have groups of a class.
Value KernelEmitter::isOfKind(Value kind, Value cls) {
  if (!kind)
    return e.icmp(P::ne, cls, byte(e, Dead));
  constexpr int64_t kinds[] = {
      1 << Partial | 1 << Full | 1 << LowHalf | 1 << HighHalf,
      1 << Partial | 1 << Full, 1 << LowHalf, 1 << HighHalf};
  int64_t table = 0; // a byte of classes a kind
  for (int64_t i = 0; i < NumRunKinds; ++i)
    table |= kinds[i] << (8 * i);
  Value bit = e.add(e.mul(kind, e.c(8)),
                    arith::ExtUIOp::create(e.b, e.loc, e.i64, cls));
  Value shifted = arith::ShRUIOp::create(e.b, e.loc, e.c(table), bit);
  return e.icmp(P::ne, e.land(shifted, e.c(1)), e.c(0));
}

/// Joins neighbouring groups of a kind into runs; returns their number.
Value KernelEmitter::emitRunList(Value groups, Value kind) {
  Value list = runsOf(kind);
  Values result = e.loop(
      e.c(0), groups, e.c(1), {e.c(0), e.cbool(false)},
      [&](Value g, ValueRange carried) -> Values {
        Value cls = e.load(e.i8, e.gep(at(at_.classes), g, e.i8), 1);
        Value live = isOfKind(kind, cls);
        Value starts = e.land(live, e.lnot(carried[1]));
        Value number = e.select(starts, e.add(carried[0], e.c(1)), carried[0]);
        e.when(live, [&]() {
          Value entry =
              e.gep(list, e.mul(e.sub(number, e.c(1)), e.c(runBytes)), e.i8);
          Value from = e.mul(g, e.c(e.group));
          e.when(starts, [&]() { e.store(from, entry); });
          Value to = e.min(e.add(from, e.c(e.group)), count);
          e.store(to, e.gep(entry, 8));
        });
        return {number, live};
      });
  return result[0];
}
