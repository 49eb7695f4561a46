//===- Arguments.h - The function's operands in KernelABI.h -----*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOCPU_ARGUMENTS_H
#define FOVEA_LIB_CONVERSION_ONLINETOCPU_ARGUMENTS_H

#include "Emitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace fovea::cpu {

/// Which part of `fovea_cpu_args` a function argument stands for.
enum class ArgKind {
  Query,
  Key,
  Value,
  Capture,
  Scale,
  QOffset,
  KVOffset,
  QLengths,
  KVLengths,
  PageTable,
  BlockClasses,
  QueryTile,
  KeyTile,
  Out,
  Lse
};

struct ArgInfo {
  ArgKind kind;
  unsigned index = 0; // among those of its kind
};

/// Classifies the arguments of a level-2 function by their order and types:
/// q…, k…, v, captures…, scale…, q_offset, kv_offset, q_lengths, kv_lengths
/// [, page_table] [, classes, query_tile, key_tile], out [, lse].
FailureOr<SmallVector<ArgInfo>> classifyArguments(func::FuncOp func);

/// A memref argument as the kernel sees it: base address, sizes and strides in
/// elements, all loaded once at the function's entry.
struct Buffer {
  Value data;
  Values sizes, strides;
};

/// Loads what a function needs from its `fovea_cpu_args`.
class Arguments {
public:
  /// `zeros` is readable memory of 8 zero bytes: where a capture with an empty
  /// dimension is read from.
  Arguments(Emitter &e, func::FuncOp func, ArrayRef<ArgInfo> kinds, Value args,
            Value zeros);

  const Buffer *lookup(mlir::Value argument) const {
    auto it = buffers.find(argument);
    return it == buffers.end() ? nullptr : &it->second;
  }
  /// The address of the call's fovea_cpu_tile_runs, null where it has none.
  mlir::Value getTileRuns() { return tileRuns; }
  /// The memory that all items of a call share.
  mlir::Value loadWorkspace();
  /// The address of a word that is not zero once the call is cancelled.
  mlir::Value loadCancelled();
  /// Keys that no sequence of the call is longer than.
  mlir::Value loadLongest();
  /// Scalar arguments: scales, tile sizes.
  mlir::Value lookupScalar(mlir::Value argument) const {
    return scalars.lookup(argument);
  }

private:
  Value field(size_t offset);
  Buffer tensor(Value address, ArrayRef<Value> sizes, unsigned rank);
  Buffer capture(Value array, unsigned index, unsigned rank, Value zeros);

  Emitter &e;
  Value args, zeros, tileRuns;
  DenseMap<mlir::Value, Buffer> buffers;
  DenseMap<mlir::Value, mlir::Value> scalars;
};

} // namespace fovea::cpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOCPU_ARGUMENTS_H
