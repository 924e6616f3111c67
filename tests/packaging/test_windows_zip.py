# SPDX-License-Identifier: Apache-2.0
"""The zip for Windows, as far as it can be looked at from elsewhere."""

from __future__ import annotations

import ast
import os
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.packaging.distributions import ROOT
from tools import pins, sbom, wheelhouse, windows_zip

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(1200)]

SOURCE = ROOT / "deploy/agent/windows"
AT_AN_AGENCY = (
    *("agent/accord/agent", "core/accord/core", "core/accord/ledger"),
    *("core/accord/merkle", "core/accord/noise", "core/accord/rpc"),
    *("core/accord/secagg", "core/accord/trust"),
)
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
POSIX_NAMES = {
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "fchmod", "fork", "geteuid"),
    *("getgid", "getuid", "mkfifo", "setsid", "sync"),
}


def guarded(tree: ast.AST) -> set[ast.AST]:
    """Return what stands below a question about the system, or may fail there."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        asks = isinstance(node, (ast.If, ast.IfExp)) and re.search(
            r"sys\.platform|hasattr\(os", ast.unparse(node.test)
        )
        tries = isinstance(node, ast.Try) and any(
            handler.type is not None and ast.unparse(handler.type) == "ImportError"
            for handler in node.handlers
        )
        leaves = isinstance(node, ast.FunctionDef) and "sys.platform" in ast.unparse(
            node
        )
        if asks or leaves or tries:
            found |= set(ast.walk(node))
    return found


@pytest.mark.parametrize("package", AT_AN_AGENCY)
def test_nothing_at_an_agency_needs_posix_to_be_imported(package: str) -> None:
    """Windows has no fcntl and no O_NOFOLLOW; `accord.agent.machine.locking` knows."""
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        free = guarded(tree)
        for node in ast.walk(tree):
            if node in free:
                continue
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {each.name for each in node.names} & POSIX_MODULES
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or ""} & POSIX_MODULES
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os":
                names = {node.attr} & POSIX_NAMES
            wrong += [f"{path.relative_to(ROOT)}: {name}" for name in names]
    assert wrong == []


def test_the_task_runs_the_program_without_more_rights() -> None:
    root = ElementTree.parse(SOURCE / "accord-agent.xml").getroot()  # noqa: S314 - our own
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}

    def text(path: str) -> str:
        found = root.find(path, space)
        assert found is not None, path
        return found.text or ""

    assert text("t:Actions/t:Exec/t:Command") == r"FOLDER\accord-agent.cmd"
    assert text("t:Actions/t:Exec/t:Arguments") == "run"
    assert text("t:Principals/t:Principal/t:RunLevel") == "LeastPrivilege"
    assert text("t:Settings/t:MultipleInstancesPolicy") == "IgnoreNew"


def test_the_program_takes_no_module_from_where_it_is_called() -> None:
    lines = (SOURCE / "accord-agent.cmd").read_text(encoding="utf-8").splitlines()
    calls = [line for line in lines if " -m accord.agent.cli" in line]
    assert len(calls) == 2
    assert all(" -P " in line.partition(" -m ")[0] for line in calls)


def embeddable(folder: Path, name: str = "python-3.13.9-embed-amd64.zip") -> Path:
    """Write a zip that has the shape of python.org's."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("python.exe", "MZ")
        archive.writestr("python313.zip", "PK")
        archive.writestr("python313._pth", "python313.zip\n.\n#import site\n")
    return path


def test_an_interpreter_is_taken_by_its_hash_only(tmp_path: Path) -> None:
    path, known = embeddable(tmp_path), tmp_path / "pythons.sha256"
    known.write_text("# none\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="is not known"):
        windows_zip.checked(path, known)
    line = f"{wheelhouse.digest(path)}  {path.name}\n"
    known.write_text(line, encoding="utf-8")
    assert windows_zip.checked(path, known) == "3.13"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SystemExit, match="is not known"):
        windows_zip.checked(path, known)
    with pytest.raises(SystemExit, match="for 64 bits"):
        windows_zip.checked(embeddable(tmp_path, "python-3.13.9-embed-arm64.zip"))


def test_the_interpreter_finds_the_packages_and_nothing_else(tmp_path: Path) -> None:
    windows_zip.lay_interpreter(tmp_path / "python", embeddable(tmp_path))
    text = (tmp_path / "python/python313._pth").read_text(encoding="utf-8")
    assert text.splitlines() == ["python313.zip", ".", "..\\packages"]


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_locked_package_has_a_wheel_for_windows(
    python: str, tmp_path: Path, registry: None
) -> None:
    del registry  # it has skipped where there is none
    target = pins.windows(python)
    locked = pins.read(wheelhouse.LOCK)
    pins.fetch(locked, target, tmp_path)
    found = {(each.name, each.version) for each in sbom.wheels_in(tmp_path)}
    assert found == {(pin.name, pin.version) for pin in locked if target.applies(pin)}
    for path in tmp_path.iterdir():
        assert path.name.endswith(("-win_amd64.whl", "-any.whl"))


@pytest.mark.slow
def test_the_zip_holds_all_but_the_interpreter_and_says_so(
    tmp_path: Path, registry: None
) -> None:
    del registry  # the same
    archive = windows_zip.build(tmp_path)
    with zipfile.ZipFile(archive) as file:
        names = {name.partition("/")[2] for name in file.namelist()}
        top = f"{archive.stem}/"
        read_me = file.read(f"{top}README.txt").decode()
        command = file.read(f"{top}accord-agent.cmd").decode()
        sums = file.read(f"{top}{wheelhouse.SUMS}").decode()
    assert "The interpreter is not in this folder" in read_me
    assert "NOT RUN ON WINDOWS" in read_me
    assert "@" not in read_me
    assert f"py -{windows_zip.PYTHON} " in command
    assert command.count("\r\n") == command.count("\n")
    for name in ("packages/accord/agent/cli/__init__.py", "packages/grpc/__init__.py"):
        assert name in names
    assert any(name.startswith("packages/_duckdb") and ".pyd" in name for name in names)
    assert not any(name.endswith((".so", ".pyc")) for name in names)
    listed = {line.partition("  ")[2] for line in sums.splitlines()}
    assert listed == names - {wheelhouse.SUMS}
    assert os.fspath(archive).endswith("-windows.zip")
