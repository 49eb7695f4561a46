//===- MaskEvaluator.cpp - Masks of a Program, point by point -------------===//
#include "fovea/Interpreter/MaskEvaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace fovea;

/// One thread's view of the mask: a row of keys at a time.
class MaskEvaluator::Row {
public:
  explicit Row(const MaskEvaluator &owner)
      : owner(owner),
        frame(*owner.compiled, owner.captures, sizesOf(owner.domain)) {
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
    frame.setInt(q, query + owner.domain.queryOffset);
  }

  /// Another query of the same head.
  void move(int64_t query) {
    frame.setInt(q, query + owner.domain.queryOffset);
  }

  /// Bytes 0/1 of keys first … first + count, at most RegionFrame::lanes.
  void visible(int64_t first, unsigned count, uint8_t *out) {
    frame.fillIota(kv, first + owner.domain.keyOffset, count);
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

private:
  static RegionSizes sizesOf(const MaskDomain &domain) {
    RegionSizes sizes;
    sizes.B = domain.batch;
    sizes.H = sizes.Hk = domain.heads;
    sizes.M = domain.queries;
    sizes.N = domain.keys;
    return sizes;
  }

  const MaskEvaluator &owner;
  RegionFrame frame;
  int b, h, q, kv;
};

MaskEvaluator::MaskEvaluator(const Program &program,
                             llvm::ArrayRef<TensorView> captures,
                             const MaskDomain &domain)
    : captures(captures), domain(domain) {
  const Region *region = nullptr;
  if (program.mask) {
    region = &*program.mask;
  } else if (program.score) {
    region = &*program.score;
    isScore = true;
  }
  if (region)
    compiled = RegionProgram::compile(program, *region, {"kv"});
}

namespace {
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

private:
  std::vector<std::unique_ptr<T>> slots;
};

int64_t tilesOf(int64_t length, int64_t block) {
  return length / block + (length % block != 0);
}
} // namespace

bool MaskEvaluator::dense(uint8_t *out, const ParallelOptions &given) const {
  int64_t rows = domain.batch * domain.heads * domain.queries;
  if (!compiled) {
    std::memset(out, 1, static_cast<size_t>(rows * domain.keys));
    return true;
  }
  ParallelOptions options = given;
  options.chunk =
      std::max<int64_t>(1, 65536 / std::max<int64_t>(domain.keys, 1));
  PerWorker<Row> workers;
  return ThreadPool::get().parallelFor(
      rows, options, [&](int64_t begin, int64_t end, unsigned worker) {
        Row &row = workers.get(worker, *this);
        for (int64_t i = begin; i < end; ++i) {
          int64_t bh = i / domain.queries;
          row.enter(bh / domain.heads, bh % domain.heads, i % domain.queries);
          for (int64_t n = 0; n < domain.keys; n += RegionFrame::lanes)
            row.visible(n,
                        static_cast<unsigned>(std::min<int64_t>(
                            RegionFrame::lanes, domain.keys - n)),
                        out + i * domain.keys + n);
        }
      });
}

bool MaskEvaluator::classes(int8_t *out, int64_t blockQ, int64_t blockKV,
                            const ParallelOptions &given) const {
  int64_t rowTiles = tilesOf(domain.queries, blockQ);
  int64_t keyTiles = tilesOf(domain.keys, blockKV);
  ParallelOptions options = given;
  options.chunk = 1;
  PerWorker<Row> workers;
  auto classify = [&](Row *row, int64_t m0, int64_t n0) -> int8_t {
    int64_t rows = std::min(blockQ, domain.queries - m0);
    int64_t keys = std::min(blockKV, domain.keys - n0);
    // What lies past a length counts as masked.
    bool anyOff = rows < blockQ || keys < blockKV, anyOn = false;
    uint8_t bytes[RegionFrame::lanes];
    for (int64_t m = m0; m < m0 + rows && !(anyOn && anyOff); ++m) {
      if (!row) {
        anyOn = true;
        continue;
      }
      row->move(m);
      for (int64_t n = 0; n < keys && !(anyOn && anyOff);
           n += RegionFrame::lanes) {
        auto count = static_cast<unsigned>(
            std::min<int64_t>(RegionFrame::lanes, keys - n));
        row->visible(n0 + n, count, bytes);
        anyOn |= std::memchr(bytes, 1, count) != nullptr;
        anyOff |= std::memchr(bytes, 0, count) != nullptr;
      }
    }
    return anyOn ? (anyOff ? 1 : 2) : 0;
  };
  return ThreadPool::get().parallelFor(
      domain.batch * domain.heads * rowTiles, options,
      [&](int64_t begin, int64_t end, unsigned worker) {
        Row *row = compiled ? &workers.get(worker, *this) : nullptr;
        for (int64_t i = begin; i < end; ++i) {
          int64_t bh = i / rowTiles, m0 = i % rowTiles * blockQ;
          if (row)
            row->enter(bh / domain.heads, bh % domain.heads, m0);
          for (int64_t t = 0; t < keyTiles; ++t)
            out[i * keyTiles + t] = classify(row, m0, t * blockKV);
        }
      });
}
