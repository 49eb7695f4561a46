//===- CheckTensors.cpp - Tensors and captures of the C ABI ---------------===//
#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <algorithm>
#include <tuple>

using namespace fovea;
using llvm::Twine;

std::string fovea::dims(llvm::ArrayRef<int64_t> sizes) {
  std::string text = "(";
  for (size_t i = 0; i < sizes.size(); ++i)
    text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + ")";
}

/// Bytes between the first and the last element, or none where that overflows.
static bool spanFits(const TensorView &tensor) {
  int64_t span = 0, count = 1;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    int64_t reach, stride = tensor.strides[i];
    if (stride == INT64_MIN ||
        __builtin_mul_overflow(tensor.sizes[i] - 1,
                               stride < 0 ? -stride : stride, &reach) ||
        __builtin_add_overflow(span, reach, &span) ||
        __builtin_mul_overflow(count, tensor.sizes[i], &count))
      return false;
  }
  return !__builtin_mul_overflow(span, getBytes(tensor.dtype), &span) &&
         span < (int64_t(1) << 62);
}

llvm::Expected<TensorView> fovea::checkTensor(const fovea_tensor &tensor,
                                              llvm::StringRef name,
                                              int64_t rank,
                                              fovea_device device) {
  if (tensor.struct_size != sizeof(fovea_tensor))
    return invalid(name + ": struct_size of the tensor must be " +
                   Twine(sizeof(fovea_tensor)) + ", got " +
                   Twine(tensor.struct_size));
  if (tensor.dtype < FOVEA_I1 || tensor.dtype > FOVEA_F64)
    return makeError(FOVEA_TYPE_ERROR,
                     name + ": unknown dtype " + Twine(tensor.dtype));
  if (tensor.device_type != device)
    return invalid(name + ": must be in " +
                   (device == FOVEA_CPU ? "host memory" : "CUDA memory") +
                   ", got device type " + Twine(tensor.device_type));
  if (tensor.rank != rank)
    return invalid(name + ": rank must be " + Twine(rank) + ", got " +
                   Twine(tensor.rank));
  if (rank > 0 && (!tensor.sizes || !tensor.strides))
    return invalid(name + ": sizes and strides must not be null");
  TensorView view;
  view.data = tensor.data;
  view.dtype = static_cast<DType>(tensor.dtype);
  view.sizes.assign(tensor.sizes, tensor.sizes + rank);
  view.strides.assign(tensor.strides, tensor.strides + rank);
  bool empty = false;
  for (int64_t size : view.sizes) {
    if (size < 0)
      return invalid(name + ": sizes must not be negative, got " +
                     dims(view.sizes));
    empty |= size == 0;
  }
  if (empty)
    return std::move(view);
  if (!view.data)
    return invalid(name + ": data must not be null");
  if (!spanFits(view))
    return invalid(name + ": the sizes " + dims(view.sizes) + " and strides " +
                   dims(view.strides) + " reach beyond 2^62 bytes");
  if (reinterpret_cast<uintptr_t>(view.data) % getBytes(view.dtype) != 0)
    return invalid(name + ": data must be aligned to its " +
                   Twine(getBytes(view.dtype)) + "-byte elements");
  return std::move(view);
}

llvm::Error fovea::checkCaptures(const Program &program,
                                 const fovea_tensor *captures, size_t count,
                                 llvm::SmallVectorImpl<TensorView> &out,
                                 fovea_device device) {
  if (count != program.captures.size())
    return invalid("captures: must be " + Twine(program.captures.size()) +
                   ", got " + Twine(count));
  if (count > 0 && !captures)
    return invalid("captures: must not be null");
  for (size_t i = 0; i < count; ++i) {
    const Capture &capture = program.captures[i];
    auto view = checkTensor(captures[i], capture.name, capture.rank, device);
    if (!view)
      return view.takeError();
    if (view->dtype != capture.dtype)
      return makeError(FOVEA_TYPE_ERROR, capture.name + ": dtype must be " +
                                             stringify(capture.dtype) +
                                             ", got " + stringify(view->dtype));
    out.push_back(std::move(*view));
  }
  return llvm::Error::success();
}

llvm::Error fovea::checkDeclaredSizes(const Program &program,
                                      llvm::ArrayRef<TensorView> captures,
                                      const RegionSizes &sizes) {
  llvm::StringMap<std::pair<int64_t, llvm::StringRef>> bound;
  for (auto [capture, view] : llvm::zip(program.captures, captures))
    for (auto [at, dim] : llvm::enumerate(capture.dims)) {
      int64_t wanted = dim.value, got = view.sizes[at];
      llvm::StringRef first;
      if (!dim.isKnown())
        continue;
      if (isSizeName(dim.size))
        wanted = sizes.get(dim.size);
      else if (!dim.size.empty())
        std::tie(wanted, first) =
            bound.try_emplace(dim.size, got, capture.name).first->second;
      if (got == wanted)
        continue;
      std::string rule = std::to_string(wanted);
      if (!first.empty())
        rule += (", that of " + first).str();
      if (!dim.size.empty())
        rule = dim.size + " (" + rule + ")";
      return invalid(capture.name + ": dim " + Twine(at) + " must be " + rule +
                     ", got " + Twine(got));
    }
  return llvm::Error::success();
}

llvm::Error fovea::checkElements(const Program &program, bool hasPairs,
                                 bool hasFeatures,
                                 llvm::MutableArrayRef<TensorView> captures) {
  static int64_t zero = 0;
  for (auto [capture, view] : llvm::zip(program.captures, captures)) {
    if (!llvm::is_contained(view.sizes, 0))
      continue;
    bool ofFeatures = llvm::any_of(
        capture.dims, [](const Dim &dim) { return dim.size == "E"; });
    if (hasPairs && (hasFeatures || !ofFeatures))
      return invalid(capture.name + ": must have at least one element, got " +
                     dims(view.sizes));
    view.data = &zero;
    for (int64_t &size : view.sizes)
      size = std::max<int64_t>(size, 1);
    view.strides.assign(view.strides.size(), 0);
  }
  return llvm::Error::success();
}

llvm::Error fovea::checkConstantIndices(const Program &program,
                                        llvm::ArrayRef<ConstantIndex> indices,
                                        llvm::ArrayRef<TensorView> captures) {
  for (const ConstantIndex &at : indices) {
    llvm::ArrayRef<int64_t> sizes = captures[at.capture].sizes;
    int64_t extent = sizes[at.dim];
    if (llvm::is_contained(sizes, 0))
      return invalid(program.captures[at.capture].name +
                     ": must have at least one element, got " + dims(sizes));
    if (at.index < 0 ? at.index < -extent : at.index >= extent)
      return makeError(FOVEA_INDEX_ERROR,
                       program.captures[at.capture].name +
                           ": a constant index of dim " + Twine(at.dim) +
                           " must be in " + Twine(-extent) + "..." +
                           Twine(extent - 1) + " (extent " + Twine(extent) +
                           "), got " + Twine(at.index));
  }
  return llvm::Error::success();
}
