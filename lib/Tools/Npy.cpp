//===- Npy.cpp - NumPy's file format --------------------------------------===//

#include "fovea/Tools/Npy.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/ReadSource.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>

using namespace fovea;
using llvm::StringRef;
using llvm::Twine;

namespace {
struct TypeCode {
  DType dtype;
  StringRef code; // without the byte order
};
constexpr TypeCode typeCodes[] = {
    {DType::I1, "b1"},   {DType::I8, "i1"},   {DType::UI8, "u1"},
    {DType::I16, "i2"},  {DType::UI16, "u2"}, {DType::I32, "i4"},
    {DType::UI32, "u4"}, {DType::I64, "i8"},  {DType::F16, "f2"},
    {DType::BF16, "V2"}, {DType::F32, "f4"},  {DType::F64, "f8"}};
constexpr StringRef magic("\x93NUMPY", 6);

struct Header {
  std::string descr;
  bool fortran = false;
  llvm::SmallVector<int64_t, 4> shape;
};
} // namespace

llvm::Expected<OwnedArray> OwnedArray::make(StringRef name, DType dtype,
                                            llvm::ArrayRef<int64_t> sizes) {
  uint64_t bytes = getBytes(dtype);
  bool isEmpty = false, overflows = false;
  for (int64_t size : sizes) {
    isEmpty |= size == 0;
    overflows |=
        __builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes);
  }
  if (overflows || bytes > uint64_t(1) << 36)
    return makeError(FOVEA_INVALID_ARGUMENT,
                     name + ": must have at most 64 GiB, got " +
                         (overflows ? "2^64 bytes or more"
                                    : std::to_string(bytes) + " bytes"));
  OwnedArray array;
  array.view.dtype = dtype;
  array.view.sizes.assign(sizes.begin(), sizes.end());
  array.view.strides.resize(sizes.size());
  int64_t count = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    array.view.strides[i] = count;
    count *= sizes[i];
  }
  size_t rounded = isEmpty ? 64 : (static_cast<size_t>(bytes) + 63) / 64 * 64;
  array.storage.reset(std::aligned_alloc(64, rounded));
  if (!array.storage)
    return makeError(FOVEA_OUT_OF_MEMORY,
                     name + ": no memory for " + Twine(rounded) + " bytes");
  array.view.data = array.storage.get();
  return std::move(array);
}

/// The value behind 'key': in the header's Python dictionary.
static std::optional<StringRef> field(StringRef header, StringRef key) {
  size_t at = header.find(("'" + key + "'").str());
  if (at == StringRef::npos)
    return std::nullopt;
  StringRef rest = header.drop_front(at + key.size() + 2).ltrim();
  if (!rest.consume_front(":"))
    return std::nullopt;
  return rest.ltrim();
}

static std::optional<Header> parseHeader(StringRef text) {
  Header header;
  auto descr = field(text, "descr"), order = field(text, "fortran_order"),
       shape = field(text, "shape");
  if (!descr || !order || !shape || !descr->consume_front("'") ||
      !shape->consume_front("("))
    return std::nullopt;
  header.descr = descr->take_until([](char c) { return c == '\''; }).str();
  header.fortran = order->starts_with("True");
  llvm::SmallVector<StringRef> sizes;
  shape->take_until([](char c) { return c == ')'; })
      .split(sizes, ',', -1, /*KeepEmpty=*/false);
  for (StringRef entry : sizes) {
    if (entry.trim().empty())
      continue;
    int64_t size;
    if (entry.trim().getAsInteger(10, size) || size < 0)
      return std::nullopt;
    header.shape.push_back(size);
  }
  return header;
}

llvm::Expected<OwnedArray> fovea::readNpy(StringRef path) {
  auto fail = [&](const Twine &what) {
    return makeError(FOVEA_IO_ERROR, path + ": " + what);
  };
  if (isEndless(path))
    return fail("is a device");
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return fail(buffer.getError().message());
  StringRef data = (*buffer)->getBuffer();
  if (!data.consume_front(magic) || data.size() < 6)
    return fail("is not a .npy file");
  size_t lengthBytes = data[0] == 1 ? 2 : 4;
  size_t length = 0;
  for (size_t i = 0; i < lengthBytes; ++i)
    length |= size_t(static_cast<unsigned char>(data[2 + i])) << (8 * i);
  data = data.drop_front(2 + lengthBytes);
  if (data.size() < length)
    return fail("must have a header of " + Twine(length) + " bytes, got " +
                Twine(data.size()));
  std::optional<Header> header = parseHeader(data.take_front(length));
  if (!header)
    return fail("has a header that cannot be read");
  data = data.drop_front(length);
  StringRef code = header->descr;
  if (code.starts_with(">"))
    return fail("must be little-endian, got dtype " + header->descr);
  const TypeCode *type = llvm::find_if(typeCodes, [&](const TypeCode &entry) {
    return entry.code == code.drop_front(code.empty() ? 0 : 1);
  });
  if (type == std::end(typeCodes))
    return fail("has dtype " + header->descr + ", which Fovea does not read");
  auto array = OwnedArray::make(path, type->dtype, header->shape);
  if (!array)
    return array.takeError();
  size_t bytes = array->view.numElements() * getBytes(type->dtype);
  if (data.size() < bytes)
    return fail("must have " + Twine(bytes) + " bytes of data, got " +
                Twine(data.size()));
  std::memcpy(array->view.data, data.data(), bytes);
  if (header->fortran) {
    int64_t stride = 1;
    for (size_t i = 0; i < header->shape.size(); ++i) {
      array->view.strides[i] = stride;
      stride *= header->shape[i];
    }
  }
  return array;
}

llvm::Error fovea::writeNpy(StringRef path, const TensorView &view) {
  auto fail = [&](const Twine &what) {
    return makeError(FOVEA_IO_ERROR, path + ": " + what);
  };
  std::error_code code;
  llvm::raw_fd_ostream os(path, code, llvm::sys::fs::OF_None);
  if (code)
    return fail(code.message());
  const TypeCode *type = llvm::find_if(typeCodes, [&](const TypeCode &entry) {
    return entry.dtype == view.dtype;
  });
  std::string shape;
  for (int64_t size : view.sizes)
    shape += std::to_string(size) + ",";
  StringRef order = getBytes(view.dtype) == 1 ? "|" : "<";
  std::string header =
      ("{'descr': '" + order + type->code +
       "', 'fortran_order': False, 'shape': (" + shape + "), }")
          .str();
  header.resize((header.size() + 1 + 10 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  os << magic << '\x01' << '\0' << static_cast<char>(header.size() & 255)
     << static_cast<char>(header.size() >> 8) << header;
  int64_t bytes = getBytes(view.dtype);
  llvm::SmallVector<int64_t, 4> index(view.sizes.size(), 0);
  for (int64_t i = 0, end = view.numElements(); i < end; ++i) {
    os.write(static_cast<const char *>(view.data) + view.offset(index) * bytes,
             bytes);
    for (size_t dim = index.size(); dim-- > 0;) {
      if (++index[dim] < view.sizes[dim])
        break;
      index[dim] = 0;
    }
  }
  os.close();
  if (!os.has_error())
    return llvm::Error::success();
  std::string message = os.error().message();
  os.clear_error();
  return fail(message);
}
