//===- Source.cpp - Variants from files, for the tools --------------------===//

#include "fovea/Source/Source.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Runtime/CompileProgram.h"
#include "fovea/Runtime/Error.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <tuple>

using namespace fovea;
using llvm::Twine;

static llvm::Error invalid(const Twine &text) {
  return makeError(FOVEA_INVALID_ARGUMENT, text);
}

llvm::Expected<std::pair<std::string, std::string>>
fovea::splitAssignment(llvm::StringRef text, llvm::StringRef option) {
  auto [name, value] = text.split('=');
  if (name.trim().empty() || !text.contains('='))
    return invalid(option + " takes NAME=VALUE, got '" + text + "'");
  return std::make_pair(name.trim().str(), value.trim().str());
}

namespace {
struct FileText {
  std::string name, variant;
  std::unique_ptr<llvm::MemoryBuffer> buffer;
};
} // namespace

/// The part after the last colon is a variant, unless the whole is a file.
static llvm::Expected<FileText> readFile(llvm::StringRef file) {
  FileText text;
  text.name = file.str();
  size_t colon = file.rfind(':');
  if (colon != llvm::StringRef::npos && !llvm::sys::fs::exists(file)) {
    text.name = file.take_front(colon).str();
    text.variant = file.drop_front(colon + 1).str();
  }
  if (text.name != "-" && llvm::sys::fs::is_directory(text.name))
    return makeError(FOVEA_IO_ERROR, text.name + ": is a directory");
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(text.name);
  if (!buffer)
    return makeError(FOVEA_IO_ERROR,
                     text.name + ": " + buffer.getError().message());
  text.buffer = std::move(*buffer);
  if (text.name == "-")
    text.name = "<stdin>";
  return text;
}

/// MLIR's magic number, its file names, or for other names what its text must
/// hold and .attn text cannot.
static bool isMLIR(const FileText &file) {
  llvm::StringRef text = file.buffer->getBuffer(), name = file.name;
  if (text.starts_with("ML\xefR") || name.ends_with(".mlir") ||
      name.ends_with(".mlirbc"))
    return true;
  return !name.ends_with(".attn") && text.contains("func.func");
}

static llvm::Expected<Program> readAttn(const FileText &file,
                                        const SourceOptions &options,
                                        llvm::raw_ostream &diagnostics) {
  auto programs = parseAttn(file.buffer->getBuffer(), file.name,
                            options.defines, diagnostics);
  if (failed(programs))
    return makeError(FOVEA_PARSE_ERROR, "");
  std::string names;
  for (const Program &program : *programs) {
    if (program.name == file.variant ||
        (file.variant.empty() && programs->size() == 1))
      return program;
    names += (names.empty() ? "" : ", ") + program.name;
  }
  if (programs->empty())
    return invalid(file.name + ": holds no variant");
  if (file.variant.empty())
    return invalid(file.name + ": holds several variants, say which as " +
                   file.name + ":NAME: " + names);
  return invalid(file.name + ": has no variant '" + file.variant +
                 "', there is: " + names);
}

static llvm::Error bindParam(Param &param, llvm::StringRef value) {
  bool isValid = false;
  switch (param.type) {
  case ValueType::I1:
    isValid = value == "true" || value == "false";
    param.integer = value == "true";
    break;
  case ValueType::I64:
    isValid = !value.getAsInteger(0, param.integer);
    break;
  case ValueType::F:
    isValid = !value.getAsDouble(param.real);
    break;
  }
  if (isValid)
    return llvm::Error::success();
  return invalid("-D " + param.name + ": is of type " + stringify(param.type) +
                 ", cannot be '" + value + "'");
}

static llvm::Expected<Program> readMLIR(const FileText &file,
                                        const SourceOptions &options) {
  auto program = readMLIRProgram(file.buffer->getBuffer(), file.name);
  if (!program)
    return program.takeError();
  if (!file.variant.empty() && file.variant != program->name)
    return invalid(file.name + ": has no variant '" + file.variant +
                   "', there is: " + program->name);
  for (const auto &[name, value] : options.defines) {
    auto param = llvm::find_if(program->params, [name = name](const Param &p) {
      return p.name == name;
    });
    if (param == program->params.end())
      return invalid("-D " + name + ": the variant has no such parameter");
    if (llvm::Error error = bindParam(*param, value))
      return std::move(error);
  }
  return program;
}

/// Types and dims: the command line's, the file's, the defaults. What a module
/// says of itself cannot be changed from outside.
static llvm::Error complete(Program &program, const SourceOptions &options) {
  if (options.dtype)
    program.dtype = options.dtype;
  if (!program.dtype)
    program.dtype = DType::F32;
  for (auto [name, dim, least] : {std::tuple("head dim", options.headDim, 1),
                                  std::tuple("value dim", options.valueDim, 0)})
    if (dim && (*dim < least || *dim > ProgramLimits::headDim))
      return invalid(Twine(name) + ": must lie within " + Twine(least) +
                     " and " + Twine(ProgramLimits::headDim) + ", got " +
                     Twine(*dim));
  if (options.headDim && program.headDims.size() > 1)
    return invalid("head dim: the file gives one for each of several pairs");
  if (options.headDim)
    program.headDims = {*options.headDim};
  if (program.headDims.empty())
    return invalid("head dim: the file gives none, say which");
  if (options.valueDim)
    program.valueDim = options.valueDim;
  if (!program.valueDim)
    program.valueDim = program.headDims.front();
  canonicalize(program);
  return verifyProgram(program);
}

llvm::Expected<Program> fovea::loadVariant(const SourceOptions &options,
                                           llvm::raw_ostream &diagnostics) {
  auto file = readFile(options.file);
  if (!file)
    return file.takeError();
  auto program = isMLIR(*file) ? readMLIR(*file, options)
                               : readAttn(*file, options, diagnostics);
  if (!program)
    return program.takeError();
  if (llvm::Error error = complete(*program, options))
    return std::move(error);
  return program;
}
