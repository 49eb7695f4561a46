//===- AttnExprPrinter.cpp - Nodes to expressions ------------------------===//

#include "AttnExprPrinter.h"

#include "AttnScope.h"
#include "RegionBuilder.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <charconv>
#include <cmath>
#include <limits>

using namespace llvm;

namespace fovea {

namespace {
/// Python's levels of binding, loosest first.
enum Level : unsigned {
  LOr = 1,
  LAnd,
  LNot,
  LCompare,
  LBitOr,
  LBitXor,
  LBitAnd,
  LShift,
  LAdd,
  LMul,
  LUnary,
  LPower,
  LAtom
};
} // namespace

std::string PrintNames::makeUnique(StringRef wanted) {
  std::string name;
  for (char c : wanted.take_front(AttnLimits::nameBytes - 8))
    name += isAlnum(c) || c == '_' ? c : '_';
  if (name.empty() || isDigit(name[0]) || name == "_")
    name = "x" + name;
  std::string candidate = name;
  for (unsigned i = 1; isReservedName(candidate) || used.contains(candidate);
       ++i)
    candidate = name + "_" + std::to_string(i);
  used.insert(candidate);
  return candidate;
}

std::string PrintNames::generate() {
  std::string name;
  do
    name = "x" + std::to_string(numGenerated++);
  while (used.contains(name));
  return name;
}

std::string formatFloat(double value) {
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[64];
  char *end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text;
}

//===----------------------------------------------------------------------===//
// Which values become lets
//===----------------------------------------------------------------------===//

SmallVector<unsigned> ExprPrinter::addRegion(const Region &region) {
  std::vector<unsigned> ids;
  for (const Node &source : region.nodes) {
    Node node = source;
    for (unsigned &operand : node.operands)
      operand = ids[operand];
    auto [it, isNew] =
        known.try_emplace(getStructuralKey(node, node.operands), items.size());
    if (isNew) {
      items.emplace_back();
      items.back().node = std::move(node);
    } else if (items[it->second].node.name.empty()) {
      items[it->second].node.name = node.name;
    }
    ids.push_back(it->second);
  }
  SmallVector<unsigned> results;
  for (unsigned result : region.results) {
    results.push_back(ids[result]);
    ++items[ids[result]].uses;
    items[ids[result]].isResult = true;
  }
  return results;
}

static bool isConversion(NodeKind kind) {
  return kind == NodeKind::I64ToF || kind == NodeKind::I1ToF ||
         kind == NodeKind::I1ToI64;
}

/// Conversions are written out at each use, so their operand is used as often.
void ExprPrinter::countUses() {
  for (Item &item : reverse(items)) {
    bool isTransparent = isConversion(item.node.kind) && item.node.name.empty();
    for (unsigned operand : item.node.operands)
      items[operand].uses += isTransparent ? item.uses : 1;
  }
}

bool ExprPrinter::isComparison(unsigned id) const {
  NodeKind kind = items[id].node.kind;
  return kind >= NodeKind::IEq && kind <= NodeKind::FGe;
}

void ExprPrinter::findChains() {
  for (Item &item : items) {
    if (item.node.kind != NodeKind::BAnd)
      continue;
    unsigned a = item.node.operands[0], b = item.node.operands[1];
    auto isPlain = [&](unsigned id) {
      return isComparison(id) && items[id].uses == 1 &&
             items[id].node.name.empty();
    };
    if (!isPlain(a) || !isPlain(b))
      continue;
    ArrayRef<unsigned> left = items[a].node.operands,
                       right = items[b].node.operands;
    bool converts =
        any_of(concat<const unsigned>(left, right),
               [&](unsigned id) { return isConversion(items[id].node.kind); });
    if (left[1] != right[0] || converts)
      continue;
    item.isChain = true;
    items[a].isLink = items[b].isLink = true;
    --items[left[1]].uses;
  }
}

void ExprPrinter::printLets(raw_ostream &os, StringRef indent) {
  constexpr size_t maxLength = 60;
  constexpr unsigned maxDepth = 16;
  countUses();
  findChains();
  for (Item &item : items) {
    printItem(item);
    if (item.node.operands.empty())
      continue;
    bool isTransparent = isConversion(item.node.kind);
    bool isLong = item.text.size() > maxLength || item.depth > maxDepth;
    item.isLet = !item.node.name.empty() ||
                 (!isTransparent && !item.isLink &&
                  (item.uses > 1 || (isLong && !item.isResult)));
    if (!item.isLet)
      continue;
    std::string wanted = item.node.name;
    if (wanted.empty())
      wanted = names.generate();
    std::string name = names.makeUnique(wanted);
    if (item.isBare)
      item.text = "float(" + item.text + ")";
    os << indent << "let " << name << " = " << item.text << '\n';
    item.text = name;
    item.level = LAtom;
    item.depth = 0;
    item.isBare = false;
  }
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

std::string ExprPrinter::at(unsigned id, unsigned level) const {
  const Item &item = items[id];
  return item.level < level ? "(" + item.text + ")" : item.text;
}

std::string ExprPrinter::asFloat(unsigned id, unsigned level) const {
  const Item &item = items[id];
  return item.isBare ? "float(" + item.text + ")" : at(id, level);
}

std::pair<std::string, std::string>
ExprPrinter::pair(unsigned a, unsigned b, unsigned left, unsigned right) const {
  bool bothBare = items[a].isBare && items[b].isBare;
  return {bothBare ? asFloat(a, left) : at(a, left), at(b, right)};
}

void ExprPrinter::printCall(Item &item, StringRef name,
                            ArrayRef<std::string> args) {
  item.text = (name + "(" + join(args, ", ") + ")").str();
  item.level = LAtom;
}

void ExprPrinter::printBinary(Item &item, StringRef symbol, unsigned level) {
  unsigned a = item.node.operands[0], b = item.node.operands[1];
  item.text = at(a, level) + " " + symbol.str() + " " + at(b, level + 1);
  item.level = level;
}

void ExprPrinter::printUnary(Item &item, StringRef symbol) {
  unsigned a = item.node.operands[0];
  std::string operand = asFloat(a, LUnary);
  // "-5" would be a number.
  if (items[a].node.kind == NodeKind::Const && symbol == "-")
    operand = "(" + operand + ")";
  item.text = symbol.str() + operand;
  item.level = LUnary;
}

static StringRef getComparisonSymbol(NodeKind kind) {
  static constexpr StringRef symbols[] = {"==", "!=", "<", "<=", ">", ">="};
  unsigned first = static_cast<unsigned>(kind >= NodeKind::FEq ? NodeKind::FEq
                                                               : NodeKind::IEq);
  return symbols[static_cast<unsigned>(kind) - first];
}

void ExprPrinter::printComparison(Item &item) {
  auto [a, b] =
      pair(item.node.operands[0], item.node.operands[1], LBitOr, LBitOr);
  item.text = a + " " + getComparisonSymbol(item.node.kind).str() + " " + b;
  item.level = LCompare;
}

void ExprPrinter::printLeaf(Item &item) {
  const Node &node = item.node;
  item.level = LAtom;
  switch (node.kind) {
  case NodeKind::Arg:
  case NodeKind::Size:
    item.text = node.symbol;
    return;
  case NodeKind::Param:
    item.text = names.params.lookup(node.symbol);
    return;
  case NodeKind::Extent:
    item.text = names.dims[node.capture][node.dim];
    return;
  case NodeKind::Read: {
    item.text = names.captures[node.capture];
    SmallVector<std::string> indices;
    for (unsigned operand : node.operands) {
      const Item &index = items[operand];
      // A negative number would count from the end.
      bool isNegative =
          index.node.kind == NodeKind::Const && index.node.integer < 0 &&
          index.node.integer != std::numeric_limits<int64_t>::min();
      indices.push_back(isNegative
                            ? "-(" +
                                  std::to_string(0 - static_cast<uint64_t>(
                                                         index.node.integer)) +
                                  ")"
                            : at(operand, LOr));
    }
    if (!indices.empty())
      item.text += "[" + join(indices, ", ") + "]";
    return;
  }
  default:
    break;
  }
  foundNaN |= node.type == ValueType::F && std::isnan(node.real);
  item.text = node.type == ValueType::F    ? formatFloat(node.real)
              : node.type == ValueType::I1 ? (node.integer ? "true" : "false")
                                           : std::to_string(node.integer);
  if (item.text[0] == '-')
    item.level = LUnary;
}

void ExprPrinter::printBool(Item &item) {
  ArrayRef<unsigned> in = item.node.operands;
  switch (item.node.kind) {
  case NodeKind::BAnd:
    if (item.isChain) {
      const Item &right = items[in[1]];
      item.text = items[in[0]].text + " " +
                  getComparisonSymbol(right.node.kind).str() + " " +
                  at(right.node.operands[1], LBitOr);
      item.level = LCompare;
      return;
    }
    return printBinary(item, "and", LAnd);
  case NodeKind::BOr:
    return printBinary(item, "or", LOr);
  case NodeKind::BXor:
    item.text = at(in[0], LBitOr) + " != " + at(in[1], LBitOr);
    item.level = LCompare;
    return;
  default:
    item.text = "not " + at(in[0], LNot);
    item.level = LNot;
  }
}

void ExprPrinter::printFloatOp(Item &item) {
  ArrayRef<unsigned> in = item.node.operands;
  auto binary = [&](StringRef symbol, unsigned level) {
    auto [a, b] = pair(in[0], in[1], level, level + 1);
    item.text = a + " " + symbol.str() + " " + b;
    item.level = level;
  };
  switch (item.node.kind) {
  case NodeKind::FAdd:
    return binary("+", LAdd);
  case NodeKind::FSub:
    return binary("-", LAdd);
  case NodeKind::FMul:
    return binary("*", LMul);
  case NodeKind::FMod:
    return binary("%", LMul);
  case NodeKind::FDiv:
    return printBinary(item, "/", LMul);
  case NodeKind::FNeg:
    return printUnary(item, "-");
  case NodeKind::FAbs:
    return printCall(item, "abs", asFloat(in[0], LOr));
  case NodeKind::ToInt:
    return printCall(item, "int", asFloat(in[0], LOr));
  case NodeKind::Pow:
    item.text = asFloat(in[0], LAtom) + " ** " + at(in[1], LUnary);
    item.level = LPower;
    return;
  case NodeKind::FMin:
  case NodeKind::FMax: {
    auto [a, b] = pair(in[0], in[1], LOr, LOr);
    return printCall(
        item, item.node.kind == NodeKind::FMin ? "minimum" : "maximum", {a, b});
  }
  default:
    // The functions of one float have the names of their nodes.
    return printCall(item, getSignature(item.node.kind).name, at(in[0], LOr));
  }
}

void ExprPrinter::printOp(Item &item) {
  ArrayRef<unsigned> in = item.node.operands;
  switch (item.node.kind) {
  case NodeKind::IAdd:
    return printBinary(item, "+", LAdd);
  case NodeKind::ISub:
    return printBinary(item, "-", LAdd);
  case NodeKind::IMul:
    return printBinary(item, "*", LMul);
  case NodeKind::FloorDiv:
    return printBinary(item, "//", LMul);
  case NodeKind::Mod:
    return printBinary(item, "%", LMul);
  case NodeKind::IAnd:
    return printBinary(item, "&", LBitAnd);
  case NodeKind::IOr:
    return printBinary(item, "|", LBitOr);
  case NodeKind::IXor:
    return printBinary(item, "^", LBitXor);
  case NodeKind::Shl:
    return printBinary(item, "<<", LShift);
  case NodeKind::Shr:
    return printBinary(item, ">>", LShift);
  case NodeKind::INeg:
    return printUnary(item, "-");
  case NodeKind::INot:
    return printUnary(item, "~");
  case NodeKind::IAbs:
    return printCall(item, "abs", at(in[0], LOr));
  case NodeKind::IMin:
    return printCall(item, "minimum", {at(in[0], LOr), at(in[1], LOr)});
  case NodeKind::IMax:
    return printCall(item, "maximum", {at(in[0], LOr), at(in[1], LOr)});
  case NodeKind::Select: {
    auto [x, y] = pair(in[1], in[2], LOr, LOr);
    return printCall(item, "where", {at(in[0], LOr), x, y});
  }
  case NodeKind::I1ToI64:
    return printCall(item, "int", at(in[0], LOr));
  case NodeKind::I1ToF:
    return printCall(item, "float", at(in[0], LOr));
  case NodeKind::I64ToF:
    if (items[in[0]].node.kind == NodeKind::Const)
      return printCall(item, "float", at(in[0], LOr));
    item.text = items[in[0]].text;
    item.level = items[in[0]].level;
    item.isBare = true;
    return;
  default:
    return printFloatOp(item);
  }
}

void ExprPrinter::printItem(Item &item) {
  for (unsigned operand : item.node.operands)
    item.depth = std::max(item.depth, items[operand].depth + 1);
  NodeKind kind = item.node.kind;
  if (kind <= NodeKind::Param)
    printLeaf(item);
  else if (kind >= NodeKind::BAnd && kind <= NodeKind::BNot)
    printBool(item);
  else if (kind >= NodeKind::IEq && kind <= NodeKind::FGe)
    printComparison(item);
  else
    printOp(item);
}

} // namespace fovea
