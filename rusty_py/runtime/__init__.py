"""Everything that touches wgpu: adapters, devices, memory, launches, transfers."""
