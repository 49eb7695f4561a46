//===- OnlineInterpreter.cpp - Control of level 2, executed in f64 --------===//

#include "fovea/Interpreter/OnlineInterpreter.h"
#include "OnlineEngine.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::online;

OnlineInterpreter::OnlineInterpreter(OnlineOptions options)
    : engine(std::make_unique<OnlineEngine>(std::move(options))) {}
OnlineInterpreter::~OnlineInterpreter() = default;

LogicalResult OnlineInterpreter::run(func::FuncOp function,
                                     ArrayRef<OnlineArgument> arguments,
                                     SmallVectorImpl<OnlineArgument> &results) {
  return engine->run(function, arguments, results);
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static LogicalResult checkArgument(func::FuncOp function, unsigned index,
                                   const OnlineArgument &argument) {
  Type type = function.getArgumentTypes()[index];
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref && !type.isIntOrIndexOrFloat())
    return function.emitError() << "argument #" << index << " of type " << type
                                << " is neither a buffer nor a scalar";
  if (bool(memref) != argument.tensor.has_value())
    return function.emitError()
           << "argument #" << index << " of type " << type << " needs "
           << (memref ? "a buffer" : "a scalar");
  if (!memref)
    return success();
  if (argument.tensor->rank() != memref.getRank())
    return function.emitError()
           << "argument #" << index << " of type " << type
           << " got a buffer of rank " << argument.tensor->rank();
  for (auto [dim, size] : llvm::enumerate(memref.getShape()))
    if (!ShapedType::isDynamic(size) && argument.tensor->sizes[dim] != size)
      return function.emitError()
             << "argument #" << index << " of type " << type
             << " got a buffer of size " << argument.tensor->sizes[dim]
             << " in dim " << dim;
  return success();
}

LogicalResult OnlineEngine::setArguments(func::FuncOp function,
                                         ArrayRef<OnlineArgument> arguments) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError("only functions of one block are interpreted");
  if (arguments.size() != function.getNumArguments())
    return function.emitError() << "takes " << function.getNumArguments()
                                << " arguments, got " << arguments.size();
  values.clear();
  notes.clear();
  taken.clear();
  for (auto [index, argument] : llvm::enumerate(arguments)) {
    if (failed(checkArgument(function, index, argument)))
      return failure();
    Value value = function.getArgument(index);
    if (argument.tensor)
      set(value, std::make_shared<TensorView>(*argument.tensor));
    else
      set(value, argument.scalar);
  }
  return success();
}

LogicalResult OnlineEngine::run(func::FuncOp function,
                                ArrayRef<OnlineArgument> arguments,
                                SmallVectorImpl<OnlineArgument> &results) {
  if (failed(setArguments(function, arguments)))
    return failure();
  Block &block = function.getBody().front();
  if (failed(runBlock(block)))
    return failure();
  for (Value result : block.getTerminator()->getOperands()) {
    OnlineArgument &out = results.emplace_back();
    if (isa<MemRefType>(result.getType()))
      out.tensor = getMemRef(result);
    else if (auto *scalar = std::get_if<ScalarValue>(&values[result]))
      out.scalar = *scalar;
    else
      return function.emitError() << "cannot return " << result.getType();
  }
  return checkCoverage(function);
}

LogicalResult OnlineEngine::runBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(runOp(&op)))
      return failure();
  return success();
}

LogicalResult OnlineEngine::runOp(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<GridOp>([&](auto op) { return runGrid(op); })
      .Case<SweepOp>([&](auto op) { return runSweep(op); })
      .Case<ViewOp>([&](auto op) { return runView(op); })
      .Case<LoadOp>([&](auto op) { return runLoad(op); })
      .Case<StoreOp>([&](auto op) {
        return writeRows(op, op.getTile(), op.getView(), op.getRow(), false);
      })
      .Case<ReduceIntoOp>([&](auto op) {
        return writeRows(op, op.getTile(), op.getView(), op.getRow(), true);
      })
      .Case<WalkSegmentsOp, WalkListOp, WalkScanOp, WalkSliceOp>(
          [&](auto op) { return runWalk(op); })
      .Case<DotOp>([&](auto op) { return runDot(op); })
      .Case<AccumulateOp>([&](auto op) { return runAccumulate(op); })
      .Case<MapOp>([&](auto op) { return runMap(op); })
      .Case<MaskOp>([&](auto op) { return runMask(op); })
      .Case<InitOp>([&](auto op) { return runInit(op); })
      .Case<StepOp>([&](auto op) { return runStep(op); })
      .Case<MergeOp>([&](auto op) { return runMerge(op); })
      .Case<FinishOp>([&](auto op) { return runFinish(op); })
      .Case<WeightsOp>([&](auto op) { return runWeights(op); })
      .Case<scf::IfOp>([&](auto op) { return runIf(op); })
      .Case<scf::ForOp>([&](auto op) { return runFor(op); })
      .Case<attn::ReadOp>([&](auto op) { return runBodyRead(op); })
      .Default([&](Operation *op) {
        if (isa<memref::MemRefDialect>(op->getDialect()) ||
            isa<attn::ExtentOp>(op))
          return runMemRef(op);
        return runScalar(op);
      });
}

LogicalResult OnlineEngine::runScalar(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    if (isa<RankedTensorType>(constant.getType()))
      return runConstantTile(constant);
  if (auto size = dyn_cast<attn::SizeOp>(op)) {
    if (!options.sizes)
      return op->emitError("'attn.size' has no value here");
    set(size, ScalarValue::ofInt(
                  (*options.sizes)[static_cast<unsigned>(size.getKind())]));
    return success();
  }
  if (!isScalarOp(op))
    return op->emitError() << "'" << op->getName()
                           << "' is not interpreted at level 2";
  SmallVector<ScalarValue, 3> operands;
  for (Value operand : op->getOperands())
    operands.push_back(get<ScalarValue>(operand));
  set(op->getResult(0), evaluateScalarOp(op, operands));
  return success();
}

LogicalResult OnlineEngine::runIf(scf::IfOp op) {
  mlir::Region &region =
      getInt(op.getCondition()) ? op.getThenRegion() : op.getElseRegion();
  if (region.empty())
    return success();
  if (failed(runBlock(region.front())))
    return failure();
  for (auto [result, value] : llvm::zip_equal(
           op.getResults(), region.front().getTerminator()->getOperands()))
    set(result, OnlineValue(values[value]));
  return success();
}

LogicalResult OnlineEngine::runFor(scf::ForOp op) {
  int64_t step = getInt(op.getStep());
  if (step < 1)
    return op.emitError() << "step must be positive, got " << step;
  SmallVector<OnlineValue> carried;
  for (Value init : op.getInitArgs())
    carried.push_back(values[init]);
  for (int64_t i = getInt(op.getLowerBound()); i < getInt(op.getUpperBound());
       i += step) {
    set(op.getInductionVar(), ScalarValue::ofInt(i));
    for (auto [argument, value] :
         llvm::zip_equal(op.getRegionIterArgs(), carried))
      set(argument, value);
    if (failed(runBlock(*op.getBody())))
      return failure();
    for (auto [value, yielded] :
         llvm::zip_equal(carried, op.getBody()->getTerminator()->getOperands()))
      value = values[yielded];
  }
  for (auto [result, value] : llvm::zip_equal(op.getResults(), carried))
    set(result, value);
  return success();
}

LogicalResult OnlineEngine::runGrid(GridOp op) {
  SmallVector<int64_t> bounds, index(op.getBounds().size(), 0);
  for (Value bound : op.getBounds())
    bounds.push_back(getInt(bound));
  if (llvm::any_of(bounds, [](int64_t bound) { return bound <= 0; }))
    return success();
  constexpr int64_t limit = int64_t(1) << 28;
  int64_t items = 1;
  for (int64_t bound : bounds) {
    if (bound > limit / items)
      return op.emitError() << "has more than " << limit
                            << " items, the most that are interpreted";
    items *= bound;
  }
  Block &body = op.getBody().front();
  while (true) {
    for (auto [argument, value] : llvm::zip_equal(body.getArguments(), index))
      set(argument, ScalarValue::ofInt(value));
    if (failed(runBlock(body)))
      return failure();
    size_t dim = index.size();
    while (dim > 0 && ++index[dim - 1] == bounds[dim - 1])
      index[--dim] = 0;
    if (dim == 0)
      return success();
  }
}

LogicalResult OnlineEngine::runSweep(SweepOp op) {
  Block &body = op.getBody().front();
  SmallVector<OnlineValue> carried;
  for (Value init : op.getInits())
    carried.push_back(values[init]);
  // A copy: the walk must outlive changes of the table of values.
  std::shared_ptr<Walk> walk = get<std::shared_ptr<Walk>>(op.getWalk());
  for (const WalkElement &element : *walk) {
    set(body.getArgument(0), ScalarValue::ofInt(element.first));
    set(body.getArgument(1), element);
    for (auto [argument, value] :
         llvm::zip_equal(body.getArguments().drop_front(2), carried))
      set(argument, value);
    if (failed(runBlock(body)))
      return failure();
    for (auto [value, yielded] :
         llvm::zip_equal(carried, body.getTerminator()->getOperands()))
      value = values[yielded];
  }
  for (auto [result, value] : llvm::zip_equal(op.getResults(), carried))
    set(result, value);
  return success();
}

//===----------------------------------------------------------------------===//
// Scalar regions
//===----------------------------------------------------------------------===//

FailureOr<ScalarFrame> OnlineEngine::bind(Operation *op, mlir::Region &region,
                                          ValueRange captures) {
  std::shared_ptr<ScalarProgram> &program = programs[&region];
  if (!program) {
    FailureOr<ScalarProgram> compiled = ScalarProgram::compile(region);
    if (failed(compiled))
      return failure();
    program = std::make_shared<ScalarProgram>(std::move(*compiled));
  }
  unsigned scalars = region.getNumArguments() - captures.size();
  auto getTensor = [&](Value value) -> const TensorView * {
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getParentRegion() == &region)
      value = captures[argument.getArgNumber() - scalars];
    auto *memref = std::get_if<std::shared_ptr<TensorView>>(&values[value]);
    return memref ? memref->get() : nullptr;
  };
  auto getScalar = [&](Value value) { return get<ScalarValue>(value); };
  ScalarBindings bindings{getTensor, getScalar,
                          options.sizes ? &*options.sizes : nullptr};
  llvm::Expected<ScalarFrame> frame = program->bind(bindings);
  if (!frame)
    return op->emitError(llvm::toString(frame.takeError()));
  return std::move(*frame);
}

Note OnlineEngine::noteBadRead(Operation *op, const ScalarFrame &frame,
                               ValueRange captures, Position position) {
  const ScalarBadRead *bad = frame.badRead();
  if (!bad)
    return 0;
  Value source = bad->source;
  auto argument = dyn_cast<BlockArgument>(source);
  if (argument && !captures.empty()) {
    unsigned scalars = argument.getOwner()->getNumArguments() - captures.size();
    source = captures[argument.getArgNumber() - scalars];
  }
  notes.push_back({op, *bad, nameOf(source), {}});
  notes.back().position.assign(position.begin(), position.end());
  return notes.size();
}

std::string OnlineEngine::nameOf(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!argument)
    return "tensor";
  unsigned number = argument.getArgNumber();
  if (auto function =
          dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()))
    if (auto name = function.getArgAttrOfType<StringAttr>(number, "attn.name"))
      return name.str();
  return ("argument #" + Twine(number)).str();
}

LogicalResult OnlineEngine::report(Operation *store, Note note) {
  const NoteInfo &info = notes[note - 1];
  std::string position;
  for (auto [name, value] : info.position)
    position += llvm::formatv("{0}{1} = {2}", position.empty() ? "" : ", ",
                              name, value);
  InFlightDiagnostic diag = [&] {
    if (info.bad)
      return info.bad->read->emitError()
             << describeBadRead(*info.bad, info.source) << " at " << position;
    return info.op->emitError()
           << "class full promises a true mask, which is false at " << position;
  }();
  diag.attachNote(store->getLoc()) << "reaches memory here";
  return diag;
}

//===----------------------------------------------------------------------===//
// Coverage
//===----------------------------------------------------------------------===//

void OnlineEngine::take(int64_t b, int64_t h, int64_t m, int64_t n) {
  if (options.coverage)
    ++taken[{b, h, m, n}];
}

LogicalResult OnlineEngine::checkCoverage(Operation *op) {
  if (!options.coverage)
    return success();
  const OnlineCoverage &want = *options.coverage;
  auto refuse = [&](const char *what, int64_t b, int64_t h, int64_t m,
                    int64_t n) {
    return op->emitError() << "the pair b = " << b << ", h = " << h
                           << ", m = " << m << ", n = " << n << ' ' << what;
  };
  for (int64_t b = 0; b < want.batch; ++b)
    for (int64_t h = 0; h < want.heads; ++h)
      for (int64_t m = want.rows(b).first; m < want.rows(b).second; ++m)
        for (int64_t n = want.keys(b).first; n < want.keys(b).second; ++n) {
          auto it = taken.find({b, h, m, n});
          int64_t times = it == taken.end() ? 0 : it->second;
          bool visible = want.visible(b, h, m, n);
          if (visible && times == 0)
            return refuse("is visible and left out", b, h, m, n);
          if (times > 1)
            return refuse("is taken twice", b, h, m, n);
          if (!visible && times == 1)
            return refuse("is not visible and taken", b, h, m, n);
        }
  for (const auto &[pair, times] : taken) {
    auto [b, h, m, n] = pair;
    // Rows past the last one are computed and clipped.
    if (m < want.rows(b).first || m >= want.rows(b).second)
      continue;
    if (n < want.keys(b).first || n >= want.keys(b).second)
      return refuse("lies past the keys and is taken", b, h, m, n);
  }
  return success();
}
