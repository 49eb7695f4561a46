//===- ProgramWriter.cpp - Program to JSON -------------------------------===//
//
// The text is a cache key, so it is written here byte by byte rather than by a
// general printer: keys sorted, no spaces, everything beyond ASCII escaped, as
// Python's json.dumps(p, sort_keys=True, separators=(",", ":")) does.
//
//===----------------------------------------------------------------------===//

#include "fovea/Frontend/Program.h"

#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/raw_ostream.h"

#include <charconv>

using namespace llvm;

namespace fovea {

static void writeEscape(raw_ostream &os, unsigned unit) {
  static const char digits[] = "0123456789abcdef";
  os << "\\u" << digits[(unit >> 12) & 15] << digits[(unit >> 8) & 15]
     << digits[(unit >> 4) & 15] << digits[unit & 15];
}

/// Bytes that are not UTF-8 become U+FFFD.
static void writeString(raw_ostream &os, StringRef text) {
  os << '"';
  const UTF8 *next = text.bytes_begin(), *end = text.bytes_end();
  while (next != end) {
    UTF32 point = 0;
    if (convertUTF8Sequence(&next, end, &point, strictConversion) !=
        conversionOK) {
      ++next;
      point = 0xFFFD;
    }
    switch (point) {
    case '"':
      os << "\\\"";
      break;
    case '\\':
      os << "\\\\";
      break;
    case '\n':
      os << "\\n";
      break;
    case '\r':
      os << "\\r";
      break;
    case '\t':
      os << "\\t";
      break;
    case '\b':
      os << "\\b";
      break;
    case '\f':
      os << "\\f";
      break;
    default:
      if (point >= 0x20 && point < 0x80) {
        os << static_cast<char>(point);
      } else if (point < 0x10000) {
        writeEscape(os, point);
      } else {
        writeEscape(os, 0xD800 + ((point - 0x10000) >> 10));
        writeEscape(os, 0xDC00 + ((point - 0x10000) & 0x3FF));
      }
    }
  }
  os << '"';
}

static void writeDouble(raw_ostream &os, double value) {
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  (void)error;
  StringRef text(buffer, end - buffer);
  os << text;
  if (text.find_first_of(".en") == StringRef::npos)
    os << ".0";
}

template <typename Range, typename Fn>
static void writeList(raw_ostream &os, const Range &range, Fn &&write) {
  os << '[';
  bool first = true;
  for (const auto &element : range) {
    if (!first)
      os << ',';
    first = false;
    write(element);
  }
  os << ']';
}

/// For the free-form part of locations; its nesting is limited on reading.
static void writeValue(raw_ostream &os, const json::Value &value) {
  if (const json::Array *array = value.getAsArray()) {
    writeList(os, *array, [&](const json::Value &v) { writeValue(os, v); });
  } else if (const json::Object *object = value.getAsObject()) {
    SmallVector<StringRef> keys;
    for (const auto &entry : *object)
      keys.push_back(entry.first);
    sort(keys);
    os << '{';
    for (StringRef key : keys) {
      if (key.data() != keys.front().data())
        os << ',';
      writeString(os, key);
      os << ':';
      writeValue(os, *object->get(key));
    }
    os << '}';
  } else if (std::optional<StringRef> text = value.getAsString()) {
    writeString(os, *text);
  } else if (std::optional<bool> flag = value.getAsBoolean()) {
    os << (*flag ? "true" : "false");
  } else if (std::optional<int64_t> integer = value.getAsInteger()) {
    os << *integer;
  } else if (std::optional<double> number = value.getAsNumber()) {
    writeDouble(os, *number);
  } else {
    os << "null";
  }
}

static void writeNode(raw_ostream &os, const Node &node) {
  os << "[\"" << getSignature(node.kind).name << '"';
  switch (node.kind) {
  case NodeKind::Arg:
  case NodeKind::Size:
  case NodeKind::Param:
    os << ',';
    writeString(os, node.symbol);
    break;
  case NodeKind::Const:
    os << ",\"" << stringify(node.type) << "\",";
    if (node.type == ValueType::F)
      os << '"' << formatHexFloat(node.real) << '"';
    else if (node.type == ValueType::I1)
      os << (node.integer ? "true" : "false");
    else
      os << node.integer;
    break;
  case NodeKind::Extent:
    os << ',' << node.capture << ',' << node.dim;
    break;
  case NodeKind::Read:
    os << ',' << node.capture;
    break;
  default:
    break;
  }
  for (unsigned operand : node.operands)
    os << ',' << operand;
  os << ']';
}

static void writeRegion(raw_ostream &os, const Region *region) {
  if (!region) {
    os << "null";
    return;
  }
  os << "{\"args\":";
  writeList(os, region->args, [&](StringRef arg) { writeString(os, arg); });
  os << ",\"nodes\":";
  writeList(os, region->nodes, [&](const Node &node) { writeNode(os, node); });
  os << ",\"results\":";
  writeList(os, region->results, [&](unsigned id) { os << id; });
  os << '}';
}

static void writeCapture(raw_ostream &os, const Capture &capture) {
  os << '{';
  if (!capture.dims.empty()) {
    os << "\"dims\":";
    writeList(os, capture.dims, [&](const Dim &dim) {
      if (!dim.size.empty())
        writeString(os, dim.size);
      else if (dim.value >= 0)
        os << dim.value;
      else
        os << "null";
    });
    os << ',';
  }
  os << "\"dtype\":\"" << stringify(capture.dtype) << "\",\"name\":";
  writeString(os, capture.name);
  auto writeBound = [&](const Bound &bound) {
    if (bound.size.empty())
      os << bound.value;
    else
      writeString(os, bound.size);
  };
  if (capture.range) {
    os << ",\"range\":[";
    writeBound(capture.range->first);
    os << ',';
    writeBound(capture.range->second);
    os << ']';
  }
  os << ",\"rank\":" << capture.rank << '}';
}

static void writeParam(raw_ostream &os, const Param &param) {
  os << "{\"dtype\":\"" << stringify(param.type) << "\",\"name\":";
  writeString(os, param.name);
  os << ",\"value\":";
  if (param.type == ValueType::F)
    os << '"' << formatHexFloat(param.real) << '"';
  else if (param.type == ValueType::I1)
    os << (param.integer ? "true" : "false");
  else
    os << param.integer;
  os << '}';
}

static void writeNormalizer(raw_ostream &os, const Program &program) {
  if (!program.normalizer) {
    os << "\"softmax\"";
    return;
  }
  const NormalizerSpec &spec = *program.normalizer;
  auto write = [&](RegionKind kind) {
    writeRegion(os, getRegion(program, kind));
  };
  os << "{\"denom\":";
  write(RegionKind::Denom);
  os << ",\"finish\":";
  if (spec.finishKind == FinishKind::Custom)
    write(RegionKind::Finish);
  else
    os << (spec.finishKind == FinishKind::OverL ? "\"o/l\"" : "\"o\"");
  os << ",\"name\":";
  writeString(os, spec.name);
  os << ",\"seed\":";
  write(RegionKind::Seed);
  os << ",\"seed_value\":";
  write(RegionKind::SeedValue);
  os << ",\"stat\":";
  write(RegionKind::Stat);
  os << ",\"weight\":";
  write(RegionKind::Weight);
  os << '}';
}

/// The free-form locations with what lives in the nodes put back.
static std::optional<json::Value> collectLocations(const Program &program) {
  json::Object all;
  if (program.locations) {
    const json::Object *object = program.locations->getAsObject();
    if (!object)
      return program.locations;
    all = *object;
  }
  if (!program.file.empty())
    all["file"] = json::fixUTF8(program.file);
  json::Object regions;
  for (unsigned index = 0; index < numRegionKinds; ++index) {
    auto kind = static_cast<RegionKind>(index);
    const Region *region = getRegion(program, kind);
    json::Array entries;
    for (unsigned id = 0; region && id < region->nodes.size(); ++id) {
      const Node &node = region->nodes[id];
      if (!node.name.empty() || node.line != 0)
        entries.push_back(
            json::Array{id, node.line, node.column, json::fixUTF8(node.name)});
    }
    if (!entries.empty())
      regions[stringify(kind)] = std::move(entries);
  }
  if (!regions.empty())
    all["nodes"] = std::move(regions);
  if (all.empty())
    return std::nullopt;
  return json::Value(std::move(all));
}

static std::string print(const Program &program, bool withDoc,
                         bool withLocations) {
  std::string text;
  raw_string_ostream os(text);
  os << '{';
  if (!program.headDims.empty()) {
    os << "\"D\":";
    writeList(os, program.headDims, [&](int64_t dim) { os << dim; });
    os << ',';
  }
  if (program.valueDim)
    os << "\"E\":" << *program.valueDim << ',';
  os << "\"block_mask\":" << (program.blockMask ? "true" : "false")
     << ",\"captures\":";
  writeList(os, program.captures,
            [&](const Capture &capture) { writeCapture(os, capture); });
  if (withDoc && !program.doc.empty()) {
    os << ",\"doc\":";
    writeString(os, program.doc);
  }
  if (program.dtype)
    os << ",\"dtype\":\"" << stringify(*program.dtype) << '"';
  os << ",\"fovea\":1";
  if (withLocations) {
    if (std::optional<json::Value> locations = collectLocations(program)) {
      os << ",\"locations\":";
      writeValue(os, *locations);
    }
  }
  os << ",\"mask\":";
  writeRegion(os, getRegion(program, RegionKind::Mask));
  os << ",\"name\":";
  writeString(os, program.name);
  os << ",\"normalizer\":";
  writeNormalizer(os, program);
  os << ",\"params\":";
  writeList(os, program.params,
            [&](const Param &param) { writeParam(os, param); });
  os << ",\"return_lse\":" << (program.returnLse ? "true" : "false")
     << ",\"scale\":";
  writeRegion(os, getRegion(program, RegionKind::Scale));
  os << ",\"score\":";
  writeRegion(os, getRegion(program, RegionKind::Score));
  os << '}';
  return text;
}

std::string printProgram(const Program &program, bool withLocations) {
  return print(program, /*withDoc=*/true, withLocations);
}

std::string canonicalKey(const Program &program) {
  return print(program, /*withDoc=*/false, /*withLocations=*/false);
}

} // namespace fovea
