//===- Repeats.cpp - Calls like earlier ones ------------------------------===//
#include "Repeats.h"
#include "Positions.h"

#include <cmath>
#include <cstring>

using namespace fovea::python;

namespace {
/// Of torch; it lives as long as the interpreter.
std::optional<Exchange> exchange;
PyObject *emptyLike = nullptr, *observer = nullptr;

enum : int32_t { onHost = 1, onCuda = 2 };

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

/// A tensor of torch that has elements.
bool describeTensor(nb::handle object, fovea_tensor &out, int64_t *sizes,
                    int64_t *strides) {
  static PyObject *requiresGrad = PyUnicode_InternFromString("requires_grad");
  DLTensor given;
  if (isTrue(object, requiresGrad) || !exchange->describe(object, given))
    return false;
  int32_t dtype = dtypeOf(given);
  if (dtype < 0 || given.rank < 0 || given.rank > Arrays::maxRank ||
      (given.rank && (!given.sizes || !given.strides)) ||
      (given.deviceType != onHost && given.deviceType != onCuda) ||
      (dtype != FOVEA_BF16 && isNegated(object)))
    return false;
  auto address = reinterpret_cast<uintptr_t>(given.data) + given.byteOffset;
  if (!address || address % static_cast<uintptr_t>(itemSizes[dtype]) != 0)
    return false;
  std::memcpy(sizes, given.sizes, size_t(given.rank) * sizeof *sizes);
  std::memcpy(strides, given.strides, size_t(given.rank) * sizeof *strides);
  out = {};
  out.struct_size = sizeof out;
  out.data = reinterpret_cast<void *>(address);
  out.dtype = dtype;
  out.rank = given.rank;
  out.sizes = sizes;
  out.strides = strides;
  out.device_type = given.deviceType == onCuda ? FOVEA_CUDA : FOVEA_CPU;
  out.device_id = given.deviceId;
  return true;
}

/// A number that is finite in the score type, as almost all are.
bool readScale(nb::handle given, int32_t dtype, double &scale) {
  if (PyFloat_CheckExact(given.ptr()))
    scale = PyFloat_AS_DOUBLE(given.ptr());
  else if (PyLong_CheckExact(given.ptr()))
    scale = PyLong_AsDouble(given.ptr());
  else
    return false;
  if (scale == -1 && PyErr_Occurred()) { // too large an int
    PyErr_Clear();
    return false;
  }
  constexpr double largest = 3.4028234663852886e38; // of float32
  return std::isfinite(scale) &&
         (dtype == FOVEA_F64 || std::fabs(scale) <= largest);
}

bool isZero(nb::handle number) {
  return PyLong_CheckExact(number.ptr()) && PyObject_IsTrue(number.ptr()) == 0;
}

/// A result and lse, as the C interface writes them.
struct Results {
  /// `made` is a result or a pair.
  bool read(nb::handle made);

  fovea_tensor out, lse;
  bool hasLse = false;

private:
  static bool describe(nb::handle made, fovea_tensor &tensor, int64_t *numbers);
  int64_t numbers[4 * Arrays::maxRank];
};

bool Results::describe(nb::handle made, fovea_tensor &tensor,
                       int64_t *numbers) {
  int64_t *strides = numbers + Arrays::maxRank;
  return Arrays::areOf(made)
             ? Arrays::describe(made, tensor, numbers, strides)
             : isTensor(made) && describeTensor(made, tensor, numbers, strides);
}

bool Results::read(nb::handle made) {
  hasLse = PyTuple_CheckExact(made.ptr());
  if (!hasLse)
    return describe(made, out, numbers);
  return PyTuple_GET_SIZE(made.ptr()) == 2 &&
         describe(PyTuple_GET_ITEM(made.ptr(), 0), out, numbers) &&
         describe(PyTuple_GET_ITEM(made.ptr(), 1), lse,
                  numbers + 2 * Arrays::maxRank);
}

/// Offsets and lengths that are not those that a call has by default.
struct ReadPositions {
  ReadPositions(nb::handle given, int64_t batch)
      : qOffset(item(given, 0), "q_offset", batch),
        kvOffset(item(given, 1), "kv_offset", batch),
        qLengths(item(given, 2), "q_lengths", batch),
        kvLengths(item(given, 3), "kv_lengths", batch) {}
  static nb::handle item(nb::handle given, Py_ssize_t i) {
    return PyTuple_GET_ITEM(given.ptr(), i);
  }
  Positions qOffset, kvOffset, qLengths, kvLengths;
};
} // namespace

bool CallOptions::havePositions() const {
  return !(qLengths.is_none() && kvLengths.is_none() && isZero(qOffset) &&
           isZero(kvOffset));
}

//===----------------------------------------------------------------------===//
// What a call takes
//===----------------------------------------------------------------------===//

bool Call::read(nb::handle object, fovea_tensor &out, int64_t *sizes,
                int64_t *strides) {
  bool plain = Arrays::areOf(object);
  // q, k and v are of one library; its captures are, or NumPy's.
  if (count == 0)
    isPlain = plain;
  else if (plain != isPlain && (count < 3 || isPlain))
    return false;
  if (plain)
    return Arrays::describe(object, out, sizes, strides);
  return isTensor(object) && describeTensor(object, out, sizes, strides);
}

bool Call::add(nb::handle object) {
  if (count == maxTensors)
    return false;
  int64_t sizes[Arrays::maxRank], strides[Arrays::maxRank];
  fovea_tensor &tensor = tensors[count];
  if (!read(object, tensor, sizes, strides) ||
      tensor.device_type != tensors[0].device_type ||
      tensor.device_id != tensors[0].device_id)
    return false;
  auto rank = static_cast<size_t>(tensor.rank);
  int64_t *own = numbers + length;
  own[0] = tensor.dtype + (int64_t(rank) << 8) +
           (int64_t(tensor.device_type) << 16) + (int64_t(isPlain) << 24);
  own[1] = tensor.device_id;
  std::memcpy(own + 2, sizes, rank * sizeof *own);
  std::memcpy(own + 2 + rank, strides, rank * sizeof *own);
  tensor.sizes = own + 2;
  tensor.strides = own + 2 + rank;
  length += 2 + 2 * rank;
  ++count;
  return true;
}

uint64_t Call::hash() const {
  uint64_t value = length;
  for (size_t i = 0; i < length; ++i)
    value = (value ^ static_cast<uint64_t>(numbers[i])) * 0x9e3779b97f4a7c15u +
            (value >> 29);
  return value;
}

//===----------------------------------------------------------------------===//
// The calls of a kernel
//===----------------------------------------------------------------------===//

std::shared_ptr<const Repeats::Known> Repeats::find(const Call &call) const {
  auto found = known.find(call.hash());
  if (found == known.end() || found->second->key.size() != call.length ||
      std::memcmp(found->second->key.data(), call.numbers,
                  call.length * sizeof *call.numbers) != 0)
    return nullptr;
  return found->second;
}

void Repeats::remember(nb::handle inputs, nb::handle captures, double scale,
                       nb::object make, nb::object geometry,
                       nb::object positions) {
  Call call;
  for (nb::handle sequence : {inputs, captures})
    for (nb::handle object : sequence)
      if (!call.add(object))
        return;
  auto made = std::make_shared<Known>();
  made->key.assign(call.numbers, call.numbers + call.length);
  made->scale = scale;
  made->make = std::move(make);
  made->geometry = std::move(geometry);
  made->positions = std::move(positions);
  // What is let go may run code of Python's, which may come here.
  decltype(known) before;
  if (known.size() >= limit)
    before.swap(known);
  std::shared_ptr<const Known> &slot = known[call.hash()];
  std::shared_ptr<const Known> replaced = std::move(slot);
  slot = std::move(made);
}

int Repeats::traverse(visitproc visit, void *arg) const {
  for (auto &[hash, call] : known)
    if (call.use_count() == 1) {
      Py_VISIT(call->make.ptr());
      Py_VISIT(call->geometry.ptr());
      Py_VISIT(call->positions.ptr());
    }
  return 0;
}

void Repeats::forget() {
  decltype(known) before;
  before.swap(known);
}

/// What the result is written to; none where there is no memory for it.
static nb::object allocate(const nb::object &make, nb::handle q) {
  nb::object made =
      nb::steal(make.is_none() ? PyObject_CallOneArg(emptyLike, q.ptr())
                               : PyObject_CallNoArgs(make.ptr()));
  if (made.is_valid())
    return made;
  if (!PyErr_ExceptionMatches(PyExc_MemoryError))
    throw nb::python_error();
  PyErr_Clear();
  return nb::none();
}

static fovea_launch describeLaunch(const Call &call, const Results &results,
                                   const double &scale, void *stream) {
  fovea_launch launch = {};
  launch.struct_size = sizeof launch;
  launch.queries = &call.tensors[0];
  launch.keys = &call.tensors[1];
  launch.num_pairs = 1;
  launch.value = &call.tensors[2];
  launch.out = &results.out;
  launch.lse = results.hasLse ? &results.lse : nullptr;
  launch.captures = call.tensors + 3;
  launch.num_captures = call.count - 3;
  launch.scales = &scale;
  launch.stream = stream;
  launch.should_cancel = signalsPending;
  return launch;
}

nb::object Repeats::run(Call &call, nb::handle q, const Plan &plan,
                        const Plan::Found &objects, const CallOptions &options,
                        nb::object *geometry) {
  for (uint32_t slot : plan.captures())
    if (!call.add(objects[slot]))
      return nb::none();
  std::shared_ptr<const Known> found = find(call);
  double factor = 0;
  if (!found)
    return nb::none();
  if (options.scale.is_none())
    factor = found->scale;
  else if (!readScale(options.scale, call.tensors[0].dtype, factor))
    return nb::none();
  std::optional<ReadPositions> positions;
  if (options.havePositions())
    positions.emplace(found->positions(options.qOffset, options.kvOffset,
                                       options.qLengths, options.kvLengths),
                      call.tensors[0].sizes[0]);
  nb::object made = allocate(found->make, q);
  Results results;
  std::optional<void *> stream = nullptr;
  if (call.isOnCuda())
    stream = exchange->currentStream(onCuda, call.tensors[0].device_id);
  if (!stream || !results.read(made))
    return nb::none();
  fovea_launch launch = describeLaunch(call, results, factor, *stream);
  if (positions) {
    launch.q_offset = positions->qOffset.get();
    launch.kv_offset = positions->kvOffset.get();
    launch.q_lengths = positions->qLengths.get();
    launch.kv_lengths = positions->kvLengths.get();
  }
  fovea_message message;
  message.struct_size = sizeof message;
  message.text[0] = 0;
  fovea_status status;
  {
    WithoutGIL released;
    status = fovea_kernel_launch(kernel, &launch, &message);
  }
  // What is refused is refused again, by names that the user knows.
  if (status != FOVEA_OK && status != FOVEA_CANCELLED)
    return nb::none();
  if (status == FOVEA_CANCELLED)
    raise(status, message.text);
  if (geometry)
    *geometry = found->geometry;
  return made;
}

//===----------------------------------------------------------------------===//
// torch
//===----------------------------------------------------------------------===//

bool fovea::python::isTensor(nb::handle object) {
  return exchange && exchange->owns(object);
}

bool fovea::python::areTensorsObserved() {
  nb::object answer = nb::steal(PyObject_CallNoArgs(observer));
  if (!answer.is_valid())
    throw nb::python_error();
  return answer.ptr() != Py_False;
}

bool fovea::python::setTensorType(nb::handle type, nb::object make,
                                  nb::object observed) {
  exchange = Exchange::find(type);
  if (exchange) {
    emptyLike = make.release().ptr();
    observer = observed.release().ptr();
  }
  return exchange.has_value();
}
