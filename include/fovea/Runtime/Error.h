//===- Error.h - Errors that carry a status of the C ABI --------*- C++ -*-===//
#ifndef FOVEA_RUNTIME_ERROR_H
#define FOVEA_RUNTIME_ERROR_H

#include "fovea-c/fovea.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <string>
#include <utility>

namespace fovea {

class StatusError : public llvm::ErrorInfo<StatusError> {
public:
  static char ID;
  StatusError(fovea_status status, std::string message)
      : status(status), message(std::move(message)) {}

  void log(llvm::raw_ostream &os) const override;
  std::error_code convertToErrorCode() const override;

  fovea_status status;
  std::string message;
};

/// A wrong value of an option, found once the source was read: exit status 2
/// of the tools.
class UsageError : public llvm::ErrorInfo<UsageError, StatusError> {
public:
  static char ID;
  UsageError(std::string message)
      : ErrorInfo(FOVEA_INVALID_ARGUMENT, std::move(message)) {}
};

llvm::Error makeError(fovea_status status, const llvm::Twine &message);

/// A wrong value of an argument: "ARGUMENT: RULE, got VALUE".
inline llvm::Error invalid(const llvm::Twine &text) {
  return makeError(FOVEA_INVALID_ARGUMENT, text);
}

/// Takes an error apart; kinds that are not a StatusError become
/// FOVEA_COMPILE_ERROR. Success gives FOVEA_OK and no text.
std::pair<fovea_status, std::string> takeStatus(llvm::Error error);

} // namespace fovea

#endif // FOVEA_RUNTIME_ERROR_H
