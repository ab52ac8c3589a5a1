// Owns the precompiled MLX header that the rooms share (cmake/ZmlxLayer.cmake).
