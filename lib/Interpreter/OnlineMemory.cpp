//===- OnlineMemory.cpp - Buffers, views and their rows -------------------===//

#include "OnlineEngine.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::online;

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

static std::optional<DType> getDType(Type type) {
  bool isUnsigned = type.isUnsignedInteger();
  if (auto integer = dyn_cast<IntegerType>(type))
    switch (integer.getWidth()) {
    case 1:
      return DType::I1;
    case 8:
      return isUnsigned ? DType::UI8 : DType::I8;
    case 16:
      return isUnsigned ? DType::UI16 : DType::I16;
    case 32:
      return isUnsigned ? DType::UI32 : DType::I32;
    case 64:
      return DType::I64;
    default:
      return std::nullopt;
    }
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  if (type.isF32())
    return DType::F32;
  if (type.isF64())
    return DType::F64;
  return std::nullopt;
}

static void storeInt(const TensorView &tensor, int64_t offset, int64_t value) {
  switch (getBytes(tensor.dtype)) {
  case 1:
    static_cast<int8_t *>(tensor.data)[offset] = value;
    return;
  case 2:
    static_cast<int16_t *>(tensor.data)[offset] = value;
    return;
  case 4:
    static_cast<int32_t *>(tensor.data)[offset] = value;
    return;
  default:
    static_cast<int64_t *>(tensor.data)[offset] = value;
  }
}

static ScalarValue loadElement(const TensorView &tensor, int64_t offset) {
  return isFloat(tensor.dtype) ? ScalarValue::ofFloat(tensor.loadFloat(offset))
                               : ScalarValue::ofInt(tensor.loadInt(offset));
}

static void storeElement(const TensorView &tensor, int64_t offset,
                         ScalarValue value) {
  if (isFloat(tensor.dtype))
    tensor.storeFloat(offset, value.f);
  else
    storeInt(tensor, offset, value.i);
}

std::shared_ptr<TensorView> OnlineEngine::allocate(MemRefType type,
                                                   ArrayRef<int64_t> dynamic) {
  std::optional<DType> dtype = getDType(type.getElementType());
  if (!dtype || !type.getLayout().isIdentity())
    return nullptr;
  auto tensor = std::make_shared<TensorView>();
  tensor->dtype = *dtype;
  int64_t elements = 1;
  constexpr int64_t limit = int64_t(1) << 28;
  for (int64_t size : type.getShape()) {
    if (ShapedType::isDynamic(size)) {
      size = dynamic.front();
      dynamic = dynamic.drop_front();
    }
    if (size < 0 || (size > 0 && elements > limit / size))
      return nullptr;
    tensor->sizes.push_back(size);
    elements *= size;
  }
  int64_t stride = 1;
  tensor->strides.resize(tensor->sizes.size());
  for (size_t dim = tensor->sizes.size(); dim-- > 0;) {
    tensor->strides[dim] = stride;
    stride *= tensor->sizes[dim];
  }
  size_t bytes = elements * getBytes(*dtype);
  memory.push_back(std::shared_ptr<char[]>(new char[bytes]())); // zeroed
  tensor->data = memory.back().get();
  return tensor;
}

/// Reads or writes one element; the last operand's value is what is stored.
LogicalResult OnlineEngine::runElement(Operation *op, Value memref,
                                       ValueRange indices, bool isStore) {
  const TensorView &tensor = getMemRef(memref);
  int64_t offset = 0;
  for (auto [dim, operand] : llvm::enumerate(indices)) {
    int64_t index = getInt(operand);
    if (index < 0 || index >= tensor.sizes[dim])
      return op->emitError()
             << "'" << nameOf(memref) << "' dimension " << dim << ": index "
             << index << " is outside 0.." << tensor.sizes[dim] - 1;
    offset += index * tensor.strides[dim];
  }
  if (isStore)
    storeElement(tensor, offset, get<ScalarValue>(op->getOperand(0)));
  else
    set(op->getResult(0), loadElement(tensor, offset));
  return success();
}

/// A read outside every region is no part of a pair: it must be in range.
LogicalResult OnlineEngine::runBodyRead(attn::ReadOp op) {
  if (!isa<MemRefType>(op.getSource().getType()))
    return op.emitError("reads tensors in scalar regions only");
  return runElement(op, op.getSource(), op.getIndices(), /*isStore=*/false);
}

LogicalResult OnlineEngine::runSubView(memref::SubViewOp op) {
  const TensorView &source = getMemRef(op.getSource());
  auto number = [&](OpFoldResult x) {
    Value value = dyn_cast<Value>(x);
    return value ? getInt(value) : *getConstantIntValue(x);
  };
  auto part = std::make_shared<TensorView>(source);
  part->sizes.clear();
  part->strides.clear();
  llvm::SmallBitVector dropped = op.getDroppedDims();
  int64_t start = 0;
  for (int64_t dim = 0; dim < source.rank(); ++dim) {
    int64_t first = number(op.getMixedOffsets()[dim]);
    int64_t size = number(op.getMixedSizes()[dim]);
    int64_t step = number(op.getMixedStrides()[dim]);
    if (first < 0 || size < 0 || step < 0 ||
        (size > 0 && first + (size - 1) * step >= source.sizes[dim]))
      return op.emitError() << "part of dimension " << dim << " is outside 0.."
                            << source.sizes[dim] - 1;
    start += first * source.strides[dim];
    if (dropped[dim])
      continue;
    part->sizes.push_back(size);
    part->strides.push_back(step * source.strides[dim]);
  }
  part->data =
      static_cast<char *>(source.data) + start * getBytes(source.dtype);
  set(op, part);
  return success();
}

LogicalResult OnlineEngine::runMemRef(Operation *op) {
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return runElement(op, load.getMemRef(), load.getIndices(), false);
  if (auto store = dyn_cast<memref::StoreOp>(op))
    return runElement(op, store.getMemRef(), store.getIndices(), true);
  if (auto extent = dyn_cast<attn::ExtentOp>(op);
      extent && isa<MemRefType>(extent.getSource().getType())) {
    set(extent, ScalarValue::ofInt(
                    getMemRef(extent.getSource()).sizes[extent.getDim()]));
    return success();
  }
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    const TensorView &tensor = getMemRef(dim.getSource());
    int64_t index = getInt(dim.getIndex());
    if (index < 0 || index >= tensor.rank())
      return op->emitError()
             << "dimension " << index << " is outside 0.." << tensor.rank() - 1;
    set(dim, ScalarValue::ofInt(tensor.sizes[index]));
    return success();
  }
  if (auto cast = dyn_cast<memref::CastOp>(op)) {
    set(cast, OnlineValue(values[cast.getSource()]));
    return success();
  }
  if (auto part = dyn_cast<memref::SubViewOp>(op))
    return runSubView(part);
  if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
    SmallVector<int64_t> sizes;
    for (Value size : alloc.getDynamicSizes())
      sizes.push_back(getInt(size));
    std::shared_ptr<TensorView> tensor = allocate(alloc.getType(), sizes);
    if (!tensor)
      return op->emitError() << "cannot allocate " << alloc.getType();
    set(alloc, tensor);
    return success();
  }
  if (auto use = dyn_cast<memref::GetGlobalOp>(op)) {
    auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
        op, use.getNameAttr());
    std::shared_ptr<TensorView> tensor = allocate(use.getType(), {});
    if (!tensor || !global ||
        !readElements(global.getInitialValueAttr(),
                      [&](size_t at, ScalarValue value) {
                        storeElement(*tensor, at, value);
                      }))
      return op->emitError("needs a global with a value");
    set(use, tensor);
    return success();
  }
  return op->emitError() << "'" << op->getName()
                         << "' is not interpreted at level 2";
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

LogicalResult OnlineEngine::runView(ViewOp op) {
  auto view = std::make_shared<RowView>();
  view->tensor = getMemRef(op.getSource());
  const TensorView &tensor = view->tensor;
  ViewType type = op.getView().getType();
  view->hasColumns = type.hasColumns();
  view->isFloat = isa<FloatType>(type.getElementType());
  if (view->hasColumns && tensor.sizes.back() != type.getColumns())
    return op.emitError() << "view has " << type.getColumns()
                          << " columns, source has " << tensor.sizes.back();
  // With pages the one index is the head, dimension 1.
  int64_t first = op.getPageTable() ? 1 : 0;
  for (auto [dim, operand] : llvm::enumerate(op.getIndices())) {
    int64_t index = getInt(operand), size = tensor.sizes[dim + first];
    if (index < 0 || index >= size)
      return op.emitError() << "index " << index << " of dimension "
                            << dim + first << " is outside 0.." << size - 1;
    view->offset += index * tensor.strides[dim + first];
  }
  if (op.getPageTable()) {
    view->pages = &getMemRef(op.getPageTable());
    view->rows = view->pages->sizes[0] * tensor.sizes[2];
  } else {
    view->rows = tensor.sizes[op.getIndices().size()];
  }
  if (op.getLength()) {
    int64_t length = getInt(op.getLength());
    if (length < 0 || length > view->rows)
      return op.emitError()
             << "length " << length << " is outside 0.." << view->rows;
    view->rows = length;
  }
  set(op.getView(), view);
  return success();
}

/// Where a row within the length starts.
LogicalResult OnlineEngine::rowOffset(Operation *op, const RowView &view,
                                      int64_t row, int64_t &offset) {
  const TensorView &tensor = view.tensor;
  if (!view.pages) {
    int64_t dim = tensor.rank() - (view.hasColumns ? 2 : 1);
    offset = view.offset + row * tensor.strides[dim];
    return success();
  }
  int64_t pageRows = tensor.sizes[2];
  int64_t page = view.pages->loadInt((row / pageRows) * view.pages->strides[0]);
  if (page < 0 || page >= tensor.sizes[0])
    return op->emitError() << "row " << row << " is in page " << page
                           << ", the pool has " << tensor.sizes[0];
  offset = view.offset + page * tensor.strides[0] +
           (row % pageRows) * tensor.strides[2];
  return success();
}

int64_t fovea::columnStride(const RowView &view) {
  return view.hasColumns ? view.tensor.strides.back() : 0;
}

LogicalResult OnlineEngine::runLoad(LoadOp op) {
  const RowView &view = *get<std::shared_ptr<RowView>>(op.getView());
  auto tile = std::make_shared<Tile>(
      cast<RankedTensorType>(op.getTile().getType()).getShape());
  int64_t row = getInt(op.getRow());
  if (row < 0)
    return op.emitError() << "row " << row << " lies before the view";
  int64_t stride = columnStride(view);
  // Rows past the length stay zero.
  for (int64_t i = 0; i < tile->shape[0] && row + i < view.rows; ++i) {
    int64_t offset;
    if (failed(rowOffset(op, view, row + i, offset)))
      return failure();
    for (int64_t j = 0; j < tile->columns(); ++j)
      tile->data[tile->index(i, j)] =
          loadElement(view.tensor, offset + j * stride);
  }
  set(op.getTile(), tile);
  return success();
}

LogicalResult OnlineEngine::writeRows(Operation *op, Value tileValue,
                                      Value viewValue, Value rowValue,
                                      bool add) {
  const Tile &tile = getTile(tileValue);
  const RowView &view = *get<std::shared_ptr<RowView>>(viewValue);
  int64_t row = getInt(rowValue), stride = columnStride(view);
  if (row < 0)
    return op->emitError() << "row " << row << " lies before the view";
  for (int64_t i = 0; i < tile.shape[0] && row + i < view.rows; ++i) {
    int64_t offset;
    if (failed(rowOffset(op, view, row + i, offset)))
      return failure();
    for (int64_t j = 0; j < tile.columns(); ++j) {
      size_t at = tile.index(i, j);
      if (Note note = tile.note(at))
        return report(op, note);
      int64_t to = offset + j * stride;
      ScalarValue value = tile.data[at];
      if (add && view.isFloat)
        value.f += view.tensor.loadFloat(to);
      else if (add)
        value.i += view.tensor.loadInt(to);
      storeElement(view.tensor, to, value);
    }
  }
  return success();
}
