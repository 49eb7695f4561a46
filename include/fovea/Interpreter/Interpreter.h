//===- Interpreter.h - Level 1, executed in f64 ------------------*- C++
//-*-===//
#ifndef FOVEA_INTERPRETER_INTERPRETER_H
#define FOVEA_INTERPRETER_INTERPRETER_H

#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/Launch.h"

#include "llvm/Support/Error.h"

namespace fovea {

/// Computes a launch in f64, one key after the other. The first bad capture
/// index of a visible pair is an error (S7, FOVEA_INDEX_ERROR).
llvm::Error interpretProgram(const Program &program, const LaunchView &launch);

} // namespace fovea

#endif // FOVEA_INTERPRETER_INTERPRETER_H
