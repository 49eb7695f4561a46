//===- ProgramReader.cpp - JSON to Program -------------------------------===//

#include "ProgramNodeReader.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace fovea {

/// LLVM's JSON parser recurses without a limit; a program is never deep.
static Error checkNesting(StringRef text) {
  constexpr unsigned limit = 64;
  unsigned depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit)
        return failJSON("program: JSON nests deeper than {0}", limit);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return Error::success();
}

static Error checkKeys(StringRef where, const json::Object &object,
                       ArrayRef<StringLiteral> known) {
  for (const auto &entry : object)
    if (!is_contained(known, StringRef(entry.first)))
      return failJSON("{0}: unknown key '{1}'", where, StringRef(entry.first));
  return Error::success();
}

static Expected<const json::Value *>
require(StringRef where, const json::Object &object, StringRef key) {
  if (const json::Value *value = object.get(key))
    return value;
  return failJSON("{0}: key '{1}' is missing", where, key);
}

static Expected<std::string>
readString(StringRef where, const json::Object &object, StringRef key) {
  Expected<const json::Value *> value = require(where, object, key);
  if (!value)
    return value.takeError();
  if (std::optional<StringRef> text = (*value)->getAsString())
    return text->str();
  return failJSON("{0}: {1} must be a string, got {2}", where, key,
                  describe(**value));
}

namespace {

class ProgramReader {
public:
  explicit ProgramReader(const json::Object &object) : object(object) {}

  Expected<Program> run() {
    if (Error error = readHeader())
      return std::move(error);
    if (Error error = readDims())
      return std::move(error);
    if (Error error = readCaptures())
      return std::move(error);
    if (Error error = readParams())
      return std::move(error);
    if (Error error = readRegions())
      return std::move(error);
    if (Error error = readNormalizer())
      return std::move(error);
    if (Error error = readFlag("return_lse", program.returnLse))
      return std::move(error);
    if (Error error = readFlag("block_mask", program.blockMask))
      return std::move(error);
    readLocations();
    if (Error error = verifyProgram(program))
      return std::move(error);
    return std::move(program);
  }

private:
  Error readHeader();
  Error readDims();
  Error readCaptures();
  Error readCapture(const json::Value &value, const std::string &where);
  Error readCaptureDims(const json::Object &entry, const std::string &where,
                        Capture &capture);
  Error readRange(const json::Object &entry, const std::string &where,
                  Capture &capture);
  Error readParams();
  Error readParam(const json::Value &value, const std::string &where);
  Error readRegions();
  Error readRegion(RegionKind kind, const json::Value &value, Region &region);
  Error readOptional(const json::Object &owner, RegionKind kind,
                     std::optional<Region> &region);
  Error readNormalizer();
  Error readFinish(const json::Object &owner, NormalizerSpec &spec);
  Error readFlag(StringRef key, bool &flag);
  void readLocations();
  void readNodeLocations(const json::Array &entries, Region &region);

  const json::Object &object;
  Program program;
  StringMap<ValueType> params;
};
} // namespace

Error ProgramReader::readHeader() {
  static constexpr StringLiteral keys[] = {
      "fovea", "name",       "doc",        "dtype",      "D",
      "E",     "score",      "mask",       "captures",   "params",
      "scale", "normalizer", "return_lse", "block_mask", "locations"};
  if (Error error = checkKeys("program", object, keys))
    return error;
  Expected<const json::Value *> version = require("program", object, "fovea");
  if (!version)
    return version.takeError();
  if ((*version)->getAsInteger() != 1)
    return failJSON(
        "program: \"fovea\" must be 1: this is another version of the "
        "form");
  Expected<std::string> name = readString("program", object, "name");
  if (!name)
    return name.takeError();
  program.name = std::move(*name);
  if (object.get("doc")) {
    Expected<std::string> doc = readString("program", object, "doc");
    if (!doc)
      return doc.takeError();
    program.doc = std::move(*doc);
  }
  return Error::success();
}

Error ProgramReader::readDims() {
  if (object.get("dtype")) {
    Expected<std::string> text = readString("program", object, "dtype");
    if (!text)
      return text.takeError();
    program.dtype = parseDType(*text);
    if (!program.dtype)
      return failJSON("program: unknown dtype '{0}'", *text);
  }
  if (const json::Value *dims = object.get("D")) {
    const json::Array *array = dims->getAsArray();
    if (!array || array->empty())
      return failJSON("program: D must be a list of head dims, one per (query, "
                      "key) pair");
    for (const json::Value &value : *array) {
      Expected<int64_t> dim = readInt("program: D", value);
      if (!dim)
        return dim.takeError();
      program.headDims.push_back(*dim);
    }
  }
  if (const json::Value *value = object.get("E")) {
    Expected<int64_t> dim = readInt("program: E", *value);
    if (!dim)
      return dim.takeError();
    program.valueDim = *dim;
  }
  return Error::success();
}

Error ProgramReader::readCaptures() {
  Expected<const json::Value *> value = require("program", object, "captures");
  if (!value)
    return value.takeError();
  const json::Array *array = (*value)->getAsArray();
  if (!array)
    return failJSON("program: captures must be an array, got {0}",
                    describe(**value));
  for (auto [index, entry] : enumerate(*array))
    if (Error error =
            readCapture(entry, formatv("captures: entry {0}", index).str()))
      return error;
  return Error::success();
}

Error ProgramReader::readCapture(const json::Value &value,
                                 const std::string &where) {
  const json::Object *entry = value.getAsObject();
  if (!entry)
    return failJSON("{0}: must be an object, got {1}", where, describe(value));
  static constexpr StringLiteral keys[] = {"name", "dtype", "rank", "dims",
                                           "range"};
  if (Error error = checkKeys(where, *entry, keys))
    return error;
  Capture capture;
  Expected<std::string> name = readString(where, *entry, "name");
  if (!name)
    return name.takeError();
  capture.name = std::move(*name);
  Expected<std::string> dtype = readString(where, *entry, "dtype");
  if (!dtype)
    return dtype.takeError();
  std::optional<DType> type = parseDType(*dtype);
  if (!type)
    return failJSON("{0}: unknown dtype '{1}'", where, *dtype);
  capture.dtype = *type;
  Expected<const json::Value *> rankValue = require(where, *entry, "rank");
  if (!rankValue)
    return rankValue.takeError();
  Expected<int64_t> rank = readInt(where + ": rank", **rankValue);
  if (!rank)
    return rank.takeError();
  if (*rank < 0 || *rank > ProgramLimits::rank)
    return failJSON("{0}: rank must be within 0 to {1}, got {2}", where,
                    ProgramLimits::rank, *rank);
  capture.rank = static_cast<unsigned>(*rank);
  if (Error error = readCaptureDims(*entry, where, capture))
    return error;
  if (Error error = readRange(*entry, where, capture))
    return error;
  program.captures.push_back(std::move(capture));
  return Error::success();
}

Error ProgramReader::readCaptureDims(const json::Object &entry,
                                     const std::string &where,
                                     Capture &capture) {
  const json::Value *value = entry.get("dims");
  if (!value)
    return Error::success();
  const json::Array *array = value->getAsArray();
  if (!array)
    return failJSON("{0}: dims must be an array, got {1}", where,
                    describe(*value));
  for (const json::Value &element : *array) {
    Dim dim;
    if (std::optional<StringRef> size = element.getAsString())
      dim.size = size->str();
    else if (std::optional<int64_t> number = element.getAsInteger())
      dim.value = *number;
    if (!dim.isKnown() && element.kind() != json::Value::Null)
      return failJSON("{0}: dims must hold size names, numbers from 0 and null",
                      where);
    capture.dims.push_back(std::move(dim));
  }
  if (none_of(capture.dims, [](const Dim &dim) { return dim.isKnown(); }) &&
      capture.dims.size() == capture.rank)
    capture.dims.clear();
  return Error::success();
}

Error ProgramReader::readRange(const json::Object &entry,
                               const std::string &where, Capture &capture) {
  const json::Value *value = entry.get("range");
  if (!value)
    return Error::success();
  const json::Array *array = value->getAsArray();
  if (!array || array->size() != 2)
    return failJSON("{0}: range must be [low, high]", where);
  Bound bounds[2];
  for (auto [bound, element] : zip(bounds, *array)) {
    if (std::optional<StringRef> size = element.getAsString())
      bound.size = size->str();
    else if (std::optional<int64_t> number = element.getAsInteger())
      bound.value = *number;
    else
      return failJSON("{0}: range must hold integers and size names", where);
  }
  capture.range = {bounds[0], bounds[1]};
  return Error::success();
}

Error ProgramReader::readParams() {
  const json::Value *value = object.get("params");
  if (!value)
    return Error::success();
  const json::Array *array = value->getAsArray();
  if (!array)
    return failJSON("program: params must be an array, got {0}",
                    describe(*value));
  for (auto [index, entry] : enumerate(*array))
    if (Error error =
            readParam(entry, formatv("params: entry {0}", index).str()))
      return error;
  for (const Param &param : program.params)
    params[param.name] = param.type;
  return Error::success();
}

Error ProgramReader::readParam(const json::Value &value,
                               const std::string &where) {
  const json::Object *entry = value.getAsObject();
  if (!entry)
    return failJSON("{0}: must be an object, got {1}", where, describe(value));
  static constexpr StringLiteral keys[] = {"name", "dtype", "value"};
  if (Error error = checkKeys(where, *entry, keys))
    return error;
  Param param;
  Expected<std::string> name = readString(where, *entry, "name");
  if (!name)
    return name.takeError();
  param.name = std::move(*name);
  Expected<std::string> dtype = readString(where, *entry, "dtype");
  if (!dtype)
    return dtype.takeError();
  Expected<const json::Value *> number = require(where, *entry, "value");
  if (!number)
    return number.takeError();
  if (*dtype == "i64") {
    Expected<int64_t> integer = readInt(where + ": value", **number);
    if (!integer)
      return integer.takeError();
    param.integer = *integer;
  } else if (*dtype == "i1") {
    param.type = ValueType::I1;
    std::optional<bool> flag = (*number)->getAsBoolean();
    if (!flag)
      return failJSON("{0}: value must be a bool, got {1}", where,
                      describe(**number));
    param.integer = *flag;
  } else if (*dtype == "f") {
    param.type = ValueType::F;
    std::optional<StringRef> text = (*number)->getAsString();
    std::optional<double> real = text ? parseHexFloat(*text) : std::nullopt;
    if (!real)
      return failJSON("{0}: value must be a string that float.hex() writes",
                      where);
    param.real = *real;
  } else {
    return failJSON("{0}: dtype must be i1, i64 or f, got '{1}'", where,
                    *dtype);
  }
  program.params.push_back(std::move(param));
  return Error::success();
}

Error ProgramReader::readRegion(RegionKind kind, const json::Value &value,
                                Region &region) {
  std::string where = stringify(kind).str();
  const json::Object *entry = value.getAsObject();
  if (!entry)
    return failJSON("{0}: must be a region, got {1}", where, describe(value));
  static constexpr StringLiteral keys[] = {"args", "nodes", "results"};
  if (Error error = checkKeys(where, *entry, keys))
    return error;
  const json::Array *args = entry->getArray("args");
  const json::Array *nodes = entry->getArray("nodes");
  const json::Array *results = entry->getArray("results");
  if (!args || !nodes || !results)
    return failJSON("{0}: args, nodes and results must be arrays", where);
  for (const json::Value &arg : *args)
    region.args.push_back(arg.getAsString().value_or("?").str());
  if (nodes->size() > ProgramLimits::nodes)
    return failJSON("{0}: at most {1} nodes are supported, got {2}", where,
                    ProgramLimits::nodes, nodes->size());
  region.nodes.reserve(nodes->size());
  for (auto [id, element] : enumerate(*nodes)) {
    std::string place = formatv("{0}: node {1}", where, id).str();
    const json::Array *array = element.getAsArray();
    if (!array)
      return failJSON("{0}: must be an array, got {1}", place,
                      describe(element));
    Expected<Node> node =
        readNode(program, params, region, *array, std::move(place));
    if (!node)
      return node.takeError();
    region.nodes.push_back(std::move(*node));
  }
  for (const json::Value &element : *results) {
    Expected<int64_t> id = readInt(where + ": result", element);
    if (!id)
      return id.takeError();
    if (*id < 0 || static_cast<uint64_t>(*id) >= region.nodes.size())
      return failJSON("{0}: result must name a node below {1}, got {2}", where,
                      region.nodes.size(), *id);
    region.results.push_back(static_cast<unsigned>(*id));
  }
  return Error::success();
}

Error ProgramReader::readOptional(const json::Object &owner, RegionKind kind,
                                  std::optional<Region> &region) {
  const json::Value *value = owner.get(stringify(kind));
  if (!value || value->kind() == json::Value::Null)
    return Error::success();
  region.emplace();
  return readRegion(kind, *value, *region);
}

Error ProgramReader::readRegions() {
  if (Error error = readOptional(object, RegionKind::Score, program.score))
    return error;
  if (Error error = readOptional(object, RegionKind::Mask, program.mask))
    return error;
  return readOptional(object, RegionKind::Scale, program.scale);
}

Error ProgramReader::readNormalizer() {
  Expected<const json::Value *> value =
      require("program", object, "normalizer");
  if (!value)
    return value.takeError();
  if (std::optional<StringRef> name = (*value)->getAsString()) {
    if (*name == "softmax")
      return Error::success();
    return failJSON("normalizer: must be \"softmax\" or an object, got \"{0}\"",
                    *name);
  }
  const json::Object *entry = (*value)->getAsObject();
  if (!entry)
    return failJSON("normalizer: must be \"softmax\" or an object, got {0}",
                    describe(**value));
  static constexpr StringLiteral keys[] = {
      "name", "stat", "weight", "denom", "seed", "seed_value", "finish"};
  if (Error error = checkKeys("normalizer", *entry, keys))
    return error;
  NormalizerSpec &spec = program.normalizer.emplace();
  Expected<std::string> name = readString("normalizer", *entry, "name");
  if (!name)
    return name.takeError();
  spec.name = std::move(*name);
  Expected<const json::Value *> weight =
      require("normalizer", *entry, "weight");
  if (!weight)
    return weight.takeError();
  if (Error error = readRegion(RegionKind::Weight, **weight, spec.weight))
    return error;
  if (Error error = readOptional(*entry, RegionKind::Stat, spec.stat))
    return error;
  if (Error error = readOptional(*entry, RegionKind::Denom, spec.denom))
    return error;
  if (Error error = readOptional(*entry, RegionKind::Seed, spec.seed))
    return error;
  if (Error error = readOptional(*entry, RegionKind::SeedValue, spec.seedValue))
    return error;
  return readFinish(*entry, spec);
}

Error ProgramReader::readFinish(const json::Object &owner,
                                NormalizerSpec &spec) {
  Expected<const json::Value *> value = require("normalizer", owner, "finish");
  if (!value)
    return value.takeError();
  std::optional<StringRef> text = (*value)->getAsString();
  if (!text) {
    spec.finishKind = FinishKind::Custom;
    return readRegion(RegionKind::Finish, **value, spec.finish);
  }
  if (*text != "o" && *text != "o/l")
    return failJSON(
        "normalizer: finish must be \"o/l\", \"o\" or a region, got "
        "\"{0}\"",
        *text);
  spec.finishKind = *text == "o" ? FinishKind::Plain : FinishKind::OverL;
  return Error::success();
}

Error ProgramReader::readFlag(StringRef key, bool &flag) {
  const json::Value *value = object.get(key);
  if (!value)
    return Error::success();
  std::optional<bool> boolean = value->getAsBoolean();
  if (!boolean)
    return failJSON("program: {0} must be a bool, got {1}", key,
                    describe(*value));
  flag = *boolean;
  return Error::success();
}

void ProgramReader::readNodeLocations(const json::Array &entries,
                                      Region &region) {
  for (const json::Value &value : entries) {
    const json::Array *entry = value.getAsArray();
    if (!entry || entry->size() != 4)
      continue;
    std::optional<int64_t> id = (*entry)[0].getAsInteger();
    std::optional<int64_t> line = (*entry)[1].getAsInteger();
    std::optional<int64_t> column = (*entry)[2].getAsInteger();
    std::optional<StringRef> name = (*entry)[3].getAsString();
    if (!id || !line || !column || !name || *id < 0 ||
        static_cast<uint64_t>(*id) >= region.nodes.size())
      continue;
    Node &node = region.nodes[*id];
    node.name = name->str();
    node.line = static_cast<unsigned>(std::clamp<int64_t>(*line, 0, 1 << 30));
    node.column =
        static_cast<unsigned>(std::clamp<int64_t>(*column, 0, 1 << 30));
  }
}

/// Locations are free form: what is not understood is kept, never an error.
void ProgramReader::readLocations() {
  const json::Value *value = object.get("locations");
  if (!value)
    return;
  const json::Object *entry = value->getAsObject();
  if (!entry) {
    program.locations = *value;
    return;
  }
  json::Object rest = *entry;
  if (std::optional<StringRef> file = entry->getString("file")) {
    program.file = file->str();
    rest.erase("file");
  }
  if (const json::Object *nodes = entry->getObject("nodes")) {
    for (unsigned index = 0; index < numRegionKinds; ++index) {
      auto kind = static_cast<RegionKind>(index);
      Region *region = getRegion(program, kind);
      const json::Array *entries = nodes->getArray(stringify(kind));
      if (region && entries)
        readNodeLocations(*entries, *region);
    }
    rest.erase("nodes");
  }
  if (!rest.empty())
    program.locations = json::Value(std::move(rest));
}

Expected<Program> parseProgram(StringRef text) {
  if (text.size() > ProgramLimits::textBytes)
    return failJSON("program: JSON has {0} bytes, more than {1}", text.size(),
                    ProgramLimits::textBytes);
  if (Error error = checkNesting(text))
    return std::move(error);
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return failJSON("program: not JSON: {0}", toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return failJSON("program: must be a JSON object, got {0}",
                    describe(*value));
  return ProgramReader(*object).run();
}

} // namespace fovea
