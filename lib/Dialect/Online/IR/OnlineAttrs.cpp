//===- OnlineAttrs.cpp - Attributes of online -----------------------------===//

#include "fovea/Dialect/Online/IR/Online.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::online;

#include "fovea/Dialect/Online/IR/OnlineAttrInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "fovea/Dialect/Online/IR/OnlineAttrs.cpp.inc"

void OnlineDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "fovea/Dialect/Online/IR/OnlineAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// #online.cpu_schedule
//===----------------------------------------------------------------------===//

/// Far above every useful tile; keeps the footprint within 64 bits.
static constexpr int64_t kMaxTile = int64_t(1) << 20;

LogicalResult
CPUScheduleAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t m,
                        int64_t n, int64_t lanes, bool exact, int64_t indexBits,
                        bool pairs, bool amx, int64_t split, int64_t wide) {
  for (auto [name, value] : {std::pair<StringRef, int64_t>{"m", m}, {"n", n}})
    if (value < 1 || value > kMaxTile)
      return emitError() << name << " must be within 1 and " << kMaxTile
                         << ", got " << value;
  if (lanes < 1 || lanes > kMaxTile || !llvm::isPowerOf2_64(lanes))
    return emitError() << "lanes must be a power of two, got " << lanes;
  if (indexBits != 32 && indexBits != 64)
    return emitError() << "index_bits must be 32 or 64, got " << indexBits;
  if (split < 0 || split > kMaxTile)
    return emitError() << "split must be within 0 and " << kMaxTile << ", got "
                       << split;
  if (amx && (!pairs || exact))
    return emitError() << "amx needs pairs, and has no exact form";
  if (split > 0 && exact)
    return emitError() << "split has no exact form";
  if ((split > 0) != (wide > 0))
    return emitError() << "split and wide must be given together, got " << split
                       << " and " << wide;
  return success();
}

int64_t CPUScheduleAttr::getQueryTile() const { return getM(); }
int64_t CPUScheduleAttr::getKeyTile() const { return getN(); }

static int64_t getScoreBytes(unsigned elementBytes) {
  return elementBytes == 8 ? 8 : 4;
}

int64_t CPUScheduleAttr::footprint(StringRef resource, int64_t headDim,
                                   int64_t valueDim,
                                   unsigned elementBytes) const {
  int64_t scoreBytes = getScoreBytes(elementBytes);
  if (resource == "vector_bytes")
    return std::max(getLanes(), getWide()) * scoreBytes;
  if (resource != "l2_bytes")
    return 0;
  // Per item: packed queries, outputs, t and l per row; one panel's scores; a
  // key block where the inputs are narrower, in the score type but for pairs.
  int64_t rows = getM() * (headDim + valueDim + 2);
  int64_t scores = getN() * getLanes();
  int64_t copied =
      elementBytes < scoreBytes ? getN() * (headDim + valueDim) : 0;
  return (rows + scores) * scoreBytes +
         copied * (getPairs() ? elementBytes : scoreBytes);
}

LogicalResult CPUScheduleAttr::verifySchedule(
    const fovea::TargetModel &target, int64_t headDim, int64_t valueDim,
    unsigned elementBytes, function_ref<InFlightDiagnostic()> emitError) const {
  for (StringRef resource : {"vector_bytes", "l2_bytes"}) {
    std::optional<int64_t> limit = target.getLimit(resource);
    int64_t asked = footprint(resource, headDim, valueDim, elementBytes);
    if (limit && asked > *limit)
      return emitError() << "schedule: m=" << getM() << ",n=" << getN()
                         << " asks for " << asked << " of " << resource
                         << ", the limit of '" << target.getName() << "' is "
                         << *limit;
  }
  return success();
}
