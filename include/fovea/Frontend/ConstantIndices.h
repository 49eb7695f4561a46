//===- ConstantIndices.h - Where regions read at fixed places ---*- C++ -*-===//
#ifndef FOVEA_FRONTEND_CONSTANTINDICES_H
#define FOVEA_FRONTEND_CONSTANTINDICES_H

#include <cstdint>
#include <vector>

namespace fovea {

struct Program;

/// A place of a capture that is read whatever the position.
struct ConstantIndex {
  unsigned capture, dim;
  int64_t index; ///< Below 0 it counts from the end.
};

/// The farthest constant index of every capture and dimension, from the
/// beginning and from the end.
std::vector<ConstantIndex> findConstantIndices(const Program &program);

} // namespace fovea

#endif // FOVEA_FRONTEND_CONSTANTINDICES_H
