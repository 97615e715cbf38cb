"""Functions of a user's own, named in a configuration: `package.module:function`."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from research.core.errors import UserError, first_line, quoted

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def load_function(name: str, key: str, what: str) -> Callable[..., Any]:
    """The function of this name. Its module is looked for where Python looks, and in this folder.

    Args:
      name: `package.module:function`.
      key: of the configuration, for messages.
      what: the function makes, such as "an environment", for messages.

    Raises:
      UserError: the name has another form, there is no such module or function, or importing the
        module fails.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{key} {quoted(name)}: {what} of yours is package.module:make")
    module_name, _, function = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(f"{key} {name}: there is no module {quoted(error.name)}") from error
    except Exception as error:  # whatever the module's own code raises
        raise failed(f"importing {module_name}", error) from error
    found = getattr(module, function, None)
    if not callable(found):
        raise UserError(f"{key} {name}: {module_name} has no function {function}")
    return found


def failed(what: str, error: Exception) -> UserError:
    """What to raise where code of a user's own fails."""
    return UserError(f"{what} raises {type(error).__name__}: {first_line(error)}")
