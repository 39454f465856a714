"""The runtime on top of wgpu: adapters, devices, memory, launches, graphs, transfers."""
