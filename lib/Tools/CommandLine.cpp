//===- CommandLine.cpp - Options of the tools -----------------------------===//

#include "fovea/Tools/CommandLine.h"

#include <cstdlib>

using namespace fovea;

std::optional<std::string> CommandLine::get(llvm::StringRef name) const {
  auto it = values.find(name.str());
  if (it == values.end())
    return std::nullopt;
  return it->second.back();
}

std::vector<std::string> CommandLine::getAll(llvm::StringRef name) const {
  auto it = values.find(name.str());
  return it == values.end() ? std::vector<std::string>() : it->second;
}

const OptionSpec *CommandLine::find(llvm::StringRef name) const {
  for (const OptionSpec &spec : specs)
    if (spec.name == name)
      return &spec;
  return nullptr;
}

bool CommandLine::fail(llvm::raw_ostream &errors,
                       const std::string &text) const {
  errors << tool << ": " << text << "\n";
  return false;
}

bool CommandLine::take(llvm::StringRef argument,
                       llvm::ArrayRef<const char *> &rest,
                       llvm::raw_ostream &errors) {
  auto [name, value] = argument.split('=');
  const OptionSpec *spec = find(name);
  bool attached = argument.size() != name.size();
  // -DW=64: everything behind the letter is the value.
  if (!argument.starts_with("--") && argument.size() > 2) {
    spec = find(argument.take_front(2));
    value = argument.drop_front(2);
    attached = true;
  }
  if (!spec) {
    const OptionSpec *nearest = nullptr;
    unsigned best = 3;
    for (const OptionSpec &other : specs) {
      unsigned distance = name.edit_distance(other.name, true, best);
      if (distance < best) {
        best = distance;
        nearest = &other;
      }
    }
    return fail(errors,
                "unknown option '" + name.str() + "'" +
                    (nearest ? ", did you mean '" + nearest->name.str() + "'?"
                             : ", --help lists what there is"));
  }
  if (spec->value.empty()) {
    if (attached)
      return fail(errors, spec->name.str() + " takes no value");
    values[spec->name.str()].push_back("");
    return true;
  }
  if (!attached && !rest.empty()) {
    value = rest.front();
    rest = rest.drop_front();
  }
  if (value.empty())
    return fail(errors,
                spec->name.str() + " needs a value: " + spec->value.str());
  if (!spec->repeated && has(spec->name))
    return fail(errors, spec->name.str() + " is given twice");
  values[spec->name.str()].push_back(value.str());
  return true;
}

CommandLine::Outcome CommandLine::parse(llvm::ArrayRef<const char *> arguments,
                                        llvm::raw_ostream &errors) {
  bool hasFile = false, optionsEnded = false;
  while (!arguments.empty()) {
    llvm::StringRef argument = arguments.front();
    arguments = arguments.drop_front();
    if (!optionsEnded && (argument == "--help" || argument == "-h"))
      return Outcome::Help;
    if (!optionsEnded && argument == "--") {
      optionsEnded = true;
      continue;
    }
    // "-:variant" is standard input.
    if (!optionsEnded && argument.size() > 1 && argument.starts_with("-") &&
        !argument.starts_with("-:")) {
      if (!take(argument, arguments, errors))
        return Outcome::BadUsage;
      continue;
    }
    if (hasFile) {
      fail(errors, "takes one " + positional.str() + ", got '" + file +
                       "' and '" + argument.str() + "'");
      return Outcome::BadUsage;
    }
    file = argument.str();
    hasFile = true;
  }
  if (hasFile)
    return Outcome::Run;
  fail(errors, "needs a " + positional.str() + "; --help says more");
  return Outcome::BadUsage;
}

void CommandLine::printHelp(llvm::raw_ostream &os) const {
  os << "usage: " << tool << " " << positional << " [options]\n"
     << about << "\n\n";
  for (const OptionSpec &spec : specs) {
    std::string left =
        spec.name.str() + (spec.value.empty() ? "" : " " + spec.value.str());
    os << "  " << left;
    os.indent(left.size() < 30 ? 30 - left.size() : 1) << spec.help << "\n";
  }
}

void fovea::noteTuning(llvm::StringRef tool, llvm::StringRef instead,
                       llvm::raw_ostream &errors) {
  if (const char *place = std::getenv("FOVEA_TUNING"); place && *place)
    errors << tool << ": note: FOVEA_TUNING is read by Python alone, "
           << instead << "\n";
}
