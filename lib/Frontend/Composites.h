//===- Composites.h - Functions that level 1 spells out ---------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_COMPOSITES_H
#define FOVEA_LIB_FRONTEND_COMPOSITES_H

#include "fovea/Frontend/Program.h"

namespace fovea {

/// Writes sigmoid, softplus, silu, gelu and fmod out by their definitions, as
/// level 1 has no ops for them, and makes the program canonical.
void expandComposites(Program &program);

/// The reverse: finds the definitions again. What expandComposites wrote comes
/// back as it was.
void recognizeComposites(Program &program);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_COMPOSITES_H
