//===- RowInterpreter.cpp - One row of an attention variant ---------------===//

#include "RowInterpreter.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace fovea;

static constexpr double infinity = std::numeric_limits<double>::infinity();
/// Heads of more values than this are converted row by row.
static constexpr int64_t cachedValues = int64_t(1) << 22;

//===----------------------------------------------------------------------===//
// The variant
//===----------------------------------------------------------------------===//

CompiledVariant::CompiledVariant(const Program &program,
                                 const LaunchView &launch,
                                 Arithmetic arithmetic)
    : program(program), launch(launch), sizes(launch.sizes()),
      isSoftmax(!program.normalizer.has_value()) {
  using Names = llvm::ArrayRef<llvm::StringRef>;
  auto compile = [&](const Region &region, Names varying) {
    return RegionProgram::compile(program, region, varying);
  };
  if (program.score)
    score = compile(*program.score, {"s", "kv"});
  if (program.mask)
    mask = compile(*program.mask, {"kv"});
  hasStat = hasDenom = true;
  finishKind = FinishKind::OverL;
  if (const auto &normalizer = program.normalizer) {
    hasStat = normalizer->stat.has_value();
    hasDenom = normalizer->denom.has_value();
    finishKind = normalizer->finishKind;
    weight = compile(normalizer->weight, {"s", "kv"});
    if (hasStat)
      stat = compile(*normalizer->stat, {"s"});
    if (hasDenom)
      denom = compile(*normalizer->denom, {"s", "kv"});
    if (normalizer->seed)
      seed = compile(*normalizer->seed, {});
    if (normalizer->seedValue)
      seedValue = compile(*normalizer->seedValue, {"e"});
    if (finishKind == FinishKind::Custom)
      finish = compile(normalizer->finish, {"o", "e"});
  }
  if (arithmetic == Arithmetic::Plain) {
    workType = program.dtype.value_or(launch.value.dtype);
    scoreType = *workType == DType::F64 ? DType::F64 : DType::F32;
  }
}

RowInterpreter::Frame::Frame(const RegionProgram &program,
                             const CompiledVariant &variant)
    : frame(program, variant.launch.captures, variant.sizes),
      s(program.findArg("s")), t(program.findArg("t")), b(program.findArg("b")),
      h(program.findArg("h")), q(program.findArg("q")),
      kv(program.findArg("kv")), o(program.findArg("o")),
      l(program.findArg("l")), e(program.findArg("e")) {
  frame.watchReads(true);
}

void RowInterpreter::Frame::enter(int64_t batch, int64_t head, int64_t query) {
  frame.setInt(b, batch);
  frame.setInt(h, head);
  frame.setInt(q, query);
}

RowInterpreter::RowInterpreter(const CompiledVariant &variant)
    : variant(variant), launch(variant.launch) {
  auto make = [&](const std::optional<RegionProgram> &program) {
    return program ? std::make_unique<Frame>(*program, variant) : nullptr;
  };
  scoreFrame = make(variant.score);
  maskFrame = make(variant.mask);
  statFrame = make(variant.stat);
  weightFrame = make(variant.weight);
  denomFrame = make(variant.denom);
  seedFrame = make(variant.seed);
  seedValueFrame = make(variant.seedValue);
  finishFrame = make(variant.finish);
  for (const TensorView &key : launch.keys) {
    pairOffsets.push_back(headDims);
    headDims += key.sizes[3];
  }
  isCached = launch.kvLength <=
             cachedValues / std::max<int64_t>(1, headDims + launch.valueDim);
  queryData.resize(headDims);
  rowBuffer.resize(std::max<int64_t>(headDims, launch.valueDim));
  accumulators.resize(launch.valueDim);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

static void loadRow(const TensorView &view, int64_t b, int64_t h, int64_t row,
                    double *out) {
  int64_t at = view.offset({b, h, row, 0});
  for (int64_t i = 0; i < view.sizes[3]; ++i)
    out[i] = view.loadFloat(at + i * view.strides[3]);
}

void RowInterpreter::enterHead(int64_t batch, int64_t keyHead) {
  if (batch == cachedBatch && keyHead == cachedHead)
    return;
  cachedBatch = batch;
  cachedHead = keyHead;
  if (!isCached)
    return;
  int64_t live = launch.kvLengths[batch];
  headKeys.resize(live * headDims);
  headValues.resize(live * launch.valueDim);
  for (int64_t n = 0; n < live; ++n) {
    for (auto [pair, key] : llvm::enumerate(launch.keys))
      loadRow(key, batch, keyHead, n,
              headKeys.data() + n * headDims + pairOffsets[pair]);
    loadRow(launch.value, batch, keyHead, n,
            headValues.data() + n * launch.valueDim);
  }
}

const double *RowInterpreter::keyRow(unsigned pair, int64_t n) {
  if (isCached)
    return headKeys.data() + n * headDims + pairOffsets[pair];
  loadRow(launch.keys[pair], cachedBatch, cachedHead, n, rowBuffer.data());
  return rowBuffer.data();
}

const double *RowInterpreter::valueRow(int64_t n) {
  if (isCached)
    return headValues.data() + n * launch.valueDim;
  loadRow(launch.value, cachedBatch, cachedHead, n, rowBuffer.data());
  return rowBuffer.data();
}

void RowInterpreter::loadQuery() {
  for (auto [pair, view] : llvm::enumerate(launch.queries))
    loadRow(view, position.b, position.h, position.m,
            queryData.data() + pairOffsets[pair]);
}

/// S1: the sum over the pairs, each with its scale.
double RowInterpreter::dot(int64_t n) {
  double sum = 0;
  for (unsigned pair = 0; pair < launch.queries.size(); ++pair) {
    const double *q = queryData.data() + pairOffsets[pair];
    const double *k = keyRow(pair, n);
    int64_t dims = launch.keys[pair].sizes[3];
    double product = 0;
    if (variant.scoreType == DType::F32) {
      float narrow = 0;
      for (int64_t d = 0; d < dims; ++d)
        narrow += static_cast<float>(q[d]) * static_cast<float>(k[d]);
      product = work(narrow);
    } else {
      for (int64_t d = 0; d < dims; ++d)
        product += q[d] * k[d];
    }
    sum = score(sum + score(score(launch.scales[pair]) * product));
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// Which keys, and their scores
//===----------------------------------------------------------------------===//

void RowInterpreter::noteBad(const Frame &frame, unsigned lane,
                             std::optional<int64_t> key) {
  const BadRead *read = bad ? nullptr : frame.frame.badRead(lane);
  if (!read)
    return;
  bad = llvm::formatv("index {0} of capture '{1}' (dim {2}) is out of range "
                      "[0, {3}) at b={4}, h={5}, q={6}",
                      read->index, variant.program.captures[read->capture].name,
                      read->dim, read->extent, position.b, position.h, query)
            .str();
  if (key)
    *bad += llvm::formatv(", kv={0}", *key + keyOffset).str();
}

/// Fills `visible` for keys first … first + count: the block mask's classes,
/// then the mask on what they leave open.
void RowInterpreter::maskChunk(int64_t first, unsigned count) {
  auto classOf = [&](int64_t n) -> int64_t {
    if (launch.tileRuns)
      return launch.tileRuns->classAt(
          launch.tileRuns->row(position.b, position.h,
                               position.m / launch.blockQ),
          n / launch.blockKV);
    if (!launch.blockClasses)
      return 1;
    return launch.blockClasses->loadInt(launch.blockClasses->offset(
        {position.b, position.h, position.m / launch.blockQ,
         n / launch.blockKV}));
  };
  if (maskFrame) {
    maskFrame->frame.fillIota(maskFrame->kv, first + keyOffset, count);
    maskFrame->frame.run(count);
  }
  for (unsigned i = 0; i < count; ++i) {
    int64_t kind = classOf(first + i);
    bool asked = kind == 1 && maskFrame;
    visible[first + i] =
        kind == 2 ||
        (kind == 1 && (!asked || maskFrame->frame.resultInt(0, i)));
    if (asked && visible[first + i])
      noteBad(*maskFrame, i, first + i);
  }
}

/// S2: the mask is a selection after the score mod, and so is a score of -inf.
void RowInterpreter::scoreChunk(int64_t first, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    if (visible[first + i])
      scores[first + i] = dot(first + i);
  if (scoreFrame) {
    if (double *lanes = scoreFrame->frame.laneFloats(scoreFrame->s))
      std::copy_n(scores.begin() + first, count, lanes);
    scoreFrame->frame.fillIota(scoreFrame->kv, first + keyOffset, count);
    scoreFrame->frame.run(count);
  }
  for (unsigned i = 0; i < count; ++i) {
    if (!visible[first + i])
      continue;
    double &s = scores[first + i];
    if (scoreFrame)
      s = score(scoreFrame->frame.resultFloat(0, i));
    visible[first + i] = s != -infinity;
    if (scoreFrame && visible[first + i])
      noteBad(*scoreFrame, i, first + i);
    anyVisible |= visible[first + i];
  }
}

//===----------------------------------------------------------------------===//
// The row state (S9)
//===----------------------------------------------------------------------===//

RowInterpreter::State RowInterpreter::runSeed() {
  State state{variant.hasStat ? -infinity : 0, 0};
  if (seedFrame) {
    seedFrame->enter(position.b, position.h, query);
    seedFrame->frame.run(1);
    noteBad(*seedFrame, 0, std::nullopt);
    if (variant.hasStat)
      state.t = seedFrame->frame.resultFloat(0, 0);
    state.l = seedFrame->frame.resultFloat(1, 0);
  }
  llvm::fill(accumulators, 0);
  if (!seedValueFrame)
    return state;
  seedValueFrame->enter(position.b, position.h, query);
  for (int64_t e = 0; e < launch.valueDim; e += RegionFrame::lanes) {
    auto count = static_cast<unsigned>(
        std::min<int64_t>(RegionFrame::lanes, launch.valueDim - e));
    seedValueFrame->frame.fillIota(seedValueFrame->e, e, count);
    seedValueFrame->frame.run(count);
    for (unsigned i = 0; i < count; ++i) {
      noteBad(*seedValueFrame, i, std::nullopt);
      accumulators[e + i] = seedValueFrame->frame.resultFloat(0, i);
    }
  }
  return state;
}

/// The maximum of t and of what the visible keys give; NaN wins.
double RowInterpreter::runStat(double t) {
  auto take = [&](double value) { t = std::isnan(t) || t > value ? t : value; };
  for (int64_t first = 0; first < keyCount; first += RegionFrame::lanes) {
    auto count = static_cast<unsigned>(
        std::min<int64_t>(RegionFrame::lanes, keyCount - first));
    if (statFrame) {
      if (double *lanes = statFrame->frame.laneFloats(statFrame->s))
        std::copy_n(scores.begin() + first, count, lanes);
      statFrame->frame.run(count);
    }
    for (unsigned i = 0; i < count; ++i) {
      if (!visible[first + i])
        continue;
      if (statFrame)
        noteBad(*statFrame, i, first + i);
      take(statFrame ? statFrame->frame.resultFloat(0, i) : scores[first + i]);
    }
  }
  return t;
}

void RowInterpreter::weightChunk(int64_t first, unsigned count, double t,
                                 double &l) {
  auto run = [&](Frame *frame) {
    if (!frame)
      return;
    frame->enter(position.b, position.h, query);
    frame->frame.setFloat(frame->t, t);
    if (double *lanes = frame->frame.laneFloats(frame->s))
      std::copy_n(scores.begin() + first, count, lanes);
    frame->frame.fillIota(frame->kv, first + keyOffset, count);
    frame->frame.run(count);
  };
  run(weightFrame.get());
  run(denomFrame.get());
  for (unsigned i = 0; i < count; ++i) {
    if (!visible[first + i])
      continue;
    double weight = 0, denom = 0;
    if (variant.isSoftmax) {
      weight = denom = score(std::exp(score(scores[first + i] - t)));
    } else {
      noteBad(*weightFrame, i, first + i);
      weight = score(weightFrame->frame.resultFloat(0, i));
      if (denomFrame) {
        noteBad(*denomFrame, i, first + i);
        denom = score(denomFrame->frame.resultFloat(0, i));
      }
    }
    l = score(l + denom);
    weight = work(weight);
    const double *value = valueRow(first + i);
    for (int64_t e = 0; e < launch.valueDim; ++e)
      accumulators[e] = score(accumulators[e] + weight * value[e]);
    for (size_t e = 0; e < wideSums.size(); ++e)
      wideSums[e] += static_cast<long double>(weight) * value[e];
  }
}

void RowInterpreter::runWeights(State &state) {
  double t = variant.hasStat ? runStat(state.t) : 0;
  // The seed is rescaled as any part is; where t stays, NaN and the infinities
  // included, by 1 exactly: beside a seed at +inf no key weighs anything.
  bool stays = t == state.t || (std::isnan(t) && std::isnan(state.t));
  if (variant.hasStat && !stays) {
    double factor = std::exp(state.t - t);
    state.l *= factor;
    for (double &accumulator : accumulators)
      accumulator *= factor;
  }
  state.t = t;
  wideSums.clear();
  std::vector<double> seeds = accumulators;
  double seedSum = state.l;
  addWeights(state);
  // o may overflow where o / l does not.
  auto isFinite = [](double x) { return std::isfinite(x); };
  if (!variant.hasDenom || llvm::all_of(accumulators, isFinite))
    return;
  wideSums.assign(seeds.begin(), seeds.end());
  std::vector<double> first = accumulators;
  State again{t, seedSum};
  addWeights(again);
  accumulators = std::move(first);
}

void RowInterpreter::addWeights(State &state) {
  for (int64_t first = 0; first < keyCount; first += RegionFrame::lanes)
    weightChunk(first,
                static_cast<unsigned>(
                    std::min<int64_t>(RegionFrame::lanes, keyCount - first)),
                state.t, state.l);
}

/// o / l of one element.
double RowInterpreter::divide(size_t e, double l) const {
  if (wideSums.empty() || std::isfinite(accumulators[e]) ||
      std::isnan(wideSums[e]))
    return accumulators[e] / l;
  // Rounding may take a mean a little beyond the largest number.
  constexpr long double largest = std::numeric_limits<double>::max();
  long double result = wideSums[e] / l;
  long double slack = (2 * static_cast<long double>(keyCount) + 8) * 0x1p-53L;
  if (std::fabs(result) <= largest * (1 + slack))
    result = std::clamp(result, -largest, largest);
  return static_cast<double>(result);
}

void RowInterpreter::finishRow(const State &state) {
  const TensorView &out = launch.out;
  int64_t at = out.offset({position.b, position.h, position.m, 0});
  bool isZero = variant.hasDenom && state.l == 0;
  if (finishFrame) {
    finishFrame->enter(position.b, position.h, query);
    finishFrame->frame.setFloat(finishFrame->l, state.l);
    finishFrame->frame.setFloat(finishFrame->t, state.t);
  }
  for (int64_t first = 0; first < launch.valueDim;
       first += RegionFrame::lanes) {
    auto count = static_cast<unsigned>(
        std::min<int64_t>(RegionFrame::lanes, launch.valueDim - first));
    if (finishFrame) {
      if (double *lanes = finishFrame->frame.laneFloats(finishFrame->o))
        std::copy_n(accumulators.begin() + first, count, lanes);
      finishFrame->frame.fillIota(finishFrame->e, first, count);
      finishFrame->frame.run(count);
    }
    for (unsigned i = 0; i < count; ++i) {
      double value = accumulators[first + i];
      if (finishFrame) {
        value = finishFrame->frame.resultFloat(0, i);
        if (!isZero)
          noteBad(*finishFrame, i, std::nullopt);
      } else if (variant.finishKind == FinishKind::OverL) {
        value = divide(first + i, state.l);
      }
      value = isZero ? 0 : work(value);
      out.storeFloat(at + (first + i) * out.strides[3], value);
    }
  }
  if (launch.lse) // S4
    launch.lse->storeFloat(
        launch.lse->offset({position.b, position.h, position.m}),
        state.l == 0 ? -infinity : score(state.t + std::log(state.l)));
}

std::optional<std::string> RowInterpreter::run(Position at) {
  position = at;
  bad.reset();
  anyVisible = false;
  query = at.m + launch.qOffset[at.b];
  keyOffset = launch.kvOffset[at.b];
  bool isLive = at.m < launch.qLengths[at.b];
  keyCount = isLive ? launch.kvLengths[at.b] : 0;
  enterHead(at.b, at.h / (launch.queryHeads / launch.kvHeads)); // S5
  loadQuery();
  scores.assign(keyCount, 0);
  visible.assign(keyCount, 0);
  for (Frame *frame : {scoreFrame.get(), maskFrame.get()})
    if (frame)
      frame->enter(at.b, at.h, query);
  for (int64_t first = 0; first < keyCount; first += RegionFrame::lanes) {
    auto count = static_cast<unsigned>(
        std::min<int64_t>(RegionFrame::lanes, keyCount - first));
    maskChunk(first, count);
    scoreChunk(first, count);
  }
  State state = runSeed();
  runWeights(state);
  finishRow(state);
  return bad;
}
