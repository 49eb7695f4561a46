//===- OnlineEngine.h - Values and execution of level 2 ---------*- C++ -*-===//

#ifndef FOVEA_LIB_INTERPRETER_ONLINEENGINE_H
#define FOVEA_LIB_INTERPRETER_ONLINEENGINE_H

#include "fovea/Dialect/Online/IR/Online.h"
#include "fovea/Interpreter/OnlineInterpreter.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <map>
#include <variant>

namespace fovea {

/// Marks an element that a kernel may compute differently: 0 is none, else the
/// position in OnlineEngine::notes plus one.
using Note = uint32_t;

/// Elements, any of which may have a note.
template <typename T> struct Noted {
  explicit Noted(size_t size = 0, T value = {}) : data(size, value) {}
  Note note(size_t at) const { return notes.empty() ? 0 : notes[at]; }
  void setNote(size_t at, Note value) {
    if (value == 0)
      return;
    if (notes.empty())
      notes.resize(data.size());
    notes[at] = value;
  }

  std::vector<T> data;
  std::vector<Note> notes; // empty where there are none
};

struct Tile : Noted<ScalarValue> {
  explicit Tile(llvm::ArrayRef<int64_t> shape)
      : Noted(mlir::ShapedType::getNumElements(shape)), shape(shape) {}
  Tile() = default;

  int64_t columns() const { return shape.size() == 2 ? shape[1] : 1; }
  size_t index(int64_t i, int64_t j) const { return i * columns() + j; }

  llvm::SmallVector<int64_t, 2> shape;
};

/// The rows of one (batch, head).
struct RowView {
  TensorView tensor;  // of the memref
  int64_t offset = 0; // of the fixed leading dimensions
  int64_t rows = 0;
  bool hasColumns = false, isFloat = true;
  const TensorView *pages = nullptr;
};

/// Between the columns of a row; 0 for rows of scalars.
int64_t columnStride(const RowView &view);

struct WalkElement {
  int64_t first = 0, count = 0;
  mlir::online::ClassKind kind = mlir::online::ClassKind::Partial;
};
using Walk = std::vector<WalkElement>;

struct RowState {
  std::vector<double> t, l; // one per row
  std::vector<double> o;    // rows x columns
  std::vector<Note> notes;  // one per row
};

/// A value of attn_gpu (GpuEngine.h).
struct GpuValue;

using OnlineValue =
    std::variant<std::monostate, ScalarValue, std::shared_ptr<TensorView>,
                 std::shared_ptr<RowView>, std::shared_ptr<Walk>, WalkElement,
                 std::shared_ptr<Tile>, std::shared_ptr<RowState>,
                 std::shared_ptr<const GpuValue>>;

/// What stands behind a note.
struct NoteInfo {
  mlir::Operation *op = nullptr;
  std::optional<ScalarBadRead> bad; // none: the mask is false in a full tile
  std::string source;               // the name of the tensor read
  llvm::SmallVector<std::pair<const char *, int64_t>, 5> position;
};

/// The positions that a scalar region was run for, for messages.
using Position = llvm::ArrayRef<std::pair<const char *, int64_t>>;

/// Hands out the elements of an elements attribute; false where it is none of
/// numbers.
bool readElements(mlir::Attribute attribute,
                  llvm::function_ref<void(size_t at, ScalarValue value)> take);

class NormalizerRun;

class OnlineEngine {
public:
  explicit OnlineEngine(OnlineOptions options) : options(std::move(options)) {}

  llvm::LogicalResult run(mlir::func::FuncOp function,
                          llvm::ArrayRef<OnlineArgument> arguments,
                          llvm::SmallVectorImpl<OnlineArgument> &results);

protected:
  friend class NormalizerRun;

  // Control
  /// Starts anew with a function's arguments.
  llvm::LogicalResult setArguments(mlir::func::FuncOp function,
                                   llvm::ArrayRef<OnlineArgument> arguments);
  llvm::LogicalResult runBlock(mlir::Block &block);
  llvm::LogicalResult runOp(mlir::Operation *op);
  llvm::LogicalResult runScalar(mlir::Operation *op);
  llvm::LogicalResult runIf(mlir::scf::IfOp op);
  llvm::LogicalResult runFor(mlir::scf::ForOp op);
  llvm::LogicalResult runGrid(mlir::online::GridOp op);
  llvm::LogicalResult runSweep(mlir::online::SweepOp op);

  // Memory
  llvm::LogicalResult runMemRef(mlir::Operation *op);
  llvm::LogicalResult runElement(mlir::Operation *op, mlir::Value memref,
                                 mlir::ValueRange indices, bool isStore);
  llvm::LogicalResult runSubView(mlir::memref::SubViewOp op);
  llvm::LogicalResult runBodyRead(mlir::attn::ReadOp op);
  llvm::LogicalResult runView(mlir::online::ViewOp op);
  llvm::LogicalResult runLoad(mlir::online::LoadOp op);
  llvm::LogicalResult writeRows(mlir::Operation *op, mlir::Value tile,
                                mlir::Value view, mlir::Value row, bool add);
  llvm::LogicalResult rowOffset(mlir::Operation *op, const RowView &view,
                                int64_t row, int64_t &offset);
  std::shared_ptr<TensorView> allocate(mlir::MemRefType type,
                                       llvm::ArrayRef<int64_t> dynamic);

  // Walks
  llvm::LogicalResult runWalk(mlir::Operation *op);
  llvm::LogicalResult runWalkList(mlir::online::WalkListOp op);
  /// The elements of one row of a block mask.
  llvm::FailureOr<Walk> readList(mlir::Operation *op, mlir::Value classes,
                                 llvm::ArrayRef<int64_t> row, int64_t width,
                                 int64_t length, int64_t step);
  llvm::LogicalResult runWalkScan(mlir::online::WalkScanOp op);

  // Tiles
  llvm::LogicalResult runConstantTile(mlir::arith::ConstantOp op);
  void contract(Tile &result, const Tile &lhs, const Tile &rhs,
                llvm::ArrayRef<int64_t> dims);
  llvm::LogicalResult runDot(mlir::online::DotOp op);
  llvm::LogicalResult runAccumulate(mlir::online::AccumulateOp op);
  llvm::LogicalResult runMap(mlir::online::MapOp op);
  llvm::LogicalResult runMask(mlir::online::MaskOp op);

  // States
  llvm::LogicalResult runInit(mlir::online::InitOp op);
  llvm::LogicalResult runStep(mlir::online::StepOp op);
  llvm::LogicalResult runMerge(mlir::online::MergeOp op);
  llvm::LogicalResult runFinish(mlir::online::FinishOp op);
  llvm::LogicalResult runWeights(mlir::online::WeightsOp op);

  // Scalar regions
  /// Compiles (once) and binds a region to the values around it. `captures`
  /// stand for the region's tensor arguments, if any.
  llvm::FailureOr<ScalarFrame> bind(mlir::Operation *op, mlir::Region &region,
                                    mlir::ValueRange captures = {});
  /// The note of a frame's last run: its bad read, if any.
  Note noteBadRead(mlir::Operation *op, const ScalarFrame &frame,
                   mlir::ValueRange captures, Position position);
  std::string nameOf(mlir::Value tensor);
  llvm::LogicalResult report(mlir::Operation *store, Note note);

  // Coverage
  void take(int64_t b, int64_t h, int64_t m, int64_t n);
  llvm::LogicalResult checkCoverage(mlir::Operation *op);

  // Values
  template <typename T> const T &get(mlir::Value value) const {
    return *std::get_if<T>(&values.find(value)->second);
  }
  int64_t getInt(mlir::Value value) const { return get<ScalarValue>(value).i; }
  double getFloat(mlir::Value value) const { return get<ScalarValue>(value).f; }
  const Tile &getTile(mlir::Value value) const {
    return *get<std::shared_ptr<Tile>>(value);
  }
  const TensorView &getMemRef(mlir::Value value) const {
    return *get<std::shared_ptr<TensorView>>(value);
  }
  void set(mlir::Value value, OnlineValue to) { values[value] = std::move(to); }

  OnlineOptions options;
  llvm::DenseMap<mlir::Value, OnlineValue> values;
  llvm::DenseMap<mlir::Region *, std::shared_ptr<ScalarProgram>> programs;
  std::vector<NoteInfo> notes;
  std::vector<std::shared_ptr<char[]>> memory;
  std::map<std::array<int64_t, 4>, int64_t> taken; // with coverage only
};

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_ONLINEENGINE_H
