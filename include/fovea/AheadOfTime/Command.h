//===- Command.h - The command foveac ---------------------------*- C++ -*-===//
#ifndef FOVEA_AHEADOFTIME_COMMAND_H
#define FOVEA_AHEADOFTIME_COMMAND_H

namespace fovea {

/// Returns the exit status: 0, 1 for bad input, 2 for bad usage.
int runFoveac(int argc, char **argv);

} // namespace fovea

#endif // FOVEA_AHEADOFTIME_COMMAND_H
