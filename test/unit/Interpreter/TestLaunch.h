//===- TestLaunch.h - Small launches with their memory ----------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_INTERPRETER_TESTLAUNCH_H
#define FOVEA_TEST_UNIT_INTERPRETER_TESTLAUNCH_H

#include "../ShapedLaunch.h"

#include <deque>
#include <random>

namespace fovea::test {

/// A launch on random f64 data. Tensors can be narrowed afterwards.
struct TestLaunch : ShapedLaunch {
  TestLaunch(llvm::StringRef text, Shape shape = {})
      : ShapedLaunch(text, shape, DType::F64) {
    view.queries = {random({shape.B, shape.H, shape.M, shape.D})};
    view.keys = {random({shape.B, shape.Hk, shape.N, shape.D})};
    view.value = random({shape.B, shape.Hk, shape.N, shape.E});
    view.out = random({shape.B, shape.H, shape.M, shape.E});
    view.lse = random({shape.B, shape.H, shape.M});
  }

  TensorView tensor(llvm::ArrayRef<int64_t> sizes, DType type = DType::F64) {
    TensorView result = contiguous(sizes, type);
    memory.emplace_back(std::max<int64_t>(result.numElements(), 1) *
                        getBytes(type));
    result.data = memory.back().data();
    return result;
  }
  TensorView random(llvm::ArrayRef<int64_t> sizes, DType type = DType::F64) {
    TensorView result = tensor(sizes, type);
    for (int64_t i = 0, end = result.numElements(); i < end; ++i)
      result.storeFloat(i, normal(engine));
    return result;
  }
  TensorView floats(llvm::ArrayRef<double> values, DType type = DType::F32) {
    TensorView result = tensor({int64_t(values.size())}, type);
    for (size_t i = 0; i < values.size(); ++i)
      result.storeFloat(i, values[i]);
    return result;
  }
  TensorView ints(llvm::ArrayRef<int32_t> values) {
    TensorView result = tensor({int64_t(values.size())}, DType::I32);
    for (size_t i = 0; i < values.size(); ++i)
      static_cast<int32_t *>(result.data)[i] = values[i];
    return result;
  }

  double at(const TensorView &t, llvm::ArrayRef<int64_t> index) const {
    return t.loadFloat(t.offset(index));
  }
  /// scale · q · k of the first pair.
  double score(int64_t b, int64_t h, int64_t m, int64_t n) const {
    double sum = 0;
    for (int64_t d = 0; d < shape.D; ++d)
      sum += at(view.queries[0], {b, h, m, d}) *
             at(view.keys[0], {b, h / (shape.H / shape.Hk), n, d});
    return view.scales[0] * sum;
  }
  double value(int64_t b, int64_t h, int64_t n, int64_t e) const {
    return at(view.value, {b, h / (shape.H / shape.Hk), n, e});
  }
  double out(int64_t b, int64_t h, int64_t m, int64_t e) const {
    return at(view.out, {b, h, m, e});
  }
  double lse(int64_t b, int64_t h, int64_t m) const {
    return at(*view.lse, {b, h, m});
  }

private:
  std::deque<std::vector<char>> memory;
  std::mt19937_64 engine{17};
  std::normal_distribution<double> normal;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_INTERPRETER_TESTLAUNCH_H
