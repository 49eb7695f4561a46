//===- LaunchExpr.cpp - Integers computed at launch -----------------------===//
#include "fovea/Runtime/Error.h"
#include "fovea/Target/NVVM/Manifest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace fovea;
using llvm::StringRef;
using llvm::Twine;
using Op = LaunchExpr::Op;

static constexpr unsigned maxDepth = 64;

static llvm::Error bad(const Twine &text) {
  return makeError(FOVEA_INVALID_ARGUMENT, "manifest: " + text);
}

namespace {
std::optional<unsigned> findTensor(StringRef name,
                                   llvm::ArrayRef<std::string> captures) {
  if (name.consume_front("@")) {
    const auto *it = llvm::find(captures, name);
    if (it == captures.end())
      return std::nullopt;
    return FirstCapture + static_cast<unsigned>(it - captures.begin());
  }
  unsigned tensor = llvm::StringSwitch<unsigned>(name)
                        .Case("q", QTensor)
                        .Case("k", KTensor)
                        .Case("v", VTensor)
                        .Case("out", OutTensor)
                        .Case("lse", LseTensor)
                        .Case("block_mask", BlockMaskTensor)
                        .Case("signed_q", SignedQTensor)
                        .Default(FirstCapture);
  return tensor == FirstCapture ? std::nullopt : std::optional(tensor);
}

std::optional<unsigned> findSize(StringRef name) {
  constexpr const char *names[] = {"B", "H",  "Hk", "M",   "N",   "D",
                                   "E", "SM", "BQ", "BKV", "SIGN"};
  for (auto [i, known] : llvm::enumerate(names))
    if (name == known)
      return i;
  return std::nullopt;
}

std::optional<Op> findOp(StringRef name) {
  Op op = llvm::StringSwitch<Op>(name)
              .Case("add", Op::Add)
              .Case("sub", Op::Sub)
              .Case("mul", Op::Mul)
              .Case("div", Op::Div)
              .Case("ceildiv", Op::CeilDiv)
              .Case("mod", Op::Mod)
              .Case("min", Op::Min)
              .Case("max", Op::Max)
              .Case("eq", Op::Eq)
              .Case("ne", Op::Ne)
              .Case("le", Op::Le)
              .Case("lt", Op::Lt)
              .Case("section", Op::Section)
              .Default(Op::Number);
  return op == Op::Number ? std::nullopt : std::optional(op);
}

/// The smallest divisor g of `total` with g * tiles >= wanted, else total.
int64_t section(int64_t total, int64_t tiles, int64_t wanted) {
  for (int64_t g = 1; g < total; ++g)
    if (total % g == 0 && g * tiles >= wanted)
      return g;
  return total;
}

int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }

int64_t apply(Op op, int64_t a, int64_t b) {
  uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  bool divides = b != 0 && !(a == INT64_MIN && b == -1);
  switch (op) {
  case Op::Add:
    return wrap(x + y);
  case Op::Sub:
    return wrap(x - y);
  case Op::Mul:
    return wrap(x * y);
  case Op::Div:
    return divides ? a / b - (a % b != 0 && (a % b < 0) != (b < 0)) : 0;
  case Op::CeilDiv:
    return divides ? a / b + (a % b != 0 && (a % b < 0) == (b < 0)) : 0;
  case Op::Mod:
    return divides ? (a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b)
                   : 0;
  case Op::Min:
    return std::min(a, b);
  case Op::Max:
    return std::max(a, b);
  case Op::Eq:
    return a == b;
  case Op::Ne:
    return a != b;
  case Op::Le:
    return a <= b;
  case Op::Lt:
    return a < b;
  default:
    return 0;
  }
}
} // namespace

/// "M", "q.p" (the address), "q.n2" (a size), "@slope.s0" (a stride).
static llvm::Error parseName(StringRef name,
                             llvm::ArrayRef<std::string> captures, Op &op,
                             unsigned &tensor, unsigned &dim) {
  if (std::optional<unsigned> size = findSize(name)) {
    op = Op::Size;
    dim = *size;
    return llvm::Error::success();
  }
  auto [object, member] = name.rsplit('.');
  std::optional<unsigned> found = findTensor(object, captures);
  if (!found || member.empty())
    return bad("unknown name '" + name + "'");
  tensor = *found;
  if (member == "p") {
    op = Op::Address;
    return llvm::Error::success();
  }
  op = member.front() == 'n' ? Op::Extent : Op::Stride;
  if ((member.front() != 'n' && member.front() != 's') ||
      member.drop_front().getAsInteger(10, dim))
    return bad("unknown name '" + name + "'");
  return llvm::Error::success();
}

llvm::Error LaunchExpr::parseInto(const llvm::json::Value &value,
                                  llvm::ArrayRef<std::string> captures,
                                  unsigned depth, std::vector<Step> &code) {
  if (depth > maxDepth)
    return bad("an expression deeper than " + Twine(maxDepth));
  if (std::optional<int64_t> number = value.getAsInteger()) {
    code.push_back({Op::Number, 0, 0, *number});
    return llvm::Error::success();
  }
  if (std::optional<StringRef> name = value.getAsString()) {
    Step step{Op::Number, 0, 0, 0};
    if (llvm::Error error =
            parseName(*name, captures, step.op, step.tensor, step.dim))
      return error;
    code.push_back(step);
    return llvm::Error::success();
  }
  const llvm::json::Array *list = value.getAsArray();
  std::optional<StringRef> name =
      list && !list->empty() ? list->front().getAsString() : std::nullopt;
  std::optional<Op> op = name ? findOp(*name) : std::nullopt;
  if (!op)
    return bad("an expression is a number, a name or [operation, ...]");
  size_t operands = list->size() - 1;
  bool many =
      *op == Op::Add || *op == Op::Mul || *op == Op::Min || *op == Op::Max;
  size_t wanted = *op == Op::Section ? 3 : 2;
  if (many ? operands < 2 : operands != wanted)
    return bad("'" + *name + "' takes " + Twine(wanted) +
               (many ? " operands or more, got " : " operands, got ") +
               Twine(operands));
  for (size_t i = 1; i <= operands; ++i) {
    if (llvm::Error error = parseInto((*list)[i], captures, depth + 1, code))
      return error;
    if (i >= 2 && *op != Op::Section)
      code.push_back({*op, 0, 0, 0});
  }
  if (*op == Op::Section)
    code.push_back({*op, 0, 0, 0});
  return llvm::Error::success();
}

llvm::Expected<LaunchExpr>
LaunchExpr::parse(const llvm::json::Value &value,
                  llvm::ArrayRef<std::string> captures) {
  LaunchExpr expr;
  if (llvm::Error error = parseInto(value, captures, 0, expr.code))
    return std::move(error);
  return expr;
}

bool LaunchExpr::readsAddress(int64_t alignment) const {
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].op != Op::Address)
      continue;
    if (i + 2 >= code.size() || code[i + 1].op != Op::Number ||
        code[i + 2].op != Op::Mod || code[i + 1].number <= 0 ||
        alignment % code[i + 1].number != 0)
      return true;
  }
  return false;
}

int64_t LaunchExpr::evaluate(const LaunchValues &values) const {
  // Most are one name; a launch evaluates some sixty.
  if (code.size() == 1 && code.front().op == Op::Size)
    return values.sizes[code.front().dim];
  if (code.size() == 1 && code.front().op == Op::Number)
    return code.front().number;
  llvm::SmallVector<int64_t, 16> stack;
  auto tensor = [&](const Step &step) -> const LaunchValues::Tensor * {
    return step.tensor < values.tensors.size() ? &values.tensors[step.tensor]
                                               : nullptr;
  };
  for (const Step &step : code) {
    const LaunchValues::Tensor *read = tensor(step);
    switch (step.op) {
    case Op::Number:
      stack.push_back(step.number);
      break;
    case Op::Size:
      stack.push_back(values.sizes[step.dim]);
      break;
    case Op::Address:
      stack.push_back(read ? read->address : 0);
      break;
    case Op::Extent:
      stack.push_back(
          read && step.dim < read->sizes.size() ? read->sizes[step.dim] : 0);
      break;
    case Op::Stride:
      stack.push_back(read && step.dim < read->strides.size()
                          ? read->strides[step.dim]
                          : 0);
      break;
    case Op::Section: {
      int64_t wanted = stack.pop_back_val(), tiles = stack.pop_back_val();
      stack.back() = section(stack.back(), tiles, wanted);
      break;
    }
    default: {
      int64_t b = stack.pop_back_val();
      stack.back() = apply(step.op, stack.back(), b);
    }
    }
  }
  return stack.empty() ? 0 : stack.back();
}
