//===- ReadSource.cpp - From a source text to a complete program ----------===//
#include "fovea/Runtime/ReadSource.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;
using llvm::Twine;

using Defines = std::vector<std::pair<std::string, std::string>>;

static llvm::Error invalid(const Twine &text) {
  return makeError(FOVEA_INVALID_ARGUMENT, text);
}

static llvm::Expected<Program> readAttn(const ReadOptions &options,
                                        std::string *warnings) {
  const std::string &name = options.name;
  std::string text;
  llvm::raw_string_ostream os(text);
  auto programs = parseAttn(options.text, name, options.defines, os);
  if (failed(programs))
    return makeError(FOVEA_PARSE_ERROR, llvm::StringRef(text).rtrim());
  if (warnings)
    *warnings += text;
  std::string names;
  for (Program &program : *programs) {
    if (options.variant.empty() ? programs->size() == 1
                                : program.name == options.variant)
      return std::move(program);
    names += (names.empty() ? "" : ", ") + program.name;
  }
  if (programs->empty())
    return invalid(name + ": has no attention variant");
  if (!options.variant.empty())
    return invalid("variant: " + name + " has " + names + ", got '" +
                   options.variant + "'");
  return invalid("variant: " + name + " has several, name one of " + names);
}

/// Gives compile-time parameters of a Program other values.
static llvm::Error applyDefines(Program &program, const Defines &defines) {
  for (const auto &[name, value] : defines) {
    Param *found = nullptr;
    for (Param &param : program.params)
      if (param.name == name)
        found = &param;
    if (!found)
      return invalid("defines: no compile-time parameter '" + name + "'");
    bool wrong = false;
    if (found->type == ValueType::F)
      wrong = llvm::StringRef(value).getAsDouble(found->real);
    else if (found->type == ValueType::I1 &&
             (value == "true" || value == "false"))
      found->integer = value == "true";
    else
      wrong = llvm::StringRef(value).getAsInteger(10, found->integer) ||
              (found->type == ValueType::I1 &&
               (found->integer < 0 || found->integer > 1));
    if (wrong)
      return invalid("defines: '" + name + "' is of type " +
                     stringify(found->type) + ", got '" + value + "'");
  }
  return llvm::Error::success();
}

static llvm::Error applyTypes(Program &program, const ReadOptions &options) {
  if (!options.dtype.empty()) {
    std::optional<DType> dtype = parseDType(options.dtype);
    if (!dtype || !isFloat(*dtype))
      return invalid("dtype: must be f16, bf16, f32 or f64, got '" +
                     options.dtype + "'");
    program.dtype = *dtype;
  }
  if (!program.dtype)
    return invalid("dtype: the source gives none");
  if (options.headDim < 0 || options.headDim > ProgramLimits::headDim)
    return invalid("head_dim: must lie within 1 and " +
                   Twine(ProgramLimits::headDim) + ", got " +
                   Twine(options.headDim));
  if (options.headDim > 0)
    program.headDims.assign(std::max<size_t>(program.headDims.size(), 1),
                            options.headDim);
  if (program.headDims.empty())
    return invalid("head_dim: the source gives none");
  if (options.valueDim < -1 || options.valueDim > ProgramLimits::headDim)
    return invalid("value_dim: must lie within 0 and " +
                   Twine(ProgramLimits::headDim) + ", got " +
                   Twine(options.valueDim));
  if (options.valueDim >= 0)
    program.valueDim = options.valueDim;
  else if (!program.valueDim)
    program.valueDim = program.headDims.front();
  return llvm::Error::success();
}

static llvm::Error applyFlags(Program &program, const ReadOptions &options) {
  for (auto [name, value] :
       {std::pair("want_lse", options.wantLse),
        std::pair("want_block_mask", options.wantBlockMask)})
    if (value < -1 || value > 1)
      return invalid(Twine(name) + ": must be -1, 0 or 1, got " + Twine(value));
  if (options.wantLse >= 0)
    program.returnLse = options.wantLse != 0;
  if (options.wantBlockMask >= 0)
    program.blockMask = options.wantBlockMask != 0;
  if (program.returnLse && program.normalizer && !program.normalizer->denom)
    return invalid("return_lse: the normalizer '" + program.normalizer->name +
                   "' has no denominator");
  return llvm::Error::success();
}

llvm::Expected<Program> fovea::readSource(const ReadOptions &options,
                                          std::string *warnings) {
  auto program = options.kind == SourceKind::Attn ? readAttn(options, warnings)
                 : options.kind == SourceKind::MLIR
                     ? readMLIRProgram(options.text, options.name)
                     : parseProgram(options.text);
  if (!program) {
    auto [status, text] = takeStatus(program.takeError());
    return makeError(status == FOVEA_COMPILE_ERROR ? FOVEA_PARSE_ERROR : status,
                     text);
  }
  if (options.kind != SourceKind::Attn)
    if (llvm::Error error = applyDefines(*program, options.defines))
      return std::move(error);
  for (auto step : {applyTypes, applyFlags})
    if (llvm::Error error = step(*program, options))
      return std::move(error);
  canonicalize(*program);
  if (llvm::Error error = verifyProgram(*program))
    return invalid(takeStatus(std::move(error)).second);
  return program;
}

llvm::Expected<std::pair<std::string, std::string>>
fovea::splitDefine(llvm::StringRef define) {
  auto [name, value] = define.split('=');
  if (name.empty() || value.empty())
    return invalid("defines: must be NAME=VALUE, got '" + define + "'");
  return std::pair(name.str(), value.str());
}
