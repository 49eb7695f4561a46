//===- Kernel.h - One kernel ------------------------------------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_KERNEL_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_KERNEL_H

#include "MaskParts.h"
#include "Scalar.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/JSON.h"

namespace fovea::gpu {
using namespace mlir::attn_gpu;

/// Where a channel's parts lie in shared memory, in bytes from its start.
struct ChannelInfo {
  ChannelType type;
  int64_t tiles, full, empty, records, diagonals;
  /// How many barriers say that a use is full.
  int64_t fullBarriers;
  /// In the computing role: the descriptor of slot 0.
  Value descriptor;
  /// Read as lhs: each group takes its own 64 rows.
  bool isLhs = false;
  /// Has uses without a tile, which end the stream.
  bool hasEnd = false;
};

class PrologueKernel;

/// The elements of a block mask as a kernel takes them.
struct ListInfo {
  int64_t step;
  bool unmasked;
  /// For warpgroups with a row each, of whose uses `reach` may lie between;
  /// else none.
  int64_t groups = 0, reach = 0;
  /// Of these: where the mask holds, at least; none where that is not said.
  SmallVector<Plane> visible = {};
};

/// Whether planes hold on so many rows from m0 and columns from n0 on.
Value emitHoldsOn(Emitter &e, ArrayRef<Plane> planes, Value m0, int64_t rows,
                  Value n0, int64_t columns);

std::unique_ptr<PrologueKernel> makeJointKernel(MLIRContext *context,
                                                const ListInfo &list,
                                                llvm::json::Value offset);

/// The function that says what a kernel's mask shows, where its elements are
/// found ahead; else null.
func::FuncOp findVisible(func::FuncOp func);

/// Of a tensor map, which is an argument by value.
inline constexpr int64_t kTensorMapBytes = 128;

/// Emits one function as a kernel.
class KernelEmitter : TensorAccess {
public:
  KernelEmitter(func::FuncOp func, SpecializeOp specialize);
  LogicalResult run();

private:
  // Arguments.cpp
  void collectArguments();
  void describeSections();
  void createFunction();
  void addArgument(Type type, llvm::json::Object entry, Value *slot);
  llvm::json::Value tileExtent(bool ofQueries);
  unsigned tensorNumber(Value memref);
  std::string tensorName(Value memref);
  bool hasLseArgument();
  llvm::json::Value sizeOf(Value memref, unsigned dim);
  void addMap(Value memref, int64_t columns, int64_t boxRows,
              int64_t boxColumns);
  void addTensor(Value memref);
  void addSize(Value memref, unsigned dim);
  bool isPerBatch(Value memref);
  void addPerBatch();
  Value loadPerBatch(int64_t array, Value place);
  Value loadPerBatch(memref::LoadOp op);
  LogicalResult emitBatch(BatchOp op);
  Value getPointer(Value memref) override;
  Value getStride(Value memref, unsigned dim) override;
  Value getSize(Value memref, unsigned dim) override;
  bool gainsByClusters(ChannelType queries);
  llvm::json::Array describeCaptures();
  /// What a launch has to fulfil; `tiles` are the kernel's.
  void addConditions(const llvm::json::Value &tiles);
  std::string manifest();

  // Lists.cpp
  std::optional<ListInfo> findList();
  void collectList();
  Value listRow(ValueRange row);
  Value loadListWord(Value offset);
  void emitListCount(ListCountOp op);
  void emitListElement(ListElementOp op);
  Value rangeElement(Value element, Value whole, Value first, Value firstWhole,
                     int64_t step);
  void emitJointCount(JointCountOp op);
  void emitJointElement(JointElementOp op);
  std::unique_ptr<PrologueKernel> makeListKernel();
  /// Query rows of one row of tiles that the kernel takes.
  int64_t listRows() {
    return findList()->groups ? kGroupRows : groups * kGroupRows;
  }

  // Prologue.cpp
  llvm::json::Value listOffset();
  /// Whether the sign of the scale rides in the queries.
  bool takesSign();
  void describePrologues(llvm::json::Object &manifest, ChannelType queries);

  // Form.cpp
  LogicalResult checkForm();
  LogicalResult checkChannels();

  // Kernel.cpp: the frame and control flow.
  LogicalResult emitPrologue();
  void initBarriers();
  bool waitsForGrid();
  Value clusterRank();
  LogicalResult emitRanks(RoleOp role);
  LogicalResult emitRole(RoleOp role);
  LogicalResult emitLoader(RoleOp role);
  LogicalResult emitBlock(Block &block);
  LogicalResult emit(Operation *op);
  LogicalResult emitScalar(Operation *op);
  LogicalResult emitFor(scf::ForOp op);
  LogicalResult emitWhile(scf::WhileOp op);
  LogicalResult emitIf(scf::IfOp op);
  Value keepHere(Value value);
  SmallVector<Type> registerTypes(Type type);
  SmallVector<Type> registerTypes(TypeRange types);
  Values flat(ValueRange values);
  void bind(ValueRange values, ValueRange registers);
  Value reg(Value value) { return registers[value].front(); }
  FailureOr<Scalar> scalarOf(Value value);

  // Channels.cpp
  void layOutChannels();
  std::pair<Value, Value> placeInRing(int64_t stages, Value use);
  std::pair<Value, Value> slotAndPhase(ChannelInfo &channel, Value use);
  std::pair<Value, Value> fullBarrier(ChannelInfo &channel, Value use);
  Value address(int64_t offset, Value slot, int64_t stride);
  void waitBarrier(Value barrier, Value phase, StringRef scope = "");
  LogicalResult emitFill(FillOp op);
  void writeRecords(ChannelInfo &channel, Value slot, ValueRange records);
  void releaseForOthers(FillOp op, Value slot);
  LogicalResult startCopies(FillOp op, Value tile, Value full);
  void startCopy(ChannelType type, Value tile, Value map,
                 ArrayRef<Value> coordinates, Value full);
  void startShare(ChannelType type, Value tile, Value map, Values place,
                  Value full);
  FailureOr<Values> evaluateDiagonal(FillOp op);
  void emitDiagonalRead(DiagonalReadOp op);
  void byOne(StringRef instructions, StringRef constraints,
             ValueRange operands);
  void emitPublish(PublishOp op);
  LogicalResult emitRecord(RecordOp op);
  void emitWait(WaitOp op);
  void emitRelease(ReleaseOp op);
  void emitTurn(TurnOp op);
  void emitFetch(TileFetchOp op);
  void emitShare(TileShareOp op);
  Value toldTile(TileFetchOp op);
  Value gridSize();
  FailureOr<Values> coordinates(Operation *op, online::ViewOp view, Value row,
                                bool clips = true);

  /// Of rows and keys. Blocks that are cut in front may begin before key 0.
  Interval promisedPositions() {
    constexpr int64_t most = 256;
    return {readsBatches ? -most : 0, kMaxPosition};
  }

  // Products.cpp
  void emitStart(MmaStartOp op);
  std::string scoresText(MmaStartOp op, StringRef keys);
  std::string outputsText(MmaStartOp op, size_t weights, StringRef keys);
  void emitAwait(AwaitOp op);
  void emitConvert(ConvertOp op);
  void emitReduce(ReduceOp op);
  void emitQuadReduce(QuadReduceOp op);
  void emitRescale(RescaleOp op);
  void emitPin(PinOp op);
  Value shuffle(Value value, int lanes);
  Value pack(Value low, Value high, Type element);

  // Regions.cpp
  LogicalResult emitMap(MapOp op);

  // Masks.cpp
  LogicalResult emitMask(MaskOp op);
  bool takesWords(MaskOp op);
  Value findAllVisible(MaskOp op);
  Value findUncut(MaskOp op);
  FailureOr<Values> maskScores(MaskOp op, const Values &scores);
  Values maskEnd(const Values &scores, const Values &belongs, Value count);

  // Stores.cpp
  LogicalResult emitStoreTile(StoreTileOp op);
  void storeStaged(ArrayRef<Value> packed, const Values &coordinates,
                   Value memref);
  LogicalResult storeDirect(StoreTileOp op, ArrayRef<Value> packed);
  LogicalResult emitStoreRows(StoreRowsOp op);

  func::FuncOp func;
  SpecializeOp specialize;
  Emitter e;
  ScalarEmitter scalars;
  LLVM::LLVMFuncOp kernel;
  DenseMap<Value, Values> registers;
  DenseMap<Value, Scalar> known;
  DenseMap<Value, ChannelInfo> channels;
  int64_t groups;
  /// Blocks of threads that load together.
  int64_t cluster = 1;
  /// Chains of a row's maximum: fewer registers, or shorter.
  size_t maximumChains = 4;
  /// Whether a warp loads, and not one thread: some tiles have a diagonal.
  bool loadsByWarp = false;
  /// Warps that share out the fills, and whose code is being emitted.
  int64_t loadWarps = 1, loadWarp = 0;
  /// Which block of a cluster that code is for.
  int64_t loadRank = 0;
  /// A kernel that runs before has an op that this target has not.
  bool prologueFailed = false;

  /// Arguments in order: their manifest entries, types and where they go.
  llvm::json::Array entries, conditions;
  SmallVector<Type> argumentTypes;
  SmallVector<Value *> argumentSlots;
  /// Of what is passed by value, in memory: its bytes, else 0.
  SmallVector<int64_t> valueBytes;
  std::map<unsigned, Value> tensorMaps, pointers;
  std::map<std::pair<unsigned, unsigned>, Value> strides, sizes;
  std::map<unsigned, Value> scalarArguments;
  Value counter, section, lastSection, perBatch;
  bool isMasked = false, isScored = false;
  /// Whether offsets and lengths are read, and whether the latter make dead
  /// rows tiles of their own.
  bool readsBatches = false, hasDeadRows = false;
  /// Of a mask whose lists are made ahead.
  std::optional<MaskParts> maskParts;
  /// The sorted lists of a block mask.
  Value listBase, listStrides[3];

  // Of the thread.
  Value smem, tid, lane, warp, group, column, row;
  /// In a cluster: how far the other block's shared memory is from its own.
  Value peer;
  /// The reset of the tile counter, delayed until after the loop that the
  /// fetch runs beside.
  std::function<void()> afterFetch;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_KERNEL_H
