//===- Registration.h - Dialects and passes of the tools --------*- C++ -*-===//

#ifndef FOVEA_REGISTRATION_REGISTRATION_H
#define FOVEA_REGISTRATION_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace fovea {

/// Every dialect that Fovea's modules may hold, and no other.
void registerDialects(mlir::DialectRegistry &registry);

/// Every pass and pipeline of Fovea, and the general ones that are useful
/// beside them (canonicalize, cse, symbol-dce, ...).
void registerPasses();

} // namespace fovea

#endif // FOVEA_REGISTRATION_REGISTRATION_H
