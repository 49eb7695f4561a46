//===- DiskCache.h - Compiled kernels between processes ---------*- C++ -*-===//
//
// One file an entry, named by its key; written beside and renamed, so that a
// reader sees all of it or nothing. A file whose length, checksum or key does
// not fit counts as absent and is written anew. The directory has to be ours
// alone to write: what is in it becomes code of this process.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_DISKCACHE_H
#define FOVEA_RUNTIME_DISKCACHE_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace fovea {

class DiskCache {
public:
  struct Settings {
    bool enabled = true;
    std::string directory;
    int64_t maxBytes = int64_t(1) << 30;
    std::string note; ///< why something of the environment is not used
  };
  /// From FOVEA_CACHE, FOVEA_CACHE_DIR, XDG_CACHE_HOME, HOME, FOVEA_CACHE_SIZE.
  static Settings readEnvironment();
  /// "1073741824", "512M", "2 GiB"; none where it is not a size.
  static std::optional<int64_t> parseSize(llvm::StringRef text);

  /// Opens the directory, making it where it is not there. Where that fails
  /// the cache is off and note() says why.
  explicit DiskCache(Settings settings);
  ~DiskCache();
  DiskCache(const DiskCache &) = delete;
  DiskCache &operator=(const DiskCache &) = delete;

  bool enabled() const { return directory >= 0; }
  llvm::StringRef path() const { return settings.directory; }
  llvm::StringRef note() const { return settings.note; }

  /// Keys are file names: letters and digits.
  std::optional<std::string> load(llvm::StringRef key);
  /// Returns whether the entry is on disk now.
  bool store(llvm::StringRef key, llvm::StringRef payload);
  void clear();

private:
  void open();
  void evict(int64_t added);

  Settings settings;
  int directory = -1;
  std::mutex mutex;
  int64_t knownBytes = -1; // none scanned yet
};

} // namespace fovea

#endif // FOVEA_RUNTIME_DISKCACHE_H
