# Static LLVM and MLIR by their archives' paths. The CMake targets of Debian's
# archives name the shared library in their link interface, so that linking by
# target brings two copies into one process.
function(fovea_link_static_llvm target)
  file(GLOB archives ${LLVM_LIBRARY_DIRS}/libMLIR*.a ${LLVM_LIBRARY_DIRS}/libLLVM*.a)
  list(FILTER archives EXCLUDE REGEX "(Main|gtest|_runner|TestingSupport|TestingAnnotations)\\.a$")
  file(GLOB mains ${LLVM_LIBRARY_DIRS}/libMLIR*Main.a)
  execute_process(COMMAND ${LLVM_TOOLS_BINARY_DIR}/llvm-config --link-static --system-libs
                  OUTPUT_VARIABLE system OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(system UNIX_COMMAND "${system}")
  # The compression libraries go in too: not every system has them.
  foreach(name z zstd)
    find_library(FOVEA_STATIC_${name} lib${name}.a REQUIRED)
    list(TRANSFORM system REPLACE "^-l${name}$" ${FOVEA_STATIC_${name}})
  endforeach()
  target_link_libraries(${target} INTERFACE
    -Wl,--start-group ${mains} ${archives} -Wl,--end-group -Wl,--as-needed ${system})
  # What is visible, the version scripts of libfovea and _native say; hiding all
  # archives' symbols would hide the C interface, an archive itself.
  target_link_options(${target} INTERFACE -Wl,--gc-sections)
endfunction()
