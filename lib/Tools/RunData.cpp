//===- RunData.cpp - A launch on seeded random or given data --------------===//

#include "fovea/Tools/RunData.h"
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/StringSet.h"

#include <cmath>

using namespace fovea;
using llvm::StringRef;
using llvm::Twine;

llvm::Expected<RunShape> RunShape::parse(StringRef text) {
  RunShape shape;
  llvm::SmallVector<StringRef> entries;
  if (!text.empty())
    text.split(entries, ',');
  llvm::StringSet<> given;
  for (StringRef entry : entries) {
    if (entry.trim().empty())
      return invalid("--shape: must be sizes separated by commas, got '" +
                     text + "'");
    auto assignment = splitAssignment(entry, "--shape");
    if (!assignment)
      return assignment.takeError();
    StringRef name = assignment->first;
    int64_t size;
    unsigned bits = name == "B" ? 24 : 40; // offsets are kept for each batch
    if (StringRef(assignment->second).getAsInteger(10, size) || size < 0 ||
        size > (int64_t(1) << bits))
      return invalid("--shape: " + name + " must be a number from 0 to 2^" +
                     Twine(bits) + ", got '" + assignment->second + "'");
    if (!given.insert(name == "H" ? "Hq" : name).second)
      return invalid("--shape: " + name + " is given twice");
    if (name == "B")
      shape.B = size;
    else if (name == "Hq" || name == "H")
      shape.Hq = size;
    else if (name == "Hk")
      shape.Hk = size;
    else if (name == "M")
      shape.M = size;
    else if (name == "N")
      shape.N = size;
    else if (name == "D")
      shape.D = size;
    else if (name == "E")
      shape.E = size;
    else
      shape.others[name] = size;
  }
  if (!given.contains("Hk"))
    shape.Hk = shape.Hq;
  if (!given.contains("N"))
    shape.N = shape.M;
  if (shape.Hq < 1 || shape.Hk < 1 || shape.Hq % shape.Hk != 0)
    return invalid("--shape: Hq must be a positive multiple of Hk, got Hq=" +
                   Twine(shape.Hq) + " and Hk=" + Twine(shape.Hk));
  return shape;
}

namespace {
/// Numbers that depend on seed and stream alone (splitmix64).
class Random {
public:
  Random(uint64_t seed, uint64_t stream)
      : state(seed * 0x9e3779b97f4a7c15u + stream * 0xbf58476d1ce4e5b9u + 1) {}

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In (0, 1].
  double uniform() { return double((next() >> 11) + 1) * 0x1p-53; }
  double normal() {
    double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  int64_t between(int64_t low, int64_t high) {
    uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
    return span == 0 ? low : low + static_cast<int64_t>(next() % span);
  }

private:
  uint64_t state;
};

class DataBuilder {
public:
  DataBuilder(const Program &program, const RunOptions &options)
      : program(program), options(options), shape(options.shape) {
    sizes["B"] = shape.B;
    sizes["H"] = shape.Hq;
    sizes["Hk"] = shape.Hk;
    sizes["M"] = shape.M;
    sizes["N"] = shape.N;
    sizes["D"] = program.headDims[0];
    sizes["E"] = *program.valueDim;
    for (const auto &entry : shape.others)
      sizes[entry.first()] = entry.second;
  }

  llvm::Expected<RunData> run();

private:
  llvm::Error checkSizes();
  llvm::Expected<TensorView> input(StringRef name, DType dtype,
                                   llvm::ArrayRef<int64_t> wanted);
  llvm::Expected<TensorView> capture(const Capture &capture);
  llvm::Expected<TensorView> givenCapture(const Capture &capture);
  llvm::Error addCaptures();
  llvm::Expected<TensorView> given(StringRef name, DType dtype, size_t rank);
  llvm::Expected<TensorView> make(StringRef name, DType dtype,
                                  llvm::ArrayRef<int64_t> wanted);
  void fill(const TensorView &view, const Capture *capture);
  double scale();
  int64_t sizeOf(const Dim &dim);
  int64_t valueOf(const Bound &bound, int64_t otherwise) {
    return bound.size.empty() ? bound.value : sizeOf({-1, bound.size});
  }
  const std::string *fileOf(StringRef name) {
    for (const auto &[key, file] : options.arrays)
      if (key == name) {
        used.insert({name, true});
        return &file;
      }
    return nullptr;
  }

  const Program &program;
  const RunOptions &options;
  const RunShape &shape;
  llvm::StringMap<int64_t> sizes;
  llvm::StringMap<std::string> binders; // of sizes: the capture that has it
  llvm::StringMap<bool> used;
  RunData data;
  uint64_t stream = 0;
};
} // namespace

/// Sizes that nothing says: as long as the longer sequence, which every
/// position fits.
int64_t DataBuilder::sizeOf(const Dim &dim) {
  if (dim.value >= 0)
    return dim.value;
  auto it = sizes.find(dim.size);
  if (it != sizes.end())
    return it->second;
  int64_t longer = std::max(shape.M, shape.N);
  if (!dim.size.empty())
    data.assumed[dim.size] = longer;
  return longer;
}

llvm::Expected<TensorView> DataBuilder::make(StringRef name, DType dtype,
                                             llvm::ArrayRef<int64_t> wanted) {
  auto array = OwnedArray::make(name, dtype, wanted);
  if (!array)
    return array.takeError();
  data.arrays.push_back(std::move(*array));
  return data.arrays.back().view;
}

llvm::Expected<TensorView> DataBuilder::given(StringRef name, DType dtype,
                                              size_t rank) {
  auto array = readNpy(*fileOf(name));
  if (!array)
    return array.takeError();
  if (array->view.dtype != dtype)
    return makeError(FOVEA_TYPE_ERROR, name + ": dtype must be " +
                                           stringify(dtype) + ", got " +
                                           stringify(array->view.dtype));
  if (array->view.sizes.size() != rank)
    return invalid(name + ": rank must be " + Twine(rank) + ", got " +
                   Twine(array->view.sizes.size()));
  data.arrays.push_back(std::move(*array));
  return data.arrays.back().view;
}

llvm::Expected<TensorView> DataBuilder::input(StringRef name, DType dtype,
                                              llvm::ArrayRef<int64_t> wanted) {
  if (!fileOf(name)) {
    auto view = make(name, dtype, wanted);
    if (view)
      fill(*view, nullptr);
    return view;
  }
  auto view = given(name, dtype, wanted.size());
  if (!view)
    return view;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (view->sizes[i] != wanted[i])
      return invalid(name + ": size " + Twine(i) + " must be " +
                     Twine(wanted[i]) + " as --shape says, got " +
                     Twine(view->sizes[i]));
  return view;
}

/// Its first use binds a size that nothing else says.
llvm::Expected<TensorView> DataBuilder::givenCapture(const Capture &capture) {
  auto view = given(capture.name, capture.dtype, capture.rank);
  if (!view)
    return view;
  for (auto [at, dim] : llvm::enumerate(capture.dims)) {
    int64_t got = view->sizes[at];
    if (!dim.isKnown())
      continue;
    std::string rule = std::to_string(dim.value);
    if (!dim.size.empty()) {
      if (sizes.insert({dim.size, got}).second)
        binders[dim.size] = capture.name;
      rule = (dim.size + " (" + Twine(sizes[dim.size])).str();
      if (auto binder = binders.find(dim.size); binder != binders.end())
        rule += ", that of " + binder->second;
      rule += ")";
    }
    if (got != sizeOf(dim))
      return invalid(capture.name + ": dim " + Twine(at) + " must be " + rule +
                     ", got " + Twine(got));
  }
  return view;
}

llvm::Expected<TensorView> DataBuilder::capture(const Capture &capture) {
  llvm::SmallVector<int64_t, 4> wanted;
  for (unsigned i = 0; i < capture.rank; ++i)
    wanted.push_back(sizeOf(i < capture.dims.size() ? capture.dims[i] : Dim()));
  auto view = make(capture.name, capture.dtype, wanted);
  if (view)
    fill(*view, &capture);
  return view;
}

/// Those that are given come first: the others have their sizes.
llvm::Error DataBuilder::addCaptures() {
  data.view.captures.resize(program.captures.size());
  for (bool isGiven : {true, false})
    for (auto [entry, view] : llvm::zip(program.captures, data.view.captures)) {
      if ((fileOf(entry.name) != nullptr) != isGiven)
        continue;
      auto tensor = isGiven ? givenCapture(entry) : capture(entry);
      if (!tensor)
        return tensor.takeError();
      view = std::move(*tensor);
    }
  return llvm::Error::success();
}

void DataBuilder::fill(const TensorView &view, const Capture *capture) {
  Random random(options.seed, ++stream);
  bool hasRange = capture && capture->range;
  int64_t low = 0, high = std::max<int64_t>(1, std::max(shape.M, shape.N));
  if (hasRange) {
    low = valueOf(capture->range->first, 0);
    high = std::max(low + 1, valueOf(capture->range->second, high));
  }
  if (view.dtype == DType::I1)
    low = 0, high = 2;
  for (int64_t i = 0, end = view.numElements(); i < end; ++i) {
    if (!isFloat(view.dtype))
      view.storeInt(i, random.between(low, high));
    else if (hasRange)
      view.storeFloat(i, double(low) + (double(high) - double(low)) *
                                           (1 - random.uniform()));
    else
      view.storeFloat(i, random.normal());
  }
}

/// What the variant says, else 1/sqrt(D).
double DataBuilder::scale() {
  if (!program.scale)
    return 1 / std::sqrt(double(program.headDims[0]));
  RegionSizes regionSizes{shape.B,          shape.Hq, shape.Hk,
                          shape.M,          shape.N,  program.headDims[0],
                          *program.valueDim};
  RegionProgram compiled = RegionProgram::compile(program, *program.scale, {});
  RegionFrame frame(compiled, data.view.captures, regionSizes);
  frame.run(1);
  return frame.resultFloat(0, 0);
}

/// What --shape names beside the sizes of q, k and v must be a size of a
/// capture.
llvm::Error DataBuilder::checkSizes() {
  std::string known = "B, Hq, Hk, M, N, D, E";
  llvm::StringSet<> names;
  for (const Capture &entry : program.captures)
    for (const Dim &dim : entry.dims)
      if (!sizes.contains(dim.size) || shape.others.contains(dim.size))
        if (!dim.size.empty() && names.insert(dim.size).second)
          known += ", " + dim.size;
  for (const auto &entry : shape.others)
    if (!names.contains(entry.first()))
      return invalid("--shape: '" + program.name + "' has no size '" +
                     entry.first() + "', there are: " + known);
  return llvm::Error::success();
}

llvm::Expected<RunData> DataBuilder::run() {
  if (llvm::Error error = checkSizes())
    return std::move(error);
  DType dtype = *program.dtype;
  LaunchView &view = data.view;
  view.batch = shape.B;
  view.queryHeads = shape.Hq;
  view.kvHeads = shape.Hk;
  view.queryLength = shape.M;
  view.kvLength = shape.N;
  view.valueDim = *program.valueDim;
  auto addTo = [&](auto &list,
                   llvm::Expected<TensorView> tensor) -> llvm::Error {
    if (!tensor)
      return tensor.takeError();
    list.push_back(std::move(*tensor));
    return llvm::Error::success();
  };
  for (auto [pair, dim] : llvm::enumerate(program.headDims)) {
    std::string number = pair ? std::to_string(pair + 1) : "";
    if (auto error =
            addTo(view.queries, input("q" + number, dtype,
                                      {shape.B, shape.Hq, shape.M, dim})))
      return std::move(error);
    if (auto error = addTo(view.keys, input("k" + number, dtype,
                                            {shape.B, shape.Hk, shape.N, dim})))
      return std::move(error);
  }
  auto value = input("v", dtype, {shape.B, shape.Hk, shape.N, view.valueDim});
  if (!value)
    return value.takeError();
  view.value = *value;
  if (llvm::Error error = addCaptures())
    return std::move(error);
  for (const auto &[name, file] : options.arrays)
    if (!used.count(name))
      return invalid("--set " + name + ": neither an input nor a capture of '" +
                     program.name + "'");
  auto out = make("out", dtype, {shape.B, shape.Hq, shape.M, view.valueDim});
  if (!out)
    return out.takeError();
  view.out = *out;
  if (program.returnLse) {
    auto lse = make("lse", dtype == DType::F64 ? DType::F64 : DType::F32,
                    {shape.B, shape.Hq, shape.M});
    if (!lse)
      return lse.takeError();
    view.lse = *lse;
  }
  view.scales.assign(program.headDims.size(), scale());
  if (!std::isfinite(view.scales.front()))
    return invalid("scale: must be finite, the variant gives " +
                   Twine(std::isnan(view.scales.front()) ? "nan" : "inf"));
  view.qOffset.assign(shape.B, 0);
  view.kvOffset.assign(shape.B, 0);
  view.qLengths.assign(shape.B, shape.M);
  view.kvLengths.assign(shape.B, shape.N);
  return std::move(data);
}

llvm::Expected<RunData> fovea::makeRunData(const Program &program,
                                           const RunOptions &options) {
  return DataBuilder(program, options).run();
}
