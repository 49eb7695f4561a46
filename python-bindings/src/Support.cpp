//===- Support.cpp --------------------------------------------------------===//
#include "Support.h"

using namespace fovea::python;

namespace {
/// Classes that set_exceptions gave; they live as long as the interpreter.
PyObject *exceptionClasses[FOVEA_IO_ERROR + 1] = {};

PyObject *builtinClass(fovea_status status) {
  switch (status) {
  case FOVEA_TYPE_ERROR:
    return PyExc_TypeError;
  case FOVEA_INDEX_ERROR:
    return PyExc_IndexError;
  case FOVEA_OUT_OF_MEMORY:
    return PyExc_MemoryError;
  case FOVEA_COMPILE_ERROR:
    return PyExc_RuntimeError;
  case FOVEA_IO_ERROR:
    return PyExc_OSError;
  default:
    return PyExc_ValueError;
  }
}

constexpr std::string_view dtypeNames[] = {"i1",   "i8",   "ui8",  "i16",
                                           "ui16", "i32",  "ui32", "i64",
                                           "f16",  "bf16", "f32",  "f64"};

} // namespace

int32_t fovea::python::findDtype(PyObject *name) {
  Py_ssize_t size = 0;
  const char *text =
      PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  if (!text)
    throw nb::type_error("tensor: dtype must be a string");
  for (size_t i = 0; i < std::size(dtypeNames); ++i)
    if (dtypeNames[i] == std::string_view(text, static_cast<size_t>(size)))
      return static_cast<int32_t>(i);
  return -1;
}

void fovea::python::raise(fovea_status status, const char *text) {
  // A signal's exception is set already.
  if (status == FOVEA_CANCELLED && PyErr_Occurred())
    throw nb::python_error();
  PyObject *type = exceptionClasses[status];
  PyErr_SetString(type ? type : builtinClass(status), text);
  throw nb::python_error();
}

/// Asked by the library on the calling thread, which runs without the GIL.
void fovea::python::setExceptions(nb::dict classes) {
  const std::pair<const char *, fovea_status> names[] = {
      {"parse", FOVEA_PARSE_ERROR},
      {"compile", FOVEA_COMPILE_ERROR},
      {"index", FOVEA_INDEX_ERROR},
      {"unsupported", FOVEA_UNSUPPORTED},
      {"io", FOVEA_IO_ERROR}};
  for (auto [key, value] : classes) {
    bool known = false;
    for (auto [name, status] : names)
      if (nb::cast<std::string>(key) == name) {
        if (!PyExceptionClass_Check(value.ptr()))
          throw nb::type_error(
              "set_exceptions: values must be exception classes");
        Py_XDECREF(exceptionClasses[status]);
        exceptionClasses[status] = value.inc_ref().ptr();
        known = true;
      }
    if (!known)
      throw nb::value_error("set_exceptions: unknown key");
  }
}

int64_t fovea::python::readInt(PyObject *object) {
  long long value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred())
    throw nb::python_error();
  return value;
}

double fovea::python::readDouble(PyObject *object) {
  double value = PyFloat_AsDouble(object);
  if (value == -1 && PyErr_Occurred())
    throw nb::python_error();
  return value;
}

std::pair<int64_t, int64_t> fovea::python::readPair(nb::handle pair,
                                                    const char *name) {
  if (!PyTuple_Check(pair.ptr()) || PyTuple_GET_SIZE(pair.ptr()) != 2)
    throw nb::type_error((std::string(name) + ": must be a pair").c_str());
  return {readInt(PyTuple_GET_ITEM(pair.ptr(), 0)),
          readInt(PyTuple_GET_ITEM(pair.ptr(), 1))};
}

std::string_view fovea::python::readText(nb::handle object, const char *name) {
  if (PyBytes_Check(object.ptr()))
    return {PyBytes_AS_STRING(object.ptr()),
            static_cast<size_t>(PyBytes_GET_SIZE(object.ptr()))};
  Py_ssize_t size = 0;
  const char *text = PyUnicode_Check(object.ptr())
                         ? PyUnicode_AsUTF8AndSize(object.ptr(), &size)
                         : nullptr;
  if (!text && PyErr_Occurred())
    throw nb::python_error();
  if (!text)
    throw nb::type_error(
        (std::string(name) + ": must be str or bytes").c_str());
  return {text, static_cast<size_t>(size)};
}

void Tensor::read(PyObject *tuple) {
  if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != 4)
    throw nb::type_error(
        "tensor: must be a tuple (address, dtype, shape, strides)");
  descriptor.struct_size = sizeof descriptor;
  descriptor.data = PyLong_AsVoidPtr(PyTuple_GET_ITEM(tuple, 0));
  if (!descriptor.data && PyErr_Occurred())
    throw nb::python_error();
  descriptor.dtype = findDtype(PyTuple_GET_ITEM(tuple, 1));
  if (descriptor.dtype < 0)
    throw nb::value_error("tensor: unknown dtype");
  PyObject *shape = PyTuple_GET_ITEM(tuple, 2);
  PyObject *steps = PyTuple_GET_ITEM(tuple, 3);
  if (!PyTuple_Check(shape) || !PyTuple_Check(steps) ||
      PyTuple_GET_SIZE(shape) != PyTuple_GET_SIZE(steps))
    throw nb::type_error(
        "tensor: shape and strides must be tuples of one length");
  auto rank = static_cast<size_t>(PyTuple_GET_SIZE(shape));
  int64_t *at = inlineSizes.data();
  if (2 * rank > inlineSizes.size()) {
    manySizes.resize(2 * rank);
    at = manySizes.data();
  }
  for (size_t i = 0; i < rank; ++i) {
    at[i] = readInt(PyTuple_GET_ITEM(shape, i));
    at[rank + i] = readInt(PyTuple_GET_ITEM(steps, i));
  }
  descriptor.rank = static_cast<int32_t>(rank);
  descriptor.sizes = at;
  descriptor.strides = at + rank;
  descriptor.device_type = FOVEA_CPU;
}

Tensors::Tensors(nb::handle sequence)
    : fast(nb::steal(
          PySequence_Fast(sequence.ptr(), "tensors must be a sequence"))) {
  if (!fast.is_valid())
    throw nb::python_error();
  auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(fast.ptr()));
  storage = std::vector<std::unique_ptr<Tensor>>(count);
  for (size_t i = 0; i < count; ++i) {
    storage[i] = std::make_unique<Tensor>();
    storage[i]->read(PySequence_Fast_GET_ITEM(fast.ptr(), i));
    descriptors.push_back(storage[i]->get());
  }
}
