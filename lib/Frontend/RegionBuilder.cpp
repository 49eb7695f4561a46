//===- RegionBuilder.cpp - Building one region ---------------------------===//

#include "RegionBuilder.h"

using namespace llvm;

namespace fovea {

unsigned RegionBuilder::add(Node node) {
  auto [it, isNew] = known.try_emplace(getStructuralKey(node, node.operands),
                                       region.nodes.size());
  if (isNew) {
    node.line = line;
    node.column = column;
    region.nodes.push_back(std::move(node));
  }
  return it->second;
}

unsigned RegionBuilder::addOp(NodeKind kind, ArrayRef<unsigned> operands) {
  Node node;
  node.kind = kind;
  node.type = getSignature(kind).result;
  node.operands.assign(operands.begin(), operands.end());
  return add(std::move(node));
}

unsigned RegionBuilder::addSelect(unsigned condition, unsigned x, unsigned y) {
  Node node;
  node.kind = NodeKind::Select;
  node.type = region.nodes[x].type;
  node.operands = {condition, x, y};
  return add(std::move(node));
}

unsigned RegionBuilder::addInteger(int64_t value) {
  Node node;
  node.integer = value;
  return add(std::move(node));
}

unsigned RegionBuilder::addBool(bool value) {
  Node node;
  node.type = ValueType::I1;
  node.integer = value;
  return add(std::move(node));
}

unsigned RegionBuilder::addReal(double value) {
  Node node;
  node.type = ValueType::F;
  node.real = value;
  return add(std::move(node));
}

unsigned RegionBuilder::addSymbol(NodeKind kind, ValueType type,
                                  StringRef symbol) {
  Node node;
  node.kind = kind;
  node.type = type;
  node.symbol = symbol.str();
  return add(std::move(node));
}

unsigned RegionBuilder::addExtent(unsigned capture, unsigned dim) {
  Node node;
  node.kind = NodeKind::Extent;
  node.capture = capture;
  node.dim = dim;
  return add(std::move(node));
}

unsigned RegionBuilder::addRead(unsigned capture, DType dtype,
                                ArrayRef<unsigned> indices) {
  Node node;
  node.kind = NodeKind::Read;
  node.type = getValueType(dtype);
  node.capture = capture;
  node.operands.assign(indices.begin(), indices.end());
  return add(std::move(node));
}

} // namespace fovea
