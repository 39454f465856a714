// store: the results for 4 neighbouring pixels, as pixels.wgsl finds them.
//
// Appended: OUT_VEC4: the pixels are neighbours in memory, at a multiple of 4, and the width is a multiple of 4;
//   store_out(index, x), store_out_vec4(index, x), of f32; activation(x).

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
