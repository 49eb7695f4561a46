//===- foveac.cpp - Compiles variants ahead of time -----------------------===//

#include "fovea/AheadOfTime/Command.h"
#include "fovea/Tools/ToolMain.h"

int main(int argc, char **argv) {
  fovea::explainWriteErrors("foveac");
  return fovea::runFoveac(argc, argv);
}
