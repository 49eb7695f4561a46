//===- CheckLaunch.cpp - From the C ABI's launch to a LaunchView ----------===//
#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/Driver.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/Overlap.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>

using namespace fovea;
using llvm::Twine;

namespace {
/// The checks of one launch, in the order in which the arguments are named.
class Checker {
public:
  Checker(const Program &program, const fovea_launch &launch,
          fovea_device device)
      : program(program), launch(launch), device(device) {}

  llvm::Expected<LaunchView> run() {
    for (auto step :
         {&Checker::checkStruct, &Checker::checkPairs, &Checker::checkValue,
          &Checker::checkOut, &Checker::checkLse, &Checker::checkTheCaptures,
          &Checker::checkScales, &Checker::checkPositions, &Checker::checkPages,
          &Checker::checkBlocks, &Checker::checkApart, &Checker::checkDevice})
      if (llvm::Error error = (this->*step)())
        return std::move(error);
    view.shouldCancel = launch.should_cancel;
    view.cancelContext = launch.cancel_context;
    return std::move(view);
  }

private:
  llvm::Error checkStruct();
  llvm::Error checkPairs();
  llvm::Error checkQuery(size_t pair, llvm::StringRef name);
  llvm::Error checkKey(size_t pair, llvm::StringRef name);
  llvm::Error checkValue();
  llvm::Error checkOut();
  llvm::Error checkLse();
  llvm::Error checkTheCaptures();
  llvm::Error checkScales();
  llvm::Error checkPositions();
  llvm::Error checkPages();
  llvm::Expected<int64_t> keyLength(const TensorView &k);
  llvm::Error checkBlocks();
  llvm::Error checkClasses(llvm::ArrayRef<int64_t> wanted);
  llvm::Error checkRuns(llvm::ArrayRef<int64_t> wanted);
  llvm::Error checkApart();
  llvm::Error checkDevice();
  using Visitor =
      llvm::function_ref<llvm::Error(const fovea_tensor &, llvm::StringRef)>;
  llvm::Error forEachInput(Visitor visit);
  llvm::Expected<TensorView> tensor(const fovea_tensor *given,
                                    llvm::StringRef name, int64_t rank,
                                    DType dtype);
  llvm::Error checkBatch(TensorView &tensor, llvm::StringRef name);
  /// What the rows of keys and values are, and how many there must be.
  const char *rowsName() { return view.pageLength ? "page length" : "length"; }
  int64_t keyRows() {
    return view.pageLength ? view.pageLength : view.kvLength;
  }
  llvm::Error checkSize(llvm::StringRef name, llvm::StringRef what,
                        int64_t expected, int64_t got);
  llvm::Error checkWritten(const TensorView &tensor, llvm::StringRef name);

  const Program &program;
  const fovea_launch &launch;
  fovea_device device;
  LaunchView view;
  TensorView table; // of pages, null without
};
} // namespace

llvm::Expected<TensorView> Checker::tensor(const fovea_tensor *given,
                                           llvm::StringRef name, int64_t rank,
                                           DType dtype) {
  if (!given)
    return invalid(name + ": must not be null");
  auto view = checkTensor(*given, name, rank, device);
  if (view && view->dtype != dtype)
    return makeError(FOVEA_TYPE_ERROR, name + ": dtype must be " +
                                           stringify(dtype) + ", got " +
                                           stringify(view->dtype));
  return view;
}

/// k and v may have one batch for all: stride 0 says so from here on.
llvm::Error Checker::checkBatch(TensorView &tensor, llvm::StringRef name) {
  int64_t batch = tensor.sizes[0];
  if (batch != view.batch && batch != 1)
    return invalid(name + ": batch must be that of q (" + Twine(view.batch) +
                   ") or 1, got " + Twine(batch));
  if (batch == 1 && view.batch != 1) {
    tensor.sizes[0] = view.batch;
    tensor.strides[0] = 0;
  }
  return llvm::Error::success();
}

llvm::Error Checker::checkSize(llvm::StringRef name, llvm::StringRef what,
                               int64_t expected, int64_t got) {
  if (expected == got)
    return llvm::Error::success();
  return invalid(name + ": " + what + " must be " + Twine(expected) + ", got " +
                 Twine(got));
}

/// Two elements of a result may not be one place in memory.
llvm::Error Checker::checkWritten(const TensorView &tensor,
                                  llvm::StringRef name) {
  if (llvm::is_contained(tensor.sizes, 0))
    return llvm::Error::success();
  for (size_t i = 0; i < tensor.sizes.size(); ++i)
    if (tensor.sizes[i] > 1 && tensor.strides[i] == 0)
      return invalid(name + ": is written, so no stride may be 0, got " +
                     dims(tensor.strides));
  return llvm::Error::success();
}

llvm::Error Checker::checkStruct() {
  if (launch.struct_size != sizeof(fovea_launch))
    return invalid("launch: struct_size must be " +
                   Twine(sizeof(fovea_launch)) + ", got " +
                   Twine(launch.struct_size));
  if (launch.stream && device == FOVEA_CPU)
    return invalid("stream: must be null on the CPU");
  return llvm::Error::success();
}

llvm::Error Checker::checkPairs() {
  size_t pairs = program.headDims.size();
  if (launch.num_pairs != pairs)
    return invalid("q: number of (query, key) pairs must be " + Twine(pairs) +
                   ", got " + Twine(launch.num_pairs));
  if (!launch.queries)
    return invalid("q: must not be null");
  if (!launch.keys)
    return invalid("k: must not be null");
  for (size_t i = 0; i < pairs; ++i) {
    std::string number = i ? std::to_string(i + 1) : "";
    if (llvm::Error error = checkQuery(i, "q" + number))
      return error;
    if (llvm::Error error = checkKey(i, "k" + number))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error Checker::checkQuery(size_t pair, llvm::StringRef name) {
  auto q = tensor(&launch.queries[pair], name, 4, *program.dtype);
  if (!q)
    return q.takeError();
  if (pair == 0) {
    view.batch = q->sizes[0];
    view.queryHeads = q->sizes[1];
    view.queryLength = q->sizes[2];
    if (view.queryHeads < 1)
      return invalid("q: must have at least one head, got 0");
  }
  for (auto [what, expected, got] :
       {std::tuple("batch", view.batch, q->sizes[0]),
        std::tuple("number of heads", view.queryHeads, q->sizes[1]),
        std::tuple("length", view.queryLength, q->sizes[2]),
        std::tuple("head dim", program.headDims[pair], q->sizes[3])})
    if (llvm::Error error = checkSize(name, what, expected, got))
      return error;
  view.queries.push_back(std::move(*q));
  return llvm::Error::success();
}

llvm::Error Checker::checkKey(size_t pair, llvm::StringRef name) {
  auto k = tensor(&launch.keys[pair], name, 4, *program.dtype);
  if (!k)
    return k.takeError();
  if (!launch.page_table)
    if (llvm::Error error = checkBatch(*k, name))
      return error;
  if (pair == 0) {
    view.kvHeads = k->sizes[1];
    auto length = keyLength(*k);
    if (!length)
      return length.takeError();
    view.kvLength = *length;
    if (view.kvHeads < 1 || view.queryHeads % view.kvHeads != 0)
      return invalid("k: number of heads must divide that of q (" +
                     Twine(view.queryHeads) + "), got " + Twine(view.kvHeads));
  }
  for (auto [what, expected, got] :
       {std::tuple("number of heads", view.kvHeads, k->sizes[1]),
        std::tuple(rowsName(), keyRows(), k->sizes[2]),
        std::tuple("head dim", program.headDims[pair], k->sizes[3])})
    if (llvm::Error error = checkSize(name, what, expected, got))
      return error;
  view.keys.push_back(std::move(*k));
  return llvm::Error::success();
}

llvm::Error Checker::checkValue() {
  auto v = tensor(launch.value, "v", 4, *program.dtype);
  if (!v)
    return v.takeError();
  if (!launch.page_table)
    if (llvm::Error error = checkBatch(*v, "v"))
      return error;
  view.valueDim = program.valueDim.value_or(0);
  for (auto [what, expected, got] :
       {std::tuple("number of heads", view.kvHeads, v->sizes[1]),
        std::tuple(rowsName(), keyRows(), v->sizes[2]),
        std::tuple("head dim", view.valueDim, v->sizes[3])})
    if (llvm::Error error = checkSize("v", what, expected, got))
      return error;
  view.value = std::move(*v);
  return llvm::Error::success();
}

llvm::Error Checker::checkOut() {
  auto out = tensor(launch.out, "out", 4, *program.dtype);
  if (!out)
    return out.takeError();
  for (auto [what, expected, got] :
       {std::tuple("batch", view.batch, out->sizes[0]),
        std::tuple("number of heads", view.queryHeads, out->sizes[1]),
        std::tuple("length", view.queryLength, out->sizes[2]),
        std::tuple("head dim", view.valueDim, out->sizes[3])})
    if (llvm::Error error = checkSize("out", what, expected, got))
      return error;
  view.out = std::move(*out);
  return checkWritten(view.out, "out");
}

llvm::Error Checker::checkLse() {
  if (!launch.lse)
    return llvm::Error::success();
  if (!program.returnLse)
    return invalid("lse: the kernel was compiled without it");
  auto lse = tensor(launch.lse, "lse", 3, scoreType(program));
  if (!lse)
    return lse.takeError();
  for (auto [what, expected, got] :
       {std::tuple("batch", view.batch, lse->sizes[0]),
        std::tuple("number of heads", view.queryHeads, lse->sizes[1]),
        std::tuple("length", view.queryLength, lse->sizes[2])})
    if (llvm::Error error = checkSize("lse", what, expected, got))
      return error;
  view.lse = std::move(*lse);
  return checkWritten(*view.lse, "lse");
}

llvm::Error Checker::checkTheCaptures() {
  if (llvm::Error error = checkCaptures(
          program, launch.captures, launch.num_captures, view.captures, device))
    return error;
  if (llvm::Error error =
          checkDeclaredSizes(program, view.captures, view.sizes()))
    return error;
  bool hasPairs = view.batch > 0 && view.queryLength > 0 && view.kvLength > 0;
  return checkElements(program, hasPairs, view.valueDim > 0, view.captures);
}

/// All tensors that are read but the page table, by the names of messages.
llvm::Error Checker::forEachInput(Visitor visit) {
  for (size_t i = 0; i < launch.num_pairs; ++i) {
    std::string number = i ? std::to_string(i + 1) : "";
    if (llvm::Error error = visit(launch.queries[i], "q" + number))
      return error;
    if (llvm::Error error = visit(launch.keys[i], "k" + number))
      return error;
  }
  if (llvm::Error error = visit(*launch.value, "v"))
    return error;
  if (launch.block_classes)
    if (llvm::Error error = visit(*launch.block_classes, "block_mask"))
      return error;
  for (size_t i = 0; i < launch.num_captures; ++i)
    if (llvm::Error error = visit(launch.captures[i], program.captures[i].name))
      return error;
  return llvm::Error::success();
}

/// Inputs are read after the first results are written.
llvm::Error Checker::checkApart() {
  const fovea_tensor *results[] = {launch.out, launch.lse};
  fovea_extent extents[2] = {};
  for (size_t i = 0; i < 2; ++i)
    if (results[i])
      extents[i] = fovea_extent_of(results[i]);
  auto check = [&](size_t result, const fovea_tensor &other, fovea_extent place,
                   llvm::StringRef name) -> llvm::Error {
    if (!fovea_extents_meet(extents[result], place) ||
        !fovea_overlap(results[result], &other))
      return llvm::Error::success();
    return invalid(Twine(result ? "lse" : "out") + ": must not lie where " +
                   name + " does");
  };
  if (llvm::Error error = check(1, *launch.out, extents[0], "out"))
    return error;
  return forEachInput([&](const fovea_tensor &other, llvm::StringRef name) {
    fovea_extent place = fovea_extent_of(&other);
    if (llvm::Error error = check(0, other, place, name))
      return error;
    return check(1, other, place, name);
  });
}

/// All tensors lie on the device of q.
llvm::Error Checker::checkDevice() {
  if (device == FOVEA_CPU)
    return llvm::Error::success();
  view.deviceId = launch.queries[0].device_id;
  view.stream = launch.stream;
  auto check = [&](const fovea_tensor &tensor,
                   llvm::StringRef name) -> llvm::Error {
    if (tensor.device_id == view.deviceId)
      return llvm::Error::success();
    return invalid(
        name + ": must be on the device of q (cuda:" + Twine(view.deviceId) +
        "), got cuda:" + Twine(tensor.device_id));
  };
  if (llvm::Error error = forEachInput(check))
    return error;
  if (llvm::Error error = check(*launch.out, "out"))
    return error;
  return launch.lse ? check(*launch.lse, "lse") : llvm::Error::success();
}

llvm::Error Checker::checkScales() {
  if (!launch.scales)
    return invalid("scale: must not be null");
  double largest = scoreType(program) == DType::F64 ? DBL_MAX : FLT_MAX;
  for (size_t i = 0; i < program.headDims.size(); ++i) {
    double scale = launch.scales[i];
    if (!(std::fabs(scale) <= largest)) {
      char given[32];
      std::snprintf(given, sizeof given, "%g", scale);
      return invalid(Twine("scale: must be finite") +
                     (std::isfinite(scale) ? " in float32" : "") + ", got " +
                     given);
    }
    view.scales.push_back(scale);
  }
  return llvm::Error::success();
}

llvm::Error Checker::checkPositions() {
  // The bounds of masks take positions within ±2^57.
  constexpr int64_t limit = int64_t(1) << 56;
  size_t batch = static_cast<size_t>(view.batch);
  // Batches without elements may be more than memory could hold.
  size_t kept = isEmptyLaunch(view) ? 0 : batch;
  if (kept > size_t(1) << 31)
    return invalid("q: batch must be at most 2^31, got " + Twine(view.batch));
  auto offsets = [&](const int64_t *given, llvm::StringRef name,
                     llvm::SmallVectorImpl<int64_t> &out) -> llvm::Error {
    out.assign(kept, 0);
    for (size_t b = 0; given && b < batch; ++b) {
      if (given[b] > limit || given[b] < -limit)
        return invalid(name + ": must lie within -2^56 and 2^56, got " +
                       Twine(given[b]));
      if (b < kept)
        out[b] = given[b];
    }
    return llvm::Error::success();
  };
  auto lengths = [&](const int64_t *given, llvm::StringRef name, int64_t whole,
                     llvm::SmallVectorImpl<int64_t> &out) -> llvm::Error {
    out.assign(kept, whole);
    for (size_t b = 0; given && b < batch; ++b) {
      if (given[b] < 0 || given[b] > whole)
        return invalid(name + ": must lie within 0 and " + Twine(whole) +
                       ", got " + Twine(given[b]) + " for batch " + Twine(b));
      if (b < kept)
        out[b] = given[b];
    }
    return llvm::Error::success();
  };
  if (llvm::Error error = offsets(launch.q_offset, "q_offset", view.qOffset))
    return error;
  if (llvm::Error error = offsets(launch.kv_offset, "kv_offset", view.kvOffset))
    return error;
  if (llvm::Error error = lengths(launch.q_lengths, "q_lengths",
                                  view.queryLength, view.qLengths))
    return error;
  return lengths(launch.kv_lengths, "kv_lengths", view.kvLength,
                 view.kvLengths);
}

/// N: the rows of the keys, or of all pages of a sequence.
llvm::Expected<int64_t> Checker::keyLength(const TensorView &k) {
  if (!launch.page_table)
    return k.sizes[2];
  auto given = checkTensor(*launch.page_table, "page_table", 2, device);
  if (!given)
    return given.takeError();
  if (given->dtype != DType::I32 && given->dtype != DType::I64)
    return makeError(FOVEA_TYPE_ERROR,
                     "page_table: dtype must be i32 or i64, got " +
                         stringify(given->dtype));
  if (llvm::Error error =
          checkSize("page_table", "batch", view.batch, given->sizes[0]))
    return std::move(error);
  view.pageLength = k.sizes[2];
  int64_t length;
  if (view.pageLength < 1)
    return invalid("k: a page must have at least one row, got 0");
  if (__builtin_mul_overflow(given->sizes[1], view.pageLength, &length) ||
      length > int64_t(1) << 48)
    return invalid("page_table: must name at most 2^48 keys a sequence");
  table = std::move(*given);
  return length;
}

/// Pages that a sequence has keys in must exist in all pools.
llvm::Error Checker::checkPages() {
  if (!view.pageLength || isEmptyLaunch(view))
    return llvm::Error::success();
  int64_t pool = view.value.sizes[0];
  for (const TensorView &key : view.keys)
    pool = std::min(pool, key.sizes[0]);
  auto pagesOf = [&](int64_t keys) {
    return (keys + view.pageLength - 1) / view.pageLength;
  };
  view.pageStride =
      std::max<int64_t>(pagesOf(*llvm::max_element(view.kvLengths)), 1);
  constexpr int64_t limit = int64_t(1) << 30;
  if (view.pageStride > limit / view.batch)
    return invalid("page_table: sequences of one call must have at most 2^30 "
                   "pages, got " +
                   Twine(view.batch) + " of up to " + Twine(view.pageStride));
  auto entries = static_cast<size_t>(view.batch * view.pageStride);
  auto *pages = static_cast<int64_t *>(std::calloc(entries, sizeof(int64_t)));
  if (!pages)
    return makeError(FOVEA_OUT_OF_MEMORY,
                     "page_table: no memory for " +
                         Twine(entries * sizeof(int64_t)) +
                         " bytes of the pages that are read");
  view.pageMemory.reset(pages, &std::free);
  view.pageTable = {pages, entries};
  for (int64_t b = 0; b < view.batch; ++b) {
    int64_t used = pagesOf(view.kvLengths[b]);
    for (int64_t i = 0; i < used; ++i) {
      int64_t page = table.loadInt(table.offset({b, i}));
      if (pool == 0)
        return invalid("page_table: no entry can be used, the pool has no "
                       "pages; got " +
                       Twine(page) + " for batch " + Twine(b) + ", page " +
                       Twine(i));
      if (page < 0 || page >= pool)
        return invalid("page_table: entries must lie within 0 and " +
                       Twine(pool - 1) + ", got " + Twine(page) +
                       " for batch " + Twine(b) + ", page " + Twine(i));
      pages[b * view.pageStride + i] = page;
    }
  }
  return llvm::Error::success();
}

llvm::Error Checker::checkBlocks() {
  if (!launch.block_classes && !launch.block_runs) {
    if (program.blockMask)
      return invalid("block_mask: the kernel was compiled with one");
    return llvm::Error::success();
  }
  if (!program.blockMask)
    return invalid("block_mask: the kernel was compiled without one");
  if (launch.block_classes && launch.block_runs)
    return invalid("block_mask: must be classes or runs, got both");
  if (launch.block_q < 1 || launch.block_kv < 1)
    return invalid("block_mask: block sizes must be at least 1, got (" +
                   Twine(launch.block_q) + ", " + Twine(launch.block_kv) + ")");
  auto tiles = [](int64_t length, int64_t block) {
    return length / block + (length % block != 0);
  };
  int64_t wanted[] = {view.batch, view.queryHeads,
                      tiles(view.queryLength, launch.block_q),
                      tiles(view.kvLength, launch.block_kv)};
  if (llvm::Error error =
          launch.block_runs ? checkRuns(wanted) : checkClasses(wanted))
    return error;
  // A tile beyond the length is that of the length; kernels may then add tile
  // ends without wrapping.
  view.blockQ =
      std::min(launch.block_q, std::max<int64_t>(view.queryLength, 1));
  view.blockKV = std::min(launch.block_kv, std::max<int64_t>(view.kvLength, 1));
  return llvm::Error::success();
}

/// A shape of which batch and heads may be 1 for all.
static llvm::Error checkTiles(llvm::ArrayRef<int64_t> wanted,
                              llvm::ArrayRef<int64_t> given) {
  for (size_t i = 0; i < 4; ++i)
    if (given[i] != wanted[i] && !(i < 2 && given[i] == 1))
      return invalid("block_mask: shape must be " + dims(wanted) + ", got " +
                     dims(given));
  if (wanted[3] >= TileRuns::maxKeyTiles)
    return invalid("block_mask: must have fewer than " +
                   Twine(TileRuns::maxKeyTiles) + " key tiles, got " +
                   Twine(wanted[3]));
  return llvm::Error::success();
}

static llvm::Error checkClassValues(const TensorView &classes) {
  for (int64_t b = 0; b < classes.sizes[0]; ++b)
    for (int64_t h = 0; h < classes.sizes[1]; ++h)
      for (int64_t m = 0; m < classes.sizes[2]; ++m)
        for (int64_t n = 0; n < classes.sizes[3]; ++n) {
          int64_t value = classes.loadInt(classes.offset({b, h, m, n}));
          if (value < 0 || value > 2)
            return invalid("block_mask: classes must be 0, 1 or 2, got " +
                           Twine(value) + " at " + dims({b, h, m, n}));
        }
  return llvm::Error::success();
}

llvm::Error Checker::checkClasses(llvm::ArrayRef<int64_t> wanted) {
  auto classes = tensor(launch.block_classes, "block_mask", 4, DType::I8);
  if (!classes)
    return classes.takeError();
  if (llvm::Error error = checkTiles(wanted, classes->sizes))
    return error;
  if (device == FOVEA_CPU)
    if (llvm::Error error = checkClassValues(*classes))
      return error;
  for (size_t i = 0; i < 2; ++i)
    if (wanted[i] != classes->sizes[i]) {
      classes->sizes[i] = wanted[i];
      classes->strides[i] = 0;
    }
  view.blockClasses = std::move(*classes);
  return llvm::Error::success();
}

/// Rows may be repeated, but none reaches beyond the runs, and each one's ends
/// ascend to the number of tiles.
llvm::Error Checker::checkRuns(llvm::ArrayRef<int64_t> wanted) {
  const fovea_block_runs &given = *launch.block_runs;
  if (given.struct_size != sizeof given)
    return invalid("block_mask: struct_size of the runs must be " +
                   Twine(sizeof given) + ", got " + Twine(given.struct_size));
  if (device != FOVEA_CPU)
    return invalid("block_mask: must be given as classes on a GPU");
  if (llvm::Error error =
          checkTiles(wanted, {given.batch, given.heads, given.query_tiles,
                              given.key_tiles}))
    return error;
  if (given.num_runs < 0 || !given.offsets || (given.num_runs && !given.runs))
    return invalid("block_mask: offsets and runs must not be null");
  int64_t rows;
  if (__builtin_mul_overflow(given.batch, given.heads, &rows) ||
      __builtin_mul_overflow(rows, given.query_tiles, &rows))
    return invalid("block_mask: has more than 2^63 rows of tiles");
  TileRuns runs;
  runs.offsets = {given.offsets, static_cast<size_t>(rows) + 1};
  runs.runs = {given.runs, static_cast<size_t>(given.num_runs)};
  runs.batchStride = given.batch == 1 ? 0 : given.heads * given.query_tiles;
  runs.headStride = given.heads == 1 ? 0 : given.query_tiles;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t first = runs.offsets[row], last = runs.offsets[row + 1], before = 0;
    bool good = 0 <= first && first <= last && last <= given.num_runs;
    for (int64_t i = first; good && i < last; ++i) {
      int64_t end = TileRuns::endOf(runs.runs[i]);
      good = end > before && end <= given.key_tiles &&
             TileRuns::classOf(runs.runs[i]) <= 2;
      before = end;
    }
    if (!good || before != given.key_tiles)
      return invalid("block_mask: runs of row " + Twine(row) +
                     " of tiles must ascend to " + Twine(given.key_tiles) +
                     ", with classes of 0, 1 or 2");
  }
  view.tileRuns = runs;
  return llvm::Error::success();
}

llvm::Expected<LaunchView> fovea::checkLaunch(const Program &program,
                                              const fovea_launch &launch,
                                              fovea_device device) {
  return Checker(program, launch, device).run();
}
