//===- Module.cpp - fovea._native: the C interface for Python -------------===//
//
// nanobind over include/fovea-c/fovea.h, and the floating-point environment;
// _native.pyi describes it.
//
//===----------------------------------------------------------------------===//
#include "Arrays.h"
#include "Variants.h"

#include <cfenv>
#include <cstdlib>
#include <cstring>

using namespace fovea::python;

namespace {
nb::str parseAttn(nb::handle text, const std::string &name,
                  std::optional<nb::dict> defines) {
  std::string_view bytes = readText(text, "text");
  Defines definitions(defines);
  std::string warnings;
  nb::str programs =
      giveText([&](fovea_string *string, fovea_message *message) {
        fovea_status status = fovea_parse_attn(
            bytes.data(), bytes.size(), name.c_str(), definitions.data(),
            definitions.size(), string, message);
        if (status == FOVEA_OK)
          warnings = message->text;
        return status;
      });
  if (!warnings.empty() &&
      PyErr_WarnEx(PyExc_UserWarning, warnings.c_str(), 1) < 0)
    throw nb::python_error();
  return programs;
}

/// Sets the default floating-point environment (round to nearest, denormals
/// kept) on the calling thread; the one before.
nb::bytes enterDefaultFloats() {
  fenv_t before;
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  return nb::bytes(&before, sizeof before);
}

void leaveDefaultFloats(nb::bytes before) {
  fenv_t environment;
  if (before.size() != sizeof environment)
    throw nb::value_error("before: not of enter_default_floats");
  std::memcpy(&environment, before.c_str(), sizeof environment);
  fesetenv(&environment);
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
  // Daemon threads keep what they use beyond the end.
  const char *verbose = std::getenv("FOVEA_VERBOSE");
  nb::set_leak_warnings(verbose && std::string_view(verbose) == "1");
  fovea::python::watchExit();
  Arrays::type();
  addKernels(m);
  addMasks(m);
  addPlans(m);
  addVariants(m);
  m.def("address", &addressOf, "array"_a);
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
  m.def("enter_default_floats", &enterDefaultFloats);
  m.def("leave_default_floats", &leaveDefaultFloats, "before"_a);
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
