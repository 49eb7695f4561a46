//===- CudaMaps.cpp - Tensor maps, kept -----------------------------------===//
#include "CudaMaps.h"
#include "CudaFunctions.h"
#include "fovea/Runtime/Error.h"

using namespace fovea;
using llvm::Twine;

namespace {
constexpr size_t keptMaps = 256;
constexpr int64_t alignment = 16; // bytes, of address and strides
constexpr int64_t strideLimit = int64_t(1) << 40; // bytes

std::string tensorName(const KernelManifest &manifest, unsigned tensor) {
  constexpr const char *names[] = {"q",   "k",          "v", "out",
                                   "lse", "block_mask", "q"};
  return tensor < FirstCapture ? names[tensor]
                               : manifest.captures[tensor - FirstCapture];
}

/// Sizes and strides of a map, ready for the driver.
struct Shape {
  llvm::SmallVector<uint64_t, 5> sizes, strides; // strides in bytes
};

llvm::Expected<Shape> computeShape(const KernelManifest &manifest,
                                   const KernelArgument &argument,
                                   const LaunchValues &values, int64_t bytes) {
  const LaunchValues::Tensor &tensor = values.tensors[argument.tensor];
  auto refuse = [&](const Twine &rule, const Twine &got) {
    return invalid(tensorName(manifest, argument.tensor) + rule + " on " +
                   manifest.arch + got);
  };
  if (!tensor.strides.empty() && tensor.strides.back() != 1 &&
      tensor.sizes.back() > 1)
    return refuse(": last stride must be 1",
                  ", got " + Twine(tensor.strides.back()));
  if (tensor.address % alignment != 0)
    return refuse(": data must be aligned to 16 bytes", "");
  Shape shape;
  for (const LaunchExpr &size : argument.sizes) // the driver takes no 0
    shape.sizes.push_back(
        static_cast<uint64_t>(std::max<int64_t>(size.evaluate(values), 1)));
  for (auto [i, expr] : llvm::enumerate(argument.strides)) {
    int64_t stride = expr.evaluate(values) * bytes;
    // What is never stepped over may have any stride.
    if (shape.sizes[i + 1] == 1)
      stride = alignment;
    if (stride < 0 || stride >= strideLimit || stride % alignment != 0)
      return refuse(": strides must be multiples of " +
                        Twine(alignment / bytes) + " elements and not negative",
                    ", got " + Twine(stride / bytes));
    shape.strides.push_back(static_cast<uint64_t>(stride));
  }
  return shape;
}

/// CUtensorMapDataType of a working type, and its bytes.
std::pair<int, int64_t> elementOf(const KernelManifest &manifest) {
  if (manifest.dtype == "f16")
    return {6, 2};
  if (manifest.dtype == "f32")
    return {7, 4};
  return {9, 2}; // bf16
}
} // namespace

llvm::Error TensorMapCache::find(CudaDriver &driver,
                                 const KernelManifest &manifest,
                                 const KernelArgument &argument,
                                 const LaunchValues &values, TensorMap &out) {
  auto [type, bytes] = elementOf(manifest);
  auto shape = computeShape(manifest, argument, values, bytes);
  if (!shape)
    return shape.takeError();
  int64_t address = values.tensors[argument.tensor].address;
  if (address == 0) // an empty tensor, whose map nothing reads through
    address = values.tensors[QTensor].address;
  Key key{&argument - manifest.arguments.data(), address};
  key.insert(key.end(), shape->sizes.begin(), shape->sizes.end());
  key.insert(key.end(), shape->strides.begin(), shape->strides.end());
  std::lock_guard<std::mutex> lock(mutex);
  auto it = maps.find(key);
  if (it == maps.end()) {
    const int swizzle = argument.swizzle == 128  ? 3
                        : argument.swizzle == 64 ? 2
                        : argument.swizzle == 32 ? 1
                                                 : 0;
    const int promotion = argument.promotion == 256   ? 3
                          : argument.promotion == 128 ? 2
                          : argument.promotion == 64  ? 1
                                                      : 0;
    const uint32_t steps[5] = {1, 1, 1, 1, 1};
    TensorMap made;
    int status = driver.functions().encodeTensorMap(
        made.bytes, type, static_cast<uint32_t>(shape->sizes.size()),
        reinterpret_cast<void *>(address), shape->sizes.data(),
        shape->strides.data(), argument.box.data(), steps, 0, swizzle,
        promotion, 0);
    if (llvm::Error error = driver.check(
            status, "tensor map of " + tensorName(manifest, argument.tensor) +
                        " for kernel '" + manifest.name + "'"))
      return error;
    if (maps.size() >= keptMaps)
      maps.clear();
    it = maps.emplace(std::move(key), made).first;
  }
  out = it->second;
  return llvm::Error::success();
}
