//===- AttnToOnlinePass.cpp - -convert-attn-to-online ---------------------===//

#include "Lowering.h"
#include "fovea/Target/CPU/CPUModel.h"
#include "fovea/Target/NVVM/HopperModel.h"
#include "llvm/Support/FormatVariadic.h"

namespace fovea {
#define GEN_PASS_DEF_CONVERTATTNTOONLINE
#include "fovea/Conversion/AttnToOnline/Passes.h.inc"
} // namespace fovea

using namespace mlir;
using namespace fovea;

/// How a GPU's kernel finds the keys that it visits, and why so.
static std::string describeKeys(func::FuncOp lowered, attn::AttentionOp op,
                                const AttnToOnlineSchedule &schedule) {
  if (schedule.classifies) {
    WalkBounds bounds(op, {schedule.indexBits, schedule.maxCases});
    return "keys: lists of tiles that the device makes at each call, as " +
           bounds.reason().str() + "\n";
  }
  std::string text;
  lowered.walk([&](Operation *walk) {
    if (auto segments = dyn_cast<online::WalkSegmentsOp>(walk))
      text = llvm::formatv(
          "keys: {0} intervals in closed form, {1} of them "
          "full; nothing is made ahead of a call\n",
          segments.getClasses().size(),
          llvm::count(segments.getClasses(), int32_t(online::ClassKind::Full)));
    if (isa<online::WalkListOp>(walk))
      text = "keys: the tiles of a block mask, sorted on the device at each "
             "call\n";
  });
  return text;
}

LogicalResult fovea::convertAttnToOnline(func::FuncOp func,
                                         const AttnToOnlineSchedule &schedule) {
  FailureOr<attn::AttentionOp> op = findFusedAttention(func);
  if (failed(op) || !*op)
    return failure(failed(op));
  attn::ParamOp unbound;
  func.walk([&](attn::ParamOp param) { unbound = param; });
  if (unbound)
    return unbound.emitError()
           << "compile-time parameter '" << unbound.getName()
           << "' is not bound: run -attn-bind-params";
  LoweredArguments arguments;
  IRMapping mapping;
  FailureOr<func::FuncOp> lowered =
      createLoweredFunction(func, *op, schedule, arguments, mapping);
  if (failed(lowered))
    return failure();
  if (schedule.classifies)
    buildVisibleFunction(*lowered, *op, mapping);
  if (failed(buildLoweredBody(*lowered, *op, arguments, mapping, schedule))) {
    lowered->erase();
    return failure();
  }
  if (schedule.remarks && (op->hasMask() || op->getBlockMask()))
    (*lowered)->setAttr("online.remarks",
                        StringAttr::get(func.getContext(),
                                        describeKeys(*lowered, *op, schedule)));
  func.erase();
  return success();
}

/// Bounds of a walk live in registers of every role of a GPU's kernel, where
/// those of cases would spill; its lists of tiles cost less.
static WalkRequest makeWalkRequest(StringRef target,
                                   const ConvertAttnToOnlineOptions &options) {
  return {static_cast<unsigned>(options.indexBits), target == "cpu" ? 3u : 0u};
}

/// A schedule for the op on a Hopper GPU.
static FailureOr<AttnToOnlineSchedule>
chooseHopper(attn::AttentionOp op, const ConvertAttnToOnlineOptions &options) {
  HopperScheduleRequest request;
  request.headDims = llvm::map_to_vector(op.getQueries(), [](Value query) {
    return cast<ShapedType>(query.getType()).getDimSize(3);
  });
  request.valueDim = cast<ShapedType>(op.getValue().getType()).getDimSize(3);
  request.elementType = op.getElementType();
  request.hasScore = op.hasScore();
  request.hasMask = op.hasMask();
  if (op.hasMask()) {
    Block &mask = op.getMask().front();
    auto planes =
        attn_gpu::findPlanes(mask.getTerminator()->getOperand(0),
                             mask.getArgument(2), mask.getArgument(3));
    request.isPlanar = planes.has_value();
    request.isCausal =
        planes && llvm::equal(*planes, ArrayRef{attn_gpu::Plane{1, -1, 0}});
  }
  op.getScore().walk([&](Operation *inner) {
    request.hasElementary |= isa<math::MathDialect>(inner->getDialect()) &&
                             !isa<math::AbsFOp, math::FmaOp>(inner);
  });
  bool classifies =
      op.hasMask() && needsScan(op, makeWalkRequest("sm_90a", options));
  request.hasBlocks = op.getBlockMask() || classifies;
  request.perBatch = options.perBatch;
  request.text = options.schedule;
  FailureOr<HopperSchedule> chosen = chooseHopperSchedule(
      op.getContext(), request, [&] { return op.emitError(); });
  if (failed(chosen))
    return failure();
  AttnToOnlineSchedule schedule{
      online::ScheduleAttrInterface(chosen->attribute)};
  schedule.segmentAlignment = chosen->attribute.getN();
  schedule.wholeSequences = !chosen->perBatch;
  schedule.dividesTiles = !chosen->perBatch;
  schedule.classifies = classifies;
  schedule.remarks = true;
  return schedule;
}

/// What a schedule of the op on the processor of the options is chosen for.
static CPUScheduleRequest
makeRequest(attn::AttentionOp op, const ConvertAttnToOnlineOptions &options) {
  CPUScheduleRequest request;
  for (Value query : op.getQueries()) {
    int64_t dim = cast<ShapedType>(query.getType()).getDimSize(3);
    request.headDim += dim;
    request.longestHeadDim = std::max(request.longestHeadDim, dim);
  }
  request.valueDim = cast<ShapedType>(op.getValue().getType()).getDimSize(3);
  request.elementBytes = op.getElementType().getIntOrFloatBitWidth() / 8;
  request.scoreBytes = op.getScoreType().getIntOrFloatBitWidth() / 8;
  request.bf16 = op.getElementType().isBF16() && op.getScoreType().isF32();
  request.text = options.schedule;
  request.exact = options.exact;
  request.indexBits = options.indexBits;
  request.scansKeys = needsScan(op, makeWalkRequest("cpu", options));
  request.fewQueries = options.fewQueries;
  request.oneRow = options.oneRow;
  return request;
}

static FailureOr<AttnToOnlineSchedule>
chooseSchedule(attn::AttentionOp op, const TargetModel &model,
               const ConvertAttnToOnlineOptions &options) {
  FailureOr<online::CPUScheduleAttr> schedule =
      chooseCPUSchedule(op.getContext(), model, makeRequest(op, options),
                        [&] { return op.emitError(); });
  if (failed(schedule))
    return failure();
  AttnToOnlineSchedule result{online::ScheduleAttrInterface(*schedule),
                              static_cast<unsigned>(options.indexBits)};
  result.maxCases = makeWalkRequest("cpu", options).maxCases;
  result.scansScores = true;
  result.paged = options.paged;
  return result;
}

/// Says on the function which calls take its forms for few queries: those of at
/// most m rows, where the tiles of a block mask do not tell heads apart.
static LogicalResult noteFewQueries(func::FuncOp func, attn::AttentionOp op,
                                    const TargetModel &model,
                                    const ConvertAttnToOnlineOptions &options) {
  auto emitError = [&] { return op.emitError(); };
  FailureOr<int64_t> rows = chooseShortRows(options.schedule, emitError);
  if (failed(rows))
    return failure();
  // Registers of 16 bytes hold too few features for that form.
  bool narrow = *model.getLimit("vector_bytes") < 32;
  if (*rows == 0 || narrow || options.fewQueries || options.exact ||
      op.getBlockMask())
    return success();
  CPUScheduleRequest request = makeRequest(op, options);
  request.fewQueries = true;
  FailureOr<online::CPUScheduleAttr> schedule =
      chooseCPUSchedule(op.getContext(), model, request, emitError);
  if (failed(schedule))
    return failure();
  func->setAttr("online.few_queries", *schedule);
  if (!hasOneRowForm(model, request))
    return success();
  request.oneRow = true;
  schedule = chooseCPUSchedule(op.getContext(), model, request, emitError);
  if (failed(schedule))
    return failure();
  func->setAttr("online.one_row", *schedule);
  return success();
}

/// What a processor's kernel can hold; its schedule counts bytes by these.
static LogicalResult checkFeatureDims(attn::AttentionOp op) {
  constexpr int64_t most = 1 << 20;
  auto check = [&](const Twine &name, Value tensor,
                   int64_t least) -> LogicalResult {
    int64_t dim = cast<ShapedType>(tensor.getType()).getDimSize(3);
    if (dim >= least && dim <= most)
      return success();
    return op.emitError() << name << " must have a feature dim from " << least
                          << " to " << most << " on a CPU, got " << dim;
  };
  for (auto [index, query] : llvm::enumerate(op.getQueries()))
    if (failed(check("query #" + Twine(index), query, 1)))
      return failure();
  return check("value", op.getValue(), 0);
}

/// Options that say nothing to the target, by the names that users give.
static LogicalResult checkOptions(Operation *op, StringRef target,
                                  const ConvertAttnToOnlineOptions &options) {
  std::pair<StringRef, bool> ofCPU[] = {{"exact", options.exact},
                                        {"few-queries", options.fewQueries},
                                        {"paged", options.paged},
                                        {"one-row", options.oneRow}};
  for (auto [name, given] : ofCPU)
    if (given && target != "cpu")
      return op->emitError()
             << name << " is for the target family cpu, not " << target;
  if (options.perBatch && target == "cpu")
    return op->emitError("per-batch is for the target family sm_90a, not cpu");
  if (options.oneRow && !options.fewQueries)
    return op->emitError("one-row comes with few-queries alone");
  return success();
}

namespace {
struct ConvertAttnToOnline
    : fovea::impl::ConvertAttnToOnlineBase<ConvertAttnToOnline> {
  using ConvertAttnToOnlineBase::ConvertAttnToOnlineBase;

  void runOnOperation() override {
    if (target != "cpu" && target != "sm_90a") {
      getOperation().emitError() << "no schedules for the target family '"
                                 << target << "', there are: cpu, sm_90a";
      return signalPassFailure();
    }
    ConvertAttnToOnlineOptions options;
    options.schedule = schedule;
    options.exact = exact;
    options.indexBits = indexBits;
    options.fewQueries = fewQueries;
    options.paged = paged;
    options.oneRow = oneRow;
    options.perBatch = perBatch;
    if (failed(checkOptions(getOperation(), target, options)))
      return signalPassFailure();
    if (target == "cpu" && failed(checkCPU(cpu, features, [&] {
          return getOperation().emitError();
        })))
      return signalPassFailure();
    TargetModel model = getCPUModel(cpu, features);
    for (func::FuncOp func :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (failed(convert(func, model, options)))
        return signalPassFailure();
    eraseUnusedNormalizers();
  }

  LogicalResult convert(func::FuncOp func, const TargetModel &model,
                        const ConvertAttnToOnlineOptions &options) {
    if (func.isDeclaration())
      return success();
    FailureOr<attn::AttentionOp> op = findFusedAttention(func);
    if (failed(op) || !*op)
      return failure(failed(op));
    if (target == "cpu" && failed(checkFeatureDims(*op)))
      return failure();
    FailureOr<AttnToOnlineSchedule> chosen =
        target == "cpu" ? chooseSchedule(*op, model, options)
                        : chooseHopper(*op, options);
    if (failed(chosen) ||
        (target == "cpu" && failed(noteFewQueries(func, *op, model, options))))
      return failure();
    return convertAttnToOnline(func, *chosen);
  }

  void eraseUnusedNormalizers() {
    for (attn::NormalizerOp normalizer : llvm::make_early_inc_range(
             getOperation().getOps<attn::NormalizerOp>()))
      if (SymbolTable::symbolKnownUseEmpty(normalizer, getOperation()))
        normalizer.erase();
  }
};
} // namespace
