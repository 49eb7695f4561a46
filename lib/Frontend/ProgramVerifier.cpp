//===- ProgramVerifier.cpp - What every program must satisfy -------------===//

#include "CaptureRange.h"
#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace fovea {

template <typename... Args>
static Error fail(const char *format, Args &&...args) {
  return createStringError(inconvertibleErrorCode(),
                           formatv(format, std::forward<Args>(args)...).str());
}

static Error verifyName(StringRef what, StringRef name) {
  if (name.empty())
    return fail("{0}: name must not be empty", what);
  if (name.size() > ProgramLimits::nameBytes)
    return fail("{0}: name must have at most {1} bytes, got {2}", what,
                ProgramLimits::nameBytes, name.size());
  for (unsigned char c : name)
    if (c < 0x20 || c == 0x7f)
      return fail("{0}: name must not hold control characters", what);
  return Error::success();
}

namespace {
class RegionVerifier {
public:
  RegionVerifier(const Program &program, const StringMap<ValueType> &params,
                 RegionKind kind, const Region &region)
      : program(program), params(params), kind(kind), region(region) {}

  Error run() {
    if (Error error = verifyArgs())
      return error;
    if (region.nodes.size() > ProgramLimits::nodes)
      return fail("{0}: at most {1} nodes are supported, got {2}",
                  stringify(kind), ProgramLimits::nodes, region.nodes.size());
    for (unsigned id = 0; id < region.nodes.size(); ++id)
      if (Error error = verifyNode(id))
        return error;
    return verifyResults();
  }

private:
  std::string at(unsigned id) const {
    const Node &node = region.nodes[id];
    return formatv("{0}: node {1} ({2})", stringify(kind), id,
                   getSignature(node.kind).name)
        .str();
  }

  Error verifyArgs() {
    ArrayRef<StringLiteral> expected = getRegionArgs(kind);
    if (region.args.size() == expected.size() &&
        std::equal(expected.begin(), expected.end(), region.args.begin()))
      return Error::success();
    return fail("{0}: args must be [{1}], got [{2}]", stringify(kind),
                make_range(expected.begin(), expected.end()),
                make_range(region.args.begin(), region.args.end()));
  }

  Error verifyResults() {
    ArrayRef<ValueType> expected = getRegionResults(kind);
    if (region.results.size() != expected.size())
      return fail("{0}: must have {1} result(s), got {2}", stringify(kind),
                  expected.size(), region.results.size());
    for (auto [index, result] : enumerate(region.results)) {
      if (result >= region.nodes.size())
        return fail("{0}: result {1} must name a node below {2}, got {3}",
                    stringify(kind), index, region.nodes.size(), result);
      ValueType type = region.nodes[result].type;
      if (type != expected[index])
        return fail("{0}: result {1} must be {2}, got {3}", stringify(kind),
                    index, stringify(expected[index]), stringify(type));
    }
    return Error::success();
  }

  Error expectType(unsigned id, ValueType type) {
    if (region.nodes[id].type == type)
      return Error::success();
    return fail("{0}: type must be {1}, got {2}", at(id), stringify(type),
                stringify(region.nodes[id].type));
  }

  Error expectOperands(unsigned id, ArrayRef<ValueType> types) {
    const Node &node = region.nodes[id];
    if (node.operands.size() != types.size())
      return fail("{0}: must have {1} operand(s), got {2}", at(id),
                  types.size(), node.operands.size());
    for (auto [index, operand] : enumerate(node.operands)) {
      if (operand >= id)
        return fail("{0}: operand {1} must be an earlier node, got {2}", at(id),
                    index, operand);
      ValueType type = region.nodes[operand].type;
      if (type != types[index])
        return fail("{0}: operand {1} must be {2}, got {3} (node {4})", at(id),
                    index, stringify(types[index]), stringify(type), operand);
    }
    return Error::success();
  }

  Error verifyCapture(unsigned id) {
    unsigned capture = region.nodes[id].capture;
    if (capture < program.captures.size())
      return Error::success();
    return fail("{0}: capture must be below {1}, got {2}", at(id),
                program.captures.size(), capture);
  }

  Error verifyRead(unsigned id) {
    if (Error error = verifyCapture(id))
      return error;
    const Node &node = region.nodes[id];
    const Capture &capture = program.captures[node.capture];
    if (node.operands.size() != capture.rank)
      return fail("{0}: capture '{1}' has rank {2}, got {3} index(es)", at(id),
                  capture.name, capture.rank, node.operands.size());
    SmallVector<ValueType> indices(capture.rank, ValueType::I64);
    if (Error error = expectOperands(id, indices))
      return error;
    return expectType(id, getValueType(capture.dtype));
  }

  Error verifyExtent(unsigned id) {
    if (Error error = verifyCapture(id))
      return error;
    const Node &node = region.nodes[id];
    const Capture &capture = program.captures[node.capture];
    if (node.dim >= capture.rank)
      return fail("{0}: capture '{1}' has rank {2}, got dimension {3}", at(id),
                  capture.name, capture.rank, node.dim);
    return expectType(id, ValueType::I64);
  }

  Error verifyParam(unsigned id) {
    const Node &node = region.nodes[id];
    auto it = params.find(node.symbol);
    if (it == params.end())
      return fail("{0}: unknown parameter '{1}'", at(id), node.symbol);
    if (Error error = expectOperands(id, {}))
      return error;
    return expectType(id, it->second);
  }

  Error verifySelect(unsigned id) {
    ValueType type = region.nodes[id].type;
    return expectOperands(id, {ValueType::I1, type, type});
  }

  Error verifyNode(unsigned id) {
    const Node &node = region.nodes[id];
    switch (node.kind) {
    case NodeKind::Arg:
      if (!is_contained(region.args, node.symbol))
        return fail("{0}: unknown argument '{1}'", at(id), node.symbol);
      if (Error error = expectOperands(id, {}))
        return error;
      return expectType(id, getArgType(node.symbol));
    case NodeKind::Const:
      return expectOperands(id, {});
    case NodeKind::Size:
      if (!isSizeName(node.symbol))
        return fail("{0}: unknown size '{1}'", at(id), node.symbol);
      if (Error error = expectOperands(id, {}))
        return error;
      return expectType(id, ValueType::I64);
    case NodeKind::Read:
    case NodeKind::Extent:
      if (kind == RegionKind::Scale)
        return fail("{0}: captures cannot be read in scale", at(id));
      return node.kind == NodeKind::Read ? verifyRead(id) : verifyExtent(id);
    case NodeKind::Param:
      return verifyParam(id);
    case NodeKind::Select:
      return verifySelect(id);
    default: {
      const NodeSignature &signature = getSignature(node.kind);
      if (Error error = expectOperands(id, signature.operands))
        return error;
      return expectType(id, signature.result);
    }
    }
  }

  const Program &program;
  const StringMap<ValueType> &params;
  RegionKind kind;
  const Region &region;
};
} // namespace

static Error verifyCapture(const Capture &capture) {
  std::string what = formatv("capture '{0}'", capture.name).str();
  if (Error error = verifyName("capture", capture.name))
    return error;
  if (capture.rank > ProgramLimits::rank)
    return fail("{0}: rank must be at most {1}, got {2}", what,
                ProgramLimits::rank, capture.rank);
  if (!capture.dims.empty() && capture.dims.size() != capture.rank)
    return fail("{0}: dims must have one entry per dimension ({1}), got {2}",
                what, capture.rank, capture.dims.size());
  return Error::success();
}

static Error verifyDims(const Program &program) {
  if (program.dtype && !isFloat(*program.dtype))
    return fail("dtype: must be f16, bf16, f32 or f64, got {0}",
                stringify(*program.dtype));
  if (program.headDims.size() > ProgramLimits::pairs)
    return fail("D: at most {0} (query, key) pairs are supported, got {1}",
                ProgramLimits::pairs, program.headDims.size());
  for (int64_t dim : program.headDims)
    if (dim < 1 || dim > ProgramLimits::headDim)
      return fail("D: must be within 1 to {0}, got {1}", ProgramLimits::headDim,
                  dim);
  int64_t valueDim = program.valueDim.value_or(0);
  if (valueDim < 0 || valueDim > ProgramLimits::headDim)
    return fail("E: must be within 0 to {0}, got {1}", ProgramLimits::headDim,
                valueDim);
  return Error::success();
}

/// The first number that the type holds and the one behind the last.
static std::pair<int64_t, int64_t> getLimits(DType dtype) {
  switch (dtype) {
  case DType::I1:
    return {0, 2};
  case DType::I8:
    return {INT8_MIN, int64_t(INT8_MAX) + 1};
  case DType::UI8:
    return {0, int64_t(UINT8_MAX) + 1};
  case DType::I16:
    return {INT16_MIN, int64_t(INT16_MAX) + 1};
  case DType::UI16:
    return {0, int64_t(UINT16_MAX) + 1};
  case DType::I32:
    return {INT32_MIN, int64_t(INT32_MAX) + 1};
  case DType::UI32:
    return {0, int64_t(UINT32_MAX) + 1};
  case DType::F16:
    return {-65504, 65504 + 1};
  case DType::I64:
  case DType::BF16:
  case DType::F32:
  case DType::F64:
    return {INT64_MIN, INT64_MAX};
  }
  llvm_unreachable("all types are handled");
}

std::string findRangeFault(const Capture &capture) {
  const auto &[low, high] = *capture.range;
  auto [least, end] = getLimits(capture.dtype);
  bool isLowRight =
      !low.size.empty() || (low.value >= least && low.value < end);
  bool isHighRight =
      !high.size.empty() || (high.value > least && high.value <= end);
  if (isLowRight && isHighRight)
    return "";
  auto print = [](const Bound &bound) {
    return bound.size.empty() ? std::to_string(bound.value) : bound.size;
  };
  return formatv(
      "range must lie within {0}..{1}, which {2} holds, got {3}..{4}", least,
      end, stringify(capture.dtype), print(low), print(high));
}

/// Ranges are not empty, name sizes that captures or calls have and hold what
/// their types do.
static Error verifyRange(const StringSet<> &sizes, const Capture &capture) {
  if (!capture.range)
    return Error::success();
  const auto &[low, high] = *capture.range;
  for (StringRef size : {StringRef(low.size), StringRef(high.size)})
    if (!size.empty() && !isSizeName(size) && !sizes.contains(size))
      return fail("capture '{0}': range names the unknown size '{1}'",
                  capture.name, size);
  if (low.size.empty() && high.size.empty() && low.value >= high.value)
    return fail("capture '{0}': range must not be empty, got {1} to {2}",
                capture.name, low.value, high.value);
  if (std::string fault = findRangeFault(capture); !fault.empty())
    return fail("capture '{0}': {1}", capture.name, fault);
  return Error::success();
}

static Error verifyNames(const Program &program) {
  StringSet<> names, sizes;
  for (const Capture &capture : program.captures)
    for (const Dim &dim : capture.dims)
      sizes.insert(dim.size);
  for (const Capture &capture : program.captures) {
    if (Error error = verifyCapture(capture))
      return error;
    if (Error error = verifyRange(sizes, capture))
      return error;
    if (!names.insert(capture.name).second)
      return fail("captures: name '{0}' appears twice", capture.name);
  }
  for (const Param &param : program.params) {
    if (Error error = verifyName("param", param.name))
      return error;
    if (!names.insert(param.name).second)
      return fail("params: name '{0}' appears twice", param.name);
  }
  return Error::success();
}

Error verifyProgram(const Program &program) {
  if (Error error = verifyName("program", program.name))
    return error;
  if (Error error = verifyDims(program))
    return error;
  if (program.captures.size() > ProgramLimits::captures)
    return fail("captures: at most {0} are supported, got {1}",
                ProgramLimits::captures, program.captures.size());
  if (program.params.size() > ProgramLimits::params)
    return fail("params: at most {0} are supported, got {1}",
                ProgramLimits::params, program.params.size());
  if (Error error = verifyNames(program))
    return error;
  if (program.normalizer) {
    if (Error error = verifyName("normalizer", program.normalizer->name))
      return error;
    if (program.normalizer->finishKind == FinishKind::OverL &&
        !program.normalizer->denom)
      return fail("normalizer: finish \"o/l\" needs a denom");
  }
  if (program.returnLse && program.normalizer && !program.normalizer->denom)
    return fail("return_lse: normalizer '{0}' has no denominator",
                program.normalizer->name);
  StringMap<ValueType> params;
  for (const Param &param : program.params)
    params[param.name] = param.type;
  for (unsigned index = 0; index < numRegionKinds; ++index) {
    auto kind = static_cast<RegionKind>(index);
    if (const Region *region = getRegion(program, kind))
      if (Error error = RegionVerifier(program, params, kind, *region).run())
        return error;
  }
  return Error::success();
}

} // namespace fovea
