//===- CheckBytecode.cpp - Bytecode that cannot be read -------------------===//
#include "fovea/Registration/CheckBytecode.h"
#include "fovea/Registration/Registration.h"

#include "mlir/Bytecode/Encoding.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Alignment.h"
#include "llvm/Support/ErrorOr.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/resource.h>
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

//===----------------------------------------------------------------------===//
// Reading in a child process
//===----------------------------------------------------------------------===//

namespace {
/// What became of a child process that reads the bytecode.
enum class Fate { Died, Survived, Stuck, Negative };
/// What it writes when it ends well.
enum class Answer : char { Readable, Negative };
} // namespace

static void limit(decltype(RLIMIT_CPU) resource, uint64_t most) {
  rlimit now;
  if (getrlimit(resource, &now) != 0)
    return;
  now.rlim_cur = std::min<uint64_t>(now.rlim_cur, most);
  setrlimit(resource, &now);
}

/// In bytes, 0 where it is not known.
static uint64_t addressSpaceInUse() {
  uint64_t pages = 0;
  auto statm = llvm::MemoryBuffer::getFileAsStream("/proc/self/statm");
  if (statm && !(*statm)->getBuffer().split(' ').first.getAsInteger(10, pages))
    return pages * sysconf(_SC_PAGESIZE);
  return 0;
}

/// Processor time that sound bytecode of this size stays far below.
static std::chrono::seconds readingTime(size_t size) {
  return std::chrono::seconds(10 + (size >> 18));
}

/// It is processor time that is counted: a busy machine changes nothing.
static void setLimits(size_t size) {
  limit(RLIMIT_CPU, readingTime(size).count());
  if (uint64_t used = addressSpaceInUse())
    limit(RLIMIT_AS, used + (uint64_t(1) << 30) + 256 * size);
  limit(RLIMIT_CORE, 0);
}

/// What is read may be such that only printing it is deadly.
static void print(const mlir::Diagnostic &diagnostic) {
  diagnostic.print(llvm::nulls());
  for (const mlir::Diagnostic &note : diagnostic.getNotes())
    print(note);
}

/// Whether a type has a size below 0 that is not the one of unknown sizes: it
/// prints as what is no text.
static bool hasNegativeSizes(mlir::ModuleOp module) {
  bool found = false;
  mlir::AttrTypeWalker walker;
  walker.addWalk([&](mlir::Type type) {
    auto shaped = llvm::dyn_cast<mlir::ShapedType>(type);
    if (shaped && shaped.hasRank())
      found |= llvm::any_of(shaped.getShape(), [](int64_t size) {
        return size < 0 && !mlir::ShapedType::isDynamic(size);
      });
  });
  module->walk([&](mlir::Operation *op) {
    walker.walk(op->getAttrDictionary());
    for (mlir::Type type : op->getResultTypes())
      walker.walk(type);
    for (mlir::Region &region : op->getRegions())
      for (mlir::Block &block : region)
        for (mlir::Type type : block.getArgumentTypes())
          walker.walk(type);
  });
  return found;
}

/// Reads the bytecode and prints it to find out whether that can be survived,
/// and writes an answer if so. A refusal without a word counts as a death.
[[noreturn]] static void readAndEnd(llvm::StringRef bytes, int answer) {
  for (int signal :
       {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGXCPU, SIGSYS})
    std::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (int nowhere = open("/dev/null", O_WRONLY); nowhere >= 0)
    dup2(nowhere, STDERR_FILENO);
  setLimits(bytes.size());
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  // Whoever allows them reads further than who does not.
  context.allowUnregisteredDialects();
  bool explained = false;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          explained = true;
                                          print(diagnostic);
                                        });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      bytes, mlir::ParserConfig(&context, /*verifyAfterParse=*/true));
  Answer found = Answer::Readable;
  if (module && hasNegativeSizes(*module))
    found = Answer::Negative;
  else if (module)
    module->print(llvm::nulls());
  if (module || explained)
    if (write(answer, &found, 1) != 1)
      _exit(1);
  _exit(0);
}

/// Waits for a child's byte. The pipe closes when the child ends, unless
/// another thread has made a process meanwhile, which is why both are looked
/// at; who ignores SIGCHLD never gets a status, which is why there is a byte.
static Fate awaitFate(pid_t child, int answer,
                      std::chrono::milliseconds patience) {
  auto end = std::chrono::steady_clock::now() + patience;
  bool ended = false;
  while (!ended && std::chrono::steady_clock::now() < end) {
    pollfd entry = {answer, POLLIN, 0};
    int ready = poll(&entry, 1, /*milliseconds=*/50);
    ended = ready > 0 || (ready == 0 && waitpid(child, nullptr, WNOHANG) != 0);
  }
  if (!ended)
    kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR)
    ;
  Answer found;
  if (read(answer, &found, 1) == 1)
    return found == Answer::Negative ? Fate::Negative : Fate::Survived;
  return ended ? Fate::Died : Fate::Stuck;
}

/// The fate of a child, or why none could be made.
static llvm::ErrorOr<Fate> tryInChild(llvm::StringRef bytes,
                                      std::chrono::milliseconds patience) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    return std::error_code(errno, std::generic_category());
  pid_t child = fork();
  std::error_code failed(errno, std::generic_category());
  if (child == 0)
    readAndEnd(bytes, ends[1]);
  close(ends[1]);
  llvm::scope_exit closeEnd([&] { close(ends[0]); });
  if (child < 0)
    return failed;
  return awaitFate(child, ends[0], patience);
}

/// What is initialised once must not be under way in another thread when a
/// child is made, which would wait for it.
static void initialize() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
}

/// Whether the table of attributes and types has the entries that it counts.
static bool isSound(llvm::StringRef table) {
  Cursor cursor(table);
  uint64_t attributes = cursor.number(), types = cursor.number();
  // An entry has a byte at least.
  return attributes <= table.size() && types <= table.size() &&
         addsUp(cursor, attributes) && addsUp(cursor, types);
}

static llvm::Error refuse(std::error_code kind, llvm::StringRef name,
                          const llvm::Twine &why) {
  return llvm::createStringError(kind, name + ":0:0: error: " + why);
}

llvm::Error
fovea::checkBytecode(llvm::StringRef bytes, llvm::StringRef name,
                     std::optional<std::chrono::milliseconds> patience) {
  std::error_code damaged =
      std::make_error_code(std::errc::illegal_byte_sequence);
  std::optional<llvm::StringRef> table = findTable(bytes);
  if (table && !isSound(*table))
    return refuse(damaged, name,
                  "damaged bytecode: its attributes and types do not add up");
  static std::once_flag initialized;
  std::call_once(initialized, initialize);
  // Processor time may come slowly.
  auto fate =
      tryInChild(bytes, patience.value_or(6 * readingTime(bytes.size())));
  if (!fate)
    return refuse(fate.getError(), name,
                  "bytecode is first read by a process of its own, and none "
                  "can be made: " +
                      fate.getError().message());
  if (*fate == Fate::Stuck)
    return refuse(std::make_error_code(std::errc::timed_out), name,
                  "bytecode is first read by a process of its own, which does "
                  "not end");
  if (*fate == Fate::Negative)
    return refuse(damaged, name,
                  "damaged bytecode: a type has a negative size");
  if (*fate == Fate::Died)
    return refuse(damaged, name, "damaged bytecode: it cannot be read");
  return llvm::Error::success();
}
