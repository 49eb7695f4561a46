//===- WalkBounds.h - The bounds of a mask as arithmetic --------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNTOONLINE_WALKBOUNDS_H
#define FOVEA_LIB_CONVERSION_ATTNTOONLINE_WALKBOUNDS_H

#include "fovea/Dialect/Attn/IR/Attn.h"

#include "mlir/IR/IRMapping.h"

#include <memory>
#include <vector>

namespace fovea {

struct KeyBounds;

/// i64 values of global key positions, as in KeyInterval.
struct WalkInterval {
  mlir::Value begin, end;
  mlir::Value fullBegin, fullEnd; ///< null: no key is known to be full
};

/// What a target asks of bounds.
struct WalkRequest {
  unsigned indexBits = 32;
  /// As in findKeyBounds.
  unsigned maxCases = 0;
};

/// What the mask analysis finds of an op's mask, for any launch.
class WalkBounds {
public:
  WalkBounds(mlir::attn::AttentionOp op, const WalkRequest &request);
  ~WalkBounds();

  bool isClosedForm() const;
  llvm::StringRef reason() const;

  struct Limits {
    mlir::Value firstRow, lastRow, firstKey, endKey;
  };
  /// The intervals, ascending. `mapping` has the values that the mask's
  /// arguments but its positions, and the sizes that it asks for, stand for.
  llvm::SmallVector<WalkInterval, 2> emit(mlir::OpBuilder &builder,
                                          mlir::Location loc,
                                          const Limits &limits,
                                          const mlir::IRMapping &mapping) const;

private:
  /// Of each node of the mask's region a value that it is.
  std::vector<mlir::Value> values;
  std::unique_ptr<KeyBounds> bounds;
};

} // namespace fovea

#endif // FOVEA_LIB_CONVERSION_ATTNTOONLINE_WALKBOUNDS_H
