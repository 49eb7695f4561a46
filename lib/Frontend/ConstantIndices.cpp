//===- ConstantIndices.cpp - Where regions read at fixed places -----------===//
#include "fovea/Frontend/ConstantIndices.h"
#include "fovea/Frontend/Program.h"

#include "llvm/ADT/STLExtras.h"

using namespace fovea;

namespace {
std::optional<int64_t> getConstant(const Program &program, const Node &node) {
  if (node.kind == NodeKind::Const && node.type == ValueType::I64)
    return node.integer;
  if (node.kind == NodeKind::Param && node.type == ValueType::I64)
    for (const Param &param : program.params)
      if (param.name == node.symbol)
        return param.integer;
  return std::nullopt;
}

/// The index as users write it: below 0 it counts from the end, which front
/// ends turn into a sum or difference with the extent.
std::optional<int64_t> getIndex(const Program &program, const Region &region,
                                const Node &read, unsigned dim) {
  const Node &node = region.nodes[read.operands[dim]];
  if (std::optional<int64_t> value = getConstant(program, node))
    return value;
  if (node.kind != NodeKind::IAdd && node.kind != NodeKind::ISub)
    return std::nullopt;
  const Node &extent = region.nodes[node.operands[0]];
  if (extent.kind != NodeKind::Extent || extent.capture != read.capture ||
      extent.dim != dim)
    return std::nullopt;
  std::optional<int64_t> value =
      getConstant(program, region.nodes[node.operands[1]]);
  if (value && node.kind == NodeKind::ISub)
    value = -*value;
  return value && *value < 0 ? value : std::nullopt;
}
} // namespace

std::vector<ConstantIndex> fovea::findConstantIndices(const Program &program) {
  std::vector<ConstantIndex> found;
  auto note = [&](unsigned capture, unsigned dim, int64_t index) {
    auto known = llvm::find_if(found, [&](const ConstantIndex &other) {
      return other.capture == capture && other.dim == dim &&
             (other.index < 0) == (index < 0);
    });
    if (known == found.end())
      found.push_back({capture, dim, index});
    else if (index < 0 ? index < known->index : index > known->index)
      known->index = index;
  };
  for (unsigned kind = 0; kind < numRegionKinds; ++kind) {
    const Region *region = getRegion(program, static_cast<RegionKind>(kind));
    if (!region)
      continue;
    for (const Node &node : region->nodes)
      if (node.kind == NodeKind::Read)
        for (unsigned dim = 0; dim < node.operands.size(); ++dim)
          if (auto index = getIndex(program, *region, node, dim))
            note(node.capture, dim, *index);
  }
  return found;
}
