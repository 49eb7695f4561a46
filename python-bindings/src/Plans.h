//===- Plans.h - Comparing what a trace reached -----------------*- C++ -*-===//
#ifndef FOVEA_PYTHON_PLANS_H
#define FOVEA_PYTHON_PLANS_H

#include "Support.h"

namespace fovea::python {

/// The steps that `fovea.dsl.recheck` compares what a trace reached by, in its
/// own form: what most steps fetch and test takes no call of Python here.
class Plan {
public:
  /// Objects of one comparison, kept alive.
  class Found {
  public:
    explicit Found(size_t capacity);
    ~Found();
    Found(const Found &) = delete;
    Found &operator=(const Found &) = delete;
    void push(PyObject *owned) { objects[count++] = owned; }
    PyObject *operator[](size_t slot) const { return objects[slot]; }

  private:
    PyObject *few[40];
    std::unique_ptr<PyObject *[]> many;
    PyObject **objects;
    size_t count = 0;
  };

  /// Steps as tuples (getter, parent slot, key, test, expectation), and the
  /// slots of the captured arrays.
  Plan(nb::tuple steps, nb::tuple slots);

  /// Whether nothing differs from the trace.
  bool compare(PyObject *roots, Found &found) const;
  /// The objects from which `compare` starts included.
  size_t size() const { return steps.size() + 1; }
  const std::vector<uint32_t> &captures() const { return slots; }
  /// As `fovea.dsl.recheck.run_plan`, but for the arrays alone.
  nb::object arrays(nb::handle roots) const;

  static int traverse(PyObject *self, visitproc visit, void *arg);
  static int clear(PyObject *self);

private:
  enum class Get : uint8_t {
    Item,
    Cell,
    Contents,
    Attribute,
    Probe,
    Signature,
    Other
  };
  enum class Test : uint8_t {
    Slot,
    Same,
    Referent,
    Anything,
    Equal,
    Type,
    Code,
    Array,
    Length,
    Absent,
    Softmax,
    Other
  }; // clang-format skip
  struct Step {
    Get get;
    Test test;
    uint32_t parent, slot;
    PyObject *getter, *key, *tester, *expected;
    /// Parts of the expectation.
    PyObject *first, *second;
    Py_ssize_t number;
  };
  struct Names;

  void add(PyObject *tuple);
  static PyObject *fetch(const Step &step, PyObject *parent);
  static bool holds(const Step &step, PyObject *value);

  /// What the steps refer to.
  nb::object source;
  std::vector<Step> steps;
  std::vector<uint32_t> slots;
};

void addPlans(nb::module_ &m);

} // namespace fovea::python

#endif // FOVEA_PYTHON_PLANS_H
