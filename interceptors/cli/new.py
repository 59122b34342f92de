"""`new`: write an interceptor and its test."""

import keyword
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from interceptors.cli.output import CommandError, UsageError, say
from interceptors.cli.templates import interceptor_module, interceptor_test

__all__ = ["NewInterceptor", "create"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BETWEEN_WORDS = re.compile(r"[_-]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LIBRARY = "interceptors"


@dataclass(frozen=True)
class NewInterceptor:
    """What was asked for; None is what is still to be asked, or left at its default."""

    name: str | None
    is_global: bool | None
    group: str | None
    sources: Sequence[str]
    directory: str
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class _NewNames:
    module: str
    cls: str


@dataclass(frozen=True)
class _Package:
    """Where it is written; the paths are relative to the current folder."""

    folder: Path
    dotted: str
    inits: tuple[Path, ...]
    """The `__init__.py`s on the way, the outermost first."""


def create(wanted: NewInterceptor) -> None:
    """Ask for what is missing if there is a terminal; write the files and say which, and how to use what is in them.

    Raises UsageError for what cannot be asked for, CommandError if something is in the way. Nothing is written then.
    """
    only_global = wanted.group is not None or bool(wanted.sources)
    if wanted.is_global is False and only_global:
        raise UsageError("--group and --source are for global interceptors; leave them out, or leave out --local")
    package = _package(wanted.directory)
    names = None if wanted.name is None else _names(wanted.name)
    is_global, group = wanted.is_global, wanted.group
    if only_global:
        is_global = True
    if sys.stdin.isatty() and sys.stdout.isatty():
        if names is None:
            names = typer.prompt("Name of the interceptor", value_proc=_names_or_again)
        if is_global is None:
            is_global = typer.confirm("Is it a global interceptor?", default=True)
        if is_global and group is None:
            group = typer.prompt("Group of the global interceptor (none)", default="", show_default=False)
    if names is None:
        raise UsageError("the NAME of the interceptor is missing")
    is_global = is_global is not False
    sources = [source for source in wanted.sources if source]
    module = interceptor_module(names.cls, group=group or "" if is_global else None, sources=sources)
    _write(package, names, module, force=wanted.force, dry_run=wanted.dry_run)
    say(f'registry.discover("{package.dotted}")' if is_global else f"@intercept({names.cls})")


# -- names -------------------------------------------------------------------------------------------------------------


def _names(text: str) -> _NewNames:
    """`HTTPAccess` is `http_access` and `HttpAccessInterceptor`. Raises UsageError."""
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is no name: take ASCII letters, digits, '_' and '-', and begin with a letter")
    words = [word.lower() for word in _BETWEEN_WORDS.split(text) if word]
    if words[-1] == "interceptor":
        del words[-1]
    module = "_".join(words)
    if not words:
        raise UsageError(f"{text!r} does not say which interceptor it is")
    if keyword.iskeyword(module):
        raise UsageError(f"{text!r} gives the module {module!r}, a keyword, which cannot be imported")
    if module == "conftest" or module.startswith("test_"):
        raise UsageError(f"{text!r} gives the module {module!r}, which registry.discover leaves to pytest")
    return _NewNames(module, "".join(word.capitalize() for word in [*words, "interceptor"]))


def _names_or_again(text: str) -> _NewNames:
    try:
        return _names(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def _package(text: str) -> _Package:
    """The package that --dir names. Raises UsageError."""
    here, folder = Path.cwd(), Path(text)
    _check_inside([folder])
    if folder.is_absolute():
        folder = (
            folder.relative_to(here)
            if folder.is_relative_to(here)
            else Path(os.path.realpath(folder)).relative_to(here)
        )
    root = Path("src") if folder.parts[:1] == ("src",) else Path()
    parts = folder.relative_to(root).parts
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            raise UsageError(f"--dir {text!r} is no package: {part!r} is no name that can be imported")
    if not parts:
        raise UsageError(f"--dir {text!r} is no package; name one below the current folder, such as app/interceptors")
    if parts[0] == _LIBRARY:
        raise UsageError(f"--dir {text!r} is the package {_LIBRARY!r}, which would hide this library")
    packages = [root.joinpath(*parts[: length + 1]) for length in range(len(parts))]
    return _Package(folder, ".".join(parts), tuple(package / "__init__.py" for package in packages))


def _check_inside(paths: Iterable[Path]) -> None:
    """Raises UsageError for a path that leads out of the current folder, also through links."""
    here = os.path.realpath(Path.cwd())
    for path in paths:
        if not Path(os.path.realpath(path)).is_relative_to(here):
            raise UsageError(f"{str(path)!r} is not below the current folder")


# -- files -------------------------------------------------------------------------------------------------------------


def _write(package: _Package, names: _NewNames, module: str, *, force: bool, dry_run: bool) -> None:
    """Write the files and say which. Raises CommandError if one exists, unless `force`, or cannot be written."""
    asked = {
        package.folder / f"{names.module}.py": module,
        package.folder / f"test_{names.module}.py": interceptor_test(names.module, names.cls),
    }
    _check_inside(asked)
    if (package.folder / names.module / "__init__.py").exists():
        raise CommandError(f"{(package.folder / names.module).as_posix()} is a package, which would hide the module")
    for init in package.inits:
        module_file = init.parent.with_suffix(".py")
        if module_file.exists() and not init.exists():
            raise CommandError(f"{module_file.as_posix()} is a module, which a package of that name would hide")
    existing = [path.as_posix() for path in asked if os.path.lexists(path)]
    if existing and not force:
        raise CommandError(f"{' and '.join(existing)} exist{'s' if len(existing) == 1 else ''}; --force overwrites")
    files = {path: "" for path in package.inits if not os.path.lexists(path)} | asked
    for path, text in files.items():
        verb = "overwrite" if os.path.lexists(path) else "create"
        if not dry_run:
            _write_file(path, text)
        say(f"{verb} {path.as_posix()}")


def _write_file(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandError(f"cannot write {path.as_posix()}: {error.strerror}") from error
