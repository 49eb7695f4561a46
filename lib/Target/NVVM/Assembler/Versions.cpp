//===- Versions.cpp - What is known of each ptxas -------------------------===//
#include "fovea/Target/NVVM/Assembler.h"

#include "llvm/Support/FormatVariadic.h"

using namespace fovea;

namespace {
struct Known {
  int major, minor; ///< from this version on, up to the next row
  PtxasGrade grade;
  const char *reason;
};

/// Sorted. Rows are reports about kernels of our kind (register-A wgmma,
/// warp-specialised roles).
constexpr Known knownVersions[] = {
    {0, 0, PtxasGrade::Refuse, "knows no sm_90a"},
    {12, 0, PtxasGrade::Warn, "older than 13.3 and not measured here"},
    {12, 8, PtxasGrade::Refuse, "gives wrong numbers on Hopper kernels"},
    {12, 9, PtxasGrade::Refuse,
     "may reuse the registers of a matrix product in flight"},
    {13, 0, PtxasGrade::Warn,
     "was seen to write shared memory out of bounds on a Hopper kernel"},
    {13, 1, PtxasGrade::Warn, "miscompiles some nested divergent branches"},
    {13, 3, PtxasGrade::Good, ""},
};
} // namespace

std::string PtxasVersion::str() const {
  return llvm::formatv("{0}.{1}.{2}", major, minor, build).str();
}

std::optional<PtxasVersion> PtxasVersion::parse(llvm::StringRef text) {
  // "Cuda compilation tools, release 13.5, V13.5.37"
  size_t at = text.find(", V");
  if (at == llvm::StringRef::npos)
    return std::nullopt;
  llvm::StringRef rest = text.drop_front(at + 3);
  PtxasVersion version;
  if (rest.consumeInteger(10, version.major) || !rest.consume_front(".") ||
      rest.consumeInteger(10, version.minor) || !rest.consume_front(".") ||
      rest.consumeInteger(10, version.build))
    return std::nullopt;
  return version;
}

std::pair<PtxasGrade, llvm::StringRef>
fovea::gradePtxas(const PtxasVersion &version) {
  const Known *row = knownVersions;
  for (const Known &known : knownVersions)
    if (std::tuple(known.major, known.minor) <=
        std::tuple(version.major, version.minor))
      row = &known;
  return {row->grade, row->reason};
}
