#pragma once

// Marks what libzmlx exports; everything else is hidden.
#define ZMLX_API __attribute__((visibility("default")))
