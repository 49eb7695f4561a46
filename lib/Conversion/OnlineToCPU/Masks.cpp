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

std::pair<Value, Value> KernelEmitter::loadRun(Value run) {
  Value entry = e.gep(ofPanel(at_.runs), e.mul(run, e.c(16)), e.i8);
  return {e.load(e.i64, entry), e.load(e.i64, e.gep(entry, 8))};
}

/// All keys of a full element in one run. An incomplete last group is masked:
/// its padding keys are never visible.
void KernelEmitter::emitFullRuns() {
  e.store(e.c(0), ofPanel(at_.runs));
  e.store(count, e.gep(ofPanel(at_.runs), 8));
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
    Value dead = e.icmp(P::eq, bits[0], none);
    Value cls =
        e.select(dead, byte(e, 0), e.select(full, byte(e, 2), byte(e, 1)));
    e.store(cls, e.gep(at(at_.classes), g, e.i8), 1);
  });
  runs = emitRunList(groups);
  return status;
}

/// Joins neighbouring live groups into runs; returns their number.
Value KernelEmitter::emitRunList(Value groups) {
  Values result = e.loop(
      e.c(0), groups, e.c(1), {e.c(0), e.cbool(false)},
      [&](Value g, ValueRange carried) -> Values {
        Value cls = e.load(e.i8, e.gep(at(at_.classes), g, e.i8), 1);
        Value live = e.icmp(P::ne, cls, byte(e, 0));
        Value starts = e.land(live, e.lnot(carried[1]));
        Value number = e.select(starts, e.add(carried[0], e.c(1)), carried[0]);
        e.when(live, [&]() {
          Value entry = e.gep(ofPanel(at_.runs),
                              e.mul(e.sub(number, e.c(1)), e.c(16)), e.i8);
          Value from = e.mul(g, e.c(e.group));
          e.when(starts, [&]() { e.store(from, entry); });
          Value to = e.min(e.add(from, e.c(e.group)), count);
          e.store(to, e.gep(entry, 8));
        });
        return {number, live};
      });
  return result[0];
}
