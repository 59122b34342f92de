"""Text in annotations that names what only this module has."""

from typing import Annotated, Any, Optional

from dependency_injector.wiring import Provide
from typing_extensions import TypeAliasType

OnlyHere = Annotated[Any, Provide["key"]]
Alias = TypeAliasType("Alias", Optional["OnlyHere"])


class Request:
    """No request, but a model of this name."""


async def takes_its_own_request(value: Optional["Request"] = None) -> Any:
    return value
