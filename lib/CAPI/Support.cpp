//===- Support.cpp - What every function of the C ABI does ----------------===//
#include "Support.h"
#include "fovea/Runtime/ReadSource.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace fovea;

llvm::Error capi::giveString(llvm::StringRef bytes, fovea_string *out) {
  // One byte more, so that texts end in NUL.
  char *copy = static_cast<char *>(std::malloc(bytes.size() + 1));
  if (!copy)
    return makeError(FOVEA_OUT_OF_MEMORY,
                     "no memory for " + llvm::Twine(bytes.size()) + " bytes");
  std::memcpy(copy, bytes.data(), bytes.size());
  copy[bytes.size()] = 0;
  out->data = copy;
  out->size = bytes.size();
  return llvm::Error::success();
}

llvm::Expected<std::vector<std::pair<std::string, std::string>>>
capi::readDefines(const char *const *defines, size_t count) {
  std::vector<std::pair<std::string, std::string>> out;
  if (count > 0 && !defines)
    return invalid("defines: must not be null");
  for (size_t i = 0; i < count; ++i) {
    if (!defines[i])
      return invalid("defines: entry " + llvm::Twine(i) + " must not be null");
    auto pair = splitAssignment(defines[i], "defines");
    if (!pair)
      return pair.takeError();
    out.push_back(std::move(*pair));
  }
  return out;
}

llvm::Error capi::probeMemory(size_t bytes) {
  void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return makeError(FOVEA_OUT_OF_MEMORY, "compiling needs some " +
                                              llvm::Twine(bytes >> 20) +
                                              " MiB of memory");
  ::munmap(memory, bytes);
  return llvm::Error::success();
}

extern "C" void fovea_string_free(fovea_string *string) {
  if (!string || string->struct_size != sizeof(fovea_string))
    return;
  std::free(const_cast<char *>(string->data));
  string->data = nullptr;
  string->size = 0;
}
