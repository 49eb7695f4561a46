//===- Exchange.h - Tensors by DLPack's C exchange API ----------*- C++ -*-===//
//
// A library may publish, on the type of its tensors, a table of functions that
// describe a tensor and name the current stream without a Python call.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_PYTHON_EXCHANGE_H
#define FOVEA_PYTHON_EXCHANGE_H

#include "Support.h"

namespace fovea::python {

/// DLPack's description of a tensor (version 1).
struct DLTensor {
  void *data;
  int32_t deviceType, deviceId;
  int32_t rank;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *sizes, *strides;
  uint64_t byteOffset;
};

/// The tensors of one library.
class Exchange {
public:
  /// The table of a type; none where it has none that is understood.
  static std::optional<Exchange> find(nb::handle type);

  bool owns(nb::handle object) const {
    return reinterpret_cast<PyObject *>(Py_TYPE(object.ptr())) == type.ptr();
  }
  /// False, without an exception, where the library does not describe it.
  bool describe(nb::handle object, DLTensor &out) const;
  /// The stream that the library works on.
  std::optional<void *> currentStream(int32_t deviceType,
                                      int32_t deviceId) const;

private:
  struct Table;
  nb::handle type; // lives as long as the interpreter
  const Table *table = nullptr;
};

/// The library's number of a dtype, -1 for one that no kernel takes.
int32_t dtypeOf(const DLTensor &tensor);

} // namespace fovea::python

#endif // FOVEA_PYTHON_EXCHANGE_H
