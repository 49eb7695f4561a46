//===- LaunchPlansTest.cpp - Launches like earlier ones -------------------===//
#include "FakeDriverTest.h"
#include "fovea/Runtime/Cuda.h"
#include "fovea/Runtime/LaunchKey.h"

#include "gtest/gtest.h"

#include <atomic>
#include <thread>

using namespace fovea;

namespace {

/// A kernel whose parameters show what it was given: the map of q, the
/// addresses of lse and the capture, the workspace, N.
KernelManifest makeManifest(const std::string &more = "") {
  std::string text = R"({"fovea_kernel": 1, "name": "alibi",
    "symbol": "alibi_kernel", "arch": "sm_90a", "dtype": "bf16", "D": [128],
    "E": 128, "return_lse": true, "threads": 384, "shared_memory": 1024,
    "captures": [{"name": "slope", "dtype": "f32", "rank": 1}],
    "grid": ["mul", "B", "H", ["ceildiv", "M", 128]], "workspace": 256, )" +
                     more +
                     R"("arguments": [
      {"tensor_map": "q", "sizes": [64, "M", ["div", "D", 64], "H", "B"],
       "strides": ["q.s2", 64, "q.s1", "q.s0"], "box": [64, 128, 2, 1, 1]},
      {"pointer": "@slope"}, {"pointer": "lse"}, {"workspace": 0},
      {"i32": "N"}]})";
  auto manifest = parseManifest(text);
  EXPECT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  return std::move(*manifest);
}

/// One call in both forms, of [2,4,M,128] and two key heads.
struct Call {
  explicit Call(int64_t M = 300, uintptr_t base = 0x100000, double scale = 0.5)
      : scale(scale) {
    sizes[0] = {2, 4, M, 128};
    sizes[1] = {2, 2, 77, 128};
    sizes[2] = {2, 4, M};
    sizes[3] = {4};
    for (unsigned i = 0; i < 4; ++i) {
      int64_t step = 1;
      strides[i].resize(sizes[i].size());
      for (size_t dim = sizes[i].size(); dim-- > 0; step *= sizes[i][dim])
        strides[i][dim] = step;
    }
    q = make(0, base, FOVEA_BF16);
    k = make(1, base + 0x1000000, FOVEA_BF16);
    v = make(1, base + 0x2000000, FOVEA_BF16);
    out = make(0, base + 0x3000000, FOVEA_BF16);
    lse = make(2, base + 0x4000000, FOVEA_F32);
    slope = make(3, base + 0x5000000, FOVEA_F32);
  }
  Call(const Call &) = delete;

  fovea_tensor make(unsigned i, uintptr_t address, fovea_dtype dtype) {
    fovea_tensor tensor = {};
    tensor.struct_size = sizeof tensor;
    tensor.data = reinterpret_cast<void *>(address);
    tensor.dtype = dtype;
    tensor.rank = static_cast<int32_t>(sizes[i].size());
    tensor.sizes = sizes[i].data();
    tensor.strides = strides[i].data();
    tensor.device_type = FOVEA_CUDA;
    return tensor;
  }
  fovea_launch launch() const {
    fovea_launch made = {};
    made.struct_size = sizeof made;
    made.queries = &q;
    made.keys = &k;
    made.num_pairs = 1;
    made.value = &v;
    made.out = &out;
    made.lse = &lse;
    made.captures = &slope;
    made.num_captures = 1;
    made.scales = &scale;
    made.stream = stream;
    return made;
  }
  LaunchView view() const {
    LaunchView made;
    made.batch = 2;
    made.queryHeads = 4;
    made.kvHeads = 2;
    made.queryLength = q.sizes[2];
    made.kvLength = 77;
    made.valueDim = 128;
    made.queries = {viewOf(q)};
    made.keys = {viewOf(k)};
    made.value = viewOf(v);
    made.out = viewOf(out);
    made.lse = viewOf(lse);
    made.captures = {viewOf(slope)};
    made.scales = {scale};
    made.qOffset = made.kvOffset = {0, 0};
    made.qLengths.assign(2, q.sizes[2]);
    made.kvLengths.assign(2, 77);
    made.stream = stream;
    return made;
  }
  static TensorView viewOf(const fovea_tensor &tensor) {
    TensorView view;
    view.data = tensor.data;
    view.dtype = static_cast<DType>(tensor.dtype);
    view.sizes.assign(tensor.sizes, tensor.sizes + tensor.rank);
    view.strides.assign(tensor.strides, tensor.strides + tensor.rank);
    return view;
  }
  LaunchKey key() const {
    LaunchKey made;
    EXPECT_TRUE(made.read(launch()));
    return made;
  }

  llvm::SmallVector<int64_t, 4> sizes[4], strides[4];
  fovea_tensor q, k, v, out, lse, slope;
  double scale;
  void *stream = reinterpret_cast<void *>(uintptr_t(0x30));
};

class LaunchPlans : public FakeDriverTest {
protected:
  LaunchPlans() : FakeDriverTest(5) {}

  static void expectParameters(const Call &call) {
    auto *found = get<uint64_t>("fakeParameters");
    EXPECT_EQ(found[1], uintptr_t(call.slope.data));
    EXPECT_EQ(found[2], uintptr_t(call.lse.data));
    EXPECT_EQ(static_cast<int32_t>(found[4]), 77);
  }
  static void launch(CudaKernel &kernel, const Call &call) {
    LaunchKey key = call.key();
    ASSERT_EQ(textOf(kernel.launch(call.view(), &key)), "");
  }
};

TEST_F(LaunchPlans, TheSameCallIsOnlyLaunched) {
  CudaKernel kernel("cubin", makeManifest());
  Call call;
  EXPECT_FALSE(kernel.relaunch(call.key()));
  launch(kernel, call);
  get<char>("fakeLog")[0] = 0;
  EXPECT_TRUE(kernel.relaunch(call.key()));
  expectParameters(call);
  EXPECT_EQ(count("launch 24x1x1 of 384x1x1, 1024 bytes, stream 0x30"), 1u);
  EXPECT_EQ(count("map "), 0u);
  EXPECT_EQ(count("replace"), 0u);
  EXPECT_EQ(count("allocate"), 0u);
}

TEST_F(LaunchPlans, OtherAddressesArePutIn) {
  CudaKernel kernel("cubin", makeManifest());
  launch(kernel, Call());
  for (uintptr_t base : {0x200000, 0x300000, 0x300000, 0x100000}) {
    Call moved(300, base);
    *get<uint64_t>("fakeParameters") = 0;
    ASSERT_TRUE(kernel.relaunch(moved.key()));
    expectParameters(moved);
    EXPECT_EQ(*get<uint64_t>("fakeParameters"), base); // in the map
  }
  EXPECT_EQ(count("map "), 1u);
  EXPECT_EQ(count("replace"), 3u);
}

TEST_F(LaunchPlans, WhatElseDiffersIsAnotherLaunch) {
  CudaKernel kernel("cubin", makeManifest());
  Call call;
  launch(kernel, call);
  int64_t zeros[] = {0, 0};
  auto differs = [&](auto change) {
    Call other;
    fovea_launch given = other.launch();
    change(other, given);
    LaunchKey key;
    EXPECT_TRUE(key.read(given));
    return !kernel.relaunch(key);
  };
  EXPECT_FALSE(differs([](Call &, fovea_launch &) {}));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) { c.sizes[0][2] = 299; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) { c.strides[1][1] *= 2; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) { c.scale = -0.5; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) { c.q.device_id = 1; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) { c.k.dtype = FOVEA_F16; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) { c.v.data = nullptr; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &) {
    c.v.data = static_cast<char *>(c.v.data) + 2;
  }));
  EXPECT_TRUE(
      differs([](Call &, fovea_launch &given) { given.lse = nullptr; }));
  EXPECT_TRUE(
      differs([&](Call &, fovea_launch &given) { given.q_offset = zeros; }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &given) {
    given.block_classes = &c.slope;
    given.block_q = 64;
  }));
  EXPECT_TRUE(differs([](Call &c, fovea_launch &given) { given.stream = &c; }));
}

TEST_F(LaunchPlans, ThereAreCallsWithoutKeys) {
  auto reads = [](auto change) {
    Call call;
    fovea_launch given = call.launch();
    change(call, given);
    LaunchKey key;
    return key.read(given);
  };
  EXPECT_TRUE(reads([](Call &, fovea_launch &) {}));
  EXPECT_FALSE(
      reads([](Call &c, fovea_launch &) { c.q.device_type = FOVEA_CPU; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.q.sizes = nullptr; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.q.rank = 3; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.k.rank = -1; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.k.rank = 1 << 20; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.v.struct_size = 8; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.v.dtype = 99; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.out.data = c.q.data; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.v.data = c.out.data; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.lse.data = c.k.data; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &) { c.lse.data = c.out.data; }));
  EXPECT_FALSE(
      reads([](Call &c, fovea_launch &) { c.out.data = c.slope.data; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.queries = nullptr; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.keys = nullptr; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.value = nullptr; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.out = nullptr; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.scales = nullptr; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.captures = nullptr; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.num_captures = 1000; }));
  EXPECT_FALSE(reads([](Call &, fovea_launch &l) { l.num_pairs = 2; }));
  EXPECT_FALSE(reads([](Call &c, fovea_launch &l) {
    c.sizes[0][0] = int64_t(1) << 40; // more offsets than a key holds
    c.strides[0][0] = 0;
    l.q_offset = &c.sizes[0][0];
  }));
}

TEST_F(LaunchPlans, EachShapeIsKept) {
  CudaKernel kernel("cubin", makeManifest());
  for (int64_t M : {100, 200, 300})
    launch(kernel, Call(M));
  for (int64_t M : {300, 100, 200})
    EXPECT_TRUE(kernel.relaunch(Call(M, 0x900000).key()));
  EXPECT_EQ(count("launch "), 6u);
  EXPECT_EQ(count("launch 8x1x1"), 2u);
}

TEST_F(LaunchPlans, TheContextIsEnteredWhereItIsNotCurrent) {
  CudaKernel kernel("cubin", makeManifest());
  auto push = reinterpret_cast<int (*)(void *)>(
      ::dlsym(library, "cuCtxPushCurrent_v2"));
  auto pop = reinterpret_cast<int (*)(void **)>(
      ::dlsym(library, "cuCtxPopCurrent_v2"));
  auto retain = reinterpret_cast<int (*)(void **, int)>(
      ::dlsym(library, "cuDevicePrimaryCtxRetain"));
  auto depth = reinterpret_cast<int (*)()>(::dlsym(library, "fakeDepth"));
  Call call;
  launch(kernel, call);
  auto pushes = [&] {
    get<char>("fakeLog")[0] = 0;
    EXPECT_TRUE(kernel.relaunch(call.key()));
    return count("push");
  };
  EXPECT_EQ(pushes(), 1u);
  void *primary = nullptr, *popped = nullptr;
  retain(&primary, 0);
  push(primary);
  EXPECT_EQ(pushes(), 0u);
  push(&call); // another context
  EXPECT_EQ(pushes(), 1u);
  EXPECT_EQ(depth(), 2);
  pop(&popped);
  EXPECT_EQ(pushes(), 0u);
  pop(&popped);
  EXPECT_EQ(depth(), 0);
}

TEST_F(LaunchPlans, ALaunchThatTheDriverRefusesIsNotOne) {
  CudaKernel kernel("cubin", makeManifest());
  Call call;
  launch(kernel, call);
  *get<const char *>("fakeFailing") = "cuLaunchKernel";
  EXPECT_FALSE(kernel.relaunch(call.key()));
  *get<const char *>("fakeFailing") = "cuTensorMapReplaceAddress";
  EXPECT_TRUE(kernel.relaunch(call.key()));
  EXPECT_FALSE(kernel.relaunch(Call(300, 0x700000).key()));
  *get<const char *>("fakeFailing") = "";
  Call moved(300, 0x700000);
  EXPECT_TRUE(kernel.relaunch(moved.key()));
  expectParameters(moved);
}

/// Launches with scratch memory are kept until that memory is another one.
TEST_F(LaunchPlans, ScratchMemoryThatGrows) {
  CudaKernel kernel("cubin", makeManifest(R"("scratch": ["mul", "M", 64],
    "before": [{"symbol": "alibi_lists", "threads": 32, "grid": "B",
    "arguments": [{"scratch": 64}, {"pointer": "@slope"}]}], )"));
  *get<int>("fakeParameterCount") = 2;
  Call call, large(4000);
  call.stream = large.stream = reinterpret_cast<void *>(uintptr_t(0x70));
  launch(kernel, call);
  EXPECT_TRUE(kernel.relaunch(call.key()));
  EXPECT_EQ(count("launch "), 4u);
  EXPECT_EQ(count("launch 2x1x1 of 32x1x1"), 2u);
  launch(kernel, large);
  EXPECT_EQ(count("free"), 1u);
  EXPECT_FALSE(kernel.relaunch(call.key()));
  EXPECT_TRUE(kernel.relaunch(large.key()));
  launch(kernel, call);
  EXPECT_TRUE(kernel.relaunch(call.key()));
}

TEST_F(LaunchPlans, KernelsOfKeptOnesBeginBesideEachOtherToo) {
  CudaKernel kernel("cubin", makeManifest(R"("programmatic_launch": true,
    "before": [{"symbol": "alibi_lists", "threads": 32, "grid": "B",
    "arguments": [{"pointer": "lse"}]}], )"));
  *get<int>("fakeParameterCount") = 1;
  Call call;
  launch(kernel, call);
  EXPECT_TRUE(kernel.relaunch(call.key()));
  EXPECT_EQ(count("with 6 = 1\nlaunch "), 2u);
}

/// A workspace stays where it is: launches that are kept know it.
TEST_F(LaunchPlans, WorkspacesStay) {
  CudaKernel kernel("cubin", makeManifest());
  KernelManifest other = makeManifest();
  std::string text = other.text;
  text.replace(text.find("\"workspace\": 256"), 16, "\"workspace\": 99999");
  auto wide = parseManifest(text);
  ASSERT_TRUE(static_cast<bool>(wide)) << textOf(wide.takeError());
  CudaKernel second("cubin", std::move(*wide));
  Call call;
  call.stream = reinterpret_cast<void *>(uintptr_t(0x80));
  launch(kernel, call);
  uint64_t first = get<uint64_t>("fakeParameters")[3];
  launch(second, call);
  EXPECT_NE(get<uint64_t>("fakeParameters")[3], first);
  EXPECT_EQ(count("free"), 0u);
  EXPECT_TRUE(kernel.relaunch(call.key()));
  EXPECT_EQ(get<uint64_t>("fakeParameters")[3], first);
}

TEST_F(LaunchPlans, KernelsThatReadAddressesAreNotKept) {
  Call call;
  CudaKernel known("cubin", makeManifest(R"("conditions": [
    {"if": ["eq", ["mod", "q.p", 16], 0], "else": "q: aligned"}], )"));
  launch(known, call);
  EXPECT_TRUE(known.relaunch(call.key()));
  CudaKernel kernel("cubin", makeManifest(R"("conditions": [
    {"if": ["lt", "q.p", 1000000000], "else": "q: low"}], )"));
  launch(kernel, call);
  EXPECT_FALSE(kernel.relaunch(call.key()));
}

/// Threads with streams and addresses of their own, one kernel and shape.
TEST_F(LaunchPlans, ThreadsAtOnce) {
  CudaKernel kernel("cubin", makeManifest());
  *get<int>("fakeParameterCount") = 0;
  *get<int>("fakeQuiet") = *get<int>("fakeThreads") = 1;
  std::atomic<int> missed{0};
  std::vector<std::thread> threads;
  for (uintptr_t i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (uintptr_t j = 0; j < 500; ++j) {
        Call call(300, (i + 1) << 28 | (j % 5) << 16);
        call.stream = reinterpret_cast<void *>(i << 20 | 0x100);
        if (!kernel.relaunch(call.key())) {
          ++missed;
          launch(kernel, call);
        }
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  *get<int>("fakeQuiet") = *get<int>("fakeThreads") = 0;
  EXPECT_LT(missed, 2000); // streams may share a place
  EXPECT_EQ(*get<int>("fakeMismatches"), 0);
}

} // namespace
