/*===- reload.c - The library closed and opened again --------------------===
 *
 * Its own program: one that is linked with the library never closes it.
 *
 *===----------------------------------------------------------------------===*/
#include "fovea-c/fovea.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef fovea_status (*compile_function)(const fovea_compile_options *,
                                         fovea_kernel **,
                                         fovea_compile_result *,
                                         fovea_message *);
typedef void (*free_function)(fovea_kernel *);

static int use(const char *path) {
  static const char source[] = "attention plain {}";
  fovea_compile_options options = {0};
  fovea_message message = {0};
  fovea_kernel *kernel = NULL;
  compile_function compile;
  free_function drop;
  void *symbol, *library = dlopen(path, RTLD_NOW);

  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  symbol = dlsym(library, "fovea_compile");
  memcpy(&compile, &symbol, sizeof compile);
  symbol = dlsym(library, "fovea_kernel_free");
  memcpy(&drop, &symbol, sizeof drop);

  message.struct_size = sizeof message;
  options.struct_size = sizeof options;
  options.source_kind = FOVEA_SOURCE_ATTN;
  options.source = source;
  options.source_size = sizeof source - 1;
  options.dtype = "f32";
  options.head_dim = 16;
  options.value_dim = -1;
  options.want_lse = -1;
  options.want_block_mask = -1;
  if (compile(&options, &kernel, NULL, &message) != FOVEA_OK) {
    fprintf(stderr, "%s\n", message.text);
    return 1;
  }
  drop(kernel);
  return dlclose(library);
}

int main(int argc, char **argv) {
  return argc != 2 || use(argv[1]) || use(argv[1]);
}
