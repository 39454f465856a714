// pixels: the 4 neighbouring pixels of the result that a thread has; appended to direct.wgsl and its like.

// Pixels (y, x) to (y, x + 3) of a plane, and the rows below.
struct Place {
    plane: u32,
    y: u32,
    x: u32,
}

// The jobs of a row of threads, and the rows of jobs in a plane, of `rows` rows each.
fn job_columns() -> u32 {
    return (uniforms.out_width + 3u) / 4u;
}

fn job_rows(rows: u32) -> u32 {
    return (uniforms.out_height + rows - 1u) / rows;
}

// Job by job along the rows.
fn place_of(job: u32, rows: u32) -> Place {
    let line = job / job_columns();
    return Place(line / job_rows(rows), line % job_rows(rows) * rows, job % job_columns() * 4u);
}
