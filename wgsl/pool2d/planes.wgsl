// planes: where the task of a thread lies, if the elements of a row are neighbours; appended to the kernels of
// tiles. Tasks of a plane are units of columns, then tiles of rows.
// Appended with it: result_height() and result_width().

struct Place {
    x: u32,
    g: u32,
    out: u32,
    tile: u32,
    unit: u32,
}

fn place_of(plane: u32, task: u32) -> Place {
    let n = plane / uniforms.channels;
    let c = plane % uniforms.channels;
    return Place(
        uniforms.x_offset + n * uniforms.x_batch + c * uniforms.x_channel,
        uniforms.g_offset + n * uniforms.g_batch + c * uniforms.g_channel,
        plane * result_height() * result_width(),
        task / uniforms.units,
        task % uniforms.units,
    );
}
