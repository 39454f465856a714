// pixels: the 4 neighbouring pixels that a thread computes, found and stored; appended to direct.wgsl and its like.
//
// Appended: OUT_VEC4: they are 4 neighbours in memory, at a multiple of 4, and the width is a multiple of 4; store_out(index,
//   x), store_out_vec4(index, x), of f32; activation(x).

// Pixels (y, x) to (y, x + 3) of a plane, and the rows below.
struct Place {
    plane: u32,
    y: u32,
    x: u32,
}

// Job by job along the rows, `rows` of them together.
fn place_of(job: u32, rows: u32) -> Place {
    let columns = (uniforms.out_width + 3u) / 4u;
    let lines = (uniforms.out_height + rows - 1u) / rows;
    let line = job / columns;
    return Place(line / lines, line % lines * rows, job % columns * 4u);
}

fn finished(sums: vec4<f32>, bias: f32) -> vec4<f32> {
    let x = sums + bias;
    return vec4(activation(x.x), activation(x.y), activation(x.z), activation(x.w));
}

// Pixels x to x + 3 of the row that starts at `row`.
fn store_pixels(row: u32, x: u32, pixels: vec4<f32>) {
    if (OUT_VEC4) {
        store_out_vec4(row + x, pixels);
        return;
    }
    for (var p = 0u; p < 4u; p++) { // unroll
        if (x + p < uniforms.out_width) {
            store_out(row + (x + p) * uniforms.out_column, pixels[p]);
        }
    }
}
