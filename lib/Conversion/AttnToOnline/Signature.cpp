//===- Signature.cpp - The arguments of a level-2 function ----------------===//

#include "Signature.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace fovea;

FailureOr<attn::AttentionOp> fovea::findFusedAttention(func::FuncOp func) {
  attn::AttentionOp attention;
  Operation *other = nullptr;
  WalkResult walk = func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto found = dyn_cast<attn::AttentionOp>(op)) {
      if (attention) {
        InFlightDiagnostic diag = found.emitError(
            "a fused function holds one 'attn.attention', this is another");
        diag.attachNote(attention.getLoc()) << "first one here";
        return WalkResult::interrupt();
      }
      attention = found;
      return WalkResult::skip();
    }
    bool scalar = llvm::none_of(op->getResultTypes(), [](Type type) {
      return isa<ShapedType, attn::BlockMaskType>(type);
    });
    if (op != func && (!isPure(op) || !scalar) && !isa<func::ReturnOp>(op))
      other = other ? other : op;
    return WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  if (!attention) {
    if (other && isa_and_present<attn::AttnDialect>(other->getDialect()))
      return other->emitError("stands alone: level 2 starts from an "
                              "'attn.attention'");
    return attn::AttentionOp();
  }
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitError("a fused function must be one block");
  if (attention->getParentOp() != func)
    return attention.emitError()
           << "must stand in the function's own block, not within '"
           << attention->getParentOp()->getName() << "'";
  if (other)
    return other->emitError("is not fused with 'attn.attention': a function "
                            "holds the op and scalars alone");
  Operation *ret = func.getBody().front().getTerminator();
  bool inOrder = ret->getNumOperands() >= 1 &&
                 ret->getNumOperands() <= attention->getNumResults();
  for (unsigned i = 0; inOrder && i < ret->getNumOperands(); ++i)
    inOrder = ret->getOperand(i) == attention->getResult(i);
  if (!inOrder)
    return ret->emitError("must return out, or out and lse, of the function's "
                          "'attn.attention'");
  return attention;
}

MemRefType fovea::getStridedMemRef(Type element, unsigned rank,
                                   int64_t columns) {
  SmallVector<int64_t> shape(rank, ShapedType::kDynamic), strides = shape;
  if (columns >= 0)
    shape.back() = columns;
  auto layout = StridedLayoutAttr::get(element.getContext(),
                                       ShapedType::kDynamic, strides);
  return MemRefType::get(shape, element, layout);
}

static MemRefType getOperandMemRef(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return getStridedMemRef(type.getElementType(), type.getRank(),
                          type.getShape().back());
}

namespace {
class SignatureBuilder {
public:
  SignatureBuilder(func::FuncOp func, attn::AttentionOp op,
                   const AttnToOnlineSchedule &schedule,
                   LoweredArguments &arguments, IRMapping &mapping)
      : func(func), op(op), schedule(schedule), arguments(arguments),
        mapping(mapping) {}

  FailureOr<func::FuncOp> build();

private:
  LogicalResult checkOperands();
  SmallVector<BlockArgument> findCaptures();
  Value add(Type type, StringRef name, Value from = Value());
  void addPerBatch(Value &argument, StringRef name);

  func::FuncOp func;
  attn::AttentionOp op;
  const AttnToOnlineSchedule &schedule;
  LoweredArguments &arguments;
  IRMapping &mapping;
  func::FuncOp lowered;
};
} // namespace

/// Tensors come from outside: only the runtime can turn them into memrefs.
LogicalResult SignatureBuilder::checkOperands() {
  for (Value operand : op->getOperands()) {
    bool scalar = !isa<ShapedType, attn::BlockMaskType>(operand.getType());
    auto argument = dyn_cast<BlockArgument>(operand);
    if (scalar || (argument && argument.getOwner() == &func.getBody().front()))
      continue;
    InFlightDiagnostic diag = op.emitError()
                              << "operand of type " << operand.getType()
                              << " must be an argument of the function";
    diag.attachNote(operand.getLoc()) << "defined here";
    return diag;
  }
  return success();
}

/// In the order of the function: what regions read, and tensors without a role.
SmallVector<BlockArgument> SignatureBuilder::findCaptures() {
  llvm::SmallPtrSet<Value, 8> reads, others;
  reads.insert_range(op.getCaptures());
  reads.insert_range(op.getNormalizerCaptures());
  for (Value operand : op->getOperands())
    if (!reads.contains(operand))
      others.insert(operand);
  SmallVector<BlockArgument> captures;
  for (BlockArgument argument : func.getArguments())
    if (isa<RankedTensorType>(argument.getType()) && !others.contains(argument))
      captures.push_back(argument);
  return captures;
}

Value SignatureBuilder::add(Type type, StringRef name, Value from) {
  unsigned index = lowered.getNumArguments();
  DictionaryAttr attributes;
  if (auto argument = dyn_cast_if_present<BlockArgument>(from))
    attributes = func.getArgAttrDict(argument.getArgNumber());
  (void)lowered.insertArgument(index, type, attributes,
                               from ? from.getLoc() : op.getLoc());
  if (!lowered.getArgAttr(index, "attn.name"))
    lowered.setArgAttr(index, "attn.name",
                       StringAttr::get(func.getContext(), name));
  return lowered.getArgument(index);
}

void SignatureBuilder::addPerBatch(Value &argument, StringRef name) {
  Type type = MemRefType::get({ShapedType::kDynamic},
                              IntegerType::get(func.getContext(), 64));
  argument = add(type, name);
}

FailureOr<func::FuncOp> SignatureBuilder::build() {
  if (failed(checkOperands()))
    return failure();
  OpBuilder builder(func);
  lowered = func::FuncOp::create(builder, func.getLoc(), func.getName(),
                                 builder.getFunctionType({}, {}));
  lowered->setDiscardableAttrs(func->getDiscardableAttrDictionary());
  lowered.addEntryBlock();
  for (Value query : op.getQueries())
    arguments.queries.push_back(add(getOperandMemRef(query), "q", query));
  for (Value key : op.getKeys())
    arguments.keys.push_back(add(getOperandMemRef(key), "k", key));
  arguments.value = add(getOperandMemRef(op.getValue()), "v", op.getValue());
  for (BlockArgument capture : findCaptures()) {
    auto type = cast<RankedTensorType>(capture.getType());
    Type memref = getStridedMemRef(type.getElementType(), type.getRank(), -1);
    Value argument = add(memref, "capture", capture);
    arguments.captures.push_back(argument);
    mapping.map(capture, argument);
  }
  for (Value scale : op.getScales()) {
    arguments.scales.push_back(add(scale.getType(), "scale", scale));
    if (isa<BlockArgument>(scale))
      mapping.map(scale, arguments.scales.back());
  }
  addPerBatch(arguments.qOffset, "q_offset");
  addPerBatch(arguments.kvOffset, "kv_offset");
  addPerBatch(arguments.qLengths, "q_lengths");
  addPerBatch(arguments.kvLengths, "kv_lengths");
  if (schedule.paged)
    arguments.pageTable =
        add(getStridedMemRef(builder.getI64Type(), 2, -1), "page_table");
  if (op.getBlockMask() || schedule.classifies) {
    arguments.classes = add(getStridedMemRef(builder.getI8Type(), 4, -1),
                            "block_mask", op.getBlockMask());
    arguments.queryTile = add(builder.getIndexType(), "query_tile");
    arguments.keyTile = add(builder.getIndexType(), "key_tile");
  }
  arguments.out = add(getOperandMemRef(op.getOut()), "out");
  if (func.getNumResults() > 1)
    arguments.lse = add(getStridedMemRef(op.getScoreType(), 3, -1), "lse");
  return lowered;
}

FailureOr<func::FuncOp>
fovea::createLoweredFunction(func::FuncOp func, attn::AttentionOp op,
                             const AttnToOnlineSchedule &schedule,
                             LoweredArguments &arguments, IRMapping &mapping) {
  return SignatureBuilder(func, op, schedule, arguments, mapping).build();
}
