//===- NormalizerLowering.cpp - Normalisers on memrefs --------------------===//

#include "Lowering.h"
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
/// extents of two more captures: the first query and the first key.
static void replaceSizes(attn::NormalizerOp normalizer, Type query, Type key,
                         const LoweredSizes &sizes) {
  for (Region &region : normalizer->getRegions()) {
    if (region.empty())
      continue;
    Block &block = region.front();
    Value queryArgument = block.addArgument(query, normalizer.getLoc());
    Value keyArgument = block.addArgument(key, normalizer.getLoc());
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
        value = attn::ExtentOp::create(
            builder, size.getLoc(), onQuery ? queryArgument : keyArgument, dim);
      }
      size.replaceAllUsesWith(value);
      size.erase();
    });
  }
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
  if (usesSizes) {
    Value query = arguments.queries[0], key = arguments.keys[0];
    replaceSizes(clone, query.getType(), key.getType(), sizes);
    result.captures.append({query, key});
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
