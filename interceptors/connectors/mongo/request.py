"""What a call to MongoDB looks like to a hook."""

from typing import Any, cast, final

from interceptors.arguments import Arguments
from interceptors.connectors.mongo.methods import SPECS, bound, given_in
from interceptors.errors import UnknownHookError

__all__ = ["MongoRequest"]

_LEGACY = {
    "insertOne": "insert",
    "updateOne": "save",
    "findOneAndUpdate": "findAndModify",
    "deleteOne": "delete",
    "deleteMany": "delete",
    "replaceOne": "update",
    "updateMany": "update",
    "countDocuments": "count",
    "estimatedDocumentCount": "count",
}


@final
class MongoRequest:
    """A call of a collection's method, or of `database.command`: then `collection` is None.

    `command` is the name of PyMongo's method. `params` are the arguments over its parameters, by name and by position;
    a dict or a list that is assigned becomes that. They are the hook's own copies, but for documents to insert.
    """

    __slots__ = ("_command", "_params", "collection", "database")

    def __init__(
        self, database: str, collection: str | None, command: str, params: Arguments | dict[str, Any] | list[Any]
    ) -> None:
        self.database = database
        self.collection = collection
        self._command = ""
        self._params: Arguments | dict[str, Any] | list[Any] = params
        self.params = params
        self.command = command

    @property
    def command(self) -> str:
        """PyMongo's method. Another one takes over the arguments that were given."""
        return self._command

    @command.setter
    def command(self, value: str) -> None:
        if value not in SPECS:
            raise UnknownHookError(value, "hooked method of PyMongo", SPECS)
        spec = SPECS[value]
        if isinstance(self._params, Arguments) and self._params.spec is not spec:
            given = given_in(self._params)
            if "filter" not in spec.declared and not given.get("filter"):
                given.pop("filter", None)
            self._params = Arguments(spec, {**spec.defaults, **given})
        self._command = value

    @property
    def params(self) -> Arguments:
        """The arguments of the method."""
        if not isinstance(self._params, Arguments):
            self._params = bound(self._command, self._params)
        return self._params

    @params.setter
    def params(self, value: object) -> None:
        if not isinstance(value, (Arguments, dict, list)):
            raise TypeError(f"params of a MongoRequest are Arguments, a dict or a list, not {type(value).__name__}")
        self._params = cast("Arguments", value)  # bound when somebody looks: `command` may be about to change, too

    @property
    def legacy_command(self) -> str:
        """LoopBack's `ctx.req.command`: MongoDB's old names, in its spelling."""
        first, *others = self._command.split("_")
        name = first + "".join(word.title() for word in others)
        return _LEGACY.get(name, name)

    def __repr__(self) -> str:
        return f"MongoRequest({self.database!r}, {self.collection!r}, {self._command!r}, {self._params!r})"
