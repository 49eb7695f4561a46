//===- RandomProgram.cpp - Well-typed programs for fuzzing ---------------===//

#include "RandomProgram.h"

#include <limits>

using namespace fovea;

static bool isUnsigned(DType type) {
  return type == DType::I1 || type == DType::UI8 || type == DType::UI16 ||
         type == DType::UI32;
}

unsigned RandomProgram::addNode(Region &region, Node node) {
  region.nodes.push_back(std::move(node));
  return region.nodes.size() - 1;
}

std::optional<unsigned> RandomProgram::find(const Region &region,
                                            ValueType type) {
  llvm::SmallVector<unsigned> fitting;
  for (unsigned id = 0; id < region.nodes.size(); ++id)
    if (region.nodes[id].type == type)
      fitting.push_back(id);
  if (fitting.empty())
    return std::nullopt;
  // Recent nodes make deep graphs, old ones shared graphs.
  unsigned back =
      pick(flip() ? std::min<unsigned>(3, fitting.size()) : fitting.size());
  return fitting[fitting.size() - 1 - back];
}

unsigned RandomProgram::addLeaf(Region &region, RegionKind kind,
                                ValueType type) {
  Node node;
  node.type = type;
  unsigned choice = pick(6);
  if (choice < 2) {
    llvm::SmallVector<std::string> fitting;
    for (const std::string &arg : region.args)
      if (arg != "t" && getArgType(arg) == type)
        fitting.push_back(arg);
    if (!fitting.empty()) {
      node.kind = NodeKind::Arg;
      node.symbol = fitting[pick(fitting.size())];
      return addNode(region, node);
    }
  }
  if (choice == 2 && type == ValueType::I64) {
    static const char *sizes[] = {"B", "H", "Hk", "M", "N", "D", "E"};
    node.kind = NodeKind::Size;
    node.symbol = sizes[pick(7)];
    return addNode(region, node);
  }
  if (choice == 3 && !program.params.empty()) {
    const Param &param = program.params[pick(program.params.size())];
    if (param.type == type) {
      node.kind = NodeKind::Param;
      node.symbol = param.name;
      return addNode(region, node);
    }
  }
  if (choice == 4 && !program.captures.empty() && kind != RegionKind::Scale) {
    unsigned index = pick(program.captures.size());
    const Capture &capture = program.captures[index];
    if (type == ValueType::I64 && capture.rank > 0 && flip()) {
      node.kind = NodeKind::Extent;
      node.capture = index;
      node.dim = pick(capture.rank);
      return addNode(region, node);
    }
    if (getValueType(capture.dtype) == type) {
      node.kind = NodeKind::Read;
      node.capture = index;
      for (unsigned i = 0; i < capture.rank; ++i)
        node.operands.push_back(get(region, kind, ValueType::I64));
      return addNode(region, node);
    }
  }
  static const int64_t integers[] = {0,
                                     1,
                                     -1,
                                     2,
                                     7,
                                     -64,
                                     4096,
                                     std::numeric_limits<int64_t>::max(),
                                     std::numeric_limits<int64_t>::min()};
  static const double reals[] = {0.0,
                                 -0.0,
                                 1.0,
                                 -1.0,
                                 0.5,
                                 0.25,
                                 3.0,
                                 1e10,
                                 -1e-5,
                                 0.1,
                                 std::numeric_limits<double>::infinity(),
                                 -std::numeric_limits<double>::infinity()};
  if (type == ValueType::F)
    node.real = reals[pick(12)];
  else
    node.integer = type == ValueType::I1 ? pick(2) : integers[pick(9)];
  return addNode(region, node);
}

unsigned RandomProgram::get(Region &region, RegionKind kind, ValueType type) {
  std::optional<unsigned> id = find(region, type);
  if (id && pick(4) != 0)
    return *id;
  return addLeaf(region, kind, type);
}

void RandomProgram::addOp(Region &region) {
  constexpr unsigned first = static_cast<unsigned>(NodeKind::IAdd);
  Node node;
  node.kind = static_cast<NodeKind>(first + pick(numNodeKinds - first));
  const NodeSignature &signature = getSignature(node.kind);
  node.type = signature.result;
  llvm::SmallVector<ValueType, 3> types = signature.operands;
  if (node.kind == NodeKind::Select) {
    node.type = static_cast<ValueType>(pick(3));
    types = {ValueType::I1, node.type, node.type};
  }
  for (ValueType type : types) {
    std::optional<unsigned> id = find(region, type);
    if (!id)
      return;
    node.operands.push_back(*id);
  }
  if (pick(8) == 0)
    node.name = "v" + std::to_string(pick(5));
  addNode(region, node);
}

Region RandomProgram::makeRegion(RegionKind kind) {
  Region region;
  for (llvm::StringRef arg : getRegionArgs(kind))
    region.args.push_back(arg.str());
  for (unsigned i = 0; i < 4 + pick(4); ++i)
    addLeaf(region, kind, static_cast<ValueType>(pick(3)));
  for (unsigned i = 0; i < pick(40); ++i)
    addOp(region);
  for (ValueType type : getRegionResults(kind)) {
    std::optional<unsigned> id = find(region, type);
    region.results.push_back(id ? *id : addLeaf(region, kind, type));
  }
  return region;
}

/// g * exp(s - t), or g where there is no statistic.
Region RandomProgram::makeWeight(RegionKind kind, bool hasStat) {
  Region region = makeRegion(kind);
  if (!hasStat)
    return region;
  auto arg = [&](const char *name) {
    Node node;
    node.kind = NodeKind::Arg;
    node.type = ValueType::F;
    node.symbol = name;
    return addNode(region, node);
  };
  auto op = [&](NodeKind opKind, llvm::ArrayRef<unsigned> operands) {
    Node node;
    node.kind = opKind;
    node.type = ValueType::F;
    node.operands.assign(operands.begin(), operands.end());
    return addNode(region, node);
  };
  unsigned s = arg("s"), t = arg("t");
  unsigned e = op(NodeKind::Exp, {op(NodeKind::FSub, {s, t})});
  region.results[0] = op(NodeKind::FMul, {region.results[0], e});
  return region;
}

Program RandomProgram::make() {
  program = Program();
  program.name = "fuzz";
  if (flip())
    program.doc = "first line\nsecond";
  static const DType dtypes[] = {DType::F32, DType::F64, DType::F16,
                                 DType::BF16};
  program.dtype = dtypes[pick(4)];
  program.headDims.assign(1 + pick(2), 64);
  program.valueDim = 32;
  for (unsigned i = 0; i < pick(4); ++i) {
    Capture capture;
    capture.name = "cap" + std::to_string(i);
    capture.dtype = static_cast<DType>(pick(12));
    capture.rank = pick(4);
    static const char *names[] = {"H", "S", "R", "N"};
    if (flip())
      for (unsigned d = 0; d < capture.rank; ++d)
        capture.dims.push_back(Dim{-1, names[pick(4)]});
    if (flip())
      capture.range = {Bound{isUnsigned(capture.dtype) ? 0 : -3, ""},
                       Bound{0, "N"}};
    program.captures.push_back(capture);
  }
  for (unsigned i = 0; i < pick(3); ++i) {
    Param param;
    param.name = "P" + std::to_string(i);
    param.type = static_cast<ValueType>(pick(3));
    param.integer = param.type == ValueType::I1 ? pick(2) : 17;
    param.real = 1.5;
    if (param.type == ValueType::F)
      param.integer = 0;
    else
      param.real = 0;
    program.params.push_back(param);
  }
  if (flip())
    program.scale = makeRegion(RegionKind::Scale);
  if (flip())
    program.score = makeRegion(RegionKind::Score);
  if (flip())
    program.mask = makeRegion(RegionKind::Mask);
  program.blockMask = flip();
  if (flip()) {
    program.returnLse = flip();
    return program;
  }
  NormalizerSpec &spec = program.normalizer.emplace();
  spec.name = "normalizer";
  if (flip())
    spec.stat = makeRegion(RegionKind::Stat);
  spec.weight = makeWeight(RegionKind::Weight, spec.stat.has_value());
  if (flip())
    spec.denom = makeWeight(RegionKind::Denom, spec.stat.has_value());
  if (flip()) {
    spec.seed = makeRegion(RegionKind::Seed);
    if (flip())
      spec.seedValue = makeRegion(RegionKind::SeedValue);
  }
  spec.finishKind = static_cast<FinishKind>(spec.denom ? pick(3) : 1 + pick(2));
  if (spec.finishKind == FinishKind::Custom)
    spec.finish = makeRegion(RegionKind::Finish);
  program.returnLse = spec.denom && flip();
  return program;
}
