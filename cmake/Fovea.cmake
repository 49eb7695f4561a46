# How Fovea's libraries, tools, dialects and tests are built. Every target takes
# the same flags, so that one precompiled header and one compiler cache serve all.

set(FOVEA_WARNINGS -Wall -Wextra -Werror -Wno-unused-parameter)
set(FOVEA_CXX_FLAGS -fno-exceptions -fno-rtti -fvisibility=hidden
    -fvisibility-inlines-hidden -ffunction-sections -fdata-sections)
if(FOVEA_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize=vptr,function)
  add_link_options(-fsanitize=address,undefined)
endif()

function(fovea_target_settings target)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/include
                             ${CMAKE_BINARY_DIR}/include)
  target_include_directories(${target} SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS}
                             ${MLIR_INCLUDE_DIRS})
  target_compile_definitions(${target} PRIVATE ${LLVM_DEFINITIONS})
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:${FOVEA_CXX_FLAGS}> ${FOVEA_WARNINGS})
endfunction()

# The two precompiled headers hold LLVM and MLIR headers only. They lie outside
# of any checkout, under a hash of what makes them, so that every checkout on
# the machine compiles with the same command line and shares one compiler cache.
set(FOVEA_PCH_ROOT "$ENV{HOME}/.cache/fovea/pch" CACHE PATH "Where precompiled headers are kept")
function(fovea_make_pch flavour)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    return()
  endif()
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  list(APPEND flags -std=c++17 -fPIC ${FOVEA_CXX_FLAGS} ${FOVEA_WARNINGS} ${LLVM_DEFINITIONS}
       -isystem ${LLVM_INCLUDE_DIRS})
  if(FOVEA_SANITIZE)
    list(APPEND flags -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize=vptr,function)
  endif()
  file(READ ${CMAKE_SOURCE_DIR}/cmake/PCHCore.h core)
  file(READ ${CMAKE_SOURCE_DIR}/cmake/PCHLLVM.h llvm)
  string(SHA256 hash "${core}${llvm}${flags}${CMAKE_CXX_COMPILER}${CMAKE_CXX_COMPILER_VERSION}${LLVM_PACKAGE_VERSION}")
  string(SUBSTRING ${hash} 0 16 hash)
  set(folder ${FOVEA_PCH_ROOT}/${hash})
  set(pch ${folder}/PCH${flavour}.pch)
  if(NOT EXISTS ${pch})
    message(STATUS "Making the precompiled header ${flavour}")
    file(COPY ${CMAKE_SOURCE_DIR}/cmake/PCHCore.h ${CMAKE_SOURCE_DIR}/cmake/PCHLLVM.h
         DESTINATION ${folder})
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${flags} -Xclang -fno-pch-timestamp
                    -x c++-header ${folder}/PCH${flavour}.h -o ${pch}.part
                    COMMAND_ERROR_IS_FATAL ANY)
    file(RENAME ${pch}.part ${pch})
  endif()
  set(FOVEA_PCH_${flavour} ${pch} PARENT_SCOPE)
endfunction()
fovea_make_pch(Core)
fovea_make_pch(LLVM)

# The one that also holds the LLVM dialects where `with_llvm`.
function(fovea_use_pch target with_llvm)
  set(flavour Core)
  if(with_llvm)
    set(flavour LLVM)
  endif()
  if(FOVEA_PCH_${flavour})
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include-pch ${FOVEA_PCH_${flavour}} -Xclang -fno-pch-timestamp>")
  endif()
endfunction()

# fovea_add_library(Name [LLVM] [LINK libs…]): the .cpp files of this folder.
# LLVM takes the precompiled header with the LLVM dialects.
function(fovea_add_library name)
  cmake_parse_arguments(ARG "LLVM" "" "LINK;DEPENDS;MLIR" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(${name} STATIC ${sources})
  fovea_target_settings(${name})
  fovea_use_pch(${name} "${ARG_LLVM}")
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  set_property(TARGET ${name} PROPERTY FOVEA_MLIR_COMPONENTS "${ARG_MLIR}")
  add_dependencies(${name} fovea-dialect-headers ${ARG_DEPENDS})
endfunction()

# Links LLVM and MLIR: the shared libraries while developing, the archives for
# what is shipped. FoveaLLVM is the one place that knows.
add_library(FoveaLLVM INTERFACE)
if(FOVEA_STATIC_LLVM)
  include(StaticLLVM)
  fovea_link_static_llvm(FoveaLLVM)
else()
  target_link_libraries(FoveaLLVM INTERFACE MLIR LLVM)
endif()

# fovea_add_tool(name [LINK libs…])
function(fovea_add_tool name)
  cmake_parse_arguments(ARG "LLVM" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_executable(${name} ${sources})
  fovea_target_settings(${name})
  fovea_use_pch(${name} "${ARG_LLVM}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} FoveaLLVM)
  target_link_options(${name} PRIVATE -Wl,--gc-sections)
  add_dependencies(${name} fovea-dialect-headers)
endfunction()

# fovea_add_unittest(Layer LINK libs…): one GoogleTest binary a layer.
function(fovea_add_unittest name)
  cmake_parse_arguments(ARG "LLVM" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_executable(${name} ${sources})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unittests)
  fovea_target_settings(${name})
  fovea_use_pch(${name} "${ARG_LLVM}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} FoveaLLVM GTest::gtest GTest::gtest_main)
  add_dependencies(${name} fovea-dialect-headers)
  add_dependencies(fovea-unittests ${name})
endfunction()
