# How Fovea's libraries, tools, dialects and tests are built. Every target takes
# the same flags, so that one precompiled header and one compiler cache serve all.

set(FOVEA_WARNINGS -Wall -Wextra -Werror -Wno-unused-parameter)
set(FOVEA_CXX_FLAGS -fno-exceptions -fno-rtti -fvisibility=hidden
    -fvisibility-inlines-hidden -ffunction-sections -fdata-sections)
set(FOVEA_PCH_FLAGS "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(FOVEA_PCH_FLAGS "SHELL:-Xclang -fno-pch-timestamp")
endif()
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
    $<$<COMPILE_LANGUAGE:CXX>:${FOVEA_CXX_FLAGS}> ${FOVEA_WARNINGS} ${FOVEA_PCH_FLAGS})
endfunction()

# The two precompiled headers hold LLVM and MLIR headers only.
foreach(flavour Core LLVM)
  set(pch_target FoveaPCH${flavour})
  add_library(${pch_target} STATIC ${CMAKE_SOURCE_DIR}/cmake/PCH${flavour}.cpp)
  fovea_target_settings(${pch_target})
  target_precompile_headers(${pch_target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/PCH${flavour}.h)
endforeach()

# fovea_add_library(Name [LLVM] [LINK libs…]): the .cpp files of this folder.
# LLVM takes the precompiled header that also holds the LLVM dialects.
function(fovea_add_library name)
  cmake_parse_arguments(ARG "LLVM" "" "LINK;DEPENDS;MLIR" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(${name} STATIC ${sources})
  fovea_target_settings(${name})
  if(ARG_LLVM)
    target_precompile_headers(${name} REUSE_FROM FoveaPCHLLVM)
  else()
    target_precompile_headers(${name} REUSE_FROM FoveaPCHCore)
  endif()
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
  if(ARG_LLVM)
    target_precompile_headers(${name} REUSE_FROM FoveaPCHLLVM)
  else()
    target_precompile_headers(${name} REUSE_FROM FoveaPCHCore)
  endif()
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
  if(ARG_LLVM)
    target_precompile_headers(${name} REUSE_FROM FoveaPCHLLVM)
  else()
    target_precompile_headers(${name} REUSE_FROM FoveaPCHCore)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINK} FoveaLLVM GTest::gtest GTest::gtest_main)
  add_dependencies(${name} fovea-dialect-headers)
  add_dependencies(fovea-unittests ${name})
endfunction()
