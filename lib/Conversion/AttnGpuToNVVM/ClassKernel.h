//===- ClassKernel.h - Kernels that read the classes of tiles ---*- C++ -*-===//
//
// What runs ahead of attention under a block mask: one warp a list, which it
// writes from the classes of a row of tiles, or of several (Lists.cpp,
// Joints.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_CLASSKERNEL_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_CLASSKERNEL_H

#include "Kernel.h"
#include "ListSizes.h"
#include "Prologue.h"

namespace fovea::gpu {

/// Conditions are i1, numbers i32.
class ClassKernel : public PrologueKernel {
public:
  /// `offset` bytes into the scratch memory the lists begin.
  ClassKernel(MLIRContext *context, const ListInfo &list,
              llvm::json::Value offset)
      : PrologueKernel(context), list(list), sizes(list.step, list.groups),
        offset(std::move(offset)) {
    grid = sizes.lists;
  }

protected:
  using P = LLVM::ICmpPredicate;

  void addArguments() override;
  /// Of a block of one warp, a list each: what is below.
  void findList();
  /// Makes `classes` those of a batch and head.
  void enterPlane(Value plane);
  void setTile(Value plane, Value tile);
  /// Where the classes of a row of tiles begin.
  Value findRow(Value row);

  /// What a row has of an element: whether there is one, whether it is of a
  /// full tile, whether the length does not cut it, and whether both.
  struct Element {
    Value isSeen, isFull, isUncut, isWhole;
  };
  Element read(Value row, Value element) {
    return decode(load(row, element), element);
  }
  /// The same in two steps: the class, and what it says.
  Value load(Value row, Value element);
  Element decode(Value kind, Value element);

  /// How often a condition holds: on lower lanes, and on all.
  std::pair<Value, Value> count(Value condition);

  Value both(Value x, Value y) { return e.land(x, y); }
  Value either(Value x, Value y) { return e.lor(x, y); }
  Value no(Value x) { return e.lxor(x, e.c(1, e.i1)); }
  Value less(Value x, Value y) { return e.icmp(P::slt, x, y); }
  Value equal(Value x, int64_t y) { return e.icmp(P::eq, x, e.c(y)); }
  Value equal(Value x, Value y) { return e.icmp(P::eq, x, y); }
  Value isSome(Value x) { return e.icmp(P::sgt, x, e.c(0)); }
  Value number(Value condition) { return e.zextTo32(condition); }

  ListInfo list;
  ListSizes sizes;
  Value keyTile, length, elements;
  /// Of a batch and head: how many lists there are.
  Value rows;
  /// The list's number in its batch and head; where its words go.
  Value tile, target, lane;

private:
  llvm::json::Value offset;
  Value classes, strides[4], heads, lists, pitch;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_CLASSKERNEL_H
