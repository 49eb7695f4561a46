//===- ErasedOpsTest.cpp - Verifiers of IR that a reducer leaves ----------===//

#include "fovea/Registration/Registration.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

using namespace mlir;

namespace {

/// Takes the op out of its block, as a reducer does: what used its results has
/// no operand then.
void take(Operation *op) {
  op->dropAllUses();
  op->erase();
}

/// A module with each of its ops taken out in turn can be verified.
void takeEach(StringRef path) {
  SCOPED_TRACE(path.str());
  DialectRegistry registry;
  fovea::registerDialects(registry);
  MLIRContext context(registry);
  context.allowUnregisteredDialects();
  ScopedDiagnosticHandler handler(&context,
                                  [](Diagnostic &) { return success(); });
  auto file = llvm::MemoryBuffer::getFile(path);
  ASSERT_TRUE(file);
  SmallVector<StringRef> parts;
  (*file)->getBuffer().split(parts, "// -----");
  unsigned taken = 0;
  for (StringRef part : parts) {
    auto module = parseSourceString<ModuleOp>(part, &context);
    ASSERT_TRUE(module);
    unsigned count = 0;
    module->walk([&](Operation *) { ++count; });
    for (unsigned at = 0; at + 1 < count; ++at, ++taken) {
      OwningOpRef<ModuleOp> copy = module->clone();
      SmallVector<Operation *> ops;
      copy->walk([&](Operation *op) { ops.push_back(op); });
      bool used = !ops[at]->use_empty();
      take(ops[at]);
      EXPECT_FALSE(used && succeeded(verify(*copy))) << at;
    }
  }
  EXPECT_GT(taken, 20u);
}

TEST(ErasedOps, LevelOne) { takeEach(FOVEA_DIALECT_TESTS "/attn/ops.mlir"); }
TEST(ErasedOps, LevelTwo) { takeEach(FOVEA_DIALECT_TESTS "/online/ops.mlir"); }
TEST(ErasedOps, LevelThree) {
  takeEach(FOVEA_DIALECT_TESTS "/attn_gpu/ops.mlir");
}

} // namespace
