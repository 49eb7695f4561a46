//===- RegionBounds.cpp - What a region can give on a rectangle -----------===//
#include "fovea/Interpreter/RegionBounds.h"
#include "fovea/Support/TotalArithmetic.h"

#include <algorithm>
#include <cmath>

using namespace fovea;

static Interval join(Interval a, Interval b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

static int64_t clampIndex(int64_t index, int64_t extent) {
  return std::clamp<int64_t>(index, 0, extent - 1);
}

//===----------------------------------------------------------------------===//
// Lines of captures
//===----------------------------------------------------------------------===//

LineSummary::LineSummary(const TensorView &tensor, int64_t offset, unsigned dim)
    : tensor(tensor), offset(offset), stride(tensor.strides[dim]) {
  int64_t below = tensor.sizes[dim];
  while (below > radix) {
    int64_t count = (below + radix - 1) / radix;
    std::vector<Interval> level(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      auto child = [&](int64_t j) {
        return levels.empty() ? element(j) : levels.back()[j];
      };
      Interval bounds = child(i * radix);
      for (int64_t j = i * radix + 1; j < std::min((i + 1) * radix, below); ++j)
        bounds = join(bounds, child(j));
      level[i] = bounds;
    }
    levels.push_back(std::move(level));
    below = count;
  }
}

Interval LineSummary::element(int64_t index) const {
  return Interval::of(tensor.loadInt(offset + index * stride));
}

Interval LineSummary::query(int64_t first, int64_t last) const {
  Interval bounds{INT64_MAX, INT64_MIN};
  auto child = [&](size_t level, int64_t i) {
    return level == 0 ? element(i) : levels[level - 1][i];
  };
  for (size_t level = 0; first <= last; ++level) {
    bool top = level == levels.size();
    // Whole blocks are left to the level above.
    while (first <= last && (top || first % radix != 0))
      bounds = join(bounds, child(level, first++));
    while (first <= last && (last + 1) % radix != 0)
      bounds = join(bounds, child(level, last--));
    first /= radix;
    last = (last + 1) / radix - 1;
  }
  return bounds;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

RegionBounds::RegionBounds(const Region &region, const Program &program,
                           llvm::ArrayRef<TensorView> captures,
                           const RegionSizes &sizes)
    : region(region), program(program), captures(captures), sizes(sizes),
      needed(region.nodes.size()), values(region.nodes.size()) {
  for (unsigned result : region.results)
    needed[result] = true;
  for (size_t i = region.nodes.size(); i-- > 0;)
    if (needed[i])
      for (unsigned operand : region.nodes[i].operands)
        needed[operand] = true;
}

Interval RegionBounds::evaluate(int64_t b, int64_t h, Interval q, Interval kv) {
  batch = Interval::of(b);
  head = Interval::of(h);
  query = q;
  key = kv;
  for (size_t i = 0; i < region.nodes.size(); ++i)
    if (needed[i])
      values[i] = evaluateNode(region.nodes[i]);
  return values[region.results[0]];
}

static Interval whole(ValueType type) {
  return type == ValueType::I64 ? Interval() : Interval{0, 1};
}

Interval RegionBounds::evaluateNode(const Node &node) {
  switch (node.kind) {
  case NodeKind::Arg:
    if (node.symbol == "q")
      return query;
    if (node.symbol == "kv")
      return key;
    if (node.symbol == "b")
      return batch;
    if (node.symbol == "h")
      return head;
    return Interval::of(1); // the dot product, which is 0
  case NodeKind::Const:
    if (node.type == ValueType::F)
      return Interval::of(node.real != -HUGE_VAL);
    return Interval::of(node.integer);
  case NodeKind::Size:
    return Interval::of(sizes.get(node.symbol));
  case NodeKind::Extent:
    return Interval::of(captures[node.capture].sizes[node.dim]);
  case NodeKind::Param:
    for (const Param &param : program.params)
      if (param.name == node.symbol && param.type != ValueType::F)
        return Interval::of(param.integer);
    return whole(node.type);
  case NodeKind::Read:
    return evaluateRead(node);
  case NodeKind::Select: {
    Interval condition = at(node, 0);
    if (condition.isPoint())
      return at(node, condition.low ? 1 : 2);
    return join(at(node, 1), at(node, 2));
  }
  case NodeKind::I1ToI64:
    return at(node, 0);
  default:
    if (node.type == ValueType::I64)
      return evaluateInteger(node);
    if (node.type == ValueType::I1)
      return evaluateCompare(node);
    return whole(node.type);
  }
}

static Interval multiply(Interval a, Interval b) {
  Interval out{INT64_MAX, INT64_MIN};
  for (int64_t x : {a.low, a.high})
    for (int64_t y : {b.low, b.high}) {
      int64_t product;
      if (__builtin_mul_overflow(x, y, &product))
        return {};
      out = join(out, Interval::of(product));
    }
  return out;
}

static Interval divide(Interval a, Interval b) {
  if (b.isPoint() && b.low == 0)
    return Interval::of(0);
  // The quotient is monotonic in either while the divisor keeps its sign.
  if ((b.low <= 0 && b.high >= 0) || a.low == INT64_MIN)
    return {};
  Interval out{INT64_MAX, INT64_MIN};
  for (int64_t x : {a.low, a.high})
    for (int64_t y : {b.low, b.high})
      out = join(out, Interval::of(floorDiv(x, y)));
  return out;
}

static Interval remainder(Interval a, Interval b) {
  if (b.isPoint() && b.low == 0)
    return Interval::of(0);
  if (b.isPoint() && b.low > 0 &&
      floorDiv(a.low, b.low) == floorDiv(a.high, b.low))
    return {floorMod(a.low, b.low), floorMod(a.high, b.low)};
  if (b.low > 0)
    return {0, b.high - 1};
  if (b.high < 0 && b.low > INT64_MIN)
    return {b.low + 1, 0};
  return {};
}

/// Bit patterns of values from 0 on; others stay unknown.
static Interval bits(NodeKind kind, Interval a, Interval b) {
  if (a.isPoint() && b.isPoint())
    return Interval::of(kind == NodeKind::IAnd  ? (a.low & b.low)
                        : kind == NodeKind::IOr ? (a.low | b.low)
                                                : (a.low ^ b.low));
  if (kind == NodeKind::IAnd && (a.low >= 0 || b.low >= 0))
    return {0, std::min(a.low >= 0 ? a.high : INT64_MAX,
                        b.low >= 0 ? b.high : INT64_MAX)};
  if (a.low < 0 || b.low < 0)
    return {};
  uint64_t cover = static_cast<uint64_t>(a.high | b.high);
  for (int shift : {1, 2, 4, 8, 16, 32})
    cover |= cover >> shift;
  return {0, static_cast<int64_t>(cover)};
}

Interval RegionBounds::evaluateInteger(const Node &node) const {
  if (node.kind == NodeKind::ToInt)
    return {};
  Interval a = at(node, 0);
  Interval b = node.operands.size() > 1 ? at(node, 1) : Interval();
  Interval out;
  bool overflow = false;
  switch (node.kind) {
  case NodeKind::IAdd:
    overflow = __builtin_add_overflow(a.low, b.low, &out.low) ||
               __builtin_add_overflow(a.high, b.high, &out.high);
    return overflow ? Interval() : out;
  case NodeKind::ISub:
    overflow = __builtin_sub_overflow(a.low, b.high, &out.low) ||
               __builtin_sub_overflow(a.high, b.low, &out.high);
    return overflow ? Interval() : out;
  case NodeKind::IMul:
    return multiply(a, b);
  case NodeKind::INeg:
    return a.low == INT64_MIN ? Interval() : Interval{-a.high, -a.low};
  case NodeKind::IAbs:
    if (a.low == INT64_MIN)
      return {};
    if (a.low >= 0)
      return a;
    return {a.high <= 0 ? -a.high : 0, std::max(-a.low, a.high)};
  case NodeKind::IMin:
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  case NodeKind::IMax:
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  case NodeKind::FloorDiv:
    return divide(a, b);
  case NodeKind::Mod:
    return remainder(a, b);
  case NodeKind::INot:
    return {~a.high, ~a.low};
  case NodeKind::IAnd:
  case NodeKind::IOr:
  case NodeKind::IXor:
    return bits(node.kind, a, b);
  case NodeKind::Shl:
    if (!b.isPoint() || b.low < 0 || b.low > 62)
      return {};
    return multiply(a, Interval::of(int64_t(1) << b.low));
  case NodeKind::Shr:
    if (!b.isPoint())
      return {};
    return {shiftRight(a.low, b.low), shiftRight(a.high, b.low)};
  default:
    return {};
  }
}

Interval RegionBounds::evaluateCompare(const Node &node) const {
  Interval a = at(node, 0);
  Interval b = node.operands.size() > 1 ? at(node, 1) : Interval();
  auto answer = [](bool always, bool never) {
    return always ? Interval::of(1) : never ? Interval::of(0) : Interval{0, 1};
  };
  bool equal = a.isPoint() && b.isPoint() && a.low == b.low;
  bool apart = a.high < b.low || b.high < a.low;
  switch (node.kind) {
  case NodeKind::BAnd:
    return {a.low & b.low, a.high & b.high};
  case NodeKind::BOr:
    return {a.low | b.low, a.high | b.high};
  case NodeKind::BNot:
    return {1 - a.high, 1 - a.low};
  case NodeKind::BXor:
    return answer(a.isPoint() && b.isPoint() && a.low != b.low, equal);
  case NodeKind::IEq:
    return answer(equal, apart);
  case NodeKind::INe:
    return answer(apart, equal);
  case NodeKind::ILt:
    return answer(a.high < b.low, a.low >= b.high);
  case NodeKind::ILe:
    return answer(a.high <= b.low, a.low > b.high);
  case NodeKind::IGt:
    return answer(a.low > b.high, a.high <= b.low);
  case NodeKind::IGe:
    return answer(a.low >= b.high, a.high < b.low);
  default: // comparisons of floats
    return {0, 1};
  }
}

Interval RegionBounds::evaluateRead(const Node &node) {
  const TensorView &capture = captures[node.capture];
  if (node.type == ValueType::F)
    return {0, 1};
  int64_t offset = 0;
  int along = -1;
  Interval range = Interval::of(0);
  for (unsigned dim = 0; dim < node.operands.size(); ++dim) {
    int64_t extent = capture.sizes[dim];
    if (extent == 0)
      return Interval::of(0);
    Interval index = at(node, dim);
    index = {clampIndex(index.low, extent), clampIndex(index.high, extent)};
    if (index.isPoint()) {
      offset += index.low * capture.strides[dim];
      continue;
    }
    if (along >= 0)
      return whole(node.type);
    along = static_cast<int>(dim);
    range = index;
  }
  if (along < 0)
    return Interval::of(capture.loadInt(offset));
  auto [it, added] = lines.try_emplace({node.capture, along, offset});
  if (added) {
    constexpr size_t kept = 64; // the summaries of other heads may go
    if (lines.size() > kept) {
      auto mine = lines.extract(it);
      lines.clear();
      it = lines.insert(std::move(mine)).position;
    }
    it->second = std::make_unique<LineSummary>(capture, offset, along);
  }
  return it->second->query(range.low, range.high);
}
