//===- RandomMask.h - Masks and scores for fuzzing ---------------*- C++-*-===//
#ifndef FOVEA_TEST_UNIT_ANALYSIS_RANDOMMASK_H
#define FOVEA_TEST_UNIT_ANALYSIS_RANDOMMASK_H

#include "AnalysisTestSupport.h"

namespace fovea::test {

/// Random regions over everything that S8 and S13 have.
class RandomRegion {
  using K = NodeKind;

public:
  RandomRegion(std::mt19937 &random, RegionKind kind)
      : random(random), b(kind) {
    if (kind == RegionKind::Score)
      floats.push_back(b.arg("s"));
    for (const char *name : {"q", "kv", "h", "b"})
      ints.push_back(b.arg(name));
    for (int64_t c : {-3, 0, 1, 2, 5, 16, 40})
      ints.push_back(b.constant(c));
    ints.push_back(b.constant(choose<int64_t>({INT64_MIN, INT64_MAX, -1, 7})));
    for (double c : {0.0, -0.5, 2.0, -HUGE_VAL})
      floats.push_back(b.real(c));
    bools.push_back(b.boolean(random() % 2));
  }

  Region make(bool onlyIntegers) {
    bool score = b.region.args.front() == "s";
    for (int i = 0, count = 6 + random() % 24; i < count; ++i) {
      switch (random() % (onlyIntegers ? 6 : 10)) {
      case 0:
      case 1:
      case 2:
        addInteger();
        break;
      case 3:
      case 4:
        addCondition();
        break;
      case 5:
        addSelect();
        break;
      case 6:
        ints.push_back(b.op(K::ToInt, {recent(floats)}));
        break;
      case 7:
        addConversion();
        break;
      default:
        addFloat();
      }
    }
    if (score)
      return b.finish(
          b.op(K::Select, {recent(bools), recent(floats), recent(floats)}));
    addCondition();
    return b.finish(
        b.op(random() % 2 ? K::BOr : K::BAnd, {recent(bools), bools.back()}));
  }

private:
  template <typename T> T choose(std::initializer_list<T> from) {
    return from.begin()[random() % from.size()];
  }
  unsigned recent(const std::vector<unsigned> &from) {
    size_t span = random() % 2 ? std::min<size_t>(from.size(), 4) : from.size();
    return from[from.size() - 1 - random() % span];
  }
  void addInteger() {
    if (random() % 4 == 0) {
      bool plane = random() % 2;
      ints.push_back(
          plane ? b.read(1, ValueType::I64, {recent(ints), recent(ints)})
                : b.read(0, ValueType::I64, {recent(ints)}));
      return;
    }
    auto kind =
        static_cast<K>(unsigned(K::IAdd) +
                       random() % (unsigned(K::Shr) - unsigned(K::IAdd) + 1));
    ints.push_back(getSignature(kind).operands.size() == 1
                       ? b.op(kind, {recent(ints)})
                       : b.op(kind, {recent(ints), recent(ints)}));
  }
  void addCondition() {
    switch (random() % 4) {
    case 0:
      bools.push_back(b.op(choose({K::BAnd, K::BOr, K::BXor}),
                           {recent(bools), recent(bools)}));
      return;
    case 1:
      if (floats.size() > 6) {
        bools.push_back(
            b.op(choose({K::FEq, K::FNe, K::FLt, K::FLe, K::FGt, K::FGe}),
                 {recent(floats), recent(floats)}));
        return;
      }
      bools.push_back(b.op(K::BNot, {recent(bools)}));
      return;
    default:
      bools.push_back(
          b.op(choose({K::IEq, K::INe, K::ILt, K::ILe, K::IGt, K::IGe}),
               {recent(ints), recent(ints)}));
    }
  }
  void addSelect() {
    unsigned condition = recent(bools);
    if (random() % 2)
      ints.push_back(b.op(K::Select, {condition, recent(ints), recent(ints)}));
    else
      bools.push_back(
          b.op(K::Select, {condition, recent(bools), recent(bools)}));
  }
  void addConversion() {
    switch (random() % 3) {
    case 0:
      floats.push_back(b.op(K::I64ToF, {recent(ints)}));
      return;
    case 1:
      floats.push_back(b.op(K::I1ToF, {recent(bools)}));
      return;
    default:
      ints.push_back(b.op(K::I1ToI64, {recent(bools)}));
    }
  }
  void addFloat() {
    if (random() % 5 == 0) {
      floats.push_back(b.read(2, ValueType::F, {recent(ints)}));
      return;
    }
    auto first = unsigned(K::FAdd), count = unsigned(K::Pow) - first + 1;
    auto maths = unsigned(K::Exp), more = unsigned(K::Silu) - maths + 1;
    unsigned pick = random() % (2 * count + more + 2);
    if (pick < 2 * count) {
      auto kind = static_cast<K>(first + pick % count);
      floats.push_back(getSignature(kind).operands.size() == 1
                           ? b.op(kind, {recent(floats)})
                           : b.op(kind, {recent(floats), recent(floats)}));
    } else if (pick < 2 * count + more) {
      floats.push_back(
          b.op(static_cast<K>(maths + pick - 2 * count), {recent(floats)}));
    } else {
      floats.push_back(
          b.op(K::Select, {recent(bools), recent(floats), recent(floats)}));
    }
  }

  std::mt19937 &random;
  Builder b;
  std::vector<unsigned> ints, bools, floats;
};

/// Captures that they read.
struct Tables {
  explicit Tables(std::mt19937 &random) {
    for (int i = 0; i < 300; ++i)
      line.push_back(int32_t(random() % 60) - 10);
    for (int i = 0; i < 12 * 20; ++i)
      plane.push_back(int64_t(random() % 50) - 5);
    for (int i = 0; i < 90; ++i)
      real.push_back(float(int(random() % 40) - 20) / 4);
    real[17] = -HUGE_VALF;
    real[40] = NAN;
    views = {viewOf(line, DType::I32, {300}),
             viewOf(plane, DType::I64, {12, 20}),
             viewOf(real, DType::F32, {90})};
    captures = {{"line", DType::I32, 1, {}, std::nullopt},
                {"plane", DType::I64, 2, {}, std::nullopt},
                {"real", DType::F32, 1, {}, std::nullopt}};
  }
  std::vector<int32_t> line;
  std::vector<int64_t> plane;
  std::vector<float> real;
  std::vector<TensorView> views;
  std::vector<Capture> captures;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_ANALYSIS_RANDOMMASK_H
