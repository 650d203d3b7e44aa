"""ONNX front end, integer networks, folding."""
