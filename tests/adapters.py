"""An adapter that no machine has, for what asks an adapter only for its facts."""

from rusty_py import Limits
from rusty_py.runtime.adapter import Adapter

RADEON = Adapter(
    index=0,
    name="AMD Radeon 780M",
    vendor="AMD",
    backend="Vulkan",
    type="IntegratedGPU",
    driver="Mesa 25.0.7",
    limits=Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31),
    features=frozenset({"timestamp-query"}),
    raw=None,  # type: ignore[arg-type]
)
