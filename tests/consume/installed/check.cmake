set(prefix ${work}/prefix)
run(_ ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
list(APPEND configure -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER_LAUNCHER=${CCACHE})

# An MLX of another version is refused.
set(other ${work}/other_mlx)
file(WRITE ${other}/MLXConfig.cmake "message(FATAL_ERROR \"this is not to be read\")\n")
file(WRITE ${other}/MLXConfigVersion.cmake "set(PACKAGE_VERSION 0.1.2)\n")
execute_process(COMMAND ${configure} -D MLX_DIR=${other} RESULT_VARIABLE failed OUTPUT_VARIABLE output
                ERROR_VARIABLE output)
string(REGEX REPLACE "[ \n]+" " " output "${output}")
set(expected "Reason given by package: This zmlx was built with MLX ${MLX_VERSION} and works with no other version. \
MLX 0.1.2 is in ${other}. Install that version (pip install 'mlx[cpu]==${MLX_VERSION}') and set ZMLX_PYTHON to its \
python, or MLX_DIR to the folder of its MLXConfig.cmake; or build and install zmlx again with the MLX that you have.")
string(FIND "${output}" "${expected}" found)
if(NOT failed OR found EQUAL -1)
  message(FATAL_ERROR "expected: ${expected}\ngot (${failed}): ${output}")
endif()

file(REMOVE_RECURSE ${work}/build)
run(_ ${configure} -D MLX_DIR=${MLX_DIR} -D INSTALLED_HEADERS=${prefix}/include)
run(_ ${CMAKE_COMMAND} --build ${work}/build --parallel 2)
run(_ ${work}/build/consumer)

# The catalogue is the same whoever holds copies of its formulas.
run(listed ${work}/build/catalogue)
if(NOT listed MATCHES "\nadd_rms_norm fused_add_rmsnorm residual_rmsnorm rmsnorm_residual\n")
  message(FATAL_ERROR "expected the catalogue and other names of kernels, got\n${listed}")
endif()
run(with_headers ${work}/build/catalogue_of_all_headers)
run(with_copies ${work}/build/catalogue ${work}/build/libcopies.so)
foreach(other with_headers with_copies)
  if(NOT ${other} STREQUAL listed)
    message(FATAL_ERROR "${other}: expected\n${listed}\ngot\n${${other}}")
  endif()
endforeach()
