//===- ReadSource.cpp - From a source to a complete program ---------------===//
#include "fovea/Runtime/ReadSource.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

#include <tuple>

using namespace fovea;
using llvm::Twine;

/// The variant that is asked for, or the only one.
static llvm::Expected<Program> choose(std::vector<Program> programs,
                                      const ReadOptions &options) {
  std::string names;
  for (Program &program : programs) {
    if (options.variant.empty() ? programs.size() == 1
                                : program.name == options.variant)
      return std::move(program);
    names += (names.empty() ? "" : ", ") + program.name;
  }
  if (options.variant.empty())
    return invalid(options.name +
                   ": holds several variants, name one of: " + names);
  return invalid(options.name + ": has no variant '" + options.variant +
                 "', there is: " + names);
}

static llvm::Expected<Program> readAttn(const ReadOptions &options,
                                        std::string *warnings) {
  std::string text;
  llvm::raw_string_ostream os(text);
  auto programs = parseAttn(options.text, options.name, options.defines, os,
                            options.variant);
  if (failed(programs))
    return makeError(FOVEA_PARSE_ERROR, llvm::StringRef(text).rtrim());
  if (warnings)
    *warnings += text;
  return choose(std::move(*programs), options);
}

static llvm::Expected<Program> readMLIR(const ReadOptions &options) {
  auto programs = readMLIRPrograms(options.text, options.name);
  if (!programs)
    return programs.takeError();
  return choose(std::move(*programs), options);
}

/// Whether the text is a value of the parameter's type, which it gets then.
static bool bindParam(Param &param, llvm::StringRef value) {
  switch (param.type) {
  case ValueType::F:
    return !value.getAsDouble(param.real);
  case ValueType::I64:
    return !value.getAsInteger(10, param.integer);
  case ValueType::I1:
    param.integer = value == "true" || value == "1";
    return param.integer || value == "false" || value == "0";
  }
  return false;
}

/// Gives compile-time parameters of a Program other values.
static llvm::Error applyDefines(Program &program, const ReadOptions &options) {
  for (const auto &[name, value] : options.defines) {
    auto param = llvm::find_if(program.params, [name = name](const Param &p) {
      return p.name == name;
    });
    if (param == program.params.end())
      return invalid(options.defineOption + ": no compile-time parameter '" +
                     name + "'");
    if (!bindParam(*param, value))
      return invalid(options.defineOption + ": '" + name + "' is of type " +
                     stringify(param->type) + ", got '" + value + "'");
  }
  return llvm::Error::success();
}

llvm::Expected<DType> fovea::parseInputDType(llvm::StringRef text,
                                             llvm::StringRef option) {
  std::optional<DType> dtype = parseDType(text);
  if (!dtype || !isFloat(*dtype))
    return invalid(option + ": must be f16, bf16, f32 or f64, got '" + text +
                   "'");
  return *dtype;
}

static llvm::Error applyTypes(Program &program, const ReadOptions &options) {
  if (!options.dtype.empty()) {
    auto dtype = parseInputDType(options.dtype, "dtype");
    if (!dtype)
      return dtype.takeError();
    program.dtype = *dtype;
  }
  if (!program.dtype)
    program.dtype = options.defaultDType;
  if (!program.dtype)
    return invalid("dtype: the source gives none");
  return llvm::Error::success();
}

llvm::Error fovea::checkDims(const ReadOptions &options) {
  for (auto [name, dim, least] :
       {std::tuple(options.headDimOption, options.headDim, 1),
        std::tuple(options.valueDimOption, options.valueDim, 0)})
    if (dim && (*dim < least || *dim > ProgramLimits::headDim))
      return invalid(Twine(name) + " must lie within " + Twine(least) +
                     " and " + Twine(ProgramLimits::headDim) + ", got " +
                     Twine(*dim));
  return llvm::Error::success();
}

/// The dims that MLIR has, in the types of its tensors, are those given.
static llvm::Error checkDimsOfSource(const Program &program,
                                     const ReadOptions &options) {
  auto check = [](llvm::StringRef option, std::optional<int64_t> given,
                  int64_t dim) -> llvm::Error {
    if (!given || *given == dim)
      return llvm::Error::success();
    return invalid(option + " must be " + Twine(dim) +
                   ", as the source says, got " + Twine(*given));
  };
  for (int64_t dim : program.headDims)
    if (llvm::Error error = check(options.headDimOption, options.headDim, dim))
      return error;
  if (program.valueDim)
    return check(options.valueDimOption, options.valueDim, *program.valueDim);
  return llvm::Error::success();
}

static llvm::Error applyDims(Program &program, const ReadOptions &options) {
  if (llvm::Error error = checkDims(options))
    return error;
  if (options.kind == SourceKind::MLIR)
    if (llvm::Error error = checkDimsOfSource(program, options))
      return error;
  if (options.headDim)
    program.headDims.assign(std::max<size_t>(program.headDims.size(), 1),
                            *options.headDim);
  if (program.headDims.empty())
    return llvm::make_error<UsageError>(
        (options.headDimOption + " must be given, as the source has none")
            .str());
  if (options.valueDim)
    program.valueDim = options.valueDim;
  if (!program.valueDim)
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
  for (size_t i = 0; i < options.defines.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (options.defines[i].first == options.defines[j].first)
        return invalid(options.defineOption + ": '" + options.defines[i].first +
                       "' is given twice");
  auto program = options.kind == SourceKind::Attn ? readAttn(options, warnings)
                 : options.kind == SourceKind::MLIR
                     ? readMLIR(options)
                     : parseProgram(options.text);
  if (!program) {
    auto [status, text] = takeStatus(program.takeError());
    return makeError(status == FOVEA_COMPILE_ERROR ? FOVEA_PARSE_ERROR : status,
                     text);
  }
  if (options.kind != SourceKind::Attn)
    if (llvm::Error error = applyDefines(*program, options))
      return std::move(error);
  for (auto step : {applyTypes, applyDims, applyFlags})
    if (llvm::Error error = step(*program, options))
      return std::move(error);
  canonicalize(*program);
  if (llvm::Error error = verifyProgram(*program))
    return invalid(takeStatus(std::move(error)).second);
  return program;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// MLIR's magic number, its file names, or for other names what its text must
/// hold and .attn text cannot.
bool fovea::isMLIR(llvm::StringRef text, llvm::StringRef name) {
  if (text.starts_with("ML\xefR") || name.ends_with(".mlir") ||
      name.ends_with(".mlirbc"))
    return true;
  return !name.ends_with(".attn") && text.contains("func.func");
}

bool fovea::isEndless(llvm::StringRef path) {
  llvm::sys::fs::file_status status;
  return !llvm::sys::fs::status(path, status) &&
         status.type() == llvm::sys::fs::file_type::character_file;
}

llvm::Expected<SourceFile> fovea::openSource(llvm::StringRef file) {
  SourceFile source;
  source.name = file.str();
  // The part after the last colon is a variant, unless the whole is a file.
  size_t colon = file.rfind(':');
  if (colon != llvm::StringRef::npos && !llvm::sys::fs::exists(file)) {
    source.name = file.take_front(colon).str();
    source.variant = file.drop_front(colon + 1).str();
  }
  if (source.name != "-" && llvm::sys::fs::is_directory(source.name))
    return makeError(FOVEA_IO_ERROR, source.name + ": is a directory");
  if (source.name != "-" && isEndless(source.name))
    return makeError(FOVEA_IO_ERROR, source.name + ": is a device");
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(source.name);
  if (!buffer)
    return makeError(FOVEA_IO_ERROR,
                     source.name + ": " + buffer.getError().message());
  source.buffer = std::move(*buffer);
  if (source.name == "-")
    source.name = "<stdin>";
  source.kind = isMLIR(source.buffer->getBuffer(), source.name)
                    ? SourceKind::MLIR
                    : SourceKind::Attn;
  return source;
}

llvm::Expected<Program> fovea::readSourceFile(llvm::StringRef file,
                                              ReadOptions options,
                                              llvm::raw_ostream &diagnostics) {
  auto source = openSource(file);
  if (!source)
    return source.takeError();
  options.kind = source->kind;
  options.text = source->buffer->getBuffer();
  options.name = source->name;
  options.variant = source->variant;
  std::string warnings;
  auto program = readSource(options, &warnings);
  diagnostics << warnings;
  if (program)
    return program;
  llvm::Error error = program.takeError();
  if (error.isA<UsageError>())
    return std::move(error);
  auto [status, text] = takeStatus(std::move(error));
  if (status != FOVEA_PARSE_ERROR)
    return makeError(status, text);
  diagnostics << text << "\n";
  return makeError(FOVEA_PARSE_ERROR, "");
}

llvm::Expected<std::pair<std::string, std::string>>
fovea::splitAssignment(llvm::StringRef text, llvm::StringRef option) {
  auto [name, value] = text.split('=');
  name = name.trim();
  value = value.trim();
  if (name.empty() || value.empty())
    return invalid(option + ": must be NAME=VALUE, got '" + text + "'");
  return std::pair(name.str(), value.str());
}

llvm::Error fovea::addAssignment(Assignments &assignments, llvm::StringRef text,
                                 llvm::StringRef option) {
  auto pair = splitAssignment(text, option);
  if (!pair)
    return pair.takeError();
  if (llvm::any_of(assignments, [&](const auto &other) {
        return other.first == pair->first;
      }))
    return invalid(option + ": '" + pair->first + "' is given twice");
  assignments.push_back(std::move(*pair));
  return llvm::Error::success();
}

void fovea::printToolError(llvm::StringRef text, llvm::StringRef prefix,
                           llvm::raw_ostream &os) {
  static const llvm::Regex place("^([^\n]+):([0-9]+):([0-9]+): error: (.*)$");
  llvm::SmallVector<llvm::StringRef, 5> parts;
  unsigned line, column;
  if (!place.match(text, &parts) || parts[2].getAsInteger(10, line) ||
      parts[3].getAsInteger(10, column)) {
    os << prefix << text << "\n";
    return;
  }
  // Standard input is read once.
  auto buffer = llvm::MemoryBuffer::getFile(parts[1]);
  if (!buffer || !parts[1].ends_with(".attn")) {
    os << text << "\n";
    return;
  }
  printAttnError((*buffer)->getBuffer(), parts[1], line, column, parts[4], os);
}
