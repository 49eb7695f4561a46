//===- Plans.cpp - Comparing what a trace reached -------------------------===//
#include "Plans.h"
#include "Arrays.h"

using namespace fovea::python;

/// The functions of `fovea.dsl.recheck` that are done here. Whatever they say
/// holds here too; a step of another one calls it.
struct Plan::Names {
  static const Names &get() {
    static const Names *names = new Names;
    return *names;
  }
  Get getterOf(PyObject *function) const {
    for (auto [known, get] : getters)
      if (known == function)
        return get;
    return Get::Other;
  }
  Test testOf(PyObject *function) const {
    if (function == Py_None)
      return Test::Slot;
    for (auto [known, test] : tests)
      if (known == function)
        return test;
    return Test::Other;
  }
  PyObject *absent, *globals, *defaults, *signature, *note;

private:
  Names() {
    nb::object module = nb::module_::import_("fovea.dsl.recheck");
    auto own = [&](const char *name) {
      return nb::object(module.attr(name)).release().ptr();
    };
    absent = own("_ABSENT");
    note = own("note");
    globals = PyUnicode_InternFromString("__globals__");
    defaults = PyUnicode_InternFromString("__defaults__");
    signature = PyUnicode_InternFromString("__signature__");
    getters = {
        {own("get_item"), Get::Item},
        {own("get_cell"), Get::Cell},
        {own("get_contents"), Get::Contents},
        {own("probe_item"), Get::Probe},
        {own("get_signature"), Get::Signature},
        {nb::object(nb::module_::import_("builtins").attr("getattr"))
             .release()
             .ptr(),
         Get::Attribute},
    };
    tests = {
        {own("is_same"), Test::Same},
        {own("is_referent"), Test::Referent},
        {own("is_equal"), Test::Equal},
        {own("is_anything"), Test::Anything},
        {own("has_type"), Test::Type},
        {own("has_code"), Test::Code},
        {own("is_array_like"), Test::Array},
        {own("has_length"), Test::Length},
        {own("is_absent"), Test::Absent},
        {own("is_softmax"), Test::Softmax},
    };
  }
  std::vector<std::pair<PyObject *, Get>> getters;
  std::vector<std::pair<PyObject *, Test>> tests;
};

Plan::Found::Found(size_t capacity) : objects(few) {
  if (capacity <= std::size(few))
    return;
  many = std::make_unique<PyObject *[]>(capacity);
  objects = many.get();
}

Plan::Found::~Found() {
  for (size_t i = 0; i < count; ++i)
    Py_DECREF(objects[i]);
}

Plan::Plan(nb::tuple given, nb::tuple captured) : source(given) {
  steps.reserve(given.size());
  for (nb::handle tuple : given)
    add(tuple.ptr());
  for (nb::handle slot : captured) {
    int64_t number = readInt(slot.ptr());
    if (number < 0 || number > static_cast<int64_t>(steps.size()))
      throw nb::value_error("slots: must be those of steps");
    slots.push_back(static_cast<uint32_t>(number));
  }
}

void Plan::add(PyObject *tuple) {
  if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != 5)
    throw nb::type_error("steps: must be tuples of five");
  auto part = [&](Py_ssize_t i) { return PyTuple_GET_ITEM(tuple, i); };
  auto slotOf = [&](PyObject *object) {
    int64_t slot = readInt(object);
    if (slot < 0 || slot > static_cast<int64_t>(steps.size()))
      throw nb::value_error("steps: a slot must be that of an earlier step");
    return static_cast<uint32_t>(slot);
  };
  Step step = {};
  step.getter = part(0);
  step.parent = slotOf(part(1));
  step.key = part(2);
  step.tester = part(3);
  step.expected = part(4);
  step.get = Names::get().getterOf(step.getter);
  step.test = Names::get().testOf(step.tester);
  auto expect = [&](Py_ssize_t i) {
    return PyTuple_GET_ITEM(step.expected, i);
  };
  switch (step.test) {
  case Test::Slot:
    step.slot = slotOf(step.expected);
    break;
  case Test::Equal:
    step.first = expect(0);
    step.second = expect(1);
    break;
  case Test::Code:
    step.first = expect(0);
    step.number = (expect(1) == Py_True) | (expect(2) == Py_True) << 1;
    break;
  case Test::Array:
    step.first = expect(0);
    step.second = expect(1);
    step.number = readInt(expect(2));
    break;
  case Test::Length:
    step.first = expect(0);
    step.number = readInt(expect(1));
    break;
  default:
    break;
  }
  steps.push_back(step);
}

/// The object of a step, a new reference; null with or without an exception
/// where there is none.
PyObject *Plan::fetch(const Step &step, PyObject *parent) {
  const Names &names = Names::get();
  switch (step.get) {
  case Get::Item:
    if (PyTuple_CheckExact(parent) && PyLong_CheckExact(step.key)) {
      Py_ssize_t at = PyLong_AsSsize_t(step.key);
      if (at >= 0 && at < PyTuple_GET_SIZE(parent))
        return Py_NewRef(PyTuple_GET_ITEM(parent, at));
    } else if (PyDict_CheckExact(parent)) {
      return Py_XNewRef(PyDict_GetItemWithError(parent, step.key));
    }
    return PyObject_GetItem(parent, step.key);
  case Get::Probe: {
    if (!PyDict_CheckExact(parent))
      break;
    PyObject *item = PyDict_GetItemWithError(parent, step.key);
    if (!item && PyErr_Occurred())
      return nullptr;
    return Py_NewRef(item ? item : names.absent);
  }
  case Get::Cell: {
    PyObject *cells =
        PyFunction_Check(parent) ? PyFunction_GET_CLOSURE(parent) : nullptr;
    Py_ssize_t at = PyLong_AsSsize_t(step.key);
    if (!cells || at < 0 || at >= PyTuple_GET_SIZE(cells))
      return nullptr;
    return Py_NewRef(PyTuple_GET_ITEM(cells, at));
  }
  case Get::Contents:
    return PyCell_Check(parent) ? PyCell_Get(parent) : nullptr;
  case Get::Attribute:
    if (PyFunction_Check(parent) && step.key == names.globals)
      return Py_NewRef(PyFunction_GET_GLOBALS(parent));
    if (PyFunction_Check(parent) && step.key == names.defaults) {
      PyObject *defaults = PyFunction_GET_DEFAULTS(parent);
      return Py_NewRef(defaults ? defaults : Py_None);
    }
    return PyObject_GetAttr(parent, step.key);
  case Get::Signature: {
    if (!PyFunction_Check(parent))
      break;
    PyObject *own = reinterpret_cast<PyFunctionObject *>(parent)->func_dict;
    if (!own ||
        (!PyDict_GetItemWithError(own, names.signature) && !PyErr_Occurred()))
      return Py_NewRef(names.absent);
    break;
  }
  case Get::Other:
    break;
  }
  PyObject *arguments[] = {parent, step.key};
  return PyObject_Vectorcall(step.getter, arguments, 2, nullptr);
}

static bool isTrue(PyObject *owned) {
  nb::object value = nb::steal(owned);
  return value.is_valid() && PyObject_IsTrue(value.ptr()) == 1;
}

static bool isEqual(PyObject *value, PyObject *expected) {
  return isTrue(PyObject_RichCompare(value, expected, Py_EQ));
}

/// Whether a weak reference refers to an object that is held.
static bool refersTo(PyObject *reference, PyObject *object) {
#if PY_VERSION_HEX >= 0x030d0000
  PyObject *referent = nullptr;
  if (PyWeakref_GetRef(reference, &referent) < 0)
    PyErr_Clear();
  Py_XDECREF(referent);
  return referent == object;
#else
  // None of one that is gone.
  return object != Py_None && PyWeakref_GetObject(reference) == object;
#endif
}

/// A type is expected as it is or by a weak reference.
static bool isKind(PyObject *type, PyObject *expected) {
  return type == expected ||
         (PyWeakref_CheckRefExact(expected) && refersTo(expected, type));
}

static bool isFunctionLike(PyObject *value, PyObject *code, Py_ssize_t absent) {
  auto isMissing = [](PyObject *part) { return !part || part == Py_None; };
  return PyFunction_Check(value) && PyFunction_GET_CODE(value) == code &&
         isMissing(PyFunction_GET_DEFAULTS(value)) == bool(absent & 1) &&
         isMissing(PyFunction_GET_KW_DEFAULTS(value)) == bool(absent & 2);
}

static bool isArrayLike(PyObject *value, PyObject *dtype, PyObject *rank,
                        Py_ssize_t number) {
  if (Arrays::areOf(value)) {
    const ArrayHead &array = Arrays::head(value);
    return array.rank == number &&
           (array.dtype == dtype || isEqual(array.dtype, dtype));
  }
  static PyObject *dtypeName = PyUnicode_InternFromString("dtype"),
                  *rankName = PyUnicode_InternFromString("ndim");
  nb::object have = nb::steal(PyObject_GetAttr(value, dtypeName));
  if (!have.is_valid() || !isEqual(have.ptr(), dtype))
    return false;
  nb::object dims = nb::steal(PyObject_GetAttr(value, rankName));
  return dims.is_valid() && isEqual(dims.ptr(), rank);
}

/// False with or without an exception.
bool Plan::holds(const Step &step, PyObject *value) {
  auto *type = reinterpret_cast<PyObject *>(Py_TYPE(value));
  switch (step.test) {
  case Test::Anything:
  case Test::Slot:
    return true;
  case Test::Same:
    return value == step.expected;
  case Test::Referent:
    if (!PyWeakref_CheckRefExact(step.expected))
      break;
    return refersTo(step.expected, value);
  case Test::Type:
    return isKind(type, step.expected);
  case Test::Absent:
    return value == Names::get().absent;
  case Test::Equal:
    return isKind(type, step.first) && isEqual(value, step.second);
  case Test::Code:
    return isFunctionLike(value, step.first, step.number);
  case Test::Array:
    return isKind(type, step.first) &&
           isArrayLike(value, step.second, PyTuple_GET_ITEM(step.expected, 2),
                       step.number);
  case Test::Length:
    return isKind(type, step.first) && PyObject_Size(value) == step.number;
  case Test::Softmax:
    if (PyUnicode_CheckExact(value))
      return PyUnicode_CompareWithASCIIString(value, "softmax") == 0;
    break;
  case Test::Other:
    break;
  }
  PyObject *arguments[] = {value, step.expected};
  return isTrue(PyObject_Vectorcall(step.tester, arguments, 2, nullptr));
}

/// An exception of the user's means that something differs; one that is no
/// error (KeyboardInterrupt) goes on, with what `note` adds.
static bool differs(PyObject *note) {
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
    nb::python_error error;
    nb::borrow(note)(error.value());
    error.restore();
    throw nb::python_error();
  }
  PyErr_Clear();
  return false;
}

bool Plan::compare(PyObject *roots, Found &found) const {
  if (!source.is_valid()) // collected
    return false;
  found.push(Py_NewRef(roots));
  for (const Step &step : steps) {
    PyObject *value = fetch(step, found[step.parent]);
    if (!value)
      return differs(Names::get().note);
    found.push(value);
    bool same = step.test == Test::Slot ? value == found[step.slot]
                                        : holds(step, value);
    if (!same)
      return differs(Names::get().note);
  }
  return true;
}

nb::object Plan::arrays(nb::handle roots) const {
  Found found(size());
  if (!compare(roots.ptr(), found))
    return nb::none();
  nb::list result;
  for (uint32_t slot : slots)
    result.append(nb::handle(found[slot]));
  return result;
}

int Plan::traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self))
    Py_VISIT(nb::inst_ptr<Plan>(self)->source.ptr());
  return 0;
}

int Plan::clear(PyObject *self) {
  Plan *plan = nb::inst_ptr<Plan>(self);
  plan->steps.clear();
  plan->slots.clear();
  plan->source.reset();
  return 0;
}

void fovea::python::addPlans(nb::module_ &m) {
  if (hasClass<Plan>(m, "Plan"))
    return;
  PyType_Slot slots[] = {
      {Py_tp_traverse, reinterpret_cast<void *>(&Plan::traverse)},
      {Py_tp_clear, reinterpret_cast<void *>(&Plan::clear)},
      {0, nullptr}};
  nb::class_<Plan>(m, "Plan", nb::type_slots(slots))
      .def(nb::init<nb::tuple, nb::tuple>(), "steps"_a, "slots"_a)
      .def("arrays", &Plan::arrays, "roots"_a);
}
