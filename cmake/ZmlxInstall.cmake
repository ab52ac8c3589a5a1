# `cmake --install`: libzmlx, its headers, the program, and what find_package(zmlx) reads.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set_target_properties(zmlx PROPERTIES INSTALL_RPATH $<TARGET_FILE_DIR:mlx>) # MLX stays where its wheel is
target_include_directories(zmlx PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                       $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS zmlx EXPORT zmlxTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/zmlx DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
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
