//===- CompileService.h - Programs to kernels, once -------------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_COMPILESERVICE_H
#define FOVEA_RUNTIME_COMPILESERVICE_H

#include "fovea/Frontend/ConstantIndices.h"
#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/CompileGPU.h"
#include "fovea/Runtime/Cuda.h"
#include "fovea/Runtime/Driver.h"
#include "fovea/Target/CPU/HostInfo.h"

#include "llvm/Support/Error.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace fovea {

class DiskCache;
class LoadedCode;

/// The forms in which one variant is compiled, as launches need them.
struct KernelForm {
  int indexBits = 32;
  bool exact = false;
  /// For few queries and many keys; has no exact form.
  bool fewQueries = false;
  /// Reads pages; of the form for few queries alone.
  bool paged = false;
  /// For one row a key head; of the form for few queries alone.
  bool oneRow = false;
  /// Of a GPU: reads offsets and lengths.
  bool perBatch = false;
  /// Of a GPU: blocks of threads load together.
  bool cluster = false;
  unsigned index() const {
    return (oneRow ? 64 : 0) + (cluster ? 32 : 0) + (perBatch ? 16 : 0) +
           (paged ? 8 : 0) + (fewQueries ? 4 : 0) + (indexBits == 64 ? 2 : 0) +
           (exact ? 1 : 0);
  }
  static constexpr unsigned count = 128;
};

/// What compiling gives and what the disk cache holds.
struct Artifact {
  std::string object; ///< relocatable, or a cubin (PTX where none was made)
  std::string schedule;
  std::string remarks;
  std::string manifest; ///< of a GPU kernel
  int64_t itemRows = 0; ///< KernelCode
  bool scansKeys = false;
  /// Rows a key head up to which a call takes the form for few queries.
  int64_t shortRows = 0;
  /// Which of these take that for one row.
  fovea_cpu_one_row oneRow = FOVEA_CPU_ONE_ROW_NONE;
};

/// A variant for a target. Machine code is made and loaded when it is needed,
/// at once for the usual form.
class Kernel {
public:
  Kernel(Program program, std::optional<CPUTarget> target,
         std::string schedule);
  Kernel(Program program, GPUTarget target, std::string schedule);
  ~Kernel();

  const Program &getProgram() const { return program; }
  llvm::ArrayRef<ConstantIndex> getConstantIndices() const {
    return constantIndices;
  }
  /// None for the interpreter and for GPUs.
  const std::optional<CPUTarget> &getTarget() const { return target; }
  const std::optional<GPUTarget> &getGPUTarget() const { return gpu; }
  const std::string &getSchedule() const { return schedule; }
  /// Text that identifies the variant, its schedule and its target.
  const std::string &getIdentity() const { return identity; }

  llvm::Expected<KernelCode> getCode(KernelForm form);
  /// The form that computes a call of a CPU kernel, by its shape alone.
  llvm::Expected<KernelForm> chooseForm(const LaunchView &view);
  /// Of a GPU target.
  llvm::Expected<CudaKernel *> getCudaKernel(KernelForm form = {});
  /// The form that computes a call of a GPU's kernel, by its arguments.
  llvm::Expected<KernelForm> chooseGPUForm(const LaunchView &view);
  /// The usual form, and others where they have been needed.
  llvm::SmallVector<CudaKernel *, 2> getLoadedCudaKernels() const;
  llvm::Expected<std::string> getObject();
  /// "program", "attn", "online", "target", "llvm", "asm".
  llvm::Expected<std::string> getIR(llvm::StringRef level);
  llvm::Expected<std::string> getInfo();
  LastRuns &getLastRuns() { return lastRuns; }

private:
  friend class CompileService;
  struct Loaded {
    Artifact artifact;
    std::unique_ptr<LoadedCode> code; ///< of a CPU
    std::unique_ptr<CudaKernel> cuda; ///< of a GPU
  };
  bool isCompiled() const { return target || gpu; }
  std::string targetName() const;
  void identify(llvm::StringRef where);
  llvm::Expected<Artifact> makeArtifact(KernelForm form) const;
  llvm::Error loadArtifact(Loaded &into) const;
  llvm::Expected<Loaded *> getLoaded(KernelForm form);

  Program program;
  std::vector<ConstantIndex> constantIndices;
  std::optional<CPUTarget> target;
  std::optional<GPUTarget> gpu;
  std::string schedule, identity;
  std::array<std::atomic<Loaded *>, KernelForm::count> loaded = {};
  LastRuns lastRuns;
};

enum class CompileOrigin { Compiled, Memory, Disk };

struct CompileStats {
  int64_t compiles = 0, memoryHits = 0, diskHits = 0, entries = 0;
};

/// Kernels of the process: one per identity, found in memory, on disk, or
/// compiled; two threads that ask for one thing wait for one compilation.
class CompileService {
public:
  /// A forked child has its own.
  static CompileService &get();

  /// A complete program (dtype and dims given). An empty target is "cpu".
  llvm::Expected<std::pair<std::shared_ptr<Kernel>, CompileOrigin>>
  compile(Program program, llvm::StringRef target, llvm::StringRef schedule);

  CompileStats getStats();
  /// Forgets kernels that nobody holds and the counters.
  void clear(bool onDisk);
  /// Where the disk cache is; empty where it is off. Second: why, if it should
  /// not be.
  std::pair<std::string, std::string> getDiskCache();

private:
  friend class Kernel;
  struct Impl;
  CompileService();
  llvm::Expected<Kernel::Loaded *> load(Kernel &kernel, KernelForm form,
                                        CompileOrigin *origin);
  static llvm::Error make(const Kernel &kernel, KernelForm form,
                          DiskCache &disk, const std::string &key,
                          Kernel::Loaded &into, CompileOrigin &origin);
  std::unique_ptr<Impl> impl;
};

/// Identifies this build of the library: entries of others are not used.
const std::string &getBuildId();

} // namespace fovea

#endif // FOVEA_RUNTIME_COMPILESERVICE_H
