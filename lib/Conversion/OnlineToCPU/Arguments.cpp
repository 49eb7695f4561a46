//===- Arguments.cpp ------------------------------------------------------===//

#include "Arguments.h"
#include "fovea/Target/CPU/KernelABI.h"

#include <cstddef>

using namespace fovea::cpu;

FailureOr<SmallVector<ArgInfo>>
fovea::cpu::classifyArguments(func::FuncOp func) {
  ArrayRef<Type> types = func.getArgumentTypes();
  auto rankOf = [&](int64_t i) -> int64_t {
    auto type = i >= 0 && i < int64_t(types.size())
                    ? dyn_cast<MemRefType>(types[i])
                    : MemRefType();
    return type ? type.getRank() : -1;
  };
  auto fail = [&](const Twine &what) {
    return func.emitError("arguments of a kernel must be q…, k…, v, captures…, "
                          "scale…, offsets, lengths [, block mask], out [, "
                          "lse]; ")
           << what;
  };
  // Scales are the only floats: as many as (query, key) pairs.
  int64_t count = types.size(), scaleBegin = 0, pairs = 0;
  while (scaleBegin < count && !isa<FloatType>(types[scaleBegin]))
    ++scaleBegin;
  while (scaleBegin + pairs < count &&
         isa<FloatType>(types[scaleBegin + pairs]))
    ++pairs;
  if (pairs == 0)
    return fail("found no scale");
  if (scaleBegin < 2 * pairs + 1)
    return fail("too few tensors before the scales");
  SmallVector<ArgInfo> infos(count, ArgInfo{ArgKind::Capture});
  for (int64_t i = 0; i < pairs; ++i) {
    infos[i] = {ArgKind::Query, unsigned(i)};
    infos[pairs + i] = {ArgKind::Key, unsigned(i)};
    infos[scaleBegin + i] = {ArgKind::Scale, unsigned(i)};
  }
  infos[2 * pairs] = {ArgKind::Value};
  for (int64_t i = 0; i <= 2 * pairs; ++i)
    if (rankOf(i) != 4)
      return fail("argument " + Twine(i) + " is not a memref of rank 4");
  for (int64_t i = 2 * pairs + 1; i < scaleBegin; ++i) {
    if (rankOf(i) < 0)
      return fail("argument " + Twine(i) + " is not a memref");
    infos[i] = {ArgKind::Capture, unsigned(i - 2 * pairs - 1)};
  }

  int64_t next = scaleBegin + pairs;
  for (ArgKind kind : {ArgKind::QOffset, ArgKind::KVOffset, ArgKind::QLengths,
                       ArgKind::KVLengths}) {
    if (rankOf(next) != 1)
      return fail("argument " + Twine(next) + " is not a memref of rank 1");
    infos[next++] = {kind};
  }
  if (rankOf(next) == 2)
    infos[next++] = {ArgKind::PageTable};
  if (rankOf(next) == 4 &&
      cast<MemRefType>(types[next]).getElementType().isInteger(8)) {
    infos[next++] = {ArgKind::BlockClasses};
    for (ArgKind kind : {ArgKind::QueryTile, ArgKind::KeyTile})
      if (next < count && isa<IndexType, IntegerType>(types[next]))
        infos[next++] = {kind};
  }
  if (rankOf(next) != 4)
    return fail("argument " + Twine(next) +
                " is not a memref of rank 4, which out is");
  infos[next++] = {ArgKind::Out};
  if (rankOf(next) == 3)
    infos[next++] = {ArgKind::Lse};
  if (next != count)
    return fail("argument " + Twine(next) + " is one too many");
  return infos;
}

Value Arguments::field(size_t offset) { return e.gep(args, offset); }

Value Arguments::loadWorkspace() {
  return e.load(e.ptr, field(offsetof(fovea_cpu_args, workspace)));
}

Value Arguments::loadCancelled() {
  Value given = e.load(e.ptr, field(offsetof(fovea_cpu_args, cancelled)));
  Value none = LLVM::ZeroOp::create(e.b, e.loc, e.ptr);
  Value isNone =
      LLVM::ICmpOp::create(e.b, e.loc, LLVM::ICmpPredicate::eq, given, none);
  return LLVM::SelectOp::create(e.b, e.loc, isNone, zeros, given);
}

Value Arguments::loadLongest() {
  return e.load(e.i64, field(offsetof(fovea_cpu_args, longest_kv_length)));
}

Buffer Arguments::tensor(Value address, ArrayRef<Value> sizes, unsigned rank) {
  Buffer buffer;
  buffer.data = e.load(e.ptr, e.gep(address, offsetof(fovea_cpu_tensor, data)));
  for (unsigned i = 0; i < rank; ++i) {
    size_t offset = offsetof(fovea_cpu_tensor, strides) + sizeof(int64_t) * i;
    buffer.strides.push_back(e.load(e.i64, e.gep(address, offset)));
    buffer.sizes.push_back(sizes[i]);
  }
  return buffer;
}

Buffer Arguments::capture(Value array, unsigned index, unsigned rank,
                          Value zeros) {
  Value address = e.gep(array, sizeof(fovea_cpu_capture) * index);
  Value data = e.load(e.ptr, e.gep(address, offsetof(fovea_cpu_capture, data)));
  Value sizes =
      e.load(e.ptr, e.gep(address, offsetof(fovea_cpu_capture, sizes)));
  Value strides =
      e.load(e.ptr, e.gep(address, offsetof(fovea_cpu_capture, strides)));
  Buffer buffer;
  Value empty;
  for (unsigned i = 0; i < rank; ++i) {
    Value size = e.load(e.i64, e.gep(sizes, sizeof(int64_t) * i));
    Value none = e.icmp(arith::CmpIPredicate::sle, size, e.c(0));
    empty = empty ? e.lor(empty, none) : none;
    buffer.sizes.push_back(size);
    buffer.strides.push_back(
        e.load(e.i64, e.gep(strides, sizeof(int64_t) * i)));
  }
  // Every read of an empty capture goes to the zeros (S7).
  buffer.data = empty ? e.select(empty, zeros, data) : data;
  if (empty)
    for (Value &stride : buffer.strides)
      stride = e.select(empty, e.c(0), stride);
  return buffer;
}

Arguments::Arguments(Emitter &e, func::FuncOp func, ArrayRef<ArgInfo> kinds,
                     Value args, Value zeros)
    : e(e), args(args), zeros(zeros) {
#define FIELD(name) field(offsetof(fovea_cpu_args, name))
  Value batch = e.load(e.i64, FIELD(batch));
  Value queryHeads = e.load(e.i64, FIELD(query_heads));
  Value kvHeads = e.load(e.i64, FIELD(kv_heads));
  Value queryLength = e.load(e.i64, FIELD(query_length));
  Value kvLength = e.load(e.i64, FIELD(kv_length));
  bool paged = llvm::any_of(
      kinds, [](ArgInfo info) { return info.kind == ArgKind::PageTable; });
  // With pages the third dimension of keys and values is that of a page.
  Value keyRows = paged ? e.load(e.i64, FIELD(page_length)) : kvLength;
  Value captures = e.load(e.ptr, FIELD(captures));
  tileRuns = e.load(e.ptr, FIELD(tile_runs));
  for (BlockArgument argument : func.getArguments()) {
    ArgInfo info = kinds[argument.getArgNumber()];
    auto type = dyn_cast<MemRefType>(argument.getType());
    Value features = e.c(type && type.getRank() ? type.getShape().back() : 0);
    Value querySizes[] = {batch, queryHeads, queryLength, features};
    Value keySizes[] = {batch, kvHeads, keyRows, features};
    auto element = [&](Value array, size_t size) {
      return e.gep(array, size * info.index);
    };
    auto perBatch = [&](Value address) {
      return Buffer{e.load(e.ptr, address), {batch}, {e.c(1)}};
    };
    switch (info.kind) {
    case ArgKind::Query:
      buffers[argument] = tensor(
          element(e.load(e.ptr, FIELD(queries)), sizeof(fovea_cpu_tensor)),
          querySizes, 4);
      break;
    case ArgKind::Key:
      buffers[argument] =
          tensor(element(e.load(e.ptr, FIELD(keys)), sizeof(fovea_cpu_tensor)),
                 keySizes, 4);
      break;
    case ArgKind::Value:
      buffers[argument] = tensor(FIELD(value), keySizes, 4);
      break;
    case ArgKind::Capture:
      buffers[argument] = capture(captures, info.index, type.getRank(), zeros);
      break;
    case ArgKind::Scale: {
      Value scale =
          e.load(e.b.getF64Type(),
                 element(e.load(e.ptr, FIELD(scales)), sizeof(double)));
      if (!e.f.isF64())
        scale = arith::TruncFOp::create(e.b, e.loc, e.f, scale);
      scalars[argument] = scale;
      break;
    }
    case ArgKind::QOffset:
      buffers[argument] = perBatch(FIELD(q_offset));
      break;
    case ArgKind::KVOffset:
      buffers[argument] = perBatch(FIELD(kv_offset));
      break;
    case ArgKind::QLengths:
      buffers[argument] = perBatch(FIELD(q_lengths));
      break;
    case ArgKind::KVLengths:
      buffers[argument] = perBatch(FIELD(kv_lengths));
      break;
    case ArgKind::PageTable:
      buffers[argument] =
          Buffer{e.load(e.ptr, FIELD(page_table)),
                 {batch, e.udiv(kvLength, e.max(keyRows, e.c(1)))},
                 {e.load(e.i64, FIELD(page_table_stride)), e.c(1)}};
      break;
    case ArgKind::BlockClasses: // comes as runs, which walks read
      break;
    case ArgKind::QueryTile:
      scalars[argument] = e.load(
          e.i64, e.gep(tileRuns, offsetof(fovea_cpu_tile_runs, query_tile)));
      break;
    case ArgKind::KeyTile:
      scalars[argument] = e.load(
          e.i64, e.gep(tileRuns, offsetof(fovea_cpu_tile_runs, key_tile)));
      break;
    case ArgKind::Out:
      buffers[argument] = tensor(FIELD(out), querySizes, 4);
      break;
    case ArgKind::Lse:
      buffers[argument] = tensor(FIELD(lse), querySizes, 3);
      break;
    }
  }
#undef FIELD
}
