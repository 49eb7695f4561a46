//===- Program.cpp - Tables and the canonical order of programs ----------===//

#include "RegionBuilder.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/bit.h"

using namespace llvm;

namespace fovea {

static const std::vector<NodeSignature> &getSignatures() {
  constexpr ValueType b = ValueType::I1, i = ValueType::I64, f = ValueType::F;
  // In the order of NodeKind.
  static const std::vector<NodeSignature> table = {
      {"arg", i, {}},       {"const", i, {}},        {"read", i, {}},
      {"extent", i, {}},    {"size", i, {}},         {"param", i, {}},
      {"iadd", i, {i, i}},  {"isub", i, {i, i}},     {"imul", i, {i, i}},
      {"ineg", i, {i}},     {"iabs", i, {i}},        {"imin", i, {i, i}},
      {"imax", i, {i, i}},  {"floordiv", i, {i, i}}, {"mod", i, {i, i}},
      {"iand", i, {i, i}},  {"ior", i, {i, i}},      {"ixor", i, {i, i}},
      {"inot", i, {i}},     {"shl", i, {i, i}},      {"shr", i, {i, i}},
      {"fadd", f, {f, f}},  {"fsub", f, {f, f}},     {"fmul", f, {f, f}},
      {"fdiv", f, {f, f}},  {"fneg", f, {f}},        {"fabs", f, {f}},
      {"fmin", f, {f, f}},  {"fmax", f, {f, f}},     {"fmod", f, {f, f}},
      {"pow", f, {f, f}},   {"band", b, {b, b}},     {"bor", b, {b, b}},
      {"bxor", b, {b, b}},  {"bnot", b, {b}},        {"ieq", b, {i, i}},
      {"ine", b, {i, i}},   {"ilt", b, {i, i}},      {"ile", b, {i, i}},
      {"igt", b, {i, i}},   {"ige", b, {i, i}},      {"feq", b, {f, f}},
      {"fne", b, {f, f}},   {"flt", b, {f, f}},      {"fle", b, {f, f}},
      {"fgt", b, {f, f}},   {"fge", b, {f, f}},      {"select", f, {b, f, f}},
      {"exp", f, {f}},      {"exp2", f, {f}},        {"log", f, {f}},
      {"log2", f, {f}},     {"log1p", f, {f}},       {"tanh", f, {f}},
      {"sin", f, {f}},      {"cos", f, {f}},         {"sqrt", f, {f}},
      {"rsqrt", f, {f}},    {"erf", f, {f}},         {"floor", f, {f}},
      {"sigmoid", f, {f}},  {"softplus", f, {f}},    {"gelu", f, {f}},
      {"silu", f, {f}},     {"i1_to_i64", i, {b}},   {"i1_to_f", f, {b}},
      {"i64_to_f", f, {i}}, {"to_int", i, {f}}};
  return table;
}

const NodeSignature &getSignature(NodeKind kind) {
  return getSignatures()[static_cast<unsigned>(kind)];
}

std::optional<NodeKind> parseNodeKind(StringRef name) {
  static const StringMap<NodeKind> kinds = [] {
    StringMap<NodeKind> map;
    for (auto [index, signature] : enumerate(getSignatures()))
      map[signature.name] = static_cast<NodeKind>(index);
    return map;
  }();
  auto it = kinds.find(name);
  if (it == kinds.end())
    return std::nullopt;
  return it->second;
}

StringRef stringify(ValueType type) {
  switch (type) {
  case ValueType::I1:
    return "i1";
  case ValueType::I64:
    return "i64";
  case ValueType::F:
    return "f";
  }
  llvm_unreachable("unknown value type");
}

static constexpr StringLiteral dtypeNames[] = {"i1",   "i8",   "ui8",  "i16",
                                               "ui16", "i32",  "ui32", "i64",
                                               "f16",  "bf16", "f32",  "f64"};

StringRef stringify(DType type) {
  return dtypeNames[static_cast<unsigned>(type)];
}

std::optional<DType> parseDType(StringRef name) {
  for (auto [index, candidate] : enumerate(dtypeNames))
    if (candidate == name)
      return static_cast<DType>(index);
  return std::nullopt;
}

ValueType getValueType(DType type) {
  if (type == DType::I1)
    return ValueType::I1;
  return isFloat(type) ? ValueType::F : ValueType::I64;
}

StringRef stringify(RegionKind kind) {
  static constexpr StringLiteral names[numRegionKinds] = {
      "score", "mask", "scale",      "stat",  "weight",
      "denom", "seed", "seed_value", "finish"};
  return names[static_cast<unsigned>(kind)];
}

ArrayRef<StringLiteral> getRegionArgs(RegionKind kind) {
  static constexpr StringLiteral score[] = {"s", "b", "h", "q", "kv"};
  static constexpr StringLiteral weight[] = {"s", "t", "b", "h", "q", "kv"};
  static constexpr StringLiteral seedValue[] = {"b", "h", "q", "e"};
  static constexpr StringLiteral finish[] = {"o", "l", "t", "b", "h", "q", "e"};
  switch (kind) {
  case RegionKind::Score:
    return score;
  case RegionKind::Mask:
    return ArrayRef(score).drop_front();
  case RegionKind::Scale:
    return {};
  case RegionKind::Stat:
    return ArrayRef(score).take_front();
  case RegionKind::Weight:
  case RegionKind::Denom:
    return weight;
  case RegionKind::Seed:
    return ArrayRef(seedValue).drop_back();
  case RegionKind::SeedValue:
    return seedValue;
  case RegionKind::Finish:
    return finish;
  }
  llvm_unreachable("unknown region kind");
}

ArrayRef<ValueType> getRegionResults(RegionKind kind) {
  static constexpr ValueType floats[] = {ValueType::F, ValueType::F};
  static constexpr ValueType boolean[] = {ValueType::I1};
  if (kind == RegionKind::Mask)
    return boolean;
  return ArrayRef(floats).take_front(kind == RegionKind::Seed ? 2 : 1);
}

ValueType getArgType(StringRef name) {
  return StringSwitch<ValueType>(name)
      .Cases({"s", "t", "l", "o"}, ValueType::F)
      .Default(ValueType::I64);
}

bool isSizeName(StringRef name) {
  return StringSwitch<bool>(name)
      .Cases({"B", "H", "Hk", "M", "N", "D", "E"}, true)
      .Default(false);
}

Region *getRegion(Program &program, RegionKind kind) {
  auto pointer = [](std::optional<Region> &region) {
    return region ? &*region : nullptr;
  };
  switch (kind) {
  case RegionKind::Score:
    return pointer(program.score);
  case RegionKind::Mask:
    return pointer(program.mask);
  case RegionKind::Scale:
    return pointer(program.scale);
  default:
    break;
  }
  if (!program.normalizer)
    return nullptr;
  NormalizerSpec &spec = *program.normalizer;
  switch (kind) {
  case RegionKind::Stat:
    return pointer(spec.stat);
  case RegionKind::Weight:
    return &spec.weight;
  case RegionKind::Denom:
    return pointer(spec.denom);
  case RegionKind::Seed:
    return pointer(spec.seed);
  case RegionKind::SeedValue:
    return pointer(spec.seedValue);
  default:
    return spec.finishKind == FinishKind::Custom ? &spec.finish : nullptr;
  }
}

const Region *getRegion(const Program &program, RegionKind kind) {
  return getRegion(const_cast<Program &>(program), kind);
}

//===----------------------------------------------------------------------===//
// Canonical order
//===----------------------------------------------------------------------===//

/// Two nodes with the same key have the same value.
std::string getStructuralKey(const Node &node, ArrayRef<unsigned> operands) {
  std::string key;
  auto append = [&](const auto &value) {
    key.append(reinterpret_cast<const char *>(&value), sizeof(value));
  };
  append(node.kind);
  append(node.type);
  append(node.integer);
  append(bit_cast<uint64_t>(node.real));
  append(node.capture);
  append(node.dim);
  for (unsigned operand : operands)
    append(operand);
  key += node.symbol;
  return key;
}

namespace {
/// Rebuilds one region in post-order from its results.
class RegionCanonicalizer {
public:
  explicit RegionCanonicalizer(Region &region) : region(region) {}

  void run() {
    // What simplification leaves unused goes in the second round.
    for (unsigned round = 0; round < 2; ++round)
      rebuild();
  }

private:
  static constexpr unsigned unset = ~0u;

  void rebuild() {
    newIndex.assign(region.nodes.size(), unset);
    nodes.clear();
    known.clear();
    for (unsigned result : region.results)
      visit(result);
    for (unsigned &result : region.results)
      result = newIndex[result];
    region.nodes = std::move(nodes);
  }

  void visit(unsigned root) {
    SmallVector<std::pair<unsigned, unsigned>> stack = {{root, 0}};
    while (!stack.empty()) {
      auto &[id, next] = stack.back();
      const Node &node = region.nodes[id];
      if (newIndex[id] != unset) {
        stack.pop_back();
      } else if (next < node.operands.size()) {
        unsigned operand = node.operands[next++];
        stack.push_back({operand, 0});
      } else {
        newIndex[id] = place(node);
        stack.pop_back();
      }
    }
  }

  /// Integer negation is one node, and none on a constant.
  void simplify(Node &node, SmallVectorImpl<unsigned> &operands) {
    auto isConst = [](const Node &n) { return n.kind == NodeKind::Const; };
    if (node.kind == NodeKind::ISub && isConst(nodes[operands[0]]) &&
        nodes[operands[0]].integer == 0) {
      node.kind = NodeKind::INeg;
      operands.erase(operands.begin());
    }
    if (node.kind == NodeKind::INeg && isConst(nodes[operands[0]])) {
      node.kind = NodeKind::Const;
      node.integer = static_cast<int64_t>(
          0 - static_cast<uint64_t>(nodes[operands[0]].integer));
      operands.clear();
    }
  }

  unsigned place(Node node) {
    SmallVector<unsigned, 3> operands;
    for (unsigned operand : node.operands)
      operands.push_back(newIndex[operand]);
    simplify(node, operands);
    // Only operations carry the names of lets.
    if (operands.empty())
      node.name.clear();
    auto [it, isNew] =
        known.try_emplace(getStructuralKey(node, operands), nodes.size());
    if (isNew) {
      nodes.push_back(node);
      nodes.back().operands = operands;
    } else if (nodes[it->second].name.empty()) {
      nodes[it->second].name = node.name;
    }
    return it->second;
  }

  Region &region;
  std::vector<unsigned> newIndex;
  std::vector<Node> nodes;
  StringMap<unsigned> known;
};
} // namespace

/// The finish regions that have a word of their own.
static void nameFinish(NormalizerSpec &spec) {
  const Region &region = spec.finish;
  const Node &result = region.nodes[region.results[0]];
  auto isArg = [&](unsigned id, StringRef name) {
    const Node &node = region.nodes[id];
    return node.kind == NodeKind::Arg && node.symbol == name;
  };
  if (isArg(region.results[0], "o"))
    spec.finishKind = FinishKind::Plain;
  else if (spec.denom && result.kind == NodeKind::FDiv &&
           isArg(result.operands[0], "o") && isArg(result.operands[1], "l"))
    spec.finishKind = FinishKind::OverL;
  if (spec.finishKind != FinishKind::Custom)
    spec.finish = Region();
}

void canonicalize(Program &program) {
  if (program.normalizer &&
      program.normalizer->finishKind == FinishKind::Custom)
    nameFinish(*program.normalizer);
  for (unsigned kind = 0; kind < numRegionKinds; ++kind)
    if (Region *region = getRegion(program, static_cast<RegionKind>(kind)))
      RegionCanonicalizer(*region).run();
}

//===----------------------------------------------------------------------===//
// Hexadecimal floats
//===----------------------------------------------------------------------===//

std::string formatHexFloat(double value) {
  uint64_t bits = bit_cast<uint64_t>(value);
  uint64_t fraction = bits & ((uint64_t(1) << 52) - 1);
  int exponent = static_cast<int>((bits >> 52) & 0x7ff);
  std::string sign = (bits >> 63) ? "-" : "";
  if (exponent == 0x7ff)
    return fraction ? "nan" : sign + "inf";
  if (exponent == 0 && fraction == 0)
    return sign + "0x0.0p+0";
  static const char digits[] = "0123456789abcdef";
  std::string text = sign + (exponent ? "0x1." : "0x0.");
  for (int shift = 48; shift >= 0; shift -= 4)
    text += digits[(fraction >> shift) & 15];
  int power = exponent ? exponent - 1023 : -1022;
  text += power < 0 ? "p-" : "p+";
  return text + std::to_string(power < 0 ? -power : power);
}

std::optional<double> parseHexFloat(StringRef text) {
  if (text == "nan")
    return bit_cast<double>(uint64_t(0x7ff8000000000000));
  bool negative = text.consume_front("-");
  uint64_t sign = negative ? uint64_t(1) << 63 : 0;
  if (text == "inf")
    return bit_cast<double>(sign | uint64_t(0x7ff0000000000000));
  // 0x h . hhhh p ±ddd, as float.hex() writes it; short fractions are allowed.
  if (!text.consume_front("0x") || text.empty() || text.size() > 32)
    return std::nullopt;
  auto [mantissa, powerText] = text.split('p');
  auto [lead, fraction] = mantissa.split('.');
  int power = 0;
  if ((lead != "0" && lead != "1") || fraction.size() > 13 ||
      powerText.size() < 2 || powerText.size() > 6)
    return std::nullopt;
  bool isNegative = powerText.consume_front("-");
  if (!isNegative && !powerText.consume_front("+"))
    return std::nullopt;
  if (!all_of(powerText, [](char c) { return isDigit(c); }) ||
      powerText.getAsInteger(10, power))
    return std::nullopt;
  power = isNegative ? -power : power;
  uint64_t bits = 0;
  if (!fraction.empty() && fraction.getAsInteger(16, bits))
    return std::nullopt;
  bits <<= 4 * (13 - fraction.size());
  if (lead == "0") {
    if (bits != 0 && power != -1022)
      return std::nullopt;
    return bit_cast<double>(sign | bits);
  }
  if (power < -1022 || power > 1023)
    return std::nullopt;
  return bit_cast<double>(sign | (uint64_t(power + 1023) << 52) | bits);
}

} // namespace fovea
