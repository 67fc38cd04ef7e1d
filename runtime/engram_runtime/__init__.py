"""The model: its network, its ONNX graph, and what runs it.

Official builds of ONNX Runtime from 1.29 on count their uses and send that to their makers, on every system, from the
moment they are loaded; this variable is their switch, and is looked at then and never again.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
