//===- TensorView.cpp - Tensors as the engines see them -------------------===//
#include "fovea/Runtime/TensorView.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <cstring>

using namespace fovea;

int64_t fovea::getBytes(DType dtype) {
  switch (dtype) {
  case DType::I1:
  case DType::I8:
  case DType::UI8:
    return 1;
  case DType::I16:
  case DType::UI16:
  case DType::F16:
  case DType::BF16:
    return 2;
  case DType::I32:
  case DType::UI32:
  case DType::F32:
    return 4;
  case DType::I64:
  case DType::F64:
    return 8;
  }
  return 0;
}

int64_t TensorView::numElements() const {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  return count;
}

int64_t TensorView::offset(llvm::ArrayRef<int64_t> index) const {
  int64_t result = 0;
  for (size_t i = 0; i < index.size(); ++i)
    result += index[i] * strides[i];
  return result;
}

namespace {
template <typename T> T load(const void *data, int64_t offset) {
  return static_cast<const T *>(data)[offset];
}

double halfToDouble(uint16_t bits) {
  double sign = bits & 0x8000 ? -1.0 : 1.0;
  int exponent = (bits >> 10) & 31;
  int fraction = bits & 1023;
  if (exponent == 31)
    return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0)
    return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(fraction + 1024, exponent - 25);
}

double bfloatToDouble(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

/// Rounds to nearest even at `digits` bits of precision, with the smallest
/// normal exponent and the largest finite value of the format.
double roundTo(double value, int digits, int minExponent) {
  if (!std::isfinite(value) || value == 0)
    return value;
  int exponent = std::max(std::ilogb(value), minExponent);
  double unit = std::ldexp(1.0, exponent - digits + 1);
  return std::nearbyint(value / unit) * unit;
}

uint16_t doubleToHalf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value))
    return sign | 0x7e00;
  double rounded = std::fabs(roundTo(value, 11, -14));
  if (rounded > 65504)
    return sign | 0x7c00;
  if (rounded < 0x1p-14)
    return sign | static_cast<uint16_t>(rounded * 0x1p24);
  int exponent = std::ilogb(rounded);
  auto fraction = static_cast<uint16_t>(std::ldexp(rounded, 10 - exponent));
  return sign | static_cast<uint16_t>((exponent + 15) << 10) |
         (fraction & 1023);
}

uint16_t doubleToBfloat(double value) {
  if (std::isnan(value))
    return 0x7fc0;
  // Rounded once, from f64; the sum of the two is exact in f32.
  auto rounded = static_cast<float>(roundTo(value, 8, -126));
  uint32_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}
} // namespace

double TensorView::loadFloat(int64_t at) const {
  switch (dtype) {
  case DType::F16:
    return halfToDouble(load<uint16_t>(data, at));
  case DType::BF16:
    return bfloatToDouble(load<uint16_t>(data, at));
  case DType::F32:
    return load<float>(data, at);
  case DType::F64:
    return load<double>(data, at);
  default:
    return static_cast<double>(loadInt(at));
  }
}

int64_t TensorView::loadInt(int64_t at) const {
  switch (dtype) {
  case DType::I1:
    return load<uint8_t>(data, at) != 0;
  case DType::I8:
    return load<int8_t>(data, at);
  case DType::UI8:
    return load<uint8_t>(data, at);
  case DType::I16:
    return load<int16_t>(data, at);
  case DType::UI16:
    return load<uint16_t>(data, at);
  case DType::I32:
    return load<int32_t>(data, at);
  case DType::UI32:
    return load<uint32_t>(data, at);
  case DType::I64:
    return load<int64_t>(data, at);
  default:
    return static_cast<int64_t>(loadFloat(at));
  }
}

void TensorView::storeFloat(int64_t at, double value) const {
  switch (dtype) {
  case DType::F16:
    static_cast<uint16_t *>(data)[at] = doubleToHalf(value);
    return;
  case DType::BF16:
    static_cast<uint16_t *>(data)[at] = doubleToBfloat(value);
    return;
  case DType::F32:
    static_cast<float *>(data)[at] = static_cast<float>(value);
    return;
  case DType::F64:
    static_cast<double *>(data)[at] = value;
    return;
  default:
    return;
  }
}

void TensorView::storeInt(int64_t at, int64_t value) const {
  if (dtype == DType::I1)
    value = value != 0;
  switch (getBytes(dtype)) {
  case 1:
    static_cast<uint8_t *>(data)[at] = static_cast<uint8_t>(value);
    return;
  case 2:
    static_cast<uint16_t *>(data)[at] = static_cast<uint16_t>(value);
    return;
  case 4:
    static_cast<uint32_t *>(data)[at] = static_cast<uint32_t>(value);
    return;
  default:
    static_cast<int64_t *>(data)[at] = value;
  }
}

int64_t RegionSizes::get(llvm::StringRef name) const {
  return llvm::StringSwitch<int64_t>(name)
      .Case("B", B)
      .Case("H", H)
      .Case("Hk", Hk)
      .Case("M", M)
      .Case("N", N)
      .Case("D", D)
      .Case("E", E)
      .Default(0);
}
