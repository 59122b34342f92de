"""The README is executed.

A section is one program: its ```python blocks run one after another in one module, after those that its chapter (`## `)
shows before its first section (`### `). Under a chapter's heading `<!-- one program -->` joins all its sections.

- Line numbers are the README's, in tracebacks, too; the id of a test names the section and its line.
- A block that begins with a comment `# shop/main.py` is a file of that name; it is written, and imported when used.
- Functions named `test_*` are called.
- `<!-- hidden ... -->` is Python that readers do not see. `cleanup`, an `AsyncExitStack`, ends what it starts.
- `await` outside of functions works, as in `python -m asyncio`; a section has one event loop.
- ```console blocks: `$ python ...` is run, and what it prints has to be what the block shows (`...` stands for anything);
  `make` targets and what `pip install` names have to exist.
"""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import tomllib
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import pytest

import interceptors.connectors
import interceptors.connectors.httpx
import interceptors.connectors.pymongo
import interceptors.connectors.sqlalchemy
import interceptors.connectors.zeep
import interceptors.errors
import interceptors.events
import interceptors.fastapi
import interceptors.remoting
import interceptors.resources
import interceptors.testing
from interceptors import Arguments, InterceptorRegistry, InvocationContext
from interceptors.connectors import Connector, ConnectorContext
from interceptors.events import EventContext, EventDispatcher, Outbox
from interceptors.resources import Resource, ResourceContext, Resources

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"

_FILE = re.compile(r"# ([\w/]+\.py)\n")
_LANGUAGES = {"python", "console", "json", "text", "toml", "yaml"}


@dataclass
class Block:
    """Something to run, and where its first line stands in the README."""

    language: str
    line: int
    code: str = ""


@dataclass
class Program:
    """The blocks of a section, those of its chapter's opening included."""

    title: str
    line: int
    blocks: list[Block] = field(default_factory=list)

    def __str__(self) -> str:
        return f"L{self.line} {self.title}"


def read(text: str) -> list[Program]:
    """Take the README apart. A section that has nothing to run is none."""
    programs: list[Program] = []
    opening: list[Block] = []
    whole = False
    block: Block | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if block is not None:
            if line in ("```", "-->"):
                programs[-1].blocks.append(block)
                block = None
            else:
                block.code += line + "\n"
        elif line.startswith("```"):
            block = Block(line[3:], number + 1)
            assert block.language in _LANGUAGES, f"README.md:{number}: a block in {block.language!r}"
        elif line == "<!-- hidden":
            block = Block("python", number + 1)
        elif line == "<!-- one program -->":
            whole = True
        elif line.startswith(("# ", "## ")):
            opening, whole = [], False
            programs.append(Program(line.lstrip("# "), number))
        elif line.startswith("### ") and not whole:
            opening = opening or programs[-1].blocks
            programs.append(Program(line.lstrip("# "), number, [b for b in opening if b.language == "python"]))
    assert block is None, f"README.md:{block and block.line}: a block without an end"
    return [program for program in programs if program.blocks]


PROGRAMS = read(README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_section(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [
        name for name in sys.modules if name.split(".")[0] == "app"
    ]:  # the bookshop; `new` writes an `app`, too
        monkeypatch.delitem(sys.modules, name)
    module = ModuleType(f"readme_{program.line}")
    module.__file__ = str(tmp_path / "README.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    # Where Python looks for source lines: the blocks where they stand in the README, and nothing else.
    lines = [""] * max(block.line + block.code.count("\n") for block in program.blocks)
    for block in program.blocks:
        if block.language == "python":
            lines[block.line - 1 : block.line - 1 + block.code.count("\n")] = block.code.splitlines()
    Path(module.__file__).write_text("\n".join(lines), encoding="utf-8")
    module.cleanup = AsyncExitStack()  # type: ignore[attr-defined]
    runner = asyncio.Runner()
    try:
        for block in program.blocks:
            if block.language == "python":
                run_python(block, module, runner)
            elif block.language == "console":
                run_console(block)
    finally:
        with runner:
            runner.run(module.cleanup.aclose())
        for name, loaded in list(sys.modules.items()):
            if str(getattr(loaded, "__file__", None) or "").startswith(str(tmp_path)) and loaded is not module:
                del sys.modules[name]


def run_python(block: Block, module: ModuleType, runner: asyncio.Runner) -> None:
    """Run a block, or write it if it is a file."""
    file = _FILE.match(block.code)
    if file:
        path = Path(file[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
        return
    known = set(vars(module))
    try:
        source = "\n" * (block.line - 1) + block.code
        code = compile(source, str(module.__file__), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, vars(module))
        if inspect.iscoroutine(result):
            runner.run(result)
        for name in [name for name in vars(module) if name.startswith("test_") and name not in known]:
            result = vars(module)[name]()
            if inspect.iscoroutine(result):
                runner.run(result)
    except (Exception, pytest.fail.Exception):
        # pytest would show the whole module, which is mostly empty lines.
        pytest.fail(traceback.format_exc().replace(str(module.__file__), "README.md"), pytrace=False)


def run_console(block: Block) -> None:
    """Run the commands of a block that are cheap, and compare what they print."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE):
        if command.startswith("make "):
            assert re.search(rf"^{command.removeprefix('make ')}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif command.startswith("pip install "):
            check_requirement(command.removeprefix("pip install "))
        else:
            assert command.startswith(("python -m interceptors ", "cat ", "sed ")), f"README.md:{block.line}: {command}"
            printed = run(command)
            assert fnmatchcase(printed, glob(shown)), f"README.md:{block.line}: {command}\n{printed}"


def check_requirement(requirement: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, extras = re.fullmatch(r"'?(\w+)(?:\[([\w,]+)\])?'?", requirement).groups()  # type: ignore[union-attr]
    assert name == project["name"]
    assert set((extras or "").split(",")) - {""} <= set(project["optional-dependencies"])


def glob(shown: str) -> str:
    return re.sub(r"([\[*?])", r"[\1]", shown).replace("...", "*")


def run(command: str) -> str:
    """What a command prints, as in a pipe; the library and this Python are found first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_links_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)", prose, re.MULTILINE)
    }
    assert {link for link in re.findall(r"\]\(#([^)]*)\)", prose)} - anchors == set()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(module.__all__, id=module.__name__)
        for module in (
            interceptors,
            interceptors.connectors,
            interceptors.connectors.httpx,
            interceptors.connectors.pymongo,
            interceptors.connectors.sqlalchemy,
            interceptors.connectors.zeep,
            interceptors.errors,
            interceptors.events,
            interceptors.fastapi,
            interceptors.remoting,
            interceptors.resources,
            interceptors.testing,
        )
    ]
    + [
        pytest.param([name for name in dir(cls) if not name.startswith("_")], id=cls.__name__)
        for cls in (
            Arguments,
            Connector,
            ConnectorContext,
            EventContext,
            EventDispatcher,
            InterceptorRegistry,
            InvocationContext,
            Outbox,
            Resource,
            ResourceContext,
            Resources,
        )
    ],
)
def test_every_public_name_is_described(names: list[str]) -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
