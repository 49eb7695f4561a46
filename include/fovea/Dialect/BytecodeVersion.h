//===- BytecodeVersion.h - Bytecode of one version only ---------*- C++ -*-===//
//
// Bytecode carries the version of each dialect; another version is refused by
// name instead of being guessed at.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_DIALECT_BYTECODEVERSION_H
#define FOVEA_DIALECT_BYTECODEVERSION_H

#include "mlir/Bytecode/BytecodeImplementation.h"

namespace fovea {

/// Writes the version of a dialect and reads no other. Types and attributes are
/// encoded by their assembly.
class BytecodeVersionInterface : public mlir::BytecodeDialectInterface {
public:
  BytecodeVersionInterface(mlir::Dialect *dialect, uint64_t version)
      : BytecodeDialectInterface(dialect), version(version) {}

  void writeVersion(mlir::DialectBytecodeWriter &writer) const override {
    writer.writeVarInt(version);
  }

  std::unique_ptr<mlir::DialectVersion>
  readVersion(mlir::DialectBytecodeReader &reader) const override {
    uint64_t found;
    if (mlir::failed(reader.readVarInt(found)))
      return nullptr;
    if (found == version)
      return std::make_unique<mlir::DialectVersion>();
    reader.emitError() << "bytecode holds version " << found << " of dialect '"
                       << getDialect()->getNamespace()
                       << "', this build reads version " << version;
    return nullptr;
  }

private:
  uint64_t version;
};

} // namespace fovea

#endif // FOVEA_DIALECT_BYTECODEVERSION_H
