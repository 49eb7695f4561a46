//===- CompileService.cpp - Programs to kernels, once ---------------------===//
#include "fovea/Runtime/CompileService.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/DiskCache.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Target/CPU/JIT.h"
#include "fovea/Target/NVVM/HopperModel.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SHA256.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <unistd.h>

using namespace fovea;

namespace {
std::string hashText(llvm::StringRef text) {
  llvm::SHA256 hash;
  hash.update(text);
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

std::string formName(KernelForm form) {
  return "i" + std::to_string(form.indexBits) + (form.exact ? "exact" : "") +
         (form.fewQueries ? "few" : "") + (form.paged ? "paged" : "") +
         (form.oneRow ? "one" : "") + (form.perBatch ? "perbatch" : "") +
         (form.cluster ? "cluster" : "");
}

/// Entries are four numbers, then texts behind their lengths.
std::string pack(const Artifact &artifact) {
  std::string out;
  for (int64_t number : {artifact.itemRows, int64_t(artifact.scansKeys),
                         artifact.shortRows, int64_t(artifact.oneRow)})
    out.append(reinterpret_cast<const char *>(&number), sizeof number);
  for (const std::string *part : {&artifact.schedule, &artifact.remarks,
                                  &artifact.manifest, &artifact.object}) {
    uint64_t size = part->size();
    out.append(reinterpret_cast<const char *>(&size), sizeof size);
    out += *part;
  }
  return out;
}

std::optional<Artifact> unpack(llvm::StringRef data) {
  Artifact artifact;
  int64_t numbers[4];
  if (data.size() < sizeof numbers)
    return std::nullopt;
  std::memcpy(numbers, data.data(), sizeof numbers);
  data = data.drop_front(sizeof numbers);
  artifact.itemRows = numbers[0];
  artifact.scansKeys = numbers[1] != 0;
  artifact.shortRows = numbers[2];
  artifact.oneRow = static_cast<fovea_cpu_one_row>(numbers[3]);
  for (std::string *part : {&artifact.schedule, &artifact.remarks,
                            &artifact.manifest, &artifact.object}) {
    uint64_t size;
    if (data.size() < sizeof size)
      return std::nullopt;
    std::memcpy(&size, data.data(), sizeof size);
    data = data.drop_front(sizeof size);
    if (data.size() < size)
      return std::nullopt;
    *part = data.take_front(size).str();
    data = data.drop_front(size);
  }
  if (!data.empty())
    return std::nullopt;
  return artifact;
}

/// A compilation that one thread does and others wait for.
struct Flight {
  std::condition_variable landed;
  bool done = false;
  fovea_status status = FOVEA_OK;
  std::string message;
};
} // namespace

//===----------------------------------------------------------------------===//
// The service
//===----------------------------------------------------------------------===//

struct CompileService::Impl {
  struct Entry {
    std::shared_ptr<Kernel> kernel;
    uint64_t used = 0;
  };
  std::mutex mutex;
  std::map<std::string, Entry> kernels; // by identity
  std::map<std::string, std::shared_ptr<Flight>> flights;
  std::shared_ptr<DiskCache> disk; // made at first use
  CompileStats stats;
  uint64_t clock = 0;
  pid_t process = getpid();

  static constexpr size_t keptKernels = 2048;

  /// With the mutex held.
  std::shared_ptr<DiskCache> getDisk() {
    if (!disk)
      disk = std::make_shared<DiskCache>(DiskCache::readEnvironment());
    return disk;
  }

  /// With the mutex held: drops the kernel unused for longest among those that
  /// nobody else holds.
  void bound() {
    if (kernels.size() <= keptKernels)
      return;
    auto oldest = kernels.end();
    for (auto it = kernels.begin(); it != kernels.end(); ++it)
      if (it->second.kernel.use_count() == 1 &&
          (oldest == kernels.end() || it->second.used < oldest->second.used))
        oldest = it;
    if (oldest != kernels.end())
      kernels.erase(oldest);
  }
};

CompileService::CompileService() : impl(std::make_unique<Impl>()) {}

CompileService &CompileService::get() {
  static std::atomic<CompileService *> current{nullptr};
  CompileService *service = current.load(std::memory_order_acquire);
  while (!service || service->impl->process != getpid()) {
    auto *made = new CompileService;
    if (current.compare_exchange_strong(service, made))
      return *made;
    delete made;
  }
  return *service;
}

static llvm::Expected<std::shared_ptr<Kernel>>
makeKernel(Program program, llvm::StringRef name, llvm::StringRef schedule) {
  if (isGPUTarget(name)) {
    auto target = resolveGPUTarget(name);
    if (!target)
      return target.takeError();
    return std::make_shared<Kernel>(std::move(program), std::move(*target),
                                    schedule.str());
  }
  std::optional<CPUTarget> target;
  if (name == "interpreter" && !schedule.empty())
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "schedule: the interpreter has none, got '" + schedule +
                         "'");
  if (name != "interpreter") {
    auto resolved = resolveCPUTarget(name, /*mustRun=*/true);
    if (!resolved)
      return resolved.takeError();
    target = std::move(*resolved);
  }
  return std::make_shared<Kernel>(std::move(program), std::move(target),
                                  schedule.str());
}

llvm::Expected<std::pair<std::shared_ptr<Kernel>, CompileOrigin>>
CompileService::compile(Program program, llvm::StringRef targetName,
                        llvm::StringRef schedule) {
  auto made = makeKernel(std::move(program), targetName, schedule);
  if (!made)
    return made.takeError();
  std::shared_ptr<Kernel> kernel = std::move(*made);
  bool known = false;
  {
    std::lock_guard<std::mutex> lock(impl->mutex);
    auto [it, added] = impl->kernels.try_emplace(kernel->getIdentity());
    if (added)
      it->second.kernel = kernel;
    kernel = it->second.kernel;
    it->second.used = ++impl->clock;
    known = !added;
    if (known && !kernel->isCompiled())
      ++impl->stats.memoryHits;
    impl->bound();
  }
  CompileOrigin origin =
      known ? CompileOrigin::Memory : CompileOrigin::Compiled;
  if (!kernel->isCompiled())
    return std::make_pair(std::move(kernel), origin);
  auto loaded = load(*kernel, {}, &origin);
  if (loaded)
    return std::make_pair(std::move(kernel), origin);
  // What does not compile is not kept.
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto it = impl->kernels.find(kernel->getIdentity());
  if (it != impl->kernels.end() && it->second.kernel == kernel)
    impl->kernels.erase(it);
  return loaded.takeError();
}

/// From the disk cache, else compiled.
llvm::Error CompileService::make(const Kernel &kernel, KernelForm form,
                                 DiskCache &disk, const std::string &key,
                                 Kernel::Loaded &into, CompileOrigin &origin) {
  origin = CompileOrigin::Disk;
  if (std::optional<std::string> entry = disk.load(key))
    if (std::optional<Artifact> artifact = unpack(*entry)) {
      into.artifact = std::move(*artifact);
      llvm::Error error = kernel.loadArtifact(into);
      if (!error)
        return error;
      llvm::consumeError(std::move(error)); // it is rebuilt
    }
  origin = CompileOrigin::Compiled;
  auto artifact = kernel.makeArtifact(form);
  if (!artifact)
    return artifact.takeError();
  into.artifact = std::move(*artifact);
  if (llvm::Error error = kernel.loadArtifact(into))
    return error;
  disk.store(key, pack(into.artifact));
  return llvm::Error::success();
}

llvm::Expected<Kernel::Loaded *>
CompileService::load(Kernel &kernel, KernelForm form, CompileOrigin *origin) {
  std::atomic<Kernel::Loaded *> &slot = kernel.loaded[form.index()];
  std::string key = hashText(kernel.getIdentity() + "\n" + formName(form));
  std::shared_ptr<Flight> flight;
  std::shared_ptr<DiskCache> disk;
  {
    std::unique_lock<std::mutex> lock(impl->mutex);
    while (true) {
      if (Kernel::Loaded *found = slot.load(std::memory_order_acquire)) {
        if (origin) {
          *origin = CompileOrigin::Memory;
          ++impl->stats.memoryHits;
        }
        return found;
      }
      auto [it, added] = impl->flights.try_emplace(key);
      if (added) {
        flight = it->second = std::make_shared<Flight>();
        break;
      }
      std::shared_ptr<Flight> other = it->second;
      other->landed.wait(lock, [&] { return other->done; });
      if (other->status != FOVEA_OK)
        return makeError(other->status, other->message);
    }
    disk = impl->getDisk();
  }

  auto result = std::make_unique<Kernel::Loaded>();
  CompileOrigin from;
  auto [status, message] =
      takeStatus(make(kernel, form, *disk, key, *result, from));
  std::lock_guard<std::mutex> lock(impl->mutex);
  impl->flights.erase(key);
  flight->done = true;
  flight->status = status;
  flight->message = message;
  flight->landed.notify_all();
  if (status != FOVEA_OK)
    return makeError(status, message);
  // Further forms of a variant are no variants.
  if (origin) {
    ++(from == CompileOrigin::Disk ? impl->stats.diskHits
                                   : impl->stats.compiles);
    *origin = from;
  }
  Kernel::Loaded *published = result.release();
  slot.store(published, std::memory_order_release);
  return published;
}

CompileStats CompileService::getStats() {
  std::lock_guard<std::mutex> lock(impl->mutex);
  CompileStats stats = impl->stats;
  stats.entries = static_cast<int64_t>(impl->kernels.size());
  return stats;
}

void CompileService::clear(bool onDisk) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  for (auto it = impl->kernels.begin(); it != impl->kernels.end();)
    it = it->second.kernel.use_count() == 1 ? impl->kernels.erase(it)
                                            : std::next(it);
  impl->stats = {};
  if (onDisk)
    impl->getDisk()->clear();
}

std::pair<std::string, std::string> CompileService::getDiskCache() {
  std::lock_guard<std::mutex> lock(impl->mutex);
  std::shared_ptr<DiskCache> disk = impl->getDisk();
  return {disk->enabled() ? disk->path().str() : "", disk->note().str()};
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

Kernel::Kernel(Program given, std::optional<CPUTarget> target,
               std::string schedule)
    : program(std::move(given)), constantIndices(findConstantIndices(program)),
      target(std::move(target)), schedule(std::move(schedule)) {
  identify(this->target ? this->target->name + " " + this->target->triple
                        : "interpreter");
}

Kernel::Kernel(Program given, GPUTarget target, std::string schedule)
    : program(std::move(given)), constantIndices(findConstantIndices(program)),
      gpu(std::move(target)), schedule(std::move(schedule)) {
  identify(gpu->name + " by " + gpu->assembler());
}

void Kernel::identify(llvm::StringRef where) {
  identity = "program " + canonicalKey(program) + "\nschedule " + schedule +
             "\ntarget " + where.str() + "\nbuild " + getBuildId();
}

std::string Kernel::targetName() const {
  return gpu ? gpu->name : target ? target->name : "interpreter";
}

llvm::Expected<Artifact> Kernel::makeArtifact(KernelForm form) const {
  if (!gpu)
    return compileProgram(program, *target, schedule, form);
  if (!form.cluster)
    return compileProgramForGPU(program, *gpu, schedule, form.perBatch);
  // By the schedule that the usual form, which has asked for this one, has
  // become.
  const Loaded *usual = loaded[0].load(std::memory_order_acquire);
  return compileProgramInClusters(program, *gpu, usual->artifact.schedule);
}

llvm::Error Kernel::loadArtifact(Loaded &into) const {
  if (gpu) {
    auto manifest = parseManifest(into.artifact.manifest);
    if (!manifest)
      return manifest.takeError();
    into.cuda = std::make_unique<CudaKernel>(into.artifact.object,
                                             std::move(*manifest));
    return llvm::Error::success();
  }
  auto code = loadObject({into.artifact.object, "kernel"}, program.name);
  if (!code)
    return code.takeError();
  into.code = std::move(*code);
  return llvm::Error::success();
}

Kernel::~Kernel() {
  for (std::atomic<Loaded *> &slot : loaded)
    delete slot.load(std::memory_order_acquire);
}

/// Makes it where there is none yet.
llvm::Expected<Kernel::Loaded *> Kernel::getLoaded(KernelForm form) {
  if (Loaded *found = loaded[form.index()].load(std::memory_order_acquire))
    return found;
  return CompileService::get().load(*this, form, nullptr);
}

llvm::Expected<KernelCode> Kernel::getCode(KernelForm form) {
  if (!target)
    return makeError(FOVEA_UNSUPPORTED, "the interpreter has no machine code");
  auto found = getLoaded(form);
  if (!found)
    return found.takeError();
  return KernelCode{(*found)->code->plan, (*found)->code->run,
                    (*found)->artifact.itemRows, (*found)->artifact.scansKeys,
                    form.fewQueries};
}

llvm::Expected<KernelForm> Kernel::chooseForm(const LaunchView &view) {
  if (auto code = getCode({}); !code)
    return code.takeError();
  KernelForm form;
  form.indexBits = fitsNarrowIndices(view) ? 32 : 64;
  const Artifact &usual = loaded[0].load(std::memory_order_acquire)->artifact;
  int64_t limit = usual.shortRows;
  int64_t heads = view.queryHeads / std::max<int64_t>(view.kvHeads, 1);
  form.fewQueries = limit > 0 && view.queryLength <= limit &&
                    view.queryLength * std::min(heads, limit + 1) <= limit;
  form.paged = form.fewQueries && view.pageLength != 0;
  const auto &strides = view.keys[0].strides;
  form.oneRow =
      form.fewQueries &&
      fovea_cpu_takes_one_row(usual.oneRow, view.queryLength * heads,
                              view.kvHeads, strides[1], strides[2], form.paged);
  if (form.fewQueries && !form.paged) {
    auto few = getCode(form);
    if (!few)
      return few.takeError();
    auto room = hasRoomForParts(view, *few);
    if (!room)
      return room.takeError();
    if (!*room)
      form.fewQueries = form.oneRow = false;
  }
  return form;
}

llvm::Expected<CudaKernel *> Kernel::getCudaKernel(KernelForm form) {
  auto found = getLoaded(form);
  if (!found)
    return found.takeError();
  return (*found)->cuda.get();
}

/// Kernels of lists of tiles have one form, which says what it does not take.
llvm::Expected<KernelForm> Kernel::chooseGPUForm(const LaunchView &view) {
  auto usual = getCudaKernel();
  if (!usual)
    return usual.takeError();
  auto isAll = [](llvm::ArrayRef<int64_t> values, int64_t whole) {
    return llvm::all_of(values, [&](int64_t one) { return one == whole; });
  };
  bool isWhole = isAll(view.qOffset, 0) && isAll(view.kvOffset, 0) &&
                 isAll(view.qLengths, view.queryLength) &&
                 isAll(view.kvLengths, view.kvLength);
  KernelForm form;
  form.perBatch = !isWhole && (*usual)->getManifest().hasPerBatchForm;
  form.cluster = isWhole && leavesScheduleOpen(schedule) &&
                 (*usual)->prefersClusters(view);
  return form;
}

llvm::SmallVector<CudaKernel *, 2> Kernel::getLoadedCudaKernels() const {
  llvm::SmallVector<CudaKernel *, 2> found;
  for (const std::atomic<Loaded *> &slot : loaded)
    if (Loaded *one = slot.load(std::memory_order_acquire))
      found.push_back(one->cuda.get());
  return found;
}

llvm::Expected<std::string> Kernel::getObject() {
  if (gpu) {
    if (auto kernel = getCudaKernel(); !kernel)
      return kernel.takeError();
  } else if (auto code = getCode({}); !code) {
    return code.takeError();
  }
  return loaded[0].load(std::memory_order_acquire)->artifact.object;
}

llvm::Expected<std::string> Kernel::getIR(llvm::StringRef level) {
  if (level == "program")
    return printProgram(program);
  if (!llvm::is_contained({"attn", "online", "target", "llvm", "asm"}, level))
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "level: must be program, attn, online, target, llvm or "
                     "asm, got '" +
                         level + "'");
  if (gpu && level != "attn") {
    // The schedule that it has become; the wanted one where it does not
    // compile.
    std::string chosen = schedule;
    if (auto object = getObject())
      chosen = loaded[0].load(std::memory_order_acquire)->artifact.schedule;
    else
      llvm::consumeError(object.takeError());
    return printGPULevel(program, chosen, level);
  }
  return printLevel(program, target ? &*target : nullptr, schedule, level);
}

llvm::Expected<std::string> Kernel::getInfo() {
  Artifact artifact;
  if (isCompiled()) {
    if (auto object = getObject(); !object)
      return object.takeError();
    artifact = loaded[0].load(std::memory_order_acquire)->artifact;
  }
  llvm::json::Array captures, dims;
  for (const Capture &capture : program.captures)
    captures.push_back(llvm::json::Object{{"name", capture.name},
                                          {"dtype", stringify(capture.dtype)},
                                          {"rank", capture.rank}});
  for (int64_t dim : program.headDims)
    dims.push_back(dim);
  llvm::json::Object info{
      {"name", program.name},
      {"symbol", program.name},
      {"dtype", stringify(*program.dtype)},
      {"D", std::move(dims)},
      {"E", program.valueDim.value_or(0)},
      {"captures", std::move(captures)},
      {"target", targetName()},
      {"cpu", target ? target->cpu : ""},
      {"cpu_features", target ? target->features : ""},
      {"schedule", artifact.schedule.empty() ? schedule : artifact.schedule},
      {"remarks", artifact.remarks},
      {"few_rows", artifact.shortRows},
      {"object_bytes", static_cast<int64_t>(artifact.object.size())},
      {"return_lse", program.returnLse},
      {"block_mask", program.blockMask}};
  if (!artifact.manifest.empty()) {
    if (auto manifest = llvm::json::parse(artifact.manifest))
      info["manifest"] = std::move(*manifest);
    else
      llvm::consumeError(manifest.takeError());
  }
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::json::Value(std::move(info));
  return text;
}
