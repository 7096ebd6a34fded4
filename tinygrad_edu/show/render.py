"""DOT to SVG, PNG or PDF: by the `dot` program where there is one, otherwise by Graphviz inside this process.

The wheels of pygraphviz (2 and later) carry the Graphviz libraries, so installing this package is enough to draw.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator

from ..errors import MissingExtraError

_lock = threading.Lock()  # Graphviz is not thread-safe


def renderer() -> str:
    """What draws pictures here, in words.

    >>> import tinygrad_edu.show.render as render
    >>> isinstance(render.renderer(), str)
    True
    """
    if shutil.which("dot"):
        try:
            import graphviz

            return f"dot {'.'.join(map(str, graphviz.version()))} on PATH"
        except ImportError:
            pass
        except Exception:  # a dot that cannot say its version will not draw either
            pass
    try:
        import pygraphviz

        return f"pygraphviz {pygraphviz.__version__}, in-process"
    except ImportError:
        return "none: pip install pygraphviz"


def render(dot: str, kind: str) -> bytes:
    """A picture of a DOT text. `kind` is svg, png or pdf.

    Raises MissingExtraError where there is neither a `dot` program nor pygraphviz.
    """
    if kind == "png":  # twice the resolution of a screen point, so that text is sharp
        dot = dot.replace("{", "{\n\tgraph [dpi=144]", 1)
    failure = ""
    if shutil.which("dot"):
        try:
            import graphviz

            return bytes(graphviz.Source(dot).pipe(format=kind, quiet=True))
        except ImportError:
            pass
        except Exception as error:  # a broken or very old dot: the libraries in the wheel may still do it
            failure = f" The dot on PATH failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}."
    try:
        import pygraphviz
    except ImportError as error:
        raise MissingExtraError(
            f"draw: nothing here turns DOT into {kind.upper()}.{failure} Install the drawing libraries with "
            "pip install pygraphviz, or save the picture as .dot.") from error
    with _lock, _without_font_warnings():
        graph = pygraphviz.AGraph(string=dot)
        try:
            return bytes(graph.draw(format=kind, prog="dot"))
        finally:
            graph.close()


@contextlib.contextmanager
def _without_font_warnings() -> Iterator[None]:
    """Keep fontconfig's remarks on the system off stderr, and pass on whatever else is written there."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no stderr to keep clean
        yield
        return
    with tempfile.TemporaryFile() as caught:
        try:
            os.dup2(caught.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            kept = [line for line in caught.read().splitlines(True) if not line.lstrip().startswith(b"Fontconfig ")]
            if any(line.strip() for line in kept):
                with contextlib.suppress(OSError):
                    os.write(2, b"".join(kept))
