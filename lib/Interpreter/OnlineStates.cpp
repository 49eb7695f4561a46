//===- OnlineStates.cpp - Row states and normalisers (S9) -----------------===//

#include "OnlineEngine.h"

#include <cmath>

using namespace fovea;
using namespace mlir;
using namespace mlir::online;

static constexpr double kInf = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// Normalisers
//===----------------------------------------------------------------------===//

namespace fovea {
/// The functions of a normaliser, as softmax or by running its regions.
class NormalizerRun {
public:
  NormalizerRun(OnlineEngine &engine, Operation *op, Attribute normalizer,
                ValueRange captures, int64_t b, int64_t h)
      : engine(engine), op(op), captures(captures), b(b), h(h) {
    if (auto symbol = dyn_cast<FlatSymbolRefAttr>(normalizer))
      regions =
          SymbolTable::lookupNearestSymbolFrom<attn::NormalizerOp>(op, symbol);
  }

  bool hasT() { return !regions || regions.hasStat(); }
  bool hasL() { return !regions || regions.hasDenom(); }
  /// The note of what has run since the last call.
  Note takeNote() { return std::exchange(note, 0); }
  /// Whether a region could not be run.
  bool failed() const { return broken; }

  double stat(double s, int64_t m, int64_t n) {
    return regions
               ? call(regions.getStat(), {real(s)}, {{"m", m}, {"n", n}})[0].f
               : s;
  }
  double weight(double s, double t, int64_t m, int64_t n) {
    return regions ? ofPair(regions.getWeight(), s, t, m, n) : std::exp(s - t);
  }
  double denom(double s, double t, int64_t m, int64_t n) {
    return regions ? ofPair(regions.getDenom(), s, t, m, n) : std::exp(s - t);
  }
  /// (t0, l0)
  std::pair<double, double> seed(int64_t m) {
    double t = hasT() ? -kInf : 0;
    if (!regions || regions.getSeed().empty())
      return {t, 0};
    auto values =
        call(regions.getSeed(), {whole(b), whole(h), whole(m)}, {{"m", m}});
    return {hasT() ? values[0].f : 0, hasL() ? values[1].f : 0};
  }
  double seedValue(int64_t m, int64_t e) {
    if (!regions || regions.getSeedValue().empty())
      return 0;
    return call(regions.getSeedValue(),
                {whole(b), whole(h), whole(m), whole(e)},
                {{"m", m}, {"e", e}})[0]
        .f;
  }
  double finish(double o, double l, double t, int64_t m, int64_t e) {
    if (hasL() && l == 0)
      return 0;
    if (!regions || regions.getFinish().empty())
      return hasL() ? o / l : o;
    return call(regions.getFinish(),
                {real(o), real(l), real(t), whole(b), whole(h), whole(m),
                 whole(e)},
                {{"m", m}, {"e", e}})[0]
        .f;
  }

private:
  static ScalarValue real(double x) { return ScalarValue::ofFloat(x); }
  static ScalarValue whole(int64_t x) { return ScalarValue::ofInt(x); }

  double ofPair(mlir::Region &region, double s, double t, int64_t m,
                int64_t n) {
    return call(region,
                {real(s), real(t), whole(b), whole(h), whole(m), whole(n)},
                {{"m", m}, {"n", n}})[0]
        .f;
  }

  ArrayRef<ScalarValue> call(mlir::Region &region,
                             ArrayRef<ScalarValue> arguments, Position at) {
    auto [it, isNew] = frames.try_emplace(&region);
    if (isNew) {
      FailureOr<ScalarFrame> frame = engine.bind(op, region, captures);
      if (mlir::failed(frame)) {
        broken = true;
        frames.erase(it);
        return zeros;
      }
      it->second = std::move(*frame);
    }
    ArrayRef<ScalarValue> results = it->second.run(arguments);
    if (!note && it->second.badRead()) {
      SmallVector<std::pair<const char *, int64_t>> position{{"b", b},
                                                             {"h", h}};
      llvm::append_range(position, at);
      note = engine.noteBadRead(op, it->second, captures, position);
    }
    return results;
  }

  OnlineEngine &engine;
  Operation *op;
  ValueRange captures;
  int64_t b, h;
  attn::NormalizerOp regions;
  std::map<mlir::Region *, ScalarFrame> frames;
  Note note = 0;
  bool broken = false;
  ScalarValue zeros[2];
};
} // namespace fovea

/// exp(from - to): 1 where both are the same, NaN and the infinities included,
/// and 0 of what lies at -inf, whatever `to` is.
static double rescale(double from, double to) {
  if (from == to || (std::isnan(from) && std::isnan(to)))
    return 1;
  return from == -kInf ? 0 : std::exp(from - to);
}

/// NaN wins.
static double runningMax(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b);
}

static Note firstOf(std::initializer_list<Note> notes) {
  for (Note note : notes)
    if (note)
      return note;
  return 0;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

LogicalResult OnlineEngine::runInit(InitOp op) {
  StateType type = op.getState().getType();
  NormalizerRun run(*this, op, op.getNormalizer(), op.getCaptures(),
                    getInt(op.getB()), getInt(op.getH()));
  auto state = std::make_shared<RowState>();
  int64_t m0 = getInt(op.getM0());
  for (int64_t i = 0; i < type.getRows(); ++i) {
    auto [t, l] = op.getUnseeded()
                      ? std::pair<double, double>(run.hasT() ? -kInf : 0, 0)
                      : run.seed(m0 + i);
    state->t.push_back(t);
    state->l.push_back(l);
    for (int64_t e = 0; e < type.getColumns(); ++e)
      state->o.push_back(op.getUnseeded() ? 0 : run.seedValue(m0 + i, e));
    state->notes.push_back(run.takeNote());
  }
  if (run.failed())
    return failure();
  set(op.getState(), state);
  return success();
}

namespace {
/// What a step takes of each pair: s' = scale * s + row + col, and its note.
struct StepScores {
  bool isVisible(int64_t i, int64_t j) const {
    return !visible || visible->data[scores.index(i, j)].i;
  }
  double at(int64_t i, int64_t j) const {
    return scale * scores.data[scores.index(i, j)].f +
           (row ? row->data[i].f : 0) + (col ? col->data[j].f : 0);
  }
  Note note(int64_t i, int64_t j) const {
    size_t at = scores.index(i, j);
    return firstOf({scores.note(at), visible ? visible->note(at) : 0,
                    row ? row->note(i) : 0, col ? col->note(j) : 0});
  }

  const Tile &scores;
  const Tile *visible, *row, *col;
  double scale;
};
} // namespace

LogicalResult OnlineEngine::runStep(StepOp op) {
  StateType type = op.getState().getType();
  int64_t b = getInt(op.getB()), h = getInt(op.getH());
  int64_t m0 = getInt(op.getM0()), n0 = getInt(op.getN0());
  NormalizerRun run(*this, op, op.getNormalizer(), op.getCaptures(), b, h);
  auto state = std::make_shared<RowState>(
      *get<std::shared_ptr<RowState>>(op.getState()));
  auto tileOf = [&](Value given) { return given ? &getTile(given) : nullptr; };
  StepScores scores{getTile(op.getScores()), tileOf(op.getVisible()),
                    tileOf(op.getRow()), tileOf(op.getCol()),
                    op.getScale() ? getFloat(op.getScale()) : 1};
  const Tile &values = getTile(op.getValues());
  int64_t keys = scores.scores.shape[1], columns = type.getColumns();
  if (auto sweep = op->getParentOfType<SweepOp>(); sweep && !scores.visible) {
    int64_t count = get<WalkElement>(sweep.getBody().getArgument(1)).count;
    if (count < keys)
      return op.emitError() << "takes " << keys << " keys without a mask, the "
                            << "element at n = " << n0 << " has " << count;
  }

  for (int64_t i = 0; i < type.getRows(); ++i) {
    int64_t m = m0 + i;
    SmallVector<std::pair<int64_t, double>> taken; // (column, s')
    Note &note = state->notes[i];
    double t = state->t[i];
    for (int64_t j = 0; j < keys; ++j) {
      if (!scores.isVisible(i, j))
        continue;
      take(b, h, m, n0 + j);
      double s = scores.at(i, j);
      note = firstOf({note, scores.note(i, j)});
      if (s == -kInf)
        continue;
      taken.push_back({j, s});
      if (run.hasT())
        t = runningMax(t, run.stat(s, m, n0 + j));
    }
    double factor = run.hasT() ? rescale(state->t[i], t) : 1;
    state->t[i] = t;
    state->l[i] *= factor;
    double *out = state->o.data() + i * columns;
    for (int64_t e = 0; e < columns; ++e)
      out[e] *= factor;
    for (auto [j, s] : taken) {
      double w = run.weight(s, t, m, n0 + j);
      if (run.hasL())
        state->l[i] += run.denom(s, t, m, n0 + j);
      for (int64_t e = 0; e < columns; ++e) {
        size_t at = values.index(j, e);
        out[e] += w * values.data[at].f;
        note = firstOf({note, values.note(at)});
      }
    }
    note = firstOf({note, run.takeNote()});
  }
  if (run.failed())
    return failure();
  set(op.getResult(), state);
  return success();
}

LogicalResult OnlineEngine::runMerge(MergeOp op) {
  StateType type = op.getResult().getType();
  const RowState &a = *get<std::shared_ptr<RowState>>(op.getLhs());
  const RowState &b = *get<std::shared_ptr<RowState>>(op.getRhs());
  auto state = std::make_shared<RowState>(a);
  int64_t columns = type.getColumns();
  for (int64_t i = 0; i < type.getRows(); ++i) {
    double t = type.getHasT() ? runningMax(a.t[i], b.t[i]) : 0;
    double fa = type.getHasT() ? rescale(a.t[i], t) : 1;
    double fb = type.getHasT() ? rescale(b.t[i], t) : 1;
    state->t[i] = t;
    state->l[i] = a.l[i] * fa + b.l[i] * fb;
    for (int64_t at = i * columns; at < (i + 1) * columns; ++at)
      state->o[at] = a.o[at] * fa + b.o[at] * fb;
    state->notes[i] = firstOf({a.notes[i], b.notes[i]});
  }
  set(op.getResult(), state);
  return success();
}

LogicalResult OnlineEngine::runFinish(FinishOp op) {
  StateType type = op.getState().getType();
  const RowState &state = *get<std::shared_ptr<RowState>>(op.getState());
  NormalizerRun run(*this, op, op.getNormalizer(), op.getCaptures(),
                    getInt(op.getB()), getInt(op.getH()));
  int64_t columns = type.getColumns(), m0 = getInt(op.getM0());
  auto out = std::make_shared<Tile>(ArrayRef<int64_t>{type.getRows(), columns});
  auto lse = std::make_shared<Tile>(ArrayRef<int64_t>{type.getRows()});
  for (int64_t i = 0; i < type.getRows(); ++i) {
    double t = state.t[i], l = state.l[i];
    for (int64_t e = 0; e < columns; ++e) {
      size_t at = out->index(i, e);
      out->data[at].f = run.finish(state.o[i * columns + e], l, t, m0 + i, e);
      out->setNote(at, firstOf({state.notes[i], run.takeNote()}));
    }
    lse->data[i].f = l == 0 ? -kInf : t + std::log(l);
    lse->setNote(i, state.notes[i]);
  }
  if (run.failed())
    return failure();
  set(op.getOut(), out);
  if (op.getLse())
    set(op.getLse(), lse);
  return success();
}

LogicalResult OnlineEngine::runWeights(WeightsOp op) {
  NormalizerRun run(*this, op, op.getNormalizer(), op.getCaptures(),
                    getInt(op.getB()), getInt(op.getH()));
  const Tile &scores = getTile(op.getScores());
  const Tile *stat = op.getStat() ? &getTile(op.getStat()) : nullptr;
  const Tile *visible = op.getVisible() ? &getTile(op.getVisible()) : nullptr;
  int64_t m0 = getInt(op.getM0()), n0 = getInt(op.getN0());
  auto result = std::make_shared<Tile>(ArrayRef<int64_t>(scores.shape));
  for (int64_t i = 0; i < scores.shape[0]; ++i)
    for (int64_t j = 0; j < scores.shape[1]; ++j) {
      size_t at = scores.index(i, j);
      double s = scores.data[at].f;
      if (visible && !visible->data[at].i)
        continue;
      Note note = firstOf({scores.note(at), visible ? visible->note(at) : 0,
                           stat ? stat->note(i) : 0});
      if (s != -kInf) {
        result->data[at].f =
            run.weight(s, stat ? stat->data[i].f : 0, m0 + i, n0 + j);
        note = firstOf({note, run.takeNote()});
      }
      result->setNote(at, note);
    }
  if (run.failed())
    return failure();
  set(op.getResult(), result);
  return success();
}
