//===- AttnRegions.cpp - Checks of scalar regions -------------------------===//

#include "AttnRegions.h"
#include "../../WholeBlock.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::attn;

LogicalResult mlir::attn::verifyScalarRegion(Operation *op, StringRef name,
                                             Region &region,
                                             ArrayRef<Type> arguments,
                                             ArrayRef<Type> results,
                                             Type scoreType) {
  Block &block = region.front();
  if (block.getArgumentTypes() != TypeRange(arguments))
    return op->emitOpError()
           << name << " region must take (" << TypeRange(arguments)
           << "), got (" << block.getArgumentTypes() << ")";
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return op->emitOpError() << name << " region must end with 'attn.yield'";
  if (!fovea::hasAllOperands(block))
    return success();
  if (yield.getOperandTypes() != TypeRange(results))
    return yield.emitOpError()
           << "in the " << name << " region must give (" << TypeRange(results)
           << "), got (" << yield.getOperandTypes() << ")";
  auto isOfScoreType = [&](Type type) {
    return !scoreType || !isa<FloatType>(type) || type == scoreType;
  };
  // C6, C14
  for (Operation &inner : block) {
    if (isAllowedInRegion(&inner) &&
        llvm::all_of(inner.getResultTypes(), isOfScoreType))
      continue;
    InFlightDiagnostic diag = inner.emitOpError()
                              << "is not allowed in the " << name
                              << " region: only scalar ops on i1, i64 and the "
                                 "score type, with total integer arithmetic";
    diag.attachNote(op->getLoc()) << "region of this op";
    return diag;
  }
  return success();
}

namespace {
/// How a value depends on t.
enum class Dependence {
  Zero,        // the constant 0
  Independent, // not on t
  Shift,       // u - t with u independent
  Factor,      // g * exp(-t) with g independent
  Other
};
} // namespace

static bool isOneOf(Dependence d, Dependence a, Dependence b) {
  return d == a || d == b;
}

/// Of one or the other. 0 is a multiple of exp(-t), and no u - t.
static Dependence join(Dependence a, Dependence b) {
  if (a == b)
    return a;
  if (a == Dependence::Zero && b != Dependence::Shift)
    return b;
  if (b == Dependence::Zero && a != Dependence::Shift)
    return a;
  return Dependence::Other;
}

static Dependence classify(Operation &op, ArrayRef<Dependence> in) {
  using D = Dependence;
  auto free = [](D d) { return isOneOf(d, D::Zero, D::Independent); };
  if (matchPattern(&op, m_AnyZeroFloat()))
    return D::Zero;
  if (llvm::all_of(in, free))
    return D::Independent;
  if (isa<arith::SubFOp>(op)) {
    if (free(in[1]))
      return in[0] == D::Shift ? D::Shift : D::Other;
    return isOneOf(in[1], D::Factor, D::Factor) ? join(in[0], in[1]) : D::Other;
  }
  if (isa<arith::AddFOp>(op)) {
    if ((in[0] == D::Shift && free(in[1])) ||
        (in[1] == D::Shift && free(in[0])))
      return D::Shift;
    D sum = join(in[0], in[1]);
    return sum == D::Factor ? sum : D::Other;
  }
  if (isa<math::ExpOp>(op))
    return in[0] == D::Shift ? D::Factor : D::Other;
  if (isa<arith::MulFOp>(op))
    return (in[0] == D::Factor && free(in[1])) ||
                   (in[1] == D::Factor && free(in[0]))
               ? D::Factor
               : D::Other;
  if (isa<arith::DivFOp>(op))
    return in[0] == D::Factor && free(in[1]) ? D::Factor : D::Other;
  if (isa<arith::NegFOp>(op))
    return in[0] == D::Factor ? D::Factor : D::Other;
  if (isa<arith::SelectOp>(op) && free(in[0]))
    return join(in[1], in[2]);
  return D::Other;
}

/// `s - t` is the one way to make a Shift; t itself is neither.
static Dependence classifyWithT(Operation &op, Value t,
                                ArrayRef<Dependence> in) {
  auto sub = dyn_cast<arith::SubFOp>(op);
  if (sub && sub.getRhs() == t)
    return isOneOf(in[0], Dependence::Zero, Dependence::Independent)
               ? Dependence::Shift
               : Dependence::Other;
  auto neg = dyn_cast<arith::NegFOp>(op);
  if (neg && neg.getOperand() == t)
    return Dependence::Shift;
  if (llvm::is_contained(op.getOperands(), t))
    return Dependence::Other;
  return classify(op, in);
}

LogicalResult mlir::attn::verifyRescalable(Operation *op, StringRef name,
                                           Region &region, bool hasStat) {
  Block &block = region.front();
  if (!fovea::hasAllOperands(block))
    return success();
  Value t = block.getArgument(1);
  DenseMap<Value, Dependence> dependence;
  for (BlockArgument argument : block.getArguments())
    dependence[argument] =
        argument == t ? Dependence::Other : Dependence::Independent;
  for (Operation &inner : block.without_terminator()) {
    SmallVector<Dependence> in;
    for (Value operand : inner.getOperands())
      in.push_back(dependence.lookup(operand));
    for (Value result : inner.getResults())
      dependence[result] = classifyWithT(inner, t, in);
  }
  Dependence result = dependence.lookup(block.getTerminator()->getOperand(0));
  auto fail = [&](StringRef message) {
    InFlightDiagnostic diagnostic = op->emitOpError() << name << message;
    diagnostic.attachNote(block.getTerminator()->getLoc())
        << "the " << name << " is given here";
    return diagnostic;
  };
  // C13
  if (hasStat && !isOneOf(result, Dependence::Factor, Dependence::Zero))
    return fail(" must be a multiple of exp(-t): t may enter it only as "
                "exp(x - t) times something free of t");
  if (!hasStat && !isOneOf(result, Dependence::Independent, Dependence::Zero))
    return fail(" must not use t: this normalizer has no stat");
  return success();
}

void mlir::attn::nameArguments(Region &region, StringRef names,
                               OpAsmSetValueNameFn setName) {
  SmallVector<StringRef> split;
  names.split(split, ' ');
  for (auto [name, argument] : llvm::zip(split, region.getArguments()))
    setName(argument, name);
}
