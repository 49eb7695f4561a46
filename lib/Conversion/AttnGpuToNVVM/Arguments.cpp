//===- Arguments.cpp - Launch arguments and the manifest ------------------===//

#include "Kernel.h"

using namespace fovea::gpu;

unsigned KernelEmitter::tensorNumber(Value memref) {
  return cast<BlockArgument>(memref).getArgNumber();
}

std::string KernelEmitter::tensorName(Value memref) {
  auto name =
      func.getArgAttrOfType<StringAttr>(tensorNumber(memref), "attn.name");
  return name ? name.str() : "arg" + std::to_string(tensorNumber(memref));
}

void KernelEmitter::addArgument(Type type, llvm::json::Object entry,
                                Value *slot) {
  bool isMap = *entry.getString("kind") == "tensor_map";
  entries.push_back(std::move(entry));
  argumentTypes.push_back(type);
  argumentSlots.push_back(slot);
  isTensorMap.push_back(isMap);
}

/// What the ops of the kernel ask for, each once.
void KernelEmitter::collectArguments() {
  auto entry = [&](StringRef kind, Value memref) {
    return llvm::json::Object{{"kind", kind.str()},
                              {"tensor", tensorName(memref)},
                              {"argument", int64_t(tensorNumber(memref))}};
  };
  auto addMap = [&](Value memref, int64_t rows, int64_t columns) {
    auto [it, isNew] = tensorMaps.try_emplace(tensorNumber(memref));
    if (!isNew)
      return;
    llvm::json::Object object = entry("tensor_map", memref);
    object["box"] = llvm::json::Array{64, rows, columns / 64, 1, 1};
    addArgument(e.ptr, std::move(object), &it->second);
  };
  auto addTensor = [&](Value memref) {
    auto [it, isNew] = pointers.try_emplace(tensorNumber(memref));
    if (!isNew)
      return;
    addArgument(e.global, entry("pointer", memref), &it->second);
    unsigned rank = cast<MemRefType>(memref.getType()).getRank();
    for (unsigned dim = 0; dim < rank; ++dim) {
      llvm::json::Object object = entry("stride", memref);
      object["dim"] = int64_t(dim);
      addArgument(e.i64, std::move(object),
                  &strides[{tensorNumber(memref), dim}]);
    }
  };
  auto addSize = [&](Value memref, unsigned dim) {
    auto [it, isNew] = sizes.try_emplace({tensorNumber(memref), dim});
    if (!isNew)
      return;
    llvm::json::Object object = entry("size", memref);
    object["dim"] = int64_t(dim);
    addArgument(e.i32, std::move(object), &it->second);
  };
  auto source = [](Value view) {
    return view.getDefiningOp<online::ViewOp>().getSource();
  };
  func.walk([&](FillOp fill) {
    ChannelType type = fill.getChannel().getType();
    addMap(source(fill.getView()), type.getRows(), type.getColumns());
  });
  func.walk([&](StoreTileOp store) {
    Value memref = source(store.getView());
    if (store.getStaged())
      addMap(memref, kGroupRows, store.getSource().getType().getColumns());
    else
      addTensor(memref);
  });
  addArgument(e.global, llvm::json::Object{{"kind", "counter"}}, &counter);
  func.walk([&](Operation *op) {
    if (auto store = dyn_cast<StoreRowsOp>(op))
      addTensor(source(store.getView()));
    if (auto dim = dyn_cast<memref::DimOp>(op))
      addSize(dim.getSource(), *dim.getConstantIndex());
    if (auto extent = dyn_cast<attn::ExtentOp>(op))
      addSize(extent->getOperand(0), extent.getDim());
    if (auto read = dyn_cast<attn::ReadOp>(op)) {
      addTensor(read->getOperand(0));
      unsigned rank = cast<MemRefType>(read->getOperand(0).getType()).getRank();
      for (unsigned dim = 0; dim < rank; ++dim)
        addSize(read->getOperand(0), dim);
    }
  });
  for (BlockArgument argument : func.getArguments())
    if (argument.getType().isF32() && !argument.use_empty()) {
      llvm::json::Object object = entry("scalar", argument);
      object["type"] = "f32";
      addArgument(e.f32, std::move(object),
                  &scalarArguments[argument.getArgNumber()]);
    }
  addArgument(e.i32, llvm::json::Object{{"kind", "section"}}, &section);
}

void KernelEmitter::createFunction() {
  MLIRContext *context = func.getContext();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                          argumentTypes);
  e.b.setInsertionPoint(func);
  kernel = LLVM::LLVMFuncOp::create(e.b, func.getLoc(),
                                    (func.getName() + "_kernel").str(), type);
  auto threads = func->getAttrOfType<IntegerAttr>("attn_gpu.threads").getInt();
  kernel->setAttr("nvvm.kernel", e.b.getUnitAttr());
  kernel->setAttr("nvvm.maxntid",
                  e.b.getDenseI32ArrayAttr({int32_t(threads), 1, 1}));
  kernel->setAttr("nvvm.minctasm", e.b.getI32IntegerAttr(1));
  auto bytes = LLVM::LLVMArrayType::get(e.b.getI8Type(), 128);
  Block *entry = kernel.addEntryBlock(e.b);
  for (size_t i = 0; i < argumentTypes.size(); ++i) {
    *argumentSlots[i] = entry->getArgument(i);
    if (isTensorMap[i]) {
      kernel.setArgAttr(i, "llvm.byval", TypeAttr::get(bytes));
      kernel.setArgAttr(i, "llvm.align", e.b.getI64IntegerAttr(64));
      kernel.setArgAttr(i, "nvvm.grid_constant", e.b.getUnitAttr());
    } else if (argumentTypes[i] == e.global) {
      kernel.setArgAttr(i, "llvm.noalias", e.b.getUnitAttr());
    }
  }
  kernel->setAttr("fovea.manifest", e.b.getStringAttr(manifest()));
  e.enter(entry);
}

Value KernelEmitter::getPointer(Value memref) {
  return pointers.at(tensorNumber(memref));
}
Value KernelEmitter::getStride(Value memref, unsigned dim) {
  return strides.at({tensorNumber(memref), dim});
}
Value KernelEmitter::getSize(Value memref, unsigned dim) {
  return sizes.at({tensorNumber(memref), dim});
}

std::string KernelEmitter::manifest() {
  auto attr = [&](StringRef name) {
    return func->getAttrOfType<IntegerAttr>(name).getInt();
  };
  bool causal = false;
  func.walk([&](MaskOp mask) { causal |= !mask.getBody().empty(); });
  llvm::json::Array tensors;
  for (BlockArgument argument : func.getArguments())
    tensors.push_back(tensorName(argument));
  ChannelType queries;
  for (auto &[value, channel] : channels)
    if (channel.isLhs)
      queries = channel.type;
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::Object object{
      {"manifest", 1},
      {"symbol", kernel.getName().str()},
      {"target", "sm_90a"},
      {"threads", attr("attn_gpu.threads")},
      {"shared_memory", attr("attn_gpu.shared_memory")},
      {"query_tile", queries.getRows()},
      {"head_dim", queries.getColumns()},
      {"element", queries.getElementType().isBF16() ? "bf16" : "f16"},
      // Blocks of threads: as many as there are processors, at most one a tile.
      {"grid", "min(tiles, processors)"},
      {"tiles", "B * H * ceil(M / query_tile)"},
      // Heads walked together: the least divisor of B * H with `section_waves`
      // tiles a section; 0: one head.
      {"section_tiles", causal ? 512 : 0},
      {"arguments", std::move(entries)},
      {"function_arguments", std::move(tensors)},
      {"requires",
       llvm::json::Array{"scale > 0", "q_lengths = M", "kv_lengths = N",
                         "q_offset = 0", "kv_offset = 0", "tiles > 0"}},
      {"workspace", "counter: 4 bytes, zero before and after"},
      {"tolerance",
       llvm::json::Object{{"relative_error", 4e-3}, {"lse_error", 1e-4}}}};
  os << llvm::json::Value(std::move(object));
  return text;
}
