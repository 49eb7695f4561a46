//===- ScalarRegion.h - Runs scalar MLIR regions in f64 ---------*- C++ -*-===//
//
// A region of attn or online is compiled once to a flat register program:
// integers are 64-bit and total (S8), floats are f64, reads are clamped and the
// first index outside its tensor is kept (S7).
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_INTERPRETER_SCALARREGION_H
#define FOVEA_INTERPRETER_SCALARREGION_H

#include "fovea/Runtime/Launch.h"

#include "mlir/IR/Region.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/LogicalResult.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace fovea {

/// One scalar: i1 as 0 or 1, integers and indices sign-extended, floats as f64.
union ScalarValue {
  int64_t i = 0;
  double f;
  static ScalarValue ofInt(int64_t value) {
    ScalarValue result;
    result.i = value;
    return result;
  }
  static ScalarValue ofFloat(double value) {
    ScalarValue result;
    result.f = value;
    return result;
  }
};

/// An index outside the tensor it reads.
struct ScalarBadRead {
  mlir::Operation *read = nullptr; // the attn.read
  mlir::Value source;
  unsigned dim = 0;
  int64_t index = 0, size = 0;
};

/// What `attn.size` gives, in the order of attn::SizeKind: B H Hk M N D E.
using ScalarSizes = std::array<int64_t, 7>;

class ScalarProgram;

/// Gives the values that a program uses from outside: tensors and memrefs, and
/// the scalars of the ops around the region.
struct ScalarBindings {
  llvm::function_ref<const TensorView *(mlir::Value)> tensor;
  llvm::function_ref<ScalarValue(mlir::Value)> scalar;
  const ScalarSizes *sizes = nullptr; // null: `attn.size` is an error
};

/// A program bound to its tensors: one thread's registers. The tensors must
/// outlive it.
class ScalarFrame {
public:
  ScalarFrame() = default;

  /// Runs the region; the results are those of its terminator.
  llvm::ArrayRef<ScalarValue> run(llvm::ArrayRef<ScalarValue> arguments);
  /// Carries marks of the arguments of the last run to its results: 0 is none,
  /// else any number. What a select leaves out leaves no mark.
  llvm::SmallVector<uint32_t, 2> carry(llvm::ArrayRef<uint32_t> marks) const;
  /// The first bad read of the last run, or null.
  const ScalarBadRead *badRead() const { return bad.read ? &bad : nullptr; }

private:
  friend class ScalarProgram;
  ScalarValue read(uint32_t instruction);

  const ScalarProgram *program = nullptr;
  std::vector<ScalarValue> registers;
  std::vector<const TensorView *> tensors;
  llvm::SmallVector<ScalarValue, 4> results;
  ScalarBadRead bad;
};

/// A region of one block compiled; immutable.
class ScalarProgram {
public:
  /// The block's scalar arguments are the program's arguments, in their order;
  /// its tensor arguments and everything from above are bindings. Fails, with a
  /// diagnostic at the op, where an op is not scalar.
  static llvm::FailureOr<ScalarProgram> compile(mlir::Region &region);

  llvm::Expected<ScalarFrame> bind(const ScalarBindings &bindings) const;

  unsigned numArguments() const { return argumentRegisters.size(); }
  unsigned numResults() const { return resultRegisters.size(); }

private:
  friend class ScalarFrame;
  friend class ScalarCompiler;
  struct Instruction {
    mlir::Operation *op;
    uint8_t code;
    uint32_t dst;
    uint32_t operands[3] = {0, 0, 0}; // reads: tensor, first index, count
  };
  struct Outside { // a register filled when binding
    uint32_t dst;
    mlir::Value value;             // a scalar from above, or
    mlir::Operation *op = nullptr; // attn.extent, attn.size
    uint32_t tensor = 0;
  };
  std::vector<Instruction> code;
  std::vector<uint32_t> readIndices;
  std::vector<ScalarValue> constants; // the registers at the start
  std::vector<Outside> outside;
  std::vector<mlir::Value> tensors;
  std::vector<uint32_t> argumentRegisters, resultRegisters;
};

/// Whether an op is one that `evaluateScalarOp` knows: the scalar ops of
/// regions, and index arithmetic of the code around them.
bool isScalarOp(mlir::Operation *op);
/// Evaluates one such op with one result.
ScalarValue evaluateScalarOp(mlir::Operation *op,
                             llvm::ArrayRef<ScalarValue> operands);

/// "'table' dimension 1: index -3 is outside 0..7", with the name of the
/// function argument (`attn.name`) where the source is one.
std::string describeBadRead(const ScalarBadRead &bad, llvm::StringRef name);

} // namespace fovea

#endif // FOVEA_INTERPRETER_SCALARREGION_H
