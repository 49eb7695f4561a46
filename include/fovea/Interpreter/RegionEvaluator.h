//===- RegionEvaluator.h - Runs a Program's regions -------------*- C++ -*-===//
//
// A region becomes a flat register program that is run for many points at once:
// arguments that vary from point to point are arrays ("lanes"), the others are
// set once and everything that depends on them alone is computed once. Integers
// are 64-bit, floats f64; all operations are total (S8, S13) and reads are
// clamped (S7). Used by the masks, the interpreters and the fuzzers.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_INTERPRETER_REGIONEVALUATOR_H
#define FOVEA_INTERPRETER_REGIONEVALUATOR_H

#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/Launch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fovea {

/// A region compiled; immutable, shared between threads.
class RegionProgram {
public:
  /// varying: names of the arguments that differ from lane to lane.
  static RegionProgram compile(const Program &program, const Region &region,
                               llvm::ArrayRef<llvm::StringRef> varying);

  /// Position of an argument, for the frame's setters; -1 where the region does
  /// not use it.
  int findArg(llvm::StringRef name) const;
  unsigned numResults() const { return results.size(); }

private:
  friend class RegionCompiler;
  friend class RegionFrame;
  struct Instruction {
    NodeKind kind;
    ValueType type;
    uint32_t dst = 0;
    llvm::SmallVector<uint32_t, 3> operands; // slots
    unsigned capture = 0;
    unsigned dim = 0;
  };
  struct Slot {
    bool varying = false;
    uint32_t position = 0; // in its bank
  };
  struct Fixed { // a uniform slot set once a frame
    uint32_t slot;
    NodeKind kind;
    ValueType type;
    int64_t integer = 0;
    double real = 0;
    unsigned capture = 0, dim = 0;
    std::string symbol;
  };
  struct Argument {
    std::string name;
    ValueType type;
    int slot = -1;
  };

  std::vector<Argument> args;
  std::vector<Slot> slots;
  std::vector<Fixed> fixed;
  std::vector<Instruction> uniformCode, varyingCode;
  llvm::SmallVector<uint32_t, 2> results;
  llvm::SmallVector<ValueType, 2> resultTypes;
  std::vector<std::string> captureNames;
  uint32_t numUniform = 0, numVarying = 0;
};

/// A read outside its capture, met where the frame was asked to watch.
struct BadRead {
  unsigned capture = 0, dim = 0;
  int64_t index = 0, extent = 0;
};

/// One thread's registers for a RegionProgram.
class RegionFrame {
public:
  static constexpr unsigned lanes = 256;

  RegionFrame(const RegionProgram &program, llvm::ArrayRef<TensorView> captures,
              const RegionSizes &sizes);

  /// Uniform arguments; an argument of -1 is ignored.
  void setInt(int arg, int64_t value);
  void setFloat(int arg, double value);
  /// Buffers of varying arguments (`lanes` entries), to be filled before run;
  /// null for -1.
  int64_t *laneInts(int arg);
  double *laneFloats(int arg);
  /// Fills a varying argument with first, first + 1, …
  void fillIota(int arg, int64_t first, unsigned count);

  /// Computes the first `count` (≤ lanes) lanes.
  void run(unsigned count);

  /// Results after run. A uniform result is the same in all lanes.
  bool resultVaries(unsigned result) const;
  int64_t resultInt(unsigned result, unsigned lane) const;
  double resultFloat(unsigned result, unsigned lane) const;
  /// The lanes of a varying result.
  const int64_t *resultInts(unsigned result) const;
  const double *resultFloats(unsigned result) const;

  /// With watching on, the first bad read of a lane since run, or null.
  void watchReads(bool on) { watching = on; }
  const BadRead *badRead(unsigned lane) const;

private:
  using Instruction = RegionProgram::Instruction;
  union Word {
    int64_t i;
    double f;
  };
  Word *at(uint32_t slot);
  const Word *at(uint32_t slot) const;
  bool varies(uint32_t slot) const { return program.slots[slot].varying; }
  void execute(const Instruction &inst, unsigned count);
  void executeInteger(const Instruction &inst, unsigned count);
  void executeFloat(const Instruction &inst, unsigned count);
  void executeCompare(const Instruction &inst, unsigned count);
  void executeMath(const Instruction &inst, unsigned count);
  void executeRead(const Instruction &inst, unsigned count);
  void executeSelect(const Instruction &inst, unsigned count);
  void noteBad(const Instruction &inst, unsigned lane, unsigned dim,
               int64_t index, int64_t extent);
  template <typename F> void binaryInt(const Instruction &, unsigned, F);
  template <typename F> void binaryFloat(const Instruction &, unsigned, F);
  template <typename F> void compareFloat(const Instruction &, unsigned, F);
  template <typename F> void unaryInt(const Instruction &, unsigned, F);
  template <typename F> void unaryFloat(const Instruction &, unsigned, F);

  const RegionProgram &program;
  llvm::ArrayRef<TensorView> captures;
  std::vector<Word> uniform;
  std::unique_ptr<Word[]> varying;
  bool dirty = true, watching = false;
  std::vector<int32_t> badOfLane; // 0: none, else index in badReads + 1
  std::vector<BadRead> badReads;
  int32_t uniformBad = 0;
};

} // namespace fovea

#endif // FOVEA_INTERPRETER_REGIONEVALUATOR_H
