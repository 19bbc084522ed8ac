"""What a field can hold beyond Python types.

A `FieldType` is an immutable value that says how a prompt shows it (as text or as parts of a
message), how a model's text becomes one, and what a model is told to write. Users subclass it.

- `Image`, `Audio`, `File`: from a URL, bytes or a path. `Document` is a text that answers may cite,
  `Citations` the passages an answer rests on.
- `History`: turns that become messages. `Code`: source code, read without its fences.
  `Reasoning`: what the model thought, its own thinking where it has any.
- `Tool`: a function that models may call; `ToolCalls` the calls of a model, `ToolResult` what one
  gave. A call runs in a scope of its own, through its gate, within its time.

Building one does no I/O and rendering is pure: a file is named by its path and read by `load`,
which programs call before they ask a model. What an endpoint cannot carry is shown as text where
that says the same, and is an `UnsupportedFeature` before the call where it does not.
"""

from __future__ import annotations

from dspex.types.audio import Audio
from dspex.types.base import FieldType, field_type_of
from dspex.types.code import Code
from dspex.types.document import Citations, Document
from dspex.types.file import File
from dspex.types.history import History
from dspex.types.image import Image
from dspex.types.loading import load_all
from dspex.types.reasoning import Reasoning
from dspex.types.tool import Tool
from dspex.types.tool_calls import ToolCalls, ToolResult
from dspex.types.tool_sets import make_tools

__all__ = (
    "Audio",
    "Citations",
    "Code",
    "Document",
    "FieldType",
    "File",
    "History",
    "Image",
    "Reasoning",
    "Tool",
    "ToolCalls",
    "ToolResult",
    "field_type_of",
    "load_all",
    "make_tools",
)
