"""`new`: names, packages, what is written and what is refused."""

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from interceptors.cli import main
from tests.unit.cli.helpers import Result, environment, files_in, run_process, write

Run = Callable[..., Result]

FILES = [
    "app/__init__.py",
    "app/interceptors/__init__.py",
    "app/interceptors/http_access.py",
    "app/interceptors/test_http_access.py",
]


@pytest.mark.parametrize(
    ("name", "module", "cls"),
    [
        ("HTTPAccess", "http_access", "HttpAccessInterceptor"),
        ("audit", "audit", "AuditInterceptor"),
        ("auditLog", "audit_log", "AuditLogInterceptor"),
        ("audit-log", "audit_log", "AuditLogInterceptor"),
        ("audit_log", "audit_log", "AuditLogInterceptor"),
        ("audit__log-", "audit_log", "AuditLogInterceptor"),
        ("AUDIT", "audit", "AuditInterceptor"),
        ("x", "x", "XInterceptor"),
        ("version2", "version2", "Version2Interceptor"),
        ("my-2nd-thing", "my_2nd_thing", "My2ndThingInterceptor"),
        ("HTTP2Access", "http2_access", "Http2AccessInterceptor"),
        ("OAuth2Login", "o_auth2_login", "OAuth2LoginInterceptor"),
        ("AuditInterceptor", "audit", "AuditInterceptor"),
        ("audit-interceptor", "audit", "AuditInterceptor"),
        ("AUDIT_INTERCEPTOR", "audit", "AuditInterceptor"),
        ("InterceptorInterceptor", "interceptor", "InterceptorInterceptor"),
        ("InterceptorOfCalls", "interceptor_of_calls", "InterceptorOfCallsInterceptor"),
        ("match", "match", "MatchInterceptor"),
        ("contest", "contest", "ContestInterceptor"),
        ("latest", "latest", "LatestInterceptor"),
    ],
)
def test_a_name_gives_a_module_a_class_and_a_test(run: Run, project: Path, name: str, module: str, cls: str) -> None:
    """Words split at `_`, `-` and case; one trailing word `interceptor` is dropped."""
    result = run("new", name)
    assert (result.code, result.err) == (0, "")
    assert result.lines[2:4] == [f"create app/interceptors/{module}.py", f"create app/interceptors/test_{module}.py"]
    assert f"\nclass {cls}:\n" in (project / f"app/interceptors/{module}.py").read_text()
    assert f"from .{module} import {cls}\n" in (project / f"app/interceptors/test_{module}.py").read_text()


NOT_A_NAME = "is no name: take ASCII letters, digits, '_' and '-', and begin with a letter"
LEFT_TO_PYTEST = "which registry.discover leaves to pytest"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../x", NOT_A_NAME),
        ("a/b", NOT_A_NAME),
        ("a.b", NOT_A_NAME),
        ("a b", NOT_A_NAME),
        ("a\n", NOT_A_NAME),
        ("1abc", NOT_A_NAME),
        ("_private", NOT_A_NAME),
        ("größe", NOT_A_NAME),
        ("", NOT_A_NAME),
        ("class", "gives the module 'class', a keyword, which cannot be imported"),
        ("Async", "gives the module 'async', a keyword, which cannot be imported"),
        ("ImportInterceptor", "gives the module 'import', a keyword, which cannot be imported"),
        ("test_audit", f"gives the module 'test_audit', {LEFT_TO_PYTEST}"),
        ("TestAudit", f"gives the module 'test_audit', {LEFT_TO_PYTEST}"),
        ("conftest", f"gives the module 'conftest', {LEFT_TO_PYTEST}"),
        ("interceptor", "does not say which interceptor it is"),
        ("Interceptor-", "does not say which interceptor it is"),
    ],
)
def test_a_bad_name_is_refused(run: Run, project: Path, name: str, says: str) -> None:
    """One line, exit code 2, nothing written."""
    assert run("new", name) == Result(2, "", f"error: {name!r} {says}\n")
    assert files_in(project) == []


def test_a_name_that_looks_like_an_option_is_refused(run: Run) -> None:
    """By typer, in our form."""
    assert run("new", "-x") == Result(2, "", "error: No such option: -x\n")


def test_a_global_interceptor(project: Path) -> None:
    """In a pipe it is global and has no group."""
    result = run_process(project, "new", "HTTPAccess")
    assert result == Result(
        0,
        "create app/__init__.py\n"
        "create app/interceptors/__init__.py\n"
        "create app/interceptors/http_access.py\n"
        "create app/interceptors/test_http_access.py\n"
        'registry.discover("app.interceptors")\n',
        "",
    )
    assert files_in(project) == FILES
    assert (project / FILES[0]).read_text() == (project / FILES[1]).read_text() == ""
    text = (project / FILES[2]).read_text()
    assert '@global_interceptor(group="")\nclass HttpAccessInterceptor:\n' in text
    assert [line.strip()[:9] for line in text.splitlines() if line.startswith("        #") or " # " in line] == [
        "# Before:",
        "# Error: ",
        "# After: ",
    ]


def test_a_local_interceptor(run: Run, project: Path) -> None:
    """Nothing marks it; how to use it is said last."""
    result = run("new", "HTTPAccess", "--local")
    assert result.lines[-1] == "@intercept(HttpAccessInterceptor)"
    assert "global_interceptor" not in (project / FILES[2]).read_text()


@pytest.mark.parametrize(
    ("options", "decorator"),
    [
        (["--global"], '@global_interceptor(group="")'),
        (["--group", "auth"], '@global_interceptor(group="auth")'),
        (["--group", "g'quote"], '@global_interceptor(group="g\'quote")'),
        (["--group", 'say "hi"'], "@global_interceptor(group='say \"hi\"')"),
        (["--group", "größe"], '@global_interceptor(\n    group="größe",\n)'),
        (["--source", "route"], '@global_interceptor(group="", source="route")'),
        (["--source", "route", "--source", "job"], '@global_interceptor(group="", source=("route", "job"))'),
        (["--source", ""], '@global_interceptor(group="")'),
        (["--global", "--group", "a\\b", "--source", "x"], '@global_interceptor(group="a\\\\b", source="x")'),
        (["--group", "a\tb\u200bc"], '@global_interceptor(group="a\\tb\\u200bc")'),
    ],
)
def test_group_and_source_are_literals(run: Run, project: Path, options: list[str], decorator: str) -> None:
    """They mean a global interceptor; any text stands for itself."""
    result = run("new", "HTTPAccess", *options)
    assert (result.code, result.lines[-1]) == (0, 'registry.discover("app.interceptors")')
    assert f"\n{decorator}\nclass HttpAccessInterceptor:\n" in (project / FILES[2]).read_text()


@pytest.mark.parametrize("options", [["--group", "auth"], ["--group", ""], ["--source", "route"]])
def test_group_and_source_are_refused_for_a_local_one(run: Run, project: Path, options: list[str]) -> None:
    """Exit code 2."""
    assert run("new", "audit", "--local", *options) == Result(
        2, "", "error: --group and --source are for global interceptors; leave them out, or leave out --local\n"
    )
    assert files_in(project) == []


def test_no_name_in_a_pipe(project: Path) -> None:
    """There is nobody to ask."""
    assert run_process(project, "new") == Result(2, "", "error: the NAME of the interceptor is missing\n")


def test_a_dry_run_prints_the_same_and_writes_nothing(run: Run, project: Path) -> None:
    """Also what it would overwrite."""
    options = ("new", "audit", "--group", "auth")
    dry = run(*options, "--dry-run")
    assert (dry.code, files_in(project)) == (0, [])
    assert run(*options) == dry
    (project / "app/interceptors/audit.py").write_text("mine")
    dry = run(*options, "--dry-run", "--force")
    assert (project / "app/interceptors/audit.py").read_text() == "mine"
    assert run(*options, "--force") == dry
    assert run(*options, "--dry-run").code == 1


# -- what exists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("existing", "says"),
    [
        (["audit.py"], "app/interceptors/audit.py exists"),
        (["test_audit.py"], "app/interceptors/test_audit.py exists"),
        (["audit.py", "test_audit.py"], "app/interceptors/audit.py and app/interceptors/test_audit.py exist"),
    ],
)
def test_what_exists_is_overwritten_by_force_alone(run: Run, project: Path, existing: list[str], says: str) -> None:
    """Without it nothing is written at all, exit code 1."""
    write(project, {f"app/interceptors/{name}": "mine" for name in existing})
    before = files_in(project)
    assert run("new", "audit") == Result(1, "", f"error: {says}; --force overwrites\n")
    assert files_in(project) == before
    result = run("new", "audit", "--force")
    verbs = {True: "overwrite", False: "create"}
    assert (result.code, result.lines) == (
        0,
        [
            "create app/__init__.py",
            "create app/interceptors/__init__.py",
            f"{verbs['audit.py' in existing]} app/interceptors/audit.py",
            f"{verbs['test_audit.py' in existing]} app/interceptors/test_audit.py",
            'registry.discover("app.interceptors")',
        ],
    )
    assert "class AuditInterceptor" in (project / "app/interceptors/audit.py").read_text()


def test_a_package_of_the_same_name_is_in_the_way(run: Run, project: Path) -> None:
    """Python would import the package, never the module; force does not help."""
    write(project, {"app/interceptors/audit/__init__.py": ""})
    for options in ((), ("--force",)):
        assert run("new", "audit", *options) == Result(
            1, "", "error: app/interceptors/audit is a package, which would hide the module\n"
        )


def test_a_module_named_like_a_new_package_is_in_the_way(run: Run, project: Path) -> None:
    """It would be hidden; where the package is there already, it is hidden already."""
    write(project, {"app/interceptors.py": ""})
    assert run("new", "audit", "--force") == Result(
        1, "", "error: app/interceptors.py is a module, which a package of that name would hide\n"
    )
    assert files_in(project) == ["app/interceptors.py"]
    write(project, {"app/interceptors/__init__.py": ""})
    assert run("new", "audit").code == 0


def test_packages_that_exist_are_left_alone(run: Run, project: Path) -> None:
    """Only missing `__init__.py`s are created."""
    write(project, {"app/__init__.py": "VERSION = 1\n", "app/main.py": "pass\n"})
    assert run("new", "audit").lines[0] == "create app/interceptors/__init__.py"
    assert (project / "app/__init__.py").read_text() == "VERSION = 1\n"
    assert run("new", "other").lines == [
        "create app/interceptors/other.py",
        "create app/interceptors/test_other.py",
        'registry.discover("app.interceptors")',
    ]


# -- packages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directory", "inits", "dotted"),
    [
        ("web", ["web"], "web"),
        ("web/", ["web"], "web"),
        ("./web/./layers", ["web", "web/layers"], "web.layers"),
        ("src/shop/layers", ["src/shop", "src/shop/layers"], "shop.layers"),
        ("shop/src", ["shop", "shop/src"], "shop.src"),
        ("app/interceptors/web", ["app", "app/interceptors", "app/interceptors/web"], "app.interceptors.web"),
        ("größe", ["größe"], "größe"),
    ],
)
def test_a_package_below_the_current_folder(
    run: Run, project: Path, directory: str, inits: list[str], dotted: str
) -> None:
    """A leading `src/` is an import root and gets no `__init__.py`."""
    result = run("new", "audit", "--dir", directory)
    folder = inits[-1]
    assert (result.code, result.lines) == (
        0,
        [
            *(f"create {init}/__init__.py" for init in inits),
            f"create {folder}/audit.py",
            f"create {folder}/test_audit.py",
            f'registry.discover("{dotted}")',
        ],
    )
    assert files_in(project) == sorted(line.split()[1] for line in result.lines[:-1])


def test_an_absolute_path_below_the_current_folder(run: Run, project: Path) -> None:
    """It is the same as a relative one, also through another name of the current folder."""
    assert run("new", "audit", "--dir", str(project / "web")).lines[-1] == 'registry.discover("web")'
    (project.parent / "alias").symlink_to(project)
    assert run("new", "other", "--dir", str(project.parent / "alias/web")).lines[0] == "create web/other.py"


@pytest.mark.parametrize(
    ("directory", "says"),
    [
        ("../x", "'../x' is not below the current folder"),
        ("app/../../x", "'app/../../x' is not below the current folder"),
        ("/", "'/' is not below the current folder"),
        ("app/../x", "--dir 'app/../x' is no package: '..' is no name that can be imported"),
        ("app/class", "--dir 'app/class' is no package: 'class' is no name that can be imported"),
        ("my-app", "--dir 'my-app' is no package: 'my-app' is no name that can be imported"),
        ("app/2nd", "--dir 'app/2nd' is no package: '2nd' is no name that can be imported"),
        ("app/a b", "--dir 'app/a b' is no package: 'a b' is no name that can be imported"),
        *(
            (text, f"--dir {text!r} is no package; name one below the current folder, such as app/interceptors")
            for text in ("", ".", "src", "src/")
        ),
        *(
            (text, f"--dir {text!r} is the package 'interceptors', which would hide this library")
            for text in ("interceptors", "src/interceptors", "interceptors/mine")
        ),
    ],
)
def test_what_is_no_package_is_refused(run: Run, project: Path, directory: str, says: str) -> None:
    """Exit code 2, nothing written."""
    assert run("new", "audit", "--dir", directory) == Result(2, "", f"error: {says}\n")
    assert files_in(project.parent) == []


@pytest.mark.parametrize("link", ["app", "src", "app/interceptors"])
def test_a_link_that_leads_outside_is_refused(run: Run, project: Path, link: str) -> None:
    """Nothing is written there."""
    outside = project.parent / "outside"
    outside.mkdir()
    (project / link).parent.mkdir(exist_ok=True)
    (project / link).symlink_to(outside)
    directory = "src/app" if link == "src" else "app/interceptors"
    assert run("new", "audit", "--dir", directory) == Result(
        2, "", f"error: {directory!r} is not below the current folder\n"
    )
    assert files_in(outside) == []


@pytest.mark.parametrize("name", ["audit.py", "test_audit.py"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_is_a_link_outside_is_refused(run: Run, project: Path, name: str, exists: bool) -> None:
    """Force would overwrite what it leads to, or create it."""
    outside = project.parent / "outside.py"
    if exists:
        outside.write_text("theirs")
    write(project, {"app/__init__.py": "", "app/interceptors/__init__.py": ""})
    (project / "app/interceptors" / name).symlink_to(outside)
    for options in ((), ("--force",)):
        assert run("new", "audit", *options) == Result(
            2, "", f"error: 'app/interceptors/{name}' is not below the current folder\n"
        )
    assert (outside.read_text() == "theirs") if exists else not outside.exists()


def test_a_link_that_stays_inside_is_followed(run: Run, project: Path) -> None:
    """The package is called as it was written."""
    (project / "backend").mkdir()
    (project / "app").symlink_to("backend")
    assert run("new", "audit").lines[-1] == 'registry.discover("app.interceptors")'
    assert (project / "backend/interceptors/audit.py").exists()


def test_an_init_that_is_a_dangling_link_is_left_alone(run: Run, project: Path) -> None:
    """Writing it would create what it leads to."""
    (project / "app").mkdir()
    (project / "app/__init__.py").symlink_to(project.parent / "outside.py")
    assert run("new", "audit").lines[0] == "create app/interceptors/__init__.py"
    assert not (project.parent / "outside.py").exists()


@pytest.mark.parametrize(
    ("in_the_way", "says"),
    [
        ("app", "cannot write app/__init__.py: File exists"),
        ("app/interceptors", "cannot write app/interceptors/__init__.py: File exists"),
    ],
)
def test_a_file_where_a_folder_has_to_be(run: Run, project: Path, in_the_way: str, says: str) -> None:
    """Exit code 1."""
    write(project, {in_the_way: "a file"})
    result = run("new", "audit")
    assert (result.code, result.err) == (1, f"error: {says}\n")


def test_a_folder_where_a_file_has_to_be(run: Run, project: Path) -> None:
    """Force overwrites files."""
    (project / "app/interceptors/audit.py").mkdir(parents=True)
    assert run("new", "audit", "--force").err == "error: cannot write app/interceptors/audit.py: Is a directory\n"


def test_a_name_that_is_too_long_for_a_file(run: Run) -> None:
    """The file system decides."""
    name = "x" * 300
    result = run("new", name)
    assert (result.code, result.err) == (1, f"error: cannot write app/interceptors/{name}.py: File name too long\n")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may write everywhere; so be somebody else for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the reason."""
    folder = Path(tempfile.mkdtemp())
    try:
        monkeypatch.chdir(folder)
        folder.chmod(0o555)
        with without_privileges():
            result = run("new", "audit")
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert result == Result(1, "", "error: cannot write app/__init__.py: Permission denied\n")


# -- on a terminal -----------------------------------------------------------------------------------------------------


def dialogue(folder: Path, answers: list[str], *arguments: str) -> tuple[int, str]:
    """Run `new` on a terminal and answer its questions. Gives the exit code and what stood on the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "interceptors", "new", *arguments],
        cwd=folder,
        env=environment(TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while True:
            try:
                chunk = os.read(ours, 1024)
            except OSError:  # Linux tells so that the other end is closed
                break
            if not chunk:
                break
            seen += chunk
            if answers and seen.endswith((b": ", b"]: ")):
                os.write(ours, answers.pop(0).encode())
        return process.wait(timeout=30), seen.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_on_a_terminal_it_asks(project: Path) -> None:
    """For the name, whether it is global, and its group; a bad name is asked for again."""
    code, seen = dialogue(project, ["a b\n", "HTTPAccess\n", "\n", "auth\n"])
    assert code == 0, seen
    assert seen == (
        "Name of the interceptor: a b\n"
        f"Error: 'a b' {NOT_A_NAME}\n"
        "Name of the interceptor: HTTPAccess\n"
        "Is it a global interceptor? [Y/n]: \n"
        "Group of the global interceptor (none): auth\n"
        + "".join(f"create {file}\n" for file in FILES)
        + 'registry.discover("app.interceptors")\n'
    )
    assert '@global_interceptor(group="auth")' in (project / FILES[2]).read_text()


def test_on_a_terminal_it_can_be_left(project: Path) -> None:
    """Ctrl-D: one line, exit code 1, nothing written."""
    code, seen = dialogue(project, ["audit\n", "\x04"])
    assert (code, re.sub(r"\^D\x08*", "", seen).splitlines()[-1]) == (1, "error: aborted")
    assert files_in(project) == []


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("arguments", "answers", "asked", "last"),
    [
        ([], "audit\n\n\n", ["Name", "Is", "Group"], 'registry.discover("app.interceptors")'),
        ([], "a b\naudit\n\n\n", ["Name", "Name", "Is", "Group"], 'registry.discover("app.interceptors")'),
        ([], "audit\nn\n", ["Name", "Is"], "@intercept(AuditInterceptor)"),
        (["audit"], "y\nauth\n", ["Is", "Group"], 'registry.discover("app.interceptors")'),
        (["audit", "--local"], "", [], "@intercept(AuditInterceptor)"),
        (["--local"], "audit\n", ["Name"], "@intercept(AuditInterceptor)"),
        (["audit", "--global"], "\n", ["Group"], 'registry.discover("app.interceptors")'),
        (["audit", "--source", "route"], "auth\n", ["Group"], 'registry.discover("app.interceptors")'),
        (["audit", "--group", ""], "", [], 'registry.discover("app.interceptors")'),
        (["--group", "auth"], "audit\n", ["Name"], 'registry.discover("app.interceptors")'),
    ],
)
def test_it_asks_for_what_is_missing_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], answers: str, asked: list[str], last: str
) -> None:
    """What was said by an option is not asked."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["new", *arguments]) == 0
    questions = re.findall(r"(Name|Is|Group) [^:?]+[:?]", out.getvalue())
    assert (questions, out.getvalue().splitlines()[-1]) == (asked, last)


def test_it_refuses_before_it_asks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad option is not found after three answers; a bad NAME that was given is an error, not a question."""
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    assert main(["new", "--dir", ".."]) == main(["new", "a b"]) == 2
    assert out.getvalue() == ""


def test_leaving_in_this_process(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line behind the question is ended."""
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    assert main(["new"]) == 1
    assert (out.getvalue(), capsys.readouterr().err) == ("Name of the interceptor: \n", "error: aborted\n")


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_half_a_terminal_is_a_pipe(project: Path, monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    """Nobody would see the question, or nobody could answer."""
    monkeypatch.setattr(sys, "stdin", StringIO("audit\n\n\n"))
    monkeypatch.setattr(sys, "stdout", StringIO())
    monkeypatch.setattr(sys, stream, Terminal("audit\n\n\n"))
    assert main(["new"]) == 2
