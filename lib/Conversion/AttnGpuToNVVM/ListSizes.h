//===- ListSizes.h - How large the lists of a launch are --------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_LISTSIZES_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_LISTSIZES_H

#include "MaskParts.h"
#include "llvm/Support/JSON.h"

namespace fovea::gpu {

/// Words in front of a row's elements: how many are whole, how many there are;
/// of a block mask, whether the last one is of a full tile and cut; where a
/// mask was asked, the first keys of the row's range and of its whole elements
/// (or, the former negative, elements follow).
inline constexpr int64_t kHeadWords = 2, kCutWords = 1, kRangeWords = 2;
/// The length stands behind the elements.
inline constexpr int64_t kTailWords = 1;
/// Of a joint list: words in front of its elements, and of an element.
inline constexpr int64_t kJointWords = 4;
inline int64_t jointHeadWords(int64_t groups) {
  return llvm::alignTo(1 + 4 * groups, kJointWords);
}
/// A row with more elements is a range.
inline constexpr int64_t kMostListed = 512;

/// As expressions of the manifest. One list serves all heads, or all batches,
/// of a mask that has no own ones.
struct ListSizes {
  /// Of a block mask; a joint list for `groups`, else 0. It has one element
  /// more at most, and one is read ahead.
  explicit ListSizes(int64_t step, int64_t groups)
      : rows(groups ? llvm::json::Array{"ceildiv", "M",
                                        groups * mlir::attn_gpu::kGroupRows}
                    : llvm::json::Array{"ceildiv", "M", "BQ"}),
        elements(llvm::json::Array{"ceildiv", "N", step}),
        pitch(groups
                  ? llvm::json::Array{"add",
                                      jointHeadWords(groups) + 2 * kJointWords,
                                      llvm::json::Array{"mul", kJointWords,
                                                        elements}}
                  : llvm::json::Array{"add",
                                      kHeadWords + kCutWords + kTailWords,
                                      elements}),
        hasBatch(llvm::json::Array{"ne", "block_mask.s0", 0}),
        hasHead(llvm::json::Array{"ne", "block_mask.s1", 0}),
        batches(count("B", hasBatch)), heads(count("H", hasHead)),
        lists(llvm::json::Array{"mul", batches, heads, rows}) {}

  /// Of a mask that is asked.
  ListSizes(const MaskParts &parts, int64_t tileRows, int64_t step)
      : rows(llvm::json::Array{"ceildiv", "M", tileRows}),
        elements(llvm::json::Array{"ceildiv", "N", step}),
        pitch(
            llvm::json::Array{"add", kHeadWords + kRangeWords + kTailWords,
                              llvm::json::Array{"min", elements, kMostListed}}),
        hasBatch(int64_t(!parts.batch().use_empty())),
        hasHead(int64_t(!parts.head().use_empty())),
        batches(hasBatch == llvm::json::Value(1) ? llvm::json::Value("B") : 1),
        heads(hasHead == llvm::json::Value(1) ? llvm::json::Value("H") : 1),
        lists(llvm::json::Array{"mul", batches, heads, rows}) {}

  llvm::json::Value stride(unsigned dim) const {
    switch (dim) {
    case 0:
      return llvm::json::Array{"mul", hasBatch, heads, rows, pitch};
    case 1:
      return llvm::json::Array{"mul", hasHead, rows, pitch};
    default:
      return pitch;
    }
  }
  llvm::json::Value bytes() const {
    return llvm::json::Array{"mul", 4, lists, pitch};
  }

  llvm::json::Value rows, elements, pitch, hasBatch, hasHead, batches, heads,
      lists;

private:
  static llvm::json::Value count(llvm::StringRef size,
                                 const llvm::json::Value &isOwn) {
    return llvm::json::Array{"max", 1, llvm::json::Array{"mul", size, isOwn}};
  }
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_LISTSIZES_H
