//===- Run.cpp - A program and what it prints -----------------------------===//
#include "Run.h"
#include "fovea/Runtime/Error.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

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

llvm::Expected<Ran>
fovea::runProgram(llvm::StringRef program,
                  llvm::ArrayRef<llvm::StringRef> arguments) {
  auto folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  std::string output = folder->file("output");
  llvm::SmallVector<llvm::StringRef, 8> all{program};
  all.append(arguments.begin(), arguments.end());
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), output,
                                                output};
  std::string message;
  Ran ran;
  ran.status = llvm::sys::ExecuteAndWait(program, all, std::nullopt, redirects,
                                         secondsAllowed, 0, &message);
  if (ran.status < 0)
    return makeError(
        FOVEA_COMPILE_ERROR,
        program + " did not run: " + (message.empty() ? "killed" : message));
  if (auto buffer = llvm::MemoryBuffer::getFile(output))
    ran.output = (*buffer)->getBuffer().str();
  return ran;
}
