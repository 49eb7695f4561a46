//===- LaunchKey.cpp - What a launch on a GPU depends on ------------------===//
#include "fovea/Runtime/LaunchKey.h"
#include "fovea/Runtime/Overlap.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/xxhash.h"

#include <cstring>

using namespace fovea;

uint64_t LaunchKey::hash() const {
  return llvm::xxh3_64bits(
      {reinterpret_cast<const uint8_t *>(numbers), count * sizeof *numbers});
}

/// Numbers of the batches, or none.
bool LaunchKey::add(const int64_t *given, int64_t howMany) {
  if (!given)
    return add(0);
  if (howMany < 0 || static_cast<uint64_t>(howMany) >= capacity - count)
    return false;
  add(1);
  for (int64_t i = 0; i < howMany; ++i)
    add(static_cast<uint64_t>(given[i]));
  return true;
}

bool LaunchKey::add(const fovea_tensor *tensor, unsigned place) {
  addresses[place] = 0;
  if (!tensor)
    return add(0);
  if (tensor->struct_size != sizeof(fovea_tensor) || tensor->dtype < FOVEA_I1 ||
      tensor->dtype > FOVEA_F64 || tensor->rank < 0 ||
      tensor->rank > static_cast<int64_t>(maxRank) ||
      (tensor->rank > 0 && (!tensor->sizes || !tensor->strides)))
    return false;
  size_t rank = static_cast<size_t>(tensor->rank);
  if (capacity - count < 2 + 2 * rank)
    return false;
  uintptr_t address = reinterpret_cast<uintptr_t>(tensor->data);
  addresses[place] = address;
  add(1 + rank + (address % alignment << 8) + (uint64_t(!address) << 16) +
      (uint64_t(static_cast<uint32_t>(tensor->dtype)) << 32));
  add(uint64_t(static_cast<uint32_t>(tensor->device_type)) +
      (uint64_t(static_cast<uint32_t>(tensor->device_id)) << 32));
  std::memcpy(numbers + count, tensor->sizes, rank * sizeof *numbers);
  std::memcpy(numbers + count + rank, tensor->strides, rank * sizeof *numbers);
  count += 2 * rank;
  return true;
}

/// Whether the results may lie in other tensors. Addresses are not in the key,
/// so only a launch of which extents show that they do not is known by it.
static bool mayOverlap(const fovea_launch &launch) {
  fovea_extent out = fovea_extent_of(launch.out), lse = {};
  if (launch.lse)
    lse = fovea_extent_of(launch.lse);
  auto meets = [&](const fovea_tensor &other) {
    fovea_extent extent = fovea_extent_of(&other);
    return fovea_extents_meet(out, extent) || fovea_extents_meet(lse, extent);
  };
  return fovea_extents_meet(out, lse) || meets(*launch.queries) ||
         meets(*launch.keys) || meets(*launch.value) ||
         (launch.block_classes && meets(*launch.block_classes)) ||
         llvm::any_of(llvm::ArrayRef(launch.captures, launch.num_captures),
                      meets);
}

bool LaunchKey::read(const fovea_launch &launch) {
  if (launch.num_pairs != 1 || !launch.queries || !launch.keys ||
      !launch.value || !launch.out || !launch.scales || launch.page_table ||
      launch.block_runs || launch.num_captures > maxCaptures ||
      (launch.num_captures > 0 && !launch.captures) ||
      launch.queries->device_type == FOVEA_CPU)
    return false;
  count = 0;
  if (!add(launch.queries, QTensor) || launch.queries->rank != 4)
    return false;
  for (auto [tensor, place] :
       {std::pair(launch.keys, KTensor), std::pair(launch.value, VTensor),
        std::pair(launch.out, OutTensor), std::pair(launch.lse, LseTensor),
        std::pair(launch.block_classes, BlockMaskTensor)})
    if (!add(tensor, place))
      return false;
  addresses[SignedQTensor] = addresses[QTensor];
  for (unsigned i = 0; i < launch.num_captures; ++i)
    if (!add(&launch.captures[i], FirstCapture + i))
      return false;
  if (mayOverlap(launch))
    return false;
  for (const int64_t *given :
       {launch.q_offset, launch.kv_offset, launch.q_lengths, launch.kv_lengths})
    if (!add(given, launch.queries->sizes[0]))
      return false;
  uint64_t scale;
  std::memcpy(&scale, launch.scales, sizeof scale);
  deviceId = launch.queries->device_id;
  launchStream = launch.stream;
  return add(scale) && add(launch.num_captures) &&
         add(static_cast<uint64_t>(launch.block_q)) &&
         add(static_cast<uint64_t>(launch.block_kv)) &&
         add(reinterpret_cast<uintptr_t>(launch.stream));
}
