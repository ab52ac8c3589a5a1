# libzmlx: all rooms in one shared library; what is marked ZMLX_API is its surface.
add_library(zmlx SHARED ${CMAKE_CURRENT_LIST_DIR}/pch.cpp)
add_library(zmlx::zmlx ALIAS zmlx)
zmlx_use_rooms(zmlx lab)
# Our headers include these.
target_link_libraries(zmlx PUBLIC mlx fmt::fmt Threads::Threads)
target_compile_features(zmlx PUBLIC cxx_std_20)
set_target_properties(zmlx PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
