//===- IndexFacts.h - What is known of index arithmetic ---------*- C++ -*-===//
#ifndef FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_INDEXFACTS_H
#define FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_INDEXFACTS_H

#include "mlir/IR/Value.h"

namespace mlir::attn_gpu {

/// Whether a value is a multiple of `factor` by how it is computed.
bool isMultipleOf(Value value, int64_t factor);

/// Whether x − y ≤ `limit` whatever the values are that both are computed from
/// by sums, products and quotients with constants, minima and maxima. False
/// where that is not known.
bool isDifferenceAtMost(Value x, Value y, int64_t limit);

} // namespace mlir::attn_gpu

#endif // FOVEA_LIB_DIALECT_ATTNGPU_TRANSFORMS_INDEXFACTS_H
