# SPDX-License-Identifier: Apache-2.0
"""Generate the stubs under proto/, and hold them and the protocol to their word.

Runs in .venv-proto and needs no network. ``buf/validate/validate.proto`` is in no
package as text, so its descriptor is taken from the generated code of protovalidate
and handed to protoc beside our own files; protoc then writes ``buf/validate`` too.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protobuf import DescFile
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
BASELINE = PROTO / "baseline.binpb"
LICENCE = "# SPDX-License-Identifier: Apache-2.0\n"
VALIDATE = "buf/validate/validate.proto"
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
LINT = '{"version":"v2","lint":{"use":["STANDARD"],"ignore":["buf","google"]}}'
BREAKING = '{"version":"v2","breaking":{"use":["FILE"],"ignore":["buf","google"]}}'


def ours() -> list[str]:
    """Return our .proto files as protoc names them."""
    return sorted(
        path.relative_to(PROTO).as_posix()
        for path in PROTO.joinpath("accord").rglob("*.proto")
    )


def validate_descriptors() -> bytes:
    """Return the descriptors of validate.proto and of all that it imports."""
    found: dict[str, FileDescriptorProto] = {}

    def add(name: str, file: DescFile) -> None:
        for needed in file.dependencies:
            add(needed.proto.name, needed)
        if name not in found:
            found[name] = FileDescriptorProto.FromString(file.proto.to_binary())

    add(VALIDATE, validate_pb.desc())
    return FileDescriptorSet(file=found.values()).SerializeToString(deterministic=True)


def protoc(*arguments: str | Path) -> None:
    """Run protoc over our files, with validate.proto within reach."""
    with tempfile.TemporaryDirectory() as scratch:
        known = Path(scratch) / "validate.binpb"
        known.write_bytes(validate_descriptors())
        plugins = Path(sys.executable).parent
        subprocess.run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc"),
                f"--plugin={plugins / 'protoc-gen-mypy'}",
                f"--plugin={plugins / 'protoc-gen-mypy_grpc'}",
                f"--descriptor_set_in={known}",
                f"--proto_path={PROTO}",
                f"--proto_path={Path(grpc_tools.__path__[0]) / '_proto'}",
                *arguments,
            ],
            check=True,
        )


def generate(into: Path) -> None:
    """Write the stubs of our files and of validate.proto below *into*."""
    into.mkdir(parents=True, exist_ok=True)
    protoc(f"--python_out={into}", f"--mypy_out=quiet:{into}", *ours(), VALIDATE)
    protoc(f"--grpc_python_out={into}", f"--mypy_grpc_out=quiet:{into}", *ours())
    for path in stubs(into):
        text = path.read_text(encoding="utf-8")
        if path.name.endswith(("_pb2_grpc.py", "_pb2_grpc.pyi")) and (
            "Stub" not in text
        ):
            path.unlink()  # a file of messages has no service
        elif not text.startswith(LICENCE):
            path.write_text(LICENCE + text, encoding="utf-8")


def refresh() -> None:
    """Replace the committed stubs; a mistake in a .proto file leaves them alone."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        for path in stubs(PROTO):
            path.unlink()
        for path in stubs(fresh):
            target = PROTO / path.relative_to(fresh)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def stubs(below: Path) -> Iterator[Path]:
    """Yield the generated files below a folder."""
    for path in sorted(below.rglob("*_pb2*")):
        if path.name.endswith(SUFFIXES):
            yield path


def write_image(image: Path, *options: str) -> None:
    """Write the protocol with all that it imports, as buf reads it."""
    protoc("--include_imports", *options, f"--descriptor_set_out={image}", *ours())


def drift() -> list[str]:
    """Return what differs between the committed stubs and fresh ones."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        new = {path.relative_to(fresh): path.read_bytes() for path in stubs(fresh)}
    old = {path.relative_to(PROTO): path.read_bytes() for path in stubs(PROTO)}
    return [
        f"proto/{name.as_posix()} is not what its .proto file gives: run `make proto`."
        for name in sorted(new.keys() | old.keys())
        if new.get(name) != old.get(name)
    ]


def buf(*arguments: str | Path) -> bool:
    """Run buf and say whether it was content."""
    program = ROOT / ".venv" / "bin" / "buf"
    return subprocess.run([program, *arguments], check=False).returncode == 0


def check() -> int:
    """Compare the stubs, lint the protocol, and refuse to break older agents."""
    problems = drift()
    for problem in problems:
        print(problem)
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        write_image(image, "--include_source_info")
        content = buf("lint", image, "--config", LINT)
        content &= buf("breaking", image, "--against", BASELINE, "--config", BREAKING)
    return 0 if content and not problems else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["generate", "check", "baseline"])
    action = parser.parse_args(arguments).action
    try:
        if action == "check":
            return check()
        if action == "baseline":
            write_image(BASELINE)
        else:
            refresh()
    except subprocess.CalledProcessError:
        return 1  # protoc has said which line of which file it does not take
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
