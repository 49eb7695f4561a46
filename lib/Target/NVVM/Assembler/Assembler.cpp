//===- Assembler.cpp - PTX to machine code --------------------------------===//
#include "fovea/Target/NVVM/Assembler.h"
#include "Run.h"
#include "fovea/Runtime/Error.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;
using llvm::StringRef;

namespace {
/// Information of ptxas that means a slow or doubtful kernel: matrix products
/// that are serialised, setmaxnreg that is not heard.
bool isFatalCode(int code) {
  return code == 7504 || code == 7508 || (code >= 7510 && code <= 7519);
}

/// The number in front of `words`, or 0.
int numberBefore(StringRef line, StringRef words) {
  size_t at = line.find(words);
  if (at == StringRef::npos)
    return 0;
  StringRef head = line.take_front(at).rtrim();
  StringRef digits =
      head.take_back(head.size() - 1 - head.find_last_not_of("0123456789"));
  int value = 0;
  return digits.getAsInteger(10, value) ? 0 : value;
}

/// What stands behind "ptxas info    : ", "ptxas warning : " and the like.
std::pair<StringRef, StringRef> splitLine(StringRef line) {
  StringRef rest = line;
  if (!rest.consume_front("ptxas "))
    return {"", line};
  auto [kind, text] = rest.split(':');
  // "ptxas /folder/kernel.ptx, line 5; fatal   : text"
  StringRef word = kind.trim().rsplit(' ').second;
  return {word.empty() ? kind.trim() : word, text.trim()};
}

/// Walks over the lines, keeping the kernel that they are about.
class Reader {
public:
  explicit Reader(Assembly &out) : out(out) {}

  void read(StringRef line) {
    auto [kind, text] = splitLine(line);
    if (text.consume_front("Compiling entry function '") ||
        text.consume_front("Function properties for "))
      kernel = text.take_until([](char c) { return c == '\''; }).str();
    if (text.contains("bytes stack frame"))
      readProperties(text);
    if (text.starts_with("Used "))
      out.registers = std::max(out.registers, numberBefore(text, "registers"));
    readCode(text);
    if (kind == "warning")
      out.warnings.push_back(text.str());
    if (kind == "fatal" || kind == "error")
      complain(text);
  }
  llvm::Error finish() {
    if (errors.empty())
      return llvm::Error::success();
    return makeError(FOVEA_COMPILE_ERROR, llvm::join(errors, "\n"));
  }

private:
  void readProperties(StringRef text) {
    int stack = numberBefore(text, "bytes stack frame");
    int spills = numberBefore(text, "bytes spill stores") +
                 numberBefore(text, "bytes spill loads");
    out.stackBytes += stack;
    out.spillBytes += spills;
    if (spills)
      complain("registers spill, " + std::to_string(spills) +
               " bytes of stores and loads");
    else if (stack)
      complain("a stack of " + std::to_string(stack) + " bytes");
  }
  void readCode(StringRef text) {
    llvm::SmallVector<StringRef, 2> match;
    if (!llvm::Regex("\\(C([0-9]+)\\)").match(text, &match))
      return;
    int code = 0;
    if (!match[1].getAsInteger(10, code) && isFatalCode(code)) {
      out.isSerialised = true;
      complain(text);
    } else {
      out.warnings.push_back(text.str());
    }
  }
  void complain(const llvm::Twine &text) {
    errors.push_back(
        ("kernel '" + (kernel.empty() ? "?" : kernel) + "': ptxas: " + text)
            .str());
  }

  Assembly &out;
  std::string kernel;
  std::vector<std::string> errors;
};
} // namespace

llvm::Error fovea::readPtxasMessages(StringRef text, Assembly &out) {
  Reader reader(out);
  llvm::SmallVector<StringRef, 16> lines;
  text.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines)
    reader.read(line);
  return reader.finish();
}

static llvm::Error writeFile(StringRef name, StringRef text) {
  std::error_code error;
  llvm::raw_fd_ostream os(name, error, llvm::sys::fs::OF_None);
  if (!error) {
    os << text;
    os.close();
    error = os.error();
    os.clear_error();
  }
  if (error)
    return makeError(FOVEA_IO_ERROR, name + ": " + error.message());
  return llvm::Error::success();
}

struct Assembling::State {
  TemporaryFolder folder;
  std::string version;
  std::optional<RunningProgram> program;
};

Assembling::Assembling(std::unique_ptr<State> state)
    : state(std::move(state)) {}
Assembling::Assembling(Assembling &&other) = default;
Assembling::~Assembling() = default;

llvm::Expected<Assembling> Assembling::start(const Ptxas &ptxas, StringRef ptx,
                                             StringRef arch) {
  auto folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  std::string source = folder->file("kernel.ptx");
  std::string target = folder->file("kernel.cubin");
  if (llvm::Error error = writeFile(source, ptx))
    return std::move(error);
  std::string option = ("-arch=" + arch).str();
  auto program = RunningProgram::start(
      ptxas.path, {option, "-v", "-O3", source, "-o", target});
  if (!program)
    return program.takeError();
  auto state = std::make_unique<State>(
      State{std::move(*folder), ptxas.version.str(), std::nullopt});
  state->program.emplace(std::move(*program));
  return Assembling(std::move(state));
}

static PtxasFault faultOf(const Assembly &assembly) {
  if (assembly.spillBytes != 0)
    return PtxasFault::Spills;
  return assembly.isSerialised ? PtxasFault::Serialises : PtxasFault::None;
}

llvm::Expected<Assembly> Assembling::finish(PtxasFault *fault) {
  auto ran = state->program->finish();
  if (!ran)
    return ran.takeError();
  Assembly out;
  llvm::Error error = readPtxasMessages(ran->output, out);
  if (fault)
    *fault = faultOf(out);
  if (error)
    return std::move(error);
  auto cubin = llvm::MemoryBuffer::getFile(state->folder.file("kernel.cubin"));
  if (ran->status != 0 || !cubin)
    return makeError(FOVEA_COMPILE_ERROR, "ptxas " + state->version +
                                              " failed with status " +
                                              llvm::Twine(ran->status) + ": " +
                                              StringRef(ran->output).trim());
  out.cubin = (*cubin)->getBuffer().str();
  return out;
}

llvm::Expected<Assembly> fovea::assemblePTX(const Ptxas &ptxas, StringRef ptx,
                                            StringRef arch) {
  auto started = Assembling::start(ptxas, ptx, arch);
  return started ? started->finish() : started.takeError();
}
