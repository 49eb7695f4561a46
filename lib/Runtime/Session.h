//===- Session.h - A context of one compilation -----------------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_SESSION_H
#define FOVEA_LIB_RUNTIME_SESSION_H

#include "fovea/Registration/Registration.h"
#include "fovea/Runtime/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

namespace fovea {

/// A context of one compilation, with the diagnostics it gives kept as text. It
/// starts no threads.
class Session {
public:
  Session()
      : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED),
        handler(&context, [this](mlir::Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
            append(diagnostic);
          return mlir::success();
        }) {
    // Users' messages hold no MLIR.
    context.printOpOnDiagnostic(false);
  }

  mlir::MLIRContext &get() { return context; }

  /// What a failed step has said. Complaints about the schedule are the user's
  /// to mend, "sm_90a kernels do not …" names what a target lacks, everything
  /// else is a defect.
  llvm::Error error(llvm::StringRef step) {
    if (aboutSchedule)
      return makeError(FOVEA_INVALID_ARGUMENT, errors);
    if (unsupported)
      return makeError(FOVEA_UNSUPPORTED, "target: " + errors);
    return makeError(FOVEA_COMPILE_ERROR,
                     step + " failed" + (errors.empty() ? "" : ": " + errors));
  }
  const std::string &text() const { return errors; }

private:
  static const mlir::DialectRegistry &makeRegistry() {
    static const mlir::DialectRegistry &registry = [] {
      static mlir::DialectRegistry made;
      registerDialects(made);
      return std::ref(made);
    }();
    return registry;
  }
  /// "file:line:col: error: …" where the place is known. A schedule has none:
  /// it came as an argument.
  void append(mlir::Diagnostic &diagnostic) {
    std::string message = diagnostic.str();
    if (errors.empty() && llvm::StringRef(message).starts_with("schedule")) {
      aboutSchedule = true;
      errors = message;
      return;
    }
    unsupported |=
        errors.empty() && llvm::StringRef(message).starts_with("sm_90a ");
    append(diagnostic, "error: ", errors.empty() ? "" : "\n");
    for (mlir::Diagnostic &note : diagnostic.getNotes())
      append(note, "note: ", "\n");
  }
  void append(mlir::Diagnostic &diagnostic, llvm::StringRef kind,
              llvm::StringRef before) {
    llvm::raw_string_ostream os(errors);
    os << before;
    if (auto place =
            diagnostic.getLocation()->findInstanceOf<mlir::FileLineColLoc>())
      os << place.getFilename().getValue() << ":" << place.getLine() << ":"
         << place.getColumn() << ": " << kind;
    else if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Note)
      os << kind;
    os << diagnostic.str();
  }

  mlir::MLIRContext context;
  std::string errors;
  bool aboutSchedule = false;
  bool unsupported = false;
  mlir::ScopedDiagnosticHandler handler;
};

inline std::string printModule(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  return text;
}

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_SESSION_H
