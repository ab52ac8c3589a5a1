# libzmlx: all rooms in one shared library; what is marked ZMLX_API is its surface.
add_library(zmlx SHARED ${CMAKE_CURRENT_LIST_DIR}/pch.cpp)
add_library(zmlx::zmlx ALIAS zmlx)
zmlx_use_rooms(zmlx lab)
