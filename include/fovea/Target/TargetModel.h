//===- TargetModel.h - What a schedule may use of a machine -----*- C++ -*-===//
//
// Resources by name, so that schedules of every target family are checked, and
// diagnosed, in one way.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_TARGET_TARGETMODEL_H
#define FOVEA_TARGET_TARGETMODEL_H

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace fovea {

/// A machine as the schedules see it.
class TargetModel {
public:
  explicit TargetModel(llvm::StringRef name) : name(name.str()) {}

  llvm::StringRef getName() const { return name; }

  /// The limit of a resource ("vector_bytes", "vector_registers", "l1_bytes",
  /// "l2_bytes", "shared_memory", "registers", ...); none where the machine has
  /// no such resource.
  std::optional<int64_t> getLimit(llvm::StringRef resource) const {
    auto it = limits.find(resource);
    if (it == limits.end())
      return std::nullopt;
    return it->second;
  }
  void setLimit(llvm::StringRef resource, int64_t limit) {
    limits[resource] = limit;
  }

private:
  std::string name;
  llvm::StringMap<int64_t> limits;
};

} // namespace fovea

#endif // FOVEA_TARGET_TARGETMODEL_H
