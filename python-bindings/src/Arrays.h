//===- Arrays.h - NumPy's arrays without a Python call ----------*- C++ -*-===//
#ifndef FOVEA_PYTHON_ARRAYS_H
#define FOVEA_PYTHON_ARRAYS_H

#include "Support.h"

namespace fovea::python {

/// NumPy's public layout of an array, the same in all versions since 1.7.
struct ArrayHead {
  PyObject_HEAD char *data;
  int rank;
  Py_ssize_t *sizes, *strides; // strides in bytes
  PyObject *base, *dtype;
};

/// NumPy's arrays, and what kernels take of them.
class Arrays {
public:
  static constexpr int32_t maxRank = 8;

  /// Those of ndarray itself and of memmap: other subclasses may mean something
  /// else.
  static bool areOf(nb::handle object) {
    auto *type = reinterpret_cast<PyObject *>(Py_TYPE(object.ptr()));
    return type == ndarray || type == memmap;
  }
  static const ArrayHead &head(nb::handle array) {
    return *reinterpret_cast<const ArrayHead *>(array.ptr());
  }
  /// Describes an array that has elements; `strides` gets `maxRank` numbers at
  /// most. False for one that kernels do not take as it is.
  static bool describe(nb::handle array, fovea_tensor &out, int64_t *sizes,
                       int64_t *strides);
  /// ndarray; the types are looked up once.
  static PyObject *type();

private:
  static int32_t dtypeOf(PyObject *dtype);
  static PyObject *ndarray, *memmap;
};

} // namespace fovea::python

#endif // FOVEA_PYTHON_ARRAYS_H
