//===- RegionBounds.h - What a region can give on a rectangle ----*- C++
//-*-===//
//
// Interval arithmetic with three-valued logic over a Program's region, for a
// rectangle of (q, kv). Captures that are read along one position enter through
// minima and maxima of the range that the rectangle touches. Sound: a value
// that a point of the rectangle gives lies within the bounds.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_INTERPRETER_REGIONBOUNDS_H
#define FOVEA_INTERPRETER_REGIONBOUNDS_H

#include "fovea/Interpreter/RegionEvaluator.h"

#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace fovea {

/// All values from low to high.
struct Interval {
  int64_t low = INT64_MIN, high = INT64_MAX;
  static Interval of(int64_t value) { return {value, value}; }
  bool isPoint() const { return low == high; }
};

/// Minima and maxima of ranges of a line of integers in memory.
class LineSummary {
public:
  LineSummary(const TensorView &tensor, int64_t offset, unsigned dim);
  /// Of the elements first … last, which are in range.
  Interval query(int64_t first, int64_t last) const;

private:
  static constexpr int64_t radix = 64;
  Interval element(int64_t index) const;
  TensorView tensor;
  int64_t offset, stride;
  std::vector<std::vector<Interval>> levels; // level i: blocks of radix^(i+1)
};

/// One thread's evaluation. Bounds of i1 are those of 0 and 1; floats are only
/// told apart where they are the constant -inf: 0 is -inf, 1 anything else.
class RegionBounds {
public:
  RegionBounds(const Region &region, const Program &program,
               llvm::ArrayRef<TensorView> captures, const RegionSizes &sizes);

  /// The first result for one batch and head.
  Interval evaluate(int64_t b, int64_t h, Interval q, Interval kv);

private:
  Interval evaluateNode(const Node &node);
  Interval evaluateInteger(const Node &node) const;
  Interval evaluateCompare(const Node &node) const;
  Interval evaluateRead(const Node &node);
  Interval at(const Node &node, unsigned operand) const {
    return values[node.operands[operand]];
  }

  const Region &region;
  const Program &program;
  llvm::ArrayRef<TensorView> captures;
  RegionSizes sizes;
  std::vector<bool> needed;
  std::vector<Interval> values;
  Interval batch, head, query, key;
  /// By capture, dimension and the offset of the line.
  std::map<std::tuple<unsigned, unsigned, int64_t>,
           std::unique_ptr<LineSummary>>
      lines;
};

} // namespace fovea

#endif // FOVEA_INTERPRETER_REGIONBOUNDS_H
