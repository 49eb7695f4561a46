//===- AffineBuilder.h - From regions to integer polyhedra ------*- C++ -*-===//
#ifndef FOVEA_LIB_ANALYSIS_MASKS_AFFINEBUILDER_H
#define FOVEA_LIB_ANALYSIS_MASKS_AFFINEBUILDER_H

#include "fovea/Analysis/AffineMask.h"

#include "llvm/ADT/DenseMap.h"

namespace fovea {
/// Conditions become unions of polyhedra (twice: they and their negations),
/// integers pieces: sums, each with the polyhedron where it holds.
class AffineBuilder {
public:
  AffineBuilder(const RegionBounds &bounds, const AffineLimits &limits)
      : bounds(bounds), region(bounds.getRegion()), limits(limits) {}

  std::optional<AffineMask> run(bool isScore) {
    unsigned root = region.results.front();
    AffineMask out;
    out.limits = limits;
    if (isScore)
      findSimpleScores();
    auto visible = isScore ? score(root, false) : condition(root, false);
    auto hidden = isScore ? score(root, true) : condition(root, true);
    if (!visible || !hidden)
      return std::nullopt;
    out.visible = std::move(*visible);
    out.hidden = std::move(*hidden);
    out.divisions = std::move(divisions);
    return out;
  }

private:
  using Sum = AffineMask::Sum;
  using Polyhedron = AffineMask::Polyhedron;
  using Union = std::vector<Polyhedron>;
  struct Piece {
    Polyhedron where;
    Sum value;
  };
  using Pieces = std::vector<Piece>;

  std::optional<Union> condition(unsigned index, bool negated);
  std::optional<Union> makeCondition(const Node &node, bool negated);
  std::optional<Union> compare(const Node &node, bool negated);
  std::optional<Union> score(unsigned index, bool negated);
  void findSimpleScores();
  std::optional<Pieces> integer(unsigned index);
  std::optional<Pieces> makeInteger(unsigned index);
  std::optional<Pieces> linear(const Node &node, int64_t factor);
  std::optional<Pieces> scaled(unsigned index, int64_t factor);
  std::optional<Pieces> indicator(unsigned index);
  std::optional<Pieces> extremum(const Node &node, bool least);
  std::optional<Pieces> absolute(const Node &node);
  std::optional<Pieces> select(const Node &node);
  std::optional<Pieces> divide(const Pieces &of, int64_t by, bool remainder);
  template <typename F>
  std::optional<Pieces> combine(unsigned a, unsigned b, F f);

  std::optional<Union> meet(const Union &a, const Union &b);
  std::optional<Union> unite(Union a, const Union &b);
  std::optional<Union> either(const std::optional<Union> &c,
                              const std::optional<Union> &notC,
                              const std::optional<Union> &x,
                              const std::optional<Union> &y);
  /// Joins where both hold; false: nowhere.
  bool addAll(Polyhedron &to, const Polyhedron &from);
  bool addRow(Polyhedron &to, const Sum &sum);
  bool fits(const Union &set) const;
  bool isTooLong() const { return steps > limits.buildSteps; }

  std::optional<int64_t> constantOf(unsigned index) const;
  std::optional<Sum> add(const Sum &a, const Sum &b, int64_t factor) const;
  bool isExact(const Sum &sum) const;
  double largest(const Sum &sum) const;

  const RegionBounds &bounds;
  const Region &region;
  AffineLimits limits;
  uint64_t steps = 0;
  std::vector<AffineMask::Division> divisions;
  std::vector<double> divisionLargest;
  std::vector<bool> simple;
  /// Walks stop where they would take much stack.
  static constexpr unsigned maxDepth = 400;
  unsigned depth = 0;
  /// By node and, in the lowest bit, negation.
  llvm::DenseMap<unsigned, std::optional<Union>> conditions;
  llvm::DenseMap<unsigned, std::optional<Pieces>> integers;
};
} // namespace fovea

#endif // FOVEA_LIB_ANALYSIS_MASKS_AFFINEBUILDER_H
