//===- RegionBounds.cpp - What a region can give on a rectangle -----------===//
#include "fovea/Analysis/RegionBounds.h"
#include "fovea/Support/TotalArithmetic.h"

#include <algorithm>
#include <cmath>

using namespace fovea;

RegionBounds::RegionBounds(const Program &program, const Region &region,
                           const RegionEnvironment &environment)
    : program(program), region(region), environment(environment),
      states(region.nodes.size()), values(region.nodes.size()) {
  findNeeded();
}

void RegionBounds::findNeeded() {
  for (unsigned result : region.results)
    states[result].needed = true;
  for (size_t i = region.nodes.size(); i-- > 0;)
    if (states[i].needed)
      for (unsigned operand : region.nodes[i].operands)
        states[operand].needed = true;
}

const TensorView *RegionBounds::capture(const Node &node) const {
  return node.capture < environment.captures.size()
             ? &environment.captures[node.capture]
             : nullptr;
}

//===----------------------------------------------------------------------===//
// Sums of positions
//===----------------------------------------------------------------------===//

/// Coefficients stay below 2^40 and constants below 2^62, so that differences
/// are exact.
static bool isSmall(const LinearForm &form) {
  constexpr int64_t factor = int64_t(1) << 40, term = int64_t(1) << 60;
  auto within = [](int64_t x, int64_t limit) {
    return -limit < x && x < limit;
  };
  return within(form.q, factor) && within(form.kv, factor) &&
         within(form.constant, term);
}

static std::optional<LinearForm> combine(const LinearForm &a,
                                         const LinearForm &b, int64_t factor) {
  LinearForm out = {a.q + factor * b.q, a.kv + factor * b.kv,
                    a.constant + factor * b.constant};
  if (!isSmall(out))
    return std::nullopt;
  return out;
}

static std::optional<LinearForm> scale(const LinearForm &a, int64_t factor) {
  LinearForm out;
  if (__builtin_mul_overflow(a.q, factor, &out.q) ||
      __builtin_mul_overflow(a.kv, factor, &out.kv) ||
      __builtin_mul_overflow(a.constant, factor, &out.constant) ||
      !isSmall(out))
    return std::nullopt;
  return out;
}

void RegionBounds::findLinear(unsigned index) {
  const Node &node = region.nodes[index];
  State &state = states[index];
  state.linear.reset();
  state.difference.reset();
  auto form = [&](unsigned operand) {
    return states[node.operands[operand]].linear;
  };
  if (state.uniform) {
    const IntBounds &value = values[index].ints;
    LinearForm constant{0, 0, value.low};
    if (node.type == ValueType::I64 && value.isPoint() && isSmall(constant))
      state.linear = constant;
    return;
  }
  switch (node.kind) {
  case NodeKind::Arg:
    if (node.symbol == "q")
      state.linear = LinearForm{1, 0, 0};
    else if (node.symbol == "kv")
      state.linear = LinearForm{0, 1, 0};
    return;
  case NodeKind::IAdd:
  case NodeKind::ISub:
    if (form(0) && form(1))
      state.linear =
          combine(*form(0), *form(1), node.kind == NodeKind::IAdd ? 1 : -1);
    return;
  case NodeKind::INeg:
    if (form(0))
      state.linear = scale(*form(0), -1);
    return;
  case NodeKind::IMul:
    for (unsigned k : {0u, 1u})
      if (form(0) && form(1) && form(k)->isConstant())
        state.linear = scale(*form(1 - k), form(k)->constant);
    return;
  case NodeKind::IEq:
  case NodeKind::INe:
  case NodeKind::ILt:
  case NodeKind::ILe:
  case NodeKind::IGt:
  case NodeKind::IGe:
    if (form(0) && form(1))
      state.difference = combine(*form(0), *form(1), -1);
    return;
  default:
    return;
  }
}

/// Over the rectangle; nothing where a value leaves 64 bits.
std::optional<IntBounds> RegionBounds::range(const LinearForm &form) const {
  __int128 low = form.constant, high = form.constant;
  int64_t step = 0;
  auto add = [&](int64_t factor, Interval of) {
    __int128 x = __int128(factor) * of.low, y = __int128(factor) * of.high;
    low += std::min(x, y);
    high += std::max(x, y);
    if (of.isPoint() || factor == 0)
      return;
    int64_t a = step, b = factor < 0 ? -factor : factor;
    if (a == 1 || b == 1) {
      step = 1;
      return;
    }
    while (b != 0) {
      a %= b;
      std::swap(a, b);
    }
    step = a;
  };
  add(form.q, query);
  add(form.kv, key);
  if (low < INT64_MIN || high > INT64_MAX)
    return std::nullopt;
  Interval out{static_cast<int64_t>(low), static_cast<int64_t>(high)};
  if (step <= 1)
    return IntBounds(out);
  return withCongruence(out, step, low);
}

//===----------------------------------------------------------------------===//
// Order of evaluation
//===----------------------------------------------------------------------===//

void RegionBounds::enter(IntBounds newBatch, IntBounds newHead) {
  batch = newBatch;
  head = newHead;
  current = false;
  for (unsigned i = 0; i < region.nodes.size(); ++i) {
    const Node &node = region.nodes[i];
    State &state = states[i];
    state.onQuery = node.kind == NodeKind::Arg && node.symbol == "q";
    state.onKey = node.kind == NodeKind::Arg && node.symbol == "kv";
    for (unsigned operand : node.operands) {
      state.onQuery |= states[operand].onQuery;
      state.onKey |= states[operand].onKey;
    }
    state.uniform = !state.onQuery && !state.onKey;
    if (state.uniform)
      compute(i);
    findLinear(i);
  }
  plan();
}

void RegionBounds::plan() {
  varying.clear();
  direct.clear();
  std::vector<bool> wanted(region.nodes.size());
  for (unsigned result : region.results)
    wanted[result] = true;
  for (unsigned i = region.nodes.size(); i-- > 0;) {
    const State &state = states[i];
    if (state.uniform)
      continue;
    varying.push_back(i);
    if (!wanted[i])
      continue;
    direct.push_back(i);
    if (state.linear || state.difference)
      continue;
    for (unsigned operand : region.nodes[i].operands)
      wanted[operand] = true;
  }
  std::reverse(varying.begin(), varying.end());
  std::reverse(direct.begin(), direct.end());
}

void RegionBounds::evaluate(Interval q, Interval kv, bool all) {
  // A rectangle shares a side with the one that it was cut from.
  bool kept = current && all == currentAll;
  bool sameQuery = kept && q.low == query.low && q.high == query.high;
  bool sameKey = kept && kv.low == key.low && kv.high == key.high;
  query = q;
  key = kv;
  current = true;
  currentAll = all;
  for (unsigned index : all ? varying : direct) {
    const State &state = states[index];
    if ((state.onQuery && !sameQuery) || (state.onKey && !sameKey))
      compute(index);
  }
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

static IntBounds anySize() { return {0, int64_t(1) << 40}; }

static IntBounds wholeInt(ValueType type) {
  return type == ValueType::I64 ? IntBounds() : IntBounds(0, 1);
}

RegionBounds::Value RegionBounds::computeArg(const Node &node) const {
  Value out;
  llvm::StringRef name = node.symbol;
  if (name == "q")
    out.ints = query;
  else if (name == "kv")
    out.ints = key;
  else if (name == "b")
    out.ints = batch;
  else if (name == "h")
    out.ints = head;
  else if (name == "e")
    out.ints = element;
  else
    out.floats = name == "s"   ? environment.score
                 : name == "t" ? environment.statistic
                 : name == "l" ? environment.denominator
                               : environment.output;
  return out;
}

void RegionBounds::computeLeaf(const Node &node, Value &out) const {
  switch (node.kind) {
  case NodeKind::Arg:
    out = computeArg(node);
    return;
  case NodeKind::Const:
    out.ints = IntBounds::of(node.integer);
    out.floats = FloatBounds::of(node.real);
    return;
  case NodeKind::Size:
    out.ints = environment.sizes
                   ? IntBounds::of(environment.sizes->get(node.symbol))
                   : anySize();
    return;
  case NodeKind::Extent:
    out.ints = capture(node) ? IntBounds::of(capture(node)->sizes[node.dim])
                             : anySize();
    return;
  case NodeKind::Param:
    for (const Param &param : program.params)
      if (param.name == node.symbol) {
        out.ints = IntBounds::of(param.integer);
        out.floats = FloatBounds::of(param.real);
      }
    return;
  default:
    llvm_unreachable("no leaf");
  }
}

void RegionBounds::compute(unsigned index) {
  const Node &node = region.nodes[index];
  Value &out = values[index];
  auto a = [&](unsigned operand) -> const Value & {
    return values[node.operands[operand]];
  };
  if (const auto &form = states[index].linear; form && !states[index].uniform) {
    if (node.kind == NodeKind::Arg) // most of what a halved rectangle changes
      out.ints = form->q ? query : key;
    else // where it wraps, anything: its operands may not have been computed
      out.ints = range(*form).value_or(IntBounds());
    return;
  }
  if (node.kind == NodeKind::Read)
    return computeRead(index, out);
  out.ints = wholeInt(node.type);
  out.floats = FloatBounds();
  if (node.operands.empty())
    return computeLeaf(node, out);
  switch (node.kind) {
  case NodeKind::Select: {
    const IntBounds &condition = a(0).ints;
    if (condition.isPoint()) {
      out = a(condition.low ? 1 : 2);
      return;
    }
    out.ints = join(a(1).ints, a(2).ints);
    out.floats = join(a(1).floats, a(2).floats);
    return;
  }
  case NodeKind::I1ToI64:
    out.ints = a(0).ints;
    return;
  case NodeKind::I1ToF:
  case NodeKind::I64ToF:
    out.floats = convertToFloat(a(0).ints);
    return;
  case NodeKind::ToInt:
    out.ints = convertToInt(a(0).floats);
    return;
  default:
    break;
  }
  const Value &first = a(0), &second = a(node.operands.size() - 1);
  if (node.type == ValueType::I1)
    out.ints = computeCompare(index);
  else if (node.type == ValueType::I64)
    out.ints = evaluateInteger(node.kind, first.ints, second.ints);
  else
    out.floats = evaluateFloat(node.kind, first.floats, second.floats);
}

IntBounds RegionBounds::computeCompare(unsigned index) {
  const Node &node = region.nodes[index];
  const Value &a = values[node.operands.front()];
  const Value &b = values[node.operands.back()];
  if (getSignature(node.kind).operands.front() == ValueType::F)
    return compareFloats(node.kind, a.floats, b.floats);
  if (const auto &difference = states[index].difference) {
    auto form = [&](unsigned operand) {
      return range(*states[node.operands[operand]].linear);
    };
    std::optional<IntBounds> exact = range(*difference);
    if (!exact || !form(0) || !form(1))
      return {0, 1};
    return evaluateCondition(node.kind, *exact, IntBounds::of(0));
  }
  return evaluateCondition(node.kind, a.ints, b.ints);
}

//===----------------------------------------------------------------------===//
// Captures
//===----------------------------------------------------------------------===//

static IntBounds wholeInt(DType dtype) {
  switch (dtype) {
  case DType::I1:
    return {0, 1};
  case DType::I8:
    return {INT8_MIN, INT8_MAX};
  case DType::UI8:
    return {0, UINT8_MAX};
  case DType::I16:
    return {INT16_MIN, INT16_MAX};
  case DType::UI16:
    return {0, UINT16_MAX};
  case DType::I32:
    return {INT32_MIN, INT32_MAX};
  case DType::UI32:
    return {0, UINT32_MAX};
  default:
    return {};
  }
}

template <typename B>
const B &RegionBounds::queryLine(Lines<B> &lines, LineSummary<B> *State::*last,
                                 unsigned index, const LineKey &key,
                                 int64_t low, int64_t high) {
  State &state = states[index];
  if (state.*last && state.line == key)
    return (state.*last)->query(low, high);
  auto [it, added] = lines.try_emplace(key);
  if (added) {
    constexpr size_t kept = 64; // the summaries of other heads may go
    if (lines.size() > kept) {
      auto mine = lines.extract(it);
      lines.clear();
      for (State &other : states)
        other.*last = nullptr;
      it = lines.insert(std::move(mine)).position;
    }
    it->second = std::make_unique<LineSummary<B>>(
        *capture(region.nodes[index]), std::get<2>(key), std::get<1>(key));
  }
  state.line = key;
  state.*last = it->second.get();
  return it->second->query(low, high);
}

void RegionBounds::computeRead(unsigned index, Value &out) {
  const Node &node = region.nodes[index];
  const TensorView *tensor = capture(node);
  if (!tensor || !tensor->data) {
    out = {wholeInt(program.captures[node.capture].dtype), FloatBounds()};
    return;
  }
  int64_t offset = 0, first = 0, last = 0;
  int along = -1;
  for (unsigned dim = 0; dim < node.operands.size(); ++dim) {
    int64_t extent = tensor->sizes[dim];
    if (extent == 0) { // an empty tensor reads as zero
      out = {IntBounds::of(0), {0, 0}};
      return;
    }
    const IntBounds &given = values[node.operands[dim]].ints;
    int64_t low = std::clamp<int64_t>(given.low, 0, extent - 1);
    int64_t high = std::clamp<int64_t>(given.high, 0, extent - 1);
    if (low == high) {
      offset += low * tensor->strides[dim];
    } else if (along >= 0) {
      along = static_cast<int>(node.operands.size()); // two: not along a line
    } else {
      along = static_cast<int>(dim);
      first = low;
      last = high;
    }
  }
  if (along == static_cast<int>(node.operands.size()) && along > 0) {
    out = {wholeInt(program.captures[node.capture].dtype), FloatBounds()};
    return;
  }
  bool real = node.type == ValueType::F;
  if (along < 0 && real) {
    double value = tensor->loadFloat(offset);
    out.floats = FloatBounds::of(value);
    if (tensor->dtype == DType::F64)
      out.floats = rounded(out.floats);
  } else if (along < 0) {
    out.ints = IntBounds::of(tensor->loadInt(offset));
  } else {
    LineKey key{node.capture, static_cast<unsigned>(along), offset};
    if (real)
      out.floats =
          queryLine(floatLines, &State::floatLine, index, key, first, last);
    else
      out.ints = queryLine(intLines, &State::intLine, index, key, first, last);
  }
}
