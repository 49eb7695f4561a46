//===- WalkBounds.cpp - The bounds of a mask as arithmetic ----------------===//

#include "WalkBounds.h"
#include "fovea/Analysis/KeyBounds.h"
#include "fovea/Frontend/AttnModule.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace fovea;

/// All keys, of which nothing is known.
static KeyBounds everyKey(StringRef reason) {
  KeyBounds bounds;
  bounds.isClosedForm = false;
  bounds.reason = reason.str();
  KeyInterval all;
  all.begin = bounds.expressions.leaf(BoundExpression::FirstKey);
  all.end = bounds.expressions.leaf(BoundExpression::EndKey);
  bounds.parts.push_back(all);
  return bounds;
}

/// Features are static.
static void bindSizes(attn::AttentionOp op, Program &program) {
  auto columns = [](Value value) {
    return cast<ShapedType>(value.getType()).getShape().back();
  };
  for (Node &node : program.mask->nodes) {
    if (node.kind != NodeKind::Size ||
        (node.symbol != "D" && node.symbol != "E"))
      continue;
    node.kind = NodeKind::Const;
    node.integer =
        columns(node.symbol == "D" ? op.getQueries()[0] : op.getValue());
  }
}

/// The mask of an op without one.
static Program showAll() {
  Program program;
  fovea::Region &mask = program.mask.emplace();
  Node &yes = mask.nodes.emplace_back();
  yes.type = ValueType::I1;
  yes.integer = 1;
  mask.results = {0};
  return program;
}

static KeyBounds findBounds(attn::AttentionOp op, const WalkRequest &request,
                            std::vector<Value> &values) {
  llvm::Expected<Program> program =
      op.hasMask()
          ? readRegionAlone(op.getMask(), fovea::RegionKind::Mask, values)
          : showAll();
  if (!program) {
    llvm::consumeError(program.takeError());
    return everyKey("the mask has an operation that its analysis cannot read");
  }
  bindSizes(op, *program);
  return findKeyBounds(*program, *program->mask,
                       KeyDomain::of(request.indexBits == 32),
                       request.maxCases);
}

WalkBounds::WalkBounds(attn::AttentionOp op, const WalkRequest &request)
    : bounds(std::make_unique<KeyBounds>(findBounds(op, request, values))) {}

WalkBounds::~WalkBounds() = default;

bool WalkBounds::isClosedForm() const { return bounds->isClosedForm; }

StringRef WalkBounds::reason() const { return bounds->reason; }

namespace {
/// Makes values of expressions.
class Emitter {
public:
  Emitter(OpBuilder &builder, Location loc, const WalkBounds::Limits &limits,
          const IRMapping &mapping, ArrayRef<Value> values)
      : builder(builder), loc(loc), limits(limits), mapping(mapping),
        values(values) {}

  Value emit(const BoundExpression &expression, ArrayRef<Value> operands);

private:
  template <typename Op> Value make(ArrayRef<Value> operands) {
    return builder.createOrFold<Op>(loc, operands[0], operands[1]);
  }
  Value hoist(Value value);

  OpBuilder &builder;
  Location loc;
  const WalkBounds::Limits &limits;
  IRMapping mapping;
  ArrayRef<Value> values;
};
} // namespace

/// A copy of a value of the region, which depends on neither position.
Value Emitter::hoist(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *root = value.getDefiningOp();
  llvm::SetVector<Operation *> slice;
  slice.insert(root);
  for (unsigned i = 0; i < slice.size(); ++i)
    for (Value operand : slice[i]->getOperands())
      if (!mapping.contains(operand))
        slice.insert(operand.getDefiningOp());
  for (Operation &op : *root->getBlock())
    if (slice.contains(&op) && !mapping.contains(op.getResult(0))) {
      SmallVector<Value> folded;
      Operation *clone = builder.clone(op, mapping);
      if (succeeded(builder.tryFold(clone, folded)) && !folded.empty())
        mapping.map(op.getResult(0), folded[0]);
    }
  return mapping.lookup(value);
}

Value Emitter::emit(const BoundExpression &expression, ArrayRef<Value> a) {
  using E = BoundExpression;
  switch (expression.kind) {
  case E::Constant:
    return arith::ConstantIntOp::create(builder, loc, expression.integer, 64);
  case E::FirstRow:
    return limits.firstRow;
  case E::LastRow:
    return limits.lastRow;
  case E::FirstKey:
    return limits.firstKey;
  case E::EndKey:
    return limits.endKey;
  case E::Node:
    return hoist(values[expression.integer]);
  case E::Add:
    return make<arith::AddIOp>(a);
  case E::Sub:
    return make<arith::SubIOp>(a);
  case E::Mul:
    return make<arith::MulIOp>(a);
  case E::FloorDiv:
    return make<attn::FloorDivOp>(a);
  case E::Min:
    return make<arith::MinSIOp>(a);
  case E::Max:
    return make<arith::MaxSIOp>(a);
  case E::Less:
    return builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt,
                                               a[0], a[1]);
  case E::Not:
    return builder.createOrFold<arith::XOrIOp>(
        loc, a[0], arith::ConstantIntOp::create(builder, loc, 1, 1));
  case E::Select:
    return builder.createOrFold<arith::SelectOp>(loc, a[0], a[1], a[2]);
  }
  llvm_unreachable("unknown expression");
}

SmallVector<WalkInterval, 2> WalkBounds::emit(OpBuilder &builder, Location loc,
                                              const Limits &limits,
                                              const IRMapping &mapping) const {
  ArrayRef<BoundExpression> list = bounds->expressions.list();
  std::vector<bool> needed(list.size());
  for (const KeyInterval &part : bounds->parts) {
    needed[part.begin] = needed[part.end] = true;
    if (part.full)
      needed[part.full->begin] = needed[part.full->end] = true;
  }
  for (size_t i = list.size(); i-- > 0;)
    if (needed[i])
      for (unsigned k = 0; k < list[i].numOperands(); ++k)
        needed[list[i].operands[k]] = true;
  Emitter emitter(builder, loc, limits, mapping, values);
  std::vector<Value> made(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    if (!needed[i])
      continue;
    SmallVector<Value, 3> operands;
    for (unsigned k = 0; k < list[i].numOperands(); ++k)
      operands.push_back(made[list[i].operands[k]]);
    made[i] = emitter.emit(list[i], operands);
  }
  SmallVector<WalkInterval, 2> parts;
  for (const KeyInterval &part : bounds->parts) {
    WalkInterval &interval = parts.emplace_back();
    interval.begin = made[part.begin];
    interval.end = made[part.end];
    if (part.full) {
      interval.fullBegin = made[part.full->begin];
      interval.fullEnd = made[part.full->end];
    }
  }
  return parts;
}
