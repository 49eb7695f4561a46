//===- ManifestTest.cpp - Manifests: read, refused, computed --------------===//
#include "fovea/Target/NVVM/Manifest.h"
#include "fovea/Runtime/Error.h"

#include "gtest/gtest.h"

using namespace fovea;

namespace {

const char good[] = R"({
  "fovea_kernel": 1, "name": "alibi", "symbol": "alibi", "arch": "sm_90a",
  "dtype": "bf16", "D": [128], "E": 128, "return_lse": true,
  "captures": [{"name": "slope", "dtype": "f32", "rank": 1}],
  "promises": ["whole_sequences"], "threads": 384, "shared_memory": 229488, "registers": 168,
  "grid": ["min", ["mul", "B", "H", ["ceildiv", "M", 128]], "SM"],
  "workspace": 256,
  "conditions": [{"if": ["eq", "q.s3", 1], "else": "q: last stride must be 1"}],
  "arguments": [
    {"tensor_map": "q", "sizes": [64, "M", 2, "H", "B"],
     "strides": ["q.s2", 64, "q.s1", "q.s0"], "box": [64, 128, 2, 1, 1]},
    {"pointer": "@slope"}, {"pointer": "lse"}, {"workspace": 0},
    {"i32": "N"}, {"i64": "@slope.s0"}, {"scale": 0}]
})";

std::string textOf(llvm::Error error) {
  return takeStatus(std::move(error)).second;
}

/// The good manifest with one text replaced.
std::string with(const std::string &from, const std::string &to) {
  std::string text = good;
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string errorWith(const std::string &from, const std::string &to) {
  return textOf(parseManifest(with(from, to)).takeError());
}

LaunchValues values() {
  LaunchValues out;
  int64_t sizes[] = {2, 3, 1, 1000, 777, 128, 128, 132, 128, 64, -1};
  std::copy(std::begin(sizes), std::end(sizes), out.sizes);
  out.tensors.resize(FirstCapture + 1);
  out.tensors[QTensor] = {4096, {2, 3, 1000, 128}, {384000, 128000, 128, 1}};
  out.tensors[FirstCapture] = {64, {3}, {-1}};
  return out;
}

TEST(Manifest, ReadsEverything) {
  auto manifest = parseManifest(good);
  ASSERT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  EXPECT_EQ(manifest->symbol, "alibi");
  EXPECT_EQ(manifest->threads, 384u);
  EXPECT_EQ(manifest->registers, 168u);
  EXPECT_TRUE(manifest->wholeSequences);
  EXPECT_EQ(manifest->grid.evaluate(values()), 48);
  EXPECT_EQ(manifest->workspace.evaluate(values()), 256);
  ASSERT_EQ(manifest->arguments.size(), 7u);
  const KernelArgument &map = manifest->arguments[0];
  EXPECT_EQ(map.kind, KernelArgument::Kind::TensorMap);
  EXPECT_EQ(map.strides[3].evaluate(values()), 384000);
  EXPECT_EQ(map.box, (std::vector<uint32_t>{64, 128, 2, 1, 1}));
  EXPECT_EQ(manifest->arguments[1].tensor, unsigned(FirstCapture));
  EXPECT_EQ(manifest->arguments[5].value.evaluate(values()), -1);
  EXPECT_EQ(manifest->conditions[0].holds.evaluate(values()), 1);
}

TEST(Manifest, LaunchesThatBeginBesideOthers) {
  auto isProgrammatic = [](const std::string &value) {
    auto manifest = parseManifest(with(
        "\"threads\"", "\"programmatic_launch\": " + value + ", \"threads\""));
    EXPECT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
    return manifest->programmaticLaunch;
  };
  EXPECT_TRUE(isProgrammatic("true"));
  EXPECT_FALSE(isProgrammatic("false"));
  EXPECT_FALSE(parseManifest(good)->programmaticLaunch);
  EXPECT_EQ(errorWith("\"threads\"", "\"programmatic_launch\": 1, \"threads\""),
            "manifest: 'programmatic_launch' must be true or false");
}

TEST(Manifest, Expressions) {
  auto value = [](const char *text) -> int64_t {
    auto parsed = llvm::json::parse(text);
    EXPECT_TRUE(static_cast<bool>(parsed));
    auto expr = LaunchExpr::parse(*parsed, {});
    EXPECT_TRUE(static_cast<bool>(expr));
    return expr->evaluate(values());
  };
  EXPECT_EQ(value(R"(["add", 1, 2, 3])"), 6);
  EXPECT_EQ(value(R"(["sub", "M", 1])"), 999);
  EXPECT_EQ(value(R"(["div", -7, 2])"), -4);
  EXPECT_EQ(value(R"(["ceildiv", -7, 2])"), -3);
  EXPECT_EQ(value(R"(["mod", -7, 2])"), 1);
  EXPECT_EQ(value(R"(["div", 7, 0])"), 0);
  EXPECT_EQ(value(R"(["max", 1, ["min", 9, "B"]])"), 2);
  EXPECT_EQ(value(R"(["le", 2, "B"])"), 1);
  EXPECT_EQ(value(R"(["mod", "q.p", 4096])"), 0);
  EXPECT_EQ(value(R"("q.n1")"), 3);
  EXPECT_EQ(value(R"(["section", 16, 128, 512])"), 4);
  EXPECT_EQ(value(R"(["section", 6, 1, 512])"), 6);
  EXPECT_EQ(value(R"(["mul", ["ceildiv", "M", "BQ"], "BKV"])"), 8 * 64);
  EXPECT_EQ(value(R"("block_mask.s0")"), 0);
}

TEST(Manifest, KernelsThatRunBefore) {
  const std::string before =
      R"("scratch": ["mul", 4, "N"], "before": [{"symbol": "lists",
      "threads": 32, "grid": ["mul", "B", "H"], "arguments": [
      {"pointer": "block_mask"}, {"scratch": 64}]}], "threads": 384)";
  auto manifest = parseManifest(with("\"threads\": 384", before));
  ASSERT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  EXPECT_EQ(manifest->scratch.evaluate(values()), 4 * 777);
  ASSERT_EQ(manifest->before.size(), 1u);
  const KernelPrologue &first = manifest->before[0];
  EXPECT_EQ(first.symbol, "lists");
  EXPECT_EQ(first.threads, 32u);
  EXPECT_EQ(first.grid.evaluate(values()), 6);
  EXPECT_EQ(first.arguments[0].tensor, unsigned(BlockMaskTensor));
  EXPECT_EQ(first.arguments[1].kind, KernelArgument::Kind::Scratch);
  auto wrong = [&](const std::string &from, const std::string &to) {
    std::string text = before;
    return errorWith("\"threads\": 384",
                     text.replace(text.find(from), from.size(), to));
  };
  EXPECT_EQ(wrong("\"threads\": 32", "\"threads\": 0"),
            "manifest: a kernel 'before' needs a symbol and 1 to 1024 threads");
  EXPECT_EQ(wrong("{\"scratch\": 64}",
                  R"({"tensor_map": "q", "sizes": [64], "strides": [],
                      "box": [64]})"),
            "manifest: a kernel 'before' takes no tensor map and nothing per "
            "batch");
  EXPECT_EQ(wrong("[{\"symbol\"", "[3, {\"symbol\""),
            "manifest: 'before' must hold objects");
}

TEST(Manifest, OffsetsAndLengths) {
  auto manifest = parseManifest(with("{\"scale\": 0}",
                                     "{\"scale\": 0}, {\"per_batch\": 128, "
                                     "\"positions\": 1000}"));
  ASSERT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  ASSERT_TRUE(manifest->getPerBatch());
  EXPECT_EQ(manifest->getPerBatch()->batches, 128u);
  EXPECT_EQ(manifest->getPerBatch()->positions, 1000);
  EXPECT_FALSE(manifest->hasPerBatchForm);
  manifest = parseManifest(
      with("\"threads\"", "\"forms\": [\"per_batch\"], \"threads\""));
  ASSERT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  EXPECT_TRUE(manifest->hasPerBatchForm);
  EXPECT_FALSE(manifest->getPerBatch());
  for (const char *argument :
       {R"({"per_batch": 0, "positions": 9})", R"({"per_batch": 8})",
        R"({"per_batch": 171, "positions": 9})"})
    EXPECT_EQ(errorWith("{\"scale\": 0}", argument),
              "manifest: 'per_batch' must be 1 to 170, with its 'positions'");
  EXPECT_EQ(errorWith("\"threads\"",
                      R"("before": [{"symbol": "f", "threads": 32, "grid": 1,
                      "arguments": [{"per_batch": 8, "positions": 9}]}],
                      "threads")"),
            "manifest: a kernel 'before' takes no tensor map and nothing per "
            "batch");
}

TEST(Manifest, Clusters) {
  auto manifest = parseManifest(with("\"threads\"", "\"threads\""));
  ASSERT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  EXPECT_EQ(manifest->inClusters.evaluate(values()), 0);
  manifest = parseManifest(
      with("\"threads\"", R"("in_clusters": ["le", 100, "M"], "threads")"));
  ASSERT_TRUE(static_cast<bool>(manifest)) << textOf(manifest.takeError());
  LaunchValues launch = values();
  for (int64_t length : {99, 100}) {
    launch.sizes[LaunchValues::M] = length;
    EXPECT_EQ(manifest->inClusters.evaluate(launch), length == 100);
  }
  EXPECT_EQ(errorWith("\"threads\"", R"("in_clusters": "here", "threads")"),
            "manifest: unknown name 'here'");
}

TEST(Manifest, RefusesWhatItCannotLaunch) {
  EXPECT_EQ(textOf(parseManifest("{").takeError()), "manifest: not JSON");
  EXPECT_EQ(textOf(parseManifest("[]").takeError()),
            "manifest: 'fovea_kernel' must be 1");
  EXPECT_EQ(errorWith("\"threads\": 384", "\"threads\": 2048"),
            "manifest: 'threads' must lie within 1 and 1024");
  EXPECT_EQ(errorWith("229488", "300000"),
            "manifest: 'shared_memory' must lie within 0 and 232448");
  EXPECT_EQ(errorWith("\"symbol\": \"alibi\"", "\"symbol\": 3"),
            "manifest: 'symbol' must be a text");
  EXPECT_EQ(errorWith("\"@slope\"", "\"@slopes\""),
            "manifest: unknown tensor '@slopes'");
  EXPECT_EQ(errorWith("\"N\"", "\"NN\""), "manifest: unknown name 'NN'");
  EXPECT_EQ(errorWith("@slope.s0", "@slope.x0"),
            "manifest: unknown name '@slope.x0'");
  EXPECT_EQ(errorWith("[64, 128, 2, 1, 1]", "[64, 128]"),
            "manifest: a tensor map of rank 5 has 4 strides and 2 box sizes");
  EXPECT_EQ(errorWith("[64, 128, 2, 1, 1]", "[64, 512, 2, 1, 1]"),
            "manifest: 'box' must hold numbers within 1 and 256");
  EXPECT_EQ(errorWith("\"ceildiv\", \"M\", 128", "\"ceildiv\", \"M\""),
            "manifest: 'ceildiv' takes 2 operands, got 1");
  EXPECT_EQ(errorWith("\"ceildiv\"", "\"root\""),
            "manifest: an expression is a number, a name or [operation, ...]");
  EXPECT_EQ(errorWith("\"scale\": 0", "\"scale\": 1"),
            "manifest: 'scale' must be the number of a pair");
  EXPECT_EQ(errorWith("{\"scale\": 0}", "{\"f64\": 1}"),
            "manifest: an argument is a tensor_map, pointer, workspace, "
            "scratch, i32, i64, scale, scale_size or per_batch");
  EXPECT_EQ(errorWith("whole_sequences", "everything"),
            "manifest: unknown promise 'everything'");
  EXPECT_EQ(errorWith("\"threads\"", "\"forms\": [\"short\"], \"threads\""),
            "manifest: unknown form 'short'");
  std::string deep = "1";
  for (int i = 0; i < 100; ++i)
    deep = "[\"add\", 1, " + deep + "]";
  EXPECT_EQ(errorWith("\"workspace\": 256", "\"workspace\": " + deep),
            "manifest: an expression deeper than 64");
}

TEST(Manifest, RefusesEntriesOfOtherKinds) {
  const std::string box = "\"box\": [64, 128, 2, 1, 1]";
  for (auto [from, to, message] : std::initializer_list<
           std::tuple<std::string, std::string, const char *>>{
           {"\"fovea_kernel\": 1", "\"fovea_kernel\": 2",
            "'fovea_kernel' must be 1"},
           {"\"D\": [128]", "\"D\": 128", "'D' must be a list of head dims"},
           {"\"D\": [128]", "\"D\": [0]",
            "'D' must hold numbers within 1 and 512"},
           {"\"D\": [128]", "\"D\": [\"d\"]",
            "'D' must hold numbers within 1 and 512"},
           {"\"E\": 128", "\"E\": 513", "'E' must lie within 0 and 512"},
           {"[{\"name\": \"slope\",", "[{\"n\": \"slope\",",
            "'captures' must hold objects with a name"},
           {"\"grid\"", "\"grids\"", "'grid' is missing"},
           {"\"sizes\"", "\"size\"", "a tensor map needs 'sizes'"},
           {"\"strides\"", "\"stride\"", "a tensor map needs 'strides'"},
           {box, "\"box\": 64", "a tensor map needs 'box'"},
           {box, box + ", \"swizzle\": 16",
            "'swizzle' must be 0, 32, 64 or 128"},
           {box, box + ", \"promotion\": 32",
            "'promotion' must be 0, 64, 128 or 256"},
           {"\"arguments\"", "\"argument\"", "'arguments' must be a list"},
           {"{\"i32\": \"N\"}", "3", "'arguments' must hold objects"},
           {"\"else\"", "\"then\"",
            "'conditions' must hold objects with 'if' and 'else'"},
           {"\"workspace\": 256", "\"workspace\": {}",
            "an expression is a number, a name or [operation, ...]"}})
    EXPECT_EQ(errorWith(from, to), std::string("manifest: ") + message);
}

} // namespace
