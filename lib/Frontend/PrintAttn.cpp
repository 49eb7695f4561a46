//===- PrintAttn.cpp - Programs to .attn text ----------------------------===//

#include "AttnExprPrinter.h"
#include "AttnNormalizers.h"
#include "AttnScope.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace llvm;

namespace fovea {

namespace {
class VariantPrinter {
public:
  explicit VariantPrinter(Program program) : program(std::move(program)) {}

  Expected<std::string> run();

private:
  Error fail(StringRef message) {
    return createStringError(inconvertibleErrorCode(),
                             "variant '" + program.name + "': " + message);
  }
  Error checkDims();
  void nameEverything();
  void nameDims();
  Error printDoc();
  Error printHeader();
  std::string formatCapture(unsigned index);
  Error formatParam(const Param &param, std::string &text);
  Error printClauses();
  Error printNormalizer();
  SmallVector<std::string, 2> formatArgument(const Region &region,
                                             unsigned node);
  void guessCalls(SmallVectorImpl<std::string> &calls);
  std::optional<std::string> findBuiltin();
  bool isBuiltin(StringRef call);

  Program program;
  PrintNames names;
  std::string text, header;
  raw_string_ostream os{text};
};
} // namespace

//===----------------------------------------------------------------------===//
// Names and the header
//===----------------------------------------------------------------------===//

/// Numbers that a .attn file may give as a dimension.
Error VariantPrinter::checkDims() {
  for (const Capture &capture : program.captures)
    for (const Dim &dim : capture.dims)
      if (dim.size.empty() && dim.value > std::numeric_limits<int32_t>::max())
        return fail("capture '" + capture.name + "': size is too large: " +
                    std::to_string(dim.value) + ", at most 2147483647");
  return Error::success();
}

/// A dimension whose extent is read needs a name; a size that the language
/// knows, or the first of two dimensions with one name, stands for the other.
void VariantPrinter::nameDims() {
  for (const Capture &capture : program.captures) {
    std::vector<std::string> &dims = names.dims.emplace_back();
    for (unsigned dim = 0; dim < capture.rank; ++dim) {
      Dim known = capture.dims.empty() ? Dim() : capture.dims[dim];
      if (known.size.empty())
        dims.push_back(known.value < 0 ? "_" : std::to_string(known.value));
      else if (isSizeName(known.size))
        dims.push_back(known.size);
      else if (auto it = names.sizes.find(known.size); it != names.sizes.end())
        dims.push_back(it->second);
      else
        dims.push_back(names.sizes[known.size] = names.makeUnique(known.size));
    }
  }
  for (unsigned index = 0; index < numRegionKinds; ++index) {
    const Region *region = getRegion(program, static_cast<RegionKind>(index));
    for (const Node &node : region ? region->nodes : std::vector<Node>()) {
      if (node.kind != NodeKind::Extent)
        continue;
      std::string &name = names.dims[node.capture][node.dim];
      if (name == "_")
        name = names.makeUnique(names.captures[node.capture] + "_" +
                                std::to_string(node.dim));
    }
  }
}

void VariantPrinter::nameEverything() {
  // Callers have arguments of these names.
  for (StringRef taken : {"k", "v", "target", "return_lse"})
    names.used.insert(taken);
  auto nameOf = [&](StringRef name) {
    bool isFree = !program.normalizer && isNormalizerName(name);
    return isFree && names.used.insert(name).second ? name.str()
                                                    : names.makeUnique(name);
  };
  for (const Capture &capture : program.captures)
    names.captures.push_back(nameOf(capture.name));
  for (const Param &param : program.params)
    names.params[param.name] = nameOf(param.name);
  nameDims();
}

Error VariantPrinter::printDoc() {
  if (program.doc.empty())
    return Error::success();
  SmallVector<StringRef> lines;
  std::string doc = json::fixUTF8(program.doc);
  StringRef(doc).split(lines, '\n');
  for (StringRef line : lines) {
    std::string clean = line.rtrim().str();
    for (char &c : clean)
      if (static_cast<unsigned char>(c) < 0x20)
        c = ' ';
    os << "##" << (clean.empty() ? "" : " ") << clean << '\n';
  }
  return Error::success();
}

std::string VariantPrinter::formatCapture(unsigned index) {
  const Capture &capture = program.captures[index];
  StringRef type =
      capture.dtype == DType::I1 ? "bool" : stringify(capture.dtype);
  std::string result = names.captures[index] + ": " + type.str() + "[" +
                       join(names.dims[index], ", ") + "]";
  auto format = [&](const Bound &bound) {
    if (bound.size.empty())
      return std::to_string(bound.value);
    auto it = names.sizes.find(bound.size);
    return it == names.sizes.end() ? bound.size : it->second;
  };
  if (capture.range)
    result += " in " + format(capture.range->first) + ".." +
              format(capture.range->second);
  return result;
}

Error VariantPrinter::formatParam(const Param &param, std::string &result) {
  result = names.params[param.name];
  switch (param.type) {
  case ValueType::I1:
    result += param.integer ? ": bool = true" : ": bool = false";
    break;
  case ValueType::I64:
    result += ": int = " + std::to_string(param.integer);
    break;
  case ValueType::F:
    if (std::isnan(param.real))
      return fail("the default of '" + param.name +
                  "' is NaN, which .attn cannot write");
    result += ": float = " + formatFloat(param.real);
    break;
  }
  return Error::success();
}

Error VariantPrinter::printHeader() {
  constexpr size_t maxLength = 100;
  SmallVector<std::string> params;
  for (unsigned index = 0; index < program.captures.size(); ++index)
    params.push_back(formatCapture(index));
  for (const Param &param : program.params) {
    std::string formatted;
    if (Error error = formatParam(param, formatted))
      return error;
    params.push_back(formatted);
  }
  // A variant may have the name of a region's argument.
  StringRef name = program.name;
  bool isName = !name.empty() && name.size() <= AttnLimits::nameBytes &&
                !isDigit(name.front()) &&
                all_of(name, [](char c) { return isAlnum(c) || c == '_'; });
  PrintNames own;
  header = "attention " + (isName ? program.name : own.makeUnique(name.str()));
  if (!params.empty()) {
    std::string line = header + "(" + join(params, ", ") + ")";
    header = line.size() + 2 <= maxLength
                 ? line
                 : header + "(\n    " + join(params, ",\n    ") + ")";
  }
  os << header << " {\n";
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Clauses
//===----------------------------------------------------------------------===//

Error VariantPrinter::printClauses() {
  ExprPrinter printer(names);
  SmallVector<std::pair<RegionKind, unsigned>> clauses;
  for (RegionKind kind :
       {RegionKind::Scale, RegionKind::Score, RegionKind::Mask})
    if (const Region *region = getRegion(program, kind))
      clauses.push_back({kind, printer.addRegion(*region)[0]});
  printer.printLets(os, "  ");
  if (printer.hasNaN())
    return fail("a constant is NaN, which .attn cannot write");
  for (auto [kind, handle] : clauses)
    os << "  " << stringify(kind) << " = " << printer.getText(handle) << '\n';
  return Error::success();
}

/// Whether a call gives the normaliser of the program, whatever its name.
bool VariantPrinter::isBuiltin(StringRef call) {
  std::string source = header + " {\n  normalizer = " + call.str() + "\n}\n";
  FailureOr<std::vector<Program>> parsed =
      parseAttn(source, "builtin", {}, nulls());
  if (failed(parsed) || !parsed->front().normalizer)
    return false;
  // Only the normalisers matter, not what captures are called.
  auto getKey = [&](const NormalizerSpec &spec) {
    Program only;
    only.name = "x";
    only.normalizer = spec;
    only.normalizer->name = "x";
    return canonicalKey(only);
  };
  return getKey(*parsed->front().normalizer) == getKey(*program.normalizer);
}

/// What can stand for a node as an argument: the name of a capture for its
/// element, or an expression that needs no let.
SmallVector<std::string, 2> VariantPrinter::formatArgument(const Region &region,
                                                           unsigned node) {
  SmallVector<std::string, 2> found;
  if (region.nodes[node].kind == NodeKind::Read)
    found.push_back(names.captures[region.nodes[node].capture]);
  std::vector<bool> isNeeded(node + 1);
  isNeeded[node] = true;
  for (unsigned id = node + 1; id-- > 0;)
    for (unsigned operand : region.nodes[id].operands)
      isNeeded[operand] = isNeeded[operand] || isNeeded[id];
  Region part;
  part.args = region.args;
  std::vector<unsigned> ids(node + 1);
  for (unsigned id = 0; id <= node; ++id) {
    if (!isNeeded[id])
      continue;
    ids[id] = part.nodes.size();
    Node &copy = part.nodes.emplace_back(region.nodes[id]);
    copy.name.clear();
    for (unsigned &operand : copy.operands)
      operand = ids[operand];
  }
  part.results = {ids[node]};
  PrintNames scratch = names;
  ExprPrinter printer(scratch);
  unsigned handle = printer.addRegion(part)[0];
  std::string lets;
  raw_string_ostream letStream(lets);
  printer.printLets(letStream, "");
  if (lets.empty() && !printer.hasNaN())
    found.push_back(printer.getText(handle).str());
  return found;
}

/// Calls that the weight, or the seed, looks like; the last word has isBuiltin.
void VariantPrinter::guessCalls(SmallVectorImpl<std::string> &calls) {
  auto guess = [&](StringRef name, const Region &region, unsigned node,
                   StringRef before = "") {
    for (const std::string &text : formatArgument(region, node))
      calls.push_back((name + "(" + before + text + ")").str());
  };
  const Region &weight = program.normalizer->weight;
  const Node &root = weight.nodes[weight.results[0]];
  auto operandsOf = [&](unsigned id) -> ArrayRef<unsigned> {
    return weight.nodes[id].operands;
  };
  if (root.kind == NodeKind::Sigmoid)
    for (unsigned operand : operandsOf(root.operands[0]))
      guess("sigmoid", weight, operand);
  if (root.kind == NodeKind::Softplus)
    for (unsigned operand : operandsOf(root.operands[0]))
      guess("softplus", weight, operand);
  if (root.kind == NodeKind::FDiv)
    guess("mean", weight, root.operands[1]);
  if (root.kind == NodeKind::FMul)
    for (unsigned factor : root.operands) {
      const Node &read = weight.nodes[factor];
      if (read.kind == NodeKind::Read && read.operands.size() == 1)
        for (unsigned term : operandsOf(read.operands[0]))
          guess("positional_product", weight, term,
                names.captures[read.capture] + ", ");
    }
  const Region *seed = getRegion(program, RegionKind::Seed);
  if (!seed)
    return;
  const Region *value = getRegion(program, RegionKind::SeedValue);
  for (const std::string &sigma : formatArgument(*seed, seed->results[0]))
    if (value)
      guess("sink", *value, value->results[0], sigma + ", ");
    else
      calls.push_back("sink(" + sigma + ")");
}

std::optional<std::string> VariantPrinter::findBuiltin() {
  SmallVector<std::string> calls(getPlainNormalizers().begin(),
                                 getPlainNormalizers().end());
  guessCalls(calls);
  const auto *found =
      find_if(calls, [&](StringRef call) { return isBuiltin(call); });
  if (found == calls.end())
    return std::nullopt;
  return *found;
}

Error VariantPrinter::printNormalizer() {
  if (!program.normalizer)
    return Error::success();
  if (std::optional<std::string> call = findBuiltin()) {
    os << "  normalizer = " << *call << '\n';
    return Error::success();
  }
  const NormalizerSpec &spec = *program.normalizer;
  ExprPrinter printer(names);
  SmallVector<std::pair<StringRef, unsigned>> clauses;
  SmallVector<unsigned> seed;
  for (RegionKind kind :
       {RegionKind::Stat, RegionKind::Weight, RegionKind::Denom})
    if (const Region *region = getRegion(program, kind))
      clauses.push_back({stringify(kind), printer.addRegion(*region)[0]});
  for (RegionKind kind : {RegionKind::Seed, RegionKind::SeedValue})
    if (const Region *region = getRegion(program, kind))
      seed.append(printer.addRegion(*region));
  std::optional<unsigned> finish;
  if (const Region *region = getRegion(program, RegionKind::Finish))
    finish = printer.addRegion(*region)[0];
  os << "  normalizer {\n";
  printer.printLets(os, "    ");
  if (printer.hasNaN())
    return fail("a constant is NaN, which .attn cannot write");
  for (auto [name, handle] : clauses)
    os << "    " << name << " = " << printer.getText(handle) << '\n';
  if (!seed.empty()) {
    SmallVector<StringRef> values;
    // An output to start from without (t0, l0) starts from their defaults.
    if (!spec.seed)
      values = {"-inf", "0.0"};
    for (unsigned handle : seed)
      values.push_back(printer.getText(handle));
    os << "    seed = (" << join(values, ", ") << ")\n";
  }
  if (finish)
    os << "    finish = " << printer.getText(*finish) << '\n';
  else if (spec.denom && spec.finishKind == FinishKind::Plain)
    os << "    finish = o\n";
  os << "  }\n";
  return Error::success();
}

Expected<std::string> VariantPrinter::run() {
  if (Error error = verifyProgram(program))
    return std::move(error);
  if (Error error = checkDims())
    return std::move(error);
  canonicalize(program);
  nameEverything();
  if (Error error = printDoc())
    return std::move(error);
  if (Error error = printHeader())
    return std::move(error);
  if (Error error = printClauses())
    return std::move(error);
  if (Error error = printNormalizer())
    return std::move(error);
  os << "}\n";
  return text;
}

Expected<std::string> printAttn(const Program &program) {
  return VariantPrinter(program).run();
}

Expected<std::string> printAttn(ArrayRef<Program> programs) {
  std::string text;
  for (const Program &program : programs) {
    Expected<std::string> variant = printAttn(program);
    if (!variant)
      return variant.takeError();
    text += (text.empty() ? "" : "\n") + *variant;
  }
  return text;
}

} // namespace fovea
