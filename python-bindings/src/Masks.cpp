//===- Masks.cpp - Classes, counts and descriptions of masks --------------===//
#include "Support.h"

#include <algorithm>

using namespace fovea::python;

namespace {
fovea_mask_query makeQuery(std::string_view program, const Tensors &captures,
                           nb::handle sizes, nb::handle offsets) {
  fovea_mask_query query = {};
  query.struct_size = sizeof query;
  query.program = program.data();
  query.program_size = program.size();
  query.captures = captures.data();
  query.num_captures = captures.size();
  auto dims = readNumbers<int64_t>(sizes, readInt);
  if (dims.size() != 4)
    throw nb::value_error("sizes: must be (B, H, Q_LEN, KV_LEN)");
  query.batch = dims[0];
  query.heads = dims[1];
  query.q_length = dims[2];
  query.kv_length = dims[3];
  std::tie(query.q_offset, query.kv_offset) = readPair(offsets, "offsets");
  query.should_cancel = signalsPending;
  return query;
}

/// The result has to be what the library will write, whatever was passed.
void checkResult(const fovea_tensor &out, const fovea_mask_query &query,
                 int64_t blockQ, int64_t blockKV, int32_t dtype) {
  auto tiles = [](int64_t length, int64_t block) {
    return length / block + (length % block != 0);
  };
  int64_t wanted[] = {query.batch, query.heads, tiles(query.q_length, blockQ),
                      tiles(query.kv_length, blockKV)};
  int64_t stride = 1;
  bool fits = out.rank == 4 && out.dtype == dtype;
  for (int i = 3; fits && i >= 0; --i) {
    fits = out.sizes[i] == wanted[i] &&
           (out.sizes[i] <= 1 || out.strides[i] == stride);
    stride *= std::max<int64_t>(out.sizes[i], 1);
  }
  if (!fits)
    throw nb::value_error("out: must be contiguous and of the result's shape");
}

fovea_mask_query makeTiledQuery(nb::handle program, const Tensors &captures,
                                nb::handle sizes, nb::handle offsets,
                                nb::handle blockSize, bool exact) {
  fovea_mask_query query =
      makeQuery(readText(program, "program"), captures, sizes, offsets);
  std::tie(query.block_q, query.block_kv) = readPair(blockSize, "block_size");
  if (query.block_q < 1 || query.block_kv < 1)
    throw nb::value_error("block_size: must be at least 1");
  query.approximate = !exact;
  return query;
}

nb::dict giveStatistics(const fovea_mask_statistics &from) {
  nb::dict out;
  out["full"] = from.full;
  out["partial"] = from.partial;
  out["empty"] = from.empty;
  out["by_points"] = from.by_points;
  out["by_polyhedra"] = from.by_polyhedra;
  out["by_evaluation"] = from.by_evaluation;
  out["undecided"] = from.undecided;
  out["rectangles"] = from.rectangles;
  return out;
}

nb::dict maskCounts(nb::handle program, nb::handle captures, nb::handle sizes,
                    nb::handle offsets, nb::handle blockSize, bool exact) {
  Tensors c(captures);
  fovea_mask_query query =
      makeTiledQuery(program, c, sizes, offsets, blockSize, exact);
  fovea_mask_statistics statistics = {};
  statistics.struct_size = sizeof statistics;
  check([&](fovea_message *message) {
    WithoutGIL released;
    return fovea_mask_counts(&query, &statistics, message);
  });
  return giveStatistics(statistics);
}

/// (offsets, runs, shared, statistics); offsets and runs as bytes.
nb::tuple maskRuns(nb::handle program, nb::handle captures, nb::handle sizes,
                   nb::handle offsets, nb::handle blockSize, bool exact) {
  Tensors c(captures);
  fovea_mask_query query =
      makeTiledQuery(program, c, sizes, offsets, blockSize, exact);
  fovea_mask_runs runs = {};
  runs.struct_size = sizeof runs;
  check([&](fovea_message *message) {
    WithoutGIL released;
    return fovea_mask_find_runs(&query, &runs, message);
  });
  std::unique_ptr<fovea_mask_runs, void (*)(fovea_mask_runs *)> owner(
      &runs, fovea_mask_runs_free);
  return nb::make_tuple(
      nb::bytes(runs.offsets, (runs.rows + 1) * sizeof(int64_t)),
      nb::bytes(runs.runs, runs.num_runs * sizeof(int32_t)), runs.shared != 0,
      giveStatistics(runs.statistics));
}

nb::str maskDescribe(nb::handle program, nb::handle captures, nb::handle sizes,
                     nb::handle offsets, int64_t batch, int64_t head) {
  Tensors c(captures);
  fovea_mask_query query =
      makeQuery(readText(program, "program"), c, sizes, offsets);
  return giveText([&](fovea_string *string, fovea_message *message) {
    return fovea_mask_describe(&query, batch, head, string, message);
  });
}

void maskClasses(nb::handle program, nb::handle captures, nb::handle sizes,
                 nb::handle offsets, nb::handle blockSize, nb::handle out,
                 bool exact) {
  Tensors c(captures);
  Tensor o(out);
  fovea_mask_query query =
      makeTiledQuery(program, c, sizes, offsets, blockSize, exact);
  checkResult(o.get(), query, query.block_q, query.block_kv, FOVEA_I8);
  check([&](fovea_message *message) {
    WithoutGIL released;
    return fovea_mask_classes(&query, static_cast<int8_t *>(o.get().data),
                              message);
  });
}

void maskDense(nb::handle program, nb::handle captures, nb::handle sizes,
               nb::handle offsets, nb::handle out) {
  Tensors c(captures);
  Tensor o(out);
  fovea_mask_query query =
      makeQuery(readText(program, "program"), c, sizes, offsets);
  checkResult(o.get(), query, 1, 1, FOVEA_I1);
  check([&](fovea_message *message) {
    WithoutGIL released;
    return fovea_mask_dense(&query, static_cast<uint8_t *>(o.get().data),
                            message);
  });
}
} // namespace

void fovea::python::addMasks(nb::module_ &m) {
  m.def("mask_classes", &maskClasses, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "block_size"_a, "out"_a, "exact"_a = true);
  m.def("mask_counts", &maskCounts, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "block_size"_a, "exact"_a = true);
  m.def("mask_runs", &maskRuns, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "block_size"_a, "exact"_a = true);
  m.def("mask_describe", &maskDescribe, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "batch"_a = 0, "head"_a = 0);
  m.def("mask_dense", &maskDense, "program"_a, "captures"_a, "sizes"_a,
        "offsets"_a, "out"_a);
}
