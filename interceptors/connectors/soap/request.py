"""What a call of a SOAP operation looks like to a hook."""

from dataclasses import dataclass, field
from typing import Any, final

__all__ = ["SOAPRequest"]


@final
@dataclass(slots=True)
class SOAPRequest:
    """A call of an operation, as it is written with zeep; `headers` are zeep's `_soapheaders`, a dict or a list.

    Dicts, lists and zeep's own values in it are the hook's copies: the caller's never change.
    """

    operation: str
    args: list[Any] = field(default_factory=list[Any])
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: Any = None
