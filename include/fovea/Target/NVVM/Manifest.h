//===- Manifest.h - How a GPU kernel wants to be launched -------*- C++ -*-===//
//
// A cubin says nothing of its arguments. The manifest beside it does: a JSON
// object (docs/architecture.md) that this library, the runner of the GPU tests
// and whoever has a cubin can launch from, without the compiler.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TARGET_NVVM_MANIFEST_H
#define FOVEA_TARGET_NVVM_MANIFEST_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fovea {

/// A tensor of a launch: its place in LaunchValues::tensors.
enum LaunchTensor : unsigned {
  QTensor,
  KTensor,
  VTensor,
  OutTensor,
  LseTensor,
  BlockMaskTensor, ///< the classes
  SignedQTensor,   ///< q times the sign of the scale, see the manifest
  FirstCapture
};

/// The numbers of one launch, which expressions read.
struct LaunchValues {
  /// BQ, BKV: the tile of a block mask; SIGN: of the first scale.
  enum Size : unsigned { B, H, Hk, M, N, D, E, SM, BQ, BKV, SIGN, numSizes };
  int64_t sizes[numSizes] = {};
  struct Tensor {
    int64_t address = 0;
    llvm::SmallVector<int64_t, 4> sizes, strides; ///< in elements
  };
  /// In the order of LaunchTensor; an absent lse or mask has address 0.
  llvm::SmallVector<Tensor, 8> tensors;
};

/// An integer computed at launch: `4`, `"M"`, `["ceildiv", "M", 128]`.
class LaunchExpr {
public:
  enum class Op : uint8_t {
    Number,
    Size,
    Address,
    Extent,
    Stride,
    Add,
    Sub,
    Mul,
    Div,
    CeilDiv,
    Mod,
    Min,
    Max,
    Eq,
    Ne,
    Le,
    Lt,
    Section
  };
  LaunchExpr() = default;
  explicit LaunchExpr(int64_t number) : code{{Op::Number, 0, 0, number}} {}

  static llvm::Expected<LaunchExpr> parse(const llvm::json::Value &value,
                                          llvm::ArrayRef<std::string> captures);
  /// Total: what has no value (a division by 0) is 0.
  int64_t evaluate(const LaunchValues &values) const;
  /// Whether it reads addresses otherwise than modulo a divisor of `alignment`.
  bool readsAddress(int64_t alignment) const;

private:
  struct Step {
    Op op;
    unsigned tensor;
    unsigned dim;
    int64_t number;
  };
  static llvm::Error parseInto(const llvm::json::Value &value,
                               llvm::ArrayRef<std::string> captures,
                               unsigned depth, std::vector<Step> &code);
  std::vector<Step> code; ///< postfix
};

struct KernelArgument {
  enum class Kind {
    TensorMap,
    Pointer,
    Workspace,
    Scratch,
    I32,
    I64,
    Scale,
    ScaleSize, ///< without its sign; 1 for 0
    PerBatch   ///< offsets and lengths by value: i32 of four arrays
  };
  Kind kind = Kind::I32;
  unsigned tensor = 0; ///< TensorMap, Pointer
  LaunchExpr value;    ///< Workspace, Scratch (an offset), I32, I64
  unsigned pair = 0;   ///< Scale, ScaleSize
  /// PerBatch: elements of an array, and the position that none may reach.
  unsigned batches = 0;
  int64_t positions = 0;
  /// Of a tensor map, fastest dimension first; strides are in elements and
  /// leave out the first, which is 1.
  std::vector<LaunchExpr> sizes, strides;
  std::vector<uint32_t> box;
  unsigned swizzle = 128, promotion = 256; ///< bytes
};

struct LaunchCondition {
  LaunchExpr holds;
  std::string sentence; ///< what a launch that does not meet it is told
};

/// A kernel of the same image that runs before, on the same stream.
struct KernelPrologue {
  std::string symbol;
  unsigned threads = 0;
  LaunchExpr grid;
  std::vector<KernelArgument> arguments;
};

struct KernelManifest {
  std::string name, symbol, arch, dtype, schedule, remarks;
  std::vector<int64_t> headDims;
  int64_t valueDim = 0;
  std::vector<std::string> captures;
  bool returnLse = false, blockMask = false;
  /// What launches must keep: offsets 0 and whole lengths.
  bool wholeSequences = false;
  /// Whether the variant has a form that keeps no such promise.
  bool hasPerBatchForm = false;
  /// Whether its kernels wait for the one ahead, beside which they may begin.
  bool programmaticLaunch = false;
  unsigned threads = 0;
  unsigned sharedMemory = 0;
  unsigned registers = 0; ///< at launch, a thread; 0: not known
  LaunchExpr grid;
  LaunchExpr workspace; ///< bytes; zero on entry, left zero
  LaunchExpr scratch;   ///< bytes; anything on entry, until the kernel ends
  /// Not 0 for launches that the variant's form for clusters is faster for.
  LaunchExpr inClusters;
  /// What may come with offsets and lengths; null where nothing may.
  const KernelArgument *getPerBatch() const;
  std::vector<KernelPrologue> before;
  std::vector<KernelArgument> arguments;
  std::vector<LaunchCondition> conditions;
  std::string text; ///< the JSON that it was read from
};

/// Reads and checks a manifest; errors name the field.
llvm::Expected<KernelManifest> parseManifest(llvm::StringRef json);

} // namespace fovea

#endif // FOVEA_TARGET_NVVM_MANIFEST_H
