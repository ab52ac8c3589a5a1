run(_ ${configure} -D MLX_DIR=${MLX_DIR} -D ZMLX_SOURCES=${SOURCES})
run(_ ${CMAKE_COMMAND} --build ${work}/build --target consumer --parallel 2)
run(_ ${work}/build/consumer)
