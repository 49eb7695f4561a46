//===- Layouts.h - Where the elements of fragments and tiles lie *- C++ -*-===//
//
// Total maps from (thread, register) and from bytes of shared memory to the
// elements that lie there: the closed set that attn_gpu names. Code generation
// and its tests read the same functions.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TARGET_NVVM_LAYOUTS_H
#define FOVEA_TARGET_NVVM_LAYOUTS_H

#include <cstdint>

namespace fovea::layouts {

struct Element {
  int64_t row, column;
  bool operator==(const Element &other) const {
    return row == other.row && column == other.column;
  }
};

inline constexpr int64_t kWarps = 4, kLanes = 32;
/// Bytes of a row of one box; the swizzle repeats after eight rows.
inline constexpr int64_t kBoxBytes = 128, kBoxColumns = 64, kSwizzleRows = 8;

/// `quad`: the accumulator of a warpgroup's product, one f32 a register.
/// Register i is the thread's row i / 2 % 2 of two that are eight apart, column
/// 8 · (i / 4) + i % 2 from the lane's first.
inline Element quad(int64_t warp, int64_t lane, int64_t i) {
  return {16 * warp + lane / 4 + 8 * (i / 2 % 2),
          8 * (i / 4) + 2 * (lane % 4) + i % 2};
}

/// `quad_a`: the A operand in registers, two 16-bit elements each, the low half
/// first. Register i of k-step i / 4.
inline Element quadA(int64_t warp, int64_t lane, int64_t i, int64_t half) {
  int64_t part = i % 4;
  return {16 * warp + lane / 4 + 8 * (part % 2),
          16 * (i / 4) + 8 * (part / 2) + 2 * (lane % 4) + half};
}

/// Slices of `quad`: what a thread holds of values that belong to rows, columns
/// or differences row − column, of its lane's own first element. Register i is
/// of part `row` of two, eight rows apart, of part (box, pair) of the columns,
/// 8 · box + pair, and of part (row − box, pair) of the differences, as rows
/// and boxes are both eight apart.
struct Slices {
  int row, box, pair;
  constexpr int rowOffset() const { return 8 * row; }
  constexpr int columnOffset() const { return 8 * box + pair; }
  constexpr int difference() const { return row - box; }
};
inline constexpr Slices slicesOf(int64_t i) {
  return {int(i / 2 % 2), int(i / 4), int(i % 2)};
}

/// Byte offset of a 16-bit element in a tile of `rows` rows: boxes of 64
/// columns one after the other, 16-byte chunks of a row swapped by its number.
inline int64_t swizzled(Element element, int64_t rows) {
  int64_t box = element.column / kBoxColumns;
  int64_t chunk = element.column % kBoxColumns / 8;
  return box * rows * kBoxBytes + element.row * kBoxBytes +
         ((chunk ^ (element.row % kSwizzleRows)) << 4) + element.column % 8 * 2;
}

/// The constant part of a matrix descriptor: 128-byte swizzle, the distance of
/// boxes and that of groups of eight rows, both in units of 16 bytes.
inline constexpr uint64_t descriptor(int64_t rows) {
  uint64_t box = uint64_t(rows * kBoxBytes) >> 4;
  uint64_t group = uint64_t(kSwizzleRows * kBoxBytes) >> 4;
  return box << 16 | group << 32 | uint64_t(1) << 62;
}

/// What k-step k adds to a descriptor whose contracted dimension is the
/// columns: 32 bytes within a box, then the next box.
inline constexpr int64_t columnStep(int64_t k, int64_t rows) {
  return ((k / 4) * rows * kBoxBytes + (k % 4) * 32) >> 4;
}

/// The same where it is the rows: sixteen of them.
inline constexpr int64_t rowStep(int64_t k) {
  return (16 * k * kBoxBytes) >> 4;
}

/// Byte offset that a lane gives stmatrix for the k-th 16 × 16 part of its
/// warp's rows: row l % 16, columns 8 · (l / 16) on.
inline int64_t stmatrixOffset(int64_t warp, int64_t lane, int64_t k,
                              int64_t rows) {
  return swizzled({16 * warp + lane % 16, 16 * k + 8 * (lane / 16)}, rows);
}

} // namespace fovea::layouts

#endif // FOVEA_TARGET_NVVM_LAYOUTS_H
