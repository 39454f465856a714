// The two f16 of a word: the first in the low bits. Loads and stores of four words are as wide as those of vec4<f32>.

fn halves_of(word: u32) -> vec2<f16> {
    return vec2<f16>(unpack2x16float(word));
}

fn word_of(x: f16, y: f16) -> u32 {
    return pack2x16float(vec2<f32>(vec2<f16>(x, y)));
}
