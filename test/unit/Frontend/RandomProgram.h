//===- RandomProgram.h - Well-typed programs for fuzzing --------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_FRONTEND_RANDOMPROGRAM_H
#define FOVEA_TEST_UNIT_FRONTEND_RANDOMPROGRAM_H

#include "fovea/Frontend/Program.h"

#include <random>

namespace fovea {

/// A complete random program; every kind of node, region and capture occurs.
/// t enters weight and denom as S9 allows.
class RandomProgram {
public:
  explicit RandomProgram(unsigned seed) : random(seed) {}

  Program make();

private:
  unsigned pick(unsigned bound) { return random() % bound; }
  bool flip() { return pick(2) == 0; }
  Region makeRegion(RegionKind kind);
  unsigned addNode(Region &region, Node node);
  unsigned addLeaf(Region &region, RegionKind kind, ValueType type);
  void addOp(Region &region);
  std::optional<unsigned> find(const Region &region, ValueType type);
  unsigned get(Region &region, RegionKind kind, ValueType type);
  Region makeWeight(RegionKind kind, bool hasStat);

  std::mt19937 random;
  Program program;
};

} // namespace fovea

#endif // FOVEA_TEST_UNIT_FRONTEND_RANDOMPROGRAM_H
