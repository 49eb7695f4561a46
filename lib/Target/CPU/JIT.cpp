//===- JIT.cpp - Objects in memory made callable --------------------------===//
#include "fovea/Target/CPU/JIT.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <unistd.h>

using namespace fovea;
using namespace llvm::orc;

LoadedCode::~LoadedCode() = default;

namespace {
/// One linker for the process. A forked child makes its own: another thread of
/// the parent may have held the locks of this one.
struct Linker {
  std::unique_ptr<LLJIT> jit;
  SymbolMap symbols;
  std::atomic<uint64_t> counter{0};
  pid_t process = getpid();
};

class JITCode final : public LoadedCode {
public:
  JITCode(Linker &linker, JITDylib &dylib) : linker(linker), dylib(dylib) {}
  ~JITCode() override {
    // Code inherited from a parent stays mapped; its linker is not ours.
    if (linker.process == getpid())
      llvm::consumeError(
          linker.jit->getExecutionSession().removeJITDylib(dylib));
  }

private:
  Linker &linker;
  JITDylib &dylib;
};

template <typename Function>
void addSymbol(Linker &linker, llvm::StringRef name, Function *function) {
  linker.symbols[linker.jit->mangleAndIntern(name)] = {
      ExecutorAddr::fromPtr(function),
      llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
}

void addLibrary(Linker &linker) {
  using Unary = double(double);
  using Binary = double(double, double);
  addSymbol(linker, "memcpy", std::memcpy);
  addSymbol(linker, "memmove", std::memmove);
  addSymbol(linker, "memset", std::memset);
  addSymbol<Unary>(linker, "exp", std::exp);
  addSymbol<Unary>(linker, "exp2", std::exp2);
  addSymbol<Unary>(linker, "log", std::log);
  addSymbol<Unary>(linker, "log2", std::log2);
  addSymbol<Unary>(linker, "log1p", std::log1p);
  addSymbol<Unary>(linker, "expm1", std::expm1);
  addSymbol<Unary>(linker, "tanh", std::tanh);
  addSymbol<Unary>(linker, "sin", std::sin);
  addSymbol<Unary>(linker, "cos", std::cos);
  addSymbol<Unary>(linker, "erf", std::erf);
  addSymbol<Unary>(linker, "sqrt", std::sqrt);
  addSymbol<Unary>(linker, "floor", std::floor);
  addSymbol<Unary>(linker, "rint", std::rint);
  addSymbol<Unary>(linker, "trunc", std::trunc);
  addSymbol<Binary>(linker, "pow", std::pow);
  addSymbol<Binary>(linker, "fmod", std::fmod);
}

llvm::Expected<std::unique_ptr<Linker>> makeLinker() {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto linker = std::make_unique<Linker>();
  // Linking happens on the thread that asks for it: no dispatcher threads.
  auto control = SelfExecutorProcessControl::Create(
      nullptr, std::make_unique<InPlaceTaskDispatcher>());
  if (!control)
    return control.takeError();
  JITTargetMachineBuilder builder((*control)->getTargetTriple());
  auto session = std::make_unique<ExecutionSession>(std::move(*control));
  session->setErrorReporter(
      [](llvm::Error error) { llvm::consumeError(std::move(error)); });
  LLJITBuilder jitBuilder;
  jitBuilder.setExecutionSession(std::move(session));
  jitBuilder.setJITTargetMachineBuilder(std::move(builder));
  jitBuilder.setPlatformSetUp(setUpInactivePlatform);
  jitBuilder.setLinkProcessSymbolsByDefault(false);
  jitBuilder.setObjectLinkingLayerCreator(
      [](ExecutionSession &session)
          -> llvm::Expected<std::unique_ptr<ObjectLayer>> {
        return std::make_unique<ObjectLinkingLayer>(session);
      });
  auto jit = jitBuilder.create();
  if (!jit)
    return jit.takeError();
  linker->jit = std::move(*jit);
  addLibrary(*linker);
  return std::move(linker);
}

llvm::Expected<Linker *> getLinker() {
  static std::mutex mutex;
  static std::atomic<Linker *> current{nullptr};
  Linker *linker = current.load(std::memory_order_acquire);
  if (linker && linker->process == getpid())
    return linker;
  std::lock_guard<std::mutex> lock(mutex);
  linker = current.load(std::memory_order_acquire);
  if (linker && linker->process == getpid())
    return linker;
  auto made = makeLinker();
  if (!made)
    return made.takeError();
  // Never freed: kernels may outlive every other object of the process.
  current.store(made->release(), std::memory_order_release);
  return current.load(std::memory_order_acquire);
}
} // namespace

llvm::Expected<std::unique_ptr<LoadedCode>>
fovea::loadObject(llvm::MemoryBufferRef object, llvm::StringRef symbol) {
  auto linker = getLinker();
  if (!linker)
    return linker.takeError();
  Linker &l = **linker;
  auto dylib = l.jit->getExecutionSession().createJITDylib(
      "kernel" + std::to_string(l.counter++));
  if (!dylib)
    return dylib.takeError();
  auto code = std::make_unique<JITCode>(l, *dylib);
  if (llvm::Error error = dylib->define(absoluteSymbols(l.symbols)))
    return std::move(error);
  // A copy: the linker keeps and edits its buffer.
  if (llvm::Error error = l.jit->addObjectFile(
          *dylib, llvm::MemoryBuffer::getMemBufferCopy(object.getBuffer())))
    return std::move(error);
  auto plan = l.jit->lookup(*dylib, (symbol + "_plan").str());
  if (!plan)
    return makeError(FOVEA_COMPILE_ERROR, "cannot load the kernel: " +
                                              llvm::toString(plan.takeError()));
  auto run = l.jit->lookup(*dylib, (symbol + "_run").str());
  if (!run)
    return makeError(FOVEA_COMPILE_ERROR, "cannot load the kernel: " +
                                              llvm::toString(run.takeError()));
  code->plan = plan->toPtr<fovea_cpu_plan_fn>();
  code->run = run->toPtr<fovea_cpu_run_fn>();
  return std::move(code);
}
