//===- ShapedLaunch.h - A program and a launch of it ------------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_SHAPEDLAUNCH_H
#define FOVEA_TEST_UNIT_SHAPEDLAUNCH_H

#include "fovea/Frontend/Attn.h"
#include "fovea/Runtime/Launch.h"

#include "gtest/gtest.h"

#include <cmath>

namespace fovea::test {

struct Shape {
  int64_t B = 1, H = 2, Hk = 1, M = 5, N = 7, D = 4, E = 3;
};

/// A program from .attn text, and a launch of it that lacks its tensors: whole
/// lengths from position 0.
struct ShapedLaunch {
  ShapedLaunch(llvm::StringRef text, Shape shape, DType dtype) : shape(shape) {
    std::string messages;
    llvm::raw_string_ostream os(messages);
    auto programs = parseAttn(text, "test.attn", {}, os);
    EXPECT_TRUE(succeeded(programs)) << messages;
    if (succeeded(programs))
      program = programs->front();
    program.dtype = dtype;
    program.headDims = {shape.D};
    program.valueDim = shape.E;
    view.batch = shape.B;
    view.queryHeads = shape.H;
    view.kvHeads = shape.Hk;
    view.queryLength = shape.M;
    view.kvLength = shape.N;
    view.valueDim = shape.E;
    view.scales = {1 / std::sqrt(static_cast<double>(shape.D))};
    view.qOffset.assign(shape.B, 0);
    view.kvOffset.assign(shape.B, 0);
    view.qLengths.assign(shape.B, shape.M);
    view.kvLengths.assign(shape.B, shape.N);
  }

  /// Elements without gaps, in memory that the caller gives.
  static TensorView contiguous(llvm::ArrayRef<int64_t> sizes, DType dtype) {
    TensorView made;
    made.dtype = dtype;
    made.sizes.assign(sizes.begin(), sizes.end());
    made.strides.resize(sizes.size());
    int64_t count = 1;
    for (size_t i = sizes.size(); i-- > 0; count *= sizes[i])
      made.strides[i] = count;
    return made;
  }

  Shape shape;
  Program program;
  LaunchView view;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_SHAPEDLAUNCH_H
