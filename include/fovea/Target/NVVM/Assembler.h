//===- Assembler.h - ptxas: which one, and what it says ---------*- C++ -*-===//
//
// LLVM writes PTX; NVIDIA's ptxas makes machine code of it. What ptxas says
// decides whether a kernel is any good: spills and serialised matrix products
// come as mere information, and here they are errors.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TARGET_NVVM_ASSEMBLER_H
#define FOVEA_TARGET_NVVM_ASSEMBLER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace fovea {

struct PtxasVersion {
  int major = 0, minor = 0, build = 0;
  std::tuple<int, int, int> key() const { return {major, minor, build}; }
  std::string str() const;
  /// From the output of `ptxas --version`.
  static std::optional<PtxasVersion> parse(llvm::StringRef text);
};

enum class PtxasGrade { Good, Warn, Refuse };

/// What is known of a version; the reason is empty for good ones.
std::pair<PtxasGrade, llvm::StringRef> gradePtxas(const PtxasVersion &version);

struct Ptxas {
  std::string path;
  std::string origin; ///< "FOVEA_PTXAS", "nvidia-cuda-nvcc", "CUDA_HOME", …
  PtxasVersion version;
  PtxasGrade grade = PtxasGrade::Good;
  std::string reason; ///< of a grade that is not good
};

/// Where to look, in this order; empty texts and lists are skipped.
struct PtxasSearch {
  std::string explicitPath;              ///< FOVEA_PTXAS
  std::vector<std::string> sitePackages; ///< folders of Python packages
  std::string cudaHome;                  ///< CUDA_HOME
  std::vector<std::string> path;         ///< the folders of PATH
  static PtxasSearch fromEnvironment();
};

/// Folders of Python packages that the running program knows of; the package
/// of a virtual environment on PATH is found without.
void addSitePackages(llvm::ArrayRef<std::string> folders);

/// FOVEA_PTXAS alone if it is set (an error where it does not run or is
/// refused); else the newest good one of nvidia-cuda-nvcc, CUDA_HOME and PATH,
/// then Triton's, then those that warn. None: the driver has to assemble.
llvm::Expected<std::optional<Ptxas>> findPtxas(const PtxasSearch &search);

/// Of this process: the environment, searched once a setting.
llvm::Expected<std::optional<Ptxas>> findPtxas();

struct Assembly {
  std::string cubin;
  int registers = 0;
  int spillBytes = 0; ///< stores and loads
  int stackBytes = 0;
  bool isSerialised = false; ///< its matrix products
  std::vector<std::string> warnings;
};

/// Reads what `ptxas -v` prints. Spills, a stack and serialised matrix products
/// (C7504, C7508, C7510 to C7519) are errors that name the kernel.
llvm::Error readPtxasMessages(llvm::StringRef text, Assembly &out);

/// What is wrong with a kernel that another schedule may not have.
enum class PtxasFault { None, Spills, Serialises };

/// An assembly at work, ended where nobody waits for it.
class Assembling {
public:
  static llvm::Expected<Assembling>
  start(const Ptxas &ptxas, llvm::StringRef ptx, llvm::StringRef arch);
  Assembling(Assembling &&other);
  Assembling &operator=(Assembling &&) = delete;
  ~Assembling();
  /// `fault` says what it failed by.
  llvm::Expected<Assembly> finish(PtxasFault *fault = nullptr);

private:
  struct State;
  explicit Assembling(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// Assembles and waits.
llvm::Expected<Assembly> assemblePTX(const Ptxas &ptxas, llvm::StringRef ptx,
                                     llvm::StringRef arch);

} // namespace fovea

#endif // FOVEA_TARGET_NVVM_ASSEMBLER_H
