//===- Repeats.h - Calls like earlier ones ----------------------*- C++ -*-===//
//
// A call that was checked in full is remembered with its kernel, by dtypes,
// shapes, strides and devices of all that it took. A call like one of them is
// read, given its result and launched at once. Used with the GIL held.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_PYTHON_REPEATS_H
#define FOVEA_PYTHON_REPEATS_H

#include "Arrays.h"
#include "Exchange.h"
#include "Plans.h"

#include <unordered_map>

namespace fovea::python {

/// What a call takes besides the tensors. Those that are not what a call has by
/// default are for Python to read.
struct CallOptions {
  nb::handle scale, qOffset, kvOffset, qLengths, kvLengths;

  /// The handles from offsets on are what `read_positions` takes.
  bool havePositions() const;
};

/// The tensors of a call as the C interface takes them, and the numbers that
/// tell it from others.
class Call {
public:
  /// False where something is no array of NumPy or tensor of torch, or one that
  /// has to be looked at in full.
  bool add(nb::handle object);
  uint64_t hash() const;
  bool isOnCuda() const { return tensors[0].device_type == FOVEA_CUDA; }

  static constexpr size_t maxTensors = 32;
  fovea_tensor tensors[maxTensors];
  int64_t numbers[maxTensors * (2 + 2 * Arrays::maxRank)];
  size_t count = 0, length = 0;
  /// Whether q, k and v are NumPy's.
  bool isPlain = false;

private:
  bool read(nb::handle object, fovea_tensor &out, int64_t *sizes,
            int64_t *strides);
};

/// The calls of one kernel that went well.
class Repeats {
public:
  explicit Repeats(fovea_kernel *kernel) : kernel(kernel) {}

  /// `make` allocates the result, or the pair with lse (None: as q is);
  /// `geometry` is what Python knows of the call, `positions` reads offsets
  /// and lengths.
  void remember(nb::handle inputs, nb::handle captures, double scale,
                nb::object make, nb::object geometry, nb::object positions);

  /// The result of a call with q, k and v read, or none where no such call is
  /// known or it did not go well: then everything is to be checked.
  nb::object run(Call &call, nb::handle q, const Plan &plan,
                 const Plan::Found &found, const CallOptions &options,
                 nb::object *geometry);

  int traverse(visitproc visit, void *arg) const;
  void forget();

private:
  struct Known {
    std::vector<int64_t> key;
    double scale;
    nb::object make, geometry, positions;
  };
  std::shared_ptr<const Known> find(const Call &call) const;

  fovea_kernel *kernel;
  static constexpr size_t limit = 256;
  std::unordered_map<uint64_t, std::shared_ptr<const Known>> known;
};

/// The calls of a compiled kernel.
Repeats &repeatsOf(nb::handle kernel);

/// Whether tensors of torch are observed now, traced for one, which a call that
/// repeats cannot bear.
bool areTensorsObserved();
/// Whether an object is a tensor of torch, once calls with such are known.
bool isTensor(nb::handle object);

/// Sets the type of tensors whose calls are remembered; false where it has no
/// exchange API. `emptyLike` allocates.
bool setTensorType(nb::handle type, nb::object emptyLike, nb::object observer);

} // namespace fovea::python

#endif // FOVEA_PYTHON_REPEATS_H
