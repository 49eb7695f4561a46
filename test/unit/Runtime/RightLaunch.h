//===- RightLaunch.h - Launches as callers give them ------------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_RUNTIME_RIGHTLAUNCH_H
#define FOVEA_TEST_UNIT_RUNTIME_RIGHTLAUNCH_H

#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/Error.h"

#include <deque>
#include <string>
#include <vector>

namespace fovea::test {

/// A launch that is right in every field, and the arrays it refers to.
struct RightLaunch {
  static constexpr int64_t B = 2, H = 4, Hk = 2, M = 3, N = 5, D = 8, E = 6;

  RightLaunch() {
    program.name = "t";
    program.dtype = DType::F32;
    program.headDims = {D};
    program.valueDim = E;
    program.returnLse = true;
    program.captures.push_back({"table", DType::I32, 1, {}, std::nullopt});
    q = tensor({B, H, M, D});
    k = tensor({B, Hk, N, D});
    v = tensor({B, Hk, N, E});
    out = tensor({B, H, M, E});
    lse = tensor({B, H, M});
    out.data = results;
    lse.data = results + sizeof results / 2;
    capture = tensor({7});
    capture.dtype = FOVEA_I32;
    classes = tensor({B, H, 1, 1});
    classes.dtype = FOVEA_I8;
    pages = tensor({B, 2});
    pages.dtype = FOVEA_I32;
    launch.struct_size = sizeof launch;
    launch.queries = &q;
    launch.keys = &k;
    launch.num_pairs = 1;
    launch.value = &v;
    launch.out = &out;
    launch.lse = &lse;
    launch.captures = &capture;
    launch.num_captures = 1;
    launch.scales = &scale;
  }

  fovea_tensor tensor(std::vector<int64_t> sizes) {
    fovea_tensor t = {};
    t.struct_size = sizeof t;
    t.data = memory;
    t.dtype = FOVEA_F32;
    t.rank = static_cast<int32_t>(sizes.size());
    t.device_type = FOVEA_CPU;
    std::vector<int64_t> strides(sizes.size(), 1);
    for (size_t i = sizes.size(); i-- > 1;)
      strides[i - 1] = strides[i] * sizes[i];
    arrays.push_back(std::move(sizes));
    t.sizes = arrays.back().data();
    arrays.push_back(std::move(strides));
    t.strides = arrays.back().data();
    return t;
  }

  /// The size that the program declares for the table.
  void declare(Dim dim) { program.captures[0].dims = {std::move(dim)}; }

  /// One more capture, of the size that is declared for the table.
  void addCapture(const char *name, int64_t size) {
    program.captures.push_back(program.captures[0]);
    program.captures.back().name = name;
    captures = {capture, tensor({size})};
    captures[1].dtype = FOVEA_I32;
    launch.captures = captures.data();
    launch.num_captures = captures.size();
  }

  /// Tiles of 2 x 2: one plane for both batches, rows of two runs and of one.
  void useRuns() {
    program.blockMask = true;
    for (int64_t row = 0; row < H * 2; ++row) {
      starts.push_back(static_cast<int64_t>(entries.size()));
      if (row % 2 == 0)
        entries.push_back(4 * 1 + 2);
      entries.push_back(4 * 3 + 1);
    }
    starts.push_back(static_cast<int64_t>(entries.size()));
    runs.struct_size = sizeof runs;
    runs.batch = 1;
    runs.heads = H;
    runs.query_tiles = 2;
    runs.key_tiles = 3;
    runs.offsets = starts.data();
    runs.runs = entries.data();
    runs.num_runs = static_cast<int64_t>(entries.size());
    launch.block_runs = &runs;
    launch.block_q = launch.block_kv = 2;
  }

  std::string check() {
    auto view = checkLaunch(program, launch);
    if (view)
      return "";
    return takeStatus(view.takeError()).second;
  }

  alignas(64) char memory[8192] = {}, results[8192] = {};
  std::deque<std::vector<int64_t>> arrays;
  Program program;
  fovea_launch launch = {};
  fovea_tensor q, k, v, out, lse, capture, classes, pages;
  double scale = 0.5;
  std::vector<fovea_tensor> captures;
  std::vector<int64_t> numbers;
  fovea_block_runs runs = {};
  std::vector<int64_t> starts;
  std::vector<int32_t> entries;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_RUNTIME_RIGHTLAUNCH_H
