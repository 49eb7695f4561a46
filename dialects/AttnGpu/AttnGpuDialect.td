//===- AttnGpuDialect.td - The attn_gpu dialect: which unit when -*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTNGPU
#define FOVEA_DIALECT_ATTNGPU

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def AttnGpu_Dialect : Dialect {
  let name = "attn_gpu";
  let cppNamespace = "::mlir::attn_gpu";
  let summary = "Attention kernels on tensor cores: fragments, channels, roles";
  let description = [{
    Level 3 of Fovea for GPUs: which unit of the machine does what, and when.
    Values are tiles in shared memory, fragments spread over the registers of a
    warpgroup in a closed set of layouts, and scalars.

    Scalars are warp-uniform by construction: no lane or thread number exists at
    this level; dependence on the lane lives inside fragments and row vectors.
    So every branch is uniform.

    Code in a role of several warpgroups runs once in each of them: a
    `!attn_gpu.frag<64x…>` is this warpgroup's 64 rows of the query tile, group
    g having rows 64·g … 64·g + 63. Positions and rows that ops take (`at`,
    `[%row]`) are those of the tile; ops on fragments add 64·g by themselves.

    The dialect has two forms. In the *synchronous form* a kernel is
    `for_tiles` around `for_blocks`, loads give tiles and `mma` gives fragments.
    In the *role form* `specialize` holds a loading and a computing role which
    meet in channels; products are started and awaited.

    Scores are in natural units at rest; log2(e) enters where an exponential is
    taken, as exp2 of one fused multiply-add.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::attn::AttnDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::online::OnlineDialect", "::mlir::scf::SCFDialect"];
  let extraClassDeclaration = [{
    void registerTypes();
    void registerAttributes();
  }];
}

class AttnGpu_Type<string name, string typeMnemonic> : TypeDef<AttnGpu_Dialect, name> {
  let mnemonic = typeMnemonic;
}

class AttnGpu_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<AttnGpu_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class AttnGpu_Op<string mnemonic, list<Trait> traits = []>
    : Op<AttnGpu_Dialect, mnemonic, traits>;

#endif // FOVEA_DIALECT_ATTNGPU
