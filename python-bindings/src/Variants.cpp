//===- Variants.cpp - From mods to the calls of their kernels -------------===//
#include "Variants.h"

using namespace fovea::python;

Variant::Variant(nb::object kernel, nb::object plan, size_t numCaptures)
    : kernel(kernel), planObject(plan), plan(&nb::cast<const Plan &>(plan)),
      repeats(&repeatsOf(kernel)), numCaptures(numCaptures) {}

int Variant::traverse(visitproc visit, void *arg) const {
  Py_VISIT(kernel.ptr());
  Py_VISIT(planObject.ptr());
  return 0;
}

namespace {
/// Reads q, k and v; false where the call has to be looked at in full.
bool readInputs(Call &call, nb::handle q, nb::handle k, nb::handle v,
                const nb::dict &running) {
  if (PyDict_GET_SIZE(running.ptr()) != 0)
    return false;
  if (!Arrays::areOf(q) && (!isTensor(q) || areTensorsObserved()))
    return false;
  return call.add(q) && call.add(k) && call.add(v) && call.tensors[0].rank == 4;
}

/// How many names a mapping of captures has; none where Python has to look.
std::optional<size_t> countCaptures(nb::handle captures) {
  if (captures.is_none())
    return 0;
  if (!PyDict_CheckExact(captures.ptr()))
    return std::nullopt;
  return static_cast<size_t>(PyDict_GET_SIZE(captures.ptr()));
}

/// The code that a mod runs, or its type: what tells most mods apart.
PyObject *codeOf(nb::handle mod, int depth = 0) {
  PyObject *object = mod.ptr();
  if (PyMethod_Check(object))
    object = PyMethod_GET_FUNCTION(object);
  if (PyFunction_Check(object))
    return PyFunction_GET_CODE(object);
  static PyObject *partial =
      nb::object(nb::module_::import_("functools").attr("partial"))
          .release()
          .ptr();
  auto *type = reinterpret_cast<PyObject *>(Py_TYPE(object));
  if (type != partial || depth > 8)
    return type;
  nb::object inner = nb::steal(PyObject_GetAttrString(object, "func"));
  if (!inner.is_valid())
    PyErr_Clear();
  return inner.is_valid() ? codeOf(inner, depth + 1) : type;
}

/// Of what decides which variants are compared. Equal numbers of different ones
/// cost a comparison.
uint64_t hashOf(nb::handle scoreMod, nb::handle maskMod, nb::handle normalizer,
                size_t numCaptures, int32_t dtype, bool wantLse) {
  uint64_t hash = numCaptures * 64 + static_cast<uint64_t>(dtype) * 2 + wantLse;
  auto mix = [&](uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u + (hash >> 29);
  };
  mix(reinterpret_cast<uintptr_t>(codeOf(scoreMod)));
  mix(reinterpret_cast<uintptr_t>(codeOf(maskMod)));
  PyObject *name = normalizer.ptr();
  mix(PyUnicode_CheckExact(name) ? static_cast<uint64_t>(PyObject_Hash(name))
                                 : reinterpret_cast<uintptr_t>(Py_TYPE(name)));
  return hash;
}

/// What plans start from.
class Roots {
public:
  Roots(nb::handle scoreMod, nb::handle maskMod, nb::handle normalizer,
        nb::handle captures)
      : tuple(nb::steal(PyTuple_Pack(4, scoreMod.ptr(), maskMod.ptr(),
                                     normalizer.ptr(), captures.ptr()))) {
    if (!tuple.is_valid())
      throw nb::python_error();
  }
  PyObject *get() const { return tuple.ptr(); }

private:
  nb::object tuple;
};

nb::object runVariant(const Variant &variant, PyObject *roots, Call &call,
                      nb::handle q, const CallOptions &options,
                      nb::object *geometry) {
  const Plan &plan = variant.getPlan();
  Plan::Found found(plan.size());
  if (!plan.compare(roots, found))
    return nb::none();
  return variant.getRepeats().run(call, q, plan, found, options, geometry);
}
} // namespace

//===----------------------------------------------------------------------===//
// fovea.attention
//===----------------------------------------------------------------------===//

void Variants::add(nb::handle scoreMod, nb::handle maskMod,
                   nb::handle normalizer, nb::handle captures, nb::handle q,
                   bool wantLse, nb::object kernel, nb::object plan) {
  Call call;
  std::optional<size_t> numCaptures = countCaptures(captures);
  if (!numCaptures || !call.add(q))
    return;
  uint64_t hash = hashOf(scoreMod, maskMod, normalizer, *numCaptures,
                         call.tensors[0].dtype, wantLse);
  auto list = std::make_shared<List>();
  list->push_back(std::make_shared<const Variant>(kernel, plan, *numCaptures));
  decltype(known) before; // see Repeats::remember
  if (known.size() >= keys)
    before.swap(known);
  std::shared_ptr<const List> &slot = known[hash];
  std::shared_ptr<const List> replaced = std::move(slot);
  if (replaced)
    for (const auto &other : *replaced)
      if (list->size() < perKey &&
          (&other->getPlan() != &list->front()->getPlan() ||
           &other->getRepeats() != &list->front()->getRepeats()))
        list->push_back(other);
  slot = std::move(list);
}

nb::object Variants::repeat(nb::handle q, nb::handle k, nb::handle v,
                            nb::handle scoreMod, nb::handle maskMod,
                            nb::handle scale, nb::handle normalizer,
                            nb::handle wantLse, nb::handle captures,
                            nb::handle qOffset, nb::handle kvOffset,
                            nb::handle qLengths, nb::handle kvLengths) {
  Call call;
  std::optional<size_t> numCaptures = countCaptures(captures);
  if (!numCaptures || !PyBool_Check(wantLse.ptr()) ||
      !readInputs(call, q, k, v, running))
    return nb::none();
  auto list =
      known.find(hashOf(scoreMod, maskMod, normalizer, *numCaptures,
                        call.tensors[0].dtype, wantLse.ptr() == Py_True));
  if (list == known.end())
    return nb::none();
  Roots roots(scoreMod, maskMod, normalizer,
              captures.is_none() ? nb::handle(nothing) : captures);
  CallOptions options{scale, qOffset, kvOffset, qLengths, kvLengths};
  size_t count = call.count, length = call.length;
  std::shared_ptr<const List> candidates = list->second;
  for (const std::shared_ptr<const Variant> &variant : *candidates) {
    if (variant->getNumCaptures() != *numCaptures)
      continue;
    call.count = count;
    call.length = length;
    nb::object result =
        runVariant(*variant, roots.get(), call, q, options, nullptr);
    if (!result.is_none())
      return result;
  }
  return nb::none();
}

void Variants::forget() {
  decltype(known) before;
  before.swap(known);
}

int Variants::traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self))
    return 0;
  auto *variants = nb::inst_ptr<Variants>(self);
  Py_VISIT(variants->running.ptr());
  for (auto &[hash, list] : variants->known)
    if (list.use_count() == 1)
      for (const auto &variant : *list)
        if (variant.use_count() == 1)
          if (int status = variant->traverse(visit, arg))
            return status;
  return 0;
}

int Variants::clear(PyObject *self) {
  nb::inst_ptr<Variants>(self)->forget();
  return 0;
}

//===----------------------------------------------------------------------===//
// fovea.Kernel
//===----------------------------------------------------------------------===//

void Follower::follow(nb::object kernel, nb::object plan, nb::tuple roots,
                      bool givesCaptures, nb::object scale) {
  if (roots.size() != 4)
    throw nb::type_error("roots: must be four");
  std::shared_ptr<const Followed> made;
  std::optional<size_t> count = countCaptures(roots[3]);
  if (givesCaptures) // they are let go
    roots = nb::make_tuple(nb::object(roots[0]), nb::object(roots[1]),
                           nb::object(roots[2]), nb::none());
  if (count)
    made = std::make_shared<const Followed>(
        Followed{Variant(kernel, plan, *count), std::move(roots), givesCaptures,
                 std::move(scale)});
  std::shared_ptr<const Followed> before = std::exchange(last, made);
}

nb::object Follower::repeat(nb::handle q, nb::handle k, nb::handle v,
                            nb::handle captures, nb::handle qOffset,
                            nb::handle kvOffset, nb::handle qLengths,
                            nb::handle kvLengths) {
  Call call;
  std::shared_ptr<const Followed> followed = last;
  if (!followed || followed->givesCaptures == captures.is_none())
    return nb::none();
  nb::tuple roots = followed->roots;
  if (followed->givesCaptures)
    roots = nb::make_tuple(nb::object(roots[0]), nb::object(roots[1]),
                           nb::object(roots[2]), captures);
  if (countCaptures(roots[3]) != followed->variant.getNumCaptures() ||
      !readInputs(call, q, k, v, running))
    return nb::none();
  CallOptions options{followed->scale, qOffset, kvOffset, qLengths, kvLengths};
  return runVariant(followed->variant, roots.ptr(), call, q, options,
                    &geometry);
}

int Follower::traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self))
    return 0;
  auto *follower = nb::inst_ptr<Follower>(self);
  Py_VISIT(follower->running.ptr());
  Py_VISIT(follower->geometry.ptr());
  if (!follower->last || follower->last.use_count() != 1)
    return 0;
  Py_VISIT(follower->last->roots.ptr());
  Py_VISIT(follower->last->scale.ptr());
  return follower->last->variant.traverse(visit, arg);
}

int Follower::clear(PyObject *self) {
  auto *follower = nb::inst_ptr<Follower>(self);
  auto before = std::exchange(follower->last, nullptr);
  follower->geometry = nb::none();
  return 0;
}

//===----------------------------------------------------------------------===//
// What Python calls
//===----------------------------------------------------------------------===//

namespace {
template <typename T, typename... Handles, size_t... i>
nb::object spread(T *object, nb::object (T::*method)(Handles...),
                  PyObject *const *arguments, std::index_sequence<i...>) {
  return (object->*method)(nb::handle(arguments[i])...);
}

/// A method `repeat` that gets its arguments as Python passes them: with a few
/// microseconds for all of a call, their conversion would show.
template <typename T, typename... Handles>
PyObject *repeatMethod(PyObject *self, PyObject *const *arguments,
                       Py_ssize_t count, nb::object (T::*repeat)(Handles...)) {
  if (count != static_cast<Py_ssize_t>(sizeof...(Handles))) {
    PyErr_Format(PyExc_TypeError, "repeat: takes %zu arguments, got %zd",
                 sizeof...(Handles), count);
    return nullptr;
  }
  try {
    return spread(nb::inst_ptr<T>(self), repeat, arguments,
                  std::index_sequence_for<Handles...>())
        .release()
        .ptr();
  } catch (nb::python_error &error) {
    error.restore();
  } catch (const std::bad_alloc &) {
    PyErr_NoMemory();
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  }
  return nullptr;
}

PyObject *repeatVariant(PyObject *self, PyObject *const *arguments,
                        Py_ssize_t count) {
  return repeatMethod(self, arguments, count, &Variants::repeat);
}

PyObject *repeatFollowed(PyObject *self, PyObject *const *arguments,
                         Py_ssize_t count) {
  return repeatMethod(self, arguments, count, &Follower::repeat);
}

template <PyObject *(*function)(PyObject *, PyObject *const *, Py_ssize_t)>
PyMethodDef *methods() {
  static PyMethodDef table[] = {
      {"repeat",
       reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
       METH_FASTCALL,
       "The result of a call like one remembered, None where there is none."},
      {nullptr, nullptr, 0, nullptr}};
  return table;
}

template <typename T> std::array<PyType_Slot, 4> slots(PyMethodDef *methods) {
  return {PyType_Slot{Py_tp_traverse, reinterpret_cast<void *>(&T::traverse)},
          PyType_Slot{Py_tp_clear, reinterpret_cast<void *>(&T::clear)},
          PyType_Slot{Py_tp_methods, methods}, PyType_Slot{0, nullptr}};
}
} // namespace

void fovea::python::addVariants(nb::module_ &m) {
  if (!hasClass<Variants>(m, "Variants")) {
    auto own = slots<Variants>(methods<repeatVariant>());
    nb::class_<Variants>(m, "Variants", nb::type_slots(own.data()))
        .def(nb::init<nb::dict>(), "running"_a)
        .def("add", &Variants::add, "score_mod"_a.none(), "mask_mod"_a.none(),
             "normalizer"_a, "captures"_a.none(), "q"_a, "want_lse"_a,
             "kernel"_a, "plan"_a)
        .def("forget", &Variants::forget);
  }
  if (!hasClass<Follower>(m, "Follower")) {
    auto own = slots<Follower>(methods<repeatFollowed>());
    nb::class_<Follower>(m, "Follower", nb::type_slots(own.data()))
        .def(nb::init<nb::dict>(), "running"_a)
        .def("follow", &Follower::follow, "kernel"_a, "plan"_a, "roots"_a,
             "gives_captures"_a, "scale"_a.none())
        .def_rw("geometry", &Follower::geometry, nb::arg("value").none());
  }
}
