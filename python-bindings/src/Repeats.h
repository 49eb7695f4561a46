//===- Repeats.h - Calls like earlier ones ----------------------*- C++ -*-===//
#ifndef FOVEA_PYTHON_REPEATS_H
#define FOVEA_PYTHON_REPEATS_H

#include "Exchange.h"

#include <unordered_map>

namespace fovea::python {

/// The calls of one kernel that were checked in full, by dtypes, shapes,
/// strides and devices of all that they took. A call like one of them is read,
/// given its result and launched at once. Used with the GIL held.
class Repeats {
public:
  /// A call that went well. `make` allocates its result; None: as q is.
  void remember(nb::handle inputs, nb::handle captures, double scale,
                nb::object make);
  /// The result, or none where no such call is known; then everything is to be
  /// checked. An argument whose gradient is wanted is such a case.
  nb::object run(fovea_kernel *kernel, nb::handle inputs, nb::handle captures,
                 nb::handle scale);

private:
  struct Call;
  struct Known {
    std::vector<int64_t> key;
    double scale;
    nb::object make;
  };
  static constexpr size_t limit = 256;
  std::unordered_map<uint64_t, Known> known;
};

/// Sets the type of tensors whose calls are remembered; false where it has no
/// exchange API. `emptyLike` allocates.
bool setTensorType(nb::handle type, nb::object emptyLike);

} // namespace fovea::python

#endif // FOVEA_PYTHON_REPEATS_H
