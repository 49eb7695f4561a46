//===- CudaDriver.cpp - NVIDIA's driver, if there is one ------------------===//
#include "CudaFunctions.h"
#include "fovea/Runtime/Cuda.h"
#include "fovea/Runtime/Error.h"

#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <pthread.h>

using namespace fovea;
using llvm::Twine;

struct CudaDriver::State {
  std::vector<CudaDevice> devices;
  std::mutex mutex;
  // Primary ones by device, retained for good when first used.
  std::unique_ptr<std::atomic<void *>[]> contexts;
  struct Workspace {
    uint64_t address = 0, bytes = 0;
  };
  using Memory = std::map<std::pair<int, void *>, Workspace>;
  Memory workspaces, scratch;
  std::mutex scratchMutex;
  uint64_t scratchVersion = 0;

  /// The memory of a stream, made or made larger.
  llvm::Expected<uint64_t> get(CudaDriver &driver, Memory &memory, int device,
                               void *stream, uint64_t bytes, const char *what);
};

std::string CudaDevice::arch() const {
  return "sm_" + std::to_string(major) + std::to_string(minor);
}

CudaDriver::CudaDriver()
    : table(std::make_unique<CudaFunctions>()),
      state(std::make_unique<State>()) {}
CudaDriver::~CudaDriver() = default;

llvm::Error CudaDriver::check(int status, const Twine &what) const {
  if (status == 0)
    return llvm::Error::success();
  const char *name = nullptr;
  if (table->getErrorName(status, &name) != 0 || !name)
    name = "unknown error";
  constexpr int outOfMemory = 2;
  return makeError(
      status == outOfMemory ? FOVEA_OUT_OF_MEMORY : FOVEA_COMPILE_ERROR,
      what + ": the CUDA driver says " + name + " (" + Twine(status) + ")");
}

static llvm::Error absent(const Twine &why) {
  return makeError(FOVEA_UNSUPPORTED, "cuda: " + why);
}

/// Libraries stay open: threads of theirs may run until the process ends.
static llvm::Error openLibrary(CudaFunctions &table) {
  const char *own = std::getenv("FOVEA_LIBCUDA");
  std::string name = own && *own ? own : "libcuda.so.1";
  void *library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return absent("no NVIDIA driver on this machine (" + name +
                  " does not load)");
#define FOVEA_LOAD(symbol, member, parameters)                                 \
  table.member =                                                               \
      reinterpret_cast<decltype(table.member)>(dlsym(library, #symbol));       \
  if (!table.member)                                                           \
    return absent("the NVIDIA driver is too old (" + name +                    \
                  " has no " #symbol ")");
  FOVEA_CUDA_FUNCTIONS(FOVEA_LOAD)
#undef FOVEA_LOAD
#define FOVEA_LOAD(symbol, member, parameters)                                 \
  table.member =                                                               \
      reinterpret_cast<decltype(table.member)>(dlsym(library, #symbol));
  FOVEA_CUDA_LATER_FUNCTIONS(FOVEA_LOAD)
#undef FOVEA_LOAD
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<CudaDriver>> CudaDriver::open() {
  std::unique_ptr<CudaDriver> made(new CudaDriver);
  CudaFunctions &cuda = *made->table;
  if (llvm::Error error = openLibrary(cuda))
    return std::move(error);
  if (llvm::Error error = made->check(cuda.init(0), "cuda: cuInit"))
    return absent(takeStatus(std::move(error)).second);
  int count = 0, version = 0;
  cuda.launchesProgrammatically =
      cuda.launchKernelEx && cuda.driverGetVersion &&
      cuda.driverGetVersion(&version) == 0 && version >= kProgrammaticVersion;
  if (llvm::Error error = made->check(cuda.deviceGetCount(&count), "cuda"))
    return std::move(error);
  for (int i = 0; i < count; ++i) {
    CudaDevice device;
    char name[256] = {};
    int handle = 0;
    for (int status :
         {cuda.deviceGet(&handle, i), cuda.deviceGetName(name, 255, handle),
          cuda.deviceGetAttribute(&device.major, deviceMajor, handle),
          cuda.deviceGetAttribute(&device.minor, deviceMinor, handle),
          cuda.deviceGetAttribute(&device.processors, deviceProcessors,
                                  handle)})
      if (llvm::Error error = made->check(status, "cuda:" + Twine(i)))
        return std::move(error);
    device.index = i;
    device.name = name;
    made->state->devices.push_back(std::move(device));
  }
  if (count == 0)
    return absent("no NVIDIA device on this machine");
  made->state->contexts =
      std::make_unique<std::atomic<void *>[]>(static_cast<size_t>(count));
  return std::move(made);
}

namespace {
/// What opening gave, once a process.
struct Opened {
  std::unique_ptr<CudaDriver> driver;
  std::string error;
};

std::atomic<Opened *> current{nullptr};

/// A forked child may not use the driver of its parent and asks anew, so that
/// the driver itself says so.
void forget() { current = nullptr; }
} // namespace

llvm::Expected<CudaDriver *> CudaDriver::get() {
  Opened *opened = current.load(std::memory_order_acquire);
  if (!opened) {
    static const int watched = pthread_atfork(nullptr, nullptr, forget);
    (void)watched;
    auto *made = new Opened;
    if (auto driver = open())
      made->driver = std::move(*driver);
    else
      made->error = takeStatus(driver.takeError()).second;
    if (current.compare_exchange_strong(opened, made))
      opened = made;
    else
      delete made;
  }
  if (!opened->driver)
    return makeError(FOVEA_UNSUPPORTED, opened->error);
  return opened->driver.get();
}

std::vector<CudaDevice> CudaDriver::listDevices(std::string &note) {
  auto driver = get();
  if (driver)
    return (*driver)->state->devices;
  note = takeStatus(driver.takeError()).second;
  return {};
}

llvm::Expected<const CudaDevice *> CudaDriver::getDevice(int index) const {
  if (index < 0 || index >= static_cast<int>(state->devices.size()))
    return makeError(FOVEA_INVALID_ARGUMENT, "q: device must be one of " +
                                                 Twine(state->devices.size()) +
                                                 ", got cuda:" + Twine(index));
  return &state->devices[index];
}

CudaDriver::Scope::~Scope() {
  void *left = nullptr;
  if (driver)
    driver->table->contextPop(&left);
}

llvm::Expected<CudaDriver::Scope> CudaDriver::enter(int device) {
  std::atomic<void *> &slot = state->contexts[device];
  void *context = slot.load(std::memory_order_acquire), *now = nullptr;
  if (!context) {
    if (llvm::Error error = check(table->primaryContextRetain(&context, device),
                                  "cuda:" + Twine(device)))
      return std::move(error);
    slot.store(context, std::memory_order_release);
  }
  if (table->contextGet(&now) == 0 && now == context)
    return Scope(nullptr);
  if (int status = table->contextPush(context))
    return check(status, "cuda:" + Twine(device));
  return Scope(this);
}

llvm::Expected<uint64_t> CudaDriver::State::get(CudaDriver &driver,
                                                Memory &memory, int device,
                                                void *stream, uint64_t bytes,
                                                const char *what) {
  if (bytes == 0)
    return 0;
  const CudaFunctions &cuda = driver.functions();
  std::lock_guard<std::mutex> lock(mutex);
  Workspace &found = memory[{device, stream}];
  if (found.bytes >= bytes)
    return found.address;
  Workspace made;
  made.bytes = std::max<uint64_t>(bytes, 4096);
  if (llvm::Error error =
          driver.check(cuda.memoryAllocate(&made.address, made.bytes),
                       Twine(what) + " of " + Twine(made.bytes) + " bytes"))
    return std::move(error);
  if (llvm::Error error = driver.check(
          cuda.memorySet(made.address, 0, made.bytes, stream), what)) {
    cuda.memoryFree(made.address);
    return std::move(error);
  }
  if (found.address && &memory == &scratch) {
    cuda.memoryFree(found.address); // waits for the kernels that use it
    ++scratchVersion;
  }
  found = made;
  return found.address;
}

llvm::Expected<uint64_t> CudaDriver::getWorkspace(int device, void *stream,
                                                  uint64_t bytes) {
  return state->get(*this, state->workspaces, device, stream, bytes,
                    "workspace");
}

llvm::Expected<uint64_t> CudaDriver::getScratch(int device, void *stream,
                                                uint64_t bytes) {
  return state->get(*this, state->scratch, device, stream, bytes, "scratch");
}

std::mutex &CudaDriver::scratchMutex() { return state->scratchMutex; }

uint64_t CudaDriver::scratchVersion() const { return state->scratchVersion; }
