//===- CompileGPU.cpp - Kernels for NVIDIA GPUs ---------------------------===//
#include "fovea/Runtime/CompileGPU.h"
#include "Session.h"
#include "fovea/Conversion/AttnToOnline/AttnToOnline.h"
#include "fovea/Dialect/Attn/Transforms/Passes.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Pipelines/Pipelines.h"
#include "fovea/Runtime/CompileService.h"
#include "fovea/Runtime/Cuda.h"
#include "fovea/Runtime/ThreadPool.h"
#include "fovea/Target/NVVM/HopperModel.h"
#include "fovea/Target/NVVM/PTX.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fovea;
using llvm::StringRef;

namespace {
/// The architectures that kernels are generated for.
constexpr const char *architectures[] = {"sm_90a"};

/// The architecture of a device, or none where no kernels are made for it.
std::optional<StringRef> architectureOf(const CudaDevice &device) {
  for (StringRef arch : architectures)
    if (arch == device.arch() || arch == device.arch() + "a")
      return arch;
  return std::nullopt;
}

llvm::Error unknownTarget(StringRef name, const llvm::Twine &why) {
  std::vector<std::string> all = hostTargets();
  llvm::append_range(all, hostGPUTargets());
  return makeError(FOVEA_INVALID_ARGUMENT, "target: " + why + " '" + name +
                                               "'; this machine runs cpu, " +
                                               llvm::join(all, ", ") +
                                               ", interpreter");
}

/// What "cuda" means here.
llvm::Expected<StringRef> firstArchitecture() {
  std::string note;
  std::vector<CudaDevice> devices = CudaDriver::listDevices(note);
  if (devices.empty())
    return makeError(FOVEA_INVALID_ARGUMENT, "target: " + note);
  for (const CudaDevice &device : devices)
    if (std::optional<StringRef> arch = architectureOf(device))
      return *arch;
  return unknownTarget("cuda", "no kernels are made for " + devices[0].name +
                                   " (" + devices[0].arch() + "), wanted");
}

std::string warnOf(const Ptxas &ptxas) {
  return "slow: ptxas " + ptxas.version.str() + " (" + ptxas.path + ") " +
         ptxas.reason + "; pip install nvidia-cuda-nvcc brings a good one\n";
}
} // namespace

std::string GPUTarget::assembler() const {
  return ptxas ? "ptxas " + ptxas->version.str() : "the driver";
}

bool fovea::isGPUTarget(StringRef name) {
  return name == "cuda" || name == "hip" || name.starts_with("sm_") ||
         name.starts_with("gfx");
}

std::vector<std::string> fovea::hostGPUTargets() {
  std::string note;
  std::vector<std::string> found;
  for (const CudaDevice &device : CudaDriver::listDevices(note))
    if (std::optional<StringRef> arch = architectureOf(device)) {
      if (found.empty())
        found.push_back("cuda");
      if (!llvm::is_contained(found, *arch))
        found.push_back(arch->str());
    }
  return found;
}

llvm::Expected<GPUTarget> fovea::resolveGPUTarget(StringRef name) {
  if (name == "cuda") {
    auto arch = firstArchitecture();
    if (!arch)
      return arch.takeError();
    name = *arch;
  }
  if (!llvm::is_contained(architectures, name))
    return unknownTarget(name, "no kernels are made for");
  auto ptxas = findPtxas();
  if (!ptxas)
    return ptxas.takeError();
  return GPUTarget{name.str(), std::move(*ptxas)};
}

namespace {
/// What a kernel is made of, but for its schedule.
struct Source {
  const Program &program;
  const GPUTarget &target;
  bool perBatch;
};
} // namespace

static llvm::Expected<PTXKernel> lowerToPTX(const Program &program,
                                            StringRef schedule, bool perBatch) {
  Session session;
  auto module = buildAttnModule(program, session.get());
  if (!module)
    return module.takeError();
  HopperCompileOptions options;
  options.schedule = schedule.str();
  options.perBatch = perBatch;
  if (failed(lowerAttnToNVVM(**module, options)))
    return session.error("lowering to sm_90a");
  return emitPTX(**module);
}

/// The manifest with the registers that ptxas has given.
static llvm::Expected<std::string> addRegisters(StringRef manifest,
                                                int registers) {
  auto value = llvm::json::parse(manifest);
  if (!value || !value->getAsObject()) {
    llvm::consumeError(value.takeError());
    return makeError(FOVEA_COMPILE_ERROR, "the manifest is not JSON");
  }
  (*value->getAsObject())["registers"] = registers;
  return llvm::formatv("{0}", *value).str();
}

/// Lines of PTX that no kernel had which fitted into registers: the assembler
/// would take seconds to say so.
static constexpr size_t kMostLines = 7500;

/// Lines of the longest kernel; those that run ahead are short.
static size_t countLines(StringRef ptx) {
  size_t most = 0;
  llvm::SmallVector<StringRef, 8> kernels;
  ptx.split(kernels, ".visible .entry");
  for (StringRef kernel : kernels)
    most = std::max(most, kernel.count('\n'));
  return most;
}

namespace {
/// A kernel by one schedule, on its way to machine code.
class Attempt {
public:
  /// Where something else `isLeft` to try, none of a kernel that cannot fit.
  static llvm::Expected<std::optional<Attempt>>
  start(const Source &source, StringRef schedule, bool isLeft);
  /// `fault` says what it failed by.
  llvm::Expected<Artifact> finish(const GPUTarget &target, PtxasFault &fault);
  /// Whether its schedule narrows products at the edge of a mask.
  bool narrowsEdges() const {
    auto manifest = parseManifest(kernel.manifest);
    if (manifest)
      return readHopperSetting(manifest->schedule, "edges") == 1;
    llvm::consumeError(manifest.takeError());
    return false;
  }
  /// Whether it holds many values that it reads for each score or key: such
  /// kernels often spill.
  bool readsMuch() const {
    constexpr size_t many = 60;
    // Without kernels that run before.
    StringRef own = StringRef(kernel.ptx).split("_kernel(").second;
    return own.split(".entry ").first.count("ld.global") >= many;
  }

private:
  explicit Attempt(PTXKernel kernel) : kernel(std::move(kernel)) {}
  PTXKernel kernel;
  std::optional<Assembling> assembling; ///< none: the driver assembles
};
} // namespace

llvm::Expected<std::optional<Attempt>>
Attempt::start(const Source &source, StringRef schedule, bool isLeft) {
  auto kernel = lowerToPTX(source.program, schedule, source.perBatch);
  if (!kernel)
    return kernel.takeError();
  if (isLeft && countLines(kernel->ptx) > kMostLines)
    return std::nullopt;
  Attempt made(std::move(*kernel));
  const GPUTarget &target = source.target;
  if (target.ptxas) {
    auto assembling =
        Assembling::start(*target.ptxas, made.kernel.ptx, target.name);
    if (!assembling)
      return assembling.takeError();
    made.assembling.emplace(std::move(*assembling));
  }
  return std::optional<Attempt>(std::move(made));
}

llvm::Expected<Artifact> Attempt::finish(const GPUTarget &target,
                                         PtxasFault &fault) {
  fault = PtxasFault::None;
  Artifact artifact;
  artifact.manifest = kernel.manifest;
  if (assembling) {
    auto assembly = assembling->finish(&fault);
    if (!assembly)
      return assembly.takeError();
    auto manifest = addRegisters(kernel.manifest, assembly->registers);
    if (!manifest)
      return manifest.takeError();
    artifact.manifest = std::move(*manifest);
    artifact.object = std::move(assembly->cubin);
    artifact.remarks = "assembled by " + target.assembler() + ", " +
                       std::to_string(assembly->registers) +
                       " registers, no spills\n";
    for (const std::string &warning : assembly->warnings)
      artifact.remarks += "ptxas: " + warning + "\n";
    if (target.ptxas->grade != PtxasGrade::Good)
      artifact.remarks += warnOf(*target.ptxas);
  } else {
    artifact.object = std::move(kernel.ptx);
    artifact.remarks = "slow: no ptxas was found, the driver assembles; pip "
                       "install nvidia-cuda-nvcc\n";
  }
  auto manifest = parseManifest(artifact.manifest);
  if (!manifest)
    return manifest.takeError();
  artifact.schedule = manifest->schedule;
  artifact.remarks += manifest->remarks;
  return std::move(artifact);
}

/// What does not even lower is no attempt.
static std::optional<Attempt> tryStart(const Source &source, StringRef schedule,
                                       bool isLeft) {
  auto attempt = Attempt::start(source, schedule, isLeft);
  if (attempt)
    return std::move(*attempt);
  llvm::consumeError(attempt.takeError());
  return std::nullopt;
}

/// Why the schedule of a kernel is not its variant's default.
static std::string explainFallback(StringRef schedule, PtxasFault fault) {
  return ("schedule " + schedule + ": the default one " +
          (fault == PtxasFault::Serialises ? "has its products serialised"
                                           : "spills registers") +
          "\n")
      .str();
}

/// The first one that spills no registers and whose products stay asynchronous.
/// Several are assembled at once where the first one fails or looks like it.
static llvm::Expected<Artifact>
compileFirst(const Source &source, llvm::SmallVector<std::string> schedules) {
  const GPUTarget &target = source.target;
  const auto width =
      static_cast<size_t>(std::clamp(ThreadPool::numThreads() + 1, 2, 4));
  auto isLeft = [&](size_t i) { return i + 1 < schedules.size(); };
  auto begun = Attempt::start(source, schedules[0], isLeft(0));
  if (!begun)
    return begun.takeError();
  bool isOpen = schedules.size() > 1 && leavesScheduleOpen(schedules[0]);
  if (isOpen && *begun && (*begun)->narrowsEdges())
    schedules.insert(schedules.begin() + 1,
                     setHopperSetting(schedules[0], "edges", 0));
  size_t ahead = !*begun || (*begun)->readsMuch() ? width - 1 : 0;
  std::vector<std::optional<Attempt>> attempts;
  attempts.emplace_back(std::move(*begun));
  std::optional<std::pair<fovea_status, std::string>> failure;
  PtxasFault first = PtxasFault::None;
  for (size_t i = 0; i < schedules.size(); ++i, ahead = width - 1) {
    while (attempts.size() < schedules.size() && attempts.size() <= i + ahead) {
      size_t next = attempts.size();
      attempts.push_back(tryStart(source, schedules[next], isLeft(next)));
    }
    if (!attempts[i])
      continue;
    PtxasFault fault;
    auto made = attempts[i]->finish(target, fault);
    if (made) {
      if (i > 0)
        made->remarks += explainFallback(schedules[i], first);
      return made;
    }
    // What went wrong first is what the caller hears of.
    auto why = takeStatus(made.takeError());
    if (!failure) {
      failure = std::move(why);
      first = fault;
    }
    if (i == 0 && first == PtxasFault::None)
      break;
  }
  if (failure)
    return makeError(failure->first, failure->second);
  // None of the others lowers.
  auto only = Attempt::start(source, schedules[0], /*isLeft=*/false);
  if (!only)
    return only.takeError();
  PtxasFault fault;
  return (*only)->finish(target, fault);
}

/// The schedule of the caller, or the first default that fits.
llvm::Expected<Artifact> fovea::compileProgramForGPU(const Program &program,
                                                     const GPUTarget &target,
                                                     StringRef schedule,
                                                     bool perBatch) {
  llvm::SmallVector<std::string> schedules{schedule.str()};
  if (leavesScheduleOpen(schedule) && target.ptxas)
    llvm::append_range(schedules,
                       getHopperFallbacks(program.valueDim.value_or(0),
                                          program.blockMask, schedule));
  return compileFirst({program, target, perBatch}, schedules);
}

/// Stores that another block's barrier counts are of PTX 8.1.
static bool knowsClusters(const GPUTarget &target) {
  return target.ptxas &&
         target.ptxas->version.key() >= PtxasVersion{12, 1}.key();
}

llvm::Expected<Artifact>
fovea::compileProgramInClusters(const Program &program, const GPUTarget &target,
                                StringRef schedule) {
  llvm::SmallVector<std::string> schedules{schedule.str()};
  // Edges have not been measured in clusters.
  if (knowsClusters(target))
    schedules.insert(
        schedules.begin(),
        setHopperSetting(setHopperSetting(schedule, "edges", 0), "cluster", 2));
  return compileFirst({program, target, /*perBatch=*/false}, schedules);
}

/// The first passes of addAttnToAttnGpuPasses.
static void addLevelTwoPasses(mlir::OpPassManager &passes,
                              const HopperCompileOptions &options) {
  passes.addPass(mlir::attn::createAttnBindParams());
  passes.addPass(mlir::createCanonicalizerPass());
  ConvertAttnToOnlineOptions convert;
  convert.target = "sm_90a";
  convert.schedule = options.schedule;
  passes.addPass(createConvertAttnToOnline(convert));
  passes.addPass(mlir::createCanonicalizerPass());
  passes.addPass(mlir::createCSEPass());
}

llvm::Expected<std::string> fovea::printGPULevel(const Program &program,
                                                 StringRef schedule,
                                                 StringRef level) {
  if (level == "asm") {
    auto kernel = lowerToPTX(program, schedule, /*perBatch=*/false);
    return kernel ? llvm::Expected<std::string>(std::move(kernel->ptx))
                  : kernel.takeError();
  }
  Session session;
  auto built = buildAttnModule(program, session.get());
  if (!built)
    return built.takeError();
  mlir::ModuleOp module = **built;
  HopperCompileOptions options;
  options.schedule = schedule.str();
  if (level == "llvm") {
    if (failed(lowerAttnToNVVM(module, options)))
      return session.error("lowering to sm_90a");
    return printModule(module);
  }
  mlir::PassManager passes(module.getContext(),
                           mlir::ModuleOp::getOperationName());
  if (level == "online")
    addLevelTwoPasses(passes, options);
  else
    addAttnToAttnGpuPasses(passes, options);
  if (failed(passes.run(module)))
    return session.error("lowering to sm_90a");
  return printModule(module);
}
