//===- Compile.cpp - C ABI: kernels ---------------------------------------===//
#include "Support.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/CompileProgram.h"

#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace fovea;
using namespace fovea::capi;
using llvm::Twine;

namespace {
constexpr size_t compileMemory = size_t(64) << 20;

using Defines = std::vector<std::pair<std::string, std::string>>;

llvm::Expected<Program> readAttn(const fovea_compile_options &options,
                                 llvm::StringRef source, llvm::StringRef name,
                                 const Defines &defines) {
  std::string text;
  llvm::raw_string_ostream os(text);
  auto programs = parseAttn(source, name, defines, os);
  if (failed(programs))
    return makeError(FOVEA_PARSE_ERROR, llvm::StringRef(text).rtrim());
  std::string names;
  for (Program &program : *programs) {
    if (options.variant ? program.name == options.variant
                        : programs->size() == 1)
      return std::move(program);
    names += (names.empty() ? "" : ", ") + program.name;
  }
  if (programs->empty())
    return invalid(name + ": has no attention variant");
  if (options.variant)
    return invalid("variant: " + name + " has " + names + ", got '" +
                   options.variant + "'");
  return invalid("variant: " + name + " has several, name one of " + names);
}

/// Gives compile-time parameters of a Program other values.
llvm::Error applyDefines(Program &program, const Defines &defines) {
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

llvm::Expected<Program> readSource(const fovea_compile_options &options) {
  if (!options.source)
    return invalid("source: must not be null");
  llvm::StringRef source(options.source, options.source_size);
  llvm::StringRef name = options.source_name ? options.source_name : "<source>";
  auto defines = readDefines(options.defines, options.num_defines);
  if (!defines)
    return defines.takeError();
  switch (options.source_kind) {
  case FOVEA_SOURCE_ATTN:
    return readAttn(options, source, name, *defines);
  case FOVEA_SOURCE_PROGRAM:
  case FOVEA_SOURCE_MLIR: {
    if (options.source_kind == FOVEA_SOURCE_MLIR)
      if (llvm::Error error = probeMemory(compileMemory))
        return std::move(error);
    auto program = options.source_kind == FOVEA_SOURCE_MLIR
                       ? readMLIRProgram(source, name)
                       : parseProgram(source);
    if (!program) {
      auto [status, text] = takeStatus(program.takeError());
      return makeError(
          status == FOVEA_COMPILE_ERROR ? FOVEA_PARSE_ERROR : status, text);
    }
    if (llvm::Error error = applyDefines(*program, *defines))
      return std::move(error);
    return program;
  }
  default:
    return invalid("source_kind: must be 0, 1 or 2, got " +
                   Twine(options.source_kind));
  }
}

llvm::Error applyTypes(Program &program, const fovea_compile_options &options) {
  if (options.dtype) {
    std::optional<DType> dtype = parseDType(options.dtype);
    if (!dtype || !isFloat(*dtype))
      return invalid("dtype: must be f16, bf16, f32 or f64, got '" +
                     Twine(options.dtype) + "'");
    program.dtype = *dtype;
  }
  if (!program.dtype)
    return invalid("dtype: the source gives none");
  if (options.head_dim < 0 || options.head_dim > ProgramLimits::headDim)
    return invalid("head_dim: must lie within 1 and " +
                   Twine(ProgramLimits::headDim) + ", got " +
                   Twine(options.head_dim));
  if (options.head_dim > 0)
    program.headDims.assign(std::max<size_t>(program.headDims.size(), 1),
                            options.head_dim);
  if (program.headDims.empty())
    return invalid("head_dim: the source gives none");
  if (options.value_dim < -1 || options.value_dim > ProgramLimits::headDim)
    return invalid("value_dim: must lie within 0 and " +
                   Twine(ProgramLimits::headDim) + ", got " +
                   Twine(options.value_dim));
  if (options.value_dim >= 0)
    program.valueDim = options.value_dim;
  else if (!program.valueDim)
    program.valueDim = program.headDims.front();
  return llvm::Error::success();
}

llvm::Error applyFlags(Program &program, const fovea_compile_options &options) {
  for (auto [name, value] :
       {std::pair("want_lse", options.want_lse),
        std::pair("want_block_mask", options.want_block_mask)})
    if (value < -1 || value > 1)
      return invalid(Twine(name) + ": must be -1, 0 or 1, got " + Twine(value));
  if (options.want_lse >= 0)
    program.returnLse = options.want_lse != 0;
  if (options.want_block_mask >= 0)
    program.blockMask = options.want_block_mask != 0;
  if (program.returnLse && program.normalizer && !program.normalizer->denom)
    return invalid("return_lse: the normalizer '" + program.normalizer->name +
                   "' has no denominator");
  return llvm::Error::success();
}

llvm::Error compile(const fovea_compile_options &options, fovea_kernel **out,
                    fovea_compile_result *result) {
  auto begin = std::chrono::steady_clock::now();
  auto program = readSource(options);
  if (!program)
    return program.takeError();
  for (auto step : {applyTypes, applyFlags})
    if (llvm::Error error = step(*program, options))
      return error;
  canonicalize(*program);
  if (llvm::Error error = verifyProgram(*program)) {
    auto [status, text] = takeStatus(std::move(error));
    return invalid(text);
  }
  if (llvm::Error error = probeMemory(compileMemory))
    return error;
  auto compiled = CompileService::get().compile(
      std::move(*program), options.target ? options.target : "cpu",
      options.schedule ? options.schedule : "");
  if (!compiled)
    return compiled.takeError();
  *out = new fovea_kernel{std::move(compiled->first)};
  if (result) {
    result->origin = static_cast<int32_t>(compiled->second);
    result->milliseconds = std::chrono::duration<double, std::milli>(
                               std::chrono::steady_clock::now() - begin)
                               .count();
  }
  return llvm::Error::success();
}

llvm::Error checkKernel(const fovea_kernel *kernel) {
  return kernel ? llvm::Error::success() : invalid("kernel: must not be null");
}

llvm::Error runLaunch(Kernel &kernel, const LaunchView &view) {
  if (!kernel.getTarget())
    return interpretProgram(kernel.getProgram(), view);
  int indexBits = fitsNarrowIndices(view) ? 32 : 64;
  auto fast = kernel.getCode({indexBits, /*exact=*/false});
  if (!fast)
    return fast.takeError();
  return runKernel(view, *fast,
                   [&] { return kernel.getCode({indexBits, /*exact=*/true}); });
}

fovea_status
giveText(fovea_kernel *kernel, fovea_string *out, fovea_message *message,
         llvm::function_ref<llvm::Expected<std::string>(Kernel &)> text) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkKernel(kernel))
      return error;
    if (llvm::Error error = checkStruct(out, "string"))
      return error;
    if (llvm::Error error = probeMemory(compileMemory))
      return error;
    auto made = text(*kernel->kernel);
    return made ? giveString(*made, out) : made.takeError();
  });
}
} // namespace

extern "C" fovea_status fovea_compile(const fovea_compile_options *options,
                                      fovea_kernel **kernel,
                                      fovea_compile_result *result,
                                      fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (!kernel)
      return invalid("kernel: must not be null");
    *kernel = nullptr;
    if (llvm::Error error = checkStruct(options, "options"))
      return error;
    if (result)
      if (llvm::Error error = checkStruct(result, "result"))
        return error;
    return compile(*options, kernel, result);
  });
}

extern "C" void fovea_kernel_free(fovea_kernel *kernel) { delete kernel; }

extern "C" fovea_status fovea_kernel_ir(fovea_kernel *kernel, const char *level,
                                        fovea_string *text,
                                        fovea_message *message) {
  return giveText(kernel, text, message,
                  [&](Kernel &k) -> llvm::Expected<std::string> {
                    if (!level)
                      return invalid("level: must not be null");
                    return k.getIR(level);
                  });
}

extern "C" fovea_status fovea_kernel_info(fovea_kernel *kernel,
                                          fovea_string *json,
                                          fovea_message *message) {
  return giveText(kernel, json, message, [](Kernel &k) { return k.getInfo(); });
}

extern "C" fovea_status fovea_kernel_object(fovea_kernel *kernel,
                                            fovea_string *object,
                                            fovea_message *message) {
  return giveText(kernel, object, message,
                  [](Kernel &k) { return k.getObject(); });
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

extern "C" fovea_status fovea_kernel_launch(fovea_kernel *kernel,
                                            const fovea_launch *launch,
                                            fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkKernel(kernel))
      return error;
    if (llvm::Error error = checkStruct(launch, "launch"))
      return error;
    auto view = checkLaunch(kernel->kernel->getProgram(), *launch);
    return view ? runLaunch(*kernel->kernel, *view) : view.takeError();
  });
}

extern "C" fovea_status fovea_kernel_workspace(fovea_kernel *kernel,
                                               const fovea_launch *launch,
                                               size_t *bytes,
                                               fovea_message *message) {
  return guard(message, [&]() -> llvm::Error {
    if (llvm::Error error = checkKernel(kernel))
      return error;
    if (llvm::Error error = checkStruct(launch, "launch"))
      return error;
    if (!bytes)
      return invalid("bytes: must not be null");
    auto view = checkLaunch(kernel->kernel->getProgram(), *launch);
    if (!view)
      return view.takeError();
    *bytes = 0;
    if (!kernel->kernel->getTarget())
      return llvm::Error::success();
    auto code = kernel->kernel->getCode(
        {fitsNarrowIndices(*view) ? 32 : 64, /*exact=*/false});
    if (!code)
      return code.takeError();
    *bytes = static_cast<size_t>(kernelScratch(*view, *code));
    return llvm::Error::success();
  });
}
