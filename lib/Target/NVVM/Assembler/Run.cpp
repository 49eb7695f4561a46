//===- Run.cpp - A program and what it prints -----------------------------===//
#include "Run.h"
#include "fovea/Runtime/Error.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <csignal>

#include <tuple>

using namespace fovea;

static constexpr unsigned secondsAllowed = 60;

llvm::Expected<TemporaryFolder> TemporaryFolder::create() {
  TemporaryFolder made;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("fovea", made.folder))
    return makeError(FOVEA_IO_ERROR, "no temporary folder: " + error.message());
  return std::move(made);
}

TemporaryFolder::~TemporaryFolder() {
  if (!folder.empty()) // there is nobody to tell
    std::ignore = llvm::sys::fs::remove_directories(folder);
}

std::string TemporaryFolder::file(llvm::StringRef name) const {
  llvm::SmallString<128> out(folder);
  llvm::sys::path::append(out, name);
  return std::string(out);
}

llvm::Expected<RunningProgram>
RunningProgram::start(llvm::StringRef program,
                      llvm::ArrayRef<llvm::StringRef> arguments) {
  auto folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  RunningProgram running(std::move(*folder), program.str());
  std::string output = running.folder.file("output");
  llvm::SmallVector<llvm::StringRef, 8> all{program};
  all.append(arguments.begin(), arguments.end());
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), output,
                                                output};
  std::string message;
  bool failed = false;
  running.process = llvm::sys::ExecuteNoWait(program, all, std::nullopt,
                                             redirects, 0, &message, &failed);
  if (failed)
    return makeError(FOVEA_COMPILE_ERROR, program + " did not run: " + message);
  return std::move(running);
}

RunningProgram::~RunningProgram() {
  if (process.Pid == llvm::sys::ProcessInfo::InvalidPid)
    return;
  kill(process.Pid, SIGKILL);
  llvm::sys::Wait(process, std::nullopt);
}

llvm::Expected<Ran> RunningProgram::finish() {
  std::string message;
  llvm::sys::ProcessInfo ended =
      llvm::sys::Wait(process, secondsAllowed, &message);
  process = {};
  Ran ran;
  ran.status = ended.ReturnCode;
  if (ran.status < 0)
    return makeError(
        FOVEA_COMPILE_ERROR,
        program + " did not run: " + (message.empty() ? "killed" : message));
  if (auto buffer = llvm::MemoryBuffer::getFile(folder.file("output")))
    ran.output = (*buffer)->getBuffer().str();
  return ran;
}

llvm::Expected<Ran>
fovea::runProgram(llvm::StringRef program,
                  llvm::ArrayRef<llvm::StringRef> arguments) {
  auto running = RunningProgram::start(program, arguments);
  return running ? running->finish() : running.takeError();
}
