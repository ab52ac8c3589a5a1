# Runs the check.cmake of the project tests/consume/NAME, which configures, builds and runs it in a folder below BUILD.
set(work ${BUILD}/consume/${NAME})
# For the compiler cache, as cmake/ZmlxSettings.cmake.
set(ENV{CCACHE_SLOPPINESS} pch_defines,time_macros,include_file_mtime,include_file_ctime)

# run(OUTPUT command...) sets OUTPUT to what the command prints.
function(run OUTPUT)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}\nfailed: ${failed}")
  endif()
  set(${OUTPUT} "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${work})
# Not optimised: this is about what links, and the subdirectory compiles all of zmlx once more.
set(configure ${CMAKE_COMMAND} -G Ninja -S ${SOURCES}/tests/consume/${NAME} -B ${work}/build -D CMAKE_BUILD_TYPE=Debug
    -D CMAKE_CXX_FLAGS_DEBUG=-O0 -D CMAKE_CXX_COMPILER=${COMPILER})
include(${CMAKE_CURRENT_LIST_DIR}/${NAME}/check.cmake)
