//===- Driver.cpp - Runs a CPU kernel on the threads ----------------------===//
#include "fovea/Runtime/Driver.h"
#include "ItemOrder.h"
#include "Scratch.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Runtime/ThreadPool.h"
#include "fovea/Target/CPU/PartCounts.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

using namespace fovea;

static fovea_cpu_tensor describe(const TensorView &tensor) {
  fovea_cpu_tensor out = {};
  out.data = tensor.data;
  for (size_t i = 0; i < tensor.strides.size() && i < 4; ++i)
    out.strides[i] = tensor.strides[i];
  return out;
}

/// Empty launches carry no lengths.
static int64_t longestKeys(const LaunchView &view) {
  return view.kvLengths.empty() ? 0 : *llvm::max_element(view.kvLengths);
}

KernelArguments::KernelArguments(const LaunchView &view) : view(view) {
  for (const TensorView &query : view.queries)
    queries.push_back(describe(query));
  for (const TensorView &key : view.keys)
    keys.push_back(describe(key));
  for (const TensorView &capture : view.captures)
    captures.push_back(
        {capture.data, capture.sizes.data(), capture.strides.data()});
  args.batch = view.batch;
  args.query_heads = view.queryHeads;
  args.kv_heads = view.kvHeads;
  args.query_length = view.queryLength;
  args.kv_length = view.kvLength;
  args.queries = queries.data();
  args.keys = keys.data();
  args.scales = view.scales.data();
  args.value = describe(view.value);
  args.out = describe(view.out);
  if (view.lse)
    args.lse = describe(*view.lse);
  args.captures = captures.data();
  args.q_offset = view.qOffset.data();
  args.kv_offset = view.kvOffset.data();
  args.q_lengths = view.qLengths.data();
  args.kv_lengths = view.kvLengths.data();
  args.longest_kv_length = longestKeys(view);
  static_assert(sizeof cancelled == sizeof(int32_t));
  args.cancelled = reinterpret_cast<const int32_t *>(&cancelled);
  if (view.pageLength) {
    args.page_table = view.pageTable.data();
    args.page_table_stride = view.pageStride;
    args.page_length = view.pageLength;
  }
  if (view.tileRuns)
    tileRuns = *view.tileRuns;
  else if (view.blockClasses)
    tileRuns = collectRuns(*view.blockClasses, offsets, runs);
  else
    return;
  runHeader = {tileRuns.offsets.data(),
               tileRuns.runs.data(),
               {tileRuns.batchStride, tileRuns.headStride},
               view.blockQ,
               view.blockKV};
  args.tile_runs = &runHeader;
}

int KernelArguments::askWhetherCancelled(void *self) {
  auto &arguments = *static_cast<KernelArguments *>(self);
  if (!arguments.view.cancelled())
    return 0;
  arguments.cancelled.store(1, std::memory_order_relaxed);
  return 1;
}

bool fovea::isEmptyLaunch(const LaunchView &view) {
  return view.out.numElements() == 0 &&
         (!view.lse || view.lse->numElements() == 0);
}

bool fovea::fitsNarrowIndices(const LaunchView &view) {
  constexpr int64_t limit = int64_t(1) << 30;
  auto fits = [&](llvm::ArrayRef<int64_t> offsets, int64_t length) {
    return length <= limit && llvm::all_of(offsets, [&](int64_t offset) {
             return offset >= 0 && offset <= limit - length;
           });
  };
  return view.batch <= limit && view.queryHeads <= limit &&
         fits(view.qOffset, view.queryLength) &&
         fits(view.kvOffset, view.kvLength);
}

double fovea::estimateWork(const LaunchView &view) {
  double width = static_cast<double>(view.valueDim) + 16;
  for (const TensorView &query : view.queries)
    width += static_cast<double>(query.sizes[3]);
  return width * static_cast<double>(view.batch) *
         static_cast<double>(view.queryHeads) *
         static_cast<double>(view.queryLength) *
         static_cast<double>(view.kvLength);
}

namespace {
/// Scratch of the workers, taken as they turn up. Most calls of a few
/// microseconds have none but the caller.
class WorkerScratch {
public:
  explicit WorkerScratch(int64_t bytes)
      : bytes(static_cast<size_t>(std::max<int64_t>(bytes, 0))) {}
  void *get(unsigned worker) {
    std::optional<Scratch> &slot = worker == 0 ? caller : other(worker);
    if (!slot)
      slot.emplace(bytes);
    if (!slot->get())
      failed = true;
    return slot->get();
  }
  std::atomic<bool> failed{false};

private:
  std::optional<Scratch> &other(unsigned worker) {
    std::call_once(made, [&] {
      others = std::vector<std::optional<Scratch>>(ThreadPool::numWorkers());
    });
    return others[worker];
  }

  size_t bytes;
  std::optional<Scratch> caller;
  std::once_flag made;
  std::vector<std::optional<Scratch>> others;
};

/// Where the pieces of items end that threads have begun: the next one follows.
class PiecesBegun {
public:
  void raise(int64_t last) {
    int64_t before = end.load(std::memory_order_relaxed);
    while (before < last &&
           !end.compare_exchange_weak(before, last, std::memory_order_relaxed))
      ;
  }
  int64_t highest() const { return end.load(std::memory_order_relaxed); }

private:
  std::atomic<int64_t> end{0};
};

struct Pass {
  KernelCode code;
  int64_t items = 0;
  int64_t tile = 1; /// items that are faster together
  fovea_cpu_plan bytes = {};
  double work = 0; /// multiply-adds, roughly
  /// Of a sparse call: the tiles from the dearest to the cheapest.
  std::vector<int64_t> order;

  int64_t tiles() const { return items / tile; }
};

llvm::Expected<Pass> plan(const LaunchView &view,
                          const KernelArguments &arguments, KernelCode code) {
  Pass pass;
  pass.code = code;
  pass.work = estimateWork(view);
  int64_t rows;
  if (__builtin_mul_overflow(view.batch, view.queryHeads, &rows) ||
      __builtin_mul_overflow(rows, view.queryLength + 1, &rows) ||
      rows > int64_t(1) << 56)
    return invalid("q: B * Hq * (M + 1) must be at most 2^56, got B = " +
                   llvm::Twine(view.batch) +
                   ", Hq = " + llvm::Twine(view.queryHeads) +
                   ", M = " + llvm::Twine(view.queryLength));
  FloatEnvironmentScope environment;
  pass.items = code.plan(&arguments.get(), &pass.bytes);
  pass.tile = std::max<int64_t>(pass.bytes.tile_items, 1);
  if (pass.items < 0 || pass.items % pass.tile != 0 ||
      pass.bytes.scratch_bytes < 0 || pass.bytes.cleared_bytes < 0 ||
      pass.bytes.workspace_bytes < pass.bytes.cleared_bytes)
    return makeError(FOVEA_COMPILE_ERROR,
                     "the kernel's plan gave a wrong count");
  return pass;
}

ParallelOptions chooseOptions(const LaunchView &view,
                              KernelArguments &arguments, const Pass &pass,
                              int64_t pieces, int64_t tile) {
  constexpr double slowRate = 8e9; // multiply-adds a second, low for today
  ParallelOptions options;
  if (view.shouldCancel) {
    options.shouldCancel = KernelArguments::askWhetherCancelled;
    options.cancelContext = &arguments;
  }
  options.tile = tile;
  // Heads of a part are read in a worse order by themselves.
  if (pass.code.otherItems)
    options.wholeTiles = 1;
  double work = pass.work;
  double perPiece = work / static_cast<double>(std::max<int64_t>(pieces, 1));
  double perTile = perPiece * static_cast<double>(tile);
  options.callerComputes = perTile / slowRate < 0.04;
  // A call of some ten microseconds is over before a thread wakes up.
  if (work < 2e5)
    options.chunk = pieces;
  else // at least some 20 µs a piece
    options.chunk =
        std::clamp<int64_t>(static_cast<int64_t>(2e5 / std::max(perPiece, 1.0)),
                            1, std::max<int64_t>(pieces / 16, 1));
  // Neighbours read the same keys: where items are small one thread takes some
  // in a row. A list has the dearest first, which are spread; parts of the keys
  // have none in common, and the last in a row may be past a sequence's end.
  constexpr double some = 8e7;
  if (pass.order.empty() && !pass.code.otherItems)
    options.most = static_cast<int64_t>(some / std::max(perPiece, 1.0));
  return options;
}

/// What threads take: items, or the tiles of a list.
class ItemPieces {
public:
  ItemPieces(const LaunchView &view, const Pass &pass,
             llvm::ArrayRef<int64_t> list, bool hasRuns)
      : count(list.empty() ? pass.items : static_cast<int64_t>(list.size())),
        tile(list.empty() ? pass.tile : 1), view(view), pass(pass), list(list),
        hasRuns(hasRuns) {}

  /// Where the tile of a piece ends, or the range if it does before.
  int64_t endOfTile(int64_t piece, int64_t last) const {
    return std::min((piece / tile + 1) * tile, last);
  }
  /// The items of a piece, of a tile those that have rows.
  std::pair<int64_t, int64_t> items(int64_t first, int64_t last) const {
    if (list.empty()) {
      while (first < last && tile > 1 && rowsOf(first) == ItemRows::None)
        ++first;
      return {first, last};
    }
    return {firstItem(first), firstItem(first) + pass.tile};
  }
  /// The first item, of a piece or one that follows, that has rows within its
  /// sequence.
  int64_t withRows(int64_t piece) const {
    while (piece < count && rowsOf(firstItem(piece)) != ItemRows::OfSequence)
      ++piece;
    return firstItem(std::min(piece, count - 1));
  }

  const int64_t count, tile;

private:
  int64_t firstItem(int64_t piece) const {
    return list.empty() ? piece : list[static_cast<size_t>(piece)] * pass.tile;
  }
  ItemRows rowsOf(int64_t item) const {
    return rowsOfItem(view, pass.code, hasRuns, pass.items, pass.tile, item);
  }

  const LaunchView &view;
  const Pass &pass;
  const llvm::ArrayRef<int64_t> list;
  const bool hasRuns;
};

llvm::Error cancelledError() {
  return makeError(FOVEA_CANCELLED, "the call was cancelled");
}

/// What grows with which argument.
llvm::Error memoryError(llvm::StringRef what, int64_t bytes,
                        llvm::StringRef use) {
  return makeError(FOVEA_OUT_OF_MEMORY, what + ": no memory for " +
                                            llvm::Twine(bytes) + " bytes of " +
                                            use);
}

/// Runs the items, or those of a list of tiles, and collects the tiles that
/// report non-finite values.
llvm::Error runItems(const LaunchView &view, KernelArguments &arguments,
                     const Pass &pass, llvm::ArrayRef<int64_t> list,
                     std::vector<int64_t> *nonFinite) {
  std::optional<Scratch> workspace;
  if (int64_t bytes = pass.bytes.workspace_bytes) {
    workspace.emplace(static_cast<size_t>(bytes));
    if (!workspace->get())
      return memoryError("k", bytes, "workspace");
    std::memset(workspace->get(), 0,
                static_cast<size_t>(pass.bytes.cleared_bytes));
    arguments.setWorkspace(workspace->get());
  }
  WorkerScratch scratch(pass.bytes.scratch_bytes);
  std::mutex mutex;
  ItemPieces pieces(view, pass, list, arguments.get().tile_runs != nullptr);
  PiecesBegun begun;
  int64_t others = ThreadPool::numThreads() - 1;
  auto body = [&](int64_t first, int64_t last, unsigned worker) {
    void *memory = scratch.get(worker);
    if (!memory)
      return;
    begun.raise(last);
    for (int64_t i = first; i < last;) {
      int64_t end = pieces.endOfTile(i, last), next = end;
      if (next == last) // the threads take turns with single tiles
        next = last - first > pieces.tile ? begun.highest()
                                          : last + others * (last - first);
      auto [from, to] = pieces.items(i, end);
      if (from < to &&
          pass.code.run(&arguments.get(), from, to, pieces.withRows(next),
                        memory) != 0 &&
          nonFinite) {
        std::lock_guard<std::mutex> lock(mutex);
        nonFinite->push_back(from / pass.tile);
      }
      i = end;
    }
  };
  ParallelOptions options = chooseOptions(
      view, arguments, pass, pass.tiles() * pieces.tile, pieces.tile);
  bool finished = ThreadPool::get().parallelFor(pieces.count, options, body);
  if (scratch.failed)
    return memoryError("q", pass.bytes.scratch_bytes, "scratch a thread");
  return finished ? llvm::Error::success() : cancelledError();
}
} // namespace

llvm::Error
fovea::runKernel(const LaunchView &view, KernelCode fast,
                 llvm::function_ref<llvm::Expected<KernelCode>()> exact) {
  // A kernel has items for rows of no length, as many as batches and heads.
  if (isEmptyLaunch(view))
    return llvm::Error::success();
  KernelArguments arguments(view);
  auto pass = plan(view, arguments, fast);
  if (!pass)
    return pass.takeError();
  if (pass->items == 0)
    return llvm::Error::success();
  std::vector<int64_t> nonFinite;
  if (arguments.get().tile_runs)
    pass->work = orderItems(view, arguments.getTileRuns(), fast.itemRows,
                            pass->tiles(), pass->order);
  if (llvm::Error error =
          runItems(view, arguments, *pass, pass->order, &nonFinite))
    return error;
  if (nonFinite.empty())
    return llvm::Error::success();
  auto code = exact();
  if (!code)
    return code.takeError();
  if (view.pageLength) {
    auto whole = GatheredPages::make(view);
    return whole ? runKernel(whole->view, *code, exact) : whole.takeError();
  }
  auto again = plan(view, arguments, *code);
  if (!again)
    return again.takeError();
  // Items that cut the work otherwise cannot be told apart: compute them all.
  if (fast.otherItems || again->tiles() != pass->tiles())
    nonFinite.clear();
  llvm::sort(nonFinite);
  nonFinite.erase(llvm::unique(nonFinite), nonFinite.end());
  return runItems(view, arguments, *again, nonFinite, nullptr);
}

/// Bytes of the rows that a tensor has of its own.
static double distinctBytes(const TensorView &tensor) {
  auto bytes = static_cast<double>(getBytes(tensor.dtype));
  for (auto [size, stride] : llvm::zip(tensor.sizes, tensor.strides))
    bytes *= stride == 0 ? 1 : static_cast<double>(size);
  return bytes;
}

llvm::Expected<bool> fovea::hasRoomForParts(const LaunchView &view,
                                            KernelCode few) {
  constexpr int64_t always = int64_t(1) << 20; // keys
  constexpr double never = 0x1p50, room = 0x1p26;
  int64_t longest = longestKeys(view);
  if (!fovea_cpu_counts_parts(view.batch, view.kvHeads, view.queryLength,
                              longest))
    return false;
  if (longest <= always)
    return true;
  if (static_cast<double>(longest) * static_cast<double>(view.batch) *
          static_cast<double>(view.kvHeads) >
      never)
    return false;
  KernelArguments arguments(view);
  auto pass = plan(view, arguments, few);
  if (!pass)
    return pass.takeError();
  double given = distinctBytes(view.value);
  for (const TensorView &key : view.keys)
    given += distinctBytes(key);
  return static_cast<double>(pass->bytes.workspace_bytes) <=
         std::max(room, given);
}

int64_t fovea::kernelScratch(const LaunchView &view, KernelCode code) {
  KernelArguments arguments(view);
  auto pass = plan(view, arguments, code);
  if (!pass) {
    llvm::consumeError(pass.takeError());
    return 0;
  }
  return pass->bytes.workspace_bytes +
         pass->bytes.scratch_bytes *
             std::min<int64_t>(ThreadPool::numThreads(), pass->items);
}
