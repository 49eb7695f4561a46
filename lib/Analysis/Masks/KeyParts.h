//===- KeyParts.h - Sets of keys between expressions ------------*- C++ -*-===//
#ifndef FOVEA_LIB_ANALYSIS_MASKS_KEYPARTS_H
#define FOVEA_LIB_ANALYSIS_MASKS_KEYPARTS_H

#include "fovea/Analysis/KeyBounds.h"

namespace fovea {

/// Expressions: for a range of rows the least and the greatest value, or for a
/// bound the one that serves some row and the one that serves all rows.
struct BoundPair {
  unsigned first, second;
};

/// Keys [lo, hi), of which [fullLo, fullHi) are seen by all rows.
struct KeyPart {
  using End = std::optional<unsigned>; ///< absent: unbounded
  End lo, hi, fullLo, fullHi;
  bool hasFull = true;
};

struct KeyParts {
  llvm::SmallVector<KeyPart, 2> list;
  bool isClosedForm = true;
  /// One part that holds all keys or none.
  bool isCondition = false;
};

/// The algebra of sets of keys: makes the expressions of their ends.
class KeyPartsBuilder {
public:
  explicit KeyPartsBuilder(BoundExpressions &expressions) : e(expressions) {}

  /// Bounds beyond every position; sums of two do not wrap.
  static constexpr int64_t far = int64_t(1) << 61;

  KeyParts all() const;
  /// Any key may be visible, none is for sure.
  KeyParts unknown() const;
  KeyParts atLeast(BoundPair limit) const;
  KeyParts atMost(BoundPair limit);
  /// All keys where the condition holds for some (all) rows, else none.
  KeyParts where(unsigned some, unsigned all);
  KeyParts meet(const KeyParts &a, const KeyParts &b);
  KeyParts join(const KeyParts &a, const KeyParts &b);
  /// a where the condition holds, else b, part by part.
  KeyParts choose(unsigned condition, const KeyParts &a, const KeyParts &b);
  /// The keys of the launch among them, as KeyBounds has them.
  llvm::SmallVector<KeyInterval, 2> finish(const KeyParts &parts);

private:
  using End = KeyPart::End;
  unsigned constant(int64_t value) { return e.constant(value); }
  /// The stricter of two ends of an intersection, or the laxer of a union.
  End meet(BoundExpression::Kind stricter, End a, End b);
  End join(BoundExpression::Kind laxer, End a, End b);
  KeyPart meet(const KeyPart &a, const KeyPart &b);
  void joinFull(const KeyPart &a, const KeyPart &b, KeyPart &result);
  KeyPart hull(llvm::ArrayRef<KeyPart> parts);
  KeyInterval finish(const KeyPart &part, const KeyInterval *before);

  BoundExpressions &e;
};

} // namespace fovea

#endif // FOVEA_LIB_ANALYSIS_MASKS_KEYPARTS_H
