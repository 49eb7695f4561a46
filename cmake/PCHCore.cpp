// Holds the precompiled header of the core MLIR headers.
