//===- Repeats.cpp - Calls like earlier ones ------------------------------===//
#include "Repeats.h"

#include <cmath>
#include <cstring>

using namespace fovea::python;

namespace {
/// Of torch; it lives as long as the interpreter.
std::optional<Exchange> exchange;
PyObject *emptyLike = nullptr;

enum : int32_t { onHost = 1, onCuda = 2 };
constexpr size_t maxTensors = 32, maxRank = 8;
constexpr int itemSizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 2, 2, 4, 8};

bool isTrue(nb::handle object, PyObject *attribute) {
  nb::object value = nb::steal(PyObject_GetAttr(object.ptr(), attribute));
  if (!value.is_valid())
    PyErr_Clear();
  return value.ptr() != Py_False;
}

/// Bits of numbers that a view negates: those of complex tensors' parts.
bool isNegated(nb::handle object) {
  static PyObject *name = PyUnicode_InternFromString("is_neg");
  nb::object value = nb::steal(PyObject_CallMethodNoArgs(object.ptr(), name));
  if (!value.is_valid())
    PyErr_Clear();
  return value.ptr() != Py_False;
}
} // namespace

/// The tensors of a call as the C interface takes them, and the numbers that
/// tell it from others.
struct Repeats::Call {
  bool read(nb::handle inputs, nb::handle captures);
  uint64_t hash() const;

  fovea_tensor tensors[maxTensors];
  int64_t numbers[maxTensors * (2 + 2 * maxRank)];
  size_t count = 0, length = 0;
  DLTensor first;

private:
  bool add(nb::handle object);
  bool addAll(nb::handle sequence);
};

bool Repeats::Call::add(nb::handle object) {
  static PyObject *requiresGrad = PyUnicode_InternFromString("requires_grad");
  DLTensor given;
  if (count == maxTensors || !exchange->owns(object) ||
      isTrue(object, requiresGrad) || !exchange->describe(object, given))
    return false;
  int32_t dtype = dtypeOf(given);
  if (dtype < 0 || given.rank < 0 || given.rank > int32_t(maxRank) ||
      (given.rank && (!given.sizes || !given.strides)) ||
      (given.deviceType != onHost && given.deviceType != onCuda) ||
      (dtype != FOVEA_BF16 && isNegated(object)))
    return false;
  auto address = reinterpret_cast<uintptr_t>(given.data) + given.byteOffset;
  if (!address || address % itemSizes[dtype] != 0)
    return false;
  if (count == 0)
    first = given;
  else if (given.deviceType != first.deviceType ||
           given.deviceId != first.deviceId)
    return false;
  size_t rank = static_cast<size_t>(given.rank);
  int64_t *own = numbers + length;
  own[0] =
      dtype + (int64_t(given.rank) << 8) + (int64_t(given.deviceType) << 16);
  own[1] = given.deviceId;
  std::memcpy(own + 2, given.sizes, rank * sizeof *own);
  std::memcpy(own + 2 + rank, given.strides, rank * sizeof *own);
  length += 2 + 2 * rank;
  fovea_tensor &tensor = tensors[count++];
  tensor = {};
  tensor.struct_size = sizeof tensor;
  tensor.data = reinterpret_cast<void *>(address);
  tensor.dtype = dtype;
  tensor.rank = given.rank;
  tensor.sizes = own + 2;
  tensor.strides = own + 2 + rank;
  tensor.device_type = given.deviceType == onCuda ? FOVEA_CUDA : FOVEA_CPU;
  tensor.device_id = given.deviceId;
  return true;
}

bool Repeats::Call::addAll(nb::handle sequence) {
  PyObject *list = sequence.ptr();
  if (!PyList_Check(list) && !PyTuple_Check(list))
    return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); ++i)
    if (!add(PySequence_Fast_GET_ITEM(list, i)))
      return false;
  return true;
}

bool Repeats::Call::read(nb::handle inputs, nb::handle captures) {
  return exchange && addAll(inputs) && count == 3 && addAll(captures);
}

uint64_t Repeats::Call::hash() const {
  uint64_t value = length;
  for (size_t i = 0; i < length; ++i)
    value = (value ^ static_cast<uint64_t>(numbers[i])) * 0x9e3779b97f4a7c15u +
            (value >> 29);
  return value;
}

void Repeats::remember(nb::handle inputs, nb::handle captures, double scale,
                       nb::object make) {
  Call call;
  if (!call.read(inputs, captures))
    return;
  if (known.size() >= limit)
    known.clear();
  std::vector<int64_t> key(call.numbers, call.numbers + call.length);
  known.insert_or_assign(call.hash(),
                         Known{std::move(key), scale, std::move(make)});
}

nb::object Repeats::run(fovea_kernel *kernel, nb::handle inputs,
                        nb::handle captures, nb::handle scale) {
  Call call;
  if (!call.read(inputs, captures))
    return nb::none();
  auto found = known.find(call.hash());
  if (found == known.end() || found->second.key.size() != call.length ||
      std::memcmp(found->second.key.data(), call.numbers,
                  call.length * sizeof *call.numbers) != 0)
    return nb::none();
  double factor =
      scale.is_none() ? found->second.scale : readDouble(scale.ptr());
  nb::object make = found->second.make;
  PyObject *q = PySequence_Fast_GET_ITEM(inputs.ptr(), 0);
  nb::object result =
      nb::steal(make.is_none() ? PyObject_CallOneArg(emptyLike, q)
                               : PyObject_CallNoArgs(make.ptr()));
  if (!result.is_valid())
    throw nb::python_error();
  size_t captured = call.count - 3;
  DLTensor out;
  std::optional<void *> stream = nullptr;
  if (call.first.deviceType == onCuda)
    stream = exchange->currentStream(call.first);
  if (!stream || !exchange->describe(result, out))
    return nb::none();
  fovea_tensor written = call.tensors[0];
  written.data = static_cast<char *>(out.data) + out.byteOffset;
  written.rank = out.rank;
  written.sizes = out.sizes;
  written.strides = out.strides;
  fovea_launch launch = {};
  launch.struct_size = sizeof launch;
  launch.queries = &call.tensors[0];
  launch.keys = &call.tensors[1];
  launch.num_pairs = 1;
  launch.value = &call.tensors[2];
  launch.out = &written;
  launch.captures = call.tensors + 3;
  launch.num_captures = captured;
  launch.scales = &factor;
  launch.stream = *stream;
  launch.should_cancel = signalsPending;
  check([&](fovea_message *message) {
    WithoutGIL released;
    return fovea_kernel_launch(kernel, &launch, message);
  });
  return result;
}

bool fovea::python::setTensorType(nb::handle type, nb::object make) {
  exchange = Exchange::find(type);
  if (exchange)
    emptyLike = make.release().ptr();
  return exchange.has_value();
}
