//===- Compile.cpp - C ABI: kernels ---------------------------------------===//
#include "Support.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Interpreter/LaunchMask.h"
#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Runtime/LaunchKey.h"
#include "fovea/Runtime/ReadSource.h"

#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace fovea;
using namespace fovea::capi;
using llvm::Twine;

namespace {
constexpr size_t compileMemory = size_t(64) << 20;

llvm::Expected<ReadOptions> readOptions(const fovea_compile_options &given) {
  if (!given.source)
    return invalid("source: must not be null");
  if (given.source_kind < FOVEA_SOURCE_PROGRAM ||
      given.source_kind > FOVEA_SOURCE_MLIR)
    return invalid("source_kind: must be 0, 1 or 2, got " +
                   Twine(given.source_kind));
  auto defines = readDefines(given.defines, given.num_defines);
  if (!defines)
    return defines.takeError();
  ReadOptions options;
  options.kind = static_cast<SourceKind>(given.source_kind);
  options.text = {given.source, given.source_size};
  if (given.source_name)
    options.name = given.source_name;
  if (given.variant)
    options.variant = given.variant;
  if (given.dtype)
    options.dtype = given.dtype;
  if (given.head_dim != 0)
    options.headDim = given.head_dim;
  if (given.value_dim != -1)
    options.valueDim = given.value_dim;
  options.wantLse = given.want_lse;
  options.wantBlockMask = given.want_block_mask;
  options.defines = std::move(*defines);
  return std::move(options);
}

llvm::Error compile(const fovea_compile_options &options, fovea_kernel **out,
                    fovea_compile_result *result) {
  auto begin = std::chrono::steady_clock::now();
  auto source = readOptions(options);
  if (!source)
    return source.takeError();
  if (llvm::Error error = probeMemory(compileMemory))
    return error;
  auto program = readSource(*source);
  if (!program)
    return program.takeError();
  auto compiled = CompileService::get().compile(
      std::move(*program), options.target ? options.target : "cpu",
      options.schedule ? options.schedule : "");
  if (!compiled)
    return compiled.takeError();
  *out = makeHandle(std::move(compiled->first));
  if (result) {
    result->origin = static_cast<int32_t>(compiled->second);
    result->milliseconds = std::chrono::duration<double, std::milli>(
                               std::chrono::steady_clock::now() - begin)
                               .count();
  }
  return llvm::Error::success();
}

fovea_device deviceOf(const Kernel &kernel) {
  return kernel.getGPUTarget() ? FOVEA_CUDA : FOVEA_CPU;
}

llvm::Expected<LaunchView> checkCall(const Kernel &kernel,
                                     const fovea_launch &launch) {
  auto view = checkLaunch(kernel.getProgram(), launch, deviceOf(kernel));
  // Where there is no pair, nothing is read.
  if (!view || !view->batch || !view->queryLength || !view->kvLength)
    return view;
  if (llvm::Error error = checkConstantIndices(
          kernel.getProgram(), kernel.getConstantIndices(), view->captures))
    return std::move(error);
  return view;
}

llvm::Error runWhole(Kernel &kernel, LaunchView &view);

/// The code of the form that a launch takes.
llvm::Expected<CudaKernel *> chooseCudaKernel(Kernel &kernel,
                                              const LaunchView &view) {
  auto form = kernel.chooseGPUForm(view);
  if (!form)
    return form.takeError();
  return kernel.getCudaKernel(*form);
}

struct ChosenCode {
  KernelForm form;
  KernelCode code;
};

llvm::Expected<ChosenCode> chooseCode(Kernel &kernel, const LaunchView &view) {
  auto form = kernel.chooseForm(view);
  if (!form)
    return form.takeError();
  auto code = kernel.getCode(*form);
  if (!code)
    return code.takeError();
  return ChosenCode{*form, *code};
}

llvm::Error runOnGPU(Kernel &kernel, const LaunchView &view,
                     const LaunchKey *key) {
  if (view.pageLength)
    return makeError(FOVEA_UNSUPPORTED,
                     "page_table: pages are read on the CPU alone");
  auto cuda = chooseCudaKernel(kernel, view);
  return cuda ? (*cuda)->launch(view, key) : cuda.takeError();
}

/// A launch whose keys and values may lie in pages.
llvm::Error runLaunch(Kernel &kernel, LaunchView &view, const LaunchKey *key) {
  if (isEmptyLaunch(view))
    return llvm::Error::success();
  if (kernel.getGPUTarget())
    return runOnGPU(kernel, view, key);
  if (!view.pageLength)
    return runWhole(kernel, view);
  if (kernel.getTarget()) {
    auto form = kernel.chooseForm(view);
    if (!form)
      return form.takeError();
    if (form->paged)
      return runWhole(kernel, view);
  }
  auto whole = GatheredPages::make(view);
  return whole ? runWhole(kernel, whole->view) : whole.takeError();
}

/// On the CPU or by the interpreter.
llvm::Error runWhole(Kernel &kernel, LaunchView &view) {
  if (!kernel.getTarget())
    return interpretProgram(kernel.getProgram(), view);
  auto fast = chooseCode(kernel, view);
  if (!fast)
    return fast.takeError();
  auto [form, code] = *fast;
  std::shared_ptr<const KnownRuns> runs;
  if (code.scansKeys && !form.fewQueries)
    if (llvm::Error error =
            analyzeLaunchMask(kernel.getProgram(), code.itemRows, view,
                              kernel.getLastRuns(), runs))
      return error;
  KernelForm exact{form.indexBits, /*exact=*/true};
  return runKernel(view, code, [&] { return kernel.getCode(exact); });
}

llvm::Expected<int64_t> findWorkspace(Kernel &kernel, const LaunchView &view) {
  if (kernel.getGPUTarget()) {
    auto cuda = chooseCudaKernel(kernel, view);
    return cuda ? (*cuda)->getWorkspace(view) : cuda.takeError();
  }
  if (!kernel.getTarget())
    return 0;
  auto fast = chooseCode(kernel, view);
  if (!fast)
    return fast.takeError();
  return kernelScratch(view, fast->code);
}

//===----------------------------------------------------------------------===//
// What the entry points share
//===----------------------------------------------------------------------===//

fovea_status onKernel(fovea_kernel *kernel, fovea_message *message,
                      llvm::function_ref<llvm::Error(Kernel &)> body) {
  return guard(message, [&]() -> llvm::Error {
    auto found = findKernel(kernel);
    return found ? body(**found) : found.takeError();
  });
}

fovea_status onLaunch(fovea_kernel *kernel, const fovea_launch *launch,
                      fovea_message *message,
                      llvm::function_ref<llvm::Error(Kernel &)> body) {
  return onKernel(kernel, message, [&](Kernel &found) -> llvm::Error {
    if (llvm::Error error = checkStruct(launch, "launch"))
      return error;
    return body(found);
  });
}

fovea_status
giveText(fovea_kernel *kernel, fovea_string *out, fovea_message *message,
         llvm::function_ref<llvm::Expected<std::string>(Kernel &)> text) {
  return onKernel(kernel, message, [&](Kernel &found) -> llvm::Error {
    if (llvm::Error error = checkStruct(out, "string"))
      return error;
    if (llvm::Error error = probeMemory(compileMemory))
      return error;
    auto made = text(found);
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

extern "C" void fovea_kernel_free(fovea_kernel *kernel) { dropHandle(kernel); }

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

/// A launch on a GPU as there was one before, of which nothing is checked
/// again.
static bool relaunch(const Kernel &kernel, const LaunchKey &key) {
  return llvm::any_of(kernel.getLoadedCudaKernels(),
                      [&](CudaKernel *cuda) { return cuda->relaunch(key); });
}

extern "C" fovea_status fovea_kernel_launch(fovea_kernel *kernel,
                                            const fovea_launch *launch,
                                            fovea_message *message) {
  return onLaunch(kernel, launch, message, [&](Kernel &found) -> llvm::Error {
    LaunchKey key;
    bool known = found.getGPUTarget() && key.read(*launch);
    if (known && relaunch(found, key))
      return llvm::Error::success();
    auto view = checkCall(found, *launch);
    return view ? runLaunch(found, *view, known ? &key : nullptr)
                : view.takeError();
  });
}

extern "C" fovea_status fovea_kernel_workspace(fovea_kernel *kernel,
                                               const fovea_launch *launch,
                                               size_t *bytes,
                                               fovea_message *message) {
  return onLaunch(kernel, launch, message, [&](Kernel &found) -> llvm::Error {
    if (!bytes)
      return invalid("bytes: must not be null");
    auto view = checkCall(found, *launch);
    if (!view)
      return view.takeError();
    *bytes = 0;
    auto workspace = findWorkspace(found, *view);
    if (!workspace)
      return workspace.takeError();
    *bytes = static_cast<size_t>(std::max<int64_t>(*workspace, 0));
    return llvm::Error::success();
  });
}
