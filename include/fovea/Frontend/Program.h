//===- Program.h - The canonical form of a variant --------------*- C++ -*-===//
//
// What every front end hands on (docs/architecture.md, section 1): a few scalar
// regions over typed nodes, the captures they read, and how the rows are
// normalised. Plain data: it needs LLVM's Support library and no MLIR.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_FRONTEND_PROGRAM_H
#define FOVEA_FRONTEND_PROGRAM_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fovea {

/// The three types of S13; F is the score type.
enum class ValueType : uint8_t { I1, I64, F };

enum class NodeKind : uint8_t {
  Arg,    ///< symbol = name of the region argument
  Const,  ///< type I1 or I64: integer; type F: real
  Read,   ///< capture; operands are the indices
  Extent, ///< capture and dim
  Size,   ///< symbol = one of B H Hk M N D E
  Param,  ///< symbol = name of a compile-time parameter
  IAdd,
  ISub,
  IMul,
  INeg,
  IAbs,
  IMin,
  IMax,
  FloorDiv,
  Mod,
  IAnd,
  IOr,
  IXor,
  INot,
  Shl,
  Shr,
  FAdd,
  FSub,
  FMul,
  FDiv,
  FNeg,
  FAbs,
  FMin,
  FMax,
  FMod,
  Pow,
  BAnd,
  BOr,
  BXor,
  BNot,
  IEq,
  INe,
  ILt,
  ILe,
  IGt,
  IGe,
  FEq,
  FNe,
  FLt,
  FLe,
  FGt,
  FGe,
  Select,
  Exp,
  Exp2,
  Log,
  Log2,
  Log1p,
  Tanh,
  Sin,
  Cos,
  Sqrt,
  Rsqrt,
  Erf,
  Floor,
  Sigmoid,
  Softplus,
  Gelu,
  Silu,
  I1ToI64,
  I1ToF,
  I64ToF,
  ToInt
};
constexpr unsigned numNodeKinds = static_cast<unsigned>(NodeKind::ToInt) + 1;

/// Name and signature of a kind of node. Arg, Const, Read, Extent, Size and
/// Param are described by their own rules and have no fixed signature.
struct NodeSignature {
  llvm::StringRef name;
  ValueType result;
  llvm::SmallVector<ValueType, 3> operands;
};
const NodeSignature &getSignature(NodeKind kind);
std::optional<NodeKind> parseNodeKind(llvm::StringRef name);
/// "i1", "i64" or "f".
llvm::StringRef stringify(ValueType type);

struct Node {
  NodeKind kind = NodeKind::Const;
  ValueType type = ValueType::I64;
  llvm::SmallVector<unsigned, 3> operands;
  int64_t integer = 0;
  double real = 0;
  unsigned capture = 0;
  unsigned dim = 0;
  std::string symbol;
  /// Where it came from; part of "locations", not of the variant.
  std::string name;
  unsigned line = 0, column = 0;
};

struct Region {
  std::vector<std::string> args;
  std::vector<Node> nodes;
  llvm::SmallVector<unsigned, 2> results;
};

/// Element types of captures, in the order of fovea_dtype.
enum class DType : uint8_t {
  I1,
  I8,
  UI8,
  I16,
  UI16,
  I32,
  UI32,
  I64,
  F16,
  BF16,
  F32,
  F64
};
llvm::StringRef stringify(DType type);
std::optional<DType> parseDType(llvm::StringRef name);
/// How a region sees an element: bool as I1, integers as I64, floats as F.
ValueType getValueType(DType type);
inline bool isFloat(DType type) { return type >= DType::F16; }

/// One end of a data range: a number, or a size by name where that is given.
struct Bound {
  int64_t value = 0;
  std::string size;
  bool operator==(const Bound &other) const {
    return value == other.value && size == other.size;
  }
};

/// A dimension of a capture: a number, a size by name, or neither (-1).
struct Dim {
  int64_t value = -1;
  std::string size;
  bool isKnown() const { return value >= 0 || !size.empty(); }
  bool operator==(const Dim &other) const {
    return value == other.value && size == other.size;
  }
};

struct Capture {
  std::string name;
  DType dtype = DType::F32;
  unsigned rank = 0;
  /// Empty (nothing is known) or one entry per dimension.
  llvm::SmallVector<Dim, 4> dims;
  /// Values lie in [first, second); for random data and checked builds.
  std::optional<std::pair<Bound, Bound>> range;
};

struct Param {
  std::string name;
  ValueType type = ValueType::I64;
  int64_t integer = 0; ///< I1 and I64
  double real = 0;     ///< F
};

enum class FinishKind : uint8_t { OverL, Plain, Custom };

struct NormalizerSpec {
  std::string name;
  std::optional<Region> stat;
  Region weight;
  std::optional<Region> denom, seed, seedValue;
  FinishKind finishKind = FinishKind::OverL;
  Region finish; ///< FinishKind::Custom
};

struct Program {
  std::string name;
  std::string doc;
  /// Absent where the caller decides (.attn files): dtype, D and E.
  std::optional<DType> dtype;
  llvm::SmallVector<int64_t, 2> headDims;
  std::optional<int64_t> valueDim;
  std::vector<Capture> captures;
  std::vector<Param> params;
  std::optional<Region> score, mask, scale;
  /// Absent: softmax.
  std::optional<NormalizerSpec> normalizer;
  bool returnLse = false;
  bool blockMask = false;
  /// Free form; "file" and, per region, [[node, line, column, name], …] are
  /// understood and live in the nodes.
  std::string file;
  std::optional<llvm::json::Value> locations;
};

/// Which region of a program; also its key in the JSON form.
enum class RegionKind : uint8_t {
  Score,
  Mask,
  Scale,
  Stat,
  Weight,
  Denom,
  Seed,
  SeedValue,
  Finish
};
constexpr unsigned numRegionKinds = 9;
llvm::StringRef stringify(RegionKind kind);
/// The arguments a region must have, in order.
llvm::ArrayRef<llvm::StringLiteral> getRegionArgs(RegionKind kind);
/// The types of its results.
llvm::ArrayRef<ValueType> getRegionResults(RegionKind kind);
/// s, t, l and o are F, all other arguments I64.
ValueType getArgType(llvm::StringRef name);
/// The region of a program, or null where it is absent.
const Region *getRegion(const Program &program, RegionKind kind);
Region *getRegion(Program &program, RegionKind kind);
/// B, H, Hk, M, N, D, E.
bool isSizeName(llvm::StringRef name);

/// Limits of what is accepted; beyond them parseProgram says which.
struct ProgramLimits {
  static constexpr size_t textBytes = 256u << 20;
  /// Per region. LLVM's instruction selection recurses over them, and takes
  /// time that grows with their square: half a minute for so many.
  static constexpr size_t nodes = 1u << 14;
  static constexpr size_t captures = 4096;
  static constexpr size_t params = 4096;
  static constexpr unsigned rank = 64;
  static constexpr int64_t headDim = 512;
  static constexpr size_t pairs = 8;
  static constexpr size_t nameBytes = 256;
};

/// Reads and checks the JSON form. Everything is validated: a program that
/// comes back is well typed. The text of an error names region and node.
llvm::Expected<Program> parseProgram(llvm::StringRef json);

/// The same checks on a program that was built in memory.
llvm::Error verifyProgram(const Program &program);

/// The JSON form, keys sorted and no spaces: what Python's
/// json.dumps(p, sort_keys=True, separators=(",", ":")) gives.
std::string printProgram(const Program &program, bool withLocations = true);

/// printProgram without locations and doc: the cache key of the variant.
std::string canonicalKey(const Program &program);

/// One node for each value, in the order in which the results need them; what
/// no result needs is dropped. Rounding and meaning stay.
void canonicalize(Program &program);

/// Python's float.hex(), "inf", "-inf" and "nan"; and the way back.
std::string formatHexFloat(double value);
std::optional<double> parseHexFloat(llvm::StringRef text);

} // namespace fovea

#endif // FOVEA_FRONTEND_PROGRAM_H
