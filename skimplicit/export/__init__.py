"""Where a model goes: to ONNX, by itself or inside a scikit-learn pipeline, and to files that are loaded safely.

``TRUSTED_TYPES`` are the types that ``skops`` has to trust to load a model without pickle. The package ``onnx`` is
imported by the functions that need it: ``pip install "skimplicit[onnx]"``.
"""

from skimplicit.export.model import to_onnx
from skimplicit.export.pipelines import register_onnx_converters
from skimplicit.export.trusted_types import TRUSTED_TYPES

__all__ = ["TRUSTED_TYPES", "register_onnx_converters", "to_onnx"]
