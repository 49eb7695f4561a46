//===- Process.cpp - C ABI: .attn files, threads, caches, configuration ---===//
#include "Support.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/ReadSource.h"
#include "fovea/Runtime/ThreadPool.h"
#include "fovea/Target/CPU/HostInfo.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;
using namespace fovea::capi;

/// The .attn text of a level-1 module.
static llvm::Expected<std::string> exportMLIR(llvm::StringRef source,
                                              llvm::StringRef name) {
  auto programs = readMLIRPrograms(source, name);
  if (!programs)
    return programs.takeError();
  return printAttn(*programs);
}

extern "C" fovea_status
fovea_parse_attn(const char *text, size_t size, const char *name,
                 const char *const *defines, size_t num_defines,
                 fovea_string *programs_json, fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (!text)
      return invalid("text: must not be null");
    if (llvm::Error error = checkStruct(programs_json, "string"))
      return error;
    auto pairs = readDefines(defines, num_defines);
    if (!pairs)
      return pairs.takeError();
    llvm::StringRef source(text, size), file = name ? name : "<text>";
    std::string diagnostics, exported;
    if (isMLIR(source, file)) {
      if (llvm::Error error = exportMLIR(source, file).moveInto(exported)) {
        auto [status, text] = takeStatus(std::move(error));
        return makeError(
            status == FOVEA_COMPILE_ERROR ? FOVEA_PARSE_ERROR : status, text);
      }
      source = exported;
    }
    llvm::raw_string_ostream os(diagnostics);
    auto programs = parseAttn(source, file, *pairs, os);
    if (failed(programs))
      return makeError(FOVEA_PARSE_ERROR, llvm::StringRef(diagnostics).rtrim());
    if (!diagnostics.empty())
      fill(message, llvm::StringRef(diagnostics).rtrim().str());
    std::string json = "[";
    for (const Program &program : *programs)
      json += (json.size() > 1 ? "," : "") + printProgram(program);
    return giveString(json + "]", programs_json);
  });
}

extern "C" fovea_status fovea_set_num_threads(int32_t threads,
                                              fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (threads < 0 || threads > ThreadPool::maxThreads)
      return invalid("threads: must lie within 0 and " +
                     llvm::Twine(ThreadPool::maxThreads) + ", got " +
                     llvm::Twine(threads));
    ThreadPool::setNumThreads(threads);
    return llvm::Error::success();
  });
}

extern "C" int32_t fovea_num_threads(void) { return ThreadPool::numThreads(); }

extern "C" fovea_status fovea_cache_info(fovea_cache_stats *stats,
                                         fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkStruct(stats, "stats"))
      return error;
    CompileStats found = CompileService::get().getStats();
    stats->compiles = found.compiles;
    stats->memory_hits = found.memoryHits;
    stats->disk_hits = found.diskHits;
    stats->entries = found.entries;
    return llvm::Error::success();
  });
}

extern "C" fovea_status fovea_clear_cache(int32_t on_disk,
                                          fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    CompileService::get().clear(on_disk != 0);
    return llvm::Error::success();
  });
}

/// The assembler for NVIDIA GPUs: "13.5.37 (path)", what is wrong with the one
/// that FOVEA_PTXAS names, or null.
static llvm::json::Value describePtxas() {
  auto found = findPtxas();
  if (!found)
    return takeStatus(found.takeError()).second;
  if (!*found)
    return nullptr;
  const Ptxas &ptxas = **found;
  std::string text = ptxas.version.str() + " (" + ptxas.path + ")";
  return ptxas.reason.empty() ? text : text + ": " + ptxas.reason;
}

/// "cuda:0 NVIDIA H100 80GB HBM3, sm_90, 132 multiprocessors" and the like; the
/// note says why there is none.
static llvm::json::Array describeGPUs(std::string &note) {
  llvm::json::Array found;
  for (const CudaDevice &device : CudaDriver::listDevices(note))
    found.push_back("cuda:" + std::to_string(device.index) + " " + device.name +
                    ", " + device.arch() + ", " +
                    std::to_string(device.processors) + " multiprocessors");
  return found;
}

extern "C" fovea_status fovea_add_site_packages(const char *folder,
                                                fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (!folder)
      return invalid("folder: must not be null");
    addSitePackages({std::string(folder)});
    return llvm::Error::success();
  });
}

extern "C" fovea_status fovea_environment_notes(fovea_string *json,
                                                fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkStruct(json, "string"))
      return error;
    std::string text;
    llvm::raw_string_ostream os(text);
    os << llvm::json::Value(llvm::json::Object{
        {"cache_note", CompileService::get().getDiskCache().second},
        {"threads_note", ThreadPool::environmentNote()}});
    return giveString(text, json);
  });
}

extern "C" fovea_status fovea_config(fovea_string *json,
                                     fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkStruct(json, "string"))
      return error;
    llvm::json::Array features, targets;
    for (const std::string &feature : hostCPUFeatures())
      features.push_back(feature);
    for (const std::string &target : hostTargets())
      targets.push_back(target);
    for (const std::string &target : hostGPUTargets())
      targets.push_back(target);
    targets.push_back("interpreter");
    std::string gpuNote;
    llvm::json::Array gpus = describeGPUs(gpuNote);
    auto [directory, note] = CompileService::get().getDiskCache();
    llvm::json::Object config{{"version", FOVEA_VERSION},
                              {"llvm", LLVM_VERSION_STRING},
                              {"build_id", getBuildId()},
                              {"cpu", hostCPUName()},
                              {"cpu_features", std::move(features)},
                              {"targets", std::move(targets)},
                              {"threads", ThreadPool::numThreads()},
                              {"threads_note", ThreadPool::environmentNote()},
                              {"gpus", std::move(gpus)},
                              {"gpus_note", gpuNote},
                              {"ptxas", describePtxas()},
                              {"cache_dir", nullptr},
                              {"cache_note", note}};
    if (!directory.empty())
      config["cache_dir"] = directory;
    std::string text;
    llvm::raw_string_ostream os(text);
    os << llvm::json::Value(std::move(config));
    return giveString(text, json);
  });
}
