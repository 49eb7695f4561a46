//===- AttnGpuTypes.td - Types and attributes of attn_gpu ---*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTNGPU_TYPES
#define FOVEA_DIALECT_ATTNGPU_TYPES

include "AttnGpu/AttnGpuDialect.td"
include "Online/OnlineInterfaces.td"

def AttnGpu_Layout : I32EnumAttr<"Layout", "Where the elements of a fragment lie", [
    I32EnumAttrCase<"Quad", 0, "quad">, I32EnumAttrCase<"QuadA", 1, "quad_a">]> {
  let cppNamespace = "::mlir::attn_gpu";
  let description = [{
    `quad`: the accumulator of wgmma and mma.sync: lane l of warp w, register i:
    row 16·w + l/4 + 8·((i/2) % 2), column 8·(i/4) + 2·(l % 4) + i % 2.
    `quad_a`: two 16-bit elements a register, as the A operand of the next
    product takes them: register i packs columns 2i and 2i + 1 of `quad`.
  }];
  let genSpecializedAttr = 0;
}

def AttnGpu_TileType : AttnGpu_Type<"Tile", "tile"> {
  let summary = "A tile in shared memory";
  let description = [{
    Rows of one view, row-major in boxes of 64 16-bit columns, each box with the
    128-byte swizzle.

    Constraints:
    - (T1) rows are a multiple of 8, columns of 64, at most 256 of either; f16 or bf16

    Example: `!attn_gpu.tile<128x64xbf16>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` custom<Shape>($rows, $columns, $elementType) `>`";
  let genVerifyDecl = 1;
}

def AttnGpu_FragType : AttnGpu_Type<"Frag", "frag"> {
  let summary = "A matrix in the registers of one warpgroup";
  let description = [{
    Constraints:
    - (T2) 64 rows; columns are a multiple of 8 up to 256 for `quad`, of 16 for
      `quad_a`
    - (T3) `quad` holds f32, `quad_a` f16 or bf16

    Example: `!attn_gpu.frag<64x128xf32, quad>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType,
                        EnumParameter<AttnGpu_Layout>:$layout);
  let assemblyFormat = "`<` custom<Shape>($rows, $columns, $elementType) `,` $layout `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// 32-bit registers of one thread.
    int64_t getRegisters() const {
      int64_t elements = getColumns() / 2;
      return getLayout() == Layout::Quad ? elements : elements / 2;
    }
  }];
}

def AttnGpu_RowvecType : AttnGpu_Type<"Rowvec", "rowvec"> {
  let summary = "One value for each row of a fragment";
  let description = [{
    Two registers a thread, the same in the four lanes of a quad. With `partial`
    each lane holds the part of the reduction over its own columns; the value is
    what `quad_reduce` makes of the four parts.

    Constraints:
    - (T4) 64 rows of f32

    Example: `!attn_gpu.rowvec<64xf32>`, `!attn_gpu.rowvec<64xf32, partial>`
  }];
  let parameters = (ins "int64_t":$rows, "::mlir::Type":$elementType, "bool":$partial);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def AttnGpu_DiagvecType : AttnGpu_Type<"Diagvec", "diagvec"> {
  let summary = "One value for each m - n of a query tile and a key tile";
  let description = [{
    `rows` queries and `columns` keys have rows + columns − 1 differences of
    positions; a value depends on nothing else. It lies in shared memory beside
    the key tile.

    Constraints:
    - (T7) rows are whole groups of 64, columns a multiple of 8, at most 256 of
      either; f32

    Example: `!attn_gpu.diagvec<128x64xf32>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` custom<Shape>($rows, $columns, $elementType) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getLength() const { return getRows() + getColumns() - 1; }
  }];
}

def AttnGpu_PendingType : AttnGpu_Type<"Pending", "pending"> {
  let summary = "A product in flight";
  let description = [{
    Constraints:
    - (T5) holds a `quad` fragment

    Example: `!attn_gpu.pending<!attn_gpu.frag<64x128xf32, quad>>`
  }];
  let parameters = (ins "::mlir::Type":$result);
  let assemblyFormat = "`<` $result `>`";
  let genVerifyDecl = 1;
}

def AttnGpu_ChannelType : AttnGpu_Type<"Channel", "channel"> {
  let summary = "A ring of tiles from one role to another";
  let description = [{
    `stages` slots of shared memory. The n-th use of the channel is slot
    n mod stages; a fill waits until the slot's previous use was released by
    every warpgroup that reads. Beside each tile travel `records` scalars, read
    uniformly by every reader, and with `diagonal` a diagvec of that many query
    rows and the tile's rows as keys.

    With `cluster` 2 the channels of two neighbouring blocks of threads are
    filled together: a use has the same tile in both, each block's fill copies
    one half of it to both, and a slot is free when the readers of both have
    released it. Records and diagonal are each block's own.

    Constraints:
    - (T6) shape and element as T1; 1 to 8 stages, 0 to 32 records; diagonal as
      T7, or 0 for none; cluster 1 or 2, with 2 rows are a multiple of 16

    Example: `!attn_gpu.channel<128x64xbf16, stages = 2, records = 4, diagonal = 128>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType,
                        "int64_t":$stages, "int64_t":$records,
                        DefaultValuedParameter<"int64_t", "0">:$diagonal,
                        DefaultValuedParameter<"int64_t", "1">:$cluster);
  let assemblyFormat = [{
    `<` custom<Shape>($rows, $columns, $elementType) `,` `stages` `=` $stages `,`
    `records` `=` $records (`,` `diagonal` `=` $diagonal^)? (`cluster` `=` $cluster^)? `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    TileType getTileType() const {
      return TileType::get(getContext(), getRows(), getColumns(), getElementType());
    }
    int64_t getTileBytes() const { return getRows() * getColumns() * 2; }
    /// What one block of a cluster copies: whole boxes of 64 columns where they
    /// are even, else rows of the only one.
    bool halvesColumns() const { return getColumns() % 128 == 0; }
    int64_t getPartRows() const {
      return halvesColumns() ? getRows() : getRows() / getCluster();
    }
    int64_t getPartColumns() const {
      return halvesColumns() ? getColumns() / getCluster() : getColumns();
    }
    /// What travels beside the tiles; none without `diagonal`.
    DiagvecType getDiagonalType() const;
    /// Of shared memory a slot: whole rounds of a warp.
    int64_t getDiagonalBytes() const {
      int64_t rounds = (getDiagonal() + getRows() + 30) / 32;
      return getDiagonal() ? 128 * rounds : 0;
    }
  }];
}

def AttnGpu_ScheduleAttr : AttnGpu_Attr<"Schedule", "schedule", [
    DeclareAttrInterfaceMethods<Online_ScheduleAttrInterface>]> {
  let summary = "How a grid runs on a Hopper GPU";
  let description = [{
    `groups` warpgroups of 64 query rows compute one query tile; key tiles have
    `n` rows and K and V rings of `stages` slots, Q one of `q_stages`.
    `ping_pong` lets the warpgroups issue their products in turns. `pin` holds
    the last wait of a step: 0 where the assembler likes, 1 behind the row
    maxima, 5 also before the exponentials. `staged` outputs leave through
    shared memory and the copy engine; others by 16-byte stores. With `branch`
    blocks of all classes share a loop and go round its mask by a branch;
    without, those that need no mask have a loop of their own. With `own_rows`
    each warpgroup has a row of tiles of a block mask to itself, and what several
    of them see is loaded once. With `cluster` 2 two blocks of threads take
    neighbouring heads of a key head at the same query tile, and load their keys
    and values once. With `edges` what no row of a warpgroup sees of a block at
    the edge of a mask of half-planes is left out of its products.

    Constraints:
    - (C1) 1 to 3 groups; n a multiple of 16 from 16 to 256; 2 to 8 stages, 1 or
      2 q_stages; pin 0, 1, 4 or 5; own_rows takes 2 or 3 groups
      without ping_pong, with 3 groups at least 3 stages; cluster is 1 or 2, not
      with own_rows; edges goes without branch and own_rows

    Example:
    `#attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>`
  }];
  let parameters = (ins "int64_t":$groups, "int64_t":$n, "int64_t":$stages,
                        "int64_t":$qStages, "bool":$pingPong, "int64_t":$pin,
                        "bool":$staged, DefaultValuedParameter<"bool", "false">:$branch,
                        DefaultValuedParameter<"bool", "false">:$ownRows,
                        DefaultValuedParameter<"int64_t", "1">:$cluster,
                        DefaultValuedParameter<"bool", "false">:$edges);
  let assemblyFormat = [{
    `<` `groups` `=` $groups `,` `n` `=` $n `,` `stages` `=` $stages `,` `q_stages` `=` $qStages
    `,` `ping_pong` `=` $pingPong `,` `pin` `=` $pin `,` `staged` `=` $staged
    (`,` `branch` `=` $branch^)? (`own_rows` `=` $ownRows^)?
    (`cluster` `=` $cluster^)? (`edges` `=` $edges^)? `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Query rows of one block of threads at a time.
    int64_t getQueryRows() const { return 64 * getGroups(); }
    /// Slots of the values' ring: where rows take turns, one more, as a
    /// block's values are held a step longer than its keys.
    int64_t getValueStages() const { return getStages() + getOwnRows(); }
  }];
}

#endif // FOVEA_DIALECT_ATTNGPU_TYPES
