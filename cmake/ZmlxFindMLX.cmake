# Finds MLX in its Python wheel: `python -m mlx --cmake-dir` says where that is. MLX_DIR overrides; else ZMLX_PYTHON is
# asked, else the .venv beside the sources, else python3. Also installed, for find_package(zmlx).
#
# zmlx_find_mlx([VERSION]): with VERSION, no other version will do, since MLX keeps no binary interface from one to the
# next. Imports the target mlx and sets MLX_VERSION; or sets zmlx_mlx_problem to a sentence that says why there is none.
macro(zmlx_find_mlx)
  set(zmlx_mlx_problem "")
  if(NOT MLX_DIR)
    set(_zmlx_python "${ZMLX_PYTHON}")
    if(NOT _zmlx_python AND EXISTS ${ZMLX_MLX_VENV}/bin/python)
      set(_zmlx_python ${ZMLX_MLX_VENV}/bin/python)
    endif()
    if(NOT _zmlx_python)
      set(_zmlx_python python3)
    endif()
    execute_process(COMMAND ${_zmlx_python} -m mlx --cmake-dir OUTPUT_VARIABLE _zmlx_mlx_prefix
                    OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE _zmlx_failed ERROR_QUIET)
    if(_zmlx_failed)
      set(zmlx_mlx_problem "MLX was not found: ${_zmlx_python} has no module mlx.")
    else()
      set(MLX_DIR ${_zmlx_mlx_prefix}/share/cmake/MLX CACHE PATH "Folder of MLXConfig.cmake" FORCE)
    endif()
  endif()
  if(NOT zmlx_mlx_problem)
    set(_zmlx_mlx_dir "${MLX_DIR}") # find_package clears MLX_DIR where it finds nothing
    if("${ARGC}" GREATER 0)
      set(_zmlx_mlx_version ${ARGV0} EXACT)
    else()
      set(_zmlx_mlx_version "")
    endif()
    find_package(MLX ${_zmlx_mlx_version} CONFIG QUIET PATHS ${_zmlx_mlx_dir} NO_DEFAULT_PATH)
    if(NOT MLX_FOUND AND MLX_CONSIDERED_VERSIONS)
      list(REMOVE_DUPLICATES MLX_CONSIDERED_VERSIONS)
      set(zmlx_mlx_problem "MLX ${MLX_CONSIDERED_VERSIONS} is in ${_zmlx_mlx_dir}.")
    elseif(NOT MLX_FOUND)
      set(zmlx_mlx_problem "MLX was not found: MLX_DIR is ${_zmlx_mlx_dir}, which holds no MLXConfig.cmake.")
    endif()
  endif()
endmacro()
