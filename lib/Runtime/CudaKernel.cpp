//===- CudaKernel.cpp - Cubins, loaded and launched by their manifests ----===//
#include "CudaFunctions.h"
#include "CudaMaps.h"
#include "CudaPlans.h"
#include "fovea/Runtime/Cuda.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <numeric>

using namespace fovea;
using llvm::StringRef;
using llvm::Twine;
using Kind = KernelArgument::Kind;

/// The kernel on one device.
struct CudaKernel::Loaded {
  int device = 0;
  void *module = nullptr;
  void *function = nullptr;
  llvm::SmallVector<void *, 1> before; // functions, as in the manifest
};

struct CudaKernel::MapCache : public TensorMapCache {};
struct CudaKernel::Plans : public LaunchPlans {};

/// Whether addresses count for more than what keys tell of them.
static bool readsAddresses(const KernelManifest &manifest) {
  auto reads = [](const LaunchExpr &expr) {
    return expr.readsAddress(LaunchKey::alignment);
  };
  auto argumentReads = [&](const KernelArgument &argument) {
    return reads(argument.value) || llvm::any_of(argument.sizes, reads) ||
           llvm::any_of(argument.strides, reads);
  };
  return reads(manifest.grid) || reads(manifest.workspace) ||
         reads(manifest.scratch) || reads(manifest.inClusters) ||
         llvm::any_of(manifest.arguments, argumentReads) ||
         llvm::any_of(manifest.before,
                      [&](const KernelPrologue &kernel) {
                        return reads(kernel.grid) ||
                               llvm::any_of(kernel.arguments, argumentReads);
                      }) ||
         llvm::any_of(manifest.conditions, [&](const LaunchCondition &one) {
           return reads(one.holds);
         });
}

CudaKernel::CudaKernel(std::string image, KernelManifest given)
    : image(std::move(image)), manifest(std::move(given)),
      maps(std::make_unique<MapCache>()),
      plans(readsAddresses(manifest) ? nullptr : std::make_unique<Plans>()) {}

CudaKernel::~CudaKernel() {
  // At the end of a process the driver may be gone; then nothing is left to do.
  for (std::unique_ptr<Loaded> &one : loaded) {
    auto driver = CudaDriver::get();
    if (!driver) {
      llvm::consumeError(driver.takeError());
      return;
    }
    auto scope = (*driver)->enter(one->device);
    if (scope)
      (*driver)->functions().moduleUnload(one->module);
    else
      llvm::consumeError(scope.takeError());
  }
}

/// "sm_90a" runs on compute capability 9.0 alone, "sm_80" on 8.x from 8.0 on.
static bool runsOn(StringRef arch, const CudaDevice &device) {
  std::string own = device.arch();
  return arch == own || arch == own + "a";
}

/// The arguments' shapes, for errors of a launch.
static std::string describe(const LaunchView &view) {
  return ("B " + Twine(view.batch) + ", heads " + Twine(view.queryHeads) + "/" +
          Twine(view.kvHeads) + ", M " + Twine(view.queryLength) + ", N " +
          Twine(view.kvLength))
      .str();
}

llvm::Expected<CudaKernel::Loaded *>
CudaKernel::load(CudaDriver &driver, const CudaDevice &device) {
  std::lock_guard<std::mutex> lock(mutex);
  for (std::unique_ptr<Loaded> &one : loaded)
    if (one->device == device.index)
      return one.get();
  if (!runsOn(manifest.arch, device))
    return makeError(FOVEA_INVALID_ARGUMENT,
                     "target: " + manifest.arch +
                         " does not run on cuda:" + Twine(device.index) + " (" +
                         device.name + ", " + device.arch() + ")");
  const CudaFunctions &cuda = driver.functions();
  auto made = std::make_unique<Loaded>();
  made->device = device.index;
  std::string what = "loading kernel '" + manifest.name + "'";
  if (llvm::Error error =
          driver.check(cuda.moduleLoad(&made->module, image.c_str()), what))
    return std::move(error);
  int local = 0, registers = 0;
  for (int status :
       {cuda.moduleGetFunction(&made->function, made->module,
                               manifest.symbol.c_str()),
        cuda.functionGetAttribute(&local, functionLocalBytes, made->function),
        cuda.functionGetAttribute(&registers, functionRegisters,
                                  made->function),
        cuda.functionSetAttribute(made->function, functionMaxSharedBytes,
                                  static_cast<int>(manifest.sharedMemory))})
    if (llvm::Error error = driver.check(status, what)) {
      cuda.moduleUnload(made->module);
      return std::move(error);
    }
  for (const KernelPrologue &kernel : manifest.before)
    if (llvm::Error error = driver.check(
            cuda.moduleGetFunction(&made->before.emplace_back(), made->module,
                                   kernel.symbol.c_str()),
            what)) {
      cuda.moduleUnload(made->module);
      return std::move(error);
    }
  std::string problem;
  if (local != 0)
    problem = "it uses " + std::to_string(local) + " bytes of local memory";
  else if (manifest.registers && registers != int(manifest.registers))
    problem = "it has " + std::to_string(registers) + " registers, not " +
              std::to_string(manifest.registers);
  if (!problem.empty()) {
    cuda.moduleUnload(made->module);
    return makeError(FOVEA_COMPILE_ERROR, what + ": " + problem);
  }
  loaded.push_back(std::move(made));
  return loaded.back().get();
}

static LaunchValues::Tensor describe(const TensorView &tensor) {
  LaunchValues::Tensor out;
  out.address = reinterpret_cast<int64_t>(tensor.data);
  out.sizes = tensor.sizes;
  out.strides = tensor.strides;
  return out;
}

/// A tile of a block mask; one that holds the whole length is a multiple of
/// any.
static int64_t tileOf(int64_t tile, int64_t length) {
  constexpr int64_t whole = int64_t(3) << 24;
  return tile >= std::max<int64_t>(length, 1) ? whole : tile;
}

static LaunchValues makeValues(const LaunchView &view, int processors) {
  LaunchValues values;
  auto set = [&](LaunchValues::Size size, int64_t value) {
    values.sizes[size] = value;
  };
  set(LaunchValues::B, view.batch);
  set(LaunchValues::H, view.queryHeads);
  set(LaunchValues::Hk, view.kvHeads);
  set(LaunchValues::M, view.queryLength);
  set(LaunchValues::N, view.kvLength);
  set(LaunchValues::D, view.queries[0].sizes[3]);
  set(LaunchValues::E, view.valueDim);
  set(LaunchValues::SM, processors);
  set(LaunchValues::BQ, tileOf(view.blockQ, view.queryLength));
  set(LaunchValues::BKV, tileOf(view.blockKV, view.kvLength));
  float scale = static_cast<float>(view.scales[0]);
  set(LaunchValues::SIGN, (scale > 0) - (scale < 0));
  auto optional = [](const std::optional<TensorView> &tensor) {
    return tensor ? describe(*tensor) : LaunchValues::Tensor();
  };
  // In the order of LaunchTensor.
  for (const TensorView *tensor :
       {&view.queries[0], &view.keys[0], &view.value, &view.out})
    values.tensors.push_back(describe(*tensor));
  values.tensors.push_back(optional(view.lse));
  values.tensors.push_back(optional(view.blockClasses));
  values.tensors.push_back(describe(view.queries[0]));
  for (const TensorView &capture : view.captures)
    values.tensors.push_back(describe(capture));
  return values;
}

llvm::Error CudaKernel::checkPromises(const LaunchView &view,
                                      const LaunchValues &values) const {
  auto refuse = [&](const Twine &text) {
    return makeError(FOVEA_UNSUPPORTED, text);
  };
  if (view.queries.size() != 1)
    return refuse("q: " + manifest.arch +
                  " kernels take one (query, key) pair");
  if (view.blockClasses && !manifest.blockMask)
    return refuse("block_mask: the kernel was compiled without one");
  if (!view.blockClasses && manifest.blockMask)
    return refuse(
        "block_mask: must be given, the kernel was compiled with one");
  if (manifest.returnLse && !view.lse)
    return refuse("lse: must be given on " + manifest.arch +
                  ", the kernel was compiled with it");
  if (manifest.wholeSequences)
    for (auto [name, given, whole] :
         {std::tuple("q_offset", &view.qOffset, int64_t(0)),
          std::tuple("kv_offset", &view.kvOffset, int64_t(0)),
          std::tuple("q_lengths", &view.qLengths, view.queryLength),
          std::tuple("kv_lengths", &view.kvLengths, view.kvLength)})
      for (int64_t value : *given)
        if (value != whole)
          return refuse(Twine(name) + ": must be " + Twine(whole) + " on " +
                        manifest.arch + ", got " + Twine(value));
  if (const KernelArgument *argument = manifest.getPerBatch())
    for (auto [name, given, length] :
         {std::tuple("q_offset", &view.qOffset, view.queryLength),
          std::tuple("kv_offset", &view.kvOffset, view.kvLength)})
      for (int64_t value : *given)
        if (value < 0 || value > argument->positions - length)
          return refuse(Twine(name) + ": must be 0 to " +
                        Twine(argument->positions - length) + " on " +
                        manifest.arch + ", got " + Twine(value));
  for (const LaunchCondition &condition : manifest.conditions)
    if (!condition.holds.evaluate(values))
      return refuse(condition.sentence);
  return llvm::Error::success();
}

bool CudaKernel::prefersClusters(const LaunchView &view) const {
  return manifest.inClusters.evaluate(makeValues(view, 1)) != 0;
}

llvm::Expected<int64_t> CudaKernel::getWorkspace(const LaunchView &view) const {
  LaunchValues values = makeValues(view, 1);
  return manifest.workspace.evaluate(values) +
         manifest.scratch.evaluate(values);
}

/// One launch, checked, whose arguments are put together.
class CudaKernel::Launcher {
public:
  Launcher(CudaKernel &kernel, CudaDriver &driver, const LaunchView &view,
           LaunchValues values)
      : kernel(kernel), manifest(kernel.manifest), driver(driver), view(view),
        values(std::move(values)) {}
  /// Launches, and keeps what was launched under the key.
  llvm::Error run(const Loaded &loaded, int64_t grid, const LaunchKey *key);

private:
  llvm::Error addMemory();
  llvm::Error packAll(const Loaded &loaded, int64_t grid);
  llvm::Error pack(llvm::ArrayRef<KernelArgument> list);
  llvm::Error pack(const KernelArgument &argument);
  llvm::Error packMap(const KernelArgument &argument);
  void packPerBatch(const KernelArgument &argument);
  bool liesInScratch(unsigned tensor) const {
    return tensor == SignedQTensor && values.sizes[LaunchValues::SIGN] < 1;
  }

  CudaKernel &kernel;
  const KernelManifest &manifest;
  CudaDriver &driver;
  const LaunchView &view;
  LaunchValues values;
  PackedLaunch packed;
  uint64_t workspace = 0, scratch = 0;
};

llvm::Error CudaKernel::Launcher::addMemory() {
  auto bytes = [&](const LaunchExpr &size) {
    return static_cast<uint64_t>(std::max<int64_t>(size.evaluate(values), 0));
  };
  auto made = driver.getWorkspace(view.deviceId, view.stream,
                                  bytes(manifest.workspace));
  if (!made)
    return made.takeError();
  workspace = *made;
  auto more =
      driver.getScratch(view.deviceId, view.stream, bytes(manifest.scratch));
  if (!more)
    return more.takeError();
  scratch = *more;
  if (liesInScratch(SignedQTensor)) {
    // A kernel that takes the sign from the queries finds them here.
    LaunchValues::Tensor &copy = values.tensors[SignedQTensor];
    copy.address = static_cast<int64_t>(scratch);
    int64_t step = 1;
    for (size_t dim = copy.sizes.size(); dim-- > 0; step *= copy.sizes[dim])
      copy.strides[dim] = step;
  }
  return llvm::Error::success();
}

llvm::Error CudaKernel::Launcher::packMap(const KernelArgument &argument) {
  TensorMap map;
  if (llvm::Error error =
          kernel.maps->find(driver, manifest, argument, values, map))
    return error;
  packed.add(map);
  int64_t address = values.tensors[argument.tensor].address;
  if (address == 0) // nothing reads through the map, see TensorMapCache
    packed.follow(QTensor, values.tensors[QTensor].address, /*isMap=*/true);
  else if (!liesInScratch(argument.tensor))
    packed.follow(argument.tensor, address, /*isMap=*/true);
  return llvm::Error::success();
}

/// Batches in the order in which their tiles are taken: those with the most
/// keys first, as long tiles should not be the last ones.
static std::vector<int64_t> orderBatches(const LaunchView &view) {
  std::vector<int64_t> order(view.kvLengths.size());
  std::iota(order.begin(), order.end(), 0);
  auto rank = [&](int64_t batch) {
    size_t i = static_cast<size_t>(batch);
    return std::pair(view.qLengths[i] > 0 ? -view.kvLengths[i] : 0, batch);
  };
  llvm::sort(order, [&](int64_t a, int64_t b) { return rank(a) < rank(b); });
  return order;
}

/// There are no more batches than have room, and none of them has a position
/// beyond 32 bits: that has been checked.
void CudaKernel::Launcher::packPerBatch(const KernelArgument &argument) {
  std::vector<int32_t> all;
  const std::vector<int64_t> order = orderBatches(view);
  for (llvm::ArrayRef<int64_t> values :
       {llvm::ArrayRef(view.qOffset), llvm::ArrayRef(view.kvOffset),
        llvm::ArrayRef(view.qLengths), llvm::ArrayRef(view.kvLengths),
        llvm::ArrayRef(order)}) {
    llvm::append_range(all, values);
    all.resize(llvm::alignTo(all.size(), argument.batches));
  }
  packed.add(all.data(), all.size() * sizeof(int32_t));
}

llvm::Error CudaKernel::Launcher::pack(const KernelArgument &argument) {
  switch (argument.kind) {
  case Kind::TensorMap:
    return packMap(argument);
  case Kind::Pointer: {
    int64_t address = values.tensors[argument.tensor].address;
    packed.add(address);
    if (!liesInScratch(argument.tensor))
      packed.follow(argument.tensor, address, /*isMap=*/false);
    break;
  }
  case Kind::Workspace:
    packed.add<uint64_t>(workspace + argument.value.evaluate(values));
    break;
  case Kind::Scratch:
    packed.add<uint64_t>(scratch + argument.value.evaluate(values));
    break;
  case Kind::I32:
    packed.add(static_cast<int32_t>(argument.value.evaluate(values)));
    break;
  case Kind::I64:
    packed.add(argument.value.evaluate(values));
    break;
  case Kind::PerBatch:
    packPerBatch(argument);
    break;
  case Kind::Scale:
    packed.add(static_cast<float>(view.scales[argument.pair]));
    break;
  case Kind::ScaleSize: {
    float scale = static_cast<float>(view.scales[argument.pair]);
    packed.add(scale == 0 ? 1.0f : std::fabs(scale));
    break;
  }
  }
  return llvm::Error::success();
}

llvm::Error CudaKernel::Launcher::pack(llvm::ArrayRef<KernelArgument> list) {
  for (const KernelArgument &argument : list)
    if (llvm::Error error = pack(argument))
      return error;
  return llvm::Error::success();
}

llvm::Error CudaKernel::Launcher::packAll(const Loaded &loaded, int64_t grid) {
  for (auto [first, function] : llvm::zip(manifest.before, loaded.before)) {
    int64_t blocks = first.grid.evaluate(values);
    if (blocks <= 0)
      continue;
    packed.begin(function, blocks, first.threads, 0,
                 manifest.programmaticLaunch);
    if (llvm::Error error = pack(first.arguments))
      return error;
  }
  packed.begin(loaded.function, grid, manifest.threads, manifest.sharedMemory,
               manifest.programmaticLaunch);
  return pack(manifest.arguments);
}

llvm::Error CudaKernel::Launcher::run(const Loaded &loaded, int64_t grid,
                                      const LaunchKey *key) {
  bool usesScratch =
      !manifest.before.empty() || manifest.scratch.evaluate(values) > 0;
  std::unique_lock<std::mutex> lock(driver.scratchMutex(), std::defer_lock);
  if (usesScratch)
    lock.lock();
  if (llvm::Error error = addMemory())
    return error;
  if (llvm::Error error = packAll(loaded, grid))
    return error;
  if (int status = packed.run(driver.functions(), view.stream))
    return driver.check(status, "launching kernel '" + manifest.name + "' (" +
                                    describe(view) + ")");
  if (key && kernel.plans)
    kernel.plans->keep(*key, driver, std::move(packed),
                       usesScratch ? std::optional(driver.scratchVersion())
                                   : std::nullopt);
  return llvm::Error::success();
}

llvm::Error CudaKernel::launch(const LaunchView &view, const LaunchKey *key) {
  auto driver = CudaDriver::get();
  if (!driver)
    return driver.takeError();
  auto device = (*driver)->getDevice(view.deviceId);
  if (!device)
    return device.takeError();
  LaunchValues values = makeValues(view, (*device)->processors);
  if (llvm::Error error = checkPromises(view, values))
    return error;
  int64_t grid = manifest.grid.evaluate(values);
  if (grid <= 0)
    return llvm::Error::success();
  auto scope = (*driver)->enter(view.deviceId);
  if (!scope)
    return scope.takeError();
  auto kernel = load(**driver, **device);
  if (!kernel)
    return kernel.takeError();
  return Launcher(*this, **driver, view, std::move(values))
      .run(**kernel, grid, key);
}

bool CudaKernel::relaunch(const LaunchKey &key) {
  if (!plans)
    return false;
  auto driver = CudaDriver::get();
  if (driver)
    return plans->run(**driver, key);
  llvm::consumeError(driver.takeError());
  return false;
}
