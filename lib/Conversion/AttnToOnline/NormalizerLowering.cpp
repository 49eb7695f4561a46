//===- NormalizerLowering.cpp - Normalisers on memrefs --------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace fovea;

/// Which argument, and which of its dims, holds a size.
static std::pair<bool, unsigned> locateSize(attn::SizeKind kind) {
  switch (kind) {
  case attn::SizeKind::B:
    return {true, 0};
  case attn::SizeKind::H:
    return {true, 1};
  case attn::SizeKind::Hk:
    return {false, 1};
  case attn::SizeKind::M:
    return {true, 2};
  case attn::SizeKind::N:
    return {false, 2};
  case attn::SizeKind::D:
  case attn::SizeKind::E:
    return {true, 3};
  }
  llvm_unreachable("unknown size");
}

/// Regions of a normaliser are isolated, so run-time sizes reach them as the
/// extents of two more captures: the first query and the first key. With pages
/// there is a third, the page table: its width times a page's rows is N.
static void replaceSizes(attn::NormalizerOp normalizer,
                         ArrayRef<Value> carriers, const LoweredSizes &sizes) {
  for (Region &region : normalizer->getRegions()) {
    if (region.empty())
      continue;
    Block &block = region.front();
    SmallVector<Value, 3> carried;
    for (Value carrier : carriers)
      carried.push_back(
          block.addArgument(carrier.getType(), normalizer.getLoc()));
    region.walk([&](attn::SizeOp size) {
      OpBuilder builder(size);
      Value value;
      if (size.getKind() == attn::SizeKind::D ||
          size.getKind() == attn::SizeKind::E) {
        int64_t constant = size.getKind() == attn::SizeKind::D ? sizes.headDim
                                                               : sizes.valueDim;
        value =
            arith::ConstantIntOp::create(builder, size.getLoc(), constant, 64);
      } else {
        auto [onQuery, dim] = locateSize(size.getKind());
        value = attn::ExtentOp::create(builder, size.getLoc(),
                                       carried[onQuery ? 0 : 1], dim);
        if (size.getKind() == attn::SizeKind::N && carried.size() == 3)
          value = arith::MulIOp::create(
              builder, size.getLoc(), value,
              attn::ExtentOp::create(builder, size.getLoc(), carried[2], 1));
      }
      size.replaceAllUsesWith(value);
      size.erase();
    });
  }
}

/// States of a sweep hold l only where keys add to it. Elsewhere it is the
/// seed's: l0 · exp(t0 − t), spelt out where the finish region reads it.
static void spellOutSeedSum(attn::NormalizerOp normalizer) {
  if (normalizer.hasDenom() || normalizer.getSeed().empty() ||
      normalizer.getFinish().empty())
    return;
  Block &finish = normalizer.getFinish().front();
  Block &seed = normalizer.getSeed().front();
  Value l = finish.getArgument(1), t = finish.getArgument(2);
  if (l.use_empty())
    return;
  IRMapping mapping;
  mapping.map(seed.getArguments().take_front(3),
              finish.getArguments().slice(3, 3));
  mapping.map(seed.getArguments().drop_front(3),
              finish.getArguments().drop_front(7));
  OpBuilder builder = OpBuilder::atBlockBegin(&finish);
  for (Operation &op : seed.without_terminator())
    builder.clone(op, mapping);
  Operation *yield = seed.getTerminator();
  Value t0 = mapping.lookupOrDefault(yield->getOperand(0));
  Value sum = mapping.lookupOrDefault(yield->getOperand(1));
  if (normalizer.hasStat()) {
    // Without a larger key t is t0, NaN and the infinities included.
    Location loc = normalizer.getLoc();
    Value same =
        arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UEQ, t0, t);
    Value shift = arith::SubFOp::create(builder, loc, t0, t);
    Value factor = math::ExpOp::create(builder, loc, shift);
    Value scaled = arith::MulFOp::create(builder, loc, sum, factor);
    sum = arith::SelectOp::create(builder, loc, same, sum, scaled);
  }
  l.replaceAllUsesWith(sum);
}

LoweredNormalizer fovea::lowerNormalizer(attn::AttentionOp op,
                                         const LoweredArguments &arguments,
                                         const LoweredSizes &sizes,
                                         const IRMapping &mapping) {
  LoweredNormalizer result;
  result.symbol = op.getNormalizer();
  attn::NormalizerOp source = op.lookupNormalizer();
  if (!source)
    return result;
  for (Value capture : op.getNormalizerCaptures())
    result.captures.push_back(mapping.lookup(capture));
  bool usesSizes = false;
  source.walk([&](attn::SizeOp) { usesSizes = true; });

  OpBuilder builder(source);
  auto clone = cast<attn::NormalizerOp>(source->clone());
  for (Region &region : clone->getRegions()) {
    if (region.empty())
      continue;
    auto trailing =
        region.front().getArguments().take_back(result.captures.size());
    for (auto [argument, capture] : llvm::zip(trailing, result.captures))
      argument.setType(capture.getType());
  }
  spellOutSeedSum(clone);
  if (usesSizes) {
    SmallVector<Value, 3> carriers{arguments.queries[0], arguments.keys[0]};
    if (arguments.pageTable)
      carriers.push_back(arguments.pageTable);
    replaceSizes(clone, carriers, sizes);
    result.captures.append(carriers);
  }
  SmallVector<Type> types;
  for (Value capture : result.captures)
    types.push_back(capture.getType());
  clone.setCaptureTypesAttr(builder.getTypeArrayAttr(types));
  SymbolTable table(source->getParentOp());
  result.symbol = FlatSymbolRefAttr::get(
      table.insert(clone, Block::iterator(source->getNextNode())));
  result.hasStat = source.hasStat();
  result.hasDenom = source.hasDenom();
  return result;
}
