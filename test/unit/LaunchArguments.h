//===- LaunchArguments.h - A launch below level 1 ---------------*- C++ -*-===//

#ifndef FOVEA_TEST_UNIT_LAUNCHARGUMENTS_H
#define FOVEA_TEST_UNIT_LAUNCHARGUMENTS_H

#include "fovea/Interpreter/OnlineInterpreter.h"
#include "fovea/Runtime/Launch.h"

#include "llvm/ADT/STLExtras.h"

#include <vector>

namespace fovea::test {

inline OnlineArgument argumentOf(llvm::MutableArrayRef<int64_t> values) {
  TensorView view;
  view.data = values.data();
  view.dtype = DType::I64;
  view.sizes = {static_cast<int64_t>(values.size())};
  view.strides = {1};
  return OnlineArgument::ofTensor(view);
}

/// The arguments of a launch's function at level 2 and below, in the order of
/// docs/architecture.md.
inline std::vector<OnlineArgument> launchArguments(LaunchView &view) {
  std::vector<OnlineArgument> all;
  auto add = [&](const TensorView &tensor) {
    all.push_back(OnlineArgument::ofTensor(tensor));
  };
  llvm::for_each(view.queries, add);
  llvm::for_each(view.keys, add);
  add(view.value);
  llvm::for_each(view.captures, add);
  for (double scale : view.scales)
    all.push_back(OnlineArgument::ofFloat(scale));
  for (auto *list :
       {&view.qOffset, &view.kvOffset, &view.qLengths, &view.kvLengths})
    all.push_back(argumentOf(*list));
  if (view.blockClasses) {
    add(*view.blockClasses);
    all.push_back(OnlineArgument::ofInt(view.blockQ));
    all.push_back(OnlineArgument::ofInt(view.blockKV));
  }
  add(view.out);
  if (view.lse)
    add(*view.lse);
  return all;
}

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_LAUNCHARGUMENTS_H
