//===- KeyBounds.h - Which keys rows can see, in closed form -----*- C++-*-===//
//
// The conditions of a mask that compare sums of positions and values of the
// launch bound the keys that a range of query rows can see. The bounds are
// expressions of those values: kernels compute them, nothing is materialised.
// What is not understood "may be visible", so the answer is always sound.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_KEYBOUNDS_H
#define FOVEA_ANALYSIS_KEYBOUNDS_H

#include "fovea/Analysis/RegionBounds.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace fovea {

/// An i64 or i1 value; operands come earlier, equal expressions are one.
struct BoundExpression {
  enum Kind : uint8_t {
    Constant, ///< integer
    FirstRow,
    LastRow,
    FirstKey,
    EndKey,
    Node, ///< of the region, i64 or i1; it depends on neither position
    Add,
    Sub,
    Mul,
    FloorDiv,
    Min,
    Max,
    Less,
    Not,
    Select ///< condition, if true, if false
  } kind = Constant;
  int64_t integer = 0; ///< or the node
  std::array<unsigned, 3> operands = {};
  unsigned numOperands() const {
    return kind < Add ? 0 : kind == Not ? 1 : kind == Select ? 3 : 2;
  }
  auto key() const {
    return std::make_tuple(unsigned(kind), integer, operands[0], operands[1],
                           operands[2]);
  }
};

/// Expressions, folded as they are made.
class BoundExpressions {
public:
  unsigned constant(int64_t value);
  unsigned leaf(BoundExpression::Kind kind, unsigned node = 0);
  unsigned make(BoundExpression::Kind kind, unsigned a, unsigned b = 0,
                unsigned c = 0);
  llvm::ArrayRef<BoundExpression> list() const { return expressions; }
  std::optional<int64_t> constantOf(unsigned expression) const;

private:
  unsigned add(const BoundExpression &expression);
  std::optional<unsigned> fold(BoundExpression::Kind kind, unsigned a,
                               unsigned b, unsigned c);
  std::vector<BoundExpression> expressions;
  std::map<std::tuple<unsigned, int64_t, unsigned, unsigned, unsigned>,
           unsigned>
      known;
};

/// Global key positions, expressions with begin <= end.
struct KeyInterval {
  unsigned begin = 0, end = 0;
  /// Inside [begin, end); absent where no key is known to be visible from all
  /// rows. The same expression as begin (end) where they never differ.
  struct Full {
    unsigned begin, end;
  };
  std::optional<Full> full;
};

struct KeyBounds {
  /// Ascending and disjoint, empty ones too; without a closed form one. Keys
  /// outside are invisible from every row, keys in a full interval are visible
  /// from every row.
  llvm::SmallVector<KeyInterval, 2> parts;
  /// The parts hold no more keys than a closed form can tell apart: evaluating
  /// the mask to find empty tiles inside them is not worth it.
  bool isClosedForm = true;
  /// Why not, in words.
  std::string reason;
  BoundExpressions expressions;
};

/// What a kernel is promised of every launch, before any value is known.
struct KeyDomain {
  Interval position; ///< of queries and keys, within ±2^57
  Interval index;    ///< batch and head
  /// All positions lie from 0 to 2^30 - 1, or within ±2^57: offsets lie
  /// within ±2^56, and so sums of a few do not wrap.
  static KeyDomain of(bool narrow);
};

/// The bounds of a mask for rows FirstRow…LastRow (inclusive, not empty) and
/// keys [FirstKey, EndKey), FirstKey <= EndKey. Where few intervals do
/// not hold in all cases, bounds tell up to `maxCases` conditions on values of
/// the launch apart: the kind of a head, for one.
KeyBounds findKeyBounds(const Program &program, const Region &mask,
                        const KeyDomain &domain, unsigned maxCases = 3);

/// Values of all expressions. `leaf` gives those of nodes and of rows and keys.
std::vector<int64_t>
evaluate(const BoundExpressions &expressions,
         llvm::function_ref<int64_t(const BoundExpression &)> leaf);

} // namespace fovea

#endif // FOVEA_ANALYSIS_KEYBOUNDS_H
