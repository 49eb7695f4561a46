//===- GatherPages.cpp - Pages copied to whole sequences ------------------===//
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/STLExtras.h"

#include <cstring>

using namespace fovea;

/// A pool's pages as [B,Hk,N,D] without the keys past the longest length; what
/// no page holds stays zero, and untouched.
static llvm::Error gather(const LaunchView &view, TensorView &tensor,
                          std::vector<GatheredPages::Memory> &memory) {
  int64_t bytes = getBytes(tensor.dtype), columns = tensor.sizes[3];
  int64_t rows = *llvm::max_element(view.kvLengths), total = bytes;
  for (int64_t size : {view.batch, view.kvHeads, rows, columns})
    if (__builtin_mul_overflow(total, std::max<int64_t>(size, 1), &total))
      return makeError(FOVEA_OUT_OF_MEMORY,
                       "page_table: no memory for the keys in one piece");
  memory.emplace_back(std::calloc(static_cast<size_t>(total), 1), &std::free);
  char *to = static_cast<char *>(memory.back().get());
  if (!to)
    return makeError(FOVEA_OUT_OF_MEMORY, "page_table: no memory for " +
                                              llvm::Twine(total) +
                                              " bytes of keys in one piece");
  const char *from = static_cast<const char *>(tensor.data);
  constexpr int64_t rowsBetweenChecks = 1 << 14;
  int64_t copied = 0;
  for (int64_t b = 0; b < view.batch; ++b)
    for (int64_t h = 0; h < view.kvHeads; ++h)
      for (int64_t n = 0; n < view.kvLengths[b]; ++n) {
        if (++copied % rowsBetweenChecks == 0 && view.cancelled())
          return makeError(FOVEA_CANCELLED, "the call was cancelled");
        int64_t page =
            view.pageTable[b * view.pageStride + n / view.pageLength];
        int64_t source = page * tensor.strides[0] + h * tensor.strides[1] +
                         n % view.pageLength * tensor.strides[2];
        int64_t target = ((b * view.kvHeads + h) * rows + n) * columns;
        if (tensor.strides[3] == 1) {
          std::memcpy(to + target * bytes, from + source * bytes,
                      static_cast<size_t>(columns * bytes));
          continue;
        }
        for (int64_t d = 0; d < columns; ++d)
          std::memcpy(to + (target + d) * bytes,
                      from + (source + d * tensor.strides[3]) * bytes,
                      static_cast<size_t>(bytes));
      }
  tensor.data = to;
  tensor.sizes = {view.batch, view.kvHeads, rows, columns};
  tensor.strides = {view.kvHeads * rows * columns, rows * columns, columns, 1};
  return llvm::Error::success();
}

llvm::Expected<GatheredPages> GatheredPages::make(const LaunchView &view) {
  GatheredPages result;
  result.view = view;
  for (TensorView &key : result.view.keys)
    if (llvm::Error error = gather(view, key, result.memory))
      return std::move(error);
  if (llvm::Error error = gather(view, result.view.value, result.memory))
    return std::move(error);
  result.view.pageLength = 0;
  result.view.pageTable = {};
  return result;
}
