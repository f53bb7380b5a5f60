"""Round the weights of a converted model to 8 bits, which OpenVINO multiplies faster on a CPU.

Every row of a weight matrix has a scale of its own, so that its largest weight becomes 127.
OpenVINO rounds the numbers that it multiplies by such a matrix, too: the features of each token
apart, with a scale for every ``GROUP`` of them. A score therefore depends on no other text of its
batch, and nothing has to be calibrated. Products of attention, and layers with fewer than
``SMALLEST`` outputs, such as the head of a cross-encoder, compute as before.
"""

import numpy as np
import openvino
from openvino import opset13

GROUP = 128
"""Features of a token that share a scale while a model computes; with OpenVINO's default of 32 it
is a quarter slower, and hardly more exact (docs/recipe.md)."""

SMALLEST = 16
LARGEST = 127  # of a signed 8-bit integer


def round_weights(model: openvino.Model) -> openvino.Model:
    """Round the weights of ``model`` in place, and return it."""
    for product in model.get_ordered_ops():
        if product.get_type_name() != "MatMul":
            continue
        source = product.input_value(1).get_node()
        if source.get_type_name() != "Constant" or len(source.shape) != 2:
            continue
        transposed = product.get_attributes()["transpose_b"]
        weights = source.data if transposed else source.data.T
        if len(weights) < SMALLEST:
            continue
        scales, rounded = rounded_rows(weights)
        if not transposed:
            scales, rounded = scales.T, rounded.T
        integers = opset13.convert(opset13.constant(rounded), "f32")
        scaled = opset13.multiply(integers, opset13.constant(scales))
        product.input(1).replace_source_output(scaled.output(0))
    return model


def rounded_rows(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round every row to integers from -127 to 127.

    Returns the scales, shape (rows, 1), and the integers: ``scales * integers`` is within half a
    scale of ``weights``. The scale of a row of zeros is 1.
    """
    largest = np.abs(weights).max(axis=1, keepdims=True)
    scales = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return scales, np.rint(weights / scales).astype(np.int8)
