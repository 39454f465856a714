// Rasterization order: workgroups that run at the same time share rows of a and columns of b in the cache.

// Row and column of the block that a workgroup computes: down the columns of a band of `height` rows of blocks.
fn banded(group: vec3<u32>, groups: vec3<u32>, height: u32) -> vec2<u32> {
    let linear = group.y * groups.x + group.x;
    let band = linear / (height * groups.x);
    let band_rows = min(height, groups.y - band * height);
    let in_band = linear - band * height * groups.x;
    return vec2(band * height + in_band % band_rows, in_band / band_rows);
}
