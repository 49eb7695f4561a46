//===- Names.cpp - Names that C takes -------------------------------------===//
#include "fovea/AheadOfTime/AheadOfTime.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace fovea;

/// Words of C and C++, of any of their versions, and C++'s namespace.
static bool isWord(llvm::StringRef name) {
  static const llvm::StringSet<> words = {"alignas",
                                          "alignof",
                                          "and",
                                          "and_eq",
                                          "asm",
                                          "auto",
                                          "bitand",
                                          "bitor",
                                          "bool",
                                          "break",
                                          "case",
                                          "catch",
                                          "char",
                                          "char16_t",
                                          "char32_t",
                                          "char8_t",
                                          "class",
                                          "co_await",
                                          "co_return",
                                          "co_yield",
                                          "compl",
                                          "concept",
                                          "const",
                                          "const_cast",
                                          "consteval",
                                          "constexpr",
                                          "constinit",
                                          "continue",
                                          "decltype",
                                          "default",
                                          "delete",
                                          "do",
                                          "double",
                                          "dynamic_cast",
                                          "else",
                                          "enum",
                                          "explicit",
                                          "export",
                                          "extern",
                                          "false",
                                          "float",
                                          "for",
                                          "friend",
                                          "goto",
                                          "if",
                                          "inline",
                                          "int",
                                          "long",
                                          "mutable",
                                          "namespace",
                                          "new",
                                          "noexcept",
                                          "not",
                                          "not_eq",
                                          "nullptr",
                                          "operator",
                                          "or",
                                          "or_eq",
                                          "private",
                                          "protected",
                                          "public",
                                          "register",
                                          "reinterpret_cast",
                                          "requires",
                                          "restrict",
                                          "return",
                                          "short",
                                          "signed",
                                          "sizeof",
                                          "static",
                                          "static_assert",
                                          "static_cast",
                                          "std",
                                          "struct",
                                          "switch",
                                          "template",
                                          "this",
                                          "thread_local",
                                          "throw",
                                          "true",
                                          "try",
                                          "typedef",
                                          "typeid",
                                          "typename",
                                          "typeof",
                                          "typeof_unqual",
                                          "union",
                                          "unsigned",
                                          "using",
                                          "virtual",
                                          "void",
                                          "volatile",
                                          "wchar_t",
                                          "while",
                                          "xor",
                                          "xor_eq"};
  return words.contains(name);
}

/// Macros with lower-case letters of the headers of C and of compilers, beside
/// functions that LLVM knows, and what a program defines.
static bool isMacro(llvm::StringRef name) {
  static const llvm::StringSet<> macros = {"L_ctermid",
                                           "L_cuserid",
                                           "L_tmpnam",
                                           "P_tmpdir",
                                           "alloca",
                                           "assert",
                                           "be16toh",
                                           "be32toh",
                                           "be64toh",
                                           "carg",
                                           "cimag",
                                           "complex",
                                           "conj",
                                           "cproj",
                                           "creal",
                                           "erfc",
                                           "errno",
                                           "fma",
                                           "fpclassify",
                                           "htobe16",
                                           "htobe32",
                                           "htobe64",
                                           "htole16",
                                           "htole32",
                                           "htole64",
                                           "i386",
                                           "imaginary",
                                           "iscanonical",
                                           "iseqsig",
                                           "isfinite",
                                           "isgreater",
                                           "isgreaterequal",
                                           "isinf",
                                           "isless",
                                           "islessequal",
                                           "islessgreater",
                                           "isnan",
                                           "isnormal",
                                           "issignaling",
                                           "issubnormal",
                                           "isunordered",
                                           "iszero",
                                           "kill_dependency",
                                           "le16toh",
                                           "le32toh",
                                           "le64toh",
                                           "lgamma",
                                           "linux",
                                           "llrint",
                                           "llround",
                                           "lrint",
                                           "lround",
                                           "main",
                                           "math_errhandling",
                                           "noreturn",
                                           "offsetof",
                                           "sa_handler",
                                           "sa_sigaction",
                                           "setjmp",
                                           "sigev_notify_attributes",
                                           "sigev_notify_function",
                                           "sigmask",
                                           "signbit",
                                           "sigsetjmp",
                                           "stderr",
                                           "stdin",
                                           "stdout",
                                           "unix",
                                           "unreachable"};
  static const llvm::StringSet<> classes = {
      "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph",
      "lower", "print", "punct", "space", "upper", "xdigit"};
  static const llvm::StringRef families[] = {"PRI",     "SCN", "M_",
                                             "atomic_", "si_", "va_"};
  if (macros.contains(name) || llvm::any_of(families, [&](auto family) {
        return name.starts_with(family);
      }))
    return true;
  name.consume_back("_l");
  return (name.consume_front("is") || name.consume_front("to")) &&
         classes.contains(name);
}

llvm::StringRef fovea::findRuleOfC(llvm::StringRef name) {
  if (isWord(name))
    return "must not be a word of C or C++";
  if (name.starts_with("__") ||
      (name.starts_with("_") && name.size() > 1 && llvm::isUpper(name[1])))
    return "must not begin with two underscores or with one and a capital, "
           "which C reserves";
  if (name.starts_with("fovea_") || name.starts_with("FOVEA_"))
    return "must not begin with fovea_ or FOVEA_, as names of the header do";
  if (name.ends_with("_t"))
    return "must not end in _t, as types of C and POSIX do";
  if (llvm::none_of(name, llvm::isLower))
    return "must have a lower-case letter, as those without are left to macros";
  if (isMacro(name))
    return "must not be a macro of C (nor begin with PRI, SCN, M_, atomic_, "
           "si_ or va_ as its macros do), nor main";
  return "";
}
