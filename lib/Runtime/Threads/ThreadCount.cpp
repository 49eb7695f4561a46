//===- ThreadCount.cpp - How many threads this process should use ---------===//
#include "ThreadCount.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <cstdlib>
#include <sched.h>
#include <string>
#include <unistd.h>

using namespace fovea;

std::optional<int> fovea::parseCpuMax(llvm::StringRef text) {
  auto [quotaText, periodText] = text.trim().split(' ');
  int64_t quota, period;
  if (quotaText.getAsInteger(10, quota) || periodText.getAsInteger(10, period))
    return std::nullopt;
  if (quota <= 0 || period <= 0)
    return std::nullopt;
  return static_cast<int>(
      std::clamp<int64_t>(quota / period + (quota % period != 0), 1, 1 << 20));
}

static std::string readFile(const std::string &path) {
  // Files of /proc and /sys say 0 bytes: read as a stream.
  auto buffer = llvm::MemoryBuffer::getFileAsStream(path);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

/// The tightest quota on the way from this process's group to the root.
static std::optional<int> findQuota() {
  std::optional<int> best;
  auto consider = [&](std::optional<int> found) {
    if (found && (!best || *found < *best))
      best = found;
  };
  std::string groups = readFile("/proc/self/cgroup");
  llvm::SmallVector<llvm::StringRef, 16> lines;
  llvm::StringRef(groups).split(lines, '\n', -1, false);
  for (llvm::StringRef line : lines) {
    auto [id, rest] = line.split(':');
    auto [controllers, path] = rest.split(':');
    bool unified = id == "0" && controllers.empty();
    if (!unified && !controllers.contains("cpu"))
      continue;
    std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    std::string directory = path.str();
    while (true) {
      if (unified)
        consider(parseCpuMax(readFile(root + directory + "/cpu.max")));
      else
        consider(parseCpuMax(
            llvm::StringRef(readFile(root + directory + "/cpu.cfs_quota_us"))
                .trim()
                .str() +
            " " + readFile(root + directory + "/cpu.cfs_period_us")));
      if (directory.empty() || directory == "/")
        break;
      directory = llvm::StringRef(directory).rsplit('/').first.str();
    }
  }
  return best;
}

static int findAffinity() {
  for (int bits = CPU_SETSIZE; bits <= 1 << 16; bits *= 2) {
    cpu_set_t *set = CPU_ALLOC(bits);
    if (!set)
      break;
    size_t size = CPU_ALLOC_SIZE(bits);
    int count = 0;
    if (sched_getaffinity(0, size, set) == 0)
      count = CPU_COUNT_S(size, set);
    CPU_FREE(set);
    if (count > 0)
      return count;
  }
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

ThreadCount fovea::findThreadCount(int maxThreads) {
  ThreadCount result;
  if (const char *text = std::getenv("FOVEA_NUM_THREADS"); text && *text) {
    int wanted;
    if (!llvm::StringRef(text).trim().getAsInteger(10, wanted) && wanted >= 1 &&
        wanted <= maxThreads) {
      result.threads = wanted;
      return result;
    }
    result.note = "FOVEA_NUM_THREADS is not a number of 1 to 1024; ignored";
  }
  result.threads = findAffinity();
  if (std::optional<int> quota = findQuota())
    result.threads = std::min(result.threads, *quota);
  result.threads = std::clamp(result.threads, 1, maxThreads);
  return result;
}
