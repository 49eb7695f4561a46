//===- MaskEvaluator.cpp - Masks of a Program, point by point -------------===//
#include "MaskRow.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cstring>

using namespace fovea;

MaskEvaluator::MaskEvaluator(const Program &program,
                             llvm::ArrayRef<TensorView> captures,
                             const MaskDomain &domain)
    : program(program), captures(captures), domain(domain) {
  if (program.mask) {
    region = &*program.mask;
  } else if (program.score) {
    region = &*program.score;
    isScore = true;
  }
  if (region)
    compiled = RegionProgram::compile(program, *region, {"kv"});
}

int64_t MaskEvaluator::queryOffset(int64_t batch) const {
  bool perBatch = !domain.queryOffsets.empty();
  return domain.queryOffset + (perBatch ? domain.queryOffsets[batch] : 0);
}

int64_t MaskEvaluator::keyOffset(int64_t batch) const {
  bool perBatch = !domain.keyOffsets.empty();
  return domain.keyOffset + (perBatch ? domain.keyOffsets[batch] : 0);
}

RegionSizes MaskEvaluator::sizes() const {
  if (domain.sizes)
    return *domain.sizes;
  RegionSizes out;
  out.B = domain.batch;
  out.H = out.Hk = domain.heads;
  out.M = domain.queries;
  out.N = domain.keys;
  return out;
}

RegionEnvironment MaskEvaluator::environment() const {
  RegionEnvironment out;
  out.captures = captures;
  out.sizes = sizes();
  out.score = domain.score;
  return out;
}

bool MaskEvaluator::isShared() const {
  bool alike = llvm::all_equal(domain.queryOffsets) &&
               llvm::all_equal(domain.keyOffsets);
  return !compiled ||
         (alike && compiled->findArg("b") < 0 && compiled->findArg("h") < 0);
}

bool MaskEvaluator::dense(uint8_t *out, const ParallelOptions &given) const {
  int64_t planes = domain.batch * domain.heads;
  int64_t plane = domain.queries * domain.keys;
  if (plane == 0)
    return true;
  if (!compiled) {
    std::memset(out, 1, static_cast<size_t>(planes * plane));
    return true;
  }
  ParallelOptions options = given;
  options.chunk = std::max<int64_t>(1, 65536 / domain.keys);
  PerWorker<Row> workers;
  bool done = ThreadPool::get().parallelFor(
      (isShared() ? 1 : planes) * domain.queries, options,
      [&](int64_t begin, int64_t end, unsigned worker) {
        Row &row = workers.get(worker, *this);
        for (int64_t i = begin; i < end; ++i) {
          int64_t bh = i / domain.queries;
          row.enter(bh / domain.heads, bh % domain.heads, i % domain.queries);
          for (int64_t n = 0; n < domain.keys; n += RegionFrame::lanes)
            row.visible(n,
                        static_cast<unsigned>(std::min<int64_t>(
                            RegionFrame::lanes, domain.keys - n)),
                        out + i * domain.keys + n);
        }
      });
  if (done && isShared())
    repeat(out, plane, planes);
  return done;
}

MaskMethod MaskEvaluator::method(int64_t batch, int64_t head) const {
  MaskAnalysis analysis(program, environment());
  analysis.enter(batch, head);
  return analysis.method();
}

std::string MaskEvaluator::describe(int64_t batch, int64_t head) const {
  MaskAnalysis analysis(program, environment());
  analysis.enter(batch, head);
  std::string text;
  llvm::raw_string_ostream os(text);
  if (AffineMask *mask = analysis.affine())
    mask->print(os);
  return text;
}
