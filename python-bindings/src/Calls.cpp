//===- Calls.cpp - The interpreter around calls of the library ------------===//
#include "Calls.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

using namespace fovea::python;

namespace {
/// Threads inside the library.
std::atomic<int> inside{0};

bool isMainThread() { return gettid() == getpid(); }

/// The heap of a thread reserves 64 MiB of addresses.
bool areAddressesLimited() {
  rlimit limit;
  return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

void takeGIL(PyThreadState *state) {
  try {
    PyEval_RestoreThread(state);
  } catch (abi::__forced_unwind &) {
    for (;;)
      pause();
  }
}

void leaveAtOnce(int status, void *) {
  if (inside.load() == 0)
    return;
  std::fflush(nullptr);
  _exit(status);
}

/// Work of a thread of its own, and what comes of it.
struct Task {
  std::function<fovea_status()> work;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  fovea_status status = FOVEA_OK;
};

void *runTask(void *argument) {
  std::unique_ptr<std::shared_ptr<Task>> holder(
      static_cast<std::shared_ptr<Task> *>(argument));
  std::shared_ptr<Task> task = *holder;
  fovea_status status = task->work();
  {
    std::lock_guard<std::mutex> lock(task->mutex);
    task->done = true;
    task->status = status;
    task->ended.notify_all();
  }
  task.reset();
  holder.reset();
  --inside;
  return nullptr;
}

/// Without signals, and with the stack that compilers are used to.
bool startTask(const std::shared_ptr<Task> &task) {
  constexpr size_t stack = size_t(8) << 20;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0)
    return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto holder = std::make_unique<std::shared_ptr<Task>>(task);
  pthread_t thread;
  ++inside;
  bool started =
      pthread_create(&thread, &attributes, runTask, holder.get()) == 0;
  if (started)
    holder.release();
  else
    --inside;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}
} // namespace

WithoutGIL::WithoutGIL() : state(PyEval_SaveThread()) { ++inside; }

WithoutGIL::~WithoutGIL() {
  takeGIL(state);
  --inside;
}

int fovea::python::signalsPending(void *) {
  if (!isMainThread())
    return 0;
  PyGILState_STATE gil = PyGILState_Ensure();
  int raised = PyErr_CheckSignals();
  PyGILState_Release(gil);
  return raised != 0;
}

fovea_status
fovea::python::runInterruptibly(std::function<fovea_status()> work) {
  WithoutGIL released;
  if (!isMainThread() || areAddressesLimited())
    return work();
  auto task = std::make_shared<Task>();
  task->work = std::move(work);
  if (!startTask(task))
    return task->work();
  std::unique_lock<std::mutex> lock(task->mutex);
  while (!task->ended.wait_for(lock, std::chrono::milliseconds(50),
                               [&] { return task->done; })) {
    lock.unlock();
    if (signalsPending(nullptr))
      return FOVEA_CANCELLED;
    lock.lock();
  }
  return task->status;
}

void fovea::python::watchExit() {
  static bool isWatched = false;
  if (std::exchange(isWatched, true))
    return;
  on_exit(leaveAtOnce, nullptr);
  pthread_atfork(nullptr, nullptr, [] { inside = 0; });
}
