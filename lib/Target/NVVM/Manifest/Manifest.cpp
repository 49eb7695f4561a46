//===- Manifest.cpp - How a GPU kernel wants to be launched ---------------===//
#include "fovea/Target/NVVM/Manifest.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"

using namespace fovea;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

static llvm::Error bad(const Twine &text) {
  return makeError(FOVEA_INVALID_ARGUMENT, "manifest: " + text);
}

namespace {
constexpr unsigned maxThreads = 1024;
constexpr unsigned maxSharedMemory = 232448;

/// Reads the fields of one manifest.
class Reader {
public:
  llvm::Expected<KernelManifest> run(StringRef text);

private:
  llvm::Error readTexts(const json::Object &object);
  llvm::Error readNumbers(const json::Object &object);
  llvm::Error readCaptures(const json::Object &object);
  llvm::Error readArguments(const json::Object &object,
                            std::vector<KernelArgument> &out);
  llvm::Error readMainArguments(const json::Object &object) {
    return readArguments(object, manifest.arguments);
  }
  llvm::Error readBefore(const json::Object &object);
  llvm::Error readConditions(const json::Object &object);
  llvm::Error readPromises(const json::Object &object);
  llvm::Error readArgument(const json::Object &object, KernelArgument &out);
  llvm::Error readMap(const json::Object &object, StringRef tensor,
                      KernelArgument &out);
  llvm::Error readTensor(StringRef name, unsigned &out);
  llvm::Error readList(const json::Object &object, StringRef key,
                       std::vector<LaunchExpr> &out);
  llvm::Error readExpr(const json::Object &object, StringRef key,
                       LaunchExpr &out);

  KernelManifest manifest;
};
} // namespace

llvm::Error Reader::readExpr(const json::Object &object, StringRef key,
                             LaunchExpr &out) {
  const json::Value *value = object.get(key);
  if (!value)
    return bad("'" + key + "' is missing");
  auto expr = LaunchExpr::parse(*value, manifest.captures);
  if (!expr)
    return expr.takeError();
  out = std::move(*expr);
  return llvm::Error::success();
}

llvm::Error Reader::readTexts(const json::Object &object) {
  for (auto [key, out, needed] :
       {std::tuple("name", &manifest.name, true),
        std::tuple("symbol", &manifest.symbol, true),
        std::tuple("arch", &manifest.arch, true),
        std::tuple("dtype", &manifest.dtype, true),
        std::tuple("schedule", &manifest.schedule, false),
        std::tuple("remarks", &manifest.remarks, false)}) {
    std::optional<StringRef> text = object.getString(key);
    if (needed && (!text || text->empty()))
      return bad(Twine("'") + key + "' must be a text");
    if (text)
      *out = text->str();
  }
  return llvm::Error::success();
}

llvm::Error Reader::readNumbers(const json::Object &object) {
  auto number = [&](StringRef key, int64_t low, int64_t high,
                    int64_t &out) -> llvm::Error {
    std::optional<int64_t> value = object.getInteger(key);
    if (!value || *value < low || *value > high)
      return bad("'" + key + "' must lie within " + Twine(low) + " and " +
                 Twine(high));
    out = *value;
    return llvm::Error::success();
  };
  int64_t threads = 0, shared = 0, registers = 0;
  if (llvm::Error error = number("threads", 1, maxThreads, threads))
    return error;
  if (llvm::Error error = number("shared_memory", 0, maxSharedMemory, shared))
    return error;
  if (object.get("registers"))
    if (llvm::Error error = number("registers", 0, 255, registers))
      return error;
  if (llvm::Error error = number("E", 0, 512, manifest.valueDim))
    return error;
  manifest.threads = static_cast<unsigned>(threads);
  manifest.sharedMemory = static_cast<unsigned>(shared);
  manifest.registers = static_cast<unsigned>(registers);
  const json::Array *dims = object.getArray("D");
  if (!dims || dims->empty())
    return bad("'D' must be a list of head dims");
  for (const json::Value &dim : *dims) {
    std::optional<int64_t> value = dim.getAsInteger();
    if (!value || *value < 1 || *value > 512)
      return bad("'D' must hold numbers within 1 and 512");
    manifest.headDims.push_back(*value);
  }
  manifest.returnLse = object.getBoolean("return_lse").value_or(false);
  manifest.blockMask = object.getBoolean("block_mask").value_or(false);
  constexpr StringRef key = "programmatic_launch";
  std::optional<bool> programmatic = object.getBoolean(key);
  if (object.get(key) && !programmatic)
    return bad("'" + key + "' must be true or false");
  manifest.programmaticLaunch = programmatic.value_or(false);
  return llvm::Error::success();
}

llvm::Error Reader::readCaptures(const json::Object &object) {
  const json::Array *list = object.getArray("captures");
  for (size_t i = 0; list && i < list->size(); ++i) {
    const json::Object *capture = (*list)[i].getAsObject();
    std::optional<StringRef> name =
        capture ? capture->getString("name") : std::nullopt;
    if (!name)
      return bad("'captures' must hold objects with a name");
    manifest.captures.push_back(name->str());
  }
  return llvm::Error::success();
}

llvm::Error Reader::readTensor(StringRef name, unsigned &out) {
  constexpr const char *fixed[] = {"q",   "k",          "v",       "out",
                                   "lse", "block_mask", "signed_q"};
  for (auto [i, known] : llvm::enumerate(fixed))
    if (name == known) {
      out = i;
      return llvm::Error::success();
    }
  if (name.starts_with("@"))
    for (auto [i, known] : llvm::enumerate(manifest.captures))
      if (name.drop_front() == known) {
        out = FirstCapture + i;
        return llvm::Error::success();
      }
  return bad("unknown tensor '" + name + "'");
}

llvm::Error Reader::readList(const json::Object &object, StringRef key,
                             std::vector<LaunchExpr> &out) {
  const json::Array *list = object.getArray(key);
  if (!list)
    return bad("a tensor map needs '" + key + "'");
  for (const json::Value &value : *list) {
    auto expr = LaunchExpr::parse(value, manifest.captures);
    if (!expr)
      return expr.takeError();
    out.push_back(std::move(*expr));
  }
  return llvm::Error::success();
}

llvm::Error Reader::readMap(const json::Object &object, StringRef tensor,
                            KernelArgument &out) {
  out.kind = KernelArgument::Kind::TensorMap;
  if (llvm::Error error = readTensor(tensor, out.tensor))
    return error;
  if (llvm::Error error = readList(object, "sizes", out.sizes))
    return error;
  if (llvm::Error error = readList(object, "strides", out.strides))
    return error;
  const json::Array *box = object.getArray("box");
  if (!box)
    return bad("a tensor map needs 'box'");
  for (const json::Value &value : *box) {
    std::optional<int64_t> size = value.getAsInteger();
    if (!size || *size < 1 || *size > 256)
      return bad("'box' must hold numbers within 1 and 256");
    out.box.push_back(static_cast<uint32_t>(*size));
  }
  size_t rank = out.sizes.size();
  if (rank < 1 || rank > 5 || out.strides.size() != rank - 1 ||
      out.box.size() != rank)
    return bad("a tensor map of rank " + Twine(rank) + " has " +
               Twine(out.strides.size()) + " strides and " +
               Twine(out.box.size()) + " box sizes");
  auto swizzle = object.getInteger("swizzle").value_or(128);
  auto promotion = object.getInteger("promotion").value_or(256);
  if (!llvm::is_contained({0, 32, 64, 128}, swizzle))
    return bad("'swizzle' must be 0, 32, 64 or 128");
  if (!llvm::is_contained({0, 64, 128, 256}, promotion))
    return bad("'promotion' must be 0, 64, 128 or 256");
  out.swizzle = static_cast<unsigned>(swizzle);
  out.promotion = static_cast<unsigned>(promotion);
  return llvm::Error::success();
}

llvm::Error Reader::readArgument(const json::Object &object,
                                 KernelArgument &out) {
  using Kind = KernelArgument::Kind;
  if (std::optional<StringRef> tensor = object.getString("tensor_map"))
    return readMap(object, *tensor, out);
  if (std::optional<StringRef> tensor = object.getString("pointer")) {
    out.kind = Kind::Pointer;
    return readTensor(*tensor, out.tensor);
  }
  for (auto [key, kind] : {std::pair("scale", Kind::Scale),
                           std::pair("scale_size", Kind::ScaleSize)})
    if (std::optional<int64_t> pair = object.getInteger(key)) {
      if (*pair < 0 || *pair >= static_cast<int64_t>(manifest.headDims.size()))
        return bad(Twine("'") + key + "' must be the number of a pair");
      out.kind = kind;
      out.pair = static_cast<unsigned>(*pair);
      return llvm::Error::success();
    }
  if (std::optional<int64_t> batches = object.getInteger("per_batch")) {
    constexpr int64_t mostBatches = 170; // what arguments have room for
    int64_t positions = object.getInteger("positions").value_or(0);
    if (*batches < 1 || *batches > mostBatches || positions < 1)
      return bad("'per_batch' must be 1 to " + Twine(mostBatches) +
                 ", with its 'positions'");
    out.kind = Kind::PerBatch;
    out.batches = static_cast<unsigned>(*batches);
    out.positions = positions;
    return llvm::Error::success();
  }
  for (auto [key, kind] :
       {std::pair("workspace", Kind::Workspace),
        std::pair("scratch", Kind::Scratch), std::pair("i32", Kind::I32),
        std::pair("i64", Kind::I64)})
    if (object.get(key)) {
      out.kind = kind;
      return readExpr(object, key, out.value);
    }
  return bad("an argument is a tensor_map, pointer, workspace, scratch, i32, "
             "i64, scale, scale_size or per_batch");
}

llvm::Error Reader::readArguments(const json::Object &object,
                                  std::vector<KernelArgument> &out) {
  const json::Array *list = object.getArray("arguments");
  if (!list)
    return bad("'arguments' must be a list");
  for (const json::Value &value : *list) {
    const json::Object *argument = value.getAsObject();
    if (!argument)
      return bad("'arguments' must hold objects");
    if (llvm::Error error = readArgument(*argument, out.emplace_back()))
      return error;
  }
  return llvm::Error::success();
}

/// Kernels without shared memory that prepare what this one reads.
llvm::Error Reader::readBefore(const json::Object &object) {
  const json::Array *list = object.getArray("before");
  for (size_t i = 0; list && i < list->size(); ++i) {
    const json::Object *kernel = (*list)[i].getAsObject();
    if (!kernel)
      return bad("'before' must hold objects");
    KernelPrologue &made = manifest.before.emplace_back();
    std::optional<StringRef> symbol = kernel->getString("symbol");
    int64_t threads = kernel->getInteger("threads").value_or(0);
    if (!symbol || symbol->empty() || threads < 1 || threads > maxThreads)
      return bad("a kernel 'before' needs a symbol and 1 to " +
                 Twine(maxThreads) + " threads");
    made.symbol = symbol->str();
    made.threads = static_cast<unsigned>(threads);
    if (llvm::Error error = readExpr(*kernel, "grid", made.grid))
      return error;
    if (llvm::Error error = readArguments(*kernel, made.arguments))
      return error;
    for (const KernelArgument &argument : made.arguments)
      if (llvm::is_contained(
              {KernelArgument::Kind::TensorMap, KernelArgument::Kind::PerBatch},
              argument.kind))
        return bad("a kernel 'before' takes no tensor map and nothing per "
                   "batch");
  }
  return llvm::Error::success();
}

llvm::Error Reader::readPromises(const json::Object &object) {
  const json::Array *list = object.getArray("promises");
  for (size_t i = 0; list && i < list->size(); ++i) {
    StringRef promise = (*list)[i].getAsString().value_or("");
    if (promise == "whole_sequences")
      manifest.wholeSequences = true;
    else
      return bad("unknown promise '" + promise + "'");
  }
  list = object.getArray("forms");
  for (size_t i = 0; list && i < list->size(); ++i) {
    StringRef form = (*list)[i].getAsString().value_or("");
    if (form != "per_batch")
      return bad("unknown form '" + form + "'");
    manifest.hasPerBatchForm = true;
  }
  return llvm::Error::success();
}

llvm::Error Reader::readConditions(const json::Object &object) {
  const json::Array *list = object.getArray("conditions");
  for (size_t i = 0; list && i < list->size(); ++i) {
    const json::Object *condition = (*list)[i].getAsObject();
    std::optional<StringRef> sentence =
        condition ? condition->getString("else") : std::nullopt;
    if (!sentence)
      return bad("'conditions' must hold objects with 'if' and 'else'");
    LaunchCondition &made = manifest.conditions.emplace_back();
    made.sentence = sentence->str();
    if (llvm::Error error = readExpr(*condition, "if", made.holds))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<KernelManifest> Reader::run(StringRef text) {
  auto value = json::parse(text);
  if (!value) {
    llvm::consumeError(value.takeError());
    return bad("not JSON");
  }
  const json::Object *object = value->getAsObject();
  if (!object || object->getInteger("fovea_kernel").value_or(0) != 1)
    return bad("'fovea_kernel' must be 1");
  manifest.text = text.str();
  for (auto step :
       {&Reader::readTexts, &Reader::readNumbers, &Reader::readCaptures,
        &Reader::readMainArguments, &Reader::readBefore,
        &Reader::readConditions, &Reader::readPromises})
    if (llvm::Error error = (this->*step)(*object))
      return std::move(error);
  if (llvm::Error error = readExpr(*object, "grid", manifest.grid))
    return std::move(error);
  for (auto [key, out] : {std::pair("workspace", &manifest.workspace),
                          std::pair("scratch", &manifest.scratch),
                          std::pair("in_clusters", &manifest.inClusters)})
    if (object->get(key))
      if (llvm::Error error = readExpr(*object, key, *out))
        return std::move(error);
  return std::move(manifest);
}

const KernelArgument *KernelManifest::getPerBatch() const {
  for (const KernelArgument &argument : arguments)
    if (argument.kind == KernelArgument::Kind::PerBatch)
      return &argument;
  return nullptr;
}

llvm::Expected<KernelManifest> fovea::parseManifest(StringRef json) {
  return Reader().run(json);
}
