//===- Masks.cpp - C ABI: masks -------------------------------------------===//
#include "Support.h"
#include "fovea/Interpreter/MaskEvaluator.h"
#include "fovea/Runtime/CheckLaunch.h"

#include "llvm/Support/JSON.h"

#include <memory>

using namespace fovea;
using namespace fovea::capi;
using llvm::Twine;

namespace {
/// A query after its checks.
struct MaskRequest {
  Program program;
  llvm::SmallVector<TensorView, 4> captures;
  MaskDomain domain;
  ParallelOptions options;
};

int64_t tiles(int64_t length, int64_t block) {
  return length / block + (length % block != 0);
}

llvm::Error checkSizes(const fovea_mask_query &query, int64_t rowSize,
                       int64_t columnSize, MaskRequest &out) {
  for (auto [name, value, least] :
       {std::tuple("B", query.batch, int64_t(1)),
        std::tuple("H", query.heads, int64_t(1)),
        std::tuple("Q_LEN", query.q_length, int64_t(0)),
        std::tuple("KV_LEN", query.kv_length, int64_t(0)),
        std::tuple("BLOCK_SIZE", rowSize, int64_t(1)),
        std::tuple("BLOCK_SIZE", columnSize, int64_t(1))})
    if (value < least)
      return invalid(Twine(name) + ": must be at least " + Twine(least) +
                     ", got " + Twine(value));
  constexpr int64_t limit = int64_t(1) << 56;
  for (auto [name, value] : {std::pair("q_offset", query.q_offset),
                             std::pair("kv_offset", query.kv_offset)})
    if (value > limit || value < -limit)
      return invalid(Twine(name) + ": must lie within -2^56 and 2^56, got " +
                     Twine(value));
  int64_t bytes = 0;
  if (query.q_length > limit || query.kv_length > limit ||
      __builtin_mul_overflow(query.batch, query.heads, &bytes) ||
      __builtin_mul_overflow(bytes, tiles(query.q_length, rowSize), &bytes) ||
      __builtin_mul_overflow(bytes, tiles(query.kv_length, columnSize), &bytes))
    return invalid(
        "result: must have fewer than 2^63 entries, got (B, H, "
        "Q_LEN, KV_LEN) of " +
        dims({query.batch, query.heads, query.q_length, query.kv_length}));
  out.domain = {query.batch,     query.heads,    query.q_length,
                query.kv_length, query.q_offset, query.kv_offset};
  return llvm::Error::success();
}

llvm::Expected<MaskRequest> checkQuery(const fovea_mask_query *query,
                                       bool tiled, const void *result) {
  if (llvm::Error error = checkStruct(query, "query"))
    return std::move(error);
  if (!query->program)
    return invalid("program: must not be null");
  MaskRequest request;
  if (llvm::Error error = checkSizes(*query, tiled ? query->block_q : 1,
                                     tiled ? query->block_kv : 1, request))
    return std::move(error);
  if (query->approximate != 0 && query->approximate != 1)
    return invalid("approximate: must be 0 or 1, got " +
                   Twine(query->approximate));
  bool empty = query->q_length == 0 || query->kv_length == 0;
  if (!result && !empty)
    return invalid("result: must not be null");
  auto program = parseProgram({query->program, query->program_size});
  if (!program)
    return makeError(FOVEA_PARSE_ERROR, takeStatus(program.takeError()).second);
  request.program = std::move(*program);
  if (llvm::Error error = checkCaptures(request.program, query->captures,
                                        query->num_captures, request.captures))
    return std::move(error);
  if (llvm::Error error = checkElements(request.program, /*hasPairs=*/!empty,
                                        /*hasFeatures=*/true, request.captures))
    return std::move(error);
  if (!empty)
    if (llvm::Error error = checkConstantIndices(
            request.program, findConstantIndices(request.program),
            request.captures))
      return std::move(error);
  request.options.shouldCancel = query->should_cancel;
  request.options.cancelContext = query->cancel_context;
  return std::move(request);
}

/// Counts have no array that bounds their work.
llvm::Error checkTileCount(const fovea_mask_query &query) {
  int64_t count = query.batch * query.heads *
                  tiles(query.q_length, query.block_q) *
                  tiles(query.kv_length, query.block_kv);
  if (count > int64_t(1) << 40)
    return invalid("Q_LEN * KV_LEN: must be at most 2^40 tiles over B and H, "
                   "got " +
                   Twine(count));
  return llvm::Error::success();
}

MaskEffort effortOf(const fovea_mask_query &query) {
  return query.approximate == 0 ? MaskEffort::Exact : MaskEffort::Analysis;
}

llvm::Error finish(bool done) {
  return done ? llvm::Error::success()
              : makeError(FOVEA_CANCELLED, "the call was cancelled");
}
} // namespace

extern "C" fovea_status fovea_mask_classes(const fovea_mask_query *query,
                                           int8_t *classes,
                                           fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    auto request = checkQuery(query, /*tiled=*/true, classes);
    if (!request)
      return request.takeError();
    MaskEvaluator evaluator(request->program, request->captures,
                            request->domain);
    return finish(evaluator.classes(classes, query->block_q, query->block_kv,
                                    request->options, effortOf(*query)));
  });
}

static void give(const MaskStatistics &from, fovea_mask_statistics &to) {
  to = {sizeof to,         from.full,      from.partial,
        from.empty,        from.byPoints,  from.byPolyhedra,
        from.byEvaluation, from.undecided, from.rectangles};
}

extern "C" fovea_status fovea_mask_counts(const fovea_mask_query *query,
                                          fovea_mask_statistics *statistics,
                                          fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkStruct(statistics, "statistics"))
      return error;
    auto request = checkQuery(query, /*tiled=*/true, statistics);
    if (!request)
      return request.takeError();
    if (llvm::Error error = checkTileCount(*query))
      return error;
    MaskEvaluator evaluator(request->program, request->captures,
                            request->domain);
    MaskStatistics found;
    bool done = evaluator.counts(found, query->block_q, query->block_kv,
                                 request->options, effortOf(*query));
    give(found, *statistics);
    return finish(done);
  });
}

extern "C" fovea_status fovea_mask_find_runs(const fovea_mask_query *query,
                                             fovea_mask_runs *runs,
                                             fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkStruct(runs, "runs"))
      return error;
    auto request = checkQuery(query, /*tiled=*/true, runs);
    if (!request)
      return request.takeError();
    MaskEvaluator evaluator(request->program, request->captures,
                            request->domain);
    constexpr int64_t most = INT32_MAX / 4;
    if ((query->kv_length - 1) / query->block_kv >= most)
      return invalid("KV_LEN: must be fewer than " + Twine(most) +
                     " tiles, got " + Twine(query->kv_length));
    auto owner = std::make_unique<MaskRuns>();
    MaskStatistics found;
    bool done = evaluator.runs(*owner, found, query->block_q, query->block_kv,
                               request->options, effortOf(*query));
    if (!done)
      return finish(done);
    runs->rows = static_cast<int64_t>(owner->offsets.size()) - 1;
    runs->key_tiles = owner->keyTiles;
    runs->shared = owner->shared;
    runs->offsets = owner->offsets.data();
    runs->runs = owner->runs.data();
    runs->num_runs = static_cast<int64_t>(owner->runs.size());
    give(found, runs->statistics);
    runs->owner = owner.release();
    return llvm::Error::success();
  });
}

extern "C" void fovea_mask_runs_free(fovea_mask_runs *runs) {
  if (!runs)
    return;
  delete static_cast<MaskRuns *>(runs->owner);
  runs->owner = nullptr;
  runs->offsets = nullptr;
  runs->runs = nullptr;
}

extern "C" fovea_status fovea_mask_describe(const fovea_mask_query *query,
                                            int64_t batch, int64_t head,
                                            fovea_string *json,
                                            fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkStruct(json, "json"))
      return error;
    auto request = checkQuery(query, /*tiled=*/false, json);
    if (!request)
      return request.takeError();
    if (batch < 0 || batch >= query->batch)
      return invalid("batch: must be below B (" + Twine(query->batch) +
                     "), got " + Twine(batch));
    if (head < 0 || head >= query->heads)
      return invalid("head: must be below H (" + Twine(query->heads) +
                     "), got " + Twine(head));
    MaskEvaluator evaluator(request->program, request->captures,
                            request->domain);
    llvm::json::Array keys;
    std::string lines = evaluator.describe(batch, head);
    llvm::StringRef rest = lines;
    while (!rest.empty()) {
      auto [line, after] = rest.split('\n');
      keys.push_back(line.str());
      rest = after;
    }
    llvm::json::Object answer{
        {"method", stringify(evaluator.method(batch, head)).str()},
        {"keys", std::move(keys)}};
    std::string text;
    llvm::raw_string_ostream os(text);
    os << llvm::json::Value(std::move(answer));
    return giveString(text, json);
  });
}

extern "C" fovea_status fovea_mask_dense(const fovea_mask_query *query,
                                         uint8_t *dense,
                                         fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    auto request = checkQuery(query, /*tiled=*/false, dense);
    if (!request)
      return request.takeError();
    MaskEvaluator evaluator(request->program, request->captures,
                            request->domain);
    return finish(evaluator.dense(dense, request->options));
  });
}
