//===- MaskRow.h - One thread's view of a mask -------------------*- C++-*-===//
#ifndef FOVEA_LIB_INTERPRETER_MASKROW_H
#define FOVEA_LIB_INTERPRETER_MASKROW_H

#include "fovea/Interpreter/MaskEvaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fovea {

/// One thread's view of the mask: a row of keys at a time.
class MaskEvaluator::Row {
public:
  explicit Row(const MaskEvaluator &owner)
      : owner(owner), frame(*owner.compiled, owner.captures, owner.sizes()) {
    const RegionProgram &program = *owner.compiled;
    b = program.findArg("b");
    h = program.findArg("h");
    q = program.findArg("q");
    kv = program.findArg("kv");
    frame.setFloat(program.findArg("s"), 0);
  }

  void enter(int64_t batch, int64_t head, int64_t query) {
    frame.setInt(b, batch);
    frame.setInt(h, head);
    queryOffset = owner.queryOffset(batch);
    keyOffset = owner.keyOffset(batch);
    move(query);
  }

  /// Another query of the same head.
  void move(int64_t query) { frame.setInt(q, query + queryOffset); }

  /// Bytes 0/1 of keys first … first + count, at most RegionFrame::lanes.
  void visible(int64_t first, unsigned count, uint8_t *out) {
    frame.fillIota(kv, first + keyOffset, count);
    frame.run(count);
    if (!frame.resultVaries(0)) {
      bool on = owner.isScore ? frame.resultFloat(0, 0) != -HUGE_VAL
                              : frame.resultInt(0, 0) != 0;
      std::memset(out, on, count);
    } else if (owner.isScore) {
      const double *scores = frame.resultFloats(0);
      for (unsigned i = 0; i < count; ++i)
        out[i] = scores[i] != -HUGE_VAL;
    } else {
      const int64_t *mask = frame.resultInts(0);
      for (unsigned i = 0; i < count; ++i)
        out[i] = static_cast<uint8_t>(mask[i]);
    }
  }

  /// Sets `on` where one of these global positions is visible, `off` where one
  /// is not.
  void probe(const int64_t *keys, unsigned count, bool &on, bool &off) {
    if (int64_t *lane = frame.laneInts(kv))
      std::copy_n(keys, count, lane);
    frame.run(count);
    for (unsigned i = 0; i < count; ++i)
      (isOn(i) ? on : off) = true;
  }

private:
  bool isOn(unsigned lane) const {
    return owner.isScore ? frame.resultFloat(0, lane) != -HUGE_VAL
                         : frame.resultInt(0, lane) != 0;
  }

  const MaskEvaluator &owner;
  RegionFrame frame;
  int b, h, q, kv;
  int64_t queryOffset = 0, keyOffset = 0;
};

/// Frames of the workers, made as they turn up.
template <typename T> class PerWorker {
public:
  PerWorker() : slots(ThreadPool::numWorkers()) {}
  template <typename... Args> T &get(unsigned worker, Args &&...args) {
    std::unique_ptr<T> &slot = slots[worker];
    if (!slot)
      slot = std::make_unique<T>(std::forward<Args>(args)...);
    return *slot;
  }
  template <typename F> void forEach(F f) {
    for (std::unique_ptr<T> &slot : slots)
      if (slot)
        f(*slot);
  }

private:
  std::vector<std::unique_ptr<T>> slots;
};

inline int64_t tilesOf(int64_t length, int64_t block) {
  return length / block + (length % block != 0);
}

/// Every batch and head after the first is a copy of it.
template <typename T> void repeat(T *first, int64_t entries, int64_t copies) {
  for (int64_t i = 1; i < copies; ++i)
    std::copy_n(first, entries, first + i * entries);
}

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_MASKROW_H
