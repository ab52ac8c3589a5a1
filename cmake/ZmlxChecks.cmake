# Checks of the sources that need no build.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND PROJECT_IS_TOP_LEVEL)
  add_custom_target(layers
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/check_layers.py
    COMMENT "Checking that no room looks up"
    VERBATIM)
endif()
