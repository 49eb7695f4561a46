//===- Variants.h - From mods to the calls of their kernels -----*- C++ -*-===//
#ifndef FOVEA_PYTHON_VARIANTS_H
#define FOVEA_PYTHON_VARIANTS_H

#include "Repeats.h"

namespace fovea::python {

/// A kernel with the plan that says whether mods are still its own.
class Variant {
public:
  Variant(nb::object kernel, nb::object plan, size_t numCaptures);

  const Plan &getPlan() const { return *plan; }
  Repeats &getRepeats() const { return *repeats; }
  /// Names in the mapping of captures.
  size_t getNumCaptures() const { return numCaptures; }
  int traverse(visitproc visit, void *arg) const;

private:
  nb::object kernel, planObject;
  const Plan *plan;
  Repeats *repeats;
  size_t numCaptures;
};

/// The variants that `fovea.attention` was called with. What is found by the
/// code of mods is compared by its plan.
class Variants {
public:
  /// `running` names the mods that are being traced: they call nothing.
  explicit Variants(nb::dict running) : running(std::move(running)) {}

  void add(nb::handle scoreMod, nb::handle maskMod, nb::handle normalizer,
           nb::handle captures, nb::handle q, bool wantLse, nb::object kernel,
           nb::object plan);
  nb::object repeat(nb::handle q, nb::handle k, nb::handle v,
                    nb::handle scoreMod, nb::handle maskMod, nb::handle scale,
                    nb::handle normalizer, nb::handle wantLse,
                    nb::handle captures, nb::handle qOffset,
                    nb::handle kvOffset, nb::handle qLengths,
                    nb::handle kvLengths);
  void forget();

  static int traverse(PyObject *self, visitproc visit, void *arg);
  static int clear(PyObject *self);

private:
  /// Newest first. A list is never changed: comparing runs the user's code,
  /// which may add to it.
  using List = std::vector<std::shared_ptr<const Variant>>;
  static constexpr size_t perKey = 32, keys = 1024;

  nb::dict running;
  nb::dict nothing;
  std::unordered_map<uint64_t, std::shared_ptr<const List>> known;
};

/// The variant of a `fovea.Kernel` as it was at its last call.
class Follower {
public:
  explicit Follower(nb::dict running) : running(std::move(running)) {}

  /// What the next calls are compared with: mods and captures are those in
  /// `roots`, or the captures are given at each call.
  void follow(nb::object kernel, nb::object plan, nb::tuple roots,
              bool givesCaptures, nb::object scale);
  nb::object repeat(nb::handle q, nb::handle k, nb::handle v,
                    nb::handle captures, nb::handle qOffset,
                    nb::handle kvOffset, nb::handle qLengths,
                    nb::handle kvLengths);

  static int traverse(PyObject *self, visitproc visit, void *arg);
  static int clear(PyObject *self);

  /// What Python knows of the last call.
  nb::object geometry = nb::none();

private:
  struct Followed {
    Variant variant;
    nb::tuple roots;
    bool givesCaptures;
    nb::object scale;
  };
  nb::dict running;
  std::shared_ptr<const Followed> last;
};

void addVariants(nb::module_ &m);

} // namespace fovea::python

#endif // FOVEA_PYTHON_VARIANTS_H
