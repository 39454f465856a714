// What the C++ of a text without swizzles begins with: compiled once, ahead of all of them.
#ifndef CHECKER_NO_SWIZZLES
#define CHECKER_NO_SWIZZLES

#include "../runtime/launch.h"

#define SWIZZLES_OF_2
#define SWIZZLES_OF_3
#define SWIZZLES_OF_4
#include "metal_stdlib"

#endif
