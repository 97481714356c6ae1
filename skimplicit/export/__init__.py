"""Rules and estimators where Python is not: as ONNX models, by themselves or inside scikit-learn's pipelines.

The package ``onnx`` is imported by the functions that need it: ``pip install "skimplicit[onnx]"``.
"""

from skimplicit.export.model import to_onnx
from skimplicit.export.pipelines import register_onnx_converters

__all__ = ["register_onnx_converters", "to_onnx"]
