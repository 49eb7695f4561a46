// Holds the precompiled header of the core and LLVM headers.
