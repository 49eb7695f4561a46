//===- MaskFacts.h - What a mask region's values are ------------*- C++ -*-===//
#ifndef FOVEA_LIB_ANALYSIS_MASKFACTS_H
#define FOVEA_LIB_ANALYSIS_MASKFACTS_H

#include "mlir/IR/Region.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <vector>

namespace fovea::detail {

/// coefficient · value; `clamp`: the value is cut to ±2^wideLimit first, which
/// no comparison with a narrow value can tell.
struct Term {
  mlir::Value value;
  int64_t coefficient = 0;
  bool clamp = false;
};

/// An exact sum: none of its partial sums wraps.
struct Linear {
  int64_t constant = 0;
  llvm::SmallVector<Term, 4> terms;
};

struct ValueFact {
  bool onRow = false, onKey = false;
  /// |value| < 2^bits; anyBits: no bound.
  unsigned bits = 0;
  /// Nesting of opaque operations below the value.
  unsigned depth = 0;
  Linear linear;
  /// For i1: the value and its negation as predicates.
  int predicate[2] = {-1, -1};
};

constexpr unsigned anyBits = 64;
/// Sums of values below 2^narrowBits do not wrap where this analysis adds them.
constexpr unsigned narrowBits = 60;

struct Predicate {
  enum Kind { True, False, Unknown, Uniform, And, Or, LessEqual } kind;
  /// Uniform: an i1 that depends on neither position.
  mlir::Value value = {};
  bool negated = false;
  /// And, Or.
  int lhs = -1, rhs = -1;
  /// LessEqual: the sum is <= 0.
  Linear linear = {};
  /// Predicates reachable from here, with repetition.
  unsigned size = 1;
};

/// Facts about every value of a region, found in one forward pass.
struct MaskFacts {
  MaskFacts(mlir::Region &mask, unsigned positionBits);

  const ValueFact &get(mlir::Value value);
  /// What of the region is the likeliest to keep it from a closed form.
  llvm::StringRef whyOpen();

  mlir::Region &mask;
  unsigned positionBits;
  std::vector<Predicate> predicates;
  int root = -1;

private:
  void visit(mlir::Operation &op);
  void visitInteger(mlir::Operation &op, ValueFact &fact);
  void visitBool(mlir::Operation &op, ValueFact &fact);
  void visitCompare(mlir::Operation &op, ValueFact &fact);
  bool makeNarrow(mlir::Value value, mlir::Value other, Linear &linear);
  unsigned bitsFromAbove(mlir::Value value);
  int add(Predicate predicate);
  int addLessEqual(Linear lhs, const Linear &rhs, int64_t slack);
  int combine(Predicate::Kind kind, int lhs, int rhs);

  llvm::DenseMap<mlir::Value, ValueFact> facts;
  int knownTrue, knownFalse, unknown;
};

} // namespace fovea::detail

#endif // FOVEA_LIB_ANALYSIS_MASKFACTS_H
