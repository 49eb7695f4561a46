"""lit configuration: FileCheck tests of dialects, passes and tools."""

import os
import re

import lit.formats

config.name = "fovea"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".attn", ".test"]
config.excludes = ["unit", "python", "Inputs", "CMakeLists.txt"]
config.test_source_root = config.fovea_source_dir + "/test"

tools = os.path.join(config.fovea_build_dir, "bin")
config.environment["PATH"] = os.pathsep.join(
    [tools, config.llvm_tools_dir, os.environ.get("PATH", "")]
)
config.environment["FOVEA_CACHE"] = "0"
config.substitutions.append(("%python", config.python))
# What LLVM's optimiser does to kernels for many queries.
with open(
    config.fovea_source_dir + "/include/fovea/Target/CPU/ObjectEmitter.h",
    encoding="utf-8",
) as header:
    passes = re.search(r"shortPasses =([^;]+);", header.read()).group(1)
passes = "".join(re.findall(r'"([^"]+)"', passes))
config.substitutions.append(("%cpu_passes", passes))
config.substitutions.append(("%fovea_src", config.fovea_source_dir))
config.substitutions.append(("%fovea_build", config.fovea_build_dir))
config.substitutions.append(("%llvm_include", config.llvm_include_dir))
