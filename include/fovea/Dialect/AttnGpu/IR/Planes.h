//===- Planes.h - Masks as half-planes --------------------------*- C++ -*-===//
#ifndef FOVEA_DIALECT_ATTNGPU_IR_PLANES_H
#define FOVEA_DIALECT_ATTNGPU_IR_PLANES_H

#include "mlir/IR/IntegerSet.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace mlir::attn_gpu {

/// m · `m` + n · `n` + constant, which is not to be negative.
struct Plane {
  int64_t m = 0, n = 0, constant = 0;

  Plane minus(const Plane &other) const {
    return {m - other.m, n - other.n, constant - other.constant};
  }
  bool operator==(const Plane &other) const {
    return m == other.m && n == other.n && constant == other.constant;
  }
  /// Whether 32 bits hold it for all positions.
  bool isNarrow() const;
  /// Whether it is not negative on `rows` queries from m0 and `columns` keys
  /// from n0 on.
  bool holdsOn(int64_t m0, int64_t rows, int64_t n0, int64_t columns) const;
};

/// The narrow planes whose conjunction a condition on (m, n) is; nothing where
/// it is none.
std::optional<SmallVector<Plane>> findPlanes(Value condition, Value m, Value n);

/// The same as (m, n) of inequalities, and back; nothing where a set is not of
/// narrow planes.
IntegerSet toSet(MLIRContext *context, ArrayRef<Plane> planes);
std::optional<SmallVector<Plane>> toPlanes(IntegerSet set);

} // namespace mlir::attn_gpu

#endif // FOVEA_DIALECT_ATTNGPU_IR_PLANES_H
