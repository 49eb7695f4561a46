//===- CheckText.cpp - MLIR text that cannot be parsed --------------------===//
#include "fovea/Registration/CheckText.h"

#include "llvm/ADT/StringExtras.h"

using namespace fovea;

namespace {
class TextCheck {
public:
  TextCheck(llvm::StringRef text, llvm::StringRef name)
      : text(text), name(name) {}

  llvm::Error run() {
    while (at < text.size()) {
      size_t begin = at++;
      if (visit(text[begin]))
        continue;
      return refuse(begin);
    }
    return llvm::Error::success();
  }

private:
  /// One token, or one character of it; false where it goes beyond a limit.
  bool visit(char c) {
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
      return true;
    case '-':
      return skip('>') || ++signs <= TextLimits::depth;
    }
    signs = 0;
    switch (c) {
    case '"':
      skipString();
      return true;
    case '/':
      if (skip('/'))
        at = std::min(text.find('\n', at), text.size());
      return true;
    case '%':
      return skipValue();
    case '<':
    case '>':
      // A comparison is no bracket.
      if (skip('='))
        return true;
      return c == '<' ? open() : close();
    case '(':
    case '[':
    case '{':
      return open();
    case ')':
    case ']':
    case '}':
      return close();
    default:
      return true;
    }
  }

  bool open() { return ++depth <= TextLimits::depth; }
  bool close() {
    depth -= depth != 0;
    return true;
  }

  bool skip(char c) {
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }

  /// Strings end with their line at the latest.
  void skipString() {
    for (; at < text.size() && text[at] != '\n'; ++at) {
      if (text[at] == '\\' && at + 1 < text.size())
        ++at;
      else if (skip('"'))
        return;
    }
  }

  /// %name, %name#number
  bool skipValue() {
    auto isOfName = [](char c) {
      return llvm::isAlnum(c) || c == '_' || c == '$' || c == '.' || c == '-';
    };
    while (at < text.size() && isOfName(text[at]))
      ++at;
    if (!skip('#'))
      return true;
    llvm::StringRef digits = text.substr(at).take_while(llvm::isDigit);
    at += digits.size();
    uint64_t number = 0;
    if (digits.empty() ||
        (!digits.getAsInteger(10, number) && number <= TextLimits::result))
      return true;
    badNumber = digits;
    return false;
  }

  llvm::Error refuse(size_t place) const {
    llvm::StringRef before = text.take_front(place);
    size_t line = before.count('\n') + 1;
    size_t column = place - (before.rfind('\n') + 1) + 1;
    std::string why =
        !badNumber.empty()
            ? ("results are numbered up to " + llvm::Twine(TextLimits::result) +
               ", got " + badNumber.take_front(40))
                  .str()
            : ((signs > TextLimits::depth ? "signs follow each other"
                                          : "brackets are nested") +
               llvm::Twine(" more than ") + llvm::Twine(TextLimits::depth) +
               (signs > TextLimits::depth ? " times" : " deep"))
                  .str();
    return llvm::createStringError(
        std::make_error_code(std::errc::illegal_byte_sequence),
        name + ":" + llvm::Twine(line) + ":" + llvm::Twine(column) +
            ": error: " + why);
  }

  llvm::StringRef text, name, badNumber;
  size_t at = 0;
  unsigned depth = 0, signs = 0;
};
} // namespace

llvm::Error fovea::checkText(llvm::StringRef text, llvm::StringRef name) {
  return TextCheck(text, name).run();
}
