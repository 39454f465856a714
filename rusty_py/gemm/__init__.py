"""Matrix products on a device: the problem, the kernels there are, the choice among them, their launches."""
