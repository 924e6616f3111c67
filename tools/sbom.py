# SPDX-License-Identifier: Apache-2.0
"""A bill of materials (CycloneDX 1.6, JSON) of a folder of wheels.

Names, versions, licences and dependencies are those that the wheels themselves state;
hashes are those of the files. The same wheels give the same bytes.
"""

from __future__ import annotations

import dataclasses
import email.parser
import hashlib
import json
import re
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """What a wheel says of itself."""

    path: Path
    name: str
    version: str
    digest: str
    metadata: Message

    @property
    def reference(self) -> str:
        """Package URL of this very file."""
        return (
            f"pkg:pypi/{self.name}@{self.version}?file_name="
            + self.path.name.replace("+", "%2B")
        )

    def requires(self, extra: str = "") -> list[Requirement]:
        """Return what it asks for alone, or what an extra adds to that.

        Markers of platforms are left to whoever installs: all that could be needed
        counts here.
        """
        lines = self.metadata.get_all("Requires-Dist") or []
        found = [Requirement(line) for line in lines]
        named = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
        return [
            each
            for each in found
            if (
                named.search(str(each.marker))
                if extra
                else "extra" not in str(each.marker)
            )
        ]

    def licences(self) -> list[dict[str, Any]]:
        """Return the licence as CycloneDX writes it: an expression, or a name."""
        stated = str(self.metadata.get("License-Expression") or "").strip()
        if not stated:
            classifiers = self.metadata.get_all("Classifier") or []
            named = [
                line.rpartition(" :: ")[2]
                for line in classifiers
                if line.startswith("License :: ") and line != "License :: OSI Approved"
            ]
            known = [_CLASSIFIERS[name] for name in named if name in _CLASSIFIERS]
            stated = " OR ".join(sorted(set(known)))
        if not stated:
            stated = next(
                iter(str(self.metadata.get("License") or "").strip().splitlines()), ""
            )
        try:
            return [{"expression": canonicalize_license_expression(stated)}]
        except InvalidLicenseExpression:
            return [{"license": {"name": stated or "not stated"}}]


def wheel(path: Path) -> WheelFile:
    """Read a wheel."""
    with zipfile.ZipFile(path) as archive:
        (place,) = (
            name
            for name in archive.namelist()
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
        )
        text = archive.read(place).decode("utf-8")
    metadata = email.parser.Parser().parsestr(text, headersonly=True)
    return WheelFile(
        path=path,
        name=canonicalize_name(str(metadata["Name"])),
        version=str(metadata["Version"]),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        metadata=metadata,
    )


def wheels_in(folder: Path) -> list[WheelFile]:
    """Return the wheels of a folder, by the names of their files."""
    return [wheel(path) for path in sorted(folder.glob("*.whl"))]


def closure(
    wheels: Iterable[WheelFile], wanted: Iterable[Requirement]
) -> frozenset[str]:
    """Return the names of everything that requirements need, one another's too."""
    by_name: dict[str, list[WheelFile]] = {}
    for each in wheels:
        by_name.setdefault(each.name, []).append(each)
    found: set[tuple[str, str]] = set()
    open_ = [(canonicalize_name(each.name), each.extras) for each in wanted]
    while open_:
        name, extras = open_.pop()
        for extra in ("", *extras):
            if (name, extra) in found or name not in by_name:
                continue
            found.add((name, extra))
            open_ += [
                (canonicalize_name(each.name), each.extras)
                for file in by_name[name]
                for each in file.requires(extra)
            ]
    return frozenset(name for name, _ in found)


def bill(wheels: Iterable[WheelFile], subject: str, moment: str) -> str:
    """Return the bill of materials of an installation of *subject*.

    Args:
        wheels: all files, that of *subject* among them.
        subject: name of what is delivered; the others are what it is made of.
        moment: when, in UTC, as RFC 3339 has it.
    """
    listed = list(wheels)
    (main,) = (each for each in listed if each.name == subject)
    by_name: dict[str, list[str]] = {}
    for each in listed:
        by_name.setdefault(each.name, []).append(each.reference)
    digests = "".join(sorted(each.digest for each in listed))
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digests)}",
        "version": 1,
        "metadata": {
            "timestamp": moment,
            "component": _component(main, "application"),
        },
        "components": [
            _component(each, "library") for each in listed if each is not main
        ],
        "dependencies": [
            {"ref": each.reference, "dependsOn": _needed(each, by_name)}
            for each in listed
        ],
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _component(file: WheelFile, kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "bom-ref": file.reference,
        "name": file.name,
        "version": file.version,
        "purl": file.reference,
        "hashes": [{"alg": "SHA-256", "content": file.digest}],
        "licenses": file.licences(),
    }


def _needed(file: WheelFile, by_name: Mapping[str, list[str]]) -> list[str]:
    lines = file.metadata.get_all("Requires-Dist") or []
    names = {canonicalize_name(Requirement(line).name) for line in lines}
    found = {each for name in names for each in by_name.get(name, [])}
    return sorted(found - {file.reference})
