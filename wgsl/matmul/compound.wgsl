// compound: addresses along compound axes (uniforms.wgsl), appended to the kernels that allow them.

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

// The place of element (row, col) of a compound c.
fn c_distance(row: u32, col: u32) -> u32 {
    return along(row, uniforms.m_sizes, uniforms.c_m) + along(col, uniforms.n_sizes, uniforms.c_n);
}
