//===- DiskCache.cpp - Compiled kernels between processes -----------------===//
#include "fovea/Runtime/DiskCache.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace fovea;

namespace {
constexpr char suffix[] = ".kernel";
constexpr char temporaryPrefix[] = ".new-";
constexpr int64_t staleSeconds = 3600;
constexpr int64_t largestEntry = int64_t(1) << 30;

struct Header {
  char magic[8];
  uint64_t length;
  uint64_t checksum;
  uint64_t keyChecksum;
};
constexpr char magic[8] = {'F', 'O', 'V', 'E', 'A', 'K', '0', '1'};

Header makeHeader(llvm::StringRef key, llvm::StringRef payload) {
  Header header;
  std::memcpy(header.magic, magic, sizeof magic);
  header.length = payload.size();
  header.checksum = llvm::xxh3_64bits(payload);
  header.keyChecksum = llvm::xxh3_64bits(key);
  return header;
}

std::string systemError(int code) { return std::strerror(code); }

/// A file descriptor that closes itself.
class File {
public:
  explicit File(int fd) : fd(fd) {}
  ~File() {
    if (fd >= 0)
      ::close(fd);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  int get() const { return fd; }
  bool ok() const { return fd >= 0; }

private:
  int fd;
};

bool writeAll(int fd, const void *data, size_t size) {
  const char *at = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t written = ::write(fd, at, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

bool readAll(int fd, void *data, size_t size) {
  char *at = static_cast<char *>(data);
  while (size > 0) {
    ssize_t got = ::read(fd, at, size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

std::string findHome() {
  if (const char *home = std::getenv("HOME"); home && *home == '/')
    return home;
  passwd entry, *found = nullptr;
  char buffer[4096];
  if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 &&
      found && found->pw_dir && *found->pw_dir == '/')
    return found->pw_dir;
  return "";
}

/// mkdir -p; only the last directory is ours to give a mode to.
int makeDirectories(const std::string &path) {
  for (size_t at = 1; at < path.size(); ++at)
    if (path[at] == '/' && path[at - 1] != '/')
      if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST &&
          errno != EROFS && errno != EACCES)
        return errno;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return errno;
  return 0;
}

struct Entry {
  std::string name;
  int64_t bytes, usedSeconds, usedNanoseconds;
};

std::vector<Entry> listEntries(int directory) {
  std::vector<Entry> entries;
  int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (!stream) {
    if (copy >= 0)
      ::close(copy);
    return entries;
  }
  while (const dirent *item = ::readdir(stream)) {
    llvm::StringRef name(item->d_name);
    bool temporary = name.starts_with(temporaryPrefix);
    if (!temporary && !name.ends_with(suffix))
      continue;
    struct stat info;
    if (::fstatat(directory, item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(info.st_mode))
      continue;
    if (temporary) { // of a process that was killed while it wrote
      if (::time(nullptr) - info.st_mtim.tv_sec > staleSeconds)
        ::unlinkat(directory, item->d_name, 0);
      continue;
    }
    entries.push_back(
        {name.str(), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec});
  }
  ::closedir(stream);
  return entries;
}
} // namespace

std::optional<int64_t> DiskCache::parseSize(llvm::StringRef text) {
  text = text.trim();
  size_t digits = text.find_first_not_of("0123456789");
  int64_t number;
  if (text.substr(0, digits).getAsInteger(10, number))
    return std::nullopt;
  std::string unit =
      digits == llvm::StringRef::npos ? "" : text.substr(digits).trim().lower();
  int shift = llvm::StringSwitch<int>(unit)
                  .Cases({"", "b"}, 0)
                  .Cases({"k", "kb", "kib"}, 10)
                  .Cases({"m", "mb", "mib"}, 20)
                  .Cases({"g", "gb", "gib"}, 30)
                  .Cases({"t", "tb", "tib"}, 40)
                  .Default(-1);
  if (shift < 0 || number > (INT64_MAX >> shift))
    return std::nullopt;
  return number << shift;
}

DiskCache::Settings DiskCache::readEnvironment() {
  Settings settings;
  if (const char *on = std::getenv("FOVEA_CACHE")) {
    llvm::StringRef text(on);
    settings.enabled = text != "0";
    if (!text.empty() && text != "0" && text != "1")
      settings.note = "FOVEA_CACHE is neither 0 nor 1; ignored";
  }
  if (const char *size = std::getenv("FOVEA_CACHE_SIZE"); size && *size) {
    if (auto bytes = parseSize(size))
      settings.maxBytes = *bytes;
    else
      settings.note +=
          (settings.note.empty() ? "" : "; ") +
          std::string("FOVEA_CACHE_SIZE is not a size such as 512M; ignored");
  }
  const char *own = std::getenv("FOVEA_CACHE_DIR");
  const char *xdg = std::getenv("XDG_CACHE_HOME");
  if (own && *own)
    settings.directory = own;
  else if (xdg && *xdg == '/') // the XDG rules ignore relative paths
    settings.directory = std::string(xdg) + "/fovea";
  else if (std::string home = findHome(); !home.empty())
    settings.directory = home + "/.cache/fovea";
  while (settings.directory.size() > 1 && settings.directory.back() == '/')
    settings.directory.pop_back();
  return settings;
}

/// Why no file can be made here, empty where one can. What mode bits allow, a
/// file system such as /proc may still refuse; a full one has room again later.
static std::string whyUnwritable(int directory) {
  std::string name = temporaryPrefix + std::to_string(::getpid()) + "-probe";
  int fd = ::openat(directory, name.c_str(),
                    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno == ENOSPC || errno == EDQUOT ? "" : systemError(errno);
  ::close(fd);
  ::unlinkat(directory, name.c_str(), 0);
  return "";
}

DiskCache::DiskCache(Settings given) : settings(std::move(given)) {
  if (settings.enabled)
    open();
}

DiskCache::~DiskCache() {
  if (directory >= 0)
    ::close(directory);
}

void DiskCache::open() {
  const std::string &path = settings.directory;
  auto refuse = [&](const std::string &why) {
    settings.note =
        "no disk cache: " + (path.empty() ? why : "'" + path + "' " + why);
  };
  if (path.empty())
    return refuse("neither FOVEA_CACHE_DIR, XDG_CACHE_HOME nor HOME is set");
  if (int code = makeDirectories(path))
    return refuse("cannot be made: " + systemError(code));
  int fd =
      ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    struct stat info;
    if (::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode))
      return refuse("is a symbolic link");
    return refuse("cannot be opened: " + systemError(errno));
  }
  struct stat info;
  std::string why;
  if (::fstat(fd, &info) != 0)
    why = "cannot be read: " + systemError(errno);
  else if (info.st_uid != ::geteuid())
    why = "belongs to another user";
  else if (info.st_mode & (S_IWGRP | S_IWOTH))
    why = "can be written by others";
  else if (::faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    why = "cannot be written: " + systemError(errno);
  else if (std::string reason = whyUnwritable(fd); !reason.empty())
    why = "cannot be written: " + reason;
  if (!why.empty()) {
    ::close(fd);
    return refuse(why);
  }
  directory = fd;
}

std::optional<std::string> DiskCache::load(llvm::StringRef key) {
  if (!enabled())
    return std::nullopt;
  std::string name = key.str() + suffix;
  File file(::openat(directory, name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok())
    return std::nullopt;
  struct stat info;
  Header header;
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_uid != ::geteuid() || info.st_size > largestEntry ||
      info.st_size < static_cast<off_t>(sizeof header) ||
      !readAll(file.get(), &header, sizeof header))
    return std::nullopt;
  std::string payload(static_cast<size_t>(info.st_size) - sizeof header, 0);
  if (header.length != payload.size() ||
      !readAll(file.get(), payload.data(), payload.size()))
    return std::nullopt;
  Header expected = makeHeader(key, payload);
  if (std::memcmp(&header, &expected, sizeof header) != 0)
    return std::nullopt;
  ::futimens(file.get(), nullptr); // used now
  return payload;
}

bool DiskCache::store(llvm::StringRef key, llvm::StringRef payload) {
  if (!enabled() || static_cast<int64_t>(payload.size()) > settings.maxBytes)
    return false;
  static std::atomic<unsigned> counter{0};
  std::string temporary = temporaryPrefix + std::to_string(::getpid()) + "-" +
                          std::to_string(counter++) + "-" + key.str();
  Header header = makeHeader(key, payload);
  {
    File file(::openat(directory, temporary.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                       0600));
    if (!file.ok())
      return false;
    if (!writeAll(file.get(), &header, sizeof header) ||
        !writeAll(file.get(), payload.data(), payload.size())) {
      ::unlinkat(directory, temporary.c_str(), 0);
      return false;
    }
  }
  std::string name = key.str() + suffix;
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    ::unlinkat(directory, temporary.c_str(), 0);
    return false;
  }
  evict(static_cast<int64_t>(sizeof header + payload.size()));
  return true;
}

/// Keeps the directory within its size; the entries used longest ago go first.
void DiskCache::evict(int64_t added) {
  std::lock_guard<std::mutex> lock(mutex);
  if (knownBytes >= 0)
    knownBytes += added;
  if (knownBytes >= 0 && knownBytes <= settings.maxBytes)
    return;
  std::vector<Entry> entries = listEntries(directory);
  knownBytes = 0;
  for (const Entry &entry : entries)
    knownBytes += entry.bytes;
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::tie(a.usedSeconds, a.usedNanoseconds) <
           std::tie(b.usedSeconds, b.usedNanoseconds);
  });
  for (const Entry &entry : entries) {
    if (knownBytes <= settings.maxBytes)
      break;
    if (::unlinkat(directory, entry.name.c_str(), 0) == 0)
      knownBytes -= entry.bytes;
  }
}

void DiskCache::clear() {
  if (!enabled())
    return;
  std::lock_guard<std::mutex> lock(mutex);
  for (const Entry &entry : listEntries(directory))
    ::unlinkat(directory, entry.name.c_str(), 0);
  knownBytes = 0;
}
