//===- BindParams.cpp - -attn-bind-params ---------------------------------===//

#include "fovea/Dialect/Attn/Transforms/Passes.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::attn {
#define GEN_PASS_DEF_ATTNBINDPARAMS
#include "fovea/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;

/// The attribute of a given text, or null where it does not fit the type.
static TypedAttr parseValue(StringRef text, Type type) {
  if (type.isInteger(1)) {
    if (text != "true" && text != "false")
      return {};
    return BoolAttr::get(type.getContext(), text == "true");
  }
  if (type.isInteger(64)) {
    int64_t value;
    if (text.getAsInteger(0, value))
      return {};
    return IntegerAttr::get(type, value);
  }
  double value;
  if (text.getAsDouble(value))
    return {};
  return FloatAttr::get(type, value);
}

namespace {
struct BindParams : attn::impl::AttnBindParamsBase<BindParams> {
  using AttnBindParamsBase::AttnBindParamsBase;

  void runOnOperation() override {
    llvm::StringMap<StringRef> values;
    llvm::StringMap<bool> used;
    for (StringRef entry : params) {
      auto [name, value] = entry.split('=');
      if (name.empty() || !entry.contains('=')) {
        getOperation().emitError()
            << "a parameter is given as NAME=VALUE, got '" << entry << "'";
        return signalPassFailure();
      }
      if (values.contains(name)) {
        getOperation().emitError()
            << "the parameter '" << name << "' is given twice";
        return signalPassFailure();
      }
      values[name] = value;
      used[name] = false;
    }
    bool isValid = true;
    getOperation().walk([&](attn::ParamOp param) {
      TypedAttr value = param.getValue();
      auto given = values.find(param.getName());
      if (given != values.end()) {
        used[param.getName()] = true;
        value = parseValue(given->second, param.getType());
        if (!value) {
          isValid = false;
          param.emitOpError() << "is of type " << param.getType()
                              << ", cannot be '" << given->second << "'";
          return;
        }
      }
      OpBuilder builder(param);
      Value constant =
          arith::ConstantOp::create(builder, param.getLoc(), value);
      param.replaceAllUsesWith(constant);
      param.erase();
      ++numBound;
    });
    for (StringRef entry : params) {
      StringRef name = entry.split('=').first;
      if (used.lookup(name))
        continue;
      isValid = false;
      getOperation().emitError()
          << "no compile-time parameter is named '" << name << "'";
    }
    if (!isValid)
      signalPassFailure();
  }
};
} // namespace
