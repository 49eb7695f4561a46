//===- Halves.cpp - Groups of keys that half a panel sees -----------------===//
//
// A panel of two registers meets a diagonal in groups of keys that one of them
// does not see at all. The other's scores are made alone: eight accumulators
// are enough for the latency of two pipes.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

/// Six accumulators, as with registers of 32 bytes, save a third of the time of
/// twelve where eight of sixteen save half: too little to be measured. Exact
/// kernels and AMX have no such bodies; without a mask no group needs one.
bool KernelEmitter::hasHalves() {
  return e.lanes == 2 * e.native && e.registerBytes() == 64 && spec.mask &&
         !spec.mask.getBody().empty() && !isShort() && !amx() &&
         !spec.schedule.getExact();
}

/// The scores of a group of keys for one register of queries. Those of the
/// other are 0 where a mod reads them: no lane of it keeps them.
void KernelEmitter::emitHalfScores(unsigned index, const BlockRows &keys,
                                   Value panel, Value group, Value half) {
  const DotSpec &dot = spec.dots[index];
  int64_t columns = packedSteps(dot.dim);
  Value offset = e.mul(half, e.c(e.native));
  Value queries =
      e.gep(state.queries[index], e.mul(panel, e.c(columns * e.lanes)), e.f);
  queries = e.gep(queries, offset, e.f);
  Type native = e.nativeVec(e.f);
  Values scores = multiplyKeys(
      dot, keys, group, e.nativeSplat(e.cf(0.0)), queries,
      [&](Value at) { return e.load(native, at, e.registerBytes()); },
      [&](Value k, Value q, Value sum) { return e.nativeStep(k, q, sum); });
  if (Value factor = pairs() ? productFactor(dot) : Value())
    for (Value &score : scores)
      score = e.fmul(score, e.nativeSplat(factor));
  Value to = ofPanel(at_.scores[index]);
  for (auto [j, score] : llvm::enumerate(scores)) {
    Value row = e.add(group, e.c(j));
    if (!plainScores())
      e.storeRow(e.vc(0.0), to, row);
    e.store(score, e.gep(e.row(to, row), offset, e.f), e.registerBytes());
  }
}
