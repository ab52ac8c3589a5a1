# What zmlx links.
# Global, so that who adds this project as a subdirectory can link it.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET GLOBAL libhwy)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET GLOBAL libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET GLOBAL libutf8proc)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET GLOBAL libxxhash)
foreach(_name hwy pcre2 utf8proc xxhash)
  if(NOT TARGET ${_name})
    add_library(${_name} ALIAS PkgConfig::${_name})
  endif()
endforeach()

# Headers alone, for loops that are assembled (zmlx/backend/cpu/loop).
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  find_path(XBYAK_INCLUDE_DIR xbyak/xbyak.h REQUIRED)
endif()

include(ZmlxFindMLX)
set(ZMLX_MLX_VENV ${PROJECT_SOURCE_DIR}/.venv)
zmlx_find_mlx()
if(zmlx_mlx_problem)
  message(FATAL_ERROR "${zmlx_mlx_problem} Run ./test.sh, or pip install 'mlx[cpu]' and set ZMLX_PYTHON to its python, "
                      "or set MLX_DIR to the folder of MLXConfig.cmake.")
endif()
# MLX's headers are not held to our warnings.
get_target_property(_mlx_includes mlx INTERFACE_INCLUDE_DIRECTORIES)
set_target_properties(mlx PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_mlx_includes}")
