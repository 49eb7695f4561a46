//===- GpuProducts.cpp - Tiles, products and outputs of level 3 -----------===//

#include "GpuEngine.h"
#include "fovea/Interpreter/Interpreter.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::attn_gpu;

/// What the tensor cores add before they round to f32.
static constexpr int64_t kDepth = 16;

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

FailureOr<MatrixRef> GpuCoroutine::readRows(Operation *op, Value viewValue,
                                            int64_t row, int64_t rows,
                                            int64_t columns, Type elementType) {
  const RowView &view = *get<std::shared_ptr<RowView>>(viewValue);
  if (!gpu->data)
    return MatrixRef();
  DType type = elementType.isBF16() ? DType::BF16 : DType::F16;
  auto matrix = std::make_shared<GpuMatrix>(rows, columns);
  int64_t stride = columnStride(view);
  // Rows before the first one and past the end stay zero.
  for (int64_t i = std::max<int64_t>(-row, 0); i < rows && row + i < view.rows;
       ++i) {
    int64_t offset;
    if (failed(rowOffset(op, view, row + i, offset)))
      return failure();
    for (int64_t j = 0; j < columns; ++j)
      matrix->data[i * columns + j] = static_cast<float>(
          roundToType(view.tensor.loadFloat(offset + j * stride), type));
  }
  return MatrixRef(matrix);
}

LogicalResult GpuCoroutine::runLoad(LoadOp op) {
  TileType type = op.getTile().getType();
  FailureOr<MatrixRef> rows =
      readRows(op, op.getView(), getInt(op.getRow()), type.getRows(),
               type.getColumns(), type.getElementType());
  if (failed(rows))
    return failure();
  GpuValue tile;
  tile.matrix = *rows;
  set(op.getTile(), std::make_shared<const GpuValue>(std::move(tile)));
  return success();
}

MatrixRef GpuCoroutine::contentsOf(const GpuState &state,
                                   const GpuValue &tile) const {
  if (tile.channel < 0)
    return tile.matrix;
  return state.channels[tile.channel].slot(tile.use).contents;
}

LogicalResult GpuCoroutine::checkTile(GpuState &state, Operation *op,
                                      Value tile) {
  const GpuValue &value = getGpu(tile);
  if (value.channel < 0 || readings[value.channel].held.count(value.use))
    return success();
  return op->emitError() << name() << " reads use " << value.use << " of "
                         << state.channels[value.channel].name(value.use)
                         << " after its release";
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Its columns as rows.
static std::vector<float> transpose(const GpuMatrix &matrix) {
  std::vector<float> result(matrix.data.size());
  for (int64_t i = 0; i < matrix.rows; ++i)
    for (int64_t j = 0; j < matrix.columns; ++j)
      result[j * matrix.rows + i] = matrix.data[i * matrix.columns + j];
  return result;
}

/// row += lhs · rhs with rhs of depth × columns.
static void multiplyRow(float *row, const float *lhs, const float *rhs,
                        int64_t depth, int64_t columns) {
  std::vector<double> part(columns);
  for (int64_t first = 0; first < depth; first += kDepth) {
    llvm::fill(part, 0);
    for (int64_t k = first; k < std::min(depth, first + kDepth); ++k)
      for (int64_t j = 0; j < columns; ++j)
        part[j] += static_cast<double>(lhs[k]) * rhs[k * columns + j];
    for (int64_t j = 0; j < columns; ++j)
      row[j] = static_cast<float>(row[j] + part[j]);
  }
}

MatrixRef GpuCoroutine::multiply(const GpuState &state, const OnlineValue &lhs,
                                 bool lhsIsTile, const OnlineValue &rhs,
                                 bool transposed, const OnlineValue &acc) {
  auto value = [](const OnlineValue &operand) -> const GpuValue & {
    return **std::get_if<GpuValueRef>(&operand);
  };
  MatrixRef left = contentsOf(state, value(lhs));
  MatrixRef right = contentsOf(state, value(rhs));
  if (!left || !right)
    return nullptr;
  int64_t columns = transposed ? right->rows : right->columns;
  std::vector<float> turned;
  if (transposed)
    turned = transpose(*right);
  const std::vector<float> &factor = transposed ? turned : right->data;
  auto result = std::holds_alternative<std::monostate>(acc)
                    ? std::make_shared<GpuMatrix>(kGroupRows, columns)
                    : std::make_shared<GpuMatrix>(*value(acc).matrix);
  int64_t first = lhsIsTile ? group * kGroupRows : 0, depth = left->columns;
  for (int64_t i = 0; i < kGroupRows; ++i) {
    size_t from = (first + i) * depth;
    multiplyRow(&result->data[i * columns], &left->data[from], factor.data(),
                depth, columns);
    Note note = 0;
    for (int64_t k = 0; k < depth && !note; ++k)
      note = left->note(from + k);
    for (int64_t j = 0; j < columns && note; ++j)
      result->setNote(i * columns + j, note);
  }
  return result;
}

LogicalResult GpuCoroutine::runMma(GpuState &state, MmaOp op) {
  if (failed(checkTile(state, op, op.getRhs())))
    return failure();
  bool lhsIsTile = isa<TileType>(op.getLhs().getType());
  if (lhsIsTile && failed(checkTile(state, op, op.getLhs())))
    return failure();
  GpuValue result;
  if (gpu->data)
    result.matrix = multiply(state, values[op.getLhs()], lhsIsTile,
                             values[op.getRhs()], op.getTransposed(),
                             op.getAcc() ? values[op.getAcc()] : OnlineValue());
  set(op, std::make_shared<const GpuValue>(std::move(result)));
  return success();
}

/// Of scores the columns of other keys are anything: NaN, so that a use of them
/// is seen.
static MatrixRef withoutOthers(const GpuMatrix &scores, int64_t keys) {
  auto result = std::make_shared<GpuMatrix>(scores);
  for (int64_t i = 0; i < scores.rows; ++i)
    for (int64_t j = std::max<int64_t>(keys, 0); j < scores.columns; ++j)
      result->data[i * scores.columns + j] =
          std::numeric_limits<float>::quiet_NaN();
  return result;
}

/// Of outputs the weights of other keys are zero.
static LogicalResult checkOthers(MmaStartOp op, const MatrixRef &weights,
                                 int64_t keys) {
  if (!weights)
    return success();
  for (int64_t i = 0; i < weights->rows; ++i)
    for (int64_t j = std::max<int64_t>(keys, 0); j < weights->columns; ++j)
      if (weights->data[i * weights->columns + j] != 0)
        return op.emitError() << "leaves out keys from " << keys
                              << " on, but the weight of key " << j
                              << " in row " << i << " is not zero";
  return success();
}

LogicalResult GpuCoroutine::runMmaStart(GpuState &state, MmaStartOp op) {
  if (failed(checkTile(state, op, op.getRhs())))
    return failure();
  if (isa<TileType>(op.getLhs().getType()) &&
      failed(checkTile(state, op, op.getLhs())))
    return failure();
  GpuProduct &product = products.emplace_back();
  product.op = op;
  product.lhs = values[op.getLhs()];
  product.rhs = values[op.getRhs()];
  if (op.getAcc())
    product.acc = values[op.getAcc()];
  if (op.getKeys()) {
    product.keys = getInt(op.getKeys());
    if (!op.getTransposed() &&
        failed(checkOthers(op, getGpu(op.getLhs()).matrix, product.keys)))
      return failure();
  }
  GpuValue pending;
  pending.product = firstProduct + products.size() - 1;
  set(op, std::make_shared<const GpuValue>(std::move(pending)));
  return success();
}

/// Operands are read late: at the wait that a product ends with.
void GpuCoroutine::complete(const GpuState &state, GpuProduct &product) {
  if (product.done)
    return;
  product.done = true;
  if (gpu->data)
    product.result = multiply(
        state, product.lhs, isa<TileType>(product.op.getLhs().getType()),
        product.rhs, product.op.getTransposed(), product.acc);
  if (product.result && product.op.getKeys() && product.op.getTransposed())
    product.result = withoutOthers(*product.result, product.keys);
  product.lhs = product.rhs = product.acc = OnlineValue();
}

LogicalResult GpuCoroutine::runAwait(GpuState &state, AwaitOp op) {
  // Its first and only await, which every path takes (C25).
  int64_t position = getGpu(op.getPending()).product - firstProduct;
  int64_t later = products.size() - 1 - position;
  int64_t keep = op.getKeep().value_or(later);
  if (keep > later)
    return op.emitError() << "keeps " << keep << " products in flight, but "
                          << later
                          << " were started after this one: its result is not "
                             "there yet";
  GpuProduct &product = products[position];
  if (op.getHeld() && !product.done) {
    auto *lhs = std::get_if<GpuValueRef>(&product.lhs);
    if (lhs->get() != &getGpu(op.getHeld()))
      return op.emitError("holds another fragment than the product reads");
  }
  for (size_t i = 0; i < products.size() - keep; ++i)
    complete(state, products[i]);
  GpuValue result;
  result.matrix = product.result;
  product.awaited = true;
  set(op, std::make_shared<const GpuValue>(std::move(result)));
  while (!products.empty() && products.front().awaited) {
    products.erase(products.begin());
    ++firstProduct;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

LogicalResult GpuCoroutine::storeRows(GpuState &state, Operation *op,
                                      Value source, Value viewValue,
                                      Value rowValue) {
  const RowView &view = *get<std::shared_ptr<RowView>>(viewValue);
  int64_t row = getInt(rowValue) + group * kGroupRows;
  if (row < 0)
    return op->emitError() << "row " << row << " lies before the view";
  ++state.stores;
  int64_t offset, stride = columnStride(view);
  if (row < view.rows) {
    if (failed(rowOffset(op, view, row, offset)))
      return failure();
    auto *first = static_cast<const char *>(view.tensor.data) +
                  offset * getBytes(view.tensor.dtype);
    if (!state.stored.insert(first).second)
      return op->emitError() << "writes row " << row << " a second time";
  }
  if (!gpu->data)
    return success();
  const GpuMatrix &matrix = getMatrix(source);
  for (int64_t i = 0; i < kGroupRows && row + i < view.rows; ++i) {
    if (failed(rowOffset(op, view, row + i, offset)))
      return failure();
    for (int64_t j = 0; j < matrix.columns; ++j) {
      size_t at = i * matrix.columns + j;
      if (Note note = matrix.note(at))
        return report(op, note);
      view.tensor.storeFloat(offset + j * stride, matrix.data[at]);
    }
  }
  return success();
}
