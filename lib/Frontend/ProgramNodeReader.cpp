//===- ProgramNodeReader.cpp - JSON to one node --------------------------===//

#include "ProgramNodeReader.h"

using namespace llvm;

namespace fovea {

StringRef describe(const json::Value &value) {
  switch (value.kind()) {
  case json::Value::Null:
    return "null";
  case json::Value::Boolean:
    return "a bool";
  case json::Value::Number:
    return "a number";
  case json::Value::String:
    return "a string";
  case json::Value::Array:
    return "an array";
  case json::Value::Object:
    return "an object";
  }
  llvm_unreachable("unknown kind of JSON value");
}

Expected<int64_t> readInt(StringRef where, const json::Value &value) {
  if (std::optional<int64_t> number = value.getAsInteger())
    return *number;
  return failJSON("{0} must be an integer within 64 bits, got {1}", where,
                  describe(value));
}

namespace {
/// Reads one node; the types of results come from the operands where the kind
/// alone does not say.
class NodeReader {
public:
  NodeReader(const Program &program, const StringMap<ValueType> &params,
             const Region &region, const json::Array &array, std::string where)
      : program(program), params(params), region(region), array(array),
        where(std::move(where)) {}

  Expected<Node> run() {
    std::optional<StringRef> name;
    if (!array.empty())
      name = array[0].getAsString();
    if (!name)
      return failJSON("{0}: must begin with the name of an operation", where);
    std::optional<NodeKind> kind = parseNodeKind(*name);
    if (!kind)
      return failJSON("{0}: unknown operation '{1}'", where, *name);
    where += formatv(" ({0})", *name).str();
    node.kind = *kind;
    node.type = getSignature(*kind).result;
    if (Error error = readBody())
      return std::move(error);
    return std::move(node);
  }

private:
  Error expectSize(size_t size) {
    if (array.size() == size)
      return Error::success();
    return failJSON("{0}: must have {1} entries, got {2}", where, size,
                    array.size());
  }

  Error readBody() {
    switch (node.kind) {
    case NodeKind::Arg:
    case NodeKind::Size:
    case NodeKind::Param:
      return readSymbol();
    case NodeKind::Const:
      return readConst();
    case NodeKind::Read:
      if (Error error = readCapture(1))
        return error;
      node.type = getValueType(program.captures[node.capture].dtype);
      return readOperands(2);
    case NodeKind::Extent:
      return readExtent();
    case NodeKind::Select:
      if (Error error = readOperands(1))
        return error;
      if (node.operands.size() == 3)
        node.type = region.nodes[node.operands[1]].type;
      return Error::success();
    default:
      return readOperands(1);
    }
  }

  Error readSymbol() {
    if (Error error = expectSize(2))
      return error;
    std::optional<StringRef> symbol = array[1].getAsString();
    if (!symbol)
      return failJSON("{0}: name must be a string, got {1}", where,
                      describe(array[1]));
    node.symbol = symbol->str();
    if (node.kind == NodeKind::Arg)
      node.type = getArgType(node.symbol);
    auto it = params.find(node.symbol);
    if (node.kind == NodeKind::Param && it != params.end())
      node.type = it->second;
    return Error::success();
  }

  Error readConst() {
    if (Error error = expectSize(3))
      return error;
    StringRef type = array[1].getAsString().value_or("");
    if (type == "i1") {
      node.type = ValueType::I1;
      std::optional<bool> value = array[2].getAsBoolean();
      if (!value)
        return failJSON("{0}: value must be a bool, got {1}", where,
                        describe(array[2]));
      node.integer = *value;
      return Error::success();
    }
    if (type == "i64") {
      Expected<int64_t> value = readInt(where + ": value", array[2]);
      if (!value)
        return value.takeError();
      node.integer = *value;
      return Error::success();
    }
    if (type != "f")
      return failJSON("{0}: type must be \"i1\", \"i64\" or \"f\"", where);
    node.type = ValueType::F;
    std::optional<StringRef> text = array[2].getAsString();
    std::optional<double> value = text ? parseHexFloat(*text) : std::nullopt;
    if (!value)
      return failJSON("{0}: value must be a string that float.hex() writes",
                      where);
    node.real = *value;
    return Error::success();
  }

  Error readCapture(size_t position) {
    if (array.size() <= position)
      return failJSON("{0}: capture is missing", where);
    Expected<int64_t> capture = readInt(where + ": capture", array[position]);
    if (!capture)
      return capture.takeError();
    if (*capture < 0 ||
        static_cast<uint64_t>(*capture) >= program.captures.size())
      return failJSON("{0}: capture must be within 0 to {1}, got {2}", where,
                      static_cast<int64_t>(program.captures.size()) - 1,
                      *capture);
    node.capture = static_cast<unsigned>(*capture);
    return Error::success();
  }

  Error readExtent() {
    if (Error error = expectSize(3))
      return error;
    if (Error error = readCapture(1))
      return error;
    Expected<int64_t> dim = readInt(where + ": dimension", array[2]);
    if (!dim)
      return dim.takeError();
    unsigned rank = program.captures[node.capture].rank;
    if (*dim < 0 || *dim >= rank)
      return failJSON(
          "{0}: dimension must be below the capture's rank {1}, got "
          "{2}",
          where, rank, *dim);
    node.dim = static_cast<unsigned>(*dim);
    return Error::success();
  }

  Error readOperands(size_t first) {
    for (size_t i = first; i < array.size(); ++i) {
      std::string what = formatv("{0}: operand {1}", where, i - first).str();
      Expected<int64_t> id = readInt(what, array[i]);
      if (!id)
        return id.takeError();
      if (*id < 0 || static_cast<uint64_t>(*id) >= region.nodes.size())
        return failJSON("{0} must be an earlier node, got {1}", what, *id);
      node.operands.push_back(static_cast<unsigned>(*id));
    }
    return Error::success();
  }

  const Program &program;
  const StringMap<ValueType> &params;
  const Region &region;
  const json::Array &array;
  std::string where;
  Node node;
};
} // namespace

Expected<Node> readNode(const Program &program,
                        const StringMap<ValueType> &params,
                        const Region &region, const json::Array &array,
                        std::string where) {
  return NodeReader(program, params, region, array, std::move(where)).run();
}

} // namespace fovea
