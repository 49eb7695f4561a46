//===- Kernels.cpp - Compiling and launching ------------------------------===//
#include "Positions.h"
#include "Repeats.h"

using namespace fovea::python;

namespace {
/// A block mask: a tensor tuple of classes, or ("runs", address of the offsets,
/// address of the runs, number of runs, (B, H, query tiles, key tiles)).
class BlockMask {
public:
  BlockMask(nb::handle mask, nb::handle size, fovea_launch &launch) {
    if (mask.is_none())
      return;
    std::tie(launch.block_q, launch.block_kv) = readPair(size, "block_size");
    PyObject *tuple = mask.ptr();
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != 5) {
      classes.read(tuple);
      launch.block_classes = &classes.get();
      return;
    }
    readRuns(tuple);
    launch.block_runs = &runs;
  }
  Tensor classes;

private:
  void readRuns(PyObject *tuple) {
    auto sizes =
        readNumbers<int64_t>(nb::handle(PyTuple_GET_ITEM(tuple, 4)), readInt);
    if (sizes.size() != 4)
      throw nb::value_error("block_mask: must have four sizes");
    runs.struct_size = sizeof runs;
    runs.batch = sizes[0];
    runs.heads = sizes[1];
    runs.query_tiles = sizes[2];
    runs.key_tiles = sizes[3];
    auto address = [&](Py_ssize_t item) {
      return static_cast<uintptr_t>(readInt(PyTuple_GET_ITEM(tuple, item)));
    };
    runs.offsets = reinterpret_cast<const int64_t *>(address(1));
    runs.runs = reinterpret_cast<const int32_t *>(address(2));
    runs.num_runs = readInt(PyTuple_GET_ITEM(tuple, 3));
  }

  fovea_block_runs runs = {};
};

class PyKernel {
public:
  explicit PyKernel(fovea_kernel *kernel) : repeats(kernel), kernel(kernel) {}
  ~PyKernel() { fovea_kernel_free(kernel); }
  PyKernel(const PyKernel &) = delete;
  PyKernel &operator=(const PyKernel &) = delete;

  void launch(nb::handle queries, nb::handle keys, nb::handle value,
              nb::handle out, nb::handle lse, nb::handle captures,
              nb::handle scales, nb::handle qOffset, nb::handle kvOffset,
              nb::handle qLengths, nb::handle kvLengths, nb::handle blockMask,
              nb::handle blockSize, std::optional<int32_t> cuda,
              uintptr_t stream, nb::handle pageTable);
  void remember(nb::handle inputs, nb::handle captures, double scale,
                nb::object make, nb::object geometry, nb::object positions) {
    repeats.remember(inputs, captures, scale, std::move(make),
                     std::move(geometry), std::move(positions));
  }
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
      WithoutGIL released;
      return fovea_kernel_object(kernel, string.out(), message);
    });
    return string.bytes();
  }

  static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    return nb::inst_ready(self)
               ? nb::inst_ptr<PyKernel>(self)->repeats.traverse(visit, arg)
               : 0;
  }
  static int clear(PyObject *self) {
    nb::inst_ptr<PyKernel>(self)->repeats.forget();
    return 0;
  }
  Repeats repeats;

private:
  fovea_kernel *kernel;
};

void PyKernel::launch(nb::handle queries, nb::handle keys, nb::handle value,
                      nb::handle out, nb::handle lse, nb::handle captures,
                      nb::handle scales, nb::handle qOffset,
                      nb::handle kvOffset, nb::handle qLengths,
                      nb::handle kvLengths, nb::handle blockMask,
                      nb::handle blockSize, std::optional<int32_t> cuda,
                      uintptr_t stream, nb::handle pageTable) {
  Tensors q(queries), k(keys), c(captures);
  Tensor v(value), o(out), l, pages;
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
  BlockMask mask(blockMask, blockSize, launch);
  if (!pageTable.is_none()) {
    pages.read(pageTable.ptr());
    launch.page_table = &pages.get();
  }
  launch.should_cancel = signalsPending;
  if (cuda) {
    for (Tensors *tensors : {&q, &k, &c})
      tensors->place(FOVEA_CUDA, *cuda);
    for (Tensor *tensor : {&v, &o, &l, &mask.classes})
      tensor->place(FOVEA_CUDA, *cuda);
    launch.stream = reinterpret_cast<void *>(stream);
  }
  check([&](fovea_message *message) {
    WithoutGIL released;
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

const char *orNull(const std::optional<std::string> &text) {
  return text ? text->c_str() : nullptr;
}

/// A call of the compiler and all that it reads and gives.
struct CompileCall {
  CompileCall(nb::handle source, const std::optional<nb::dict> &defines)
      : text(readText(source, "source")), definitions(defines) {
    options.struct_size = sizeof options;
    options.source = text.data();
    options.source_size = text.size();
    options.defines = definitions.data();
    options.num_defines = definitions.size();
    result.struct_size = sizeof result;
    message.struct_size = sizeof message;
  }
  ~CompileCall() { fovea_kernel_free(kernel); }
  CompileCall(const CompileCall &) = delete;
  CompileCall &operator=(const CompileCall &) = delete;

  std::string text;
  Defines definitions;
  std::optional<std::string> name, variant, dtype, target, schedule;
  fovea_compile_options options = {};
  fovea_compile_result result = {};
  fovea_message message = {};
  fovea_kernel *kernel = nullptr;
};

nb::tuple compile(nb::handle source, const std::string &kind,
                  std::optional<std::string> name,
                  std::optional<std::string> variant,
                  std::optional<std::string> dtype, int64_t headDim,
                  int64_t valueDim, std::optional<std::string> target,
                  std::optional<std::string> schedule, int32_t wantLse,
                  int32_t wantBlockMask, std::optional<nb::dict> defines) {
  auto call = std::make_shared<CompileCall>(source, defines);
  call->name = std::move(name);
  call->variant = std::move(variant);
  call->dtype = std::move(dtype);
  call->target = std::move(target);
  call->schedule = std::move(schedule);
  fovea_compile_options &options = call->options;
  options.source_kind = findKind(kind);
  options.source_name = orNull(call->name);
  options.variant = orNull(call->variant);
  options.dtype = orNull(call->dtype);
  options.head_dim = headDim;
  options.value_dim = valueDim;
  options.target = orNull(call->target);
  options.schedule = orNull(call->schedule);
  options.want_lse = wantLse;
  options.want_block_mask = wantBlockMask;
  check([&](fovea_message *message) {
    fovea_status status = runInterruptibly([call] {
      return fovea_compile(&call->options, &call->kernel, &call->result,
                           &call->message);
    });
    if (status != FOVEA_CANCELLED)
      *message = call->message;
    return status;
  });
  const char *origins[] = {"compiled", "memory", "disk"};
  nb::object object =
      nb::cast(new PyKernel(std::exchange(call->kernel, nullptr)),
               nb::rv_policy::take_ownership);
  return nb::make_tuple(object, origins[call->result.origin],
                        call->result.milliseconds);
}
} // namespace

Repeats &fovea::python::repeatsOf(nb::handle kernel) {
  return nb::cast<PyKernel &>(kernel).repeats;
}

void fovea::python::addKernels(nb::module_ &m) {
  m.def("set_tensor_type", &setTensorType, "type"_a, "empty_like"_a,
        "observer"_a);
  m.def("compile", &compile, "source"_a, nb::kw_only(), "kind"_a = "program",
        "name"_a = nb::none(), "variant"_a = nb::none(), "dtype"_a = nb::none(),
        "head_dim"_a = 0, "value_dim"_a = -1, "target"_a = nb::none(),
        "schedule"_a = nb::none(), "want_lse"_a = -1, "want_block_mask"_a = -1,
        "defines"_a = nb::none());
  if (hasClass<PyKernel>(m, "Kernel"))
    return;
  PyType_Slot slots[] = {
      {Py_tp_traverse, reinterpret_cast<void *>(&PyKernel::traverse)},
      {Py_tp_clear, reinterpret_cast<void *>(&PyKernel::clear)},
      {0, nullptr}};
  nb::class_<PyKernel>(m, "Kernel", nb::type_slots(slots))
      .def("launch", &PyKernel::launch, "queries"_a, "keys"_a, "value"_a,
           "out"_a, "lse"_a.none(), "captures"_a, "scales"_a,
           "q_offset"_a.none(), "kv_offset"_a.none(), "q_lengths"_a.none(),
           "kv_lengths"_a.none(), "block_mask"_a.none(), "block_size"_a.none(),
           "cuda"_a = nb::none(), "stream"_a = 0, "page_table"_a = nb::none())
      .def("remember", &PyKernel::remember, "inputs"_a, "captures"_a, "scale"_a,
           "make"_a.none(), "geometry"_a, "positions"_a)
      .def("ir", &PyKernel::ir, "level"_a)
      .def("info", &PyKernel::info)
      .def("object", &PyKernel::object);
}
