//===- Positions.h - Offsets and lengths of a call --------------*- C++ -*-===//
#ifndef FOVEA_PYTHON_POSITIONS_H
#define FOVEA_PYTHON_POSITIONS_H

#include "Support.h"

namespace fovea::python {

/// Per-batch numbers; the C interface reads one for each batch.
class Positions {
public:
  Positions(nb::handle sequence, const char *name, int64_t batch) {
    if (sequence.is_none())
      return;
    values = readNumbers<int64_t>(sequence, readInt);
    if (static_cast<int64_t>(values.size()) != batch)
      throw nb::value_error(
          (std::string(name) + ": must have one entry for each batch").c_str());
    values.push_back(0); // never empty
    given = true;
  }
  const int64_t *get() const { return given ? values.data() : nullptr; }

private:
  std::vector<int64_t> values;
  bool given = false;
};

} // namespace fovea::python

#endif // FOVEA_PYTHON_POSITIONS_H
