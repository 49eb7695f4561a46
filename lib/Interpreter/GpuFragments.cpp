//===- GpuFragments.cpp - Arithmetic of level 3 on registers --------------===//

#include "GpuEngine.h"
#include "fovea/Interpreter/Interpreter.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::attn_gpu;

/// Lanes that share a row.
static constexpr int64_t kQuad = 4;

/// The lane of a quad that holds a column of an accumulator.
static int64_t laneOf(int64_t column) { return column % 8 / 2; }

static std::shared_ptr<GpuMatrix> makeMatrix(Type type, float value = 0) {
  if (auto frag = dyn_cast<FragType>(type))
    return std::make_shared<GpuMatrix>(frag.getRows(), frag.getColumns(),
                                       value);
  auto vector = cast<RowvecType>(type);
  return std::make_shared<GpuMatrix>(vector.getRows(),
                                     vector.getPartial() ? kQuad : 1, value);
}

LogicalResult GpuCoroutine::runFragment(Operation *op) {
  if (!gpu->data) {
    for (Value result : op->getResults())
      setMatrix(result, nullptr);
    return success();
  }
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<ZeroOp>([&](auto op) {
        setMatrix(op, makeMatrix(op.getType()));
        return success();
      })
      .Case<SplatOp>([&](auto op) {
        auto value = static_cast<float>(getFloat(op.getValue()));
        setMatrix(op, makeMatrix(op.getType(), value));
        return success();
      })
      .Case<PinOp>([&](auto op) {
        set(op, OnlineValue(values[op.getSource()]));
        return success();
      })
      .Case<ReduceOp>([&](auto op) { return runReduce(op); })
      .Case<QuadReduceOp>([&](auto op) { return runQuadReduce(op); })
      .Case<RescaleOp>([&](auto op) { return runRescale(op); })
      .Case<ConvertOp>([&](auto op) { return runConvert(op); })
      .Case<DiagonalOp>([&](DiagonalOp op) -> LogicalResult {
        FailureOr<MatrixRef> values =
            evaluateDiagonal(op, op.getBody(), op.getType(), getInt(op.getM0()),
                             getInt(op.getN0()));
        if (succeeded(values))
          setMatrix(op, *values);
        return values;
      })
      .Case<MapOp>([&](auto op) { return runMap(op); })
      .Case<MaskOp>([&](auto op) { return runMask(op); })
      .Default([&](Operation *op) {
        return op->emitError()
               << "'" << op->getName() << "' is not interpreted at level 3";
      });
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static float combine(ReduceKind kind, float a, float b) {
  return kind == ReduceKind::Max ? std::fmax(a, b) : a + b;
}

/// Joins a row's lanes as the shuffles do: neighbours, then the pairs.
static float joinQuad(ReduceKind kind, const float *lanes) {
  return combine(kind, combine(kind, lanes[0], lanes[1]),
                 combine(kind, lanes[2], lanes[3]));
}

static Note firstNote(const GpuMatrix &matrix, int64_t row) {
  for (int64_t j = 0; j < matrix.columns; ++j)
    if (Note note = matrix.note(row * matrix.columns + j))
      return note;
  return 0;
}

LogicalResult GpuCoroutine::runReduce(ReduceOp op) {
  const GpuMatrix &source = getMatrix(op.getSource());
  const GpuMatrix *init = op.getInit() ? &getMatrix(op.getInit()) : nullptr;
  ReduceKind kind = op.getKind();
  auto result = makeMatrix(op.getType());
  float neutral = kind == ReduceKind::Max ? -INFINITY : 0;
  for (int64_t i = 0; i < source.rows; ++i) {
    float lanes[kQuad] = {neutral, neutral, neutral, neutral};
    for (int64_t j = 0; j < source.columns; ++j) {
      float &lane = lanes[laneOf(j)];
      lane = combine(kind, lane, source.data[i * source.columns + j]);
    }
    Note note = firstNote(source, i);
    for (int64_t lane = 0; lane < result->columns; ++lane) {
      size_t at = i * result->columns + lane;
      float value = result->columns == 1 ? joinQuad(kind, lanes) : lanes[lane];
      result->data[at] = init ? combine(kind, init->data[at], value) : value;
      result->setNote(at, note ? note : init ? init->note(at) : 0);
    }
  }
  setMatrix(op, result);
  return success();
}

LogicalResult GpuCoroutine::runQuadReduce(QuadReduceOp op) {
  const GpuMatrix &source = getMatrix(op.getSource());
  auto result = makeMatrix(op.getType());
  for (int64_t i = 0; i < source.rows; ++i) {
    result->data[i] = joinQuad(op.getKind(), &source.data[i * kQuad]);
    result->setNote(i, firstNote(source, i));
  }
  setMatrix(op, result);
  return success();
}

LogicalResult GpuCoroutine::runRescale(RescaleOp op) {
  const GpuMatrix &source = getMatrix(op.getSource());
  const GpuMatrix &alpha = getMatrix(op.getAlpha());
  const GpuMatrix *addend =
      op.getAddend() ? &getMatrix(op.getAddend()) : nullptr;
  auto result = std::make_shared<GpuMatrix>(source);
  for (int64_t i = 0; i < source.rows; ++i)
    for (int64_t j = 0; j < source.columns; ++j) {
      size_t at = i * source.columns + j;
      float x = source.data[at], y = addend ? addend->data[at] : 0;
      result->data[at] = x == 0 ? y : std::fma(x, alpha.data[i], y);
      for (Note note : {alpha.note(i), addend ? addend->note(at) : 0})
        result->setNote(at, note);
    }
  setMatrix(op, result);
  return success();
}

LogicalResult GpuCoroutine::runConvert(ConvertOp op) {
  DType type =
      op.getType().getElementType().isBF16() ? DType::BF16 : DType::F16;
  auto result = std::make_shared<GpuMatrix>(getMatrix(op.getSource()));
  for (float &value : result->data)
    value = static_cast<float>(roundToType(value, type));
  setMatrix(op, result);
  return success();
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// The region at every m - n of a tile, the least first.
FailureOr<MatrixRef> GpuCoroutine::evaluateDiagonal(Operation *op,
                                                    mlir::Region &region,
                                                    DiagvecType type,
                                                    int64_t m0, int64_t n0) {
  FailureOr<ScalarFrame> frame = bind(op, region);
  if (failed(frame))
    return failure();
  auto result = std::make_shared<GpuMatrix>(1, type.getLength());
  for (int64_t i = 0; i < type.getLength(); ++i) {
    std::pair<const char *, int64_t> position[] = {
        {"m - n", m0 - n0 - (type.getColumns() - 1) + i}};
    ScalarValue value =
        frame->run({ScalarValue::ofInt(position[0].second)}).front();
    result->data[i] = static_cast<float>(value.f);
    result->setNote(i, noteBadRead(op, *frame, {}, position));
  }
  return MatrixRef(result);
}

/// The diagonal beside a tile that is held.
LogicalResult GpuCoroutine::readDiagonal(const GpuState &state,
                                         DiagonalReadOp op) {
  int64_t channel = getGpu(op.getChannel()).channel, use = getUse(state, op);
  auto reading = readings.find(channel);
  if (reading == readings.end() || !reading->second.held.count(use))
    return op.emitError() << name() << " reads the diagonal of use " << use
                          << " of " << state.channels[channel].name(use)
                          << ", which it does not hold";
  const GpuSlot &slot = state.channels[channel].slot(use);
  if (!slot.diagonal || slot.diagonalNotes.empty()) {
    setMatrix(op, slot.diagonal);
    return success();
  }
  auto result = std::make_shared<GpuMatrix>(*slot.diagonal);
  for (Note &note : result->notes)
    note += note ? notes.size() : 0;
  llvm::append_range(notes, slot.diagonalNotes);
  setMatrix(op, result);
  return success();
}

/// Where an input of a map has its value for an element of the result.
static size_t indexOf(const GpuMatrix &input, Type type, int64_t row, int64_t i,
                      int64_t j) {
  if (auto diagonal = dyn_cast<DiagvecType>(type))
    return row - j + diagonal.getColumns() - 1;
  return input.columns == 1 ? i : i * input.columns + j;
}

LogicalResult GpuCoroutine::runMap(MapOp op) {
  FailureOr<ScalarFrame> frame = bind(op, op.getBody());
  if (failed(frame))
    return failure();
  auto result = makeMatrix(op.getType());
  SmallVector<const GpuMatrix *> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(&getMatrix(input));
  SmallVector<int64_t, 2> origins;
  for (Value origin : op.getOrigins())
    origins.push_back(getInt(origin));
  SmallVector<ScalarValue> arguments(origins.size() + inputs.size());
  for (int64_t i = 0; i < result->rows; ++i)
    for (int64_t j = 0; j < result->columns; ++j) {
      int64_t at[] = {group * kGroupRows + i, j};
      SmallVector<std::pair<const char *, int64_t>, 2> position;
      for (size_t dim = 0; dim < origins.size(); ++dim) {
        position.push_back({dim ? "n" : "m", origins[dim] + at[dim]});
        arguments[dim].i = position.back().second;
      }
      SmallVector<Note> marks(origins.size(), 0);
      for (auto [index, input] : llvm::enumerate(inputs)) {
        size_t from =
            indexOf(*input, op.getInputs()[index].getType(), at[0], i, j);
        arguments[origins.size() + index].f = input->data[from];
        marks.push_back(input->note(from));
      }
      size_t to = i * result->columns + j;
      result->data[to] = static_cast<float>(frame->run(arguments).front().f);
      Note note = noteBadRead(op, *frame, {}, position);
      if (!note && llvm::any_of(marks, [](Note mark) { return mark != 0; }))
        note = frame->carry(marks).front();
      result->setNote(to, note);
    }
  setMatrix(op, result);
  return success();
}

LogicalResult GpuCoroutine::runMask(MaskOp op) {
  auto result = std::make_shared<GpuMatrix>(getMatrix(op.getScores()));
  ScalarFrame frame;
  if (!op.getBody().empty()) {
    FailureOr<ScalarFrame> bound = bind(op, op.getBody());
    if (failed(bound))
      return failure();
    frame = std::move(*bound);
  }
  int64_t m0 = getInt(op.getM0()) + group * kGroupRows;
  int64_t n0 = getInt(op.getN0()), count = getInt(op.getCount());
  bool full = getInt(op.getFull());
  for (int64_t i = 0; i < result->rows; ++i)
    for (int64_t j = 0; j < result->columns; ++j) {
      size_t at = i * result->columns + j;
      std::pair<const char *, int64_t> position[] = {{"m", m0 + i},
                                                     {"n", n0 + j}};
      bool keep = j < count;
      Note bad = 0;
      if (keep && !op.getBody().empty()) {
        keep =
            frame.run({ScalarValue::ofInt(m0 + i), ScalarValue::ofInt(n0 + j)})
                .front()
                .i;
        bad = noteBadRead(op, frame, {}, position);
      }
      if (keep) {
        result->setNote(at, bad);
      } else if (full) {
        // A kernel drops the mask here.
        notes.push_back({op, std::nullopt, {}, {}});
        notes.back().position.assign(std::begin(position), std::end(position));
        result->setNote(at, notes.size());
      } else {
        result->data[at] = -INFINITY;
        if (!result->notes.empty())
          result->notes[at] = 0;
      }
    }
  setMatrix(op, result);
  return success();
}
