//===- foveac.cpp - Compiles variants ahead of time -----------------------===//

#include "fovea/AheadOfTime/Command.h"

int main(int argc, char **argv) { return fovea::runFoveac(argc, argv); }
