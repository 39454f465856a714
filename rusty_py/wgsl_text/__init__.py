"""Reading WGSL without a compiler: tokens, declarations, and the layout of types."""
