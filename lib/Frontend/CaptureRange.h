//===- CaptureRange.h - Ranges of captures that their types hold -*- C++ -*-==//
#ifndef FOVEA_LIB_FRONTEND_CAPTURERANGE_H
#define FOVEA_LIB_FRONTEND_CAPTURERANGE_H

#include "fovea/Frontend/Program.h"

#include <string>

namespace fovea {

/// What is wrong with a capture's range beside its type, in words: bounds that
/// are numbers lie within what the type holds. Empty: nothing.
std::string findRangeFault(const Capture &capture);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_CAPTURERANGE_H
