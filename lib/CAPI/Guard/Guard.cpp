//===- Guard.cpp - The one place that catches exceptions ------------------===//
#include "../Support.h"
#include "fovea/Runtime/ThreadPool.h"

#include <cstddef>
#include <cstring>
#include <new>

using namespace fovea;

void capi::fill(fovea_message *message, const std::string &text) {
  constexpr size_t start = offsetof(fovea_message, text);
  if (!message || message->struct_size <= start)
    return;
  size_t room = message->struct_size - start;
  if (room > sizeof message->text)
    room = sizeof message->text;
  size_t size = text.size();
  if (size > room - 1) {
    size = room - 1;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80)
      --size;
  }
  std::memcpy(message->text, text.data(), size);
  message->text[size] = 0;
}

fovea_status capi::guard(fovea_message *message,
                         llvm::function_ref<llvm::Error()> body) {
  FloatEnvironmentScope environment;
  try {
    auto [status, text] = takeStatus(body());
    if (status != FOVEA_OK)
      fill(message, text);
    return status;
  } catch (const std::bad_alloc &) {
    fill(message, "out of memory");
    return FOVEA_OUT_OF_MEMORY;
  } catch (...) {
    fill(message, "an unexpected exception of the C++ library");
    return FOVEA_COMPILE_ERROR;
  }
}
