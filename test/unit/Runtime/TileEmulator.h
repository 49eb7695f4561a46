//===- TileEmulator.h - AMX for processors without it -----------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_RUNTIME_TILEEMULATOR_H
#define FOVEA_TEST_UNIT_RUNTIME_TILEEMULATOR_H

#include <csignal>
#include <cstdint>

namespace fovea::test {

/// While it lives, the AMX instructions that kernels use, which this processor
/// refuses, are carried out as the manual says, on tiles of the thread that met
/// them. What the manual forbids ends the process with a message.
class TileEmulator {
public:
  TileEmulator();
  ~TileEmulator();
  TileEmulator(const TileEmulator &) = delete;
  TileEmulator &operator=(const TileEmulator &) = delete;

  /// Of all threads since the emulator was made.
  static int64_t countProducts();
  /// Whether this thread has tiles configured.
  static bool isConfigured();

private:
  struct sigaction previous;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_RUNTIME_TILEEMULATOR_H
