//===- Cuda.h - NVIDIA's driver, if there is one ----------------*- C++ -*-===//
//
// libcuda is opened when it is first needed: one build serves machines with and
// without it. Types of the driver are void pointers here, so that no header of
// CUDA is needed.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_CUDA_H
#define FOVEA_RUNTIME_CUDA_H

#include "fovea/Runtime/Launch.h"
#include "fovea/Target/NVVM/Manifest.h"

#include "llvm/Support/Error.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fovea {

class LaunchKey;
struct CudaFunctions; // the entry points that are used

struct CudaDevice {
  int index = 0;
  std::string name;
  int major = 0, minor = 0; ///< compute capability
  int processors = 0;
  /// "sm_90": what kernels for it are named after.
  std::string arch() const;
};

/// The driver of this process; thread-safe.
class CudaDriver {
public:
  /// FOVEA_LIBCUDA, else libcuda.so.1. The error says what is missing.
  static llvm::Expected<CudaDriver *> get();
  /// The devices; empty where there is no driver, and `note` says why.
  static std::vector<CudaDevice> listDevices(std::string &note);

  llvm::Expected<const CudaDevice *> getDevice(int index) const;
  const CudaFunctions &functions() const { return *table; }
  /// An error of the driver under its own name; success for 0.
  llvm::Error check(int status, const llvm::Twine &what) const;

  /// Makes a device's primary context current for a scope, where it is not.
  class Scope {
  public:
    Scope(Scope &&other) : driver(other.driver) { other.driver = nullptr; }
    Scope &operator=(Scope &&) = delete;
    ~Scope();

  private:
    friend class CudaDriver;
    explicit Scope(CudaDriver *driver) : driver(driver) {}
    CudaDriver *driver;
  };
  llvm::Expected<Scope> enter(int device);

  /// Memory of a stream: zero when it is made, kernels leave it zero. It stays
  /// even where a later launch needs more and gets another one.
  llvm::Expected<uint64_t> getWorkspace(int device, void *stream,
                                        uint64_t bytes);
  /// Memory of a stream that its kernels write before they read. Launches that
  /// use it come in whole: they hold the lock until the last one is on its way.
  llvm::Expected<uint64_t> getScratch(int device, void *stream, uint64_t bytes);
  std::mutex &scratchMutex();
  /// Another number after some scratch memory was given back; with the lock
  /// held.
  uint64_t scratchVersion() const;
  ~CudaDriver();

private:
  CudaDriver();
  static llvm::Expected<std::unique_ptr<CudaDriver>> open();
  struct State;
  std::unique_ptr<CudaFunctions> table;
  std::unique_ptr<State> state;
};

/// A cubin (or PTX, which the driver assembles) with its manifest; loaded on a
/// device when it is first launched there.
class CudaKernel {
public:
  CudaKernel(std::string image, KernelManifest manifest);
  ~CudaKernel();

  const KernelManifest &getManifest() const { return manifest; }
  /// Launches on the view's stream and does not wait. With a key the launch is
  /// kept for relaunch().
  llvm::Error launch(const LaunchView &view, const LaunchKey *key = nullptr);
  /// Launches what was launched before, at other addresses; false where nothing
  /// with this key was.
  bool relaunch(const LaunchKey &key);
  /// Whether a launch is for the form of the variant that runs in clusters.
  bool prefersClusters(const LaunchView &view) const;
  /// Bytes of workspace that a launch uses.
  llvm::Expected<int64_t> getWorkspace(const LaunchView &view) const;

private:
  struct Loaded;
  struct MapCache;
  struct Plans;
  class Launcher;
  llvm::Expected<Loaded *> load(CudaDriver &driver, const CudaDevice &device);
  llvm::Error checkPromises(const LaunchView &view,
                            const LaunchValues &values) const;

  std::string image;
  KernelManifest manifest;
  std::mutex mutex;
  std::vector<std::unique_ptr<Loaded>> loaded; ///< by device
  std::unique_ptr<MapCache> maps;
  std::unique_ptr<Plans> plans;
};

} // namespace fovea

#endif // FOVEA_RUNTIME_CUDA_H
