//===- MaskClasses.cpp - Classes of tiles ---------------------------------===//
#include "MaskRow.h"

#include "llvm/ADT/SmallVector.h"

#include <atomic>
#include <chrono>
#include <memory>

using namespace fovea;

void MaskStatistics::add(const MaskStatistics &more, int64_t times) {
  full += times * more.full;
  partial += times * more.partial;
  empty += times * more.empty;
  byPoints += more.byPoints;
  byPolyhedra += more.byPolyhedra;
  byEvaluation += more.byEvaluation;
  undecided += more.undecided;
  rectangles += more.rectangles;
}

namespace {
struct TileRectangle { // the ends are not in it
  int64_t row, rowEnd, column, columnEnd;
};

/// Whether the caller wants no more. Asked within items too: one may take long.
class Cancellation {
public:
  explicit Cancellation(const ParallelOptions &given)
      : given(given), lastAsked(Clock::now()) {}

  /// Worker 0 is the caller's thread, on which it may be asked; the others
  /// learn of it.
  bool isWanted(unsigned worker) {
    constexpr unsigned often = 64; // what reads the clock
    if (worker == 0 && given.shouldCancel && ++calls % often == 0 &&
        Clock::now() - lastAsked > std::chrono::milliseconds(40))
      ask();
    return wanted.load(std::memory_order_relaxed);
  }

  /// The same for the pool, which asks between items and while it waits.
  ParallelOptions options() {
    ParallelOptions out = given;
    if (given.shouldCancel)
      out.shouldCancel = [](void *self) {
        return static_cast<int>(static_cast<Cancellation *>(self)->ask());
      };
    out.cancelContext = this;
    return out;
  }

private:
  using Clock = std::chrono::steady_clock;

  bool ask() {
    if (!wanted && given.shouldCancel(given.cancelContext))
      wanted = true;
    lastAsked = Clock::now();
    return wanted;
  }

  const ParallelOptions given;
  std::atomic<bool> wanted{false};
  unsigned calls = 0;
  Clock::time_point lastAsked;
};
} // namespace

/// Takes decided tiles: rectangles of one class, of which those that share a
/// row of tiles come from left to right.
struct MaskEvaluator::Sink {
  virtual ~Sink() = default;
  virtual void take(int64_t plane, const TileRectangle &tiles, int8_t value,
                    unsigned worker) = 0;
};

/// One thread's classification: rectangles of tiles are halved until their
/// bounds decide or a single tile is left.
class MaskEvaluator::Classifier {
public:
  Classifier(const MaskEvaluator &owner, int64_t blockQ, int64_t blockKV,
             MaskEffort effort, Sink &sink, Cancellation &cancellation,
             unsigned worker)
      : owner(owner), domain(owner.domain), blockQ(blockQ), blockKV(blockKV),
        keyTiles(tilesOf(domain.keys, blockKV)), effort(effort), sink(sink),
        cancellation(cancellation), worker(worker) {
    if (!owner.compiled)
      return;
    if (effort != MaskEffort::Bounds)
      row.emplace(owner);
    analysis.emplace(owner.program, owner.environment());
  }

  /// Tile rows first … last of one batch and head.
  void classify(int64_t b, int64_t h, int64_t first, int64_t last,
                int64_t toPlane) {
    plane = toPlane;
    if (analysis && (b != batch || h != head)) {
      batch = b;
      head = h;
      queryOffset = owner.queryOffset(b);
      keyOffset = owner.keyOffset(b);
      if (row)
        row->enter(b, h, 0);
      analysis->enter(b, h);
    }
    pending.assign(1, {first, last, 0, keyTiles});
    while (!pending.empty() && !isCancelled()) {
      TileRectangle rectangle = pending.back();
      pending.pop_back();
      decide(rectangle);
    }
  }

  MaskStatistics statistics;

private:
  /// What is found from then on means nothing.
  bool isCancelled() { return cancellation.isWanted(worker); }

  void decide(const TileRectangle &r) {
    int64_t m0 = r.row * blockQ, n0 = r.column * blockKV;
    int64_t m1 = std::min(r.rowEnd * blockQ, domain.queries);
    int64_t n1 = std::min(r.columnEnd * blockKV, domain.keys);
    MaskRectangle positions{{m0 + queryOffset, m1 - 1 + queryOffset},
                            {n0 + keyOffset, n1 - 1 + keyOffset}};
    ++statistics.rectangles;
    TileClass found =
        analysis ? analysis->classifyByBounds(positions) : TileClass::Full;
    if (found != TileClass::Partial)
      return fill(r, found);
    if (r.rowEnd - r.row > 1 || r.columnEnd - r.column > 1)
      return split(r);
    bool ragged = m1 - m0 < blockQ || n1 - n0 < blockKV;
    give(r, static_cast<int8_t>(single(m0, m1, n0, n1, positions, ragged)));
  }

  /// Halves the longer side, or both where they are about as long: where a
  /// boundary runs through a rectangle, it runs through its halves as well.
  void split(const TileRectangle &r) {
    int64_t rows = r.rowEnd - r.row, columns = r.columnEnd - r.column;
    int64_t height = rows * blockQ, width = columns * blockKV;
    bool cutRows = rows > 1 && (columns == 1 || height > width / 2);
    bool cutColumns = columns > 1 && (rows == 1 || width > height / 2);
    int64_t row = cutRows ? r.row + rows / 2 : r.rowEnd;
    int64_t column = cutColumns ? r.column + columns / 2 : r.columnEnd;
    if (cutRows && cutColumns)
      pending.push_back({row, r.rowEnd, column, r.columnEnd});
    if (cutRows)
      pending.push_back({row, r.rowEnd, r.column, column});
    if (cutColumns)
      pending.push_back({r.row, row, column, r.columnEnd});
    pending.push_back({r.row, row, r.column, column});
  }

  void give(const TileRectangle &r, int8_t value) {
    int64_t tiles = (r.rowEnd - r.row) * (r.columnEnd - r.column);
    (value == 2   ? statistics.full
     : value == 1 ? statistics.partial
                  : statistics.empty) += tiles;
    sink.take(plane, r, value, worker);
  }

  /// What lies past a length counts as masked: ragged tiles are never full.
  void fill(TileRectangle r, TileClass found) {
    if (found == TileClass::Empty)
      return give(r, 0);
    bool raggedRow = r.rowEnd * blockQ > domain.queries;
    bool raggedColumn = r.columnEnd * blockKV > domain.keys;
    TileRectangle inner = r;
    inner.rowEnd -= raggedRow;
    inner.columnEnd -= raggedColumn;
    if (inner.row < inner.rowEnd) {
      if (inner.column < inner.columnEnd)
        give(inner, 2);
      if (raggedColumn)
        give({inner.row, inner.rowEnd, inner.columnEnd, r.columnEnd}, 1);
    }
    if (raggedRow)
      give({inner.rowEnd, r.rowEnd, r.column, r.columnEnd}, 1);
  }

  /// A tile that bounds leave open.
  TileClass single(int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                   const MaskRectangle &positions, bool ragged) {
    if (effort == MaskEffort::Bounds) {
      ++statistics.undecided;
      return TileClass::Partial;
    }
    bool on = false, off = ragged, exact = effort == MaskEffort::Exact;
    const int64_t keys[3] = {positions.kv.low,
                             positions.kv.low + (n1 - 1 - n0) / 2,
                             positions.kv.high};
    for (int64_t m : {m0, m0 + (m1 - 1 - m0) / 2, m1 - 1}) {
      row->move(m);
      row->probe(keys, 3, on, off);
      if (on && off) {
        ++statistics.byPoints;
        return TileClass::Partial;
      }
    }
    // Where divisions make polyhedra dear, the points of a tile are cheaper.
    constexpr int64_t fewPoints = 1 << 16;
    AffineMask *mask = analysis->affine();
    bool preferPoints = exact && mask && mask->hasDivisions() &&
                        m1 - m0 <= fewPoints / (n1 - n0);
    if (mask && mask->hasDivisions() && !preferPoints &&
        differsOnSomeRows(m0, m1, n0, n1, ragged)) {
      ++statistics.byPoints;
      return TileClass::Partial;
    }
    if (mask && !preferPoints)
      if (auto found = mask->classify(positions)) {
        ++statistics.byPolyhedra;
        return *found == TileClass::Full && ragged ? TileClass::Partial
                                                   : *found;
      }
    if (!exact) {
      ++statistics.undecided;
      return TileClass::Partial;
    }
    ++statistics.byEvaluation;
    return evaluate(m0, m1, n0, n1, ragged);
  }

  /// Evaluates keys of a row until both kinds have been seen.
  void look(int64_t m, int64_t n0, int64_t n1, bool &anyOn, bool &anyOff) {
    uint8_t bytes[RegionFrame::lanes];
    row->move(m);
    for (int64_t n = n0; n < n1 && !(anyOn && anyOff) && !isCancelled();
         n += RegionFrame::lanes) {
      auto count =
          static_cast<unsigned>(std::min<int64_t>(RegionFrame::lanes, n1 - n));
      row->visible(n, count, bytes);
      anyOn |= std::memchr(bytes, 1, count) != nullptr;
      anyOff |= std::memchr(bytes, 0, count) != nullptr;
    }
  }

  TileClass evaluate(int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                     bool ragged) {
    bool anyOff = ragged, anyOn = false;
    for (int64_t m = m0; m < m1 && !isCancelled(); ++m) {
      look(m, n0, n1, anyOn, anyOff);
      if (anyOn && anyOff)
        return TileClass::Partial;
    }
    return anyOn ? TileClass::Full : TileClass::Empty;
  }

  /// A few rows of a tile, as far as some hundred keys: periodic masks differ
  /// within a period.
  bool differsOnSomeRows(int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                         bool ragged) {
    constexpr int64_t rows = 8, keys = 512;
    bool anyOff = ragged, anyOn = false;
    int64_t step = std::max<int64_t>((m1 - m0) / rows, 1);
    for (int64_t m = m0; m < m1 && !(anyOn && anyOff); m += step)
      look(m, n0, std::min(n1, n0 + keys), anyOn, anyOff);
    return anyOn && anyOff;
  }

  const MaskEvaluator &owner;
  const MaskDomain &domain;
  int64_t blockQ, blockKV, keyTiles;
  MaskEffort effort;
  Sink &sink;
  Cancellation &cancellation;
  unsigned worker;
  std::optional<Row> row;
  std::optional<MaskAnalysis> analysis;
  std::vector<TileRectangle> pending;
  int64_t batch = -1, head = -1, plane = 0;
  int64_t queryOffset = 0, keyOffset = 0;
};

//===----------------------------------------------------------------------===//
// All tiles
//===----------------------------------------------------------------------===//

static constexpr int64_t band = 32; // tile rows of one item

bool MaskEvaluator::walk(Sink &sink, int64_t blockQ, int64_t blockKV,
                         const ParallelOptions &given, MaskEffort effort,
                         MaskStatistics *statistics) const {
  // No tile is larger than what there is; saturating keeps products in range.
  constexpr int64_t largest = int64_t(1) << 40;
  int64_t rowTiles = tilesOf(domain.queries, blockQ);
  int64_t planes = domain.batch * domain.heads;
  if (rowTiles == 0 || domain.keys == 0)
    return true;
  blockQ = std::min(blockQ, std::max(domain.queries + 1, largest));
  blockKV = std::min(blockKV, std::max(domain.keys + 1, largest));
  int64_t bands = tilesOf(rowTiles, band);
  Cancellation cancellation(given);
  ParallelOptions options = cancellation.options();
  options.callerComputes = blockQ < 65536 / band;
  PerWorker<Classifier> workers;
  bool done = ThreadPool::get().parallelFor(
      (isShared() ? 1 : planes) * bands, options,
      [&](int64_t begin, int64_t end, unsigned worker) {
        Classifier &classifier = workers.get(
            worker, *this, blockQ, blockKV, effort, sink, cancellation, worker);
        for (int64_t i = begin; i < end; ++i) {
          int64_t bh = i / bands, first = i % bands * band;
          classifier.classify(bh / domain.heads, bh % domain.heads, first,
                              std::min(first + band, rowTiles), bh);
        }
      });
  if (statistics)
    workers.forEach([&](Classifier &classifier) {
      statistics->add(classifier.statistics, isShared() ? planes : 1);
    });
  return done && !cancellation.isWanted(1);
}

bool MaskEvaluator::classes(int8_t *out, int64_t blockQ, int64_t blockKV,
                            const ParallelOptions &options, MaskEffort effort,
                            MaskStatistics *statistics) const {
  struct ArraySink final : Sink {
    int8_t *out;
    int64_t rowTiles, keyTiles;
    void take(int64_t plane, const TileRectangle &r, int8_t value,
              unsigned) override {
      int8_t *base = out + plane * rowTiles * keyTiles;
      for (int64_t tile = r.row; tile < r.rowEnd; ++tile)
        std::memset(base + tile * keyTiles + r.column, value,
                    static_cast<size_t>(r.columnEnd - r.column));
    }
  } sink;
  sink.out = out;
  sink.rowTiles = tilesOf(domain.queries, blockQ);
  sink.keyTiles = tilesOf(domain.keys, blockKV);
  bool done = walk(sink, blockQ, blockKV, options, effort, statistics);
  if (done && isShared())
    repeat(out, sink.rowTiles * sink.keyTiles, domain.batch * domain.heads);
  return done;
}

bool MaskEvaluator::counts(MaskStatistics &out, int64_t blockQ, int64_t blockKV,
                           const ParallelOptions &options,
                           MaskEffort effort) const {
  struct NoSink final : Sink {
    void take(int64_t, const TileRectangle &, int8_t, unsigned) override {}
  } sink;
  return walk(sink, blockQ, blockKV, options, effort, &out);
}

namespace {
/// Runs of the rows of tiles, appended by one thread a row.
class RunRows {
public:
  /// False: cancelled.
  bool resize(int64_t count, Cancellation &cancellation) {
    rows.reserve(static_cast<size_t>(count));
    for (int64_t row = 0; row < count; ++row) {
      if (cancellation.isWanted(0))
        return false;
      rows.emplace_back();
    }
    return true;
  }
  bool copyTo(MaskRuns &out, Cancellation &cancellation) const;
  void append(int64_t row, int64_t end, int8_t value) {
    Runs &runs = rows[row];
    auto entry = static_cast<int32_t>(end << 2 | value);
    if (!runs.empty() && (runs.back() & 3) == value)
      runs.back() = entry;
    else
      runs.push_back(entry);
  }
  /// Most rows of a sparse mask have three: empty, some, empty.
  using Runs = llvm::SmallVector<int32_t, 4>;
  std::vector<Runs> rows;
};

/// False: cancelled.
bool RunRows::copyTo(MaskRuns &out, Cancellation &cancellation) const {
  out.runs.clear();
  out.offsets.assign(1, 0);
  out.offsets.reserve(rows.size() + 1);
  for (const Runs &row : rows) {
    if (cancellation.isWanted(0))
      return false;
    out.offsets.push_back(out.offsets.back() +
                          static_cast<int64_t>(row.size()));
  }
  out.runs.reserve(static_cast<size_t>(out.offsets.back()));
  for (const Runs &row : rows) {
    if (cancellation.isWanted(0))
      return false;
    out.runs.insert(out.runs.end(), row.begin(), row.end());
  }
  return true;
}
} // namespace

bool MaskEvaluator::runs(MaskRuns &out, MaskStatistics &statistics,
                         int64_t blockQ, int64_t blockKV,
                         const ParallelOptions &options,
                         MaskEffort effort) const {
  out.rowTiles = tilesOf(domain.queries, blockQ);
  out.keyTiles = tilesOf(domain.keys, blockKV);
  out.shared = isShared();
  int64_t rows = out.rowTiles * (out.shared ? 1 : domain.batch * domain.heads);
  struct RunSink final : Sink {
    RunRows collected;
    int64_t rowTiles = 0;
    void take(int64_t plane, const TileRectangle &r, int8_t value,
              unsigned) override {
      for (int64_t tile = r.row; tile < r.rowEnd; ++tile)
        collected.append(plane * rowTiles + tile, r.columnEnd, value);
    }
  } sink;
  sink.rowTiles = out.rowTiles;
  Cancellation cancellation(options);
  if (!sink.collected.resize(rows, cancellation) ||
      !walk(sink, blockQ, blockKV, options, effort, &statistics))
    return false;
  return sink.collected.copyTo(out, cancellation);
}
