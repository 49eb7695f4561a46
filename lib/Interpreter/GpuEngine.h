//===- GpuEngine.h - State and coroutines of level 3 ------------*- C++ -*-===//
//
// A GpuState is everything at one moment: the coroutines with their stacks and
// values, the channels, copies on their way, the tile counter. It is copied
// freely, which is how interleavings are explored.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_LIB_INTERPRETER_GPUENGINE_H
#define FOVEA_LIB_INTERPRETER_GPUENGINE_H

#include "OnlineEngine.h"
#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "fovea/Interpreter/GpuInterpreter.h"

#include <array>
#include <set>

namespace fovea {

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// A matrix of f32 with notes: a fragment, a tile's contents, a row vector of
/// one column, of four (one a lane of the quad) where it is partial, or a
/// diagonal as one row.
struct GpuMatrix : Noted<float> {
  GpuMatrix(int64_t rows, int64_t columns, float value = 0)
      : Noted(rows * columns, value), rows(rows), columns(columns) {}

  int64_t rows, columns;
};
using MatrixRef = std::shared_ptr<const GpuMatrix>;

struct GpuValue {
  MatrixRef matrix;     // null without data; a synchronous load's contents
  int64_t channel = -1; // of a channel, and of a tile in one of its slots
  int64_t use = -1;     // of a tile in a slot
  int64_t product = -1; // of a pending product
};
using GpuValueRef = std::shared_ptr<const GpuValue>;

//===----------------------------------------------------------------------===//
// Channels
//===----------------------------------------------------------------------===//

/// Bits of a slot's arrivals that a block's groups have.
inline constexpr int64_t kReadersOfBlock = 4;

struct GpuSlot {
  int64_t fills = 0; // begun
  // Ended phases of the barriers that say full: where some groups skip uses, a
  // slot has several in turns.
  int64_t fullPhases[mlir::attn_gpu::kSkippedBarriers] = {};
  int64_t freePhases = 0; // ended phases of the barrier that says free
  uint32_t arrivals = 0;  // the warpgroups in the current free phase
  int64_t use = -1;       // last begun
  bool hasTile = false;
  MatrixRef contents; // null: never filled
  // Of a cluster: what each block's copy has brought. Such copies may end
  // before this block's own fill begins.
  std::array<MatrixRef, 2> parts;
  uint32_t landed = 0; // a bit a block
  MatrixRef diagonal;  // one row; its notes count within diagonalNotes
  std::vector<NoteInfo> diagonalNotes;
  llvm::SmallVector<int64_t, 4> records;
};

struct GpuChannel {
  mlir::attn_gpu::ChannelOp op;
  int64_t block = 0; // of threads
  int64_t cluster = 1;
  llvm::SmallVector<GpuSlot, 2> slots;
  int64_t nextFill = 0;                // for fills without a number
  std::array<int64_t, 3> skipped = {}; // uses that a group does not read

  GpuSlot &slot(int64_t use) { return slots[use % stages()]; }
  const GpuSlot &slot(int64_t use) const { return slots[use % stages()]; }
  int64_t stages() const { return slots.size(); }
  /// Barriers of a slot that say full, and a use's phase of its own.
  int64_t barriers = 1;
  int64_t &fullPhases(int64_t use) {
    return slot(use).fullPhases[use / stages() % barriers];
  }
  int64_t fullPhases(int64_t use) const {
    return slot(use).fullPhases[use / stages() % barriers];
  }
  int64_t phase(int64_t use) const { return use / stages() / barriers; }
  /// "'k' (slot 1)"
  std::string name(int64_t use) const;
};

/// A copy on its way into a slot.
struct GpuCopy {
  int64_t channel = 0, use = 0;
  MatrixRef contents;
  int64_t part = 0; // of a cluster's blocks: whose copy it is
};

//===----------------------------------------------------------------------===//
// Coroutines
//===----------------------------------------------------------------------===//

/// One loop, branch or body on a coroutine's stack.
struct GpuFrame {
  mlir::Operation *parent = nullptr;
  mlir::Block *block = nullptr;
  mlir::Block::iterator next;
  int64_t i = 0, end = 0, step = 1; // of loops
  std::shared_ptr<const Walk> walk; // of for_blocks
};

struct GpuProduct {
  mlir::attn_gpu::MmaStartOp op;
  OnlineValue lhs, rhs, acc;
  int64_t keys = 0; // that take part, where the op says so
  bool done = false, awaited = false;
  MatrixRef result;
};

/// What a coroutine did with the uses of a channel.
struct GpuReading {
  int64_t next = 0;                          // for waits without a number
  int64_t count = 0;                         // of uses waited for
  std::map<int64_t, mlir::Operation *> held; // by use: the wait or record
  int64_t released = 0;                      // all uses below that are
};

struct GpuState;

/// An element of the list that several warpgroups walk together.
struct JointElement;
using JointList = std::vector<JointElement>;

/// A role's warpgroup, or the whole block of threads outside the roles.
class GpuCoroutine : public OnlineEngine {
public:
  GpuCoroutine(const GpuOptions &options, int64_t block);

  /// Enters a function's body.
  llvm::LogicalResult start(mlir::func::FuncOp function,
                            llvm::ArrayRef<OnlineArgument> arguments);
  /// Turns a copy of the block's coroutine into one of a role.
  void become(mlir::attn_gpu::RoleOp role, int64_t group);

  /// Runs up to the next op where coroutines meet, or to the end.
  llvm::LogicalResult advance(GpuState &state);
  /// Empty where that op can run now; else what it waits for.
  std::string waitsFor(const GpuState &state) const;
  /// Runs that op.
  llvm::LogicalResult meet(GpuState &state);
  /// After all have ended: whether it read what was filled.
  llvm::LogicalResult checkUses(const GpuState &state);

  bool ended() const { return frames.empty(); }
  /// The op where coroutines meet, or a specialize.
  mlir::Operation *nextOp() const { return &*frames.back().next; }
  void skip() { ++frames.back().next; }
  /// "role mma #1", "role load"; with the block of threads where there are
  /// several.
  std::string name() const;
  mlir::attn_gpu::RoleOp getRole() const { return role; }
  int64_t getBlock() const { return block; }
  int64_t getGroup() const { return group; }
  /// Tells apart what it did so far.
  uint64_t history() const { return hash; }

private:
  // Control (GpuCoroutine.cpp)
  llvm::LogicalResult runLocal(GpuState &state, mlir::Operation *op);
  llvm::LogicalResult makeChannel(GpuState &state,
                                  mlir::attn_gpu::ChannelOp op);
  llvm::LogicalResult runTerminator(const GpuState &state,
                                    mlir::Operation *terminator);
  llvm::LogicalResult enter(mlir::Operation *op);
  void enterLoop(GpuFrame frame, mlir::ValueRange inits);
  void enterIteration(GpuFrame &frame);
  void leave(mlir::Operation *op, mlir::ValueRange yielded);
  void enterBlock(GpuFrame frame);
  void assign(mlir::ValueRange to, mlir::ValueRange from);
  std::shared_ptr<const Walk> orderBlocks(mlir::attn_gpu::ForBlocksOp op);
  llvm::LogicalResult runF32(mlir::Operation *op);

  // Lists (GpuLists.cpp)
  llvm::FailureOr<Walk> orderList(mlir::attn_gpu::ForBlocksOp op);
  template <typename Op>
  llvm::FailureOr<Walk> readElements(Op op, llvm::ArrayRef<int64_t> row);
  template <typename Op>
  llvm::FailureOr<llvm::SmallVector<int64_t>> sortRows(Op op, int64_t groups);
  template <typename Op>
  llvm::FailureOr<JointList> joinRows(Op op, llvm::ArrayRef<int64_t> numbers,
                                      int64_t reach);
  llvm::LogicalResult runListCount(mlir::attn_gpu::ListCountOp op);
  llvm::LogicalResult runListElement(mlir::attn_gpu::ListElementOp op);
  llvm::LogicalResult runJointCount(mlir::attn_gpu::JointCountOp op);
  llvm::LogicalResult runJointElement(mlir::attn_gpu::JointElementOp op);

  // Meeting (GpuChannels.cpp)
  int64_t getUse(const GpuState &state, mlir::Operation *op) const;
  std::string fillWaitsFor(const GpuState &state, int64_t channel,
                           int64_t use) const;
  llvm::FailureOr<MatrixRef> readParts(mlir::attn_gpu::FillOp op,
                                       mlir::attn_gpu::ChannelType type);
  llvm::LogicalResult meetFill(GpuState &state, mlir::attn_gpu::FillOp op);
  llvm::LogicalResult meetPublish(GpuState &state,
                                  mlir::attn_gpu::PublishOp op);
  llvm::LogicalResult beginUse(GpuState &state, mlir::Operation *op,
                               int64_t channel, int64_t use,
                               mlir::ValueRange records);
  llvm::LogicalResult meetReader(GpuState &state, mlir::Operation *op);
  void arrive(GpuState &state, int64_t channel, int64_t use, int64_t reader);
  void copyToAll(GpuState &state, GpuCopy copy);
  int64_t readerOf(const GpuChannel &channel, int64_t reader) const;
  /// Of a cluster: whether the other block says which tile is next.
  bool isTold() const { return block % 2 != 0; }
  llvm::LogicalResult meetRelease(GpuState &state,
                                  mlir::attn_gpu::ReleaseOp op);
  llvm::LogicalResult meetTurn(GpuState &state, mlir::attn_gpu::TurnOp op);
  bool isElsewhere(mlir::Operation *op) const;
  llvm::LogicalResult meetFetch(GpuState &state,
                                mlir::attn_gpu::TileFetchOp op);
  llvm::LogicalResult meetShare(GpuState &state,
                                mlir::attn_gpu::TileShareOp op);
  void remember(uint64_t value);
  llvm::LogicalResult checkEnd(const GpuState &state);

  // Products (GpuProducts.cpp)
  llvm::LogicalResult runLoad(mlir::attn_gpu::LoadOp op);
  llvm::FailureOr<MatrixRef> readRows(mlir::Operation *op,
                                      mlir::Value viewValue, int64_t row,
                                      int64_t rows, int64_t columns,
                                      mlir::Type elementType);
  llvm::LogicalResult runMma(GpuState &state, mlir::attn_gpu::MmaOp op);
  llvm::LogicalResult runMmaStart(GpuState &state,
                                  mlir::attn_gpu::MmaStartOp op);
  llvm::LogicalResult runAwait(GpuState &state, mlir::attn_gpu::AwaitOp op);
  void complete(const GpuState &state, GpuProduct &product);
  MatrixRef multiply(const GpuState &state, const OnlineValue &lhs,
                     bool lhsIsTile, const OnlineValue &rhs, bool transposed,
                     const OnlineValue &acc);
  llvm::LogicalResult checkTile(GpuState &state, mlir::Operation *op,
                                mlir::Value tile);
  MatrixRef contentsOf(const GpuState &state, const GpuValue &tile) const;
  llvm::LogicalResult storeRows(GpuState &state, mlir::Operation *op,
                                mlir::Value source, mlir::Value viewValue,
                                mlir::Value row);

  // Fragments (GpuFragments.cpp)
  llvm::LogicalResult runFragment(mlir::Operation *op);
  llvm::LogicalResult runMap(mlir::attn_gpu::MapOp op);
  llvm::LogicalResult runMask(mlir::attn_gpu::MaskOp op);
  llvm::FailureOr<MatrixRef> evaluateDiagonal(mlir::Operation *op,
                                              mlir::Region &region,
                                              mlir::attn_gpu::DiagvecType type,
                                              int64_t m0, int64_t n0);
  llvm::LogicalResult readDiagonal(const GpuState &state,
                                   mlir::attn_gpu::DiagonalReadOp op);
  llvm::LogicalResult runReduce(mlir::attn_gpu::ReduceOp op);
  llvm::LogicalResult runQuadReduce(mlir::attn_gpu::QuadReduceOp op);
  llvm::LogicalResult runRescale(mlir::attn_gpu::RescaleOp op);
  llvm::LogicalResult runConvert(mlir::attn_gpu::ConvertOp op);

  const GpuValue &getGpu(mlir::Value value) const {
    return *get<GpuValueRef>(value);
  }
  const GpuMatrix &getMatrix(mlir::Value value) const {
    return *getGpu(value).matrix;
  }
  void setMatrix(mlir::Value value, MatrixRef matrix) {
    GpuValue result;
    result.matrix = std::move(matrix);
    set(value, std::make_shared<const GpuValue>(std::move(result)));
  }
  llvm::SmallVector<int64_t> getInts(mlir::ValueRange values) const {
    return llvm::map_to_vector(values,
                               [&](mlir::Value v) { return getInt(v); });
  }

  const GpuOptions *gpu;
  int64_t block, group = 0;
  mlir::attn_gpu::RoleOp role; // null outside
  std::vector<GpuFrame> frames;
  std::vector<GpuProduct> products; // without those of the past
  int64_t firstProduct = 0;
  std::map<int64_t, GpuReading> readings; // by channel
  bool hasTurn = false;
  /// Of rows that are shared out, by batch, head and the first of a window.
  using RowOrders = std::map<std::array<int64_t, 3>, std::vector<int64_t>>;
  std::shared_ptr<RowOrders> orders = std::make_shared<RowOrders>();
  int64_t told = 0;   // tiles that the first loading warp has taken
  int64_t shared = 0; // tiles that the cluster's first block has shared
  uint64_t hash = 0;
};

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

/// Copies of it share a value until one of them changes it.
template <typename T> class Shared {
public:
  Shared(T value) : value(std::make_shared<T>(std::move(value))) {}
  const T &operator*() const { return *value; }
  const T *operator->() const { return value.get(); }
  T &own() {
    if (value.use_count() > 1)
      value = std::make_shared<T>(*value);
    return *value;
  }

private:
  std::shared_ptr<T> value;
};

struct GpuState {
  // A step changes one coroutine of many, whose values are most of a state.
  std::vector<Shared<GpuCoroutine>> kernels;    // one a block of threads
  std::vector<Shared<GpuCoroutine>> coroutines; // of the roles
  std::vector<GpuChannel> channels;
  std::vector<GpuCopy> copies;
  std::vector<int64_t> turns;    // of each block of threads: whose turn it is
  std::vector<uint8_t> turnHeld; // and whether it is taken
  std::vector<int64_t> groups;   // of each block: of its computing role
  int64_t counter = 0;           // of tiles
  // Of each block: the tiles that its first loading warp has taken.
  std::vector<std::vector<int64_t>> fetched;
  // Of each block: the tiles that it, the first of a cluster, has shared.
  std::vector<std::vector<int64_t>> shared;
  mlir::Operation *fetch = nullptr; // the last op that counted
  std::set<const void *> stored;    // first elements of stores
  uint64_t stores = 0;

  /// Ends the copy at a position.
  void land(size_t copy);
  /// A channel of another block of the same cluster.
  int64_t channelOf(int64_t block, int64_t channel) const;
};

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_GPUENGINE_H
