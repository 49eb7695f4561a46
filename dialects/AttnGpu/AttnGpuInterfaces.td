//===- AttnGpuInterfaces.td - Interfaces of attn_gpu --------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTNGPU_INTERFACES
#define FOVEA_DIALECT_ATTNGPU_INTERFACES

include "mlir/IR/Interfaces.td"

#endif // FOVEA_DIALECT_ATTNGPU_INTERFACES
