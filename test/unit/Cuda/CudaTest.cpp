//===- CudaTest.cpp - Launching, with a driver that notes it down ---------===//
#include "fovea/Runtime/Cuda.h"
#include "FakeDriverTest.h"
#include "fovea/Runtime/CheckLaunch.h"

#include "gtest/gtest.h"

#include <sys/wait.h>
#include <unistd.h>

using namespace fovea;

namespace {

/// The manifest of a kernel with one argument of each kind.
KernelManifest makeManifest(const std::string &more = "",
                            const std::string &argument = "") {
  std::string text = R"({"fovea_kernel": 1, "name": "alibi",
    "symbol": "alibi_kernel", "arch": "sm_90a", "dtype": "bf16", "D": [128],
    "E": 128, "return_lse": true, "threads": 384, "shared_memory": 229488,
    "captures": [{"name": "slope", "dtype": "f32", "rank": 1}],
    "registers": 168, "grid": ["mul", "B", "H", ["ceildiv", "M", 128]],
    "workspace": 256, )" +
                     more +
                     R"("arguments": [
      {"tensor_map": "q", "sizes": [64, "M", ["div", "D", 64], "H", "B"],
       "strides": ["q.s2", 64, "q.s1", "q.s0"], "box": [64, 128, 2, 1, 1]},
      {"pointer": "@slope"}, {"pointer": "lse"}, {"workspace": 8},
      {"i32": "N"}, {"i64": "SM"}, {"scale": 0})" +
                     argument + "]}";
  auto manifest = parseManifest(text);
  EXPECT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  return std::move(*manifest);
}

class Cuda : public FakeDriverTest {
protected:
  Cuda() : FakeDriverTest(7) {}

  static std::string log() { return get<char>("fakeLog"); }

  /// [B,H,M,D] = [2,4,300,128], two key heads, 77 keys; `bshd` memory order.
  LaunchView view(bool bshd = false) {
    LaunchView out;
    out.batch = 2;
    out.queryHeads = 4;
    out.kvHeads = 2;
    out.queryLength = 300;
    out.kvLength = 77;
    out.valueDim = 128;
    auto tensor = [&](int64_t heads, int64_t length) {
      TensorView made;
      made.data = reinterpret_cast<void *>(uintptr_t(0x10000));
      made.dtype = DType::BF16;
      made.sizes = {2, heads, length, 128};
      made.strides = {heads * length * 128, length * 128, 128, 1};
      if (bshd)
        made.strides = {heads * length * 128, 128, heads * 128, 1};
      return made;
    };
    out.queries.push_back(tensor(4, 300));
    out.keys.push_back(tensor(2, 77));
    out.value = tensor(2, 77);
    out.out = tensor(4, 300);
    TensorView slope;
    slope.data = reinterpret_cast<void *>(uintptr_t(0x20000));
    slope.sizes = {4};
    slope.strides = {1};
    out.captures.push_back(slope);
    TensorView lse;
    lse.data = reinterpret_cast<void *>(uintptr_t(0x40000));
    lse.sizes = {2, 4, 300};
    lse.strides = {1200, 300, 1};
    out.lse = lse;
    out.scales.push_back(0.5);
    out.qOffset = {0, 0};
    out.kvOffset = {0, 0};
    out.qLengths = {300, 300};
    out.kvLengths = {77, 77};
    out.stream = reinterpret_cast<void *>(uintptr_t(0x30));
    return out;
  }
};

TEST_F(Cuda, ListsDevices) {
  std::string note;
  std::vector<CudaDevice> devices = CudaDriver::listDevices(note);
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].name, "Fake 0");
  EXPECT_EQ(devices[0].arch(), "sm_90");
  EXPECT_EQ(devices[0].processors, 132);
  EXPECT_EQ(note, "");
}

TEST_F(Cuda, LaunchesWithAllArguments) {
  CudaKernel kernel("cubin", makeManifest());
  ASSERT_EQ(textOf(kernel.launch(view())), "");
  EXPECT_NE(log().find("load cubin\nfunction alibi_kernel\n"
                       "attribute 8 = 229488\n"),
            std::string::npos)
      << log();
  EXPECT_NE(log().find("map type 9 swizzle 3 promotion 3: 64/64 300/128 2/2 "
                       "4/1 2/1 +256 +128 +76800 +307200\n"),
            std::string::npos)
      << log();
  EXPECT_NE(log().find("launch 24x1x1 of 384x1x1, 229488 bytes, stream 0x30"),
            std::string::npos)
      << log();
  auto *parameters = get<uint64_t>("fakeParameters");
  EXPECT_EQ(parameters[0], 0x5a5a5a5a5a5a5a5aull);
  EXPECT_EQ(parameters[1], 0x20000u); // the capture
  EXPECT_EQ(parameters[2], 0x40000u); // the lse
  EXPECT_EQ(parameters[3] % 16, 8u);  // into the workspace
  EXPECT_EQ(static_cast<int32_t>(parameters[4]), 77);
  EXPECT_EQ(parameters[5], 132u);
  float scale;
  std::memcpy(&scale, &parameters[6], sizeof scale);
  EXPECT_EQ(scale, 0.5f);
  auto depth = reinterpret_cast<int (*)()>(::dlsym(library, "fakeDepth"));
  EXPECT_EQ(depth(), 0); // the caller's context is current again
}

TEST_F(Cuda, MapsAndModulesAreKept) {
  CudaKernel kernel("cubin", makeManifest());
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(textOf(kernel.launch(view())), "");
  EXPECT_EQ(count("load "), 1u);
  EXPECT_EQ(count("map "), 1u);
  EXPECT_EQ(count("launch "), 3u);
  ASSERT_EQ(textOf(kernel.launch(view(/*bshd=*/true))), "");
  EXPECT_EQ(count("map "), 2u);
  EXPECT_NE(log().find("+1024 +128 +256 +307200"), std::string::npos) << log();
}

TEST_F(Cuda, EveryStreamHasAWorkspaceOfItsOwn) {
  CudaKernel kernel("cubin", makeManifest());
  auto workspace = [&](uintptr_t stream) {
    LaunchView launch = view();
    launch.stream = reinterpret_cast<void *>(stream);
    EXPECT_EQ(textOf(kernel.launch(launch)), "");
    return get<uint64_t>("fakeParameters")[3];
  };
  uint64_t first = workspace(0x1000), second = workspace(0x2000);
  EXPECT_NE(first, second);
  EXPECT_EQ(workspace(0x1000), first);
  EXPECT_EQ(*reinterpret_cast<uint64_t *>(first), 0u);
}

TEST_F(Cuda, KernelsThatRunBefore) {
  CudaKernel kernel("cubin", makeManifest(R"("block_mask": true,
    "scratch": 8192, "before": [{"symbol": "alibi_lists", "threads": 32,
    "grid": ["mul", "B", ["ceildiv", "M", "BQ"]], "arguments": [
    {"pointer": "block_mask"}, {"scratch": 64}, {"i32": "BKV"}]}], )"));
  LaunchView launch = view();
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "block_mask: must be given, the kernel was compiled with one");
  TensorView classes;
  classes.data = reinterpret_cast<void *>(uintptr_t(0x50000));
  classes.dtype = DType::I8;
  classes.sizes = {2, 4, 5, 1};
  classes.strides = {0, 0, 1, 1};
  launch.blockClasses = classes;
  launch.blockQ = 64;
  launch.blockKV = 77; // the whole length
  *get<int>("fakeParameterCount") = 3;
  *get<const char *>("fakeFailing") = "cuLaunchKernel"; // the first one
  EXPECT_NE(textOf(kernel.launch(launch)), "");
  EXPECT_EQ(count("function alibi_lists"), 1u);
  EXPECT_EQ(count("launch "), 1u);
  EXPECT_NE(log().find("launch 10x1x1 of 32x1x1, 0 bytes, stream 0x30"),
            std::string::npos)
      << log();
  auto *parameters = get<uint64_t>("fakeParameters");
  EXPECT_EQ(parameters[0], 0x50000u);
  EXPECT_EQ(parameters[1] % 16, 0u); // into the scratch memory
  EXPECT_EQ(static_cast<int32_t>(parameters[2]), 3 << 24);
  *get<const char *>("fakeFailing") = "";
  EXPECT_EQ(textOf(kernel.launch(launch)), "");
  EXPECT_EQ(count("launch "), 3u);
  EXPECT_EQ(count("allocate 8192"), 1u);
}

TEST_F(Cuda, TheSignOfTheScaleRidesInTheQueries) {
  KernelManifest manifest = makeManifest(R"("scratch": ["mul", ["lt", "SIGN",
    1], 614400], "before": [{"symbol": "alibi_sign", "threads": 256,
    "grid": ["mul", ["lt", "SIGN", 1], 150], "arguments": [{"i32": "SIGN"}]}],
    )");
  std::string text = manifest.text;
  auto replace = [&](llvm::StringRef from, llvm::StringRef to) {
    size_t at = text.find(from.str());
    ASSERT_NE(at, std::string::npos) << from.str();
    text.replace(at, from.size(), to.str());
  };
  replace("\"tensor_map\": \"q\"", "\"tensor_map\": \"signed_q\"");
  for (int i = 0; i < 3; ++i)
    replace("\"q.s", "\"signed_q.s");
  replace("{\"scale\": 0}", "{\"scale_size\": 0}");
  auto signedQ = parseManifest(text);
  ASSERT_TRUE(static_cast<bool>(signedQ)) << textOf(signedQ.takeError());
  CudaKernel kernel("cubin", std::move(*signedQ));
  *get<int>("fakeParameterCount") = 1;
  auto launch = [&](double scale) {
    LaunchView launch = view(/*bshd=*/true);
    launch.scales[0] = scale;
    get<char>("fakeLog")[0] = 0;
    EXPECT_EQ(textOf(kernel.launch(launch)), "");
    *get<int>("fakeParameterCount") = 1;
  };
  launch(0.5);
  EXPECT_EQ(count("launch "), 1u);
  launch(-0.25);
  EXPECT_EQ(count("launch "), 2u);
  EXPECT_NE(log().find("launch 150x1x1 of 256x1x1, 0 bytes"), std::string::npos)
      << log();
  // The copy is dense whatever q was.
  EXPECT_NE(log().find("+256 +128 +76800 +307200"), std::string::npos) << log();
}

TEST_F(Cuda, ChecksWhatWasLoaded) {
  CudaKernel kernel("cubin", makeManifest());
  *get<int>("fakeRegisters") = 160;
  EXPECT_EQ(textOf(kernel.launch(view())),
            "loading kernel 'alibi': it has 160 registers, not 168");
  *get<int>("fakeRegisters") = 168;
  *get<int>("fakeLocalBytes") = 408;
  EXPECT_EQ(textOf(kernel.launch(view())),
            "loading kernel 'alibi': it uses 408 bytes of local memory");
  EXPECT_EQ(count("unload"), 2u);
  EXPECT_EQ(count("launch "), 0u);
}

TEST_F(Cuda, ErrorsNameTheLaunch) {
  CudaKernel kernel("cubin", makeManifest());
  *get<const char *>("fakeFailing") = "cuLaunchKernel";
  EXPECT_EQ(textOf(kernel.launch(view())),
            "launching kernel 'alibi' (B 2, heads 4/2, M 300, N 77): the CUDA "
            "driver says CUDA_ERROR_ILLEGAL_ADDRESS (700)");
  *get<const char *>("fakeFailing") = "cuTensorMapEncodeTiled";
  EXPECT_EQ(textOf(kernel.launch(view(/*bshd=*/true))),
            "tensor map of q for kernel 'alibi': the CUDA driver says "
            "CUDA_ERROR_ILLEGAL_ADDRESS (700)");
  LaunchView launch = view();
  launch.deviceId = 3;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "q: device must be one of 1, got cuda:3");
  *get<const char *>("fakeFailing") = "";
  EXPECT_EQ(textOf(kernel.launch(view())), ""); // the next call works
}

TEST_F(Cuda, RefusesWhatTheKernelDoesNotDo) {
  CudaKernel kernel("cubin", makeManifest(R"("promises": ["whole_sequences"],
    "conditions": [{"if": ["le", "N", 1000],
    "else": "k: at most 1000 keys"}], )"));
  LaunchView launch = view();
  launch.kvLengths[1] = 5;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "kv_lengths: must be 77 on sm_90a, got 5");
  launch = view();
  launch.qOffset[0] = 3;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "q_offset: must be 0 on sm_90a, got 3");
  launch = view();
  launch.lse.reset();
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "lse: must be given on sm_90a, the kernel was compiled with it");
  launch = view();
  launch.kvLength = 1001;
  launch.kvLengths = {1001, 1001};
  EXPECT_EQ(textOf(kernel.launch(launch)), "k: at most 1000 keys");
  launch = view();
  launch.queries[0].strides[3] = 2;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "q: last stride must be 1 on sm_90a, got 2");
  launch = view();
  launch.queries[0].strides[1] = 131;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "q: strides must be multiples of 8 elements and not negative on "
            "sm_90a, got 131");
  launch = view();
  launch.queries[0].data = reinterpret_cast<void *>(uintptr_t(0x10002));
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "q: data must be aligned to 16 bytes on sm_90a");
  EXPECT_EQ(count("launch "), 0u);
}

TEST_F(Cuda, OffsetsAndLengthsComeByValue) {
  CudaKernel kernel(
      "cubin", makeManifest("", R"(, {"per_batch": 2, "positions": 1000})"));
  *get<int>("fakeWide") = 7;
  LaunchView launch = view();
  launch.qOffset = {3, 700};
  launch.kvOffset = {0, 11};
  launch.qLengths = {300, 1};
  launch.kvLengths = {0, 5};
  EXPECT_EQ(textOf(kernel.launch(launch)), "");
  *get<int>("fakeWide") = -1;
  const int32_t *given = get<int32_t>("fakeWideBytes");
  // And the order in which batches are taken: the most keys first.
  EXPECT_EQ(std::vector<int32_t>(given, given + 10),
            (std::vector<int32_t>{3, 700, 0, 11, 300, 1, 0, 5, 1, 0}));
  launch.qOffset[1] = 701;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "q_offset: must be 0 to 700 on sm_90a, got 701");
  launch.qOffset[1] = 0;
  launch.kvOffset[0] = -1;
  EXPECT_EQ(textOf(kernel.launch(launch)),
            "kv_offset: must be 0 to 923 on sm_90a, got -1");
  EXPECT_EQ(count("launch "), 1u);
}

TEST_F(Cuda, ALaunchWithoutRowsDoesNothing) {
  CudaKernel kernel("cubin", makeManifest());
  LaunchView launch = view();
  launch.queryLength = 0;
  EXPECT_EQ(textOf(kernel.launch(launch)), "");
  EXPECT_EQ(count("launch "), 0u);
}

TEST_F(Cuda, OtherArchitecturesAreRefused) {
  KernelManifest manifest = makeManifest();
  manifest.arch = "sm_100a";
  CudaKernel kernel("cubin", std::move(manifest));
  EXPECT_EQ(textOf(kernel.launch(view())),
            "target: sm_100a does not run on cuda:0 (Fake 0, sm_90)");
}

/// Runs a body in a process that opens the driver anew.
void inChild(llvm::function_ref<void()> body) {
  pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(testing::Test::HasFailure());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

constexpr const char *kProgrammatic = R"("programmatic_launch": true,
  "scratch": 8192, "before": [{"symbol": "alibi_lists", "threads": 32,
  "grid": "B", "arguments": [{"scratch": 64}]}], )";

TEST_F(Cuda, KernelsThatWaitBeginBesideTheOneAheadInTheirLaunch) {
  *get<int>("fakeParameterCount") = 0;
  inChild([&] {
    CudaKernel kernel("cubin", makeManifest(kProgrammatic));
    EXPECT_EQ(textOf(kernel.launch(view())), "");
    EXPECT_EQ(count("launch 2x1x1 of 32x1x1, 0 bytes"), 1u);
    EXPECT_EQ(count("with 6 = 1\nlaunch 24x1x1 of 384x1x1, 229488 "
                    "bytes, stream 0x30"),
              1u);
    CudaKernel other("cubin", makeManifest());
    EXPECT_EQ(textOf(other.launch(view())), "");
    EXPECT_EQ(count("with 6"), 1u);
    EXPECT_EQ(count("launch "), 3u);
    CudaKernel alone("cubin", makeManifest(R"("programmatic_launch": true, )"));
    EXPECT_EQ(textOf(alone.launch(view())), "");
    EXPECT_EQ(count("with 6"), 1u);
  });
}

TEST_F(Cuda, ADriverThatRefusesSuchLaunchesIsNotAskedAgain) {
  *get<int>("fakeParameterCount") = 0;
  for (int refusal : {1, 801})
    inChild([&] {
      CudaKernel kernel("cubin", makeManifest(kProgrammatic));
      *get<int>("fakeRefusal") = refusal;
      // Where the plain launch fails too, it is not the attribute's fault.
      *get<int>("fakeGoodLaunches") = 1;
      EXPECT_NE(textOf(kernel.launch(view())).find("(700)"), std::string::npos);
      EXPECT_EQ(count("with 6"), 1u);
      *get<int>("fakeGoodLaunches") = -1;
      get<char>("fakeLog")[0] = 0;
      for (int i = 0; i < 2; ++i)
        EXPECT_EQ(textOf(kernel.launch(view())), "");
      EXPECT_EQ(count("with 6"), 1u);
      EXPECT_EQ(count("launch "), 4u);
    });
}

TEST_F(Cuda, OtherErrorsOfSuchLaunchesAreErrors) {
  *get<int>("fakeParameterCount") = 0;
  inChild([&] {
    CudaKernel kernel("cubin", makeManifest(kProgrammatic));
    *get<int>("fakeRefusal") = 700;
    EXPECT_EQ(textOf(kernel.launch(view())),
              "launching kernel 'alibi' (B 2, heads 4/2, M 300, N 77): the "
              "CUDA driver says CUDA_ERROR_ILLEGAL_ADDRESS (700)");
    EXPECT_EQ(count("launch "), 1u); // the first one
    *get<int>("fakeRefusal") = 0;
    EXPECT_EQ(textOf(kernel.launch(view())), "");
    EXPECT_EQ(count("with 6"), 2u);
  });
}

TEST_F(Cuda, OlderDriversLaunchPlainly) {
  *get<int>("fakeParameterCount") = 0;
  inChild([&] {
    *get<int>("fakeVersion") = 12020;
    CudaKernel kernel("cubin", makeManifest(kProgrammatic));
    EXPECT_EQ(textOf(kernel.launch(view())), "");
    EXPECT_EQ(count("with 6"), 0u);
    EXPECT_EQ(count("launch "), 2u);
  });
}

TEST_F(Cuda, SaysWhatIsMissing) {
  // A child asks anew, so that the environment of this test counts.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  pid_t child = ::fork();
  if (child == 0) {
    ::setenv("FOVEA_LIBCUDA", "/nowhere/libcuda.so.1", 1);
    std::string note;
    bool none = CudaDriver::listDevices(note).empty();
    CudaKernel kernel("cubin", makeManifest());
    note += "|" + textOf(kernel.launch(view()));
    ssize_t wrote = ::write(ends[1], note.data(), note.size());
    ::_exit(none && wrote > 0 ? 0 : 1);
  }
  ::close(ends[1]);
  char text[1024] = {};
  ASSERT_GT(::read(ends[0], text, sizeof text - 1), 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  std::string expected = "cuda: no NVIDIA driver on this machine "
                         "(/nowhere/libcuda.so.1 does not load)";
  EXPECT_EQ(std::string(text), expected + "|" + expected);
}

} // namespace
