//===- Kernel.h - Emission of one CPU kernel --------------------*- C++ -*-===//
//
// Lanes are queries. A tile is up to schedule.m query rows of one (batch,
// head), cut into panels of one vector; an item is a panel where the walk is
// segments, else a tile. Per key block and panel:
//   scores   S^T[key][lane] = K[key][d] (broadcast) · Q^T[d][lane]
//   rows     mods, mask, running maximum, weights: lane-wise
//   values   O[row][e] += P^T[key][row] (broadcast) · V[key][e], lanes are e
// With the schedule's `pairs`, bf16 inputs stay bf16: Q and K are read as pairs
// along d, V is interleaved into and P rounded to pairs of keys. With `amx`
// tiles multiply what is packed so, and V is transposed.
// Only Q is always packed; K and V are read in place where they lie well.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNEL_H
#define FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNEL_H

#include "KernelParts.h"
#include "KernelSpec.h"
#include "Scalars.h"

namespace fovea::cpu {

class KernelEmitter {
public:
  KernelEmitter(KernelSpec &spec, ModuleOp module);
  LogicalResult run();

private:
  // Kernel.cpp
  LogicalResult emitPlan();
  LogicalResult emitRun();
  int64_t tileItems();
  void choosePanels(Value first, Value last, Value next);
  void chooseHeads(Value first, Value last, Value neighbours);
  void forPanelsOfTile(llvm::function_ref<void(Value)> body);
  LogicalResult emitItem(Value item, Value &nonFinite);
  LogicalResult emitPass(Value &nonFinite);
  LogicalResult emitTwoPasses();
  LogicalResult bindItem(Value item, ArrayRef<Value> bounds);
  FailureOr<Values> emitBounds();
  LogicalResult runTiles(unsigned available);
  LogicalResult runTileBlock(Block &block, unsigned available);
  void declareTiles();
  void bindRows(Value panel);
  void bindKey(Value keyInBlock);
  LogicalResult enterBlock(Value n0, Value taken);
  LogicalResult emitBlock(Value n0, Value count, Value known, Value following,
                          Value left);
  LogicalResult emitPanelRuns(Value panel, Value full, Value known);
  LogicalResult emitPanel(Value panel, Value full, Value known);
  void layOutScratch();
  void useScratchState();

  // Ahead.cpp
  bool fetchesAhead();
  int64_t linesOfWeights();
  int64_t blockArrays();
  int64_t itemArrays();
  int64_t fetchCursors();
  int64_t aheadBytes();
  Value fetchEntry(int64_t number);
  void aim(int64_t entry, online::ViewOp view, int64_t dim, Value row,
           Value number);
  void beginFetching(int64_t cursor, Value entry);
  KeySpan keysOfItem();
  std::pair<Value, Value> newKeys(const KeySpan &item, const KeySpan &before);
  void aimItem(Value key, Value number);
  LogicalResult aimAhead(Value item, Value next, ArrayRef<Value> bounds);
  void aimOutput();
  void aimNextBlock(Value following);
  LineFetch fetchOfPass();
  void endFetch(const LineFetch &fetch, Value steps);
  void fetchLine(Value address);

  // Walks.cpp
  int64_t walkBytes();
  LogicalResult checkSegments(int64_t number);
  void bindTileRuns();
  LogicalResult emitWalk();
  void emitSegments(online::WalkSegmentsOp segments);
  void emitTileRuns(Value b, Value h, Value tile, Value begin, Value end);
  bool readsTileRuns() {
    return isa<online::WalkScanOp, online::WalkListOp>(spec.walk);
  }
  void locateTileRuns(Value &b, Value &h, Value &tile, Value &begin,
                      Value &end);
  std::pair<Value, Value> tileRunsOf(Value b, Value h, Value tile);
  Value loadTileRun(Value i);
  Value lastTileRun(std::pair<Value, Value> runs);
  Value endOfTileRun(Value run);
  Value tileRunField(Type type, size_t offset);
  void emitBlocks(Value begin, Value known, Value end, Value lastKey);
  Value isCancelled();
  Value mayShareBlocks(Value begin, Value end, Value next);

  // Helpers.cpp
  void emitPackFunction();
  void emitPackPagesFunction();
  void emitInterleaveFunction();
  void emitBandFunction();
  void emitUnpackFunction();
  void emitTransposeFunction();
  Value tensorRows(online::ViewOp view, Value row);
  const Buffer &bufferOf(online::ViewOp view);
  void callHelper(StringRef suffix, ValueRange operands);
  void callPack(Value source, const Buffer &buffer, Value rows, int64_t columns,
                Value destination, int64_t stride, Value paddedRows);
  int64_t packLanes();
  std::pair<Value, Value> rowsOfPanel(DotSpec &dot, Value first);
  void packQueries();
  Value productFactor(const DotSpec &dot);
  bool foldsFactors(const DotSpec &dot);
  bool endsInTanh(const DotSpec &dot);
  BlockRows prepareKeys(const DotSpec &dot, unsigned index, Value n0);
  BlockRows prepareValues(Value n0);
  Value readsInPlace(const Buffer &buffer);

  // Short.cpp
  void layOutShort(int64_t firstOfPanel);
  void readShortShape(ArrayRef<Value> bounds);
  Value shortQueryBytes(const DotSpec &dot);
  LogicalResult emitShortPlan(Value report, ArrayRef<Value> bounds);
  LogicalResult emitShortItem(Value neighbours, Value &nonFinite);
  LogicalResult emitShortPart(Value &nonFinite);
  LogicalResult emitShortWalk();
  LogicalResult joinHeadBounds(ArrayRef<Value> begins, ArrayRef<Value> ends,
                               Value &begin, Value &end);
  void forPanels(function_ref<void(Value)> body);
  void forLivePanels(function_ref<void(Value)> body);
  void forHeadsAtOnce(function_ref<void(Value)> body);
  LogicalResult emitShortBlock(Value n0, Value taken, Value full);
  LogicalResult emitShortHeads(Value full);
  void forProducts(function_ref<void(Value)> ofPanel,
                   function_ref<void(Value, Value)> ofGroup);
  LogicalResult emitShortRuns(Value panel, Value full);
  LogicalResult emitShortScores(Value panel);
  void rescaleRows(Value panel, Value alpha);
  std::pair<Value, Value> joinLanes(Value even, Value odd);
  void fillRowTable();
  void enterHead(Value number);
  void useState(Value address);
  Value slotOf(Value part);
  void leaveState(Value slot);
  Lane tableLane(int64_t table, Value origin, Value panel);
  Value tableEntry(int64_t table, Value row);
  int64_t panelRows() { return spec.isOneRow() ? 1 : e.lanes; }
  void forRows(Value taken, function_ref<void(Value)> body);

  // ShortRows.cpp
  std::pair<Value, Value> placeOfKey(Value key);
  Value shortRow(online::ViewOp view, Value head,
                 std::pair<Value, Value> place);
  void callPackPages(online::ViewOp view, Value head, Value key, Value taken,
                     int64_t dim, Value to, int64_t stride, Value paddedRows);
  Value rowsLeftInPage(std::pair<Value, Value> place);
  void packShortQueries();
  void prepareShortBlock();
  SmallVector<ShortRows, 2> layOutTables();
  void forGroupsOfHeads(function_ref<void(Value, Value, Value)> body);
  Value rowsAhead(online::ViewOp view, Value head, Value key, Value others);
  Values locateRows(const ShortRows &rows, const ShortGroup &group,
                    Value source);
  void enterRows(const BlockRows &rows, Value number, Value base, Value stride);
  void enterRowsAhead(ArrayRef<ShortRows> all, ArrayRef<Value> sources,
                      Value start, Value number);
  GroupRows locateGroup(const BlockRows &rows, Value number);
  Fetch beginFetch(const BlockRows &rows, int64_t columns, Value group,
                   int64_t groupSteps, Value pass, int64_t passes, Value panel);
  Value lineOfRows(const Fetch &fetch, Value line);
  void fetchAhead(const Fetch &fetch, Value step);
  bool fetchesAtOnce() { return !asksAgain() && widens(); }
  bool asksAgain() { return wide() * e.scoreBytes() != 32; }
  void fetchLines(const Fetch &fetch, Value number);
  int64_t keysOfLead(int64_t rowBytes);
  Fetch beginAgain(const GroupRows &rows, int64_t rowBytes, Value key);
  void fetchAgain(const Fetch &again, Value line, int64_t lines);
  /// Takes a key, its row and what is carried.
  using RowBody = function_ref<Values(Value, Value, ValueRange)>;
  Values forRowsAhead(const GroupRows &rows, int64_t rowBytes, Value keys,
                      int64_t step, ValueRange init, RowBody body);
  void storeShortPanel(Value panel, Value taken);
  Value storeMergedRows(Value panel, Value taken);
  Value placeOfSquare(Value square);
  std::pair<Value, Value> outputOfRow(Value panel, Value lane);
  void storeShortLse(Value panel, Value taken);

  // ShortMerge.cpp
  void clearState();
  void useMerged();
  bool joinsSeed() {
    return spec.normalizer && !spec.init.getUnseeded() &&
           !(spec.normalizer.getSeed().empty() &&
             spec.normalizer.getSeedValue().empty());
  }
  void rowsToColumns(Value panel, Value to);
  std::pair<Value, Value> mergeFactors(Value own, Value other, Value &t);
  void mergePart(Value head, Value part);
  void joinSeed();
  LogicalResult emitMerge(Value head, Value &nonFinite);

  // ShortKernels.cpp
  void emitShortGroups(Value panel);
  void emitShortTiles(unsigned dot, Value panel, Value group);
  Value largestOfGroup(Value group, Value before);
  void joinSums(Values &sums, int64_t span, int64_t unit);
  void sumWithinBlocks(Values &sums);
  void sumLanes(Values &sums);
  VectorType wideOperand();
  Values loadOperand(Value address);
  void multiplyTile(ArrayRef<Value> keys, Value queries, Value number,
                    int64_t queryBytes, Values &sums);
  int64_t stepRegisters(int64_t registers);
  Value loadQuery(Value address);
  bool splitsLanes() { return widens() && spec.elementType.isBF16(); }
  int64_t tileSums();
  void emitShortValues(Value panel);
  void emitShortPass(Value panel, Value row, Value column);
  void overOutput(Value output, int64_t rows, int64_t vectors,
                  function_ref<Values(ValueRange)> body);
  Values emitShortKeys(const Fetch &fetch, Value row, Value column, Value group,
                       Value end, ValueRange init);
  Values multiplyValues(Value from, Value stride, Value left, Value weights,
                        int64_t rows, int64_t vectors, ValueRange sums);
  Values loadValuePairs(Value row, Value stride, Value left, int64_t vectors);
  void emitShortWeights(Value t, Value &sum);
  Value foldWide(Value x, int64_t lanes,
                 function_ref<Value(Value, Value)> join);
  Value wideSplat(Value scalar);
  Value wideMultiply(Value x, Value y, Value z);

  // ShortOneRow.cpp
  int64_t heldRegisters();
  void emitOneRowScores(Value group, Value number);
  void emitOneRowValues(Value group, Value number);
  void addOneRowSums(unsigned dot, Value group);

  // ShortTiles.cpp
  void configureShortTiles();
  void packTileQueries();
  void emitShortTileGroups(Value panel);
  void emitShortTileScores(unsigned dot, Value panel, Value group);
  void finishTileScores(unsigned dot, Value group);
  Value loadWide(Value rows, Value key);
  void packTileWeights();
  void packWeightsOfGroup(Value group);
  void emitShortTileValues(Value panel);
  void emitShortTilePass(Value panel, Value column, int64_t blocks);
  Value tileOutput(Value panel, Value column);
  void rescaleTiles(Value panel, Value alpha);
  Value leaveTiles(Value slot);
  void fetchFollowing(const Fetch &fetch, const GroupRows &rows, Value byte);

  // MicroKernels.cpp
  /// The address of the current row of an array, by the array's number.
  using RowAddress = llvm::function_ref<Value(unsigned)>;
  Value rowOf(const RowArray &rows, Value number);
  Values
  loopOverRows(Value from, Value to, ArrayRef<RowArray> arrays, ValueRange init,
               llvm::function_ref<Values(Value, ValueRange, RowAddress)> body);
  std::pair<Value, Value> locateKeys(const BlockRows &keys, Value group);
  Values
  multiplyKeys(const DotSpec &dot, const BlockRows &keys, Value group,
               Value zero, Value queries, llvm::function_ref<Value(Value)> read,
               llvm::function_ref<Value(Value, Value, Value)> multiplyAdd,
               bool woven = false);
  Values emitScoreGroup(unsigned dot, const BlockRows &keys, Value panel,
                        Value group);
  void emitValues(const BlockRows &values, Value panel, Value alpha);
  Values forKeys(ValueRange init, Value kind,
                 llvm::function_ref<Values(Value, ValueRange)> body);
  Value visibleLanes(Value key);
  Value addValue(Value v, Value weight, Value visible, Value sum);

  // Tiles.cpp
  void configureTiles();
  void loadTileConfig(ArrayRef<Value> words);
  void releaseTiles();
  void emitTileScores(unsigned dot, const BlockRows &keys, Value panel,
                      Value group);
  void chooseScoreFactor();
  Value scaledScore(Value score);
  Value scaleTileScores(unsigned dot, Value group, Value largest);
  void multiplyTiles(Value rows, Value rowBytes, Value lanes);
  void emitTileValues(const BlockRows &values, Value panel, Value alpha);
  void transposeValues(Value source, const Buffer &buffer);
  void moveTiles(StringRef name, Value base);
  void tileOp(StringRef name, ArrayRef<int64_t> tiles, ValueRange operands);
  Value padRun(Value end);

  // Masks.cpp
  Values forPieces(int64_t end, int64_t piece, ValueRange init,
                   llvm::function_ref<Values(Value, ValueRange)> body);
  void fillGroups(Value some, Value every);
  void emitFullRuns();
  LogicalResult emitMaskedRuns(Value panel, Value known, Value &runs);
  Value lanesOfKind(Value kind);
  Value emitRunList(Value kind);
  std::pair<Value, Value> loadRun(Value run, Value kind = {});
  Value runCountOf(Value kind);
  Value wordAddress(int64_t array, Value index);
  Value loadWord(int64_t array, Value index);
  Value isWholeGroup(Value group);
  Value halfOfGroup(Value group);
  Value runsOf(Value kind);
  int64_t wordBytes() const { return e.word.getIntOrFloatBitWidth() / 8; }
  /// Groups of a block, as many as fill vectors of words, and pages where there
  /// are several.
  int64_t maskGroups() {
    int64_t groups = padded(blockGroups(), e.lanes);
    return groups > maskPage ? padded(groups, maskPage) : groups;
  }
  static constexpr int64_t maskPage = 64;

  // Halves.cpp
  bool hasHalves();
  void emitHalfScores(unsigned dot, const BlockRows &keys, Value panel,
                      Value group, Value half);

  // Woven.cpp
  bool weavesWeights();
  void layOutWoven(int64_t firstOfPanel);
  Value pendingField(PendingField field);
  LogicalResult emitWovenPanels(Value full, Value known);
  LogicalResult emitWovenScores(Value panel, Value full, Value known);
  LogicalResult finishPending(Value panel);
  Values loopWithWeights(int64_t steps, ValueRange sums,
                         llvm::function_ref<Values(Value, ValueRange)> body);

  // ValueRows.cpp
  bool accumulatesRows();
  /// Results are stored from rows, times their factors.
  bool finishesRows() { return isShort() ? softmax() : accumulatesRows(); }
  bool startsAtZero() { return accumulatesRows() && softmax(); }
  Value areFresh(Value rowMax);
  void emitValueRows(const BlockRows &values, Value panel, Value alpha);
  void multiplyValueRows(const BlockRows &values, Value panel, bool rescaled);
  Value addRow(Value weight, Value v, Value sum);
  SmallVector<VectorType> columnVectors(int64_t registers);
  void emitRowPasses(const BlockRows &values, Value panel, Value column,
                     int64_t registers, bool rescaled);
  Value columnSplat(Value x, Type type);
  Values loadRowSums(const RowPass &pass, bool rescaled);
  Values multiplyRowSums(const RowPass &pass, ArrayRef<RowArray> arrays,
                         Value kind, ValueRange sums);
  void emitRowPass(const BlockRows &values, const RowPass &pass, Value kind,
                   bool rescaled);
  Value finishRows(Value panel, Value taken, Value l, Value factor);

  // Mods.cpp
  Lane productLane(const DotSpec &dot, Value product);
  LogicalResult emitScore(ArrayRef<Value> products, Value &score);
  LogicalResult emitScoreLoop(Value from, Value to, Value &rowMax);
  bool hasEarlyMods();
  bool isShortMod(Operation &op, unsigned &laneOps);
  std::optional<int> stepOfKey(Value index);
  Value readsNeighbours(Value group);
  LogicalResult emitEarlyMods(Value group, ArrayRef<Value> products,
                              Value &rowMax);

  // Rows.cpp
  LogicalResult emitScores(Value panel, Value &rowMax);
  LogicalResult emitMaskLoop(Value from, Value to, Value &rowMax);
  LogicalResult takeStat(Value score, Value &rowMax);
  LogicalResult emitWeights(Value panel, Value rowMax, Value &alpha);
  Value finiteMaximum(Value rowMax);
  Value rescaleState(Value panel, Value rowMax, Value t);
  LogicalResult weighRuns(Value t, Value firstKey, Value factor, Values &sum);
  LogicalResult weighStep(Value key, Value t, Value factor, Values &sum);
  LogicalResult takeWeight(Value key, Value t, Value &weight, Values &sum);
  LogicalResult emitWeight(Value key, Value score, Value t, Value &weight,
                           Value &denom);

  // Normalizer.cpp
  Lane rowLane(Value origin, Value panel);
  LogicalResult prepareRegion(Region &region, unsigned floats, bool positions,
                              Value panel);
  LogicalResult callRegion(Region &region, ArrayRef<Value> floats,
                           bool positions, Value last, Values &results);
  LogicalResult emitInit();
  LogicalResult initPanel(Value panel);
  bool finishIsLinear();

  // Epilogue.cpp
  LogicalResult emitFinish(Value &nonFinite);
  LogicalResult finishPanel(Value panel, Value taken, Value &bad);
  Value finishPlain(Value o, Value inverse, Value again, Value half);
  LogicalResult finishCustom(Value o, Value l, Value t, Value d, Value again,
                             Value half, Value &result);
  Value secondIsBetter(Value first, Value second);
  Value twice(Value half);
  void storePanel(Value panel, Value taken);
  void storeLse(Value panel, Value taken, Value l, Value t);

  bool softmax() { return !spec.normalizer; }
  /// States before any key come from the normaliser, not from (−inf, 0).
  bool isSeeded() {
    return spec.normalizer && !spec.normalizer.getSeed().empty();
  }
  /// Scores of a softmax that log2 e cannot overflow are kept in log2 units.
  bool log2Units() {
    return softmax() && (plainScores() || spec.scoresAreBounded);
  }
  /// Scores need no pass of their own: scale is folded into Q.
  bool plainScores() {
    return spec.scoresAreDot() && !spec.step.getRow() && !spec.step.getCol();
  }
  /// Products by dot products of pairs; of the form for many queries also by
  /// tiles of the same operands.
  bool pairs() { return spec.schedule.getPairs() && !shortTiles(); }
  /// Of the short form: products by tiles, of keys and values as they lie.
  bool shortTiles() const { return spec.hasShortTiles(); }
  /// Products by AMX tiles.
  bool amx() { return spec.schedule.getAmx(); }
  /// Exact kernels sum a row that overflowed again, with weights that are
  /// divided by 2 l first: what the normaliser then gives may well be finite.
  bool hasTwoPasses() { return spec.schedule.getExact() && spec.hasDenom(); }
  bool isShort() { return spec.isShort(); }
  /// Of the short form: rows of 16 bits are read where they lie and widened in
  /// registers of 32 bytes and more.
  bool widens() const {
    return spec.schedule.getSplit() > 0 && !spec.schedule.getPairs() &&
           spec.schedule.getWide() * 4 >= 32 && spec.scoreType.isF32() &&
           spec.elementType.getIntOrFloatBitWidth() == 16;
  }
  /// What queries and keys are packed in.
  Type packedType() {
    return pairs() || shortTiles() || widens() ? spec.elementType : e.f;
  }
  /// The queries of the short form, which are widened once.
  Type queryType() { return widens() ? e.f : packedType(); }
  /// What a step of the micro-kernels broadcasts, of the size of a score.
  Type stepType() { return pairs() ? e.b.getI32Type() : e.f; }
  unsigned stepAlign() { return pairs() ? 2 : e.scoreBytes(); }
  /// Packed elements a step.
  int64_t stepElements() { return pairs() ? 2 : 1; }
  /// Elements of a row of keys that are read in one piece.
  int64_t keyUnit() { return amx() ? 2 * e.native : stepElements(); }
  /// Steps of a row of queries or keys, and those of a packed row.
  int64_t steps(int64_t dim) {
    return (dim + stepElements() - 1) / stepElements();
  }
  int64_t packedSteps(int64_t dim) { return padded(steps(dim), e.native); }
  /// A run in scratch: its first key and its end.
  static constexpr int64_t runBytes = 16;
  int64_t runKinds() {
    return hasHalves() ? RowRuns + e.lanes / passRows() : 1;
  }
  int64_t blockKeys() { return spec.schedule.getN(); }
  /// Groups of a block, of which the last may be incomplete.
  int64_t blockGroups() { return padded(blockKeys(), e.group) / e.group; }
  /// Where a block goes on after keys that are known to be visible, a group may
  /// have some of them.
  bool groupsCrossTiles() { return !llvm::isPowerOf2_64(e.group); }
  /// Rows of O that a pass over the keys accumulates: as many as a group has
  /// keys, of a panel that has fewer (one register of f64) all. With three
  /// registers of columns four.
  int64_t passRows() {
    return std::min(isNarrow() ? int64_t(4) : e.group, e.lanes);
  }
  /// Registers of columns that such a pass meets.
  int64_t passRegisters() { return isNarrow() ? 3 : e.lanes / e.native; }
  /// Registers of 32 bytes, of which there are 16.
  bool isNarrow() const { return e.registerBytes() == 32; }
  /// Columns of O that a pass accumulates for a panel of lanes.
  int64_t passColumns() const {
    return isNarrow() ? 8 * e.native / e.lanes : e.group;
  }
  int64_t maxPanels() { return (spec.schedule.getM() + e.lanes - 1) / e.lanes; }
  int64_t padded(int64_t n, int64_t unit) const {
    return (n + unit - 1) / unit * unit;
  }
  int64_t valuePadded() const {
    if (spec.schedule.getSplit() > 0)
      return padded(spec.valueDim, wideElements());
    return padded(spec.valueDim, std::max(passColumns(), e.native));
  }
  // Of the short form, whose micro-kernels have lanes along the features: those
  // of a register, what it holds of packed elements, and columns of values that
  // a pass accumulates.
  int64_t wide() const { return spec.schedule.getWide(); }
  int64_t wideElements() const { return wide() * vectorUnit(); }
  /// Registers of scores that a register of packed elements covers.
  int64_t vectorUnit() const {
    return spec.schedule.getPairs() || widens() ? 2 : 1;
  }
  /// Registers that it is multiplied as.
  int64_t operandParts() const { return widens() ? 2 : 1; }
  /// Bytes of some registers of columns in a row of values.
  int64_t pieceBytes(int64_t vectors) const {
    return vectors * wide() * spec.scoreType.getIntOrFloatBitWidth() / 8 /
           vectorUnit();
  }
  VectorType wideVec(Type element) {
    return VectorType::get({wide()}, element);
  }
  /// Part of a register of which shuffles within are cheap.
  static constexpr int64_t kBlockBytes = 16;
  VectorMath wideMath() {
    return VectorMath(e.b, e.loc, wide() * e.scoreBytes());
  }
  int64_t wideColumns(int64_t dim) { return padded(dim, wideElements()); }
  int64_t passVectors(int64_t rows);
  /// A scratch array, by its offset; one that each panel of the short form has.
  Value at(int64_t offset) { return e.gep(scratch, offset); }
  Value ofPanel(int64_t offset) { return e.gep(panelScratch, offset); }

  KernelSpec &spec;
  ModuleOp module;
  Emitter e;
  std::string name;

  // Offsets in scratch.
  struct {
    int64_t zeros, output, rowMax, rowSum, packedValues, words, visible, some,
        every, runs, runCounts, walk, rowBuffer, rowFactors, tileConfig, ahead,
        pending;
    // Of the first of two passes: o, l, t; what the weights are multiplied by.
    int64_t firstOutput, firstSum, firstMax, factor;
    SmallVector<int64_t> queries, scores, packedKeys, keyTail;
    // Of the short form.
    int64_t partSegments, rowHeads, rowQueries, factors, merged, mergedMax,
        mergedSum, joined, runCount, live, alpha, sums, tileWeights, queryRow,
        firstOfPanel, panelBytes, packedBytes = 0;
  } at_;
  ScratchLayout layout;

  // While emitting a function.
  std::optional<Arguments> arguments;
  std::optional<ScalarEmitter> s;
  Value scratch, panelScratch, tileRuns, cancelled;
  LogicalResult walked = success();
  llvm::StringMap<unsigned> libm;

  /// Where packed queries and the row states lie.
  struct {
    Value output, rowMax, rowSum;
    SmallVector<Value> queries;
  } state;

  // Of the short form, per function: sizes.
  struct {
    Value group, keys, keyHeads, heads, tiles, parts, panels;
    Value slotBytes, headBytes, tableBytes, counterBytes, workspace;
  } shape;
  // Of the short form, per item.
  Value batch, firstKeyHead, itemHeads, tile, part, liveKeys, liveParts,
      partEnd;
  Value keyHead, firstHead, headScratch;
  /// Bytes of a group in a block's table.
  static constexpr int64_t kGroupBytes = 16;
  /// Heads of an item that are computed at once, and the first of them.
  Value headsAtOnce, firstAtOnce;
  /// Where rows of a block are copied to.
  Value packedRows;
  /// Rows of a panel that meet a register of values at once: all, where that is
  /// widened for them.
  int64_t rowsAtOnce() const { return widens() ? e.lanes : 2; }
  /// Logarithm of how many panels share what is fetched.
  Value fetchShift;

  // Per item.
  Value firstRow, rows;
  Value firstPanel, endPanel; ///< of the tile
  /// Whether the second of two passes runs.
  Value inSecondPass;
  // Per block.
  Value blockStart, count, nearEnd;
  /// Of scores in tiles: what they are yet to be multiplied by, null if
  /// nothing; whether that is their factor.
  Value scoreFactor, isScoreFactor;
  SmallVector<BlockRows> keyRows;
  BlockRows valueRows;
  // Per panel. Whether no block of the item has met it before, where that
  // matters.
  Value runCount, fresh;
  /// The panel before, whose weights are woven into products, and its scratch.
  Value pendingPanel, pendingScratch;
};

} // namespace fovea::cpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOCPU_KERNEL_H
