//===- TensorViewTest.cpp - Elements of tensors ---------------------------===//

#include "fovea/Runtime/TensorView.h"

#include "gtest/gtest.h"

#include <cmath>

using namespace fovea;

namespace {

TEST(TensorView, HalfAndBfloatRoundTripAllValues) {
  for (DType dtype : {DType::F16, DType::BF16})
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      uint16_t in = static_cast<uint16_t>(bits), out = 0;
      TensorView source, target;
      source.dtype = target.dtype = dtype;
      source.data = &in;
      target.data = &out;
      double value = source.loadFloat(0);
      target.storeFloat(0, value);
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(target.loadFloat(0)));
      else
        EXPECT_EQ(in, out) << "value " << value;
    }
}

TEST(TensorView, RoundsToNearestEvenAndSaturatesToInfinity) {
  uint16_t bits = 0;
  TensorView half;
  half.dtype = DType::F16;
  half.data = &bits;
  auto round = [&](double value) {
    half.storeFloat(0, value);
    return half.loadFloat(0);
  };
  EXPECT_EQ(round(1 + 0x1p-11), 1); // a tie goes to even
  EXPECT_EQ(round(1 + 3 * 0x1p-11), 1 + 0x1p-9);
  EXPECT_EQ(round(65519.99), 65504);
  EXPECT_EQ(round(65520), HUGE_VAL);
  EXPECT_EQ(round(0x1p-25), 0);
  EXPECT_EQ(round(0x1.8p-25), 0x1p-24);
  half.dtype = DType::BF16;
  EXPECT_EQ(round(1 + 0x1p-8), 1);
  EXPECT_EQ(round(3.5e38), HUGE_VAL);
}

} // namespace
