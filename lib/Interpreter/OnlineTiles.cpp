//===- OnlineTiles.cpp - Contractions, maps and masks ---------------------===//

#include "OnlineEngine.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::online;

static ArrayRef<int64_t> getShape(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

bool fovea::readElements(
    Attribute attribute,
    llvm::function_ref<void(size_t at, ScalarValue value)> take) {
  auto elements = dyn_cast_or_null<ElementsAttr>(attribute);
  if (!elements)
    return false;
  if (auto reals = elements.tryGetValues<APFloat>()) {
    for (auto [at, value] : llvm::enumerate(*reals)) {
      bool lossy;
      APFloat wide = value;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lossy);
      take(at, ScalarValue::ofFloat(wide.convertToDouble()));
    }
    return true;
  }
  auto integers = elements.tryGetValues<APInt>();
  if (!integers)
    return false;
  for (auto [at, value] : llvm::enumerate(*integers))
    take(at,
         ScalarValue::ofInt(value.getBitWidth() == 1 ? value.getZExtValue()
                                                     : value.getSExtValue()));
  return true;
}

LogicalResult OnlineEngine::runConstantTile(arith::ConstantOp op) {
  auto tile = std::make_shared<Tile>(getShape(op));
  if (!readElements(op.getValue(), [&](size_t at, ScalarValue value) {
        tile->data[at] = value;
      }))
    return op.emitError("needs elements of numbers");
  set(op, tile);
  return success();
}

//===----------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------===//

void OnlineEngine::contract(Tile &result, const Tile &lhs, const Tile &rhs,
                            ArrayRef<int64_t> dims) {
  auto at = [](const Tile &tile, int64_t dim, int64_t inner, int64_t outer) {
    return dim == 1 ? tile.index(outer, inner) : tile.index(inner, outer);
  };
  for (int64_t i = 0; i < result.shape[0]; ++i)
    for (int64_t j = 0; j < result.shape[1]; ++j) {
      size_t to = result.index(i, j);
      double sum = 0;
      Note note = result.note(to);
      for (int64_t k = 0; k < lhs.shape[dims[0]]; ++k) {
        size_t a = at(lhs, dims[0], k, i), b = at(rhs, dims[1], k, j);
        sum += lhs.data[a].f * rhs.data[b].f;
        if (!note)
          note = lhs.note(a) ? lhs.note(a) : rhs.note(b);
      }
      result.data[to].f += sum;
      result.setNote(to, note);
    }
}

LogicalResult OnlineEngine::runDot(DotOp op) {
  auto tile = std::make_shared<Tile>(getShape(op.getResult()));
  contract(*tile, getTile(op.getLhs()), getTile(op.getRhs()), op.getContract());
  set(op.getResult(), tile);
  return success();
}

LogicalResult OnlineEngine::runAccumulate(AccumulateOp op) {
  auto tile = std::make_shared<Tile>(getTile(op.getAcc()));
  contract(*tile, getTile(op.getLhs()), getTile(op.getRhs()), op.getContract());
  set(op.getResult(), tile);
  return success();
}

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

/// Where element (i, j) of an M x N map reads an input: the tile itself, its
/// rows, its columns or its diagonals.
static size_t getInputIndex(const Tile &input, ArrayRef<int64_t> shape,
                            int64_t i, int64_t j) {
  int64_t n = shape.size() == 2 ? shape[1] : 1;
  if (ArrayRef<int64_t>(input.shape) == shape)
    return i * n + j;
  if (input.shape.size() == 2) // 1 x N or M x 1
    return input.shape[0] == 1 ? j : i;
  if (input.shape[0] == shape[0]) // M
    return i;
  return i - j + n - 1; // M + N - 1
}

LogicalResult OnlineEngine::runMap(MapOp op) {
  FailureOr<ScalarFrame> frame = bind(op, op.getBody());
  if (failed(frame))
    return failure();
  ArrayRef<int64_t> shape = getShape(op.getResults().front());
  SmallVector<const Tile *> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(&getTile(input));
  SmallVector<std::shared_ptr<Tile>> results;
  for (size_t i = 0; i < op.getResults().size(); ++i)
    results.push_back(std::make_shared<Tile>(shape));

  MapKind kind = op.getKind();
  int64_t first = getInt(op.getOrigins().front());
  int64_t second = getInt(op.getOrigins().back());
  // The first diagonal of a tile is that of its last column.
  int64_t diagonal =
      first - second - (static_cast<int64_t>(op.getColumns().value_or(1)) - 1);
  for (int64_t i = 0; i < shape[0]; ++i)
    for (int64_t j = 0; j < results[0]->columns(); ++j) {
      SmallVector<std::pair<const char *, int64_t>, 2> position;
      if (kind == MapKind::Diag)
        position.push_back({"m - n", diagonal + i});
      if (kind == MapKind::Rows || kind == MapKind::Tile)
        position.push_back({"m", first + i});
      if (kind == MapKind::Cols || kind == MapKind::Tile)
        position.push_back({"n", second + j});
      SmallVector<ScalarValue> arguments;
      for (auto [name, value] : position)
        arguments.push_back(ScalarValue::ofInt(value));
      SmallVector<Note> marks(arguments.size(), 0);
      for (const Tile *input : inputs) {
        size_t at = getInputIndex(*input, shape, i, j);
        arguments.push_back(input->data[at]);
        marks.push_back(input->note(at));
      }
      ArrayRef<ScalarValue> values = frame->run(arguments);
      SmallVector<Note> carried(results.size(),
                                noteBadRead(op, *frame, {}, position));
      if (carried[0] == 0 && llvm::any_of(marks, [](Note n) { return n; }))
        carried.assign(frame->carry(marks));
      for (auto [tile, value, note] :
           llvm::zip_equal(results, values, carried)) {
        tile->data[tile->index(i, j)] = value;
        tile->setNote(tile->index(i, j), note);
      }
    }
  for (auto [result, tile] : llvm::zip_equal(op.getResults(), results))
    set(result, tile);
  return success();
}

LogicalResult OnlineEngine::runMask(MaskOp op) {
  auto tile = std::make_shared<Tile>(getShape(op.getVisible()));
  WalkElement element = get<WalkElement>(op.getCls());
  ScalarFrame frame;
  if (!op.getBody().empty()) {
    FailureOr<ScalarFrame> bound = bind(op, op.getBody());
    if (failed(bound))
      return failure();
    frame = std::move(*bound);
  }
  int64_t m0 = getInt(op.getM0()), n0 = getInt(op.getN0());
  // The element covers a part of one side of the tile.
  int64_t rows = tile->shape[0], keys = tile->shape[1];
  int64_t &covered = op.getRows() ? rows : keys;
  covered = std::min(element.count, covered);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < keys; ++j) {
      size_t at = tile->index(i, j);
      tile->data[at].i = 1;
      if (op.getBody().empty())
        continue;
      std::pair<const char *, int64_t> position[] = {{"m", m0 + i},
                                                     {"n", n0 + j}};
      bool keep =
          frame.run({ScalarValue::ofInt(m0 + i), ScalarValue::ofInt(n0 + j)})
              .front()
              .i;
      if (keep) {
        tile->setNote(at, noteBadRead(op, frame, {}, position));
      } else if (element.kind == ClassKind::Full) {
        // A kernel may drop the mask: the pair's fate is open.
        notes.push_back({op, std::nullopt, {}, {}});
        notes.back().position.assign(std::begin(position), std::end(position));
        tile->setNote(at, notes.size());
      } else {
        tile->data[at].i = 0;
      }
    }
  set(op.getVisible(), tile);
  return success();
}
