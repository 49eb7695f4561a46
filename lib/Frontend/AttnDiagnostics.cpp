//===- AttnDiagnostics.cpp - Messages with source lines ------------------===//

#include "AttnDiagnostics.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace fovea {

AttnDiagnostics::AttnDiagnostics(StringRef text, StringRef fileName,
                                 raw_ostream &os)
    : text(text), fileName(fileName), os(os), lineStarts{0} {
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n')
      lineStarts.push_back(i + 1);
}

std::pair<unsigned, unsigned>
AttnDiagnostics::getLineAndColumn(size_t offset) const {
  size_t line = upper_bound(lineStarts, offset) - lineStarts.begin();
  return {static_cast<unsigned>(line),
          static_cast<unsigned>(offset - lineStarts[line - 1] + 1)};
}

bool AttnDiagnostics::hasTooManyErrors() const {
  return numErrors >= AttnLimits::errors;
}

/// Long lines are cut around the caret; bytes that a terminal would interpret
/// are shown as '?'.
void AttnDiagnostics::printSourceLine(size_t offset) {
  constexpr size_t before = 80, after = 80;
  auto [line, column] = getLineAndColumn(offset);
  size_t start = lineStarts[line - 1];
  size_t end = text.find_first_of("\r\n", start);
  if (end == StringRef::npos)
    end = text.size();
  size_t first = column > before ? offset - before : start;
  size_t last = std::min(end, offset + after);
  std::string caret;
  for (size_t i = first; i < std::max(last, offset); ++i) {
    unsigned char c = i < text.size() ? text[i] : ' ';
    bool isContinuation = (c & 0xC0) == 0x80;
    bool plain = c == '\t' || (c >= 0x20 && c != 0x7f && c < 0x80);
    if (i < last && plain)
      os << static_cast<char>(c);
    else if (i < last && !isContinuation)
      os << '?';
    if (i < offset && !isContinuation)
      caret += c == '\t' ? '\t' : ' ';
  }
  os << '\n' << caret << "^\n";
}

void AttnDiagnostics::print(size_t offset, StringRef kind,
                            const Twine &message) {
  offset = std::min(offset, text.size());
  auto [line, column] = getLineAndColumn(offset);
  os << fileName << ':' << line << ':' << column << ": " << kind << ": "
     << message << '\n';
  if (!text.empty())
    printSourceLine(offset);
}

LogicalResult AttnDiagnostics::error(size_t offset, const Twine &message) {
  ++numErrors;
  if (numErrors <= AttnLimits::errors)
    print(offset, "error", message);
  return failure();
}

void AttnDiagnostics::warning(size_t offset, const Twine &message) {
  if (++numWarnings <= AttnLimits::errors)
    print(offset, "warning", message);
}

void AttnDiagnostics::note(size_t offset, const Twine &message) {
  if (numErrors <= AttnLimits::errors)
    print(offset, "note", message);
}

} // namespace fovea
