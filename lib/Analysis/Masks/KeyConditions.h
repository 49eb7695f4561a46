//===- KeyConditions.h - What a mask asks of a key --------------*- C++ -*-===//
#ifndef FOVEA_LIB_ANALYSIS_MASKS_KEYCONDITIONS_H
#define FOVEA_LIB_ANALYSIS_MASKS_KEYCONDITIONS_H

#include "fovea/Analysis/RegionBounds.h"

#include "llvm/ADT/SmallVector.h"

namespace fovea {

/// factor · node; `clamp`: the node is cut to ±2^61 first, which no comparison
/// with a narrow value can tell.
struct KeyTerm {
  unsigned node = 0;
  int64_t factor = 0;
  bool clamp = false;
};

/// None of its partial sums wraps.
struct KeySum {
  int64_t constant = 0;
  llvm::SmallVector<KeyTerm, 4> terms;
};

struct KeyCondition {
  enum Kind : uint8_t {
    True,
    False,
    Unknown,
    Uniform, ///< the node, or its negation, that depends on neither position
    And,
    Or,
    AtMostZero ///< the sum is <= 0
  } kind = Unknown;
  unsigned node = 0;
  bool negated = false;
  /// And, Or.
  int lhs = -1, rhs = -1;
  KeySum sum = {};
  /// Of AtMostZero: nodes that depend on neither position. Where one lies
  /// beyond guardLimit the sum wraps, and says nothing.
  llvm::SmallVector<unsigned, 2> guards = {};
  /// Conditions reachable from here, with repetition.
  unsigned size = 1;
};

/// The conditions of a region as and, or and comparisons of sums with at most
/// one term that depends on the key; found in one forward pass, for launches
/// whose values are not known yet.
class KeyConditions {
public:
  /// `facts` have been evaluated, with all nodes.
  explicit KeyConditions(const RegionBounds &facts);

  const KeyCondition &operator[](int index) const { return conditions[index]; }
  int root() const { return rootCondition; }
  const RegionBounds &getFacts() const { return facts; }
  static constexpr int64_t guardLimit = int64_t(1) << 58;
  /// A sum of this value is exact.
  bool isNarrow(unsigned node) const {
    return values[node].narrow && values[node].guards.empty();
  }
  const KeySum &sumOf(unsigned node) const { return values[node].sum; }
  std::optional<int64_t> constantOf(unsigned node) const;
  /// What of the region is the likeliest to keep it from a closed form.
  llvm::StringRef whyOpen() const;

private:
  struct Value {
    /// The sum is exact and small, where all guards are.
    bool narrow = false;
    llvm::SmallVector<unsigned, 2> guards;
    /// Nesting of opaque nodes below the value.
    unsigned depth = 0;
    KeySum sum;
    /// For i1: the value and its negation.
    int condition[2] = {-1, -1};
  };
  void visitInteger(unsigned index);
  bool readSum(unsigned index, Value &value) const;
  void visitCondition(unsigned index);
  int compare(const Node &node, bool negated);
  int atMost(unsigned first, unsigned second, bool strict, unsigned depth);
  double magnitude(unsigned node) const;
  double magnitude(const Value &value) const;
  bool readSide(unsigned node, unsigned other, Value &side) const;
  int add(KeyCondition condition);
  int addAtMost(const Value &lhs, const Value &rhs, int64_t slack);
  int combine(KeyCondition::Kind kind, int lhs, int rhs);

  const RegionBounds &facts;
  const Region &region;
  std::vector<Value> values;
  std::vector<KeyCondition> conditions;
  int rootCondition, knownTrue, knownFalse, unknown;
};

} // namespace fovea

#endif // FOVEA_LIB_ANALYSIS_MASKS_KEYCONDITIONS_H
