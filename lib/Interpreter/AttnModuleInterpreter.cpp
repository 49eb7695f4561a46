//===- AttnModuleInterpreter.cpp - Functions of attn ops, in f64 ----------===//

#include "fovea/Interpreter/AttnModuleInterpreter.h"
#include "OnlineEngine.h"
#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace fovea;
using namespace mlir;

namespace {
class Runner {
public:
  Runner(func::FuncOp function, llvm::ArrayRef<AttnValue> arguments) {
    for (auto [argument, value] : llvm::zip(function.getArguments(), arguments))
      values[argument] = value;
  }

  LogicalResult run(Operation *op);
  const AttnValue &get(Value value) { return values[value]; }

private:
  LogicalResult runConstant(arith::ConstantOp op);
  LogicalResult runScalar(Operation *op);
  LogicalResult runAttention(attn::AttentionOp op);
  LogicalResult runMerge(attn::MergeOp op);
  LogicalResult runCreate(attn::BlockMaskCreateOp op);
  LogicalResult runFromLists(attn::BlockMaskFromListsOp op);
  LogicalResult runTranspose(attn::BlockMaskTransposeOp op);
  const TensorView &tensor(Value value) { return *values[value].tensor; }
  FailureOr<AttnValue> makeTensor(Operation *op, DType dtype,
                                  llvm::ArrayRef<int64_t> sizes);
  void fillLaunch(attn::AttentionOp op, LaunchView &view);

  DenseMap<Value, AttnValue> values;
};

/// Advances a row-major index; false past the last one.
bool advance(llvm::MutableArrayRef<int64_t> index,
             llvm::ArrayRef<int64_t> sizes) {
  for (size_t dim = index.size(); dim-- > 0;) {
    if (++index[dim] < sizes[dim])
      return true;
    index[dim] = 0;
  }
  return false;
}

std::optional<DType> dtypeOf(Type type) {
  std::string name;
  llvm::raw_string_ostream(name) << type;
  return parseDType(name);
}
} // namespace

FailureOr<AttnValue> Runner::makeTensor(Operation *op, DType dtype,
                                        llvm::ArrayRef<int64_t> sizes) {
  constexpr int64_t limit = int64_t(1) << 28;
  AttnValue value;
  TensorView view;
  view.dtype = dtype;
  view.sizes.assign(sizes.begin(), sizes.end());
  view.strides.resize(sizes.size());
  int64_t count = 1, places = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] > limit / places)
      return op->emitError("makes a tensor of more than 2^28 elements, which "
                           "the interpreter does not hold");
    places *= std::max<int64_t>(1, sizes[i]);
    view.strides[i] = count;
    count *= sizes[i];
  }
  value.memory = std::make_shared<std::vector<char>>(
      std::max<int64_t>(1, count) * getBytes(dtype));
  view.data = value.memory->data();
  value.tensor = std::move(view);
  return value;
}

LogicalResult Runner::runConstant(arith::ConstantOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type)
    return runScalar(op);
  std::optional<DType> dtype = dtypeOf(type.getElementType());
  if (!dtype)
    return op.emitError("has an element type that captures do not have");
  FailureOr<AttnValue> value = makeTensor(op, *dtype, type.getShape());
  if (failed(value))
    return failure();
  const TensorView &view = *value->tensor;
  if (!readElements(op.getValue(), [&](size_t at, ScalarValue element) {
        if (isFloat(*dtype))
          view.storeFloat(at, element.f);
        else
          view.storeInt(at, element.i);
      }))
    return op.emitError("needs dense elements");
  values[op.getResult()] = std::move(*value);
  return success();
}

LogicalResult Runner::runScalar(Operation *op) {
  if (!isScalarOp(op))
    return op->emitError() << "'" << op->getName()
                           << "' is not interpreted at level 1";
  SmallVector<ScalarValue> operands;
  for (Value operand : op->getOperands())
    operands.push_back(values[operand].scalar);
  AttnValue value;
  value.scalar = evaluateScalarOp(op, operands);
  values[op->getResult(0)] = std::move(value);
  return success();
}

//===----------------------------------------------------------------------===//
// attn.attention
//===----------------------------------------------------------------------===//

/// A module that holds the op alone: each operand is an argument.
static OwningOpRef<ModuleOp> isolate(attn::AttentionOp op) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(op.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  if (attn::NormalizerOp normalizer = op.lookupNormalizer())
    builder.clone(*normalizer);
  auto function = func::FuncOp::create(
      builder, op.getLoc(), "f",
      builder.getFunctionType(op->getOperandTypes(), op->getResultTypes()));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  auto clone = cast<attn::AttentionOp>(builder.clone(*op));
  clone->setOperands(block->getArguments());
  func::ReturnOp::create(builder, op.getLoc(), clone->getResults());
  return module;
}

void Runner::fillLaunch(attn::AttentionOp op, LaunchView &view) {
  for (Value query : op.getQueries())
    view.queries.push_back(tensor(query));
  auto withBatch = [&](TensorView keys) {
    if (keys.sizes[0] == 1 && view.batch != 1) {
      keys.sizes[0] = view.batch;
      keys.strides[0] = 0;
    }
    return keys;
  };
  view.batch = view.queries[0].sizes[0];
  view.queryHeads = view.queries[0].sizes[1];
  view.queryLength = view.queries[0].sizes[2];
  for (Value key : op.getKeys())
    view.keys.push_back(withBatch(tensor(key)));
  view.kvHeads = view.keys[0].sizes[1];
  view.kvLength = view.keys[0].sizes[2];
  view.value = withBatch(tensor(op.getValue()));
  view.valueDim = view.value.sizes[3];
  for (Value capture : op.getCaptures())
    view.captures.push_back(tensor(capture));
  for (Value capture : op.getNormalizerCaptures())
    view.captures.push_back(tensor(capture));
  for (Value scale : op.getScales())
    view.scales.push_back(values[scale].scalar.f);
  auto perBatch = [&](Value operand, int64_t otherwise, int64_t limit) {
    SmallVector<int64_t, 4> result(view.batch, otherwise);
    for (int64_t b = 0; operand && b < view.batch; ++b)
      result[b] = std::clamp<int64_t>(
          tensor(operand).loadInt(b * tensor(operand).strides[0]), -limit,
          limit);
    return result;
  };
  constexpr int64_t anywhere = int64_t(1) << 60;
  view.qOffset = perBatch(op.getQOffset(), 0, anywhere);
  view.kvOffset = perBatch(op.getKvOffset(), 0, anywhere);
  view.qLengths =
      perBatch(op.getQLengths(), view.queryLength, view.queryLength);
  view.kvLengths = perBatch(op.getKvLengths(), view.kvLength, view.kvLength);
  if (!op.getBlockMask())
    return;
  const AttnValue &mask = values[op.getBlockMask()];
  view.blockClasses = *mask.tensor;
  for (unsigned dim : {0u, 1u})
    if (mask.tensor->sizes[dim] == 1)
      view.blockClasses->strides[dim] = 0;
  view.blockQ = mask.queryTile;
  view.blockKV = mask.keyTile;
}

LogicalResult Runner::runAttention(attn::AttentionOp op) {
  OwningOpRef<ModuleOp> module = isolate(op);
  llvm::Expected<Program> program = exportProgram(*module);
  if (!program)
    return op.emitError(llvm::toString(program.takeError()));
  LaunchView view;
  fillLaunch(op, view);
  DType stored = view.value.dtype;
  FailureOr<AttnValue> out = makeTensor(
      op, stored,
      {view.batch, view.queryHeads, view.queryLength, view.valueDim});
  if (failed(out))
    return failure();
  view.out = *out->tensor;
  values[op.getOut()] = std::move(*out);
  if (op.getLse()) {
    FailureOr<AttnValue> lse =
        makeTensor(op, stored == DType::F64 ? DType::F64 : DType::F32,
                   {view.batch, view.queryHeads, view.queryLength});
    if (failed(lse))
      return failure();
    view.lse = *lse->tensor;
    values[op.getLse()] = std::move(*lse);
  }
  auto [status, text] = takeStatus(interpretProgram(*program, view));
  if (status != FOVEA_OK)
    return op.emitError(text);
  return success();
}

/// S9: with L = log sum exp(lse), out = sum exp(lse - L) out. A part of lse
/// -inf has no influence, whatever its out.
LogicalResult Runner::runMerge(attn::MergeOp op) {
  const TensorView &first = tensor(op.getOuts()[0]);
  const TensorView &firstLse = tensor(op.getLses()[0]);
  for (auto [part, lsePart] : llvm::zip(op.getOuts(), op.getLses()))
    if (tensor(part).sizes != first.sizes ||
        tensor(lsePart).sizes != firstLse.sizes ||
        !llvm::equal(llvm::ArrayRef(first.sizes).take_front(3), firstLse.sizes))
      return op.emitError("parts have different shapes");
  FailureOr<AttnValue> out = makeTensor(op, first.dtype, first.sizes);
  FailureOr<AttnValue> lse = makeTensor(op, firstLse.dtype, firstLse.sizes);
  if (failed(out) || failed(lse))
    return failure();
  SmallVector<int64_t, 4> row(3, 0);
  if (firstLse.numElements() > 0)
    do {
      double top = -HUGE_VAL, sum = 0;
      auto lseOf = [&](Value part) {
        return tensor(part).loadFloat(tensor(part).offset(row));
      };
      for (Value part : op.getLses())
        top = std::isnan(top) || top > lseOf(part) ? top : lseOf(part);
      for (Value part : op.getLses())
        if (lseOf(part) != -HUGE_VAL)
          sum += std::exp(lseOf(part) - top);
      double joined = sum == 0 ? -HUGE_VAL : top + std::log(sum);
      lse->tensor->storeFloat(lse->tensor->offset(row), joined);
      for (int64_t e = 0; e < first.sizes[3]; ++e) {
        double value = 0;
        for (auto [part, lsePart] : llvm::zip(op.getOuts(), op.getLses()))
          if (lseOf(lsePart) != -HUGE_VAL)
            value += std::exp(lseOf(lsePart) - joined) *
                     tensor(part).loadFloat(
                         tensor(part).offset({row[0], row[1], row[2], e}));
        out->tensor->storeFloat(
            out->tensor->offset({row[0], row[1], row[2], e}), value);
      }
    } while (advance(row, firstLse.sizes));
  values[op.getOut()] = std::move(*out);
  values[op.getLse()] = std::move(*lse);
  return success();
}

//===----------------------------------------------------------------------===//
// Block masks
//===----------------------------------------------------------------------===//

LogicalResult Runner::runCreate(attn::BlockMaskCreateOp op) {
  auto type = cast<attn::BlockMaskType>(op.getType());
  if (type.getQueryTile() < 1 || type.getKeyTile() < 1)
    return op.emitError("needs static tile sizes to be interpreted");
  int64_t sizes[] = {
      values[op.getBatch()].scalar.i, values[op.getHeads()].scalar.i,
      values[op.getQLength()].scalar.i, values[op.getKvLength()].scalar.i};
  for (int64_t size : sizes)
    if (size < 0)
      return op.emitError() << "has a negative size: " << size;
  auto tiles = [](int64_t size, int64_t tile) {
    return size / tile + (size % tile != 0);
  };
  llvm::FailureOr<ScalarProgram> program = ScalarProgram::compile(op.getMask());
  if (failed(program))
    return failure();
  ScalarBindings bindings;
  auto findTensor = [&](Value value) -> const TensorView * {
    auto argument = dyn_cast<BlockArgument>(value);
    return &tensor(op.getCaptures()[argument.getArgNumber() - 4]);
  };
  auto findScalar = [&](Value value) { return values[value].scalar; };
  bindings.tensor = findTensor;
  bindings.scalar = findScalar;
  llvm::Expected<ScalarFrame> frame = program->bind(bindings);
  if (!frame)
    return op.emitError(llvm::toString(frame.takeError()));
  int64_t qt = type.getQueryTile(), kt = type.getKeyTile();
  FailureOr<AttnValue> result = makeTensor(
      op, DType::I8,
      {sizes[0], sizes[1], tiles(sizes[2], qt), tiles(sizes[3], kt)});
  if (failed(result))
    return failure();
  const TensorView &classes = *result->tensor;
  SmallVector<int64_t, 4> tile(4, 0);
  if (classes.numElements() > 0)
    do {
      int64_t seen = 0;
      for (int64_t m = tile[2] * qt; m < tile[2] * qt + qt; ++m)
        for (int64_t n = tile[3] * kt; n < tile[3] * kt + kt; ++n)
          if (m < sizes[2] && n < sizes[3])
            seen += frame
                        ->run({ScalarValue::ofInt(tile[0]),
                               ScalarValue::ofInt(tile[1]),
                               ScalarValue::ofInt(m), ScalarValue::ofInt(n)})[0]
                        .i != 0;
      classes.storeInt(classes.offset(tile), seen == 0         ? 0
                                             : seen == qt * kt ? 2
                                                               : 1);
    } while (advance(tile, classes.sizes));
  result->queryTile = qt;
  result->keyTile = kt;
  values[op.getResult()] = std::move(*result);
  return success();
}

LogicalResult Runner::runFromLists(attn::BlockMaskFromListsOp op) {
  auto type = cast<attn::BlockMaskType>(op.getType());
  const TensorView &indices = tensor(op.getIndices());
  FailureOr<AttnValue> result = makeTensor(op, DType::I8, indices.sizes);
  if (failed(result))
    return failure();
  const TensorView &classes = *result->tensor;
  auto mark = [&](Value numValue, Value indexValue,
                  int64_t kind) -> LogicalResult {
    const TensorView &num = tensor(numValue), &list = tensor(indexValue);
    SmallVector<int64_t, 4> row(3, 0);
    if (num.numElements() == 0)
      return success();
    do {
      int64_t count = num.loadInt(num.offset(row));
      if (count < 0 || count > list.sizes[3])
        return op.emitError()
               << "count " << count << " is outside 0.." << list.sizes[3];
      for (int64_t i = 0; i < count; ++i) {
        int64_t key = list.loadInt(list.offset({row[0], row[1], row[2], i}));
        if (key < 0 || key >= classes.sizes[3])
          return op.emitError() << "index " << key << " is outside 0.."
                                << classes.sizes[3] - 1;
        int64_t at = classes.offset({row[0], row[1], row[2], key});
        if (classes.loadInt(at) != 0)
          return op.emitError() << "tile " << key << " is listed twice";
        classes.storeInt(at, kind);
      }
    } while (advance(row, num.sizes));
    return success();
  };
  if (failed(mark(op.getNum(), op.getIndices(), 1)) ||
      (op.getFullNum() &&
       failed(mark(op.getFullNum(), op.getFullIndices(), 2))))
    return failure();
  result->queryTile = type.getQueryTile();
  result->keyTile = type.getKeyTile();
  values[op.getResult()] = std::move(*result);
  return success();
}

LogicalResult Runner::runTranspose(attn::BlockMaskTransposeOp op) {
  AttnValue result = values[op.getSource()];
  std::swap(result.tensor->sizes[2], result.tensor->sizes[3]);
  std::swap(result.tensor->strides[2], result.tensor->strides[3]);
  std::swap(result.queryTile, result.keyTile);
  values[op.getResult()] = std::move(result);
  return success();
}

LogicalResult Runner::run(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](arith::ConstantOp op) { return runConstant(op); })
      .Case([&](attn::AttentionOp op) { return runAttention(op); })
      .Case([&](attn::MergeOp op) { return runMerge(op); })
      .Case([&](attn::BlockMaskCreateOp op) { return runCreate(op); })
      .Case([&](attn::BlockMaskFromListsOp op) { return runFromLists(op); })
      .Case([&](attn::BlockMaskTransposeOp op) { return runTranspose(op); })
      .Default([&](Operation *op) { return runScalar(op); });
}

LogicalResult fovea::interpretAttn(func::FuncOp function,
                                   llvm::ArrayRef<AttnValue> arguments,
                                   llvm::SmallVectorImpl<AttnValue> &results) {
  if (!function.getBody().hasOneBlock())
    return function.emitError("must have one block to be interpreted");
  if (arguments.size() != function.getNumArguments())
    return function.emitError() << "takes " << function.getNumArguments()
                                << " arguments, got " << arguments.size();
  Runner runner(function, arguments);
  for (Operation &op : function.front().without_terminator())
    if (failed(runner.run(&op)))
      return failure();
  for (Value value : function.front().getTerminator()->getOperands())
    results.push_back(runner.get(value));
  return success();
}
