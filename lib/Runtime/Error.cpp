//===- Error.cpp - Errors that carry a status of the C ABI ----------------===//
#include "fovea/Runtime/Error.h"

#include "llvm/Support/raw_ostream.h"

using namespace fovea;

char StatusError::ID = 0;
char UsageError::ID = 0;

void StatusError::log(llvm::raw_ostream &os) const { os << message; }

std::error_code StatusError::convertToErrorCode() const {
  return llvm::inconvertibleErrorCode();
}

llvm::Error fovea::makeError(fovea_status status, const llvm::Twine &message) {
  return llvm::make_error<StatusError>(status, message.str());
}

std::pair<fovea_status, std::string> fovea::takeStatus(llvm::Error error) {
  std::pair<fovea_status, std::string> result{FOVEA_OK, ""};
  auto add = [&](fovea_status status, const std::string &text) {
    if (result.first != FOVEA_OK) {
      result.second += "\n" + text;
      return;
    }
    result = {status, text};
  };
  llvm::handleAllErrors(
      std::move(error), [&](const StatusError &e) { add(e.status, e.message); },
      [&](const llvm::ErrorInfoBase &e) {
        add(FOVEA_COMPILE_ERROR, e.message());
      });
  return result;
}
