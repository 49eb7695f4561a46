//===- Names.cpp - Names that C takes -------------------------------------===//
#include "fovea/AheadOfTime/AheadOfTime.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/TargetParser/Triple.h"

using namespace fovea;

bool fovea::isTakenInC(llvm::StringRef name) {
  static const llvm::StringSet<> words = {
      "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor",
      "bool", "break", "case", "catch", "char", "char16_t", "char32_t",
      "char8_t", "class", "co_await", "co_return", "co_yield", "compl",
      "concept", "const", "const_cast", "consteval", "constexpr", "constinit",
      "continue", "decltype", "default", "delete", "do", "double",
      "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false",
      "float", "for", "friend", "goto", "if", "inline", "int", "long",
      "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr",
      "operator", "or", "or_eq", "private", "protected", "public", "register",
      "reinterpret_cast", "requires", "restrict", "return", "short", "signed",
      "sizeof", "static", "static_assert", "static_cast", "struct", "switch",
      "template", "this", "thread_local", "throw", "true", "try", "typedef",
      "typeid", "typename", "typeof", "typeof_unqual", "union", "unsigned",
      "using", "virtual", "void", "volatile", "wchar_t", "while", "xor",
      "xor_eq",
      // Macros of the headers and of compilers, and what a program defines.
      "BUFSIZ", "EOF", "FILE", "L_ctermid", "L_tmpnam", "NULL", "P_tmpdir",
      "SEEK_CUR", "SEEK_END", "SEEK_SET", "errno", "i386", "linux", "main",
      "offsetof", "stderr", "stdin", "stdout", "unix"};
  return words.contains(name) || name.starts_with("fovea_") ||
         name.starts_with("FOVEA_") || name.starts_with("__") ||
         (name.starts_with("_") && name.size() > 1 && llvm::isUpper(name[1])) ||
         name.ends_with("_t") || name.ends_with("_MAX") ||
         name.ends_with("_MIN") || name.ends_with("INT8_C") ||
         name.ends_with("INT16_C") || name.ends_with("INT32_C") ||
         name.ends_with("INT64_C") || name.ends_with("INTMAX_C");
}

/// What stddef.h, stdint.h, stdio.h and string.h declare in glibc, with its
/// extensions.
static bool isDeclaredByIncludes(llvm::StringRef name) {
  static const llvm::StringSet<> declared = {
      "bcmp", "bcopy", "bzero", "clearerr", "clearerr_unlocked", "ctermid",
      "dprintf", "explicit_bzero", "fclose", "fdopen", "feof", "feof_unlocked",
      "ferror", "ferror_unlocked", "fflush", "fflush_unlocked", "ffs", "ffsl",
      "ffsll", "fgetc", "fgetc_unlocked", "fgetpos", "fgets", "fileno",
      "fileno_unlocked", "flockfile", "fmemopen", "fopen", "fprintf", "fputc",
      "fputc_unlocked", "fputs", "fread", "fread_unlocked", "freopen", "fscanf",
      "fseek", "fseeko", "fsetpos", "ftell", "ftello", "ftrylockfile",
      "funlockfile", "fwrite", "fwrite_unlocked", "getc", "getc_unlocked",
      "getchar", "getchar_unlocked", "getdelim", "getline", "getw", "index",
      "memccpy", "memchr", "memcmp", "memcpy", "memmove", "memset",
      "open_memstream", "pclose", "perror", "popen", "printf", "putc",
      "putc_unlocked", "putchar", "putchar_unlocked", "puts", "putw", "remove",
      "rename", "renameat", "rewind", "rindex", "scanf", "setbuf", "setbuffer",
      "setlinebuf", "setvbuf", "snprintf", "sprintf", "sscanf", "stpcpy",
      "stpncpy", "strcasecmp", "strcasecmp_l", "strcat", "strchr", "strcmp",
      "strcoll", "strcoll_l", "strcpy", "strcspn", "strdup", "strerror",
      "strerror_l", "strerror_r", "strlen", "strncasecmp", "strncasecmp_l",
      "strncat", "strncmp", "strncpy", "strndup", "strnlen", "strpbrk",
      "strrchr", "strsep", "strsignal", "strspn", "strstr", "strtok",
      "strtok_r", "strxfrm", "strxfrm_l", "tempnam", "tmpfile", "tmpnam",
      "tmpnam_r", "ungetc", "va_list", "vdprintf", "vfprintf", "vfscanf",
      "vprintf", "vscanf", "vsnprintf", "vsprintf", "vsscanf",
      // With _GNU_SOURCE.
      "asprintf", "basename", "close", "cuserid", "fcloseall", "fgetpos64",
      "fgets_unlocked", "fopen64", "fopencookie", "fputs_unlocked", "freopen64",
      "fseeko64", "fsetpos64", "ftello64", "memfrob", "memmem", "mempcpy",
      "memrchr", "obstack", "obstack_printf", "obstack_vprintf", "rawmemchr",
      "read", "renameat2", "seek", "sigabbrev_np", "sigdescr_np", "strcasestr",
      "strchrnul", "strerrordesc_np", "strerrorname_np", "strfry", "strlcat",
      "strlcpy", "strverscmp", "tmpfile64", "vasprintf", "write"};
  return declared.contains(name);
}

bool fovea::isFunctionOfC(llvm::StringRef name) {
  static const llvm::TargetLibraryInfoImpl library(
      llvm::Triple("x86_64-unknown-linux-gnu"));
  llvm::LibFunc function;
  return isDeclaredByIncludes(name) || library.getLibFunc(name, function);
}
