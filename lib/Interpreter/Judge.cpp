//===- Judge.cpp - Whether a result is as good as it can be ---------------===//

#include "fovea/Interpreter/Judge.h"
#include "fovea/Interpreter/Interpreter.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace fovea;

namespace {
struct Bounds {
  double factor, rowFactor, floorUnits, unit;
};

/// Sums over the elements that count.
struct Tally {
  double error = 0, plain = 0, magnitude = 0;
  int64_t count = 0;
  void add(double actual, double exact, double plainValue) {
    error += std::fabs(actual - exact);
    plain += std::fabs(plainValue - exact);
    magnitude += std::fabs(exact);
    ++count;
  }
  double mean(double sum) const { return count ? sum / double(count) : 0; }
};

class Judge {
public:
  explicit Judge(const JudgeCase &values)
      : values(values), bounds(boundsOf(values.workType)) {}
  Judgement run();

private:
  static Bounds boundsOf(DType type) {
    switch (type) {
    case DType::F16:
      return {1.1, 5, 0.05, 0x1p-11};
    case DType::BF16:
      return {1.1, 5, 0.05, 0x1p-8};
    case DType::F32:
      return {10, 60, 2, 0x1p-24};
    default:
      return {10, 60, 0, 0x1p-53};
    }
  }
  bool isDead(int64_t row) const {
    return !values.deadRows.empty() && values.deadRows[row];
  }
  void judgeDeadRow(int64_t row);
  void judgeRow(int64_t row, Tally &tally);
  void fail(const std::string &reason) {
    if (result.passed)
      result.reason = reason;
    result.passed = false;
  }

  const JudgeCase &values;
  Bounds bounds;
  Judgement result;
};
} // namespace

static std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// Equal after rounding; what is not 0 may come from a finish whose own
/// arithmetic rounds once or twice.
void Judge::judgeDeadRow(int64_t row) {
  for (int64_t i = row * values.columns; i < (row + 1) * values.columns; ++i) {
    double actual = values.actual[i], exact = values.exact[i];
    double rounded = roundToType(exact, values.storedType);
    if (actual == rounded || (std::isnan(actual) && std::isnan(rounded)))
      continue;
    double slack = 2 * boundsOf(values.storedType).unit * std::fabs(exact);
    if (std::isfinite(exact) && std::fabs(actual - exact) <= 2 * slack)
      continue;
    return fail(llvm::formatv("row {0} sees no key: must be {1}, is {2}", row,
                              number(rounded), number(actual)));
  }
}

void Judge::judgeRow(int64_t row, Tally &tally) {
  for (int64_t i = row * values.columns; i < (row + 1) * values.columns; ++i) {
    double actual = values.actual[i], exact = values.exact[i];
    double plain = values.plain[i];
    if (std::isfinite(exact) && std::isfinite(plain)) {
      if (!std::isfinite(actual))
        return fail(llvm::formatv("element {0} of row {1} must be near {2}, "
                                  "is {3}",
                                  i % values.columns, row, number(exact),
                                  number(actual)));
      tally.add(actual, exact, plain);
    } else if (std::isnan(exact) && std::isnan(plain) && !std::isnan(actual)) {
      return fail(llvm::formatv("element {0} of row {1} must be NaN, is {2}",
                                i % values.columns, row, number(actual)));
    }
  }
}

Judgement Judge::run() {
  int64_t rows = values.columns ? values.actual.size() / values.columns : 0;
  Tally total;
  double worstPlain = 0;
  for (int64_t row = 0; row < rows; ++row) {
    if (isDead(row)) {
      judgeDeadRow(row);
      continue;
    }
    Tally tally;
    judgeRow(row, tally);
    worstPlain = std::max(worstPlain, tally.mean(tally.plain));
    double error = tally.mean(tally.error);
    if (error > result.rowError || result.worstRow < 0) {
      result.rowError = error;
      result.worstRow = row;
    }
    total.error += tally.error;
    total.plain += tally.plain;
    total.magnitude += tally.magnitude;
    total.count += tally.count;
  }
  double magnitude = total.mean(total.magnitude);
  double floor = values.workType == DType::F64
                     ? 1e-13 * std::max(1.0, magnitude)
                     : bounds.floorUnits * bounds.unit * magnitude;
  double factor = bounds.factor;
  if (total.count > 0 && total.count < 4096)
    factor += 4 / std::sqrt(double(total.count));
  result.error = total.mean(total.error);
  result.allowed = factor * total.mean(total.plain) + floor;
  result.rowAllowed = bounds.rowFactor * worstPlain + floor;
  if (result.error > result.allowed)
    fail(llvm::formatv("mean error {0} is above the allowed {1}",
                       number(result.error), number(result.allowed)));
  if (result.rowError > result.rowAllowed)
    fail(llvm::formatv("row {0} is off by {1}, allowed is {2}", result.worstRow,
                       number(result.rowError), number(result.rowAllowed)));
  return result;
}

Judgement fovea::judge(const JudgeCase &values) { return Judge(values).run(); }

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// Points a view at contiguous f64 of its own size.
static void point(TensorView &view, std::vector<double> &data) {
  data.assign(view.numElements(), 0);
  view.data = data.data();
  view.dtype = DType::F64;
  int64_t stride = 1;
  for (size_t i = view.sizes.size(); i-- > 0;) {
    view.strides[i] = stride;
    stride *= view.sizes[i];
  }
}

/// The launch with its results redirected.
static LaunchView redirect(const LaunchView &launch,
                           LaunchReference::Results &results) {
  LaunchView view = launch;
  point(view.out, results.out);
  if (view.lse)
    point(*view.lse, results.lse);
  return view;
}

static std::vector<double> gather(const TensorView &view) {
  std::vector<double> values;
  values.reserve(view.numElements());
  llvm::SmallVector<int64_t, 4> index(view.sizes.size(), 0);
  for (int64_t i = 0, end = view.numElements(); i < end; ++i) {
    values.push_back(view.loadFloat(view.offset(index)));
    for (size_t dim = index.size(); dim-- > 0;) {
      if (++index[dim] < view.sizes[dim])
        break;
      index[dim] = 0;
    }
  }
  return values;
}

llvm::Expected<LaunchReference>
LaunchReference::compute(const Program &program, const LaunchView &launch) {
  LaunchReference reference;
  reference.workType = program.dtype.value_or(launch.out.dtype);
  if (llvm::Error error =
          interpretProgram(program, redirect(launch, reference.exact),
                           {Arithmetic::Exact, &reference.deadRows}))
    return std::move(error);
  if (llvm::Error error =
          interpretProgram(program, redirect(launch, reference.plain),
                           {Arithmetic::Plain, nullptr}))
    return std::move(error);
  return reference;
}

LaunchJudgement LaunchReference::judge(const LaunchView &launch) const {
  LaunchJudgement result;
  std::vector<double> out = gather(launch.out);
  result.out = fovea::judge({out, exact.out, plain.out, launch.valueDim,
                             workType, launch.out.dtype, deadRows});
  if (launch.lse) {
    result.hasLse = true;
    std::vector<double> lse = gather(*launch.lse);
    result.lse = fovea::judge(
        {lse, exact.lse, plain.lse, 1, workType, launch.lse->dtype, deadRows});
  }
  return result;
}

llvm::Expected<LaunchJudgement> fovea::judgeLaunch(const Program &program,
                                                   const LaunchView &launch) {
  llvm::Expected<LaunchReference> reference =
      LaunchReference::compute(program, launch);
  if (!reference)
    return reference.takeError();
  return reference->judge(launch);
}
