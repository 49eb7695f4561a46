//===- Header.cpp - The C header of an object -----------------------------===//
#include "fovea/AheadOfTime/AheadOfTime.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Frontend/ConstantIndices.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"

#include <array>

using namespace fovea;

namespace {
/// What all headers share: descriptors, the kernels' arguments, the driver.
const char commonText[] =
#include "HeaderCommon.inc"
    ;

/// A name as it stands in a string or a comment of C: MLIR text may hold any.
std::string spell(llvm::StringRef name) {
  std::string spelled;
  for (unsigned char c : name) {
    if (llvm::isAlnum(c) || llvm::StringRef("_-. ").contains(c)) {
      spelled += c;
      continue;
    }
    spelled += '\\';
    for (int shift : {6, 3, 0})
      spelled += static_cast<char>('0' + (c >> shift & 7));
  }
  return spelled;
}

/// Writes one header.
class HeaderWriter {
public:
  HeaderWriter(const Program &program, llvm::ArrayRef<ObjectVersion> versions,
               llvm::StringRef name, const KeySearch &search)
      : program(program), constantIndices(findConstantIndices(program)),
        versions(versions), name(name), search(search), os(text) {
    for (size_t i = 0; i < program.headDims.size(); ++i) {
      queries.push_back(i ? "q" + std::to_string(i + 1) : "q");
      keys.push_back(i ? "k" + std::to_string(i + 1) : "k");
    }
    nameFunctions();
    for (const Capture &capture : program.captures) {
      captures.push_back(nameParameter(capture.name));
      spellings.push_back(spell(capture.name));
    }
  }

  std::string write() {
    std::string guard = ("FOVEA_KERNEL_" + name + "_H").str();
    os << "/* " << name << ".h - written by foveac: the attention variant '"
       << spell(program.name) << "', D = " << program.headDims.front()
       << ", E = " << program.valueDim.value_or(0) << ", "
       << stringify(*program.dtype) << ".\n * Link " << name
       << ".o and the mathematical library (-lm). Include fovea.h, where both "
          "are\n * used, before this file.\n"
       << describeKeys() << describeFewQueries() << " */\n"
       << "#ifndef " << guard << "\n#define " << guard << "\n\n"
       << commonText << "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
    writeVersions();
    writeFunction();
    os << "\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* " << guard << " */\n";
    return text;
  }

private:
  std::string nameParameter(llvm::StringRef capture);
  void nameFunctions();
  std::string symbolOf(const ObjectVersion &version, llvm::StringRef form);
  void writeVersions();
  void writeTest(const CPUTarget &target);
  std::string describeScale() const;
  std::string describeKeys() const;
  std::string describeFewQueries() const;
  void writeParameters();
  void writeFunction();
  void writeCapture(size_t index);
  std::array<std::string, 3> describeDim(const Dim &dim) const;
  void writeDims(size_t index);
  void writeApart();

  const Program &program;
  std::vector<ConstantIndex> constantIndices;
  llvm::ArrayRef<ObjectVersion> versions;
  llvm::StringRef name;
  const KeySearch &search;
  llvm::StringSet<> used, functions;
  llvm::SmallVector<std::string, 2> queries, keys;
  llvm::SmallVector<std::string, 4> captures;  // their parameters
  llvm::SmallVector<std::string, 4> spellings; // of their names in C's strings
  std::string text;
  llvm::raw_string_ostream os;
};
} // namespace

/// The capture's name. Where C may have a meaning for that, or the header has,
/// it is capture_ and the name's letters and digits: no word and no macro is of
/// that form.
std::string HeaderWriter::nameParameter(llvm::StringRef capture) {
  static const llvm::StringSet<> own = {
      "v",      "out",  "lse",       "scale",
      "scales", "call", "workspace", "workspace_bytes",
      "options"};
  auto isTensor = [&](llvm::StringRef name) {
    return llvm::is_contained(queries, name) || llvm::is_contained(keys, name);
  };
  if (isIdentifier(capture) && findRuleOfC(capture).empty() &&
      !isNameOfLibrary(capture) && !capture.starts_with("capture") &&
      !own.contains(capture) && !functions.contains(capture) &&
      !isTensor(capture))
    return capture.str();
  std::string wanted = "capture";
  bool joined = false;
  for (char c : capture) {
    if (llvm::isAlnum(c) && !joined)
      wanted += '_';
    joined = llvm::isAlnum(c);
    if (joined)
      wanted += c;
  }
  std::string name = wanted;
  for (unsigned number = 2; !used.insert(name).second; ++number)
    name = wanted + "_" + std::to_string(number);
  return name;
}

/// The processor test of a version, in the spelling of GCC and Clang.
void HeaderWriter::writeTest(const CPUTarget &target) {
  llvm::SmallVector<llvm::StringRef, 8> needs;
  if (target.cpu == "x86-64-v4")
    needs = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};
  if (target.cpu == "x86-64-v4" || target.cpu == "x86-64-v3")
    needs.append({"avx2", "fma", "bmi", "bmi2"});
  if (target.cpu == "x86-64-v2")
    needs = {"sse4.2", "popcnt"};
  llvm::StringRef features = target.features;
  while (!features.empty()) {
    auto [first, rest] = features.split(',');
    needs.push_back(first.drop_front());
    features = rest;
  }
  os << "1";
  for (llvm::StringRef feature : needs)
    os << " &&\n      __builtin_cpu_supports(\"" << feature << "\")";
  if (llvm::is_contained(needs, "amx-tile"))
    os << " &&\n      fovea_aot_may_use_tiles()";
}

static const char *const forms[] = {"_i32",     "_i32_exact", "_i32_few",
                                    "_i32_one", "_i64",       "_i64_exact",
                                    "_i64_few", "_i64_one"};

static bool hasForm(const ObjectVersion &version, llvm::StringRef form) {
  if (form.ends_with("_few"))
    return version.fewRows > 0;
  return !form.ends_with("_one") || version.oneRow != FOVEA_CPU_ONE_ROW_NONE;
}

static llvm::StringRef describe(fovea_cpu_one_row which) {
  switch (which) {
  case FOVEA_CPU_ONE_ROW_NONE:
    return "FOVEA_CPU_ONE_ROW_NONE";
  case FOVEA_CPU_ONE_ROW_OF_HEADS:
    return "FOVEA_CPU_ONE_ROW_OF_HEADS";
  case FOVEA_CPU_ONE_ROW_ALL:
    return "FOVEA_CPU_ONE_ROW_ALL";
  }
  llvm_unreachable("all calls are named");
}

/// What the names of a version's functions for a form begin with.
std::string HeaderWriter::symbolOf(const ObjectVersion &version,
                                   llvm::StringRef form) {
  return (name + "_" + version.name + form).str();
}

/// The names that the header declares.
void HeaderWriter::nameFunctions() {
  functions.insert(name);
  functions.insert((name + "_kernels").str());
  for (const ObjectVersion &version : versions)
    for (const char *form : forms)
      for (const char *function : {"_plan", "_run"})
        functions.insert(symbolOf(version, form) + function);
}

void HeaderWriter::writeVersions() {
  for (const ObjectVersion &version : versions)
    for (const char *form : forms) {
      if (!hasForm(version, form))
        continue;
      std::string symbol = symbolOf(version, form);
      os << "int64_t " << symbol
         << "_plan(const fovea_cpu_args *, fovea_cpu_plan *);\n"
         << "int64_t " << symbol
         << "_run(const fovea_cpu_args *, int64_t, int64_t, int64_t, void "
            "*);\n";
    }
  os << "\n/* The kernels for this processor, for positions below 2^30 and for "
        "all; null\n   where no version fits. */\n"
        "static inline const fovea_aot_forms *"
     << name << "_kernels(void) {\n";
  for (const ObjectVersion &version : versions) {
    os << "  static const fovea_aot_forms " << version.name << "[2] = {\n";
    for (const char *bits : {"_i32", "_i64"}) {
      std::string symbol = symbolOf(version, bits);
      auto pair = [&](llvm::StringRef form) -> std::string {
        if (!hasForm(version, form))
          return "{NULL, NULL}";
        return "{" + symbol + form.str() + "_plan, " + symbol + form.str() +
               "_run}";
      };
      os << "      {" << pair("");
      for (const char *form : {"_exact", "_few", "_one"})
        os << ",\n       " << pair(form);
      os << ",\n       " << version.fewRows << ", " << describe(version.oneRow)
         << "},\n";
    }
    os << "  };\n";
  }
  os << "#if defined(__x86_64__)\n  __builtin_cpu_init();\n";
  for (const ObjectVersion &version : versions) {
    os << "  if (";
    writeTest(version.target);
    os << ")\n    return " << version.name << "; /* " << version.target.name
       << " */\n";
  }
  os << "  return NULL;\n#else\n  return v0;\n#endif\n}\n\n";
}

/// The variant's scale clause with its lets, as .attn writes them: the caller
/// computes it.
std::string HeaderWriter::describeScale() const {
  if (!program.scale)
    return "usually 1 / sqrt(" + std::to_string(program.headDims.front()) + ")";
  Program clause = program;
  clause.score.reset();
  clause.mask.reset();
  clause.normalizer.reset();
  llvm::Expected<std::string> printed = printAttn(clause);
  if (!printed) { // a NaN
    llvm::consumeError(printed.takeError());
    return "the variant's";
  }
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(*printed).rsplit("{\n").second.split(lines, '\n', -1, false);
  lines.pop_back(); // the closing brace
  for (llvm::StringRef &line : lines)
    line = line.trim();
  return "the variant's: " + llvm::join(lines, "; ");
}

/// What a call costs beside the pairs that are visible.
std::string HeaderWriter::describeKeys() const {
  if (search.scanReason.empty()) {
    if (!program.mask)
      return " * Keys: all of them are visible.";
    std::string found =
        " * Keys: each call visits intervals of them, which the "
        "mask gives in closed form";
    return search.farReason.empty()
               ? found + "."
               : found + ";\n * where a position lies outside 0 ... 2^30, it "
                         "evaluates the mask at all of them.";
  }
  return " * Keys: each call evaluates the mask at all of them, as " +
         search.scanReason +
         ";\n * where options->tiles says which tiles of them are visible, "
         "only "
         "there.\n * Its query_tile is a multiple of " +
         std::to_string(search.tileRows()) + " rows.";
}

/// Which calls take keys in parts, many threads to a head.
std::string HeaderWriter::describeFewQueries() const {
  llvm::SmallVector<std::string> parts;
  for (const ObjectVersion &version : versions)
    if (version.fewRows > 0)
      parts.push_back(
          (llvm::Twine(version.fewRows) + " (" + version.target.name + ")")
              .str());
  if (parts.empty())
    return "";
  return "\n * Few queries: without options->tiles, calls of at most so many "
         "rows a key head\n * (queries times heads a key head) split the keys "
         "among the threads:\n * " +
         llvm::join(parts, ", ") + ".";
}

void HeaderWriter::writeParameters() {
  auto tensor = [&](llvm::StringRef parameter, const llvm::Twine &what) {
    os << "    const fovea_tensor *" << parameter << ", /* " << what << " */\n";
  };
  llvm::StringRef dtype = stringify(*program.dtype);
  for (size_t i = 0; i < queries.size(); ++i) {
    tensor(queries[i],
           dtype + " [B,Hq,M," + llvm::Twine(program.headDims[i]) + "]");
    tensor(keys[i],
           dtype + " [B or 1,Hk,N," + llvm::Twine(program.headDims[i]) + "]");
  }
  tensor("v", dtype + " [B or 1,Hk,N," +
                  llvm::Twine(program.valueDim.value_or(0)) + "]");
  for (size_t i = 0; i < captures.size(); ++i)
    tensor(captures[i], spellings[i] + ": " +
                            stringify(program.captures[i].dtype) + ", rank " +
                            llvm::Twine(program.captures[i].rank));
  tensor("out",
         dtype + " [B,Hq,M," + llvm::Twine(program.valueDim.value_or(0)) + "]");
  tensor("lse", program.returnLse ? "[B,Hq,M], or null" : "null");
  if (queries.size() == 1)
    os << "    double scale, /* " << describeScale() << " */\n";
  else
    os << "    const double *scales, /* one for each pair */\n";
  os << "    void *workspace, /* null: only store the bytes it needs */\n"
        "    size_t *workspace_bytes,\n"
        "    const fovea_aot_options *options /* null: serial, no offsets */";
}

void HeaderWriter::writeCapture(size_t index) {
  const Capture &capture = program.captures[index];
  os << "  if (!fovea_aot_capture(&call, " << captures[index] << ", \""
     << spellings[index] << "\", " << static_cast<int>(capture.dtype) << ", "
     << capture.rank << ", &fovea_aot_captures[" << index
     << "]))\n    return call.status;\n";
  writeDims(index);
  bool features = program.valueDim.value_or(0) > 0 ||
                  llvm::none_of(capture.dims,
                                [](const Dim &dim) { return dim.size == "E"; });
  os << "  if (!fovea_aot_elements(&call, " << captures[index] << ", \""
     << spellings[index] << "\", " << features << ", &fovea_aot_captures["
     << index << "]))\n    return call.status;\n";
  static_assert(ProgramLimits::rank == 64, "as the header counts on");
  for (const ConstantIndex &at : constantIndices)
    if (at.capture == index)
      os << "  if (!fovea_aot_index(&call, " << captures[index] << ", \""
         << spellings[index] << "\", " << at.dim << ", " << at.index
         << "))\n    return call.status;\n";
}

/// Name, binding capture and value of a known dimension, as C.
std::array<std::string, 3> HeaderWriter::describeDim(const Dim &dim) const {
  if (dim.size.empty())
    return {"NULL", "NULL", std::to_string(dim.value)};
  std::string size = "\"" + spell(dim.size) + "\"";
  if (isSizeName(dim.size))
    return {size, "NULL",
            llvm::StringSwitch<std::string>(dim.size)
                .Case("B", "call.args.batch")
                .Case("H", "call.args.query_heads")
                .Case("Hk", "call.args.kv_heads")
                .Case("M", "call.args.query_length")
                .Case("N", "call.args.kv_length")
                .Case("D", std::to_string(program.headDims.front()))
                .Default(std::to_string(program.valueDim.value_or(0)))};
  for (auto [capture, name, spelling] :
       llvm::zip(program.captures, captures, spellings))
    for (auto [at, other] : llvm::enumerate(capture.dims))
      if (other.size == dim.size)
        return {size, "\"" + spelling + "\"",
                name + "->sizes[" + std::to_string(at) + "]"};
  llvm_unreachable("the capture itself has the size");
}

/// Checks of the sizes that the variant declares for a capture.
void HeaderWriter::writeDims(size_t index) {
  const Capture &capture = program.captures[index];
  for (auto [at, dim] : llvm::enumerate(capture.dims)) {
    if (!dim.isKnown())
      continue;
    auto [size, first, wanted] = describeDim(dim);
    os << "  if (!fovea_aot_dim(&call, " << captures[index] << ", \""
       << spellings[index] << "\", " << at << ", " << size << ", " << first
       << ", " << wanted << "))\n    return call.status;\n";
  }
}

/// No result lies where another or an input does.
void HeaderWriter::writeApart() {
  using Entry = std::pair<llvm::StringRef, llvm::StringRef>; // with spelling
  llvm::SmallVector<Entry> others;
  for (llvm::StringRef input : llvm::concat<std::string>(queries, keys))
    others.push_back({input, input});
  others.push_back({"v", "v"});
  for (auto [capture, spelling] : llvm::zip(captures, spellings))
    others.push_back({capture, spelling});
  auto check = [&](llvm::StringRef written, Entry other) {
    os << "  if (!fovea_aot_apart(&call, " << written << ", \"" << written
       << "\", " << other.first << ", \"must not lie where " << other.second
       << " does\"))\n    return call.status;\n";
  };
  for (Entry other : others)
    check("out", other);
  if (!program.returnLse)
    return;
  check("lse", {"out", "out"});
  for (Entry other : others)
    check("lse", other);
}

void HeaderWriter::writeFunction() {
  int dtype = static_cast<int>(*program.dtype);
  DType score = *program.dtype == DType::F64 ? DType::F64 : DType::F32;
  size_t pairs = queries.size();
  os << "/* Returns 0, or 1 for a wrong argument and 8 where no version fits "
        "this\n   processor, with a text in options->message. The bytes of a "
        "workspace are those\n   for options->kv_lengths, and shorter ones, "
        "where the call that asks has them. */\n"
        "static inline int "
     << name << "(\n";
  writeParameters();
  os << ") {\n  fovea_aot_call call;\n"
     << "  fovea_cpu_tensor fovea_aot_queries[" << pairs << "], fovea_aot_keys["
     << pairs << "];\n"
     << "  fovea_cpu_capture fovea_aot_captures["
     << std::max<size_t>(captures.size(), 1) << "];\n"
     << "  fovea_aot_begin(&call, options);\n";
  for (size_t i = 0; i < pairs; ++i)
    os << "  if (!fovea_aot_query(&call, " << queries[i] << ", \"" << queries[i]
       << "\", " << dtype << ", " << program.headDims[i]
       << ", &fovea_aot_queries[" << i << "], " << i << ") ||\n"
       << "      !fovea_aot_key(&call, " << keys[i] << ", \"" << keys[i]
       << "\", " << dtype << ", " << program.headDims[i] << ", &fovea_aot_keys["
       << i << "], " << i << "))\n    return call.status;\n";
  int64_t e = program.valueDim.value_or(0);
  os << "  if (!fovea_aot_key(&call, v, \"v\", " << dtype << ", " << e
     << ", &call.args.value, 1) ||\n"
     << "      !fovea_aot_out(&call, out, \"out\", " << dtype << ", 4, " << e
     << ", &call.args.out))\n    return call.status;\n";
  if (program.returnLse)
    os << "  if (lse && !fovea_aot_out(&call, lse, \"lse\", "
       << static_cast<int>(score)
       << ", 3, 0, &call.args.lse))\n    return call.status;\n";
  else
    os << "  if (lse) {\n    fovea_aot_fail(&call, 1, \"lse\", \"the "
          "normalizer has no denominator\");\n    return call.status;\n  }\n";
  for (size_t i = 0; i < captures.size(); ++i)
    writeCapture(i);
  writeApart();
  os << "  call.args.queries = fovea_aot_queries;\n"
        "  call.args.keys = fovea_aot_keys;\n"
        "  call.args.captures = fovea_aot_captures;\n"
        "  if (!fovea_aot_scales(&call, "
     << (pairs == 1 ? "\"scale\", &scale, " : "\"scales\", scales, ") << pairs
     << ", " << (score == DType::F64) << "))\n    return call.status;\n"
     << "  return fovea_aot_run(&call, " << name
     << "_kernels(), \"this object has ";
  llvm::interleave(
      versions, os,
      [&](const ObjectVersion &version) { os << version.target.name; }, ", ");
  os << "\", " << search.tileRows() << ", workspace, workspace_bytes);\n}\n";
}

std::string fovea::writeHeader(const Program &program,
                               llvm::ArrayRef<ObjectVersion> versions,
                               llvm::StringRef name, const KeySearch &keys) {
  return HeaderWriter(program, versions, name, keys).write();
}
