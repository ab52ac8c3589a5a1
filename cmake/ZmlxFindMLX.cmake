# Finds MLX in its Python wheel: `python -m mlx --cmake-dir` says where that is. MLX_DIR overrides; else the .venv beside
# the sources is asked, else ZMLX_PYTHON, else python3. Also installed, for find_package(zmlx).
if(NOT MLX_DIR)
  set(_zmlx_python "${ZMLX_PYTHON}")
  if(NOT _zmlx_python AND EXISTS ${CMAKE_CURRENT_LIST_DIR}/../.venv/bin/python)
    set(_zmlx_python ${CMAKE_CURRENT_LIST_DIR}/../.venv/bin/python)
  endif()
  if(NOT _zmlx_python)
    find_program(ZMLX_PYTHON python3 REQUIRED)
    set(_zmlx_python ${ZMLX_PYTHON})
  endif()
  execute_process(COMMAND ${_zmlx_python} -m mlx --cmake-dir OUTPUT_VARIABLE _zmlx_mlx_prefix
                  OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE _zmlx_failed ERROR_QUIET)
  if(_zmlx_failed)
    message(FATAL_ERROR "MLX was not found: ${_zmlx_python} has no module mlx. Run ./test.sh, or pip install 'mlx[cpu]' "
                        "and set ZMLX_PYTHON to its python, or set MLX_DIR to the folder of MLXConfig.cmake.")
  endif()
  set(MLX_DIR ${_zmlx_mlx_prefix}/share/cmake/MLX CACHE PATH "Folder of MLXConfig.cmake")
endif()
find_package(MLX CONFIG REQUIRED)
