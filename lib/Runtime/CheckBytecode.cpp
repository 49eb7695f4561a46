//===- CheckBytecode.cpp - Bytecode that cannot be read -------------------===//
#include "fovea/Runtime/CheckBytecode.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Runtime/Error.h"

#include "mlir/Bytecode/Encoding.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Alignment.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

using namespace fovea;

namespace {

/// Reads numbers as MLIR's bytecode writes them; beyond the end all are 0.
class Cursor {
public:
  explicit Cursor(llvm::StringRef bytes, size_t at = 0)
      : bytes(bytes), at(at) {}

  bool failed() const { return overrun; }
  bool atEnd() const { return at >= bytes.size(); }

  /// Zeros at the low end of the first byte count the bytes that follow, then
  /// comes a one; a first byte of 0 is followed by all eight.
  uint64_t number() {
    llvm::StringRef first = take(1);
    if (overrun)
      return 0;
    unsigned more = first[0] ? llvm::countr_zero(uint8_t(first[0])) : 8;
    llvm::StringRef rest = take(more);
    uint64_t value = 0;
    for (char byte : llvm::reverse(rest))
      value = value << 8 | uint8_t(byte);
    // Seven following bytes leave no bit of the first one.
    return more > 6 ? value : (value << 8 | uint8_t(first[0])) >> (more + 1);
  }
  void skipText() {
    size_t end = bytes.find('\0', at);
    overrun |= end == llvm::StringRef::npos;
    at = overrun ? bytes.size() : end + 1;
  }
  void align(uint64_t to) {
    if (llvm::isPowerOf2_64(to))
      take(llvm::offsetToAlignment(at, llvm::Align(to)));
  }
  llvm::StringRef take(uint64_t size) {
    overrun |= size > bytes.size() - at;
    if (overrun)
      return "";
    at += size;
    return bytes.substr(at - size, size);
  }

private:
  llvm::StringRef bytes;
  size_t at;
  bool overrun = false;
};

} // namespace

/// The table of attributes and types, none where the sections are not to be
/// told apart.
static std::optional<llvm::StringRef> findTable(llvm::StringRef bytes) {
  Cursor cursor(bytes, /*at=*/4);
  cursor.number(); // version
  cursor.skipText();
  while (!cursor.failed() && !cursor.atEnd()) {
    llvm::StringRef kind = cursor.take(1);
    uint64_t size = cursor.number();
    if (cursor.failed())
      return std::nullopt;
    if (kind[0] & 0x80)
      cursor.align(cursor.number());
    llvm::StringRef section = cursor.take(size);
    if (cursor.failed())
      return std::nullopt;
    if ((kind[0] & 0x7f) == mlir::bytecode::Section::kAttrTypeOffset)
      return section;
  }
  return std::nullopt;
}

/// Entries come in groups of one dialect each: (dialect, count, size…).
static bool addsUp(Cursor &cursor, uint64_t entries) {
  while (entries != 0 && !cursor.failed()) {
    cursor.number(); // dialect
    uint64_t count = cursor.number();
    if (count > entries)
      return false;
    entries -= count;
    for (; count != 0 && !cursor.failed(); --count)
      cursor.number();
  }
  return true;
}

/// Reads the bytecode to find out whether that can be survived.
[[noreturn]] static void readAndEnd(llvm::StringRef bytes) {
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM})
    std::signal(signal, SIG_DFL);
  if (int nowhere = open("/dev/null", O_WRONLY); nowhere >= 0)
    dup2(nowhere, STDERR_FILENO);
  // A lock of another thread of the parent may be held for ever here.
  alarm(5);
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  mlir::parseSourceString<mlir::ModuleOp>(
      bytes, mlir::ParserConfig(&context, /*verifyAfterParse=*/true));
  _exit(0);
}

/// Whether a child process that reads the bytecode ends by itself; true where
/// no process can be made.
static bool isSurvived(llvm::StringRef bytes) {
  pid_t child = fork();
  if (child < 0)
    return true;
  if (child == 0)
    readAndEnd(bytes);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return true;
  return !WIFSIGNALED(status);
}

/// Whether the table of attributes and types has the entries that it counts.
static bool isSound(llvm::StringRef table) {
  Cursor cursor(table);
  uint64_t attributes = cursor.number(), types = cursor.number();
  // An entry has a byte at least.
  return attributes <= table.size() && types <= table.size() &&
         addsUp(cursor, attributes) && addsUp(cursor, types);
}

llvm::Error fovea::checkBytecode(llvm::StringRef bytes, llvm::StringRef name) {
  std::optional<llvm::StringRef> table = findTable(bytes);
  if (table && !isSound(*table))
    return makeError(FOVEA_PARSE_ERROR,
                     name + ":0:0: error: damaged bytecode: its attributes and "
                            "types do not add up");
  if (!isSurvived(bytes))
    return makeError(FOVEA_PARSE_ERROR,
                     name + ":0:0: error: damaged bytecode: it cannot be read");
  return llvm::Error::success();
}
