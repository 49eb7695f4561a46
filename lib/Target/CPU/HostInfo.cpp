//===- HostInfo.cpp - What this processor can run -------------------------===//
#include "fovea/Target/CPU/HostInfo.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace fovea;

namespace {
/// One architecture that users can name: what it needs, and LLVM's name.
struct Architecture {
  const char *name;
  const char *cpu;
  const char *needs; // comma-separated LLVM features
  /// Whether its kernels call no mathematical library and so can be loaded; the
  /// others are for objects that are linked with one.
  bool isLoadable = true;
};

constexpr Architecture architectures[] = {
#if defined(__x86_64__)
    {"x86-64-v4", "x86-64-v4",
     "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,"
     "lzcnt,movbe"},
    {"x86-64-v3", "x86-64-v3", "avx2,fma,f16c,bmi,bmi2,lzcnt,movbe"},
    {"x86-64-v2", "x86-64-v2", "sse4.2,popcnt,ssse3", /*isLoadable=*/false},
    {"x86-64", "x86-64", "", /*isLoadable=*/false},
#elif defined(__aarch64__)
    {"armv8-a", "generic", ""},
#endif
};

/// Features that may be added to an architecture, in the order in which the
/// best target of a host lists them.
constexpr const char *extensions[] = {
#if defined(__x86_64__)
    "avx512bf16", "avx512fp16", "amx-tile", "amx-bf16", "avxvnni",
#elif defined(__aarch64__)
    "bf16",
    "fullfp16",
#endif
};

/// Asks the system for the state of AMX tiles, which a process has to before
/// its first tile; what its threads and children do later is covered.
bool askForTiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#else
  return false;
#endif
}

bool hostHas(llvm::StringRef feature) {
  return llvm::binary_search(hostCPUFeatures(), feature.str());
}

bool hostHasAll(llvm::StringRef list) {
  llvm::SmallVector<llvm::StringRef, 16> features;
  list.split(features, ',', -1, /*KeepEmpty=*/false);
  return llvm::all_of(features, hostHas);
}

/// The name of an architecture with features added, sorted here.
std::string nameOf(const Architecture &arch, std::vector<std::string> &added) {
  llvm::sort(added);
  added.erase(llvm::unique(added), added.end());
  std::string name = arch.name;
  for (const std::string &feature : added)
    name += "+" + feature;
  return name;
}

std::vector<std::string> findHostTargets() {
  std::vector<std::string> targets;
  for (const Architecture &arch : architectures) {
    if (!arch.isLoadable || !hostHasAll(arch.needs))
      continue;
    // Only the widest architecture is worth listing with its extensions.
    if (targets.empty()) {
      std::vector<std::string> added;
      for (const char *extension : extensions)
        if (hostHas(extension) && llvm::StringRef(extension) != "avxvnni")
          added.push_back(extension);
      if (!added.empty())
        targets.push_back(nameOf(arch, added));
    }
    targets.push_back(arch.name);
  }
  return targets;
}

llvm::Error unknownTarget(llvm::StringRef name, llvm::StringRef why,
                          bool mustRun) {
  auto refuse = [&](const llvm::Twine &known) {
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "target: " + why + " '" + name + "'; " + known);
  };
  if (mustRun)
    return refuse("this machine runs cpu, " + llvm::join(hostTargets(), ", ") +
                  ", interpreter");
  std::string names = "cpu", features;
  for (const Architecture &arch : architectures)
    names += std::string(", ") + arch.name;
  for (const char *extension : extensions)
    features += std::string(features.empty() ? "+" : ", +") + extension;
  return refuse("objects are made for " + names +
                ", with features added: " + features);
}
} // namespace

const std::string &fovea::hostCPUName() {
  static const std::string name = llvm::sys::getHostCPUName().str();
  return name;
}

std::vector<std::string>
fovea::findUsableFeatures(const llvm::StringMap<bool> &found,
                          llvm::function_ref<bool()> mayUseTiles) {
  bool tiles = found.lookup("amx-tile") && mayUseTiles();
  std::vector<std::string> usable;
  for (const auto &feature : found)
    if (feature.second && (tiles || !feature.first().starts_with("amx-")))
      usable.push_back(feature.first().str());
  llvm::sort(usable);
  return usable;
}

const std::vector<std::string> &fovea::hostCPUFeatures() {
  static const std::vector<std::string> features =
      findUsableFeatures(llvm::sys::getHostCPUFeatures(), askForTiles);
  return features;
}

const std::vector<std::string> &fovea::hostTargets() {
  static const std::vector<std::string> targets = findHostTargets();
  return targets;
}

CPUTarget fovea::baselineCPUTarget() {
  const Architecture &least = *std::prev(std::end(architectures));
  return {least.name, llvm::sys::getProcessTriple(), least.cpu,
          /*features=*/""};
}

llvm::Expected<CPUTarget> fovea::resolveCPUTarget(llvm::StringRef name,
                                                  bool mustRun) {
  if (name.empty() || name == "cpu") {
    if (hostTargets().empty())
      return unknownTarget("cpu", "no CPU target fits this machine, wanted",
                           mustRun);
    name = hostTargets().front();
  }
  llvm::SmallVector<llvm::StringRef, 4> parts;
  name.split(parts, '+');
  const auto *arch = llvm::find_if(architectures, [&](const Architecture &a) {
    return parts.front() == a.name;
  });
  if (arch == std::end(architectures))
    return unknownTarget(name, "unknown target", mustRun);
  if (mustRun && !arch->isLoadable)
    return unknownTarget(name, "only foveac makes kernels for", mustRun);
  if (mustRun && !hostHasAll(arch->needs))
    return unknownTarget(name, "this machine does not run", mustRun);

  std::vector<std::string> added;
  for (llvm::StringRef feature : llvm::drop_begin(parts)) {
    bool known =
        llvm::any_of(extensions, [&](const char *e) { return feature == e; });
    if (!known)
      return unknownTarget(name, "unknown feature in", mustRun);
    if (mustRun && !hostHas(feature))
      return unknownTarget(name, "this machine does not run", mustRun);
    added.push_back(feature.str());
  }

  CPUTarget target;
  target.name = nameOf(*arch, added);
  target.triple = llvm::sys::getProcessTriple();
  target.cpu = arch->cpu;
  for (const std::string &feature : added)
    target.features += (target.features.empty() ? "+" : ",+") + feature;
  return target;
}
