//===- DiskCacheTest.cpp - Compiled kernels between processes -------------===//

#include "fovea/Runtime/DiskCache.h"

#include "gtest/gtest.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace fovea;
namespace fs = std::filesystem;

namespace {

class Disk : public testing::Test {
protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "fovea-test-XXXXXX";
    root = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(root); }
  DiskCache::Settings settings(const std::string &folder = "cache") {
    DiskCache::Settings out;
    out.directory = root + "/" + folder;
    return out;
  }
  std::string file(const std::string &key) {
    return root + "/cache/" + key + ".kernel";
  }
  std::string root;
};

TEST_F(Disk, KeepsEntriesBetweenProcesses) {
  {
    DiskCache cache(settings("deep/down/cache"));
    ASSERT_TRUE(cache.enabled()) << cache.note().str();
    EXPECT_EQ(cache.load("key"), std::nullopt);
    EXPECT_TRUE(cache.store("key", std::string("pay\0load", 8)));
  }
  DiskCache cache(settings("deep/down/cache"));
  EXPECT_EQ(cache.load("key"), std::string("pay\0load", 8));
  struct stat info;
  ASSERT_EQ(::stat((root + "/deep/down/cache").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(Disk, DamagedEntriesCountAsAbsent) {
  DiskCache cache(settings());
  std::string payload = "some machine code";
  ASSERT_TRUE(cache.store("key", payload));
  std::ifstream in(file("key"), std::ios::binary);
  std::string whole((std::istreambuf_iterator<char>(in)), {});
  auto write = [&](const std::string &bytes) {
    std::ofstream(file("key"), std::ios::binary) << bytes;
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] ^= 0x10;
    write(flipped);
    EXPECT_EQ(cache.load("key"), std::nullopt) << "byte " << i;
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    write(whole.substr(0, size));
    EXPECT_EQ(cache.load("key"), std::nullopt) << "cut at " << size;
  }
  write(whole + "x");
  EXPECT_EQ(cache.load("key"), std::nullopt);
  EXPECT_TRUE(cache.store("key", payload)); // and is written anew
  EXPECT_EQ(cache.load("key"), payload);
}

TEST_F(Disk, AnEntryUnderAnotherNameCountsAsAbsent) {
  DiskCache cache(settings());
  ASSERT_TRUE(cache.store("one", "payload"));
  fs::rename(file("one"), file("two"));
  EXPECT_EQ(cache.load("two"), std::nullopt);
}

TEST_F(Disk, LinksAreNotFollowed) {
  DiskCache cache(settings());
  ASSERT_TRUE(cache.store("key", "payload"));
  fs::rename(file("key"), root + "/elsewhere");
  fs::create_symlink(root + "/elsewhere", file("key"));
  EXPECT_EQ(cache.load("key"), std::nullopt);

  fs::create_directory(root + "/real");
  fs::create_symlink(root + "/real", root + "/link");
  DiskCache linked(settings("link"));
  EXPECT_FALSE(linked.enabled());
  EXPECT_NE(linked.note().find("is a symbolic link"), llvm::StringRef::npos);
}

TEST_F(Disk, ADirectoryThatOthersWriteIsRefused) {
  for (unsigned mode : {0770u, 0702u, 0777u}) {
    fs::create_directories(root + "/cache");
    ::chmod((root + "/cache").c_str(), mode);
    DiskCache cache(settings());
    EXPECT_FALSE(cache.enabled());
    EXPECT_NE(cache.note().find("can be written by others"),
              llvm::StringRef::npos);
    EXPECT_FALSE(cache.store("key", "payload"));
    EXPECT_EQ(cache.load("key"), std::nullopt);
  }
}

TEST_F(Disk, UnusablePlacesAreNoted) {
  std::ofstream(root + "/file") << "x";
  DiskCache file(settings("file"));
  EXPECT_FALSE(file.enabled());
  EXPECT_FALSE(file.note().empty());
  DiskCache below(settings("file/cache"));
  EXPECT_FALSE(below.enabled());
  EXPECT_FALSE(below.note().empty());
  DiskCache::Settings none;
  DiskCache nowhere(none);
  EXPECT_FALSE(nowhere.enabled());
  EXPECT_FALSE(nowhere.note().empty());
  if (::geteuid() == 0) { // only root can make a foreign directory
    fs::create_directory(root + "/foreign");
    ASSERT_EQ(::chown((root + "/foreign").c_str(), 12345, 12345), 0);
    DiskCache foreign(settings("foreign"));
    EXPECT_FALSE(foreign.enabled());
    EXPECT_NE(foreign.note().find("belongs to another user"),
              llvm::StringRef::npos);
  }
}

TEST_F(Disk, SwitchedOffSaysNothing) {
  DiskCache::Settings off = settings();
  off.enabled = false;
  DiskCache cache(off);
  EXPECT_FALSE(cache.enabled());
  EXPECT_TRUE(cache.note().empty());
  EXPECT_FALSE(fs::exists(root + "/cache"));
}

TEST_F(Disk, TheEntriesUsedLongestAgoGo) {
  DiskCache::Settings small = settings();
  small.maxBytes = 3500;
  DiskCache cache(small);
  std::string payload(1000, 'x');
  auto age = [&](const std::string &key, time_t seconds) {
    timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ::utimensat(AT_FDCWD, file(key).c_str(), times, 0);
  };
  for (const char *key : {"a", "b", "c"})
    ASSERT_TRUE(cache.store(key, payload));
  age("a", 1000);
  age("b", 2000);
  age("c", 3000);
  EXPECT_TRUE(cache.load("a").has_value()); // used now
  ASSERT_TRUE(cache.store("d", payload));
  EXPECT_EQ(cache.load("b"), std::nullopt);
  for (const char *key : {"a", "c", "d"})
    EXPECT_TRUE(cache.load(key).has_value()) << key;
  EXPECT_FALSE(cache.store("huge", std::string(4000, 'x')));
}

TEST_F(Disk, WhatAKilledWriterLeftIsSweptLater) {
  DiskCache cache(settings());
  std::ofstream(root + "/cache/.new-1-0-key") << "half";
  std::ofstream(root + "/cache/.new-2-0-key") << "half";
  timespec old[2] = {{1000, 0}, {1000, 0}};
  ::utimensat(AT_FDCWD, (root + "/cache/.new-1-0-key").c_str(), old, 0);
  ASSERT_TRUE(cache.store("key", "payload"));
  EXPECT_FALSE(fs::exists(root + "/cache/.new-1-0-key"));
  EXPECT_TRUE(fs::exists(root + "/cache/.new-2-0-key")); // may be at work
}

TEST_F(Disk, TwoProcessesWriteOneEntry) {
  DiskCache::Settings shared = settings();
  DiskCache cache(shared);
  std::string payload(100000, 'y');
  pid_t child = fork();
  if (child == 0) {
    DiskCache other(shared);
    bool good = true;
    for (int i = 0; i < 200; ++i) {
      good &= other.store("key", payload);
      good &= other.load("key") == payload;
    }
    _exit(good ? 0 : 1);
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(cache.store("key", payload));
    EXPECT_EQ(cache.load("key"), payload);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(Disk, ClearRemovesEntriesOnly) {
  DiskCache cache(settings());
  ASSERT_TRUE(cache.store("key", "payload"));
  std::ofstream(root + "/cache/notes.txt") << "mine";
  cache.clear();
  EXPECT_EQ(cache.load("key"), std::nullopt);
  EXPECT_TRUE(fs::exists(root + "/cache/notes.txt"));
}

TEST(DiskEnvironment, ReadsSizes) {
  EXPECT_EQ(DiskCache::parseSize("1073741824"), int64_t(1) << 30);
  EXPECT_EQ(DiskCache::parseSize("512M"), int64_t(512) << 20);
  EXPECT_EQ(DiskCache::parseSize(" 2 GiB "), int64_t(2) << 30);
  EXPECT_EQ(DiskCache::parseSize("0"), 0);
  for (const char *wrong :
       {"", "G", "-1", "1.5G", "10X", "99999999999999999999", "9999999999T"})
    EXPECT_EQ(DiskCache::parseSize(wrong), std::nullopt) << wrong;
}

TEST(DiskEnvironment, FindsTheDirectory) {
  setenv("FOVEA_CACHE_DIR", "/somewhere/", 1);
  EXPECT_EQ(DiskCache::readEnvironment().directory, "/somewhere");
  unsetenv("FOVEA_CACHE_DIR");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(DiskCache::readEnvironment().directory, "/xdg/fovea");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(DiskCache::readEnvironment().directory,
            "/home/someone/.cache/fovea");
  unsetenv("XDG_CACHE_HOME");
  setenv("FOVEA_CACHE", "0", 1);
  EXPECT_FALSE(DiskCache::readEnvironment().enabled);
  EXPECT_EQ(DiskCache::readEnvironment().note, "");
  setenv("FOVEA_CACHE", "1", 1);
  EXPECT_EQ(DiskCache::readEnvironment().note, "");
  setenv("FOVEA_CACHE", "false", 1);
  EXPECT_TRUE(DiskCache::readEnvironment().enabled);
  EXPECT_EQ(DiskCache::readEnvironment().note,
            "FOVEA_CACHE is neither 0 nor 1; ignored");
  unsetenv("FOVEA_CACHE");
  setenv("FOVEA_CACHE_SIZE", "lots", 1);
  EXPECT_FALSE(DiskCache::readEnvironment().note.empty());
  unsetenv("FOVEA_CACHE_SIZE");
}

} // namespace
