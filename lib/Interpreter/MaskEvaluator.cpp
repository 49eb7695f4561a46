//===- MaskEvaluator.cpp - Masks of a Program, point by point -------------===//
#include "fovea/Interpreter/MaskEvaluator.h"
#include "fovea/Interpreter/RegionBounds.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace fovea;

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
  const MaskEvaluator &owner;
  RegionFrame frame;
  int b, h, q, kv;
};

MaskEvaluator::MaskEvaluator(const Program &program,
                             llvm::ArrayRef<TensorView> captures,
                             const MaskDomain &domain)
    : program(program), captures(captures), domain(domain) {
  if (program.mask) {
    region = &*program.mask;
  } else if (program.score) {
    region = &*program.score;
    isScore = true;
  }
  if (region)
    compiled = RegionProgram::compile(program, *region, {"kv"});
}

RegionSizes MaskEvaluator::sizes() const {
  RegionSizes out;
  out.B = domain.batch;
  out.H = out.Hk = domain.heads;
  out.M = domain.queries;
  out.N = domain.keys;
  return out;
}

bool MaskEvaluator::isShared() const {
  return !compiled ||
         (compiled->findArg("b") < 0 && compiled->findArg("h") < 0);
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

/// Every batch and head after the first is a copy of it.
template <typename T>
static void repeat(T *first, int64_t entries, int64_t copies) {
  for (int64_t i = 1; i < copies; ++i)
    std::copy_n(first, entries, first + i * entries);
}

bool MaskEvaluator::dense(uint8_t *out, const ParallelOptions &given) const {
  int64_t planes = domain.batch * domain.heads;
  int64_t plane = domain.queries * domain.keys;
  if (plane == 0)
    return true;
  if (!compiled) {
    std::memset(out, 1, static_cast<size_t>(planes * plane));
    return true;
  }
  ParallelOptions options = given;
  options.chunk = std::max<int64_t>(1, 65536 / domain.keys);
  PerWorker<Row> workers;
  bool done = ThreadPool::get().parallelFor(
      (isShared() ? 1 : planes) * domain.queries, options,
      [&](int64_t begin, int64_t end, unsigned worker) {
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
  if (done && isShared())
    repeat(out, plane, planes);
  return done;
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

/// One thread's classification: rectangles of tiles are halved until their
/// bounds decide or a single tile is left, which is evaluated.
class MaskEvaluator::Classifier {
public:
  Classifier(const MaskEvaluator &owner, int64_t blockQ, int64_t blockKV)
      : domain(owner.domain), blockQ(blockQ), blockKV(blockKV),
        keyTiles(tilesOf(domain.keys, blockKV)) {
    if (!owner.compiled)
      return;
    row.emplace(owner);
    bounds.emplace(*owner.region, owner.program, owner.captures, owner.sizes());
  }

  /// Tile rows first … last of one batch and head; `out` is its plane.
  void classify(int64_t b, int64_t h, int64_t first, int64_t last,
                int8_t *out) {
    batch = b;
    head = h;
    plane = out;
    if (row)
      row->enter(b, h, 0);
    pending.assign(1, {first, last, 0, keyTiles});
    while (!pending.empty()) {
      Rectangle rectangle = pending.back();
      pending.pop_back();
      decide(rectangle);
    }
  }

private:
  struct Rectangle { // of tiles; the ends are not in it
    int64_t row, rowEnd, column, columnEnd;
  };

  void decide(const Rectangle &r) {
    int64_t m0 = r.row * blockQ, n0 = r.column * blockKV;
    int64_t m1 = std::min(r.rowEnd * blockQ, domain.queries);
    int64_t n1 = std::min(r.columnEnd * blockKV, domain.keys);
    Interval mask = Interval::of(1);
    if (bounds)
      mask = bounds->evaluate(
          batch, head, {m0 + domain.queryOffset, m1 - 1 + domain.queryOffset},
          {n0 + domain.keyOffset, n1 - 1 + domain.keyOffset});
    if (mask.isPoint())
      return fill(r, mask.low != 0);
    if (r.rowEnd - r.row == 1 && r.columnEnd - r.column == 1) {
      plane[r.row * keyTiles + r.column] = evaluate(m0, m1, n0, n1);
      return;
    }
    split(r);
  }

  void split(const Rectangle &r) {
    Rectangle a = r, b = r;
    bool rows =
        (r.rowEnd - r.row) * blockQ >= (r.columnEnd - r.column) * blockKV;
    if ((rows && r.rowEnd - r.row > 1) || r.columnEnd - r.column == 1)
      a.rowEnd = b.row = r.row + (r.rowEnd - r.row) / 2;
    else
      a.columnEnd = b.column = r.column + (r.columnEnd - r.column) / 2;
    pending.push_back(b);
    pending.push_back(a);
  }

  /// What lies past a length counts as masked: ragged tiles are never full.
  void fill(const Rectangle &r, bool on) {
    for (int64_t tile = r.row; tile < r.rowEnd; ++tile) {
      bool ragged = (tile + 1) * blockQ > domain.queries;
      int8_t *line = plane + tile * keyTiles;
      std::memset(line + r.column, on ? (ragged ? 1 : 2) : 0,
                  static_cast<size_t>(r.columnEnd - r.column));
      if (on && r.columnEnd * blockKV > domain.keys)
        line[r.columnEnd - 1] = 1;
    }
  }

  int8_t evaluate(int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    bool anyOff = m1 - m0 < blockQ || n1 - n0 < blockKV, anyOn = false;
    uint8_t bytes[RegionFrame::lanes];
    for (int64_t m = m0; m < m1; ++m) {
      row->move(m);
      for (int64_t n = n0; n < n1; n += RegionFrame::lanes) {
        auto count = static_cast<unsigned>(
            std::min<int64_t>(RegionFrame::lanes, n1 - n));
        row->visible(n, count, bytes);
        anyOn |= std::memchr(bytes, 1, count) != nullptr;
        anyOff |= std::memchr(bytes, 0, count) != nullptr;
        if (anyOn && anyOff)
          return 1;
      }
    }
    return anyOn ? 2 : 0;
  }

  const MaskDomain &domain;
  int64_t blockQ, blockKV, keyTiles;
  std::optional<Row> row;
  std::optional<RegionBounds> bounds;
  std::vector<Rectangle> pending;
  int64_t batch = 0, head = 0;
  int8_t *plane = nullptr;
};

bool MaskEvaluator::classes(int8_t *out, int64_t blockQ, int64_t blockKV,
                            const ParallelOptions &given) const {
  // No tile is larger than what there is; saturating keeps products in range.
  constexpr int64_t largest = int64_t(1) << 40;
  int64_t rowTiles = tilesOf(domain.queries, blockQ);
  int64_t keyTiles = tilesOf(domain.keys, blockKV);
  int64_t planes = domain.batch * domain.heads;
  if (rowTiles == 0 || keyTiles == 0)
    return true;
  blockQ = std::min(blockQ, std::max(domain.queries + 1, largest));
  blockKV = std::min(blockKV, std::max(domain.keys + 1, largest));
  constexpr int64_t band = 32; // tile rows of one item
  int64_t bands = tilesOf(rowTiles, band);
  ParallelOptions options = given;
  options.callerComputes = blockQ * band < 65536;
  PerWorker<Classifier> workers;
  bool done = ThreadPool::get().parallelFor(
      (isShared() ? 1 : planes) * bands, options,
      [&](int64_t begin, int64_t end, unsigned worker) {
        Classifier &classifier = workers.get(worker, *this, blockQ, blockKV);
        for (int64_t i = begin; i < end; ++i) {
          int64_t bh = i / bands, first = i % bands * band;
          classifier.classify(bh / domain.heads, bh % domain.heads, first,
                              std::min(first + band, rowTiles),
                              out + bh * rowTiles * keyTiles);
        }
      });
  if (done && isShared())
    repeat(out, rowTiles * keyTiles, planes);
  return done;
}
