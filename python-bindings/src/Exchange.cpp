//===- Exchange.cpp - Tensors by DLPack's C exchange API ------------------===//
#include "Exchange.h"

using namespace fovea::python;

/// As DLPack 1.2 lays it out; later minor versions add to its end.
struct Exchange::Table {
  uint32_t major, minor;
  const Table *older;
  void *allocate, *exportOwned, *importOwned;
  int (*describe)(void *object, DLTensor *out);
  int (*currentStream)(int32_t deviceType, int32_t deviceId, void **out);
};

std::optional<Exchange> Exchange::find(nb::handle type) {
  nb::object capsule =
      nb::getattr(type, "__dlpack_c_exchange_api__", nb::none());
  constexpr const char *name = "dlpack_exchange_api";
  if (!PyCapsule_IsValid(capsule.ptr(), name))
    return std::nullopt;
  auto *table =
      static_cast<const Table *>(PyCapsule_GetPointer(capsule.ptr(), name));
  while (table && table->major > 1)
    table = table->older;
  if (!table || table->major != 1 || !table->describe || !table->currentStream)
    return std::nullopt;
  Exchange found;
  found.type = type.inc_ref();
  found.table = table;
  return found;
}

bool Exchange::describe(nb::handle object, DLTensor &out) const {
  if (table->describe(object.ptr(), &out) == 0)
    return true;
  PyErr_Clear();
  return false;
}

std::optional<void *> Exchange::currentStream(int32_t deviceType,
                                              int32_t deviceId) const {
  void *stream = nullptr;
  if (table->currentStream(deviceType, deviceId, &stream) == 0)
    return stream;
  PyErr_Clear();
  return std::nullopt;
}

int32_t fovea::python::dtypeOf(const DLTensor &tensor) {
  enum { Int = 0, Unsigned = 1, Float = 2, BFloat = 4, Bool = 6 };
  if (tensor.lanes != 1)
    return -1;
  switch (tensor.code << 8 | tensor.bits) {
  case Bool << 8 | 8:
    return FOVEA_I1;
  case Int << 8 | 8:
    return FOVEA_I8;
  case Unsigned << 8 | 8:
    return FOVEA_UI8;
  case Int << 8 | 16:
    return FOVEA_I16;
  case Unsigned << 8 | 16:
    return FOVEA_UI16;
  case Int << 8 | 32:
    return FOVEA_I32;
  case Unsigned << 8 | 32:
    return FOVEA_UI32;
  case Int << 8 | 64:
    return FOVEA_I64;
  case Float << 8 | 16:
    return FOVEA_F16;
  case BFloat << 8 | 16:
    return FOVEA_BF16;
  case Float << 8 | 32:
    return FOVEA_F32;
  case Float << 8 | 64:
    return FOVEA_F64;
  default:
    return -1;
  }
}
