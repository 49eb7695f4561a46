//===- BuildId.cpp - Identifies this build of the library -----------------===//
#include "fovea/Runtime/CompileService.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/stat.h>

using namespace fovea;

namespace {
struct Search {
  uintptr_t address;
  std::string found;
};

std::string readNote(const char *at, size_t size) {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    size_t nameSize = (note.n_namesz + 3) & ~size_t(3);
    size_t total = sizeof note + nameSize + ((note.n_descsz + 3) & ~size_t(3));
    if (total > size)
      break;
    const char *name = at + sizeof note;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0)
      return llvm::toHex(llvm::StringRef(name + nameSize, note.n_descsz),
                         /*LowerCase=*/true);
    at += total;
    size -= total;
  }
  return "";
}

int visit(dl_phdr_info *info, size_t, void *context) {
  auto &search = *static_cast<Search *>(context);
  bool ours = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto &header = info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + header.p_vaddr;
    ours |= header.p_type == PT_LOAD && search.address >= start &&
            search.address < start + header.p_memsz;
  }
  if (!ours)
    return 0;
  for (int i = 0; i < info->dlpi_phnum && search.found.empty(); ++i)
    if (info->dlpi_phdr[i].p_type == PT_NOTE)
      search.found = readNote(reinterpret_cast<const char *>(
                                  info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                              info->dlpi_phdr[i].p_memsz);
  return 1;
}

/// The linker's build id of the object that this code is in. Without one: the
/// size and time of its file.
std::string findBuildId() {
  Search search{reinterpret_cast<uintptr_t>(&visit), ""};
  dl_iterate_phdr(visit, &search);
  if (search.found.empty()) {
    Dl_info info;
    struct stat file;
    if (dladdr(reinterpret_cast<void *>(&visit), &info) && info.dli_fname &&
        ::stat(info.dli_fname, &file) == 0)
      search.found = std::to_string(file.st_size) + "-" +
                     std::to_string(file.st_mtim.tv_sec) + "-" +
                     std::to_string(file.st_mtim.tv_nsec);
  }
  return search.found + "-llvm" LLVM_VERSION_STRING;
}
} // namespace

const std::string &fovea::getBuildId() {
  static const std::string id = findBuildId();
  return id;
}
