//===- Composites.cpp - Functions that level 1 spells out ----------------===//
//
//   sigmoid(x)  = 1 / (1 + exp(-x))
//   silu(x)     = x * sigmoid(x)
//   softplus(x) = max(x, 0) + log1p(exp(-abs(x)))
//   gelu(x)     = (x * 0.5) * (1 + erf(x * sqrt(1/2)))
//   fmod(x, y)  = x - floor(x / y) * y
//
//===----------------------------------------------------------------------===//

#include "Composites.h"

#include "RegionBuilder.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace llvm;

namespace fovea {

static constexpr double sqrtHalf = 0.7071067811865476;

static unsigned expandSigmoid(RegionBuilder &builder, unsigned x) {
  unsigned one = builder.addReal(1);
  unsigned e = builder.addOp(NodeKind::Exp, {builder.addOp(NodeKind::FNeg, x)});
  return builder.addOp(NodeKind::FDiv,
                       {one, builder.addOp(NodeKind::FAdd, {one, e})});
}

static unsigned expandSoftplus(RegionBuilder &builder, unsigned x) {
  unsigned positive = builder.addOp(NodeKind::FMax, {x, builder.addReal(0)});
  unsigned magnitude = builder.addOp(NodeKind::FAbs, x);
  unsigned e =
      builder.addOp(NodeKind::Exp, builder.addOp(NodeKind::FNeg, magnitude));
  return builder.addOp(NodeKind::FAdd,
                       {positive, builder.addOp(NodeKind::Log1p, e)});
}

static unsigned expandGelu(RegionBuilder &builder, unsigned x) {
  unsigned half = builder.addOp(NodeKind::FMul, {x, builder.addReal(0.5)});
  unsigned scaled =
      builder.addOp(NodeKind::FMul, {x, builder.addReal(sqrtHalf)});
  unsigned sum =
      builder.addOp(NodeKind::FAdd,
                    {builder.addReal(1), builder.addOp(NodeKind::Erf, scaled)});
  return builder.addOp(NodeKind::FMul, {half, sum});
}

static unsigned expandFMod(RegionBuilder &builder, unsigned x, unsigned y) {
  unsigned quotient =
      builder.addOp(NodeKind::Floor, builder.addOp(NodeKind::FDiv, {x, y}));
  return builder.addOp(NodeKind::FSub,
                       {x, builder.addOp(NodeKind::FMul, {quotient, y})});
}

/// Rebuilds a region node by node; `rewrite` may give another node for one.
template <typename Fn>
static void rebuild(Region &region, RegionKind kind, Fn &&rewrite) {
  RegionBuilder builder(kind);
  std::vector<unsigned> newIndex;
  for (const Node &old : region.nodes) {
    Node node = old;
    for (unsigned &operand : node.operands)
      operand = newIndex[operand];
    builder.setLocation(node.line, node.column);
    unsigned id = rewrite(builder, node);
    Node &placed = builder[id];
    if (placed.name.empty() && !placed.operands.empty())
      placed.name = old.name;
    newIndex.push_back(id);
  }
  SmallVector<unsigned> results;
  for (unsigned result : region.results)
    results.push_back(newIndex[result]);
  region = builder.take(results);
}

template <typename Fn> static void rebuildAll(Program &program, Fn &&rewrite) {
  for (unsigned index = 0; index < numRegionKinds; ++index) {
    auto kind = static_cast<RegionKind>(index);
    if (Region *region = getRegion(program, kind))
      rebuild(*region, kind, rewrite);
  }
  canonicalize(program);
}

void expandComposites(Program &program) {
  canonicalize(program);
  rebuildAll(program, [](RegionBuilder &builder, const Node &node) {
    ArrayRef<unsigned> in = node.operands;
    switch (node.kind) {
    case NodeKind::Sigmoid:
      return expandSigmoid(builder, in[0]);
    case NodeKind::Silu:
      return builder.addOp(NodeKind::FMul,
                           {in[0], expandSigmoid(builder, in[0])});
    case NodeKind::Softplus:
      return expandSoftplus(builder, in[0]);
    case NodeKind::Gelu:
      return expandGelu(builder, in[0]);
    case NodeKind::FMod:
      return expandFMod(builder, in[0], in[1]);
    default:
      return builder.add(node);
    }
  });
}

namespace {
/// Matches the definitions on nodes that are already rebuilt.
class Recognizer {
public:
  Recognizer(RegionBuilder &builder, const Node &node, bool isDouble)
      : builder(builder), node(node), isDouble(isDouble) {}

  std::optional<unsigned> run() {
    switch (node.kind) {
    case NodeKind::FDiv:
      return sigmoid();
    case NodeKind::FAdd:
      return softplus();
    case NodeKind::FMul:
      return node.operands[0] == node.operands[1] ? std::nullopt : product();
    case NodeKind::FSub:
      return fmod();
    default:
      return std::nullopt;
    }
  }

private:
  const Node *match(unsigned id, NodeKind kind) const {
    const Node &candidate = builder.get().nodes[id];
    return candidate.kind == kind ? &candidate : nullptr;
  }
  bool isReal(unsigned id, double value) const {
    const Node *constant = match(id, NodeKind::Const);
    return constant && constant->type == ValueType::F &&
           constant->real == value && !std::signbit(constant->real);
  }
  /// Single precision reads back as its shortest decimal.
  bool isSqrtHalf(unsigned id) const {
    return isReal(id, sqrtHalf) || (!isDouble && isReal(id, 0.70710677));
  }
  /// The operand of a chain of one-operand nodes, outermost first.
  std::optional<unsigned> peel(unsigned id, ArrayRef<NodeKind> kinds) const {
    for (NodeKind kind : kinds) {
      const Node *outer = match(id, kind);
      if (!outer)
        return std::nullopt;
      id = outer->operands[0];
    }
    return id;
  }

  std::optional<unsigned> sigmoid() {
    const Node *sum = match(node.operands[1], NodeKind::FAdd);
    if (!isReal(node.operands[0], 1) || !sum || !isReal(sum->operands[0], 1))
      return std::nullopt;
    std::optional<unsigned> x =
        peel(sum->operands[1], {NodeKind::Exp, NodeKind::FNeg});
    if (!x)
      return std::nullopt;
    return builder.addOp(NodeKind::Sigmoid, *x);
  }

  std::optional<unsigned> softplus() {
    const Node *positive = match(node.operands[0], NodeKind::FMax);
    std::optional<unsigned> x =
        peel(node.operands[1],
             {NodeKind::Log1p, NodeKind::Exp, NodeKind::FNeg, NodeKind::FAbs});
    if (!positive || !x || positive->operands[0] != *x ||
        !isReal(positive->operands[1], 0))
      return std::nullopt;
    return builder.addOp(NodeKind::Softplus, *x);
  }

  std::optional<unsigned> product() {
    unsigned x = node.operands[0];
    if (const Node *factor = match(node.operands[1], NodeKind::Sigmoid))
      if (factor->operands[0] == x)
        return builder.addOp(NodeKind::Silu, x);
    const Node *half = match(x, NodeKind::FMul);
    const Node *sum = match(node.operands[1], NodeKind::FAdd);
    if (!half || !sum || !isReal(half->operands[1], 0.5) ||
        !isReal(sum->operands[0], 1))
      return std::nullopt;
    std::optional<unsigned> scaled = peel(sum->operands[1], NodeKind::Erf);
    const Node *inner = scaled ? match(*scaled, NodeKind::FMul) : nullptr;
    if (!inner || inner->operands[0] != half->operands[0] ||
        !isSqrtHalf(inner->operands[1]))
      return std::nullopt;
    return builder.addOp(NodeKind::Gelu, half->operands[0]);
  }

  std::optional<unsigned> fmod() {
    const Node *product = match(node.operands[1], NodeKind::FMul);
    if (!product)
      return std::nullopt;
    std::optional<unsigned> quotient =
        peel(product->operands[0], NodeKind::Floor);
    const Node *division =
        quotient ? match(*quotient, NodeKind::FDiv) : nullptr;
    if (!division || division->operands[0] != node.operands[0] ||
        division->operands[1] != product->operands[1])
      return std::nullopt;
    return builder.addOp(NodeKind::FMod, division->operands);
  }

  RegionBuilder &builder;
  const Node &node;
  bool isDouble;
};
} // namespace

void recognizeComposites(Program &program) {
  bool isDouble = program.dtype == DType::F64;
  rebuildAll(program, [=](RegionBuilder &builder, const Node &node) {
    if (std::optional<unsigned> id = Recognizer(builder, node, isDouble).run())
      return *id;
    return builder.add(node);
  });
}

} // namespace fovea
