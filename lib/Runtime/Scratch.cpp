//===- Scratch.cpp - Memory that kernels work in --------------------------===//
#include "Scratch.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#include <vector>

using namespace fovea;

namespace {
constexpr size_t keptBytes = size_t(64) << 20;
constexpr size_t granule = size_t(64) << 10;

struct Block {
  void *data;
  size_t bytes;
};

struct Store {
  std::mutex mutex;
  std::vector<Block> blocks;
  size_t total = 0;
};

std::atomic<Store *> current{nullptr};

/// A forked child begins with an empty store: the lock of the parent's may be
/// held by a thread that it does not have.
Store &store() {
  if (Store *found = current.load(std::memory_order_acquire))
    return *found;
  static const int watched = pthread_atfork(nullptr, nullptr, [] {
    current.store(nullptr, std::memory_order_release);
  });
  (void)watched;
  Store *found = nullptr;
  auto *made = new Store;
  if (current.compare_exchange_strong(found, made))
    return *made;
  delete made;
  return *found;
}
} // namespace

Scratch::Scratch(size_t wanted) : bytes((wanted / granule + 1) * granule) {
  if (wanted > SIZE_MAX - 2 * granule)
    return;
  Store &s = store();
  {
    std::lock_guard<std::mutex> lock(s.mutex);
    size_t best = s.blocks.size();
    for (size_t i = 0; i < s.blocks.size(); ++i)
      if (s.blocks[i].bytes >= bytes &&
          (best == s.blocks.size() || s.blocks[i].bytes < s.blocks[best].bytes))
        best = i;
    if (best != s.blocks.size()) {
      data = s.blocks[best].data;
      bytes = s.blocks[best].bytes;
      s.total -= bytes;
      s.blocks.erase(s.blocks.begin() + static_cast<long>(best));
      return;
    }
  }
  data = std::aligned_alloc(64, bytes);
}

Scratch::~Scratch() {
  if (!data)
    return;
  Store &s = store();
  {
    std::lock_guard<std::mutex> lock(s.mutex);
    if (s.total + bytes <= keptBytes) {
      s.blocks.push_back({data, bytes});
      s.total += bytes;
      return;
    }
  }
  std::free(data);
}
