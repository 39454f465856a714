// compound: addresses along compound axes , appended to the kernels that allow them.
//
// Compound axes: in kernels that allow it, m, n and k may each run over three axes of an array, the last one fastest:
//   i = (outer * middle_size + middle) * inner_size + inner, with the sizes (middle, inner) of m_sizes, n_sizes, k_sizes.
//   Element (i, j) of a is then at a_offset + p * a_batch_stride plus, for each of the six axes, its index times its
//   stride, (outer, middle, inner) in a_m and a_k; b and c likewise. An axis of c that is not compound has the stride
//   c_row_stride, or 1. The bias of product p starts at
//   bias_offset + p * bias_batch_stride.
// Bounded operands: one of a and b may be zero outside of an image. The place of an element in the image, y in the upper and
//   x in the lower 16 bits, is the sum of what line_places says of its row of a, or column of b, and depth_places of k:
//   (outer, middle, inner). Inside are as many places as depth_places.w says, from line_places.w on.

// The position i along a compound axis of these sizes: outer, middle and inner index.
fn digits(i: u32, sizes: vec2<u32>) -> vec3<u32> {
    let rest = i / sizes.y;
    let outer = rest / sizes.x;
    return vec3(outer, rest - outer * sizes.x, i - rest * sizes.y);
}

fn distance(position: vec3<u32>, strides: vec4<u32>) -> u32 {
    return position.x * strides.x + position.y * strides.y + position.z * strides.z;
}

fn along(i: u32, sizes: vec2<u32>, strides: vec4<u32>) -> u32 {
    return distance(digits(i, sizes), strides);
}

// The place of a thread along k. It moves without divisions, like an odometer.
struct Walk {
    index: u32,
    place: u32,
    middle: u32,
    inner: u32,
}

fn walk_from(k: u32, strides: vec4<u32>) -> Walk {
    let position = digits(k, uniforms.k_sizes);
    return Walk(
        distance(position, strides), distance(position, uniforms.depth_places), position.y, position.z
    );
}

// `step` further, which are digits.
fn walk_on(walk: Walk, step: vec3<u32>, strides: vec4<u32>) -> Walk {
    let sizes = uniforms.k_sizes;
    let places = uniforms.depth_places;
    var index = walk.index + distance(step, strides);
    var place = walk.place + distance(step, places);
    var middle = walk.middle + step.y;
    var inner = walk.inner + step.z;
    if (inner >= sizes.y) {
        inner -= sizes.y;
        middle += 1u;
        index += strides.y - sizes.y * strides.z;
        place += places.y - sizes.y * places.z;
    }
    if (middle >= sizes.x) {
        middle -= sizes.x;
        index += strides.x - sizes.x * strides.y;
        place += places.x - sizes.x * places.y;
    }
    return Walk(index, place, middle, inner);
}

// Whether a place is inside the image of a bounded operand.
fn is_inside(place: u32) -> bool {
    let start = uniforms.line_places.w;
    let size = uniforms.depth_places.w;
    let y = (place >> 16u) - (start >> 16u);
    let x = (place & 0xffffu) - (start & 0xffffu);
    return (y < (size >> 16u)) && (x < (size & 0xffffu));
}
