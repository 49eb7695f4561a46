//===- OnlineDialect.td - The online dialect: how, on tiles -*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ONLINE
#define FOVEA_DIALECT_ONLINE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Online_Dialect : Dialect {
  let name = "online";
  let cppNamespace = "::mlir::online";
  let summary = "Attention as sweeps over tiles, target-neutral";
  let description = [{
    Level 2 of Fovea: how a variant is computed on tiles, on every machine.
    Tiles are static builtin tensors; global memory is reached through views of
    memrefs. A kernel is an `online.grid` over output tiles whose body sweeps
    key tiles: one structured `online.sweep` over an `online.walk`, whose
    elements carry their class. A class is a promise, not semantics: any
    lowering may drop or keep the mask, and the interpreter checks the promise.

    Conventions. Rows are queries, columns are keys. In an elementwise op over
    an M×N tile an operand of type `tensor<MxN>` is elementwise, `tensor<M>` one
    value a row, `tensor<1xN>` one value a column. Origins (`%m0`, `%n0`) of
    `map`, `mask`, `step`, `init`, `finish` and `weights` are *global* positions
    (offsets included); origins of `load` and `store` are rows of the view.
    Scores are in natural units: no factor log2(e) and no exp2 of the compiler's
    own above level 3.

    Scalar regions use the ops of `attn` (`attn.read` on memrefs), `arith` and
    `math`; values from above are visible in them.

    Constraints of every scalar region:
    - (C23) its ops are scalar and of the set that `attn` allows in regions
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::attn::AttnDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect"];
  let extraClassDeclaration = [{
    void registerTypes();
    void registerAttributes();
  }];
}

class Online_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<Online_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

class Online_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Online_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Online_Op<string mnemonic, list<Trait> traits = []>
    : Op<Online_Dialect, mnemonic, traits>;

#endif // FOVEA_DIALECT_ONLINE
