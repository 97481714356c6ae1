"""Which pages can be run as tests here."""

from importlib.util import find_spec

collect_ignore = []
if not all(find_spec(name) for name in ("onnxruntime", "skl2onnx", "skops")):
    collect_ignore.append("deploying.md")
