// channels: where the task of a thread lies, if the channels of a pixel are neighbours; appended to the kernels of
// tiles. Tasks of an image are vectors of CHANNELS channels, then units of columns, then tiles of rows.
// Appended with it: CHANNELS, result_height() and result_width().

struct Place {
    x: u32,
    g: u32,
    out: u32,
    tile: u32,
    unit: u32,
}

fn place_of(plane: u32, task: u32) -> Place {
    let channel = task % (uniforms.channels / CHANNELS) * CHANNELS;
    let rest = task / (uniforms.channels / CHANNELS);
    return Place(
        uniforms.x_offset + plane * uniforms.x_batch + channel,
        uniforms.g_offset + plane * uniforms.g_batch + channel,
        plane * result_height() * result_width() * uniforms.channels + channel,
        rest / uniforms.units,
        rest % uniforms.units,
    );
}
