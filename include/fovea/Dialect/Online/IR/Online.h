//===- Online.h - The online dialect ----------------------------*- C++ -*-===//

#ifndef FOVEA_DIALECT_ONLINE_IR_ONLINE_H
#define FOVEA_DIALECT_ONLINE_IR_ONLINE_H

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Target/TargetModel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "fovea/Dialect/Online/IR/OnlineDialect.h.inc"
#include "fovea/Dialect/Online/IR/OnlineEnums.h.inc"

#include "fovea/Dialect/Online/IR/OnlineAttrInterfaces.h.inc"

#define GET_TYPEDEF_CLASSES
#include "fovea/Dialect/Online/IR/OnlineTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "fovea/Dialect/Online/IR/OnlineAttrs.h.inc"

#define GET_OP_CLASSES
#include "fovea/Dialect/Online/IR/OnlineOps.h.inc"

#endif // FOVEA_DIALECT_ONLINE_IR_ONLINE_H
