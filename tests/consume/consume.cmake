# Configures, builds and runs the project tests/consume/NAME in a folder below BUILD.
set(work ${BUILD}/consume/${NAME})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}\nfailed: ${failed}")
  endif()
endfunction()

file(REMOVE_RECURSE ${work})
if(NAME STREQUAL "installed")
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix)
  set(options -D CMAKE_PREFIX_PATH=${work}/prefix)
else()
  set(options -D ZMLX_SOURCES=${SOURCES})
endif()
# Not optimised: this is about what links, and the subdirectory compiles all of zmlx once more.
run(${CMAKE_COMMAND} -G Ninja -S ${SOURCES}/tests/consume/${NAME} -B ${work}/build -D CMAKE_BUILD_TYPE=Debug
    -D CMAKE_CXX_FLAGS_DEBUG=-O0 -D CMAKE_CXX_COMPILER=${COMPILER} -D MLX_DIR=${MLX_DIR} ${options})
run(${CMAKE_COMMAND} --build ${work}/build --target consumer --parallel 2)
run(${work}/build/consumer)
