//===- AttnInterpreter.cpp - Level 1, executed in f64 ---------------------===//

#include "RowInterpreter.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/ThreadPool.h"

#include <mutex>

using namespace fovea;

double fovea::roundToType(double value, DType type) {
  if (type == DType::F64)
    return value;
  if (type == DType::F32)
    return static_cast<float>(value);
  uint64_t buffer = 0;
  TensorView view;
  view.data = &buffer;
  view.dtype = type;
  view.storeFloat(0, value);
  return view.loadFloat(0);
}

llvm::Error fovea::interpretProgram(const Program &program,
                                    const LaunchView &launch,
                                    const InterpretOptions &options) {
  int64_t rows = launch.batch * launch.queryHeads * launch.queryLength;
  if (options.deadRows)
    options.deadRows->assign(rows, 0);
  CompiledVariant variant(program, launch, options.arithmetic);
  std::vector<std::unique_ptr<RowInterpreter>> workers(
      ThreadPool::numWorkers());
  // The bad index of the first row, whatever the threads' order.
  std::mutex mutex;
  int64_t badRow = rows;
  std::string badText;
  ParallelOptions parallel;
  parallel.shouldCancel = launch.shouldCancel;
  parallel.cancelContext = launch.cancelContext;
  bool done = ThreadPool::get().parallelFor(
      rows, parallel, [&](int64_t begin, int64_t end, unsigned worker) {
        std::unique_ptr<RowInterpreter> &mine = workers[worker];
        if (!mine)
          mine = std::make_unique<RowInterpreter>(variant);
        for (int64_t row = begin; row < end; ++row) {
          int64_t head = row / launch.queryLength;
          std::optional<std::string> bad =
              mine->run({head / launch.queryHeads, head % launch.queryHeads,
                         row % launch.queryLength});
          if (options.deadRows)
            (*options.deadRows)[row] = !mine->sawKey();
          if (!bad)
            continue;
          std::lock_guard<std::mutex> lock(mutex);
          if (row < badRow) {
            badRow = row;
            badText = std::move(*bad);
          }
        }
      });
  if (!done)
    return makeError(FOVEA_CANCELLED, "cancelled");
  if (badRow < rows)
    return makeError(FOVEA_INDEX_ERROR, badText);
  return llvm::Error::success();
}
