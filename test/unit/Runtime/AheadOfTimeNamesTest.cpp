//===- AheadOfTimeNamesTest.cpp - Names that kernels may not take ---------===//
#include "fovea/AheadOfTime/AheadOfTime.h"

#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"

#include <array>
#include <cstdio>
#include <set>

using namespace fovea;

namespace {
/// What a shell command writes.
std::string outputOf(const char *command) {
  std::string text;
  FILE *pipe = popen(command, "r");
  if (!pipe)
    return text;
  std::array<char, 4096> buffer;
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    text.append(buffer.data(), count);
  return pclose(pipe) == 0 ? text : "";
}

/// Identifiers at file scope of preprocessed text: glibc's parameters and
/// members begin with an underscore.
std::set<std::string> identifiersOf(llvm::StringRef text) {
  std::set<std::string> found;
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n');
  for (llvm::StringRef line : lines) {
    if (line.starts_with("#"))
      continue;
    while (!line.empty()) {
      auto isPart = [](char c) { return llvm::isAlnum(c) || c == '_'; };
      llvm::StringRef word = line.take_while(isPart);
      if (word.empty())
        word = line.take_front(1);
      else if (!llvm::isDigit(word.front()) && word.front() != '_')
        found.insert(word.str());
      line = line.drop_front(word.size());
    }
  }
  return found;
}

bool isTaken(llvm::StringRef name) {
  return !findRuleOfC(name).empty() || isNameOfLibrary(name);
}
} // namespace

TEST(AheadOfTimeNames, WhatTheIncludesDeclareIsTaken) {
  const std::string includes =
      "printf '#include <%s>\\n' stddef.h stdint.h stdio.h string.h | clang-22 "
      "-E -x c - -std=gnu17";
  for (const char *extensions : {"", " -D_GNU_SOURCE"}) {
    std::set<std::string> names =
        identifiersOf(outputOf((includes + extensions).c_str()));
    ASSERT_TRUE(names.count("printf") && names.count("memcpy"));
    for (const std::string &name : names)
      EXPECT_TRUE(isTaken(name)) << name;
  }
}

TEST(AheadOfTimeNames, TheLibraryIsTaken) {
  for (const char *name : {"printf", "malloc", "free", "exp2f", "index"})
    EXPECT_TRUE(isNameOfLibrary(name)) << name;
  // Of C, its Annex K, POSIX and its options, of glibc, objects and types.
  for (const char *name : {"signal",
                           "time",
                           "clock",
                           "select",
                           "pipe",
                           "gamma",
                           "y0",
                           "j1",
                           "sched_yield",
                           "thrd_create",
                           "memcpy_s",
                           "pthread_create",
                           "dbm_open",
                           "fattach",
                           "posix_trace_start",
                           "posix_mem_offset",
                           "mq_open",
                           "_exit",
                           "environ",
                           "errno",
                           "stdin",
                           "optarg",
                           "timezone",
                           "tzname",
                           "signgam",
                           "jmp_buf",
                           "fd_set",
                           "_start",
                           "std"})
    EXPECT_TRUE(isTaken(name)) << name;
  for (const char *name : {"alibi", "window", "attention", "softmax"})
    EXPECT_FALSE(isTaken(name)) << name;
}

/// What glibc adds to its headers later does not count.
TEST(AheadOfTimeNames, FunctionsOfCAndPosixAreTaken) {
  const std::string text = outputOf(
      "printf '#include <%s.h>\\n' aio arpa/inet complex ctype dirent dlfcn "
      "fcntl fenv fmtmsg fnmatch ftw glob grp iconv inttypes langinfo libgen "
      "locale math monetary mqueue net/if netdb nl_types poll pthread pwd "
      "regex "
      "sched search semaphore setjmp signal spawn stdio stdlib string strings "
      "sys/ipc sys/mman sys/msg sys/resource sys/select sys/sem sys/shm "
      "sys/socket sys/stat sys/statvfs sys/time sys/times sys/uio sys/utsname "
      "sys/wait syslog termios threads time uchar ulimit unistd utime utmpx "
      "wchar wctype wordexp | clang-22 -std=c17 -D_XOPEN_SOURCE=700 "
      "-fsyntax-only -Xclang -ast-dump -x c -");
  std::set<std::string> names;
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(text).split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef line : lines)
    if (line.consume_front("|-FunctionDecl "))
      names.insert(line.split(" '").first.rsplit(' ').second.str());
  ASSERT_TRUE(names.count("sched_yield") && names.count("thrd_create"));
  for (const std::string &name : names)
    EXPECT_TRUE(isTaken(name)) << name;
}

TEST(AheadOfTimeNames, MacrosOfTheHeadersOfCAreTaken) {
  const std::string command =
      "printf '#include <%s.h>\\n' assert complex ctype errno fenv float "
      "inttypes iso646 limits locale math setjmp signal stdalign stdarg "
      "stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath "
      "threads time uchar wchar wctype | clang-22 -dM -E -x c - -std=";
  for (const char *standard : {"c99", "gnu17", "gnu23"}) {
    std::string text = outputOf((command + standard).c_str());
    std::set<std::string> names;
    llvm::SmallVector<llvm::StringRef> lines;
    llvm::StringRef(text).split(lines, '\n', -1, /*KeepEmpty=*/false);
    for (llvm::StringRef line : lines)
      if (line.consume_front("#define "))
        names.insert(
            line.take_until([](char c) { return c == ' ' || c == '('; }).str());
    ASSERT_TRUE(names.count("NAN") && names.count("FLT_EPSILON"));
    for (const std::string &name : names)
      EXPECT_TRUE(isTaken(name) || name[0] == '_') << name;
  }
}
