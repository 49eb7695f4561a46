//===- AssemblerTest.cpp - Finding ptxas, reading what it says ------------===//
#include "fovea/Target/NVVM/Assembler.h"
#include "fovea/Runtime/Error.h"

#include "gtest/gtest.h"

#include <filesystem>
#include <fstream>

using namespace fovea;
namespace fs = std::filesystem;

namespace {

class Assembler : public testing::Test {
protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "fovea-test-XXXXXX";
    root = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(root); }

  /// A program that answers as ptxas of a version does and, when it is to
  /// assemble, prints `messages` and ends with `status`.
  std::string fake(const std::string &name, const std::string &version,
                   const std::string &messages = "", int status = 0) {
    fs::path file = fs::path(root) / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "#!/bin/sh\n"
                        << "if [ \"$1\" = --version ]; then\n"
                        << "  echo 'Cuda compilation tools, release x, V"
                        << version << "'\n  exit 0\nfi\n"
                        << "cat <<'TEXT'\n"
                        << messages << "\nTEXT\n"
                        << "for last; do :; done\n"
                        << "[ " << status
                        << " != 0 ] || printf cubin > \"$last\"\n"
                        << "exit " << status << "\n";
    fs::permissions(file, fs::perms::owner_all);
    return file.string();
  }
  std::string sitePackages() { return root + "/site-packages"; }

  std::string root;
};

std::string textOf(llvm::Error error) {
  return takeStatus(std::move(error)).second;
}

TEST_F(Assembler, VersionTable) {
  auto grade = [](int major, int minor) {
    return gradePtxas({major, minor, 0}).first;
  };
  EXPECT_EQ(grade(11, 8), PtxasGrade::Refuse);
  EXPECT_EQ(grade(12, 3), PtxasGrade::Warn);
  EXPECT_EQ(grade(12, 8), PtxasGrade::Refuse);
  EXPECT_EQ(grade(12, 9), PtxasGrade::Refuse);
  EXPECT_EQ(grade(13, 0), PtxasGrade::Warn);
  EXPECT_EQ(grade(13, 2), PtxasGrade::Warn);
  EXPECT_EQ(grade(13, 3), PtxasGrade::Good);
  EXPECT_EQ(grade(14, 0), PtxasGrade::Good);
  EXPECT_EQ(PtxasVersion::parse("nonsense"), std::nullopt);
  EXPECT_EQ(PtxasVersion::parse("release 13.5, V13.5.37")->str(), "13.5.37");
}

TEST_F(Assembler, TheNewestGoodOneWins) {
  PtxasSearch search;
  search.sitePackages = {sitePackages()};
  search.cudaHome = root + "/cuda";
  search.path = {root + "/nowhere", root + "/bin"};
  auto none = findPtxas(search);
  ASSERT_TRUE(static_cast<bool>(none));
  EXPECT_FALSE(none->has_value());

  fake("bin/ptxas", "13.0.88");
  auto warned = findPtxas(search);
  ASSERT_TRUE(warned && *warned);
  EXPECT_EQ((*warned)->origin, "PATH");
  EXPECT_EQ((*warned)->grade, PtxasGrade::Warn);
  EXPECT_NE((*warned)->reason, "");

  fake("site-packages/nvidia/cu13/bin/ptxas", "13.5.37");
  fake("cuda/bin/ptxas", "13.4.1");
  auto good = findPtxas(search);
  ASSERT_TRUE(good && *good);
  EXPECT_EQ((*good)->origin, "nvidia-cuda-nvcc");
  EXPECT_EQ((*good)->version.str(), "13.5.37");

  fake("cuda/bin/ptxas", "14.1.0");
  fs::last_write_time(root + "/cuda/bin/ptxas", fs::file_time_type::min());
  auto newer = findPtxas(search);
  ASSERT_TRUE(newer && *newer);
  EXPECT_EQ((*newer)->origin, "CUDA_HOME");
}

TEST_F(Assembler, TritonComesBeforeThoseThatWarn) {
  PtxasSearch search;
  search.sitePackages = {sitePackages()};
  search.path = {root + "/bin"};
  fake("bin/ptxas", "13.0.88");
  std::string triton =
      "site-packages/triton/backends/nvidia/bin/ptxas-blackwell";
  fake(triton, "13.0.1");
  auto old = findPtxas(search);
  ASSERT_TRUE(old && *old);
  EXPECT_EQ((*old)->origin, "PATH");
  fs::remove(root + "/" + triton);
  fake(triton, "13.3.1");
  fs::last_write_time(root + "/" + triton, fs::file_time_type::min());
  auto found = findPtxas(search);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->origin, "Triton");
}

TEST_F(Assembler, TheExplicitOneIsTheOnlyOne) {
  PtxasSearch search;
  search.path = {root + "/bin"};
  fake("bin/ptxas", "13.5.37");
  search.explicitPath = fake("own", "13.0.88");
  auto own = findPtxas(search);
  ASSERT_TRUE(own && *own);
  EXPECT_EQ((*own)->path, search.explicitPath);
  search.explicitPath = fake("refused", "12.8.61");
  EXPECT_EQ(textOf(findPtxas(search).takeError()),
            "FOVEA_PTXAS: ptxas 12.8.61 gives wrong numbers on Hopper "
            "kernels; use 13.3 or later");
  search.explicitPath = root + "/absent";
  EXPECT_EQ(textOf(findPtxas(search).takeError()),
            "FOVEA_PTXAS: '" + root +
                "/absent' does not run as ptxas --version");
}

const char goodMessages[] =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function 'causal' for 'sm_90a'\n"
    "ptxas info    : Function properties for causal\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 168 registers, used 16 barriers\n";

TEST_F(Assembler, ReadsGoodMessages) {
  Assembly out;
  ASSERT_EQ(textOf(readPtxasMessages(goodMessages, out)), "");
  EXPECT_EQ(out.registers, 168);
  EXPECT_EQ(out.spillBytes, 0);
  EXPECT_TRUE(out.warnings.empty());
}

TEST_F(Assembler, SerialisedProductsAreErrors) {
  for (int code : {7504, 7508, 7510, 7511, 7512, 7513, 7514, 7517, 7519}) {
    Assembly out;
    std::string text = std::string(goodMessages) + "ptxas info    : (C" +
                       std::to_string(code) +
                       ") Potential Performance Loss: wgmma in 'causal'\n";
    EXPECT_EQ(textOf(readPtxasMessages(text, out)),
              "kernel 'causal': ptxas: (C" + std::to_string(code) +
                  ") Potential Performance Loss: wgmma in 'causal'");
    EXPECT_TRUE(out.isSerialised);
  }
  Assembly out;
  EXPECT_EQ(textOf(readPtxasMessages("ptxas info    : (C7600) other\n"
                                     "ptxas warning : odd\n",
                                     out)),
            "");
  EXPECT_EQ(out.warnings, (std::vector<std::string>{"(C7600) other", "odd"}));
}

TEST_F(Assembler, SpillsAndStacksAreErrors) {
  Assembly out;
  EXPECT_EQ(textOf(readPtxasMessages(
                "ptxas info    : Function properties for f\n"
                "    408 bytes stack frame, 400 bytes spill stores, 8 bytes "
                "spill loads\n",
                out)),
            "kernel 'f': ptxas: registers spill, 408 bytes of stores and "
            "loads");
  EXPECT_EQ(out.spillBytes, 408);
  EXPECT_FALSE(out.isSerialised);
  Assembly stack;
  EXPECT_EQ(textOf(readPtxasMessages(
                "ptxas info    : Function properties for f\n"
                "    16 bytes stack frame, 0 bytes spill stores, 0 bytes "
                "spill loads\n",
                stack)),
            "kernel 'f': ptxas: a stack of 16 bytes");
}

TEST_F(Assembler, AssemblesAndCleansUp) {
  Ptxas ptxas{fake("good", "13.5.37", goodMessages),
              "",
              {13, 5, 37},
              PtxasGrade::Good,
              ""};
  auto made = assemblePTX(ptxas, ".version 8.0", "sm_90a");
  ASSERT_TRUE(static_cast<bool>(made));
  EXPECT_EQ(made->cubin, "cubin");
  EXPECT_EQ(made->registers, 168);

  ptxas.path = fake("bad", "13.5.37",
                    "ptxas /x/kernel.ptx, line 5; fatal   : Parsing error", 1);
  EXPECT_EQ(textOf(assemblePTX(ptxas, "bad", "sm_90a").takeError()),
            "kernel '?': ptxas: Parsing error");
  ptxas.path = fake("mute", "13.5.37", "", 3);
  EXPECT_EQ(textOf(assemblePTX(ptxas, "bad", "sm_90a").takeError()),
            "ptxas 13.5.37 failed with status 3: ");
}

TEST_F(Assembler, SaysWhatAKernelFailedBy) {
  auto faultOf = [&](const std::string &more, int status = 0) {
    Ptxas ptxas{fake("ptxas", "13.5.37", goodMessages + more, status),
                "",
                {13, 5, 37},
                PtxasGrade::Good,
                ""};
    auto begun = Assembling::start(ptxas, ".version 8.0", "sm_90a");
    EXPECT_TRUE(static_cast<bool>(begun));
    PtxasFault fault = PtxasFault::Spills;
    llvm::consumeError(begun->finish(&fault).takeError());
    return fault;
  };
  std::string spills = "8 bytes stack frame, 4 bytes spill stores, 4 bytes "
                       "spill loads\n",
              serial = "ptxas info    : (C7512) Potential Performance Loss\n";
  EXPECT_EQ(faultOf(""), PtxasFault::None);
  EXPECT_EQ(faultOf("ptxas fatal   : odd", 1), PtxasFault::None);
  EXPECT_EQ(faultOf(serial), PtxasFault::Serialises);
  EXPECT_EQ(faultOf(serial + spills), PtxasFault::Spills);
}

TEST_F(Assembler, TheRealOneWhereThereIsOne) {
  auto found = findPtxas();
  ASSERT_TRUE(static_cast<bool>(found));
  if (!*found)
    GTEST_SKIP() << "no ptxas on this machine";
  auto made = assemblePTX(**found,
                          ".version 8.0\n.target sm_90a\n.address_size 64\n"
                          ".visible .entry f() { ret; }\n",
                          "sm_90a");
  ASSERT_TRUE(static_cast<bool>(made)) << textOf(made.takeError());
  EXPECT_TRUE(llvm::StringRef(made->cubin)
                  .starts_with("\x7f"
                               "ELF"));
  EXPECT_EQ(textOf(assemblePTX(**found, "nonsense", "sm_90a").takeError())
                .substr(0, 19),
            "kernel '?': ptxas: ");
}

} // namespace
