// Which part of memory is the kernel's code and constants.
#pragma once

#include <stdint.h>

void set_image(const void* begin, const void* end);
// The place of an address in the kernel's code; 0 outside.
uint32_t image_site(const void* address);
