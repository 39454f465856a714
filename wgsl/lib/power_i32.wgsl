// x^y modulo 2^32 by squaring. A negative exponent gives the integer part of the quotient: 0, except for the bases 1 and
// -1.

fn power_i32(x: i32, y: i32) -> i32 {
    if (y < 0) {
        if (x == 1 || (x == -1 && (y & 1) == 0)) {
            return 1;
        }
        return select(0, -1, x == -1);
    }
    var product = 1;
    var square = x;
    for (var rest = y; rest > 0; rest >>= 1u) {
        if ((rest & 1) == 1) {
            product *= square;
        }
        square *= square;
    }
    return product;
}
