// uniforms: the uniform block of every reduction kernel, appended to each of them.
//
// Reduction: x is the value computed of the elements of one or several arrays, over the axes (outer..., n, inner). The kernels
//   reduce over n; n is cut into `width` chunks, and each chunk leaves one partial result. A later pass reduces those.
// Addressing: element i of column q of row o of an array is at, modulo 2^32,
//   start + offset of o along up to three outer axes + q * inner + offset of i along one or two reduced axes.
//   outer_sizes has the sizes of the outer axes but the first, reduced_size that of the last of two reduced axes.
// first: what is added to i for an index, where the elements are a part of those along an axis.
// number: a word for finish(), such as the number of elements as f32. numbers: the words of operands that are numbers, four in each of NUMBERS.
// Appended as well: Row, where a row or column begins in each array; row_at(o, q) -> Row; Value, the type of an element after
//   the conversion that precedes the reduction; Total, the accumulator; Four, an array or vector of four values;
//   element(row, i) -> Value; identity() -> Total; one(x, i) -> Total of element i;
//   of_four(x, i, step) -> Total of the elements i, i + step, ...; combine(a, b) -> Total, associative and commutative but for
//   rounding; append(a, b) -> Total, combine() where the elements of b follow those of a; store(at, x).

struct Place {
    start: u32,
    inner: u32,
    reduced: vec2<u32>,
    outer: vec4<u32>,
}

struct Uniforms {
    count: u32,
    n: u32,
    width: u32,
    chunk: u32,
    inner: u32,
    reduced_size: u32,
    number: u32,
    first: u32,
    outer_sizes: vec4<u32>,
    numbers: array<vec4<u32>, NUMBERS>,
    places: array<Place, ARRAYS>,
}
