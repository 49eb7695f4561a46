//===- Masks.cpp - Which keys of a block a panel sees ---------------------===//
//
// A panel's live keys are a list of runs: [first key, end) in the block, at
// group granularity. Groups of keys that no lane sees are in no run, whatever
// the mask; the mask is applied only in groups that some lane does not see
// whole. Each group of rows has such a list of its own where halves are told
// apart.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// What no lane and what all lanes see.
static Value noLanes(Emitter &e) {
  return arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.word, 0));
}
static Value allLanes(Emitter &e) {
  return e.maskToWord(e.splat(e.cbool(true)));
}

static Value complement(Emitter &e, Value bits) {
  return arith::XOrIOp::create(e.b, e.loc, bits, e.c(-1));
}

/// Where the runs of a kind begin; null: of live groups.
Value KernelEmitter::runsOf(Value kind) {
  Value runs = ofPanel(at_.runs);
  int64_t bytes = blockGroups() * runBytes;
  return kind ? e.gep(runs, e.mul(kind, e.c(bytes)), e.i8) : runs;
}

std::pair<Value, Value> KernelEmitter::loadRun(Value run, Value kind) {
  Value entry = e.gep(runsOf(kind), e.mul(run, e.c(runBytes)), e.i8);
  return {e.load(e.i64, entry), e.load(e.i64, e.gep(entry, 8))};
}

/// How many runs of a kind the panel has.
Value KernelEmitter::runCountOf(Value kind) {
  return e.load(e.i64, e.gep(ofPanel(at_.runCounts), kind, e.i64));
}

Value KernelEmitter::wordAddress(int64_t array, Value index) {
  return e.gep(ofPanel(array), index, e.word);
}

Value KernelEmitter::loadWord(int64_t array, Value index) {
  return e.load(e.word, wordAddress(array, index), wordBytes());
}

/// Whether all lanes see all keys of a group.
Value KernelEmitter::isWholeGroup(Value group) {
  Value every = loadWord(at_.every, e.udiv(group, e.c(e.group)));
  return e.icmp(P::eq, every, allLanes(e));
}

/// The register of a panel that alone sees keys of a group; -1: both do.
Value KernelEmitter::halfOfGroup(Value group) {
  Value some = loadWord(at_.some, e.udiv(group, e.c(e.group)));
  auto isNone = [&](int64_t lanes) {
    Value mask = arith::ConstantOp::create(e.b, e.loc,
                                           e.b.getIntegerAttr(e.word, lanes));
    return e.icmp(P::eq, e.land(some, mask), noLanes(e));
  };
  int64_t low = (int64_t(1) << e.native) - 1;
  Value half = e.select(isNone(low), e.c(1), e.c(-1));
  return e.select(isNone(low << e.native), e.c(0), half);
}

/// Runs a body for each piece of [0, end), or at 0 where that is all.
Values KernelEmitter::forPieces(int64_t end, int64_t piece, ValueRange init,
                                function_ref<Values(Value, ValueRange)> body) {
  if (end <= piece)
    return body(e.c(0), init);
  return e.loop(e.c(0), e.c(end), e.c(piece), init, body);
}

/// Gives the first groups words of all lanes, those that follow none.
void KernelEmitter::fillGroups(Value some, Value every) {
  Value all = e.splat(allLanes(e)), none = e.splat(noLanes(e));
  forPieces(maskGroups(), e.lanes, {}, [&](Value first, ValueRange) -> Values {
    auto fill = [&](int64_t array, Value groups) {
      Value lanes = e.lanesBelow(e.sub(groups, first));
      e.store(e.select(lanes, all, none), wordAddress(array, first),
              wordBytes());
    };
    fill(at_.some, some);
    fill(at_.every, every);
    return {};
  });
}

/// All keys of a full element in one run. An incomplete last group is masked:
/// its padding keys are never visible.
void KernelEmitter::emitFullRuns() {
  for (int64_t kind = 0; kind < runKinds(); ++kind) {
    Value runs = runsOf(e.c(kind));
    e.store(e.c(0), runs);
    e.store(count, e.gep(runs, 8));
  }
  Value whole = e.udiv(count, e.c(e.group));
  fillGroups(e.ceilDiv(count, e.group), whole);
  e.loop(e.mul(whole, e.c(e.group)), count, 1, [&](Value key) {
    e.store(allLanes(e), wordAddress(at_.words, key), wordBytes());
  });
}

/// The mask of a panel: a word of lanes per key, what some and what all keys of
/// a group have, the runs. The first keys are known to be visible. Returns the
/// number of live runs.
LogicalResult KernelEmitter::emitMaskedRuns(Value panel, Value known,
                                            Value &runs) {
  LogicalResult status = success();
  Value none = noLanes(e), all = allLanes(e);
  bool hasRegion = spec.mask && !spec.mask.getBody().empty();
  Value groups = e.ceilDiv(count, e.group);
  Value first = e.udiv(known, e.c(e.group));
  fillGroups(first, first);
  e.loop(first, groups, 1, [&](Value g) {
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
                   if (groupsCrossTiles())
                     word = e.select(e.icmp(P::slt, key, known), all, word);
                 }
                 e.store(word, wordAddress(at_.words, key), wordBytes());
                 return {e.lor(carried[0], word), e.land(carried[1], word)};
               });
    Value whole = e.icmp(P::sle, e.add(from, e.c(e.group)), count);
    e.store(bits[0], wordAddress(at_.some, g), wordBytes());
    e.store(e.select(whole, bits[1], none), wordAddress(at_.every, g),
            wordBytes());
  });
  if (!hasHalves()) {
    runs = emitRunList(Value());
    return status;
  }
  e.loop(e.c(0), e.c(runKinds()), 1, [&](Value kind) {
    e.store(emitRunList(kind), e.gep(ofPanel(at_.runCounts), kind, e.i64));
  });
  runs = runCountOf(e.c(LiveRuns));
  return status;
}

/// The lanes that a kind of runs is about.
Value KernelEmitter::lanesOfKind(Value kind) {
  if (!kind)
    return allLanes(e);
  Value rows = e.c((int64_t(1) << passRows()) - 1);
  Value shift = e.mul(e.sub(kind, e.c(RowRuns)), e.c(passRows()));
  Value lanes = arith::ShLIOp::create(e.b, e.loc, rows, shift);
  lanes = e.select(e.icmp(P::eq, kind, e.c(LiveRuns)), e.c(-1), lanes);
  return arith::TruncIOp::create(e.b, e.loc, e.word, lanes);
}

/// Joins neighbouring groups that lanes of a kind see into runs; returns their
/// number.
Value KernelEmitter::emitRunList(Value kind) {
  Value list = runsOf(kind);
  Value wanted = e.splat(lanesOfKind(kind)), none = e.splat(noLanes(e));
  auto shift = [&](Value bits, Value by) {
    return e.b.createOrFold<arith::ShLIOp>(e.loc, bits, by);
  };
  auto keyOf = [&](Value page, Value bits) {
    Value group = LLVM::CountTrailingZerosOp::create(e.b, e.loc, e.i64, bits,
                                                     /*is_zero_poison=*/false);
    return e.mul(e.add(page, group), e.c(e.group));
  };
  auto addPage = [&](Value start, ValueRange number) -> Values {
    int64_t groups = std::min(maskGroups(), maskPage);
    Value bits = forPieces(
        groups, e.lanes, e.c(0), [&](Value first, ValueRange before) -> Values {
          Value some =
              e.load(e.vec(e.word), wordAddress(at_.some, e.add(start, first)),
                     wordBytes());
          Value seen = e.icmp(P::ne, e.land(some, wanted), none);
          Value more =
              arith::ExtUIOp::create(e.b, e.loc, e.i64, e.maskToWord(seen));
          return {e.lor(before[0], shift(more, first))};
        })[0];
    Value begins = e.land(bits, complement(e, shift(bits, e.c(1))));
    Value runs = LLVM::CtPopOp::create(e.b, e.loc, e.i64, begins);
    Value to = e.gep(list, e.mul(number[0], e.c(runBytes)), e.i8);
    e.loop(e.c(0), runs, e.c(1), bits,
           [&](Value run, ValueRange left) -> Values {
             // The sum carries over the lowest run, to where it ends.
             Value lowest = e.land(left[0], e.sub(e.c(0), left[0]));
             Value carried = e.add(left[0], lowest);
             Value entry = e.gep(to, e.mul(run, e.c(runBytes)), e.i8);
             e.store(keyOf(start, lowest), entry);
             e.store(e.min(keyOf(start, carried), count), e.gep(entry, 8));
             return {e.land(left[0], carried)};
           });
    return {e.add(number[0], runs)};
  };
  return forPieces(maskGroups(), maskPage, e.c(0), addPage)[0];
}
