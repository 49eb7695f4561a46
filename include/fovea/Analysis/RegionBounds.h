//===- RegionBounds.h - What a region can give on a rectangle ----*- C++-*-===//
//
// Interval and congruence arithmetic with three-valued logic over a Program's
// region, for a rectangle of (q, kv). Sums of positions with constant factors
// are kept as such, so that comparisons of them are exact. Captures that are
// read along one position enter through minima and maxima of the range that the
// rectangle touches. Sound: what a point of the rectangle gives lies within the
// bounds.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_ANALYSIS_REGIONBOUNDS_H
#define FOVEA_ANALYSIS_REGIONBOUNDS_H

#include "fovea/Analysis/Bounds.h"
#include "fovea/Analysis/LineSummary.h"
#include "fovea/Runtime/TensorView.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

namespace fovea {

/// What is known of a launch. The captures must outlive what is made of it.
struct RegionEnvironment {
  /// Extents and values; without data the values are those of the dtype. None
  /// at all: nothing is known of them.
  llvm::ArrayRef<TensorView> captures;
  /// Absent: any size from 0 to 2^40.
  std::optional<RegionSizes> sizes;
  /// The scaled dot product.
  FloatBounds score = FloatBounds::of(0);
  /// The other floats that a normaliser's regions take: t, l and o.
  FloatBounds statistic, denominator, output;
};

/// q·query + kv·key + constant, without wrapping for the positions of a call.
struct LinearForm {
  int64_t q = 0, kv = 0, constant = 0;
  bool isConstant() const { return q == 0 && kv == 0; }
};

/// One thread's evaluation of one region.
class RegionBounds {
public:
  RegionBounds(const Program &program, const Region &region,
               const RegionEnvironment &environment);

  /// Fixes batch and head, before the first rectangle.
  void enter(IntBounds batch, IntBounds head);
  void enter(int64_t batch, int64_t head) {
    enter(IntBounds::of(batch), IntBounds::of(head));
  }
  /// The range of e, for regions that have it.
  void setElement(IntBounds range) { element = range; }

  /// Computes what the results need, or with `all` every node.
  void evaluate(Interval q, Interval kv, bool all = false);

  /// After evaluate.
  const IntBounds &ints(unsigned node) const { return values[node].ints; }
  const FloatBounds &floats(unsigned node) const { return values[node].floats; }
  const IntBounds &intResult() const { return ints(region.results[0]); }
  const FloatBounds &floatResult(unsigned result = 0) const {
    return floats(region.results[result]);
  }

  /// After enter: the node depends on neither position.
  bool isUniform(unsigned node) const { return states[node].uniform; }
  bool dependsOnQuery(unsigned node) const { return states[node].onQuery; }
  bool dependsOnKey(unsigned node) const { return states[node].onKey; }
  /// After enter: the sum that the node is, if it is one.
  const std::optional<LinearForm> &linear(unsigned node) const {
    return states[node].linear;
  }
  const Region &getRegion() const { return region; }

private:
  /// A line of a capture: its number, the dimension, where it begins.
  using LineKey = std::tuple<unsigned, unsigned, int64_t>;
  struct Value {
    IntBounds ints;
    FloatBounds floats = {0, 0};
  };
  struct State {
    bool needed = false, uniform = false;
    /// Which positions the node depends on.
    bool onQuery = false, onKey = false;
    std::optional<LinearForm> linear;
    /// A comparison of two sums: left - right.
    std::optional<LinearForm> difference;
    /// Of a read: the line that it asked last.
    LineKey line = {};
    LineSummary<IntBounds> *intLine = nullptr;
    LineSummary<FloatBounds> *floatLine = nullptr;
  };
  void findNeeded();
  void findLinear(unsigned index);
  void plan();
  void compute(unsigned index);
  Value computeArg(const Node &node) const;
  void computeLeaf(const Node &node, Value &out) const;
  void computeRead(unsigned index, Value &out);
  IntBounds computeCompare(unsigned index);
  std::optional<IntBounds> range(const LinearForm &form) const;
  const TensorView *capture(const Node &node) const;

  const Program &program;
  const Region &region;
  RegionEnvironment environment;
  std::vector<State> states;
  std::vector<Value> values;
  /// Nodes in order: all that depend on a position, and those that results need
  /// where sums are taken as such.
  std::vector<unsigned> varying, direct;
  IntBounds batch, head, element;
  Interval query, key;
  /// Whether the values are those of this rectangle, of all nodes or of direct
  /// ones.
  bool current = false, currentAll = false;
  template <typename B>
  using Lines = std::map<LineKey, std::unique_ptr<LineSummary<B>>>;
  template <typename B>
  const B &queryLine(Lines<B> &lines, LineSummary<B> *State::*last,
                     unsigned index, const LineKey &key, int64_t low,
                     int64_t high);
  Lines<IntBounds> intLines;
  Lines<FloatBounds> floatLines;
};

} // namespace fovea

#endif // FOVEA_ANALYSIS_REGIONBOUNDS_H
