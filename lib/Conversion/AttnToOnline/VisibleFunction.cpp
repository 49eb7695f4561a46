//===- VisibleFunction.cpp - A mask as a function of positions ------------===//

#include "Lowering.h"

using namespace mlir;
using namespace fovea;

void fovea::buildVisibleFunction(func::FuncOp lowered, attn::AttentionOp op,
                                 const IRMapping &mapping) {
  using K = attn::SizeKind;
  constexpr K sizes[] = {K::B, K::H, K::Hk, K::M, K::N};
  constexpr unsigned positions = 4;
  OpBuilder builder(lowered);
  Location loc = op.getMask().getLoc();
  Type i64 = builder.getI64Type();
  SmallVector<Type> types(positions + std::size(sizes), i64);
  SmallVector<Value> captures;
  for (Value capture : op.getCaptures()) {
    captures.push_back(mapping.lookup(capture));
    types.push_back(captures.back().getType());
  }
  auto visible =
      func::FuncOp::create(builder, loc, (lowered.getName() + "_visible").str(),
                           builder.getFunctionType(types, builder.getI1Type()));
  visible.setPrivate();
  lowered->setAttr("online.visible", FlatSymbolRefAttr::get(visible));
  Block *body = visible.addEntryBlock();
  ArrayRef<BlockArgument> arguments = body->getArguments();
  ArrayRef<BlockArgument> tensors =
      arguments.drop_front(positions + std::size(sizes));
  for (auto [argument, capture] : llvm::zip(tensors, captures))
    visible.setArgAttrs(
        argument.getArgNumber(),
        lowered.getArgAttrDict(cast<BlockArgument>(capture).getArgNumber()));
  builder.setInsertionPointToEnd(body);
  Block &source = op.getMask().front();
  IRMapping inner;
  inner.map(source.getArguments().take_front(positions),
            arguments.take_front(positions));
  inner.map(source.getArguments().drop_front(positions), tensors);
  auto feature = [&](Value tensor) -> Value {
    int64_t dim = cast<ShapedType>(tensor.getType()).getDimSize(3);
    return arith::ConstantIntOp::create(builder, loc, dim, 64);
  };
  for (Operation &scalar : source.without_terminator()) {
    auto size = dyn_cast<attn::SizeOp>(scalar);
    if (!size) {
      builder.clone(scalar, inner);
      continue;
    }
    const K *known = llvm::find(sizes, size.getKind());
    if (known != std::end(sizes))
      inner.map(size.getResult(), arguments[positions + (known - sizes)]);
    else
      inner.map(size.getResult(),
                feature(size.getKind() == K::D ? op.getQueries().front()
                                               : op.getValue()));
  }
  func::ReturnOp::create(builder, loc,
                         inner.lookup(source.getTerminator()->getOperand(0)));
}
