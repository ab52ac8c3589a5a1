# `cmake --install`: libzmlx, its public headers, the program, and what find_package(zmlx) reads.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set_target_properties(zmlx PROPERTIES INSTALL_RPATH $<TARGET_FILE_DIR:mlx>) # MLX stays where its wheel is

# The public headers are zmlx/zmlx.h and what it includes; tools/public_headers.py checks that these include no others.
set(_zmlx_list ${PROJECT_SOURCE_DIR}/zmlx/zmlx.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_zmlx_list})
file(STRINGS ${_zmlx_list} _zmlx_headers REGEX "^#include \"zmlx/")
list(TRANSFORM _zmlx_headers REPLACE "^#include \"(.+)\".*$" "${PROJECT_SOURCE_DIR}/\\1")
target_sources(zmlx PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${_zmlx_list} ${_zmlx_headers})
install(TARGETS zmlx EXPORT zmlxTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

if(TARGET zmlx_cuda)
  set_target_properties(zmlx_cuda PROPERTIES INSTALL_RPATH $<TARGET_FILE_DIR:mlx>)
  install(TARGETS zmlx_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}) # libzmlx looks for it in its own folder
endif()

if(TARGET zmlx_cli)
  set_target_properties(zmlx_cli PROPERTIES INSTALL_RPATH $<TARGET_FILE_DIR:mlx>)
  install(TARGETS zmlx_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(_zmlx_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zmlx)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/zmlxConfig.cmake.in ${PROJECT_BINARY_DIR}/zmlxConfig.cmake
                              INSTALL_DESTINATION ${_zmlx_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/zmlxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/zmlxConfig.cmake ${PROJECT_BINARY_DIR}/zmlxConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/ZmlxFindMLX.cmake
        DESTINATION ${_zmlx_cmake_dir})
install(EXPORT zmlxTargets NAMESPACE zmlx:: DESTINATION ${_zmlx_cmake_dir})
