//===- ConditionLogic.h - Conditions and their negations --------*- C++ -*-===//
//
// What and, or, not, selections and comparisons of integers mean, negated or
// not: every reader of conditions asks here.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_ANALYSIS_MASKS_CONDITIONLOGIC_H
#define FOVEA_LIB_ANALYSIS_MASKS_CONDITIONLOGIC_H

#include "fovea/Frontend/Program.h"

#include "llvm/Support/ErrorHandling.h"

namespace fovea {

/// first <= second (first < second where strict), first = second, or not so.
/// `swapped`: first is the second operand.
struct Comparison {
  enum Kind : uint8_t { LessEqual, Equal, NotEqual } kind = LessEqual;
  bool swapped = false, strict = false;
};

inline bool isIntegerComparison(NodeKind kind) {
  return NodeKind::IEq <= kind && kind <= NodeKind::IGe;
}

inline Comparison readComparison(NodeKind kind, bool negated) {
  switch (kind) {
  case NodeKind::IEq:
  case NodeKind::INe:
    return {(kind == NodeKind::IEq) != negated ? Comparison::Equal
                                               : Comparison::NotEqual};
  case NodeKind::ILe:
    return {Comparison::LessEqual, negated, negated};
  case NodeKind::ILt:
    return {Comparison::LessEqual, negated, !negated};
  case NodeKind::IGe:
    return {Comparison::LessEqual, !negated, negated};
  case NodeKind::IGt:
    return {Comparison::LessEqual, !negated, !negated};
  default:
    llvm_unreachable("no comparison of integers");
  }
}

inline bool isLogic(NodeKind kind) {
  return kind == NodeKind::BAnd || kind == NodeKind::BOr ||
         kind == NodeKind::BXor || kind == NodeKind::BNot ||
         kind == NodeKind::Select;
}

/// `operand(i, negated)` gives a condition, `meet` and `unite` join two.
template <typename Operand, typename Meet, typename Unite>
auto readLogic(const Node &node, bool negated, Operand operand, Meet meet,
               Unite unite) {
  switch (node.kind) {
  case NodeKind::BNot:
    return operand(0, !negated);
  case NodeKind::BAnd:
  case NodeKind::BOr:
    return (node.kind == NodeKind::BAnd) != negated
               ? meet(operand(0, negated), operand(1, negated))
               : unite(operand(0, negated), operand(1, negated));
  case NodeKind::BXor:
    return unite(meet(operand(0, false), operand(1, !negated)),
                 meet(operand(0, true), operand(1, negated)));
  case NodeKind::Select:
    return unite(meet(operand(0, false), operand(1, negated)),
                 meet(operand(0, true), operand(2, negated)));
  default:
    llvm_unreachable("no logic");
  }
}

} // namespace fovea

#endif // FOVEA_LIB_ANALYSIS_MASKS_CONDITIONLOGIC_H
