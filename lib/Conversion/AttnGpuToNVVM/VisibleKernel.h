//===- VisibleKernel.h - Kernels that ask a mask ----------------*- C++ -*-===//
//
// What runs ahead of attention under a mask without a closed form. Where it
// leaves what, in the launch's scratch memory: for each plane (a batch and head
// that the mask tells apart) the lists of its rows of tiles; hulls of tiles of
// keys, of spans of 32 of them, and of tiles of rows.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_VISIBLEKERNEL_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_VISIBLEKERNEL_H

#include "Bounds.h"
#include "ListSizes.h"
#include "MaskParts.h"
#include "Prologue.h"

namespace fovea::gpu {

/// Tiles of keys in a span: the bits of a word.
inline constexpr int64_t kSpanTiles = 32;

/// Places of hulls, as expressions of the manifest.
struct HullSizes {
  HullSizes(const MaskParts &parts, const ListSizes &lists,
            llvm::json::Value offset);

  int64_t keyHulls, rowHulls;
  llvm::json::Value spans, keyTiles, keySpans, rowTiles, end;
};

class VisibleKernel : public PrologueKernel, protected TensorAccess {
protected:
  VisibleKernel(const MaskParts &parts, int64_t tileRows, int64_t tileKeys,
                ListSizes lists, HullSizes hulls)
      : PrologueKernel(parts.block().getParentOp()->getContext()), parts(parts),
        tileRows(tileRows), tileKeys(tileKeys), lists(std::move(lists)),
        hulls(std::move(hulls)), scalars(e, *this) {
    scalars.setExact(true);
  }

  void addMaskArguments();
  /// Values of a plane that depend on no position.
  void enterPlane(Value plane);
  void setPosition(BlockArgument argument, Value position) {
    known[argument] = scalars.index(position, 0, kMaxPosition);
  }
  /// The ops with one of these dependences: they are total.
  void evaluate(std::initializer_list<OnPosition> which);
  FailureOr<Scalar> evaluate(Operation *op);

  /// Slot `number` of the hulls at an index, of `count` each.
  Value hullAddress(Value base, Value index, int64_t count, size_t number);
  Bound loadHull(Type type, Value address);

  Value getPointer(Value memref) override { return tensor(memref).pointer; }
  Value getStride(Value memref, unsigned dim) override {
    return tensor(memref).strides[dim];
  }
  Value getSize(Value memref, unsigned dim) override {
    return tensor(memref).sizes[dim];
  }

  const MaskParts &parts;
  int64_t tileRows, tileKeys;
  ListSizes lists;
  HullSizes hulls;
  ScalarEmitter scalars;
  DenseMap<Value, Scalar> known;
  Value launchSizes[5], rows, elements, spans, heads, keyTiles, keySpans,
      rowTiles;
  Value &queries = launchSizes[3], &keys = launchSizes[4];

private:
  struct Tensor {
    Value pointer;
    SmallVector<Value, 4> strides, sizes;
  };
  Tensor &tensor(Value memref) { return *tensors.at(memref); }

  llvm::MapVector<Value, std::unique_ptr<Tensor>> tensors;
};

/// Writes hulls; null where there are none.
std::unique_ptr<PrologueKernel>
makeHullKernel(const MaskParts &parts, int64_t tileRows, int64_t tileKeys,
               const ListSizes &lists, const HullSizes &hulls);

/// Writes the lists, `offset` bytes into the scratch memory.
std::unique_ptr<PrologueKernel>
makeElementKernel(const MaskParts &parts, int64_t tileRows, int64_t tileKeys,
                  const ListSizes &lists, const HullSizes &hulls,
                  llvm::json::Value offset);

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_VISIBLEKERNEL_H
