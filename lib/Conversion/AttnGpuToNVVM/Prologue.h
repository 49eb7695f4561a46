//===- Prologue.h - Kernels that run before ---------------------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_PROLOGUE_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_PROLOGUE_H

#include "Emitter.h"
#include "llvm/Support/JSON.h"

namespace fovea::gpu {

/// Emits one kernel without shared memory, and its manifest entry.
class PrologueKernel {
public:
  explicit PrologueKernel(MLIRContext *context) : e(context) {}
  virtual ~PrologueKernel() = default;

  /// With `waitsForGrid` it may begin beside the kernel ahead of it, and the
  /// next one beside it.
  llvm::json::Value emit(OpBuilder::InsertPoint place, Location loc,
                         StringRef name, bool waitsForGrid);

  /// Whether it was given an op that this target has not, which was said.
  bool hasFailed() const { return isBroken; }

protected:
  virtual void addArguments() = 0;
  virtual void emitBody() = 0;
  void addArgument(Type type, llvm::json::Object entry, Value &slot) {
    types.push_back(type);
    entries.push_back(std::move(entry));
    slots.push_back(&slot);
  }
  Value gep(Type element, Value base, Value offset) {
    return LLVM::GEPOp::create(e.b, e.loc, e.global, element, base,
                               ArrayRef<LLVM::GEPArg>{offset});
  }

  /// Runs a body for first, first + step, … below end, with carried values.
  Values loop(Value first, Value end, int64_t step, ValueRange inits,
              function_ref<Values(Value, ValueRange)> body);
  void syncBlock();
  /// So many words of the block's shared memory.
  Value allocateShared(int64_t words);

  Emitter e;
  int32_t threads = 32;
  /// Blocks of threads, an expression.
  llvm::json::Value grid = 1;
  bool isBroken = false;

private:
  SmallVector<Type> types;
  SmallVector<Value *> slots;
  llvm::json::Array entries;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_PROLOGUE_H
