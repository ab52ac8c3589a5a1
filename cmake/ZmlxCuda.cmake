# CUDA's headers, of a toolkit or of PyPI's nvidia wheels beside MLX, and what is built with them:
#   zmlx_cuda_text  objects: kernels as text, and NVRTC, which is loaded when it is first used
#   zmlx_cuda       libzmlx_cuda.so, which libzmlx opens where MLX runs on CUDA (zmlx/backend/plugins.cpp)
# Where there are no headers neither exists and nothing else changes.
option(ZMLX_CUDA "Build libzmlx_cuda where CUDA's headers are found" ON)

if(ZMLX_CUDA)
  get_filename_component(_zmlx_site "${MLX_DIR}/../../../.." ABSOLUTE) # site-packages, of which mlx/share/cmake/MLX is part
  file(GLOB _zmlx_wheels ${_zmlx_site}/nvidia/cu*/include ${_zmlx_site}/nvidia/*/include)
  find_path(ZMLX_CUDA_INCLUDE_DIR cuda_runtime.h
            HINTS $ENV{CUDA_HOME}/include $ENV{CUDA_PATH}/include ${_zmlx_wheels} PATHS /usr/local/cuda/include)
  find_path(ZMLX_NVRTC_INCLUDE_DIR nvrtc.h HINTS ${ZMLX_CUDA_INCLUDE_DIR} ${_zmlx_wheels})
  # For the tests, which compile text without MLX's CUDA wheel; the wheel's name has a version.
  find_library(ZMLX_NVRTC_LIBRARY NAMES nvrtc libnvrtc.so.13 libnvrtc.so.12
               HINTS ${ZMLX_NVRTC_INCLUDE_DIR}/../lib64 ${ZMLX_NVRTC_INCLUDE_DIR}/../lib PATHS /usr/local/cuda/lib64 /usr/local/cuda/lib)
endif()

if(ZMLX_CUDA AND ZMLX_CUDA_INCLUDE_DIR AND ZMLX_NVRTC_INCLUDE_DIR)
  message(STATUS "CUDA headers: ${ZMLX_CUDA_INCLUDE_DIR}")
  set(_zmlx_cuda_text dialect.cpp functions.cpp nvrtc.cpp parts.cpp schedule.cpp source.cpp)
  list(TRANSFORM _zmlx_cuda_text PREPEND ${PROJECT_SOURCE_DIR}/zmlx/backend/cuda/)
  file(GLOB _zmlx_cuda CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/zmlx/backend/cuda/*.cpp)
  list(REMOVE_ITEM _zmlx_cuda ${_zmlx_cuda_text})

  add_library(zmlx_cuda_text OBJECT ${_zmlx_cuda_text})
  target_link_libraries(zmlx_cuda_text PRIVATE zmlx_flags mlx fmt::fmt)
  target_include_directories(zmlx_cuda_text SYSTEM PRIVATE ${ZMLX_CUDA_INCLUDE_DIR} ${ZMLX_NVRTC_INCLUDE_DIR})
  target_precompile_headers(zmlx_cuda_text REUSE_FROM zmlx_pch)

  if(_zmlx_cuda)
    # With its own copies of what it needs of the rooms below the seam, all of it without state: where libzmlx's are,
    # in the program or in a library, it need not know.
    add_library(zmlx_cuda SHARED ${_zmlx_cuda} $<TARGET_OBJECTS:zmlx_cuda_text>
                $<TARGET_OBJECTS:zmlx_base> $<TARGET_OBJECTS:zmlx_lang>
                "$<FILTER:$<TARGET_OBJECTS:zmlx_backend>,INCLUDE,/backend/(cfamily/[a-z_]+|faults|order|space|store_groups)[.]cpp>")
    target_link_libraries(zmlx_cuda PRIVATE zmlx_flags mlx fmt::fmt xxhash ${CMAKE_DL_LIBS} Threads::Threads)
    target_include_directories(zmlx_cuda SYSTEM PRIVATE ${ZMLX_CUDA_INCLUDE_DIR} ${ZMLX_NVRTC_INCLUDE_DIR})
    target_precompile_headers(zmlx_cuda REUSE_FROM zmlx_pch)
  endif()
endif()
