"""The algorithms "direct" and "depthwise": windows of the input in registers, and sums of several outputs.

algorithm.py and depthwise.py choose the kernels of correlations, weights.py those of gradients of weights;
each ends in its records, and rules.py says what they take. For neighbouring pixels: kernel.py, and for
gradients of weights window_weights.py, with the windows of window.py. For neighbouring channels: channels.py,
depthwise_channels.py and channels_weights.py. weights_sums.py adds up the sums of gradients of weights. The
constants of tiles are at the top of these modules.
"""
