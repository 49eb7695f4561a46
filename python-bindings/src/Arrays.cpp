//===- Arrays.cpp - NumPy's arrays without a Python call ------------------===//
#include "Arrays.h"

#include <algorithm>
#include <unordered_map>

using namespace fovea::python;

PyObject *Arrays::ndarray = nullptr, *Arrays::memmap = nullptr;

PyObject *Arrays::type() {
  if (ndarray)
    return ndarray;
  nb::object numpy = nb::module_::import_("numpy");
  memmap = nb::object(numpy.attr("memmap")).release().ptr();
  return ndarray = nb::object(numpy.attr("ndarray")).release().ptr();
}

uintptr_t fovea::python::addressOf(nb::handle array) {
  if (!PyObject_TypeCheck(array.ptr(),
                          reinterpret_cast<PyTypeObject *>(Arrays::type())))
    throw nb::type_error("address: must be a numpy.ndarray");
  return reinterpret_cast<uintptr_t>(Arrays::head(array).data);
}

/// A pickled array brings a dtype object of its own, so that there may be any
/// number of them; those that were seen are kept.
int32_t Arrays::dtypeOf(PyObject *dtype) {
  constexpr size_t most = 256;
  static auto *known = new std::unordered_map<PyObject *, int32_t>;
  auto found = known->find(dtype);
  if (found != known->end())
    return found->second;
  nb::object text = nb::module_::import_("fovea._tensors")
                        .attr("numpy_dtype")(nb::handle(dtype));
  // Of uint64 Python knows the name as well.
  int32_t number = text.is_none() ? -1 : findDtype(text.ptr());
  if (known->size() >= most) {
    auto before = std::move(*known);
    known->clear();
    for (auto &[object, value] : before)
      Py_DECREF(object);
  }
  Py_INCREF(dtype);
  known->emplace(dtype, number);
  return number;
}

bool Arrays::describe(nb::handle array, fovea_tensor &out, int64_t *sizes,
                      int64_t *strides) {
  const ArrayHead &given = head(array);
  int32_t dtype = dtypeOf(given.dtype);
  if (dtype < 0 || given.rank > maxRank)
    return false;
  int64_t bytes = itemSizes[dtype];
  auto address = reinterpret_cast<uintptr_t>(given.data);
  if (address % static_cast<uintptr_t>(bytes) != 0)
    return false;
  for (int i = 0; i < given.rank; ++i) {
    if (given.sizes[i] == 0)
      return false;
    sizes[i] = given.sizes[i];
    strides[i] = given.strides[i] / bytes;
    if (strides[i] * bytes == given.strides[i])
      continue;
    if (sizes[i] > 1)
      return false;
    strides[i] = 0;
  }
  out = {};
  out.struct_size = sizeof out;
  out.data = given.data;
  out.dtype = dtype;
  out.rank = given.rank;
  out.sizes = sizes;
  out.strides = strides;
  out.device_type = FOVEA_CPU;
  return true;
}
