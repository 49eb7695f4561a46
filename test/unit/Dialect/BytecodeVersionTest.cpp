//===- BytecodeVersionTest.cpp - Other versions are refused by name -------===//

#include "fovea/Dialect/BytecodeVersion.h"
#include "fovea/Registration/Registration.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;

namespace {

/// Stands for the dialect of another build: its version is 7.
template <typename ConcreteT> class OtherDialect : public Dialect {
public:
  explicit OtherDialect(MLIRContext *context)
      : Dialect(ConcreteT::getDialectNamespace(), context,
                TypeID::get<ConcreteT>()) {
    allowUnknownOperations();
    addInterface<fovea::BytecodeVersionInterface>(uint64_t(7));
  }
};

class OtherOnline : public OtherDialect<OtherOnline> {
public:
  using OtherDialect::OtherDialect;
  static StringRef getDialectNamespace() { return "online"; }
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OtherOnline)
};

class OtherAttn : public OtherDialect<OtherAttn> {
public:
  using OtherDialect::OtherDialect;
  static StringRef getDialectNamespace() { return "attn"; }
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OtherAttn)
};

std::string write(MLIRContext &context, StringRef text) {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  EXPECT_TRUE(module && succeeded(writeBytecodeToFile(*module, os)));
  return bytes;
}

/// The message that reading gives; empty where it succeeds.
std::string read(StringRef bytes) {
  DialectRegistry registry;
  fovea::registerDialects(registry);
  MLIRContext context(registry);
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diag) {
    message += diag.str();
    return success();
  });
  return parseSourceString<ModuleOp>(bytes, &context) ? "" : message;
}

TEST(BytecodeVersion, OwnVersionIsRead) {
  DialectRegistry registry;
  fovea::registerDialects(registry);
  MLIRContext context(registry);
  EXPECT_EQ(read(write(context, "func.func private @f(!online.walk, "
                                "!attn.block_mask<8x8>)")),
            "");
}

TEST(BytecodeVersion, OtherVersionsAreRefusedByName) {
  MLIRContext context;
  context.loadDialect<OtherOnline, OtherAttn>();
  for (StringRef name : {"online", "attn"}) {
    std::string text = ("\"" + name + ".op\"() : () -> ()").str();
    std::string message = read(write(context, text));
    EXPECT_NE(message.find(("bytecode holds version 7 of dialect '" + name +
                            "', this build reads version 1")
                               .str()),
              std::string::npos)
        << message;
  }
}

} // namespace
