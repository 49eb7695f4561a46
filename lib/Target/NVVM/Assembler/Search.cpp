//===- Search.cpp - Which ptxas to use ------------------------------------===//
#include "Run.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Target/NVVM/Assembler.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cstdlib>
#include <map>
#include <mutex>

using namespace fovea;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {
/// Triton's copy knows sm_90a well enough only from here on.
constexpr std::tuple<int, int, int> tritonMinimum{13, 1, 0};

std::mutex packagesMutex;
std::vector<std::string> &knownPackages() {
  static std::vector<std::string> folders;
  return folders;
}

std::string join(llvm::StringRef a, llvm::StringRef b) {
  llvm::SmallString<128> out(a);
  path::append(out, b);
  return std::string(out);
}

std::string readVariable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// The folders in `folder` whose names begin with `prefix`, sorted.
std::vector<std::string> listFolder(llvm::StringRef folder,
                                    llvm::StringRef prefix) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (path::filename(it->path()).starts_with(prefix))
      found.push_back(it->path());
  llvm::sort(found);
  return found;
}

/// The Python packages of an environment whose programs lie in `bin`.
void addEnvironment(llvm::StringRef bin, std::vector<std::string> &out) {
  if (path::filename(bin) != "bin")
    return;
  std::string lib = join(path::parent_path(bin), "lib");
  for (const std::string &python : listFolder(lib, "python3"))
    if (std::string site = join(python, "site-packages");
        fs::is_directory(site))
      out.push_back(site);
}

/// Runs `ptxas --version`, once a file and time of change.
std::optional<PtxasVersion> askVersion(const std::string &program) {
  static std::mutex mutex;
  static std::map<std::string, std::optional<PtxasVersion>> known;
  fs::file_status status;
  if (fs::status(program, status) || !fs::can_execute(program))
    return std::nullopt;
  std::string key =
      program + "@" +
      std::to_string(
          status.getLastModificationTime().time_since_epoch().count());
  std::lock_guard<std::mutex> lock(mutex);
  auto [it, added] = known.try_emplace(key);
  if (added) {
    if (auto ran = runProgram(program, {"--version"}))
      it->second = PtxasVersion::parse(ran->output);
    else
      llvm::consumeError(ran.takeError());
  }
  return it->second;
}

std::optional<Ptxas> tryPtxas(const std::string &program,
                              llvm::StringRef origin) {
  std::optional<PtxasVersion> version = askVersion(program);
  if (!version)
    return std::nullopt;
  auto [grade, reason] = gradePtxas(*version);
  return Ptxas{program, origin.str(), *version, grade, reason.str()};
}

/// All that a search may take, in its order.
std::vector<Ptxas> collect(const PtxasSearch &search) {
  std::vector<Ptxas> found;
  auto add = [&](const std::string &program, llvm::StringRef origin) {
    if (std::optional<Ptxas> one = tryPtxas(program, origin))
      found.push_back(std::move(*one));
  };
  for (const std::string &site : search.sitePackages) {
    for (const std::string &cuda : listFolder(join(site, "nvidia"), "cu"))
      add(join(cuda, "bin/ptxas"), "nvidia-cuda-nvcc");
  }
  if (!search.cudaHome.empty())
    add(join(search.cudaHome, "bin/ptxas"), "CUDA_HOME");
  for (const std::string &folder : search.path)
    add(join(folder, "ptxas"), "PATH");
  return found;
}

llvm::Expected<std::optional<Ptxas>> takeExplicit(const std::string &program) {
  std::optional<Ptxas> given = tryPtxas(program, "FOVEA_PTXAS");
  if (!given)
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "FOVEA_PTXAS: '" + program +
                         "' does not run as ptxas --version");
  if (given->grade == PtxasGrade::Refuse)
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "FOVEA_PTXAS: ptxas " + given->version.str() + " " +
                         given->reason + "; use 13.3 or later");
  return given;
}

const Ptxas *newest(llvm::ArrayRef<Ptxas> found, PtxasGrade grade) {
  const Ptxas *best = nullptr;
  for (const Ptxas &one : found)
    if (one.grade == grade &&
        (!best || best->version.key() < one.version.key()))
      best = &one;
  return best;
}
} // namespace

void fovea::addSitePackages(llvm::ArrayRef<std::string> folders) {
  std::lock_guard<std::mutex> lock(packagesMutex);
  for (const std::string &folder : folders)
    if (!llvm::is_contained(knownPackages(), folder))
      knownPackages().push_back(folder);
}

PtxasSearch PtxasSearch::fromEnvironment() {
  PtxasSearch search;
  search.explicitPath = readVariable("FOVEA_PTXAS");
  search.cudaHome = readVariable("CUDA_HOME");
  llvm::SmallVector<llvm::StringRef, 16> folders;
  std::string given = readVariable("PATH");
  llvm::StringRef(given).split(folders, ':', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef folder : folders)
    search.path.push_back(folder.str());
  {
    std::lock_guard<std::mutex> lock(packagesMutex);
    search.sitePackages = knownPackages();
  }
  if (std::string venv = readVariable("VIRTUAL_ENV"); !venv.empty())
    addEnvironment(join(venv, "bin"), search.sitePackages);
  for (const std::string &folder : search.path)
    addEnvironment(folder, search.sitePackages);
  return search;
}

llvm::Expected<std::optional<Ptxas>>
fovea::findPtxas(const PtxasSearch &search) {
  if (!search.explicitPath.empty())
    return takeExplicit(search.explicitPath);
  std::vector<Ptxas> found = collect(search);
  std::vector<Ptxas> triton;
  for (const std::string &site : search.sitePackages)
    if (auto one = tryPtxas(
            join(site, "triton/backends/nvidia/bin/ptxas-blackwell"), "Triton");
        one && one->version.key() >= tritonMinimum)
      triton.push_back(std::move(*one));
  for (PtxasGrade grade : {PtxasGrade::Good, PtxasGrade::Warn})
    for (llvm::ArrayRef<Ptxas> group :
         {llvm::ArrayRef(found), llvm::ArrayRef(triton)})
      if (const Ptxas *best = newest(group, grade))
        return std::optional<Ptxas>(*best);
  return std::optional<Ptxas>();
}

llvm::Expected<std::optional<Ptxas>> fovea::findPtxas() {
  return findPtxas(PtxasSearch::fromEnvironment());
}
