//===- Support.h - Between Python's objects and the C interface -*- C++ -*-===//
//
// What calls of the C interface take, read from Python objects; what they give;
// errors as exceptions.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_PYTHON_SUPPORT_H
#define FOVEA_PYTHON_SUPPORT_H

#include "Calls.h"
#include "fovea-c/fovea.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea::python {
namespace nb = nanobind;
using namespace nb::literals;

/// Raises what a function of the C interface has refused.
[[noreturn]] void raise(fovea_status status, const char *text);

/// Calls a function of the C interface and raises what it refuses.
template <typename Call> void check(Call call) {
  fovea_message message;
  message.struct_size = sizeof message;
  message.text[0] = 0;
  if (fovea_status status = call(&message); status != FOVEA_OK)
    raise(status, message.text);
}

void setExceptions(nb::dict classes);

int64_t readInt(PyObject *object);
double readDouble(PyObject *object);
std::pair<int64_t, int64_t> readPair(nb::handle pair, const char *name);
/// The bytes of a str or bytes object.
std::string_view readText(nb::handle object, const char *name);
/// The library's number of a dtype by its name in Programs, -1 for another
/// one, and its bytes.
int32_t findDtype(PyObject *name);
constexpr int64_t itemSizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 2, 2, 4, 8};
/// Where the data of a NumPy array begin.
uintptr_t addressOf(nb::handle array);

/// A tensor tuple and the arrays that its descriptor refers to.
class Tensor {
public:
  Tensor() = default;
  explicit Tensor(nb::handle tuple) { read(tuple.ptr()); }
  Tensor(const Tensor &) = delete;
  Tensor &operator=(const Tensor &) = delete;
  Tensor(Tensor &&) = delete;

  void read(PyObject *tuple);
  const fovea_tensor &get() const { return descriptor; }
  void place(fovea_device device, int32_t id) {
    descriptor.device_type = device;
    descriptor.device_id = id;
  }

private:
  fovea_tensor descriptor = {};
  std::array<int64_t, 16> inlineSizes;
  std::vector<int64_t> manySizes;
};

/// A sequence of tensor tuples as an array of descriptors.
class Tensors {
public:
  explicit Tensors(nb::handle sequence);
  const fovea_tensor *data() const { return descriptors.data(); }
  size_t size() const { return descriptors.size(); }
  void place(fovea_device device, int32_t id) {
    for (fovea_tensor &tensor : descriptors) {
      tensor.device_type = device;
      tensor.device_id = id;
    }
  }

private:
  nb::object fast;
  std::vector<std::unique_ptr<Tensor>> storage;
  std::vector<fovea_tensor> descriptors;
};

template <typename T, typename Read>
std::vector<T> readNumbers(nb::handle sequence, Read read) {
  nb::object fast =
      nb::steal(PySequence_Fast(sequence.ptr(), "numbers must be a sequence"));
  if (!fast.is_valid())
    throw nb::python_error();
  std::vector<T> out(static_cast<size_t>(PySequence_Fast_GET_SIZE(fast.ptr())));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = read(PySequence_Fast_GET_ITEM(fast.ptr(), i));
  return out;
}

/// "W=64" items of a mapping, for the C interface.
class Defines {
public:
  explicit Defines(const std::optional<nb::dict> &defines) {
    if (!defines)
      return;
    for (auto [key, value] : *defines)
      texts.push_back(nb::cast<std::string>(key) + "=" +
                      nb::cast<std::string>(value));
    for (const std::string &text : texts)
      pointers.push_back(text.c_str());
  }
  const char *const *data() const { return pointers.data(); }
  size_t size() const { return pointers.size(); }

private:
  std::vector<std::string> texts;
  std::vector<const char *> pointers;
};

/// A string that the library hands out.
class LibraryString {
public:
  LibraryString() { string.struct_size = sizeof string; }
  ~LibraryString() { fovea_string_free(&string); }
  LibraryString(const LibraryString &) = delete;
  LibraryString &operator=(const LibraryString &) = delete;
  fovea_string *out() { return &string; }
  nb::str text() const {
    return nb::steal<nb::str>(PyUnicode_DecodeUTF8(
        string.data, static_cast<Py_ssize_t>(string.size), "replace"));
  }
  nb::bytes bytes() const { return nb::bytes(string.data, string.size); }

private:
  fovea_string string = {};
};

/// Gives `m` the class of T that an earlier import of the module made, where
/// there was one.
template <typename T> bool hasClass(nb::module_ &m, const char *name) {
  nb::handle known = nb::type<T>();
  if (known.is_valid())
    m.attr(name) = known;
  return known.is_valid();
}

template <typename Call> nb::str giveText(Call call) {
  LibraryString string;
  check([&](fovea_message *message) {
    WithoutGIL released;
    return call(string.out(), message);
  });
  return string.text();
}

void addKernels(nb::module_ &m);
void addMasks(nb::module_ &m);

} // namespace fovea::python

#endif // FOVEA_PYTHON_SUPPORT_H
