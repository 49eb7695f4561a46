//===- Module.cpp - fovea._native: the C interface for Python -------------===//
//
// nanobind over include/fovea-c/fovea.h, nothing more; _native.pyi describes
// it.
//
//===----------------------------------------------------------------------===//
#include "fovea-c/fovea.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

namespace {
//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

/// Classes that set_exceptions gave; they live as long as the interpreter.
PyObject *exceptionClasses[FOVEA_IO_ERROR + 1] = {};

PyObject *builtinClass(fovea_status status) {
  switch (status) {
  case FOVEA_TYPE_ERROR:
    return PyExc_TypeError;
  case FOVEA_INDEX_ERROR:
    return PyExc_IndexError;
  case FOVEA_OUT_OF_MEMORY:
    return PyExc_MemoryError;
  case FOVEA_COMPILE_ERROR:
    return PyExc_RuntimeError;
  case FOVEA_IO_ERROR:
    return PyExc_OSError;
  default:
    return PyExc_ValueError;
  }
}

/// Calls a function of the C interface and raises what it refuses.
template <typename Call> void check(Call call) {
  fovea_message message;
  message.struct_size = sizeof message;
  message.text[0] = 0;
  fovea_status status = call(&message);
  if (status == FOVEA_OK)
    return;
  // A signal's exception is set already.
  if (status == FOVEA_CANCELLED && PyErr_Occurred())
    throw nb::python_error();
  PyObject *type = exceptionClasses[status];
  PyErr_SetString(type ? type : builtinClass(status), message.text);
  throw nb::python_error();
}

/// Asked by the library on the calling thread, which runs without the GIL.
int signalsPending(void *) {
  nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

void setExceptions(nb::dict classes) {
  const std::pair<const char *, fovea_status> names[] = {
      {"parse", FOVEA_PARSE_ERROR},
      {"compile", FOVEA_COMPILE_ERROR},
      {"index", FOVEA_INDEX_ERROR},
      {"unsupported", FOVEA_UNSUPPORTED},
      {"io", FOVEA_IO_ERROR}};
  for (auto [key, value] : classes) {
    bool known = false;
    for (auto [name, status] : names)
      if (nb::cast<std::string>(key) == name) {
        if (!PyExceptionClass_Check(value.ptr()))
          throw nb::type_error(
              "set_exceptions: values must be exception classes");
        Py_XDECREF(exceptionClasses[status]);
        exceptionClasses[status] = value.inc_ref().ptr();
        known = true;
      }
    if (!known)
      throw nb::value_error("set_exceptions: unknown key");
  }
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

constexpr std::string_view dtypeNames[] = {"i1",   "i8",   "ui8",  "i16",
                                           "ui16", "i32",  "ui32", "i64",
                                           "f16",  "bf16", "f32",  "f64"};

int32_t findDtype(PyObject *name) {
  Py_ssize_t size = 0;
  const char *text =
      PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  if (!text)
    throw nb::type_error("tensor: dtype must be a string");
  for (size_t i = 0; i < std::size(dtypeNames); ++i)
    if (dtypeNames[i] == std::string_view(text, static_cast<size_t>(size)))
      return static_cast<int32_t>(i);
  throw nb::value_error("tensor: unknown dtype");
}

int64_t readInt(PyObject *object) {
  long long value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred())
    throw nb::python_error();
  return value;
}

/// A tensor tuple and the arrays that its descriptor refers to.
class Tensor {
public:
  Tensor() = default;
  explicit Tensor(nb::handle tuple) { read(tuple.ptr()); }
  Tensor(const Tensor &) = delete;
  Tensor &operator=(const Tensor &) = delete;
  Tensor(Tensor &&) = delete;

  void read(PyObject *tuple) {
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != 4)
      throw nb::type_error(
          "tensor: must be a tuple (address, dtype, shape, strides)");
    descriptor.struct_size = sizeof descriptor;
    descriptor.data = PyLong_AsVoidPtr(PyTuple_GET_ITEM(tuple, 0));
    if (!descriptor.data && PyErr_Occurred())
      throw nb::python_error();
    descriptor.dtype = findDtype(PyTuple_GET_ITEM(tuple, 1));
    PyObject *shape = PyTuple_GET_ITEM(tuple, 2);
    PyObject *steps = PyTuple_GET_ITEM(tuple, 3);
    if (!PyTuple_Check(shape) || !PyTuple_Check(steps) ||
        PyTuple_GET_SIZE(shape) != PyTuple_GET_SIZE(steps))
      throw nb::type_error(
          "tensor: shape and strides must be tuples of one length");
    auto rank = static_cast<size_t>(PyTuple_GET_SIZE(shape));
    int64_t *at = inlineSizes.data();
    if (2 * rank > inlineSizes.size()) {
      manySizes.resize(2 * rank);
      at = manySizes.data();
    }
    for (size_t i = 0; i < rank; ++i) {
      at[i] = readInt(PyTuple_GET_ITEM(shape, i));
      at[rank + i] = readInt(PyTuple_GET_ITEM(steps, i));
    }
    descriptor.rank = static_cast<int32_t>(rank);
    descriptor.sizes = at;
    descriptor.strides = at + rank;
    descriptor.device_type = FOVEA_CPU;
  }
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
  explicit Tensors(nb::handle sequence)
      : fast(nb::steal(
            PySequence_Fast(sequence.ptr(), "tensors must be a sequence"))) {
    if (!fast.is_valid())
      throw nb::python_error();
    auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(fast.ptr()));
    storage = std::vector<std::unique_ptr<Tensor>>(count);
    for (size_t i = 0; i < count; ++i) {
      storage[i] = std::make_unique<Tensor>();
      storage[i]->read(PySequence_Fast_GET_ITEM(fast.ptr(), i));
      descriptors.push_back(storage[i]->get());
    }
  }
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

double readDouble(PyObject *object) {
  double value = PyFloat_AsDouble(object);
  if (value == -1 && PyErr_Occurred())
    throw nb::python_error();
  return value;
}

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

template <typename Call> nb::str giveText(Call call) {
  LibraryString string;
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return call(string.out(), message);
  });
  return string.text();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

class PyKernel {
public:
  explicit PyKernel(fovea_kernel *kernel) : kernel(kernel) {}
  ~PyKernel() { fovea_kernel_free(kernel); }
  PyKernel(const PyKernel &) = delete;
  PyKernel &operator=(const PyKernel &) = delete;

  void launch(nb::handle queries, nb::handle keys, nb::handle value,
              nb::handle out, nb::handle lse, nb::handle captures,
              nb::handle scales, nb::handle qOffset, nb::handle kvOffset,
              nb::handle qLengths, nb::handle kvLengths,
              nb::handle blockClasses, nb::handle blockSize,
              std::optional<int32_t> cuda, uintptr_t stream);
  nb::str ir(const char *level) {
    return giveText([&](fovea_string *string, fovea_message *message) {
      return fovea_kernel_ir(kernel, level, string, message);
    });
  }
  nb::str info() {
    return giveText([&](fovea_string *string, fovea_message *message) {
      return fovea_kernel_info(kernel, string, message);
    });
  }
  nb::bytes object() {
    LibraryString string;
    check([&](fovea_message *message) {
      nb::gil_scoped_release release;
      return fovea_kernel_object(kernel, string.out(), message);
    });
    return string.bytes();
  }

private:
  fovea_kernel *kernel;
};

std::pair<int64_t, int64_t> readPair(nb::handle pair, const char *name) {
  if (!PyTuple_Check(pair.ptr()) || PyTuple_GET_SIZE(pair.ptr()) != 2)
    throw nb::type_error((std::string(name) + ": must be a pair").c_str());
  return {readInt(PyTuple_GET_ITEM(pair.ptr(), 0)),
          readInt(PyTuple_GET_ITEM(pair.ptr(), 1))};
}

void PyKernel::launch(nb::handle queries, nb::handle keys, nb::handle value,
                      nb::handle out, nb::handle lse, nb::handle captures,
                      nb::handle scales, nb::handle qOffset,
                      nb::handle kvOffset, nb::handle qLengths,
                      nb::handle kvLengths, nb::handle blockClasses,
                      nb::handle blockSize, std::optional<int32_t> cuda,
                      uintptr_t stream) {
  Tensors q(queries), k(keys), c(captures);
  Tensor v(value), o(out), l, classes;
  if (q.size() != k.size())
    throw nb::value_error("keys: must be as many as queries");
  if (q.size() == 0 || q.data()->rank < 1)
    throw nb::value_error("queries: must have at least one tensor of rank 4");
  int64_t batch = q.data()->sizes[0];
  std::vector<double> scale = readNumbers<double>(scales, readDouble);
  if (scale.size() != q.size())
    throw nb::value_error("scales: must be as many as queries");
  Positions qo(qOffset, "q_offset", batch), ko(kvOffset, "kv_offset", batch);
  Positions ql(qLengths, "q_lengths", batch),
      kl(kvLengths, "kv_lengths", batch);

  fovea_launch launch = {};
  launch.struct_size = sizeof launch;
  launch.queries = q.data();
  launch.keys = k.data();
  launch.num_pairs = q.size();
  launch.value = &v.get();
  launch.out = &o.get();
  if (!lse.is_none()) {
    l.read(lse.ptr());
    launch.lse = &l.get();
  }
  launch.captures = c.data();
  launch.num_captures = c.size();
  launch.scales = scale.data();
  launch.q_offset = qo.get();
  launch.kv_offset = ko.get();
  launch.q_lengths = ql.get();
  launch.kv_lengths = kl.get();
  if (!blockClasses.is_none()) {
    classes.read(blockClasses.ptr());
    launch.block_classes = &classes.get();
    std::tie(launch.block_q, launch.block_kv) =
        readPair(blockSize, "block_size");
  }
  launch.should_cancel = signalsPending;
  if (cuda) {
    for (Tensors *tensors : {&q, &k, &c})
      tensors->place(FOVEA_CUDA, *cuda);
    for (Tensor *tensor : {&v, &o, &l, &classes})
      tensor->place(FOVEA_CUDA, *cuda);
    launch.stream = reinterpret_cast<void *>(stream);
  }
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return fovea_kernel_launch(kernel, &launch, message);
  });
}

int32_t findKind(const std::string &kind) {
  if (kind == "program")
    return FOVEA_SOURCE_PROGRAM;
  if (kind == "attn")
    return FOVEA_SOURCE_ATTN;
  if (kind == "mlir")
    return FOVEA_SOURCE_MLIR;
  throw nb::value_error("kind: must be program, attn or mlir");
}

/// The bytes of a str or bytes object.
std::string_view readText(nb::handle object, const char *name) {
  if (PyBytes_Check(object.ptr()))
    return {PyBytes_AS_STRING(object.ptr()),
            static_cast<size_t>(PyBytes_GET_SIZE(object.ptr()))};
  Py_ssize_t size = 0;
  const char *text = PyUnicode_Check(object.ptr())
                         ? PyUnicode_AsUTF8AndSize(object.ptr(), &size)
                         : nullptr;
  if (!text && PyErr_Occurred())
    throw nb::python_error();
  if (!text)
    throw nb::type_error(
        (std::string(name) + ": must be str or bytes").c_str());
  return {text, static_cast<size_t>(size)};
}

const char *orNull(const std::optional<std::string> &text) {
  return text ? text->c_str() : nullptr;
}

nb::tuple compile(nb::handle source, const std::string &kind,
                  std::optional<std::string> name,
                  std::optional<std::string> variant,
                  std::optional<std::string> dtype, int64_t headDim,
                  int64_t valueDim, std::optional<std::string> target,
                  std::optional<std::string> schedule, int32_t wantLse,
                  int32_t wantBlockMask, std::optional<nb::dict> defines) {
  std::string_view text = readText(source, "source");
  Defines definitions(defines);
  fovea_compile_options options = {};
  options.struct_size = sizeof options;
  options.source_kind = findKind(kind);
  options.source = text.data();
  options.source_size = text.size();
  options.source_name = orNull(name);
  options.variant = orNull(variant);
  options.dtype = orNull(dtype);
  options.head_dim = headDim;
  options.value_dim = valueDim;
  options.target = orNull(target);
  options.schedule = orNull(schedule);
  options.want_lse = wantLse;
  options.want_block_mask = wantBlockMask;
  options.defines = definitions.data();
  options.num_defines = definitions.size();
  fovea_compile_result result = {};
  result.struct_size = sizeof result;
  fovea_kernel *kernel = nullptr;
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return fovea_compile(&options, &kernel, &result, message);
  });
  const char *origins[] = {"compiled", "memory", "disk"};
  nb::object object =
      nb::cast(new PyKernel(kernel), nb::rv_policy::take_ownership);
  return nb::make_tuple(object, origins[result.origin], result.milliseconds);
}

//===----------------------------------------------------------------------===//
// Masks, files, the process
//===----------------------------------------------------------------------===//

fovea_mask_query makeQuery(std::string_view program, const Tensors &captures,
                           nb::handle sizes, nb::handle offsets) {
  fovea_mask_query query = {};
  query.struct_size = sizeof query;
  query.program = program.data();
  query.program_size = program.size();
  query.captures = captures.data();
  query.num_captures = captures.size();
  auto dims = readNumbers<int64_t>(sizes, readInt);
  if (dims.size() != 4)
    throw nb::value_error("sizes: must be (B, H, Q_LEN, KV_LEN)");
  query.batch = dims[0];
  query.heads = dims[1];
  query.q_length = dims[2];
  query.kv_length = dims[3];
  std::tie(query.q_offset, query.kv_offset) = readPair(offsets, "offsets");
  query.should_cancel = signalsPending;
  return query;
}

/// The result has to be what the library will write, whatever was passed.
void checkResult(const fovea_tensor &out, const fovea_mask_query &query,
                 int64_t blockQ, int64_t blockKV, int32_t dtype) {
  auto tiles = [](int64_t length, int64_t block) {
    return length / block + (length % block != 0);
  };
  int64_t wanted[] = {query.batch, query.heads, tiles(query.q_length, blockQ),
                      tiles(query.kv_length, blockKV)};
  int64_t stride = 1;
  bool fits = out.rank == 4 && out.dtype == dtype;
  for (int i = 3; fits && i >= 0; --i) {
    fits = out.sizes[i] == wanted[i] &&
           (out.sizes[i] <= 1 || out.strides[i] == stride);
    stride *= std::max<int64_t>(out.sizes[i], 1);
  }
  if (!fits)
    throw nb::value_error("out: must be contiguous and of the result's shape");
}

fovea_mask_query makeTiledQuery(nb::handle program, const Tensors &captures,
                                nb::handle sizes, nb::handle offsets,
                                nb::handle blockSize, bool exact) {
  fovea_mask_query query =
      makeQuery(readText(program, "program"), captures, sizes, offsets);
  std::tie(query.block_q, query.block_kv) = readPair(blockSize, "block_size");
  if (query.block_q < 1 || query.block_kv < 1)
    throw nb::value_error("block_size: must be at least 1");
  query.approximate = !exact;
  return query;
}

nb::dict giveStatistics(const fovea_mask_statistics &from) {
  nb::dict out;
  out["full"] = from.full;
  out["partial"] = from.partial;
  out["empty"] = from.empty;
  out["by_points"] = from.by_points;
  out["by_polyhedra"] = from.by_polyhedra;
  out["by_evaluation"] = from.by_evaluation;
  out["undecided"] = from.undecided;
  out["rectangles"] = from.rectangles;
  return out;
}

nb::dict maskCounts(nb::handle program, nb::handle captures, nb::handle sizes,
                    nb::handle offsets, nb::handle blockSize, bool exact) {
  Tensors c(captures);
  fovea_mask_query query =
      makeTiledQuery(program, c, sizes, offsets, blockSize, exact);
  fovea_mask_statistics statistics = {};
  statistics.struct_size = sizeof statistics;
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return fovea_mask_counts(&query, &statistics, message);
  });
  return giveStatistics(statistics);
}

/// (offsets, runs, shared, statistics); offsets and runs as bytes.
nb::tuple maskRuns(nb::handle program, nb::handle captures, nb::handle sizes,
                   nb::handle offsets, nb::handle blockSize, bool exact) {
  Tensors c(captures);
  fovea_mask_query query =
      makeTiledQuery(program, c, sizes, offsets, blockSize, exact);
  fovea_mask_runs runs = {};
  runs.struct_size = sizeof runs;
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return fovea_mask_find_runs(&query, &runs, message);
  });
  std::unique_ptr<fovea_mask_runs, void (*)(fovea_mask_runs *)> owner(
      &runs, fovea_mask_runs_free);
  return nb::make_tuple(
      nb::bytes(runs.offsets, (runs.rows + 1) * sizeof(int64_t)),
      nb::bytes(runs.runs, runs.num_runs * sizeof(int32_t)), runs.shared != 0,
      giveStatistics(runs.statistics));
}

nb::str maskDescribe(nb::handle program, nb::handle captures, nb::handle sizes,
                     nb::handle offsets, int64_t batch, int64_t head) {
  Tensors c(captures);
  fovea_mask_query query =
      makeQuery(readText(program, "program"), c, sizes, offsets);
  return giveText([&](fovea_string *string, fovea_message *message) {
    return fovea_mask_describe(&query, batch, head, string, message);
  });
}

void maskClasses(nb::handle program, nb::handle captures, nb::handle sizes,
                 nb::handle offsets, nb::handle blockSize, nb::handle out,
                 bool exact) {
  Tensors c(captures);
  Tensor o(out);
  fovea_mask_query query =
      makeTiledQuery(program, c, sizes, offsets, blockSize, exact);
  checkResult(o.get(), query, query.block_q, query.block_kv, FOVEA_I8);
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return fovea_mask_classes(&query, static_cast<int8_t *>(o.get().data),
                              message);
  });
}

void maskDense(nb::handle program, nb::handle captures, nb::handle sizes,
               nb::handle offsets, nb::handle out) {
  Tensors c(captures);
  Tensor o(out);
  fovea_mask_query query =
      makeQuery(readText(program, "program"), c, sizes, offsets);
  checkResult(o.get(), query, 1, 1, FOVEA_I1);
  check([&](fovea_message *message) {
    nb::gil_scoped_release release;
    return fovea_mask_dense(&query, static_cast<uint8_t *>(o.get().data),
                            message);
  });
}

nb::str parseAttn(nb::handle text, const std::string &name,
                  std::optional<nb::dict> defines) {
  std::string_view bytes = readText(text, "text");
  Defines definitions(defines);
  return giveText([&](fovea_string *string, fovea_message *message) {
    return fovea_parse_attn(bytes.data(), bytes.size(), name.c_str(),
                            definitions.data(), definitions.size(), string,
                            message);
  });
}

nb::tuple cacheInfo() {
  fovea_cache_stats stats = {};
  stats.struct_size = sizeof stats;
  check([&](fovea_message *message) {
    return fovea_cache_info(&stats, message);
  });
  return nb::make_tuple(stats.compiles, stats.memory_hits, stats.disk_hits,
                        stats.entries);
}
} // namespace

NB_MODULE(_native, m) {
  m.doc() = "The compiled part of fovea.";
  nb::class_<PyKernel>(m, "Kernel")
      .def("launch", &PyKernel::launch, "queries"_a, "keys"_a, "value"_a,
           "out"_a, "lse"_a.none(), "captures"_a, "scales"_a,
           "q_offset"_a.none(), "kv_offset"_a.none(), "q_lengths"_a.none(),
           "kv_lengths"_a.none(), "block_classes"_a.none(),
           "block_size"_a.none(), "cuda"_a = nb::none(), "stream"_a = 0)
      .def("ir", &PyKernel::ir, "level"_a)
      .def("info", &PyKernel::info)
      .def("object", &PyKernel::object);
  m.def("compile", &compile, "source"_a, nb::kw_only(), "kind"_a = "program",
        "name"_a = nb::none(), "variant"_a = nb::none(), "dtype"_a = nb::none(),
        "head_dim"_a = 0, "value_dim"_a = -1, "target"_a = nb::none(),
        "schedule"_a = nb::none(), "want_lse"_a = -1, "want_block_mask"_a = -1,
        "defines"_a = nb::none());
  m.def("mask_classes", &maskClasses, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "block_size"_a, "out"_a, "exact"_a = true);
  m.def("mask_counts", &maskCounts, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "block_size"_a, "exact"_a = true);
  m.def("mask_runs", &maskRuns, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "block_size"_a, "exact"_a = true);
  m.def("mask_describe", &maskDescribe, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "batch"_a = 0, "head"_a = 0);
  m.def("mask_dense", &maskDense, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "out"_a);
  m.def("parse_attn", &parseAttn, "text"_a, "name"_a, "defines"_a = nb::none());
  m.def(
      "set_num_threads",
      [](int32_t n) {
        check([&](fovea_message *message) {
          return fovea_set_num_threads(n, message);
        });
      },
      "n"_a);
  m.def("num_threads", [] { return fovea_num_threads(); });
  m.def("cache_info", &cacheInfo);
  m.def(
      "clear_cache",
      [](bool onDisk) {
        check([&](fovea_message *message) {
          return fovea_clear_cache(onDisk, message);
        });
      },
      "on_disk"_a = false);
  m.def("environment_notes", [] {
    return giveText([](fovea_string *string, fovea_message *message) {
      return fovea_environment_notes(string, message);
    });
  });
  m.def(
      "add_site_packages",
      [](const std::string &folder) {
        check([&](fovea_message *message) {
          return fovea_add_site_packages(folder.c_str(), message);
        });
      },
      "folder"_a);
  m.def("config", [] {
    return giveText([](fovea_string *string, fovea_message *message) {
      return fovea_config(string, message);
    });
  });
  m.def("set_exceptions", &setExceptions, "classes"_a);
}
