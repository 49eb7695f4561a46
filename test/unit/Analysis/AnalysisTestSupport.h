//===- AnalysisTestSupport.h - Regions made in memory ------------*- C++-*-===//
#ifndef FOVEA_TEST_UNIT_ANALYSIS_ANALYSISTESTSUPPORT_H
#define FOVEA_TEST_UNIT_ANALYSIS_ANALYSISTESTSUPPORT_H

#include "fovea/Analysis/MaskAnalysis.h"
#include "fovea/Analysis/RegionFacts.h"
#include "fovea/Interpreter/RegionEvaluator.h"

#include <cmath>
#include <random>
#include <vector>

namespace fovea::test {

struct Builder {
  explicit Builder(RegionKind kind = RegionKind::Mask) {
    for (llvm::StringRef name : getRegionArgs(kind))
      region.args.push_back(name.str());
  }
  unsigned add(Node node) {
    region.nodes.push_back(std::move(node));
    return static_cast<unsigned>(region.nodes.size()) - 1;
  }
  unsigned arg(llvm::StringRef name) {
    Node node;
    node.kind = NodeKind::Arg;
    node.type = getArgType(name);
    node.symbol = name.str();
    return add(node);
  }
  unsigned constant(int64_t value) {
    Node node;
    node.kind = NodeKind::Const;
    node.type = ValueType::I64;
    node.integer = value;
    return add(node);
  }
  unsigned real(double value) {
    Node node;
    node.kind = NodeKind::Const;
    node.type = ValueType::F;
    node.real = value;
    return add(node);
  }
  unsigned boolean(bool value) {
    Node node;
    node.kind = NodeKind::Const;
    node.type = ValueType::I1;
    node.integer = value;
    return add(node);
  }
  unsigned read(unsigned capture, ValueType type,
                llvm::ArrayRef<unsigned> indices) {
    Node node;
    node.kind = NodeKind::Read;
    node.type = type;
    node.capture = capture;
    node.operands.assign(indices.begin(), indices.end());
    return add(node);
  }
  unsigned op(NodeKind kind, llvm::ArrayRef<unsigned> operands) {
    Node node;
    node.kind = kind;
    node.type = kind == NodeKind::Select ? region.nodes[operands[1]].type
                                         : getSignature(kind).result;
    node.operands.assign(operands.begin(), operands.end());
    return add(node);
  }
  Region finish(unsigned result) {
    region.results = {result};
    return region;
  }
  Region region;
};

template <typename T>
TensorView viewOf(std::vector<T> &values, DType dtype,
                  llvm::ArrayRef<int64_t> sizes) {
  TensorView view;
  view.data = values.data();
  view.dtype = dtype;
  view.sizes.assign(sizes.begin(), sizes.end());
  int64_t stride = 1;
  view.strides.resize(sizes.size());
  for (size_t dim = sizes.size(); dim-- > 0;) {
    view.strides[dim] = stride;
    stride *= sizes[dim];
  }
  return view;
}

/// What the evaluator says at one point.
class Oracle {
public:
  Oracle(const Program &program, const Region &region, bool isScore,
         llvm::ArrayRef<TensorView> captures, const RegionSizes &sizes)
      : compiled(RegionProgram::compile(program, region, {})),
        frame(compiled, captures, sizes), isScore(isScore) {
    frame.setFloat(compiled.findArg("s"), 0);
  }
  bool isVisible(int64_t b, int64_t h, int64_t q, int64_t kv) {
    frame.setInt(compiled.findArg("b"), b);
    frame.setInt(compiled.findArg("h"), h);
    frame.setInt(compiled.findArg("q"), q);
    frame.setInt(compiled.findArg("kv"), kv);
    frame.run(1);
    return isScore ? frame.resultFloat(0, 0) != -HUGE_VAL
                   : frame.resultInt(0, 0) != 0;
  }

private:
  RegionProgram compiled;
  RegionFrame frame;
  bool isScore;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_ANALYSIS_ANALYSISTESTSUPPORT_H
