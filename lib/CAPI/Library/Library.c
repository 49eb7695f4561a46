/* A shared library needs a source file of its own; see ../CMakeLists.txt. */
#include "fovea-c/fovea.h"

/* The header has to be C. */
_Static_assert(sizeof(fovea_message) > 4096, "room for the text");
