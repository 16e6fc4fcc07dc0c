"""Child process: ``python quantise.py SOURCE TARGET`` writes the dynamically quantised model.

A script of its own, run once, so that the server never imports ``onnx`` (it costs 60 MB) and an
interrupted run leaves nothing behind but a temporary file. Imports nothing of the application.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]  # ships no types
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]  # ships no types


def quantise(source: Path, target: Path) -> None:
    """Matrix products in int8: int8 weights per output channel, activations scaled at run time.

    The packaged model stores int8 weights but multiplies floats. Basic graph optimisation folds its
    dequantise nodes, which leaves a plain float graph that ``quantize_dynamic`` understands.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as folder:
        plain = Path(folder) / "float.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        quantize_dynamic(plain, target, per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it recommends a pre-processing step that the folding above replaces
    quantise(Path(sys.argv[1]), Path(sys.argv[2]))
